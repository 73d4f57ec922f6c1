#include "fiber/engine/engine_base.hpp"

#include <plug/constants.hpp>

#include <algorithm>
#include <cerrno>
#include <exception>

#include "fiber/engine/fault_injection.hpp"
#include "sys/polling.hpp"

namespace plug::detail::fiber {

namespace {

/// The events that tell of more data on a stream, or of its end.
constexpr int kMore = sys::kIn | sys::kReadHangUp | sys::kPriority;

/// Returns a socket option at SOL_SOCKET, or -1 if the socket does not have it.
int integer_option(int fd, SO name) noexcept {
  int value = 0;
  std::size_t size = sizeof value;
  const long got =
      sys::getsockopt(fd, static_cast<int>(SOL::SOCKET), static_cast<int>(name), &value, size);
  return got < 0 ? -1 : value;
}

/// Returns true if the operation gives EAGAIN on a plain thread too, although the socket has no
/// timeout.
bool never_waits(const wait::Op& op) noexcept {
  if (op.kind == wait::Op::Kind::send_pipe)
    return true;  // the caller waits, for one side or the other
  if (!has_flags(op.kind)) return false;
  const int flags =
      receives(op.kind) ? sys::kDontWait | wait::kOutOfBand | wait::kErrorQueue : sys::kDontWait;
  return (op.flags & flags) != 0;
}

sys::Message* message_of(const wait::Op& op) noexcept {
  const bool has =
      op.kind == wait::Op::Kind::receive_message || op.kind == wait::Op::Kind::send_message;
  return has ? static_cast<sys::Message*>(op.data) : nullptr;
}

std::size_t size_of(const wait::Op& op) noexcept {
  const sys::Message* const message = message_of(op);
  if (message == nullptr) return op.size;
  std::size_t size = 0;
  for (std::size_t i = 0; i < message->count; ++i) size += message->pieces[i].size;
  return size;
}

/// Repeats an operation, one call for each part, until all of its data has moved. The destructor
/// restores the operation, except for the addresses and control data that the calls have stored.
class WholeTransfer {
 public:
  explicit WholeTransfer(wait::Op& op) noexcept
      : op_(op), message_(message_of(op)), was_(op), left_(size_of(op)) {
    if (message_ != nullptr) message_was_ = *message_;
  }
  WholeTransfer(const WholeTransfer&) = delete;
  WholeTransfer& operator=(const WholeTransfer&) = delete;
  ~WholeTransfer() {
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

  /// Records that `count` bytes have moved.
  void take(long count) noexcept {
    auto done = static_cast<std::size_t>(count);
    left_ -= std::min(left_, done);
    if (message_ == nullptr) {
      op_.data = static_cast<char*>(op_.data) + done;
      op_.size -= done;
      return;
    }
    while (done > 0) {
      sys::IoVec& piece = *message_->pieces;
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

  /// Returns true if a receive has got control data, which belongs to the part just received.
  bool has_control() const noexcept {
    return receives(op_.kind) && message_ != nullptr && message_->control != nullptr &&
           message_->control_size > 0;
  }

  /// Prepares the next call. A send passes its control data with the first part only; a receive has
  /// all of its room for control data again.
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

  wait::Op& op_;
  sys::Message* const message_;
  const wait::Op was_;
  sys::Message message_was_{};
  std::size_t left_;
  sys::IoVec* cut_ = nullptr;  // the piece that is done in part
  sys::IoVec piece_was_{};
};

}  // namespace

bool is_stream(int fd) noexcept {
  return integer_option(fd, SO::TYPE) == static_cast<int>(SOCK::STREAM);
}

long try_once(wait::Descriptor& descriptor, int fd, wait::Op& op) noexcept {
  const Fault fault = next_fault(op.kind);
  if (fault.is(Fault::Kind::result)) [[unlikely]]
    return fault.value;
  const AtMost limit(op, fault);
  if (has_flags(op.kind)) op.flags |= sys::kDontWait;
  if ((op.flags & sys::kDontWait) != 0 && op.kind <= wait::Op::Kind::accept)
    return wait::attempt(fd, op);
  const wait::Descriptor::Unblocked mode(descriptor, fd);
  return wait::attempt(fd, op);
}

/// Parks until `end`, where no event could end the wait.
long EngineBase::pause(wait::Descriptor& descriptor, Deadline end, wait::Op::Kind kind) {
  const long waited = park(descriptor, end, kind);
  return waited == base::kTimedOut ? 0 : waited;
}

long EngineBase::wait_again(wait::Descriptor& descriptor, int fd, wait::Attempts& attempts,
                            Deadline deadline, wait::Op::Kind kind) {
  if (attempts.waited() && base::remaining(deadline) == 0) return base::kTimedOut;
  switch (attempts.next(fd, tells_of_changes())) {
    case wait::Attempts::Next::try_again:
      return 0;
    case wait::Attempts::Next::pause:
      return pause(descriptor, attempts.pause(deadline), kind);
    case wait::Attempts::Next::await_change: {
      const Number watch{attempts.watch().fd(), false};
      const long ready = wait_ready(descriptor, watch, sys::kIn, deadline, kind);
      if (ready >= 0) attempts.ended(attempts.watch().take());
      return ready;
    }
    case wait::Attempts::Next::await_ready:
      break;
  }
  const long ready = wait_change(descriptor, fd, attempts.events(), deadline, kind);
  if (ready >= 0) attempts.ended(ready);
  return ready;
}

long EngineBase::try_until_done(wait::Descriptor& descriptor, int fd, wait::Op& op,
                                Deadline deadline, long result) {
  while (result == -EINTR) result = try_once(descriptor, fd, op);
  if (result != -EAGAIN && !wait::found_nothing_urgent(op, result)) return result;
  for (wait::Attempts attempts(wait::events_of(op, result));;) {
    const long waited = wait_again(descriptor, fd, attempts, deadline, op.kind);
    if (waited < 0) return waited;
    do result = try_once(descriptor, fd, op);
    while (result == -EINTR);
    if (result != -EAGAIN) return result;
  }
}

// --- operations ---

long EngineBase::perform(wait::Descriptor& descriptor, wait::Op& op, Deadline deadline) {
  const long result = deadline.is_none() && descriptor.heeds(wait::Descriptor::kTimed)
                          ? perform_timed_by_system(descriptor, op)
                          : perform_until(descriptor, op, deadline);
  scheduler_.maybe_yield();
  return result;
}

long EngineBase::wait_any(std::span<sys::PollEntry> entries, Deadline deadline) {
  const long result = wait_for_any(entries, deadline);
  scheduler_.maybe_yield();
  return result;
}

/// Performs an operation with the socket's SO_RCVTIMEO or SO_SNDTIMEO as its timeout, as the system
/// does in a blocking call (socket(7)).
long EngineBase::perform_timed_by_system(wait::Descriptor& descriptor, wait::Op& op) {
  struct {
    std::int64_t seconds = 0, microseconds = 0;
  } time;
  std::size_t size = sizeof time;
  const SO name =
      receives(op.kind) || op.kind == wait::Op::Kind::accept ? SO::RCVTIMEO : SO::SNDTIMEO;
  if (op.kind == wait::Op::Kind::ready || never_waits(op) ||
      sys::getsockopt(descriptor.fd(), static_cast<int>(SOL::SOCKET), static_cast<int>(name), &time,
                      size) < 0 ||
      (time.seconds == 0 && time.microseconds == 0))
    return perform_until(descriptor, op, Deadline::none());
  constexpr std::int64_t kSecond = 1'000'000'000, kMost = 1'000'000'000;
  const std::int64_t span = std::min(time.seconds, kMost) * kSecond + time.microseconds * 1'000;
  const long result = perform_until(descriptor, op, base::deadline_after(span));
  if (result != base::kTimedOut) return result;
  return op.kind == wait::Op::Kind::connect ? -EINPROGRESS : -EAGAIN;
}

long EngineBase::perform_until(wait::Descriptor& descriptor, wait::Op& op, Deadline deadline) {
  const wait::Descriptor::InFlight in_flight(descriptor, false);
  const int fd = in_flight.fd();
  if (fd < 0) return -EBADF;
  if (deadline.is_immediate() || (deadline.is_none() && never_waits(op)))
    return try_now(descriptor, fd, op);
  long result = 0;
  if (descriptor.heeds(wait::Descriptor::kLowWater)) [[unlikely]]
    result = await_low_water(descriptor, fd, op, deadline);
  if (result == 0)
    result =
        deadline.is_none() ? block(descriptor, fd, op) : dispatch(descriptor, fd, op, deadline);
  if (result == base::kCancelled) scheduler_.take_cancel();
  return result;
}

long EngineBase::try_now(wait::Descriptor& descriptor, int fd, wait::Op& op) noexcept {
  if (op.kind == wait::Op::Kind::ready) {
    sys::PollEntry entry{op.file < 0 ? fd : op.file, static_cast<short>(op.flags), 0};
    const long ready = poll_now({&entry, 1});
    if (ready == 0 || ready == -EINTR) return base::kTimedOut;
    return ready < 0 ? ready : entry.revents;
  }
  long result = -EINTR;
  while (result == -EINTR) result = try_once(descriptor, fd, op);
  return result;
}

/// Performs an operation as its kind demands, until the deadline.
long EngineBase::dispatch(wait::Descriptor& descriptor, int fd, wait::Op& op, Deadline deadline) {
  switch (op.kind) {
    case wait::Op::Kind::ready:
      return wait_ready(descriptor, op.file < 0 ? Number{fd, true} : Number{op.file, false},
                        op.flags, deadline, op.kind);
    case wait::Op::Kind::accept:
      return accept(descriptor, fd, op, deadline);
    case wait::Op::Kind::connect:
      return connect(descriptor, fd, op, deadline);
    case wait::Op::Kind::send_file:
    case wait::Op::Kind::send_pipe:
      return try_until_done(descriptor, fd, op, deadline);
    default:
      // Engines track only whether the next data in order is ready.
      if (receives(op.kind) && (!takes_next(op) || descriptor.heeds(wait::Descriptor::kLowWater)))
        return try_until_done(descriptor, fd, op, deadline);
      return transfer(descriptor, fd, op, deadline);
  }
}

/// Performs an operation without a timeout. Moves as much data as the system does on a plain
/// thread.
long EngineBase::block(wait::Descriptor& descriptor, int fd, wait::Op& op) {
  const bool all = !receives(op.kind) || (op.flags & wait::kWaitAll) != 0;
  if (!has_flags(op.kind) || is_batch(op.kind) || !all)
    return dispatch(descriptor, fd, op, Deadline::none());
  return receives(op.kind) && (op.flags & wait::kPeek) != 0 ? peek_whole(descriptor, fd, op)
                                                            : move_whole(descriptor, fd, op);
}

long EngineBase::move_whole(wait::Descriptor& descriptor, int fd, wait::Op& op, long part) {
  op.flags &= ~wait::kWaitAll;
  WholeTransfer whole(op);
  for (long moved = part;; moved += part) {
    if (part > 0) {
      if (static_cast<std::size_t>(part) >= whole.left() || whole.has_control() ||
          (moved == part && !is_stream(fd)))
        return moved;
      whole.take(part);
    }
    if (moved == 0) {
      part = transfer(descriptor, fd, op, Deadline::none());
      if (part <= 0) return part;
      continue;
    }
    // From here on, an answer of the hook is kept for the next call: this one returns its count.
    try {
      if (!can_go_on(descriptor, fd, op.kind)) return moved;
      whole.prepare();
      part = transfer(descriptor, fd, op, Deadline::none());
    } catch (...) {
      scheduler_.keep_answer(0, std::current_exception());
      return moved;
    }
    if (part < base::kStopped) scheduler_.keep_answer(part, nullptr);
    if (part <= 0) return moved;
  }
}

/// Waits until more data can move. Returns false on an error, which the next call reports.
bool EngineBase::can_go_on(wait::Descriptor& descriptor, int fd, wait::Op::Kind kind) {
  const bool reads = receives(kind);
  const long ready =
      wait_ready(descriptor, {fd, true}, reads ? sys::kIn : sys::kOut, Deadline::none(), kind);
  if (ready < base::kStopped) scheduler_.keep_answer(ready, nullptr);
  if (ready < 0) return false;
  return (ready & sys::kError) == 0 || (reads && sys::readable_bytes(fd) > 0);
}

/// Returns true if a receive of `size` bytes from a stream would not wait for more data.
bool EngineBase::is_enough(int fd, std::size_t size) noexcept {
  // A receive does not read beyond the end or urgent data.
  sys::PollEntry entry{fd, sys::kReadHangUp | sys::kPriority, 0};
  if (poll_now({&entry, 1}) != 0) return true;
  const long there = sys::readable_bytes(fd);
  return there < 0 || static_cast<std::size_t>(there) >= size;
}

/// Waits for as much data as SO_RCVLOWAT demands: as a blocking receive does, or, with a deadline,
/// as poll() does. Returns 0, or an error as park() does.
long EngineBase::await_low_water(wait::Descriptor& descriptor, int fd, const wait::Op& op,
                                 Deadline deadline) {
  if (op.kind > wait::Op::Kind::receive_message || wait::events_of(op, 0) != sys::kIn) return 0;
  if (!deadline.is_none())
    return std::min(wait_ready(descriptor, {fd, true}, sys::kIn, deadline, op.kind), 0L);
  if ((op.flags & wait::kWaitAll) != 0 || !is_stream(fd)) return 0;
  const auto mark = static_cast<std::size_t>(std::max(integer_option(fd, SO::RCVLOWAT), 1));
  const std::size_t size = std::min(mark, size_of(op));
  wait::Pause pauses;
  for (wait::Attempts attempts(kMore); !is_enough(fd, size);) {
    // No event tells of less data than the low-water mark.
    const long waited = size < mark ? pause(descriptor, pauses.next(deadline), op.kind)
                                    : wait_again(descriptor, fd, attempts, deadline, op.kind);
    if (waited < 0) return waited;
  }
  return 0;
}

/// Performs a receive with MSG_WAITALL and MSG_PEEK. On a Unix socket the system does not wait for
/// all of the data in this case.
long EngineBase::peek_whole(wait::Descriptor& descriptor, int fd, wait::Op& op) {
  op.flags &= ~wait::kWaitAll;
  if (is_stream(fd) && integer_option(fd, SO::DOMAIN) != static_cast<int>(AF::UNIX)) {
    const std::size_t size = size_of(op);
    for (wait::Attempts attempts(kMore); !is_enough(fd, size);) {
      const long waited = wait_again(descriptor, fd, attempts, Deadline::none(), op.kind);
      if (waited < 0) return waited;
    }
  }
  return try_until_done(descriptor, fd, op, Deadline::none());
}

long EngineBase::connect(wait::Descriptor& descriptor, int fd, wait::Op& op, Deadline deadline) {
  for (wait::Pause pauses;;) {
    const long result = connect_once(descriptor, fd, op, deadline);
    if (result == -EINTR) continue;
    if (result == -EAGAIN) {
      // The queue of the listening Unix socket is full, and no event tells when it has room.
      const long waited = pause(descriptor, pauses.next(deadline), op.kind);
      if (waited < 0) return waited;
      if (base::remaining(deadline) == 0) return base::kTimedOut;
      continue;
    }
    if (result != -EINPROGRESS) return result;
    const long ready = wait_ready(descriptor, {fd, true}, sys::kOut, deadline, op.kind);
    if (ready < 0) return ready;
    // Without a timeout, call connect() again: as after a blocking call, the socket then knows that
    // it is connected. With a timeout, read SO_ERROR as Python does and leave the rest to the
    // user's next connect().
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

}  // namespace plug::detail::fiber
