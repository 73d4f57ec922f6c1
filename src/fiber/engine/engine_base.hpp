#pragma once

// The common part of the engines: the semantics of operations in a fiber.

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <utility>

#include "fiber/engine/engine.hpp"
#include "fiber/engine/fault_injection.hpp"
#include "fiber/scheduler.hpp"
#include "wait/attempts.hpp"

namespace plug::detail::fiber {

/// Returns the name that lists of fibers show for a fiber that waits in an operation.
inline const char* name_of(wait::Op::Kind kind) noexcept {
  static constexpr std::array kNames{"recv",   "recvfrom", "recvmsg",    "recv_batch", "send",
                                     "sendto", "sendmsg",  "send_batch", "sendfile",   "sendfile",
                                     "accept", "connect",  "ready"};
  return kNames[static_cast<std::size_t>(kind)];
}

/// Returns true if the system call takes MSG_DONTWAIT.
inline bool has_flags(wait::Op::Kind kind) noexcept { return kind <= wait::Op::Kind::send_batch; }

inline bool receives(wait::Op::Kind kind) noexcept { return kind <= wait::Op::Kind::receive_batch; }

/// Returns true for a receive that consumes the next data in order: it neither peeks nor reads
/// urgent data or the error queue.
inline bool takes_next(const wait::Op& op) noexcept {
  return receives(op.kind) &&
         (op.flags & (wait::kPeek | wait::kOutOfBand | wait::kErrorQueue)) == 0;
}

/// Returns true if the operation moves several messages, each of them as a whole.
inline bool is_batch(wait::Op::Kind kind) noexcept {
  return kind == wait::Op::Kind::receive_batch || kind == wait::Op::Kind::send_batch;
}

bool is_stream(int fd) noexcept;

/// Makes the system call of an operation once. Does not block in either mode of the descriptor.
long try_once(wait::Descriptor& descriptor, int fd, wait::Op& op) noexcept;

/// Wakes a fiber when a descriptor is closed, while this lives.
class CloseListener {
 public:
  CloseListener(wait::Descriptor& descriptor, FiberCore& fiber) noexcept
      : descriptor_(descriptor),
        waker_{[](void* woken) noexcept {
                 auto& it = *static_cast<FiberCore*>(woken);
                 it.owner->wake(it);
               },
               &fiber},
        listed_(descriptor.add(waker_)) {}
  CloseListener(const CloseListener&) = delete;
  CloseListener& operator=(const CloseListener&) = delete;
  ~CloseListener() {
    if (listed_) descriptor_.remove(waker_);
  }

 private:
  wait::Descriptor& descriptor_;
  wait::Waker waker_;
  bool listed_;
};

/// The number to wait for: the descriptor's own, or that of another file. The descriptor may be
/// closed during either wait.
struct Number {
  int fd;
  bool own;
};

class EngineBase : public IoEngine {
 public:
  long perform(wait::Descriptor& descriptor, wait::Op& op, Deadline deadline) final;
  long wait_any(std::span<sys::PollEntry> entries, Deadline deadline) final;
  const void* caller() const noexcept final { return scheduler_.current_or_null(); }
  wait::OnCancel exchange_shield(wait::OnCancel shield) noexcept final {
    return scheduler_.exchange_shield(shield);
  }

 protected:
  explicit EngineBase(FiberScheduler& scheduler) noexcept : scheduler_(scheduler) {}

  // The parts that each engine implements. Only wait_for_any() may get an immediate deadline.
  // Results are those of a driver's perform() and wait_any().

  virtual long wait_for_any(std::span<sys::PollEntry> entries, Deadline deadline) = 0;

