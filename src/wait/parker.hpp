#pragma once

// How a fiber is suspended and woken, for code that fibers and plain threads share.

#include <cstdint>

#include "sys/for_fiber.hpp"
#include "wait/io_driver.hpp"

namespace plug::detail::fiber {

/// A fiber. The library of fibers defines it; the code below only passes references to it on.
class FiberCore;

}  // namespace plug::detail::fiber

namespace plug::detail::wait {

/// The part of a thread's scheduler of fibers that the code below the fibers uses. Only the
/// scheduler's thread uses it, except for wake(). It exists for as long as one of its fibers does.
class Parker {
 public:
  Parker(const Parker&) = delete;
  Parker& operator=(const Parker&) = delete;

  /// Returns the fiber that runs.
  fiber::FiberCore& current() const noexcept { return *current_; }

  /// Suspends the running fiber until it is woken or the deadline has passed; spurious wakeups
  /// occur. Returns 0, kTimedOut or kCancelled. `where` is the name that lists of fibers show.
  virtual long suspend(Deadline deadline, const char* where, OnCancel on_cancel) noexcept = 0;

  /// Wakes a fiber, or makes its next suspend() return. May be called on any thread.
  virtual void wake(fiber::FiberCore& fiber) noexcept = 0;

  /// Must be called after suspend() has returned 0. Asks the interrupt hook if a signal has come
  /// that concerns the running fiber. Returns 0, or a value below kStopped to end the wait. The
  /// hook may throw.
  long ask_after_signal() { return interrupted_ ? ask_as_current() : 0; }
  /// Makes the next wait ask the hook, after a wait that has not asked.
  void leave_signal() noexcept {
    if (interrupted_) leave_to_next_wait();
  }

  /// Must be called after an operation that may not have waited. Lets other fibers run now and
  /// then, so that none starves.
  void maybe_yield() noexcept {
    if (++budget_ >= kBudget) let_others_run();
  }

 protected:
  Parker() = default;
  ~Parker() = default;

  virtual long ask_as_current() = 0;
  virtual void leave_to_next_wait() noexcept = 0;
  virtual void let_others_run() noexcept = 0;

  fiber::FiberCore* current_ = nullptr;
  int budget_ = 0;
  bool interrupted_ = false;  // a signal has come, and the hook has not been asked yet

 private:
  static constexpr int kBudget = 16;
};

/// The fibers of a thread.
struct ThreadFibers {
  Parker* parker = nullptr;                  ///< null on a plain thread
  const fiber::FiberCore* forked = nullptr;  ///< in a forked child, the fiber that has forked
};
PLUG_FOR_FIBER extern constinit thread_local ThreadFibers thread_fibers;

/// Calls Parker::maybe_yield() in a fiber.
inline void maybe_yield() noexcept {
  if (Parker* const parker = thread_fibers.parker) parker->maybe_yield();
}

}  // namespace plug::detail::wait
