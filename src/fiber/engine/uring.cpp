// The engine on io_uring(7). It submits the operations themselves to the kernel, all of a turn in
// one system call, which also returns the completions of earlier ones.
//
// The kernel owns an operation and its buffers from submission until completion. A fiber that has
// to stop waiting earlier (timeout, cancellation, close) asks the kernel to cancel the operation
// and waits for the completion. If the operation has done something nevertheless, that is the
// result.

#include "fiber/engine/engine_base.hpp"

#ifdef PLUG_HAS_URING

#include <liburing.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <optional>
#include <utility>

#include "fiber/engine/fault_injection.hpp"
#include "sys/polling.hpp"
#include "sys/sanitizers.hpp"

namespace plug::detail::fiber {

namespace {

constexpr unsigned kSubmissions = 512, kCompletions = 4096;  // more is submitted in portions
constexpr std::uint64_t kWakeEvent = 1;  // user data; no Completion has this address, being aligned
constexpr std::int64_t kSecond = 1'000'000'000, kLongest = 1'000'000 * kSecond;
/// The kernel may miss a cancel request while an operation moves between its queues. The request is
/// repeated after this time, in nanoseconds.
constexpr std::int64_t kAskAgain = 10'000'000;
/// The most bytes that one recv or send moves. The system truncates larger calls to this, too.
constexpr std::size_t kMostBytes = 0x7ffff000;
/// The largest buffer that a fiber may hold while it waits for data. For larger ones, a second
/// system call per receive costs less than memory for every waiting fiber.
constexpr std::size_t kMostLent = 4096;
/// The kernel lists operations with the same user data together and searches that list from its
/// start. So a wait for many descriptors uses another tag for every group of this size.
constexpr std::size_t kTogether = 64;
constexpr unsigned kTagShift = 48;  // the upper 16 bits of a pointer are free

/// Returns the events to poll for. In a poll for urgent data alone the kernel ignores every wakeup,
/// so POLLRDBAND is added.
unsigned polled(short events) noexcept {
  const bool urgent = (events & sys::kPriority) != 0;
  return static_cast<std::uint16_t>(urgent ? events | sys::kReadBand : events);
}

/// A fiber that waits for operations to complete, and their outcome. Lives on the fiber's stack.
struct alignas(8) Completion {
  FiberCore& fiber;
  bool several = false;  // waits for the first of several operations
  std::size_t count = 1;
  std::size_t pending = 0;  // operations that have not completed
  bool enough = false;      // one operation has completed
  long result = 0;          // of several: the error of one
  Fault fault{};
  bool withheld = false;  // completed, but hidden from the fiber for now
};

std::uint64_t user_data(const Completion& completion, std::size_t tag = 0) noexcept {
  return reinterpret_cast<std::uintptr_t>(&completion) | std::uint64_t{tag & 0xffff} << kTagShift;
}

/// Tells sanitizers that the kernel is about to perform an operation.
void tell_begun(int fd, const wait::Op& op) noexcept {
  if (op.kind == wait::Op::Kind::connect) sys::tell_connecting(fd);
  if (has_flags(op.kind) && !receives(op.kind)) sys::tell_sending(fd);
}

/// Tells sanitizers that the kernel has performed an operation.
void tell_ended(int fd, const wait::Op& op, long result) noexcept {
  if (!has_flags(op.kind) || result < 0) return;
  if (receives(op.kind)) sys::tell_received(fd);
  const bool has_message =
      op.kind == wait::Op::Kind::receive_message || op.kind == wait::Op::Kind::send_message;
  sys::IoVec whole{op.data, op.size};
  const auto* const message = static_cast<const sys::Message*>(op.data);
  auto left = static_cast<std::size_t>(result);
  for (const sys::IoVec& piece :
       has_message ? std::span(message->pieces, message->count) : std::span(&whole, 1)) {
    const std::size_t part = std::min(piece.size, left);
    receives(op.kind) ? sys::tell_written(piece.data, part) : sys::tell_read(piece.data, part);
    left -= part;
  }
}

/// The rings that are shared with the kernel.
class Ring {
 public:
  Ring() noexcept = default;
  Ring(const Ring&) = delete;
  Ring& operator=(const Ring&) = delete;
  ~Ring() {
    if (!open_) return;
    sys::tell_released(&memory_);
    ::io_uring_queue_exit(&ring_);
  }

