#include "engine/engine_base.hpp"

#include <plug/constants.hpp>

#include <algorithm>
#include <cerrno>

#include "engine/faults.hpp"
#include "sys/polling.hpp"

namespace plug::detail {

namespace {

constexpr std::int64_t kFirstPause = 100'000;  // nanoseconds
constexpr int kOutOfBand = 0x1, kPeek = 0x2, kWaitAll = 0x100, kErrorQueue = 0x2000;

/// Whether it gives EAGAIN on a plain thread too, though the socket has no time-out.
bool never_waits(const Op& op) noexcept {
  if (op.kind == Op::Kind::send_pipe) return true;  // whoever asks waits, for one side or the other
  if (!has_flags(op.kind)) return false;
  const int flags = receives(op.kind) ? sys::kDontWait | kOutOfBand | kErrorQueue : sys::kDontWait;
  return (op.flags & flags) != 0;
}

sys::Message* message_of(const Op& op) noexcept {
  const bool has = op.kind == Op::Kind::receive_message || op.kind == Op::Kind::send_message;
  return has ? static_cast<sys::Message*>(op.data) : nullptr;
}

/// An operation that goes on until all of it has been done, with a call for each part. In the end
/// it is as it was, but for what the calls have said beside the data.
class Whole {
 public:
  explicit Whole(Op& op) noexcept : op_(op), message_(message_of(op)), was_(op), left_(op.size) {
    if (message_ == nullptr) return;
    message_was_ = *message_;
    left_ = 0;
    for (std::size_t i = 0; i < message_->count; ++i) left_ += message_->pieces[i].size;
  }
  Whole(const Whole&) = delete;
  Whole& operator=(const Whole&) = delete;
  ~Whole() {
    op_.data = was_.data;
    op_.size = was_.size;
    if (message_ == nullptr) return;
    mend();
    message_->pieces = message_was_.pieces;
    message_->count = message_was_.count;
    if (receives(op_.kind)) return;
    message_->control = message_was_.control;
    message_->control_size = message_was_.control_size;
  }

  std::size_t left() const noexcept { return left_; }

  /// So much has been done.
  void take(long count) noexcept {
    auto done = static_cast<std::size_t>(count);
    left_ -= std::min(left_, done);
    if (message_ == nullptr) {
      op_.data = static_cast<char*>(op_.data) + done;
      op_.size -= done;
      return;
    }
    while (done > 0) {
      sys::Piece& piece = *message_->pieces;
      const std::size_t part = std::min(done, piece.size);
      if (cut_ == nullptr) {
        cut_ = &piece;
        piece_was_ = piece;
      }
      piece.data = static_cast<char*>(piece.data) + part;
      piece.size -= part;
      done -= part;
      if (piece.size > 0) return;
      mend();
      ++message_->pieces;
      --message_->count;
    }
  }

  /// Whether a receive has got something beside its data, which belongs to that part.
  bool has_control() const noexcept {
    return receives(op_.kind) && message_ != nullptr && message_->control != nullptr &&
           message_->control_size > 0;
  }

  /// Before the next call: what is sent beside the data has gone with the first part; each receive
  /// has all of the room for what comes beside it.
  void prepare() noexcept {
    op_.address_size = was_.address_size;
    if (message_ == nullptr) return;
    message_->address_size = message_was_.address_size;
    if (receives(op_.kind)) {
      message_->control_size = message_was_.control_size;
    } else {
      message_->control = nullptr;
      message_->control_size = 0;
    }
  }

 private:
  void mend() noexcept {
    if (cut_ != nullptr) *cut_ = piece_was_;
    cut_ = nullptr;
  }

