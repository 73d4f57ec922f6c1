// Waiting as a plain thread does: the system call, and poll(2) where it would block.

#include <atomic>
#include <cerrno>

#include "sys/thread_end.hpp"
#include "wait/waiter.hpp"

namespace plug::detail {

constinit thread_local Waiter* thread_waiter = nullptr;

namespace {

std::atomic<InterruptFunction> interrupt_function{nullptr};

/// The thread's own eventfd, by which close() in another thread wakes it. Made when it first waits,
/// closed when the thread ends; after a fork the parent's is left to the parent.
class WakeEvent {
 public:
  /// -1 when the system has nothing to spare.
  int get() noexcept {
    const std::uint32_t generation = sys::fork_generation();
    if (event_ < 0 || generation_ != generation) {
      close();
      const long made = sys::eventfd();
      event_ = made < 0 ? -1 : static_cast<int>(made);
      generation_ = generation;
      if (event_ >= 0 && !close_at_end()) close();
    }
    return event_;
  }

 private:
  bool close_at_end() noexcept {
    static const sys::ThreadEnd end([](void* self) { static_cast<WakeEvent*>(self)->close(); });
    return end.ask(this);
  }
  void close() noexcept {
    if (event_ >= 0) sys::close(event_);
    event_ = -1;
  }

  int event_ = -1;
  std::uint32_t generation_ = 0;
};

constinit thread_local WakeEvent wake_event;

/// Listed with a descriptor for as long as its thread waits for it.
class Listed {
 public:
  Listed(Descriptor& descriptor, int event) noexcept
      : descriptor_(descriptor), event_(event), waker_{&Listed::wake, this} {
    listed_ = event >= 0 && descriptor.add(waker_);
  }
  Listed(const Listed&) = delete;
  Listed& operator=(const Listed&) = delete;
  ~Listed() {
    if (!listed_) return;
    descriptor_.remove(waker_);
    if (waker_.woken) sys::eventfd_drain(event_);
  }

  bool listed() const noexcept { return listed_; }

 private:
  static void wake(void* self) noexcept { sys::eventfd_add(static_cast<Listed*>(self)->event_); }

  Descriptor& descriptor_;
  int event_;
  Waker waker_;
  bool listed_;
};

/// The ready events of `fd`, -EBADF when the descriptor closes, kTimedOut, or -errno.
long wait_ready(Descriptor& descriptor, Descriptor::InFlight& in_flight, int fd, int events,
                Deadline deadline) {
  const int event = wake_event.get();
  const Listed listed(descriptor, event);
  if (!listed.listed()) in_flight.become_untimed();
  if (descriptor.closed()) return -EBADF;

  sys::PollEntry entries[] = {{fd, static_cast<short>(events), 0}, {event, sys::kIn, 0}};
  for (;;) {
    const std::int64_t left = deadline.remaining();
    const long ready = sys::poll(entries, listed.listed() ? 2 : 1, left);
    if (descriptor.closed()) return -EBADF;
    if (ready > 0 && entries[0].revents != 0) return entries[0].revents;
    if (ready == -EINTR) {
      if (const long stop = interrupted(); stop != 0) return stop;
    } else if (ready < 0) {
      return ready;
    } else if (left == 0) {
      return kTimedOut;
    }
  }
}

int events_of(const Op& op) noexcept {
  switch (op.kind) {
    case Op::Kind::ready:
      return op.flags;
    case Op::Kind::receive:
    case Op::Kind::receive_from:
    case Op::Kind::receive_message:
    case Op::Kind::receive_batch:
    case Op::Kind::accept:
      return sys::kIn;
    default:
      return sys::kOut;
  }
}

/// Whether a call that would have waited did not because somebody else kept the descriptor from
/// blocking at that moment.
bool was_kept_from_waiting(const Descriptor& descriptor, const Op& op) noexcept {
  constexpr int kNeverWait = 0x1 | sys::kDontWait | 0x2000;  // MSG_OOB, MSG_ERRQUEUE
  return descriptor.was_unblocked() && !descriptor.timed_by_system() &&
         op.kind != Op::Kind::send_pipe && (op.flags & kNeverWait) == 0;
}

/// How a connection attempt that is under way ends.
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
  for (;;) {
    const long result = attempt(in_flight.fd(), op);
    if (result == -EINPROGRESS && !deadline.is_none() && !deadline.is_immediate())
      return finish_connect(descriptor, in_flight, deadline);
    if (result != -EINTR) return result;
    if (const long stop = interrupted(); stop != 0) return stop;
    if (deadline.is_immediate()) return result;
    const long finished = finish_connect(descriptor, in_flight, deadline);
    if (finished != 0 || sys::has_peer(in_flight.fd())) return finished;
    // It had not begun: a Unix socket waits for room in the queue before it does.
  }
}

}  // namespace

long interrupted() {
  const InterruptFunction ask = interrupt_function.load(std::memory_order_acquire);
  return ask == nullptr ? 0 : -static_cast<long>(ask());
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
    return wait_ready(descriptor, in_flight, op.file < 0 ? in_flight.fd() : op.file, events_of(op),
                      deadline);
  if (op.kind == Op::Kind::connect) {
    const long result = perform_connect(descriptor, in_flight, op, deadline);
    return result < 0 && descriptor.closed() ? -EBADF : result;
  }
  // accept() has no flag against sleeping, and a duplicate may have switched the descriptor to
  // blocking mode: with a deadline it waits for a connection before it asks for one.
  const bool wait_first = !deadline.is_none();
  const long result = wait_first ? -EAGAIN : attempt(in_flight.fd(), op);
  return perform_again(descriptor, in_flight, op, deadline, result, wait_first);
}

long perform_again(Descriptor& descriptor, Descriptor::InFlight& in_flight, Op& op,
                   Deadline deadline, long result, bool wait_first) {
  for (;; result = attempt(in_flight.fd(), op)) {
    bool wait = wait_first;
    if (result == -EINTR) {
      if (const long stop = interrupted(); stop != 0) return stop;
      if (descriptor.closed()) return -EBADF;
      if (!deadline.is_immediate() && deadline.remaining() == 0) return kTimedOut;
    } else {
      const bool would_wait = result == -EAGAIN;
      if (deadline.is_none()) {
        // What close() causes by shutting down looks like the end of the stream, or an error.
        if (!would_wait || !was_kept_from_waiting(descriptor, op))
          return result <= 0 && descriptor.closed() ? -EBADF : result;
      } else if (!would_wait || (deadline.is_immediate() && !wait_first)) {
        return result;
      }
      wait = true;
    }
    if (!wait) continue;
    const long ready = wait_ready(descriptor, in_flight, in_flight.fd(), events_of(op), deadline);
    if (ready == kTimedOut && deadline.is_immediate()) {
      // What does not listen says so at once; what does has no connection.
      if (op.kind == Op::Kind::accept && !sys::is_listening(in_flight.fd()))
        return attempt(in_flight.fd(), op);
      return -EAGAIN;
    }
    if (ready < 0) return ready;
  }
}

long wait_any(std::span<sys::PollEntry> entries, Deadline deadline) {
  if (thread_waiter != nullptr) [[unlikely]]
    return thread_waiter->wait_any(entries, deadline);
  for (;;) {
    const std::int64_t left = deadline.remaining();
    const long ready = sys::poll(entries.data(), entries.size(), left);
    if (ready == -EINTR) {
      if (const long stop = interrupted(); stop != 0) return stop;
    } else if (ready != 0 || left == 0) {
      return ready;
    }
  }
}

}  // namespace plug::detail