  /// Returns 0 or -errno.
  long open() noexcept {
    ::io_uring_params parameters{};
    parameters.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
                       IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQSIZE;
    unsigned submissions = kSubmissions;
    parameters.cq_entries = kCompletions;
    if (Faults* const source = current_faults(); source != nullptr && source->completions() != 0)
        [[unlikely]] {
      submissions = source->submissions();
      parameters.cq_entries = source->completions();
    }
    const int opened = ::io_uring_queue_init_params(submissions, &ring_, &parameters);
    open_ = opened == 0;
    sys::tell_acquired(&memory_);
    return opened;
  }

  ::io_uring* get() noexcept { return &ring_; }

  /// Returns true if the kernel holds completions that it only posts when it is entered.
  bool has_more() const noexcept { return has(IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW); }
  /// Returns true if it holds some because the ring had no room for them.
  bool has_overflowed() const noexcept { return has(IORING_SQ_CQ_OVERFLOW); }

 private:
  bool has(unsigned flags) const noexcept {
    return (IO_URING_READ_ONCE(*ring_.sq.kflags) & flags) != 0;
  }

  // Orders rings for the thread sanitizer: a new ring may get the memory of an earlier one.
  static inline char memory_;

  ::io_uring ring_{};
  bool open_ = false;
};

class UringEngine final : public EngineBase {
 public:
  explicit UringEngine(FiberScheduler& scheduler) : EngineBase(scheduler) {}

  /// Makes the descriptors that the engine needs. Returns 0 or -errno.
  long open() noexcept;

  const char* name() const noexcept override { return "uring"; }
  long wait_for_any(std::span<sys::PollEntry> entries, Deadline deadline) override;
  long move(wait::Descriptor& descriptor, wait::Op::Kind kind, void* data, std::size_t size,
            int flags, Deadline deadline) override;
  long receive_late(wait::Descriptor& descriptor, base::Scratch& scratch, std::size_t size,
                    Deadline deadline) override;
  long turn(Deadline deadline) override;
  void wake() noexcept override { sys::eventfd_add(wake_event_); }

 private:
  io_uring_sqe& entry() noexcept;
  void listen_for_wake() noexcept;
  long enter(Deadline deadline) noexcept;
  void reap() noexcept;
  void take(const io_uring_cqe& end) noexcept;

  template <class Prepare>
  long submit(wait::Descriptor& descriptor, int fd, wait::Op& op, Deadline deadline,
              const char* where, Prepare prepare);
  void ask_to_end(Completion& completion) noexcept;
  long wait_for_end(Completion& completion, wait::Descriptor* descriptor, Deadline deadline,
                    const char* where) noexcept;

  long transfer(wait::Descriptor& descriptor, int fd, wait::Op& op, Deadline deadline) override;
  long accept(wait::Descriptor& descriptor, int fd, wait::Op& op, Deadline deadline) override;
  long connect_once(wait::Descriptor& descriptor, int fd, wait::Op& op, Deadline deadline) override;
  long wait_ready(wait::Descriptor& descriptor, Number number, int events, Deadline deadline,
                  wait::Op::Kind kind) override;