  Op& op_;
  sys::Message* const message_;
  const Op was_;
  sys::Message message_was_{};
  std::size_t left_;
  sys::Piece* cut_ = nullptr;  // the piece of which a part is done
  sys::Piece piece_was_{};
};

}  // namespace

bool is_stream(int fd) noexcept {
  int type = 0;
  std::size_t size = sizeof type;
  return sys::getsockopt(fd, static_cast<int>(SOL::SOCKET), static_cast<int>(SO::TYPE), &type,
                         size) >= 0 &&
         type == static_cast<int>(SOCK::STREAM);
}

long try_once(Descriptor& descriptor, int fd, Op& op) noexcept {
  const Fault fault = next_fault(op.kind);
  if (fault.kind == Fault::Kind::result) [[unlikely]]
    return fault.value;
  const AtMost limit(op, fault);
  if (has_flags(op.kind)) op.flags |= sys::kDontWait;
  if ((op.flags & sys::kDontWait) != 0 && op.kind <= Op::Kind::accept) return attempt(fd, op);
  const Descriptor::Unblocked mode(descriptor, fd);
  return attempt(fd, op);
}

/// For what nothing tells the end of. Each time twice as long, from `pause` on.
long EngineBase::wait_a_while(Descriptor& descriptor, Deadline deadline, std::int64_t& pause,
                              Op::Kind kind) {
  constexpr std::int64_t kLongest = 50'000'000;  // nanoseconds
  const Deadline look_again = std::min(deadline, Deadline::after(pause));
  pause = std::min(2 * pause, kLongest);
  const long waited = park(descriptor, look_again, kind);
  if (waited < 0 && waited != kTimedOut) return waited;
  return deadline.remaining() == 0 ? kTimedOut : 0;
}

// --- operations ---

long EngineBase::perform(Descriptor& descriptor, Op& op, Deadline deadline) {
  const long result = deadline.is_none() && descriptor.timed_by_system()
                          ? perform_timed_by_system(descriptor, op)
                          : perform_until(descriptor, op, deadline);
  scheduler_.did_not_wait();
  return result;
}

long EngineBase::wait_any(std::span<sys::PollEntry> entries, Deadline deadline) {
  const long result = wait_for_any(entries, deadline);
  scheduler_.did_not_wait();
  return result;
}

/// As the system does it where it may wait itself (socket(7), SO_RCVTIMEO).
long EngineBase::perform_timed_by_system(Descriptor& descriptor, Op& op) {
  struct {
    std::int64_t seconds = 0, microseconds = 0;
  } time;
  std::size_t size = sizeof time;
  const SO name = receives(op.kind) || op.kind == Op::Kind::accept ? SO::RCVTIMEO : SO::SNDTIMEO;
  const bool dont_wait = has_flags(op.kind) && (op.flags & sys::kDontWait) != 0;
  if (op.kind == Op::Kind::ready || dont_wait ||
      sys::getsockopt(descriptor.fd(), static_cast<int>(SOL::SOCKET), static_cast<int>(name), &time,
                      size) < 0 ||
      (time.seconds == 0 && time.microseconds == 0))
    return perform_until(descriptor, op, Deadline::none());
  const long result = perform_until(
      descriptor, op, Deadline::after(time.seconds * 1'000'000'000 + time.microseconds * 1'000));
  if (result != kTimedOut) return result;
  return op.kind == Op::Kind::connect ? -EINPROGRESS : -EAGAIN;
}

long EngineBase::perform_until(Descriptor& descriptor, Op& op, Deadline deadline) {
  const Descriptor::InFlight in_flight(descriptor, false);
  const int fd = in_flight.fd();
  if (fd < 0) return -EBADF;
  if (deadline.is_immediate() || (deadline.is_none() && never_waits(op)))
    return try_now(descriptor, fd, op);
  const long result =
      deadline.is_none() ? block(descriptor, fd, op) : wait_for(descriptor, fd, op, deadline);
  if (result == kCancelled) scheduler_.take_cancel();
  return result;
}

long EngineBase::try_now(Descriptor& descriptor, int fd, Op& op) noexcept {
  if (op.kind == Op::Kind::ready) {
    sys::PollEntry entry{op.file < 0 ? fd : op.file, static_cast<short>(op.flags), 0};
    const long ready = poll_now({&entry, 1});
    if (ready == 0 || ready == -EINTR) return kTimedOut;
    return ready < 0 ? ready : entry.revents;
  }
  long result = -EINTR;
  while (result == -EINTR) result = try_once(descriptor, fd, op);
  return result;
}

long EngineBase::wait_for(Descriptor& descriptor, int fd, Op& op, Deadline deadline) {
  switch (op.kind) {
    case Op::Kind::ready:
      return wait_ready(descriptor, op.file < 0 ? Number{fd, true} : Number{op.file, false},
                        op.flags, deadline, op.kind);
    case Op::Kind::accept:
      return accept(descriptor, fd, op, deadline);
    case Op::Kind::connect:
      return connect(descriptor, fd, op, deadline);
    case Op::Kind::send_file:
    case Op::Kind::send_pipe:
      return send_by_trying(descriptor, fd, op, deadline);
    default:
      return transfer(descriptor, fd, op, deadline);
  }
}

/// Without a time-out as much is done as the system does on a plain thread.
long EngineBase::block(Descriptor& descriptor, int fd, Op& op) {
  const bool all = !receives(op.kind) || (op.flags & kWaitAll) != 0;
  if (!has_flags(op.kind) || is_batch(op.kind) || !all)
    return wait_for(descriptor, fd, op, Deadline::none());
  return receives(op.kind) && (op.flags & kPeek) != 0 ? peek_whole(descriptor, fd, op)
                                                      : move_whole(descriptor, fd, op);
}

long EngineBase::move_whole(Descriptor& descriptor, int fd, Op& op, long part) {
  op.flags &= ~kWaitAll;
  Whole whole(op);
  for (long moved = part;; moved += part) {
    if (part > 0) {
      if (static_cast<std::size_t>(part) >= whole.left() || whole.has_control() ||
          (moved == part && !is_stream(fd)))
        return moved;
      whole.take(part);
      if (!can_go_on(descriptor, fd, op.kind)) return moved;
      whole.prepare();
    }
    part = transfer(descriptor, fd, op, Deadline::none());
    if (part <= 0) return moved > 0 ? moved : part;
  }
}

/// Waits until there is more to be moved. Not when there is an error, which is the next call's.
bool EngineBase::can_go_on(Descriptor& descriptor, int fd, Op::Kind kind) {
  const bool reads = receives(kind);
  const long ready =
      wait_ready(descriptor, {fd, true}, reads ? sys::kIn : sys::kOut, Deadline::none(), kind);
  if (ready < 0) return false;
  return (ready & sys::kError) == 0 || (reads && sys::readable_bytes(fd) > 0);
}

/// A receive with MSG_WAITALL that leaves what it receives where it is, so that nothing tells when
/// there is more.
long EngineBase::peek_whole(Descriptor& descriptor, int fd, Op& op) {
  op.flags &= ~kWaitAll;
  Whole whole(op);
  for (std::int64_t pause = kFirstPause;;) {
    const long result = transfer(descriptor, fd, op, Deadline::none());
    if (result <= 0 || static_cast<std::size_t>(result) >= whole.left() || !is_stream(fd))
      return result;
    sys::PollEntry ended{fd, sys::kReadHangUp, 0};
    if (sys::poll(&ended, 1, 0) != 0) return result;
    const long waited = wait_a_while(descriptor, Deadline::none(), pause, op.kind);
    if (waited < 0) return waited;
    whole.prepare();
  }
}

long EngineBase::send_by_trying(Descriptor& descriptor, int fd, Op& op, Deadline deadline) {
  for (;;) {
    const long result = try_once(descriptor, fd, op);
    if (result == -EINTR) continue;
    if (result != -EAGAIN) return result;
    const long waited = wait_again(descriptor, fd, sys::kOut, deadline, op.kind);
    if (waited < 0) return waited;
  }
}

long EngineBase::connect(Descriptor& descriptor, int fd, Op& op, Deadline deadline) {
  for (std::int64_t pause = kFirstPause;;) {
    const long result = connect_once(descriptor, fd, op, deadline);
    if (result == -EINTR) continue;
    if (result == -EAGAIN) {
      // The listener of a Unix socket has no room, and nothing tells when it has.
      const long waited = wait_a_while(descriptor, deadline, pause, op.kind);
      if (waited < 0) return waited;
      continue;
    }
    if (result != -EINPROGRESS) return result;
    const long ready = wait_ready(descriptor, {fd, true}, sys::kOut, deadline, op.kind);
    if (ready < 0) return ready;
    // Without a time-out it ends as the system's own connect() does, after which the socket knows
    // that it is connected; with one as in Python, where the next connect() finds that out.
    if (deadline.is_none()) {
      const long ended = try_once(descriptor, fd, op);
      if (ended == -EINTR || ended == -EALREADY || ended == -EINPROGRESS) continue;
      return ended;
    }
    int error = 0;
    const long got = sys::socket_error(fd, error);
    return got < 0 ? got : -static_cast<long>(error);
  }
}

}  // namespace plug::detail
