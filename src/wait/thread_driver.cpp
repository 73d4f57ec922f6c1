// Operations of a plain thread: the system call and, after EAGAIN, poll(2) and another attempt.

#include <atomic>
#include <cerrno>
#include <utility>

#include "base/process_local.hpp"
#include "sys/thread_end.hpp"
#include "wait/attempts.hpp"
#include "wait/io_driver.hpp"

namespace plug::detail::wait {

constinit thread_local IoDriver* thread_driver = nullptr;

namespace {

std::atomic<InterruptFunction> interrupt_function{nullptr};

constinit thread_local OnCancel thread_shield = OnCancel::tell;

/// The thread's eventfd, through which close() in another thread wakes it. A wait holds it while it
/// lasts; a nested wait, in the interrupt hook, makes a second one. The first wait makes it, and
/// the end of the thread closes it. A forked child closes its copy of the parent's and makes a new
/// one.
class WakeEvent {
 public:
  /// Returns no descriptor if the system has none left.
  sys::OwnFd take() noexcept {
    sys::OwnFd event(std::exchange(event_, -1));
    if (event.get() >= 0 && !fork_guard_.is_of_parent()) return event;
    const long made = sys::eventfd();
    return sys::OwnFd(made < 0 ? -1 : static_cast<int>(made));
  }
  /// Takes back an event of take(); `taker` is of the process that has called take().
  void give_back(sys::OwnFd event, base::ForkGuard taker) noexcept {
    if (event_ >= 0 || taker.is_of_parent() || !close_at_end()) return;
    event_ = event.release();
    fork_guard_ = taker;
  }

 private:
  bool close_at_end() noexcept {
    static const sys::ThreadEnd end([](void* self) { static_cast<WakeEvent*>(self)->close(); });
    asked_ = asked_ || end.ask(this);
    return asked_;
  }
  void close() noexcept {
    asked_ = false;
    if (event_ >= 0) sys::close(std::exchange(event_, -1));
  }

  // Not an OwnFd: the system would have to register its destructor for every thread
  // (sys/thread_end.hpp).
  int event_ = -1;
  bool asked_ = false;  // to close the descriptor when the thread ends
  base::ForkGuard fork_guard_ = base::ForkGuard::of_first_process();
};

constinit thread_local WakeEvent wake_event;

/// Registers the calling thread with a descriptor, whose close() wakes it, while it waits.
class CloseListener {
 public:
  explicit CloseListener(Descriptor& descriptor) noexcept
      : descriptor_(descriptor), event_(wake_event.take()), waker_{&CloseListener::wake, this} {
    listed_ = event_.get() >= 0 && descriptor.add(waker_);
  }
  CloseListener(const CloseListener&) = delete;
  CloseListener& operator=(const CloseListener&) = delete;
  ~CloseListener() {
    if (listed_) descriptor_.remove(waker_);
    if (waker_.woken) sys::eventfd_drain(event_);
    if (event_.get() >= 0) wake_event.give_back(std::move(event_), fork_guard_);
  }

  bool listed() const noexcept { return listed_; }
  int event() const noexcept { return event_.get(); }

 private:
  static void wake(void* self) noexcept {
    sys::eventfd_add(static_cast<CloseListener*>(self)->event_);
  }