  Ring ring_;
  sys::OwnFd wake_event_;
  bool listening_ = false;     // the poll for wake() is submitted
  bool reaped_early_ = false;  // completions have been taken since the last turn
};

long UringEngine::open() noexcept {
  const long event = sys::eventfd();
  if (event < 0) return event;
  wake_event_ = sys::OwnFd(static_cast<int>(event));
  if (const long opened = ring_.open(); opened < 0) return opened;
  // A sandbox may allow a process to make a ring and still forbid its use.
  listen_for_wake();
  return std::min(0, ::io_uring_submit(ring_.get()));
}

// --- rings ---

/// Returns a free submission entry.
io_uring_sqe& UringEngine::entry() noexcept {
  io_uring_sqe* entry = ::io_uring_get_sqe(ring_.get());
  while (entry == nullptr) {
    // If the kernel accepts no submission, it wants its completions to be taken first.
    long submitted = ::io_uring_submit(ring_.get());
    if (Faults* const source = current_faults()) [[unlikely]]
      submitted = source->submitted(submitted);
    if (submitted < 0) {
      reap();
      reaped_early_ = true;
    }
    entry = ::io_uring_get_sqe(ring_.get());
  }
  return *entry;
}

void UringEngine::listen_for_wake() noexcept {
  io_uring_sqe& wake = entry();
  ::io_uring_prep_poll_add(&wake, wake_event_.get(), sys::kIn);
  ::io_uring_sqe_set_data64(&wake, kWakeEvent);
  listening_ = true;
}

void UringEngine::take(const io_uring_cqe& end) noexcept {
  if (end.user_data == 0) return;  // the completion of a cancel request
  if (end.user_data == kWakeEvent) {
    sys::eventfd_drain(wake_event_);
    listening_ = false;
    return;
  }
  // NOLINTNEXTLINE(performance-no-int-to-ptr): the ring carries numbers, no pointers
  auto& completion = *reinterpret_cast<Completion*>(
      static_cast<std::uintptr_t>(end.user_data & ((std::uint64_t{1} << kTagShift) - 1)));
  long result = end.res;
  if (completion.fault.is(Fault::Kind::result)) [[unlikely]]
    result = completion.fault.value;
  if (completion.fault.is(Fault::Kind::late)) [[unlikely]] {
    completion.result = result;
    completion.withheld = true;
    return;
  }
  --completion.pending;
  // EINVAL: a file that cannot be polled, because its readiness never changes.
  const bool counts = !completion.several || (result != -EINVAL && result != -ECANCELED);
  if (counts) completion.enough = true;
  if (!completion.several || (counts && result < 0)) completion.result = result;
  scheduler_.wake(completion.fiber);
}

void UringEngine::reap() noexcept {
  unsigned count = 0;
  unsigned head = 0;
  io_uring_cqe* end = nullptr;
  io_uring_for_each_cqe(ring_.get(), head, end) {
    take(*end);
    ++count;
  }
  ::io_uring_cq_advance(ring_.get(), count);
}

long UringEngine::enter(Deadline deadline) noexcept {
  const bool wait = !deadline.is_immediate() && ::io_uring_cq_ready(ring_.get()) == 0;
  int entered = 0;
  if (wait) {
    // The kernel adds the current time to this value without an overflow check.
    const std::int64_t left =
        deadline.is_none() ? kLongest : std::min(base::remaining(deadline), kLongest);
    __kernel_timespec limit{left / kSecond, left % kSecond};
    io_uring_cqe* first = nullptr;
    entered = ::io_uring_submit_and_wait_timeout(ring_.get(), &first, 1, &limit, nullptr);
  } else {
    if (::io_uring_sq_ready(ring_.get()) == 0 && !ring_.has_more()) return 0;
    entered = ::io_uring_submit_and_get_events(ring_.get());
  }
  // Timed out; or no room, which there is again once completions have been taken.
  if (entered == -ETIME || entered == -EBUSY || entered == -EAGAIN || entered == -ENOMEM) return 0;
  if (entered < 0) return entered;
  // If the same call has submitted something it does not report a signal, and only returns early.
  const bool early = wait && ::io_uring_cq_ready(ring_.get()) == 0 &&
                     ::io_uring_sq_ready(ring_.get()) == 0 && base::remaining(deadline) != 0;
  return early ? -EINTR : 0;
}

long UringEngine::turn(Deadline deadline) {
  if (Faults* const source = current_faults()) [[unlikely]] {
    if (ring_.has_overflowed()) source->overflowed();
    if (const long fault = source->turn(); fault < 0) return fault;
  }
  if (!listening_) listen_for_wake();
  // The completions taken early may include the wake event, which is not repeated: do not sleep.
  const long entered =
      enter(std::exchange(reaped_early_, false) ? Deadline::immediate() : deadline);
  reap();
  return entered;
}

// --- operations ---

void UringEngine::ask_to_end(Completion& completion) noexcept {
  if (completion.fault.is(Fault::Kind::late)) [[unlikely]] {
    completion.fault = {};
    if (completion.withheld) {
      completion.fault = {Fault::Kind::result, completion.result};
      io_uring_sqe& again = entry();
      ::io_uring_prep_nop(&again);
      ::io_uring_sqe_set_data64(&again, user_data(completion));
    }
  }
  for (std::size_t tag = 0; tag * kTogether < completion.count; ++tag) {
    io_uring_sqe& request = entry();
    const int scope = completion.several ? IORING_ASYNC_CANCEL_ALL : 0;
    ::io_uring_prep_cancel64(&request, user_data(completion, tag), scope);
    request.flags |= IOSQE_CQE_SKIP_SUCCESS;
    ::io_uring_sqe_set_data64(&request, 0);
  }
}

/// Blocks until no operation is in progress any more. Returns 0, or the reason for cancelling them:
/// kTimedOut, kCancelled, -EBADF (closed), -EINTR (a signal).
long UringEngine::wait_for_end(Completion& completion, wait::Descriptor* descriptor,
                               Deadline deadline, const char* where) noexcept {
  std::optional<CloseListener> closing;
  if (descriptor != nullptr) closing.emplace(*descriptor, completion.fiber);
  long reason = 0;
  bool asked = false;
  const auto over = [&] { return completion.enough || reason != 0; };
  while (completion.pending > 0 || !over()) {
    if (!over() && descriptor != nullptr && descriptor->closed()) reason = -EBADF;
    if (!over() && scheduler_.is_interrupted()) reason = -EINTR;
    if (over() && !asked) {
      ask_to_end(completion);
      asked = true;
    }
    const Deadline until = asked ? base::deadline_after(kAskAgain) : deadline;
    switch (scheduler_.park(until, where, asked ? wait::OnCancel::ignore : wait::OnCancel::keep)) {
      case FiberScheduler::WakeReason::cancel:
        reason = base::kCancelled;
        break;
      case FiberScheduler::WakeReason::deadline:
        if (!asked) reason = base::kTimedOut;
        asked = false;
        break;
      case FiberScheduler::WakeReason::event:
        break;
    }
  }
  scheduler_.leave_interrupt();
  return reason;
}

/// Submits an operation and waits for it. Returns -EINTR if it must be submitted again.
template <class Prepare>
long UringEngine::submit(wait::Descriptor& descriptor, int fd, wait::Op& op, Deadline deadline,
                         const char* where, Prepare prepare) {
  Completion completion{.fiber = scheduler_.current(), .pending = 1, .fault = next_fault(op.kind)};
  const AtMost limit(op, completion.fault);
  io_uring_sqe& submission = entry();
  if (completion.fault.is(Fault::Kind::result)) [[unlikely]]
    ::io_uring_prep_nop(&submission);
  else
    prepare(submission);
  ::io_uring_sqe_set_data64(&submission, user_data(completion));
  tell_begun(fd, op);
  const long reason = wait_for_end(completion, &descriptor, deadline, where);
  tell_ended(fd, op, completion.result);

  const long result = completion.result;
  const bool closed = descriptor.closed();
  // If the operation has done something nevertheless, that is the result, and the next wait
  // delivers the cancellation. The shutdown by close() looks like the end of the stream, or like an
  // error.
  const bool ended = result != -ECANCELED && result != -EINTR;
  bool done = result > 0 || (result == 0 && (op.kind == wait::Op::Kind::accept || !closed));
  // Dropping readiness loses nothing, and a descriptor may stay ready while no call succeeds.
  if (op.kind == wait::Op::Kind::ready && (closed || reason != 0)) done = false;
  if (done || (ended && !closed && result < 0)) return result;
  if (reason == base::kCancelled) return base::kCancelled;
  if (closed) return -EBADF;
  if (reason == -EINTR) {
    if (!scheduler_.take_interrupt()) return -EINTR;
    const long stop = scheduler_.ask_hook();
    return stop == 0 ? -EINTR : stop;
  }
  return reason == 0 ? result : reason;
}

long UringEngine::transfer(wait::Descriptor& descriptor, int fd, wait::Op& op, Deadline deadline) {
  // The kernel is to wait, for any amount of data.
  op.flags &= ~(sys::kDontWait | MSG_WAITALL);
  const bool reads = receives(op.kind);
  // io_uring has neither recvmmsg() nor sendmmsg().
  if (is_batch(op.kind)) return try_until_done(descriptor, fd, op, deadline);
  // If a Unix receiver has no room, the kernel retries with buffers that it has consumed already,
  // and sends an empty datagram.
  if (op.kind == wait::Op::Kind::send_to ||
      (op.kind == wait::Op::Kind::send_message && !is_stream(fd)))
    return try_until_done(descriptor, fd, op, deadline);
  for (std::optional<wait::Attempts> attempts;;) {
    sys::IoVec piece{op.data, op.size};
    sys::Message around{.address = op.address,
                        .address_size = static_cast<std::uint32_t>(op.address_size),
                        .pieces = &piece,
                        .count = 1};
    const bool has_message =
        op.kind == wait::Op::Kind::receive_message || op.kind == wait::Op::Kind::send_message;
    auto* const message =
        reinterpret_cast<msghdr*>(has_message ? static_cast<sys::Message*>(op.data) : &around);
    const long result =
        submit(descriptor, fd, op, deadline, name_of(op.kind), [&](io_uring_sqe& submission) {
          piece.size = op.size;
          const std::size_t size = std::min(op.size, kMostBytes);
          if (op.kind == wait::Op::Kind::receive)
            ::io_uring_prep_recv(&submission, fd, op.data, size, op.flags);
          else if (op.kind == wait::Op::Kind::send)
            ::io_uring_prep_send(&submission, fd, op.data, size, op.flags | MSG_NOSIGNAL);
          else if (reads)
            ::io_uring_prep_recvmsg(&submission, fd, message, static_cast<unsigned>(op.flags));
          else
            ::io_uring_prep_sendmsg(&submission, fd, message,
                                    static_cast<unsigned>(op.flags) | MSG_NOSIGNAL);
        });
    if (result == -EINTR) continue;
    if (result == -EAGAIN) {
      // Some kernels do not wait if the descriptor is in non-blocking mode.
      if (!attempts) attempts.emplace(reads ? sys::kIn : sys::kOut);
      const long waited = wait_again(descriptor, fd, *attempts, deadline, op.kind);
      if (waited < 0) return waited;
      continue;
    }
    // The kernel adds MSG_NOSIGNAL by itself here, and the socket refuses it.
    if ((result == -EINVAL || result == -EOPNOTSUPP) && !reads && sys::refuses_nosignal(fd))
      return try_until_done(descriptor, fd, op, deadline);
    if (op.kind == wait::Op::Kind::receive_from && result >= 0)
      op.address_size = around.address_size;
    return result;
  }
}

long UringEngine::accept(wait::Descriptor& descriptor, int fd, wait::Op& op, Deadline deadline) {
  for (std::optional<wait::Attempts> attempts;;) {
    auto size = static_cast<socklen_t>(op.address_size);
    const long result =
        submit(descriptor, fd, op, deadline, name_of(op.kind), [&](io_uring_sqe& submission) {
          ::io_uring_prep_accept(&submission, fd, static_cast<sockaddr*>(op.address), &size,
                                 SOCK_CLOEXEC);
        });
    if (result == -EINTR) continue;
    if (result == -EAGAIN) {
      if (!attempts) attempts.emplace(sys::kIn);
      const long waited = wait_again(descriptor, fd, *attempts, deadline, op.kind);
      if (waited < 0) return waited;
      continue;
    }
    op.address_size = size;
    return result < 0 ? result : sys::tell_accepted(static_cast<int>(result));
  }
}

/// Begins to connect. Uses the plain system call if there is a timeout, so that the socket is left
/// as that call leaves it, and for a Unix socket, which connects at once or has no room.
long UringEngine::connect_once(wait::Descriptor& descriptor, int fd, wait::Op& op,
                               Deadline deadline) {
  const auto* const address = static_cast<const sockaddr*>(op.address);
  if (!deadline.is_none() || op.address_size < sizeof address->sa_family ||
      address->sa_family == AF_UNIX)
    return try_once(descriptor, fd, op);
  const long result =
      submit(descriptor, fd, op, deadline, name_of(op.kind), [&](io_uring_sqe& submission) {
        ::io_uring_prep_connect(&submission, fd, address, static_cast<socklen_t>(op.address_size));
      });
  // In both cases the connect has begun.
  return result == -EINTR || result == -EAGAIN ? -EINPROGRESS : result;
}

long UringEngine::wait_ready(wait::Descriptor& descriptor, Number number, int events,
                             Deadline deadline, wait::Op::Kind kind) {
  wait::Op op{.kind = wait::Op::Kind::ready};
  for (;;) {
    const long result =
        submit(descriptor, number.fd, op, deadline, name_of(kind), [&](io_uring_sqe& submission) {
          ::io_uring_prep_poll_add(&submission, number.fd, polled(static_cast<short>(events)));
        });
    if (result == -EBADF && !number.own && !descriptor.closed()) return sys::kNotOpen;
    if (result == -EINTR) continue;
    if (result < 0 || (events & sys::kPriority) == 0) return result;
    // Data of any kind may have ended the poll.
    sys::PollEntry entry{number.fd, static_cast<short>(events), 0};
    if (const long ready = poll_now({&entry, 1}); ready != 0 && ready != -EINTR)
      return ready < 0 ? ready : entry.revents;
  }
}

long UringEngine::move(wait::Descriptor& descriptor, wait::Op::Kind kind, void* data,
                       std::size_t size, int flags, Deadline deadline) {
  if (!is_plain(descriptor, flags, deadline))
    return wait::IoDriver::move(descriptor, kind, data, size, flags, deadline);
  const wait::Descriptor::InFlight in_flight(descriptor, false);
  const int fd = in_flight.fd();
  if (fd < 0) return -EBADF;
  wait::Op op{.kind = kind, .data = data, .size = size};
  const bool whole = kind == wait::Op::Kind::send && deadline.is_none();
  return ended(whole ? move_whole(descriptor, fd, op) : transfer(descriptor, fd, op, deadline));
}

long UringEngine::receive_late(wait::Descriptor& descriptor, base::Scratch& scratch,
                               std::size_t size, Deadline deadline) {
  const bool late = size > kMostLent && is_plain(descriptor, 0, deadline);
  // After two reports of data without any data, the kernel gets the memory and waits.
  for (int attempts = 0; late && attempts < 2; ++attempts) {
    const wait::Descriptor::InFlight in_flight(descriptor, false);
    const int fd = in_flight.fd();
    if (fd < 0) return -EBADF;
    const long ready =
        wait_ready(descriptor, {fd, true}, sys::kIn, deadline, wait::Op::Kind::receive);
    if (ready == base::kCancelled) scheduler_.take_cancel();
    if (ready < 0) return ready;
    long got = -EINTR;
    while (got == -EINTR) got = sys::recv_now(fd, scratch.take(size), size);
    scheduler_.maybe_yield();
    if (got != -EAGAIN) return got;
    scratch.give_back();
  }
  return wait::IoDriver::receive_late(descriptor, scratch, size, deadline);
}

long UringEngine::wait_for_any(std::span<sys::PollEntry> entries, Deadline deadline) {
  for (;;) {
    const long ready = poll_now(entries);
    if (ready != 0 && ready != -EINTR) return ready;
    if (base::remaining(deadline) == 0) return 0;

    Completion completion{.fiber = scheduler_.current(), .several = true, .count = 0};
    for (const sys::PollEntry& waited : entries) {
      if (waited.fd < 0) continue;
      io_uring_sqe& submission = entry();
      ::io_uring_prep_poll_add(&submission, waited.fd, polled(waited.events));
      ::io_uring_sqe_set_data64(&submission, user_data(completion, completion.count++ / kTogether));
      ++completion.pending;
    }
    const long reason = wait_for_end(completion, nullptr, deadline, "select");
    if (reason == base::kCancelled) {
      scheduler_.take_cancel();
      return base::kCancelled;
    }
    if (reason == -EINTR && scheduler_.take_interrupt())
      if (const long stop = scheduler_.ask_hook(); stop != 0) return stop;
    if (completion.result < 0) return completion.result;
  }
}

}  // namespace

std::unique_ptr<IoEngine> make_uring_engine(FiberScheduler& scheduler) {
  auto engine = std::make_unique<UringEngine>(scheduler);
  const long opened = engine->open();
  // ENOMEM: a ring needs locked memory, of which most users may have only a few rings' worth.
  if (opened == -ENOSYS || opened == -EPERM || opened == -EACCES || opened == -EINVAL ||
      opened == -ENOMEM)
    return nullptr;
  if (opened < 0) throw_engine_error(opened);
  return engine;
}

}  // namespace plug::detail::fiber

#else

namespace plug::detail::fiber {

std::unique_ptr<IoEngine> make_uring_engine(FiberScheduler& /*scheduler*/) { return nullptr; }

}  // namespace plug::detail::fiber

#endif
