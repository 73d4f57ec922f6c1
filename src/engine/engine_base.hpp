#pragma once

// What the engines have in common: what an operation means in a fiber, whatever waits for it.

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <utility>

#include "engine/engine.hpp"
#include "fiber/scheduler.hpp"
#include "wait/attempts.hpp"

namespace plug::detail {

/// What lists say of a fiber that waits in an operation.
inline const char* name_of(Op::Kind kind) noexcept {
  static constexpr std::array kNames{"recv",   "recvfrom", "recvmsg",    "recv_batch", "send",
                                     "sendto", "sendmsg",  "send_batch", "sendfile",   "sendfile",
                                     "accept", "connect",  "ready"};
  return kNames[static_cast<std::size_t>(kind)];
}

/// Whether its call takes MSG_DONTWAIT.
inline bool has_flags(Op::Kind kind) noexcept { return kind <= Op::Kind::send_batch; }

inline bool receives(Op::Kind kind) noexcept { return kind <= Op::Kind::receive_batch; }

/// Whether a receive is of what has come last and lies in order, and takes that.
inline bool takes_next(const Op& op) noexcept {
  return receives(op.kind) && (op.flags & (kPeek | kOutOfBand | kErrorQueue)) == 0;
}

/// Whether it moves many messages, each of them whole.
inline bool is_batch(Op::Kind kind) noexcept {
  return kind == Op::Kind::receive_batch || kind == Op::Kind::send_batch;
}

bool is_stream(int fd) noexcept;

/// The system call of an operation, once, which does not wait whatever the descriptor's mode is.
long try_once(Descriptor& descriptor, int fd, Op& op) noexcept;

/// Has the closing of a descriptor wake a fiber, for as long as this lives.
class WokenByClosing {
 public:
  WokenByClosing(Descriptor& descriptor, FiberCore& fiber) noexcept
      : descriptor_(descriptor),
        waker_{[](void* woken) noexcept {
                 auto& it = *static_cast<FiberCore*>(woken);
                 it.owner->wake(it);
               },
               &fiber},
        listed_(descriptor.add(waker_)) {}
  WokenByClosing(const WokenByClosing&) = delete;
  WokenByClosing& operator=(const WokenByClosing&) = delete;
  ~WokenByClosing() {
    if (listed_) descriptor_.remove(waker_);
  }

 private:
  Descriptor& descriptor_;
  Waker waker_;
  bool listed_;
};

/// A number to wait for: the descriptor's own, or that of something else, during whose wait the
/// descriptor may close.
struct Number {
  int fd;
  bool own;
};

class EngineBase : public Engine {
 public:
  long perform(Descriptor& descriptor, Op& op, Deadline deadline) final;
  long wait_any(std::span<sys::PollEntry> entries, Deadline deadline) final;
  const void* caller() const noexcept final { return scheduler_.current_or_null(); }
  OnCancel exchange_shield(OnCancel shield) noexcept final {
    return scheduler_.exchange_shield(shield);
  }

 protected:
  explicit EngineBase(Scheduler& scheduler) noexcept : scheduler_(scheduler) {}

  // What an engine does its own way. The deadlines are never immediate; results are Waiter's.

  virtual long wait_for_any(std::span<sys::PollEntry> entries, Deadline deadline) = 0;

  /// Moves some data: a receive or a send that takes MSG_DONTWAIT.
  virtual long transfer(Descriptor& descriptor, int fd, Op& op, Deadline deadline) = 0;
  virtual long accept(Descriptor& descriptor, int fd, Op& op, Deadline deadline) = 0;
  /// Begins to connect: -EINPROGRESS when the end of that is to be waited for.
  virtual long connect_once(Descriptor& descriptor, int fd, Op& op, Deadline deadline) = 0;
  /// The ready ones of `events`.
  virtual long wait_ready(Descriptor& descriptor, Number number, int events, Deadline deadline,
                          Op::Kind kind) = 0;
  /// The same; or, of an engine that tells_of_changes(), what has happened since the last time.
  virtual long wait_change(Descriptor& descriptor, int fd, int events, Deadline deadline,
                           Op::Kind kind) {
    return wait_ready(descriptor, {fd, true}, events, deadline, kind);
  }
  virtual bool tells_of_changes() const noexcept { return false; }

  /// Parks until there may be something new. 0; kCancelled, of which the fiber is not told before
  /// the whole operation ends with it; -EBADF, kTimedOut, or how the interrupt hook ends the call.
  long park(Descriptor& descriptor, Deadline deadline, Op::Kind kind) {
    Scheduler::Woken woken{};
    {
      const WokenByClosing closing(descriptor, scheduler_.current());
      if (descriptor.closed()) return -EBADF;
      scheduler_.uses(&descriptor);
      woken = scheduler_.park(deadline, name_of(kind), OnCancel::keep);
    }
    if (woken == Scheduler::Woken::by_cancel) return kCancelled;
    if (descriptor.closed()) {
      scheduler_.leave_interrupt();
      return -EBADF;
    }
    if (scheduler_.take_interrupt())
      if (const long stop = scheduler_.ask_hook(); stop != 0) return stop;
    return woken == Scheduler::Woken::by_the_clock ? kTimedOut : 0;
  }

  /// All of a send, or of a receive with MSG_WAITALL, of which `part` has been done. Once some of
  /// it has been the count is the result, whatever comes next.
  long move_whole(Descriptor& descriptor, int fd, Op& op, long part = 0);

  /// Does it by trying, each time when something has happened to the descriptor, until an attempt
  /// is not in vain; `result` is that of the last.
  long try_until_done(Descriptor& descriptor, int fd, Op& op, Deadline deadline,
                      long result = -EINTR);

  /// After an attempt in vain: waits until it may be made again. Negative when it is not to be.
  long wait_again(Descriptor& descriptor, int fd, Attempts& attempts, Deadline deadline,
                  Op::Kind kind);

  Scheduler& scheduler_;

 private:
  long perform_timed_by_system(Descriptor& descriptor, Op& op);
  long perform_until(Descriptor& descriptor, Op& op, Deadline deadline);
  long try_now(Descriptor& descriptor, int fd, Op& op) noexcept;
  long wait_for(Descriptor& descriptor, int fd, Op& op, Deadline deadline);
  long block(Descriptor& descriptor, int fd, Op& op);
  long peek_whole(Descriptor& descriptor, int fd, Op& op);
  bool can_go_on(Descriptor& descriptor, int fd, Op::Kind kind);
  long connect(Descriptor& descriptor, int fd, Op& op, Deadline deadline);
  bool is_enough(int fd, std::size_t size) noexcept;
  long await_low_water(Descriptor& descriptor, int fd, const Op& op, Deadline deadline);
  long pause(Descriptor& descriptor, Deadline end, Op::Kind kind);
};

}  // namespace plug::detail