  /// Performs a receive or a send that takes MSG_DONTWAIT. May move only a part of the data.
  virtual long transfer(wait::Descriptor& descriptor, int fd, wait::Op& op, Deadline deadline) = 0;
  virtual long accept(wait::Descriptor& descriptor, int fd, wait::Op& op, Deadline deadline) = 0;
  /// Begins to connect. Returns -EINPROGRESS if the caller has to wait for the end.
  virtual long connect_once(wait::Descriptor& descriptor, int fd, wait::Op& op,
                            Deadline deadline) = 0;
  /// Waits until some of `events` are ready and returns those.
  virtual long wait_ready(wait::Descriptor& descriptor, Number number, int events,
                          Deadline deadline, wait::Op::Kind kind) = 0;
  /// Does the same; an engine that tells_of_changes() waits for the next change instead.
  virtual long wait_change(wait::Descriptor& descriptor, int fd, int events, Deadline deadline,
                           wait::Op::Kind kind) {
    return wait_ready(descriptor, {fd, true}, events, deadline, kind);
  }
  virtual bool tells_of_changes() const noexcept { return false; }

  /// Parks the fiber until something may have happened. Returns 0, kCancelled, -EBADF, kTimedOut,
  /// or the answer by which the interrupt hook ends the call. The cancellation stays pending until
  /// the whole operation ends with kCancelled.
  long park(wait::Descriptor& descriptor, Deadline deadline, wait::Op::Kind kind) {
    FiberScheduler::WakeReason woken{};
    {
      const CloseListener closing(descriptor, scheduler_.current());
      if (descriptor.closed()) return -EBADF;
      scheduler_.uses(&descriptor);
      woken = scheduler_.park(deadline, name_of(kind), wait::OnCancel::keep);
    }
    if (woken == FiberScheduler::WakeReason::cancel) return base::kCancelled;
    if (descriptor.closed()) {
      scheduler_.leave_interrupt();
      return -EBADF;
    }
    if (scheduler_.take_interrupt())
      if (const long stop = scheduler_.ask_hook(); stop != 0) return stop;
    return woken == FiberScheduler::WakeReason::deadline ? base::kTimedOut : 0;
  }

  /// Returns true if a receive or a send needs transfer() or move_whole() alone of all that
  /// perform() does.
  static bool is_plain(const wait::Descriptor& descriptor, int flags, Deadline deadline) noexcept {
    return flags == 0 && !deadline.is_immediate() && !descriptor.heeds_any() &&
           current_faults() == nullptr;
  }
  /// Ends such an operation, and returns its result.
  long ended(long result) {
    if (result == base::kCancelled) [[unlikely]]
      scheduler_.take_cancel();
    scheduler_.maybe_yield();
    return result;
  }

  /// Performs all of a send, or of a receive with MSG_WAITALL, of which `part` bytes are done
  /// already. Once some data has moved, the result is the count, even if the rest fails.
  long move_whole(wait::Descriptor& descriptor, int fd, wait::Op& op, long part = 0);

  /// Tries the operation again after each change of the descriptor until an attempt succeeds or
  /// fails with an error other than EAGAIN. `result` is the result of the last attempt.
  long try_until_done(wait::Descriptor& descriptor, int fd, wait::Op& op, Deadline deadline,
                      long result = -EINTR);

  /// Waits, after a failed attempt, until the operation may be tried again. Returns a negative
  /// error if it must not be.
  long wait_again(wait::Descriptor& descriptor, int fd, wait::Attempts& attempts, Deadline deadline,
                  wait::Op::Kind kind);

  FiberScheduler& scheduler_;

 private:
  long perform_timed_by_system(wait::Descriptor& descriptor, wait::Op& op);
  long perform_until(wait::Descriptor& descriptor, wait::Op& op, Deadline deadline);
  long try_now(wait::Descriptor& descriptor, int fd, wait::Op& op) noexcept;
  long dispatch(wait::Descriptor& descriptor, int fd, wait::Op& op, Deadline deadline);
  long block(wait::Descriptor& descriptor, int fd, wait::Op& op);
  long peek_whole(wait::Descriptor& descriptor, int fd, wait::Op& op);
  bool can_go_on(wait::Descriptor& descriptor, int fd, wait::Op::Kind kind);
  long connect(wait::Descriptor& descriptor, int fd, wait::Op& op, Deadline deadline);
  bool is_enough(int fd, std::size_t size) noexcept;
  long await_low_water(wait::Descriptor& descriptor, int fd, const wait::Op& op, Deadline deadline);
  long pause(wait::Descriptor& descriptor, Deadline end, wait::Op::Kind kind);
};

}  // namespace plug::detail::fiber