  Descriptor& descriptor_;
  sys::OwnFd event_;
  const base::ForkGuard fork_guard_;
  Waker waker_;
  bool listed_;
};

/// Waits for events on `fd`. Returns the ready events, -EBADF if the descriptor is closed,
/// kTimedOut, or another error.
long wait_ready(Descriptor& descriptor, Descriptor::InFlight& in_flight, int fd, int events,
                Deadline deadline) {
  const CloseListener listed(descriptor);
  if (!listed.listed()) in_flight.become_untimed();
  if (descriptor.closed()) return -EBADF;

  sys::PollEntry entries[] = {{fd, static_cast<short>(events), 0}, {listed.event(), sys::kIn, 0}};
  for (;;) {
    const std::int64_t left = base::remaining(deadline);
    const long ready = sys::poll(entries, listed.listed() ? 2 : 1, left);
    if (descriptor.closed()) return -EBADF;
    if (ready > 0 && entries[0].revents != 0) return entries[0].revents;
    if (ready == -EINTR) {
      if (const long stop = interrupted(); stop != 0) return stop;
      if (descriptor.closed()) return -EBADF;
    } else if (ready < 0) {
      return ready;
    } else if (left == 0) {
      return base::kTimedOut;
    }
  }
}

/// Returns true if a blocking call may have failed with EAGAIN only because another thread's
/// Unblocked kept the descriptor in non-blocking mode at that moment.
bool was_kept_from_waiting(const Descriptor& descriptor, const Op& op) noexcept {
  constexpr int kNeverWait = kOutOfBand | kErrorQueue | sys::kDontWait;
  return descriptor.was_unblocked() && !descriptor.heeds(Descriptor::kTimed) &&
         op.kind != Op::Kind::send_pipe && (op.flags & kNeverWait) == 0;
}

/// Attempts the operation once, without blocking if it has a deadline: some calls have no flag for
/// that, and a duplicate may have switched the descriptor to blocking mode.
long attempt_until(Descriptor& descriptor, int fd, Op& op, Deadline deadline) noexcept {
  const bool may_wait = op.kind >= Op::Kind::send_file && (op.flags & sys::kDontWait) == 0;
  if (deadline.is_none() || !may_wait) return attempt(fd, op);
  const Descriptor::Unblocked mode(descriptor, fd);
  return attempt(fd, op);
}

/// Waits, after a failed attempt, until the operation may be tried again. Returns as wait_ready().
long wait_again(Descriptor& descriptor, Descriptor::InFlight& in_flight, Attempts& attempts,
                Deadline deadline) {
  if (attempts.waited() && base::remaining(deadline) == 0) return base::kTimedOut;
  const int fd = in_flight.fd();
  switch (attempts.next(fd, false)) {
    case Attempts::Next::try_again:
      return 0;
    case Attempts::Next::pause: {
      const long ended = wait_ready(descriptor, in_flight, -1, 0, attempts.pause(deadline));
      return ended == base::kTimedOut ? 0 : ended;
    }
    case Attempts::Next::await_change: {
      const long ready =
          wait_ready(descriptor, in_flight, attempts.watch().fd(), sys::kIn, deadline);
      if (ready >= 0) attempts.ended(attempts.watch().take());
      return ready;
    }
    case Attempts::Next::await_ready:
      break;
  }
  const long ready = wait_ready(descriptor, in_flight, fd, attempts.events(), deadline);
  if (ready >= 0) attempts.ended(ready);
  return ready;
}

/// Waits for the end of a connection attempt in progress and returns its result.
long finish_connect(Descriptor& descriptor, Descriptor::InFlight& in_flight, Deadline deadline) {
  const long ready = wait_ready(descriptor, in_flight, in_flight.fd(), sys::kOut, deadline);
  if (ready < 0) return ready;
  int error = 0;
  const long got = sys::socket_error(in_flight.fd(), error);
  if (got < 0) return got;
  return error == EISCONN ? 0 : -error;
}

long perform_connect(Descriptor& descriptor, Descriptor::InFlight& in_flight, Op& op,
                     Deadline deadline) {
  const bool waits = !deadline.is_none() && !deadline.is_immediate();
  for (Pause pause;;) {
    const long result = attempt_until(descriptor, in_flight.fd(), op, deadline);
    if (result == -EINPROGRESS && waits) return finish_connect(descriptor, in_flight, deadline);
    if (result == -EAGAIN && (waits || was_kept_from_waiting(descriptor, op))) {
      // The queue of the listening Unix socket is full, and no event tells when it has room.
      const long ended = wait_ready(descriptor, in_flight, -1, 0, pause.next(deadline));
      if (ended < 0 && ended != base::kTimedOut) return ended;
      if (base::remaining(deadline) == 0) return base::kTimedOut;
      continue;
    }
    if (result != -EINTR) return result;
    if (const long stop = interrupted(); stop != 0) return stop;
    if (deadline.is_immediate()) return result;
    const long finished = finish_connect(descriptor, in_flight, deadline);
    if (finished != 0 || sys::has_peer(in_flight.fd())) return finished;
    // The connect had not begun: on a Unix socket it first waits for room in the queue.
  }
}

}  // namespace

OnCancel Shield::exchange(OnCancel shield) noexcept {
  if (thread_driver != nullptr) return thread_driver->exchange_shield(shield);
  return std::exchange(thread_shield, shield);
}

long interrupted() {
  if (thread_driver == nullptr && thread_shield == OnCancel::ignore) return 0;
  const InterruptFunction ask = interrupt_function.load(std::memory_order_acquire);
  const auto error = ask == nullptr ? std::errc{} : ask();
  return error == std::errc{} ? 0 : base::kStopped - static_cast<long>(error);
}

bool has_interrupt_function() noexcept {
  return interrupt_function.load(std::memory_order_relaxed) != nullptr;
}

InterruptFunction exchange_interrupt_function(InterruptFunction function) noexcept {
  return interrupt_function.exchange(function);
}

long perform_other(Descriptor& descriptor, Op& op, Deadline deadline) {
  Descriptor::InFlight in_flight(descriptor, deadline.is_none() && op.kind != Op::Kind::ready);
  if (in_flight.fd() < 0) return -EBADF;
  if (op.kind == Op::Kind::ready)
    return wait_ready(descriptor, in_flight, op.file < 0 ? in_flight.fd() : op.file, op.flags,
                      deadline);
  if (op.kind == Op::Kind::connect) {
    const long result = perform_connect(descriptor, in_flight, op, deadline);
    return result < 0 && descriptor.closed() ? -EBADF : result;
  }
  // With a deadline, wait for a connection before accepting it.
  const bool wait_first = !deadline.is_none() && op.kind == Op::Kind::accept;
  const long result =
      wait_first ? -EAGAIN : attempt_until(descriptor, in_flight.fd(), op, deadline);
  return perform_again(descriptor, in_flight, op, deadline, result, wait_first);
}

long perform_again(Descriptor& descriptor, Descriptor::InFlight& in_flight, Op& op,
                   Deadline deadline, long result, bool wait_first) {
  if (result == kNotTried) {
    // poll() honours SO_RCVLOWAT, while a call with MSG_DONTWAIT does not.
    wait_first = descriptor.heeds(Descriptor::kLowWater) && !deadline.is_immediate() &&
                 op.kind <= Op::Kind::receive_message && events_of(op, 0) == sys::kIn;
    result = wait_first ? -EAGAIN : attempt(in_flight.fd(), op);
    if (result > 0) return result;
  }
  Attempts attempts(events_of(op, result));
  for (;; result = attempt_until(descriptor, in_flight.fd(), op, deadline)) {
    if (result == -EINTR) {
      if (const long stop = interrupted(); stop != 0) return stop;
      if (descriptor.closed()) return -EBADF;
      if (!deadline.is_immediate() && base::remaining(deadline) == 0) return base::kTimedOut;
      if (!wait_first) continue;
      attempts.interrupted();
    } else {
      const bool would_wait = result == -EAGAIN || (found_nothing_urgent(op, result) &&
                                                    !deadline.is_immediate() && !attempts.waited());
      if (deadline.is_none()) {
        // The shutdown by close() looks like the end of the stream, or like an error.
        if (!would_wait || !was_kept_from_waiting(descriptor, op))
          return result <= 0 && descriptor.closed() ? -EBADF : result;
      } else if (!would_wait || (deadline.is_immediate() && !wait_first)) {
        return result;
      }
    }
    const long ready = wait_again(descriptor, in_flight, attempts, deadline);
    if (ready == base::kTimedOut && deadline.is_immediate()) {
      // A socket that does not listen fails at once; one that does has no connection waiting.
      if (op.kind == Op::Kind::accept && !sys::is_listening(in_flight.fd()))
        return attempt(in_flight.fd(), op);
      return -EAGAIN;
    }
    if (ready < 0) return ready;
  }
}

long wait_any(std::span<sys::PollEntry> entries, Deadline deadline) {
  if (thread_driver != nullptr) [[unlikely]]
    return thread_driver->wait_any(entries, deadline);
  for (;;) {
    const std::int64_t left = base::remaining(deadline);
    const long ready = sys::poll(entries.data(), entries.size(), left);
    if (ready == -EINTR) {
      if (const long stop = interrupted(); stop != 0) return stop;
    } else if (ready != 0 || left == 0) {
      return ready;
    }
  }
}

}  // namespace plug::detail::wait
