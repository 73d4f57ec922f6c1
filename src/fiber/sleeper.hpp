#pragma once

// Waiting for each other, whether fibers or threads.

#include <plug/fiber_sync.hpp>

#include <atomic>
#include <cstdint>
#include <exception>
#include <mutex>

#include "fiber/scheduler.hpp"

namespace plug::detail {

enum class Waited : std::uint8_t;

/// The caller, on the list of what it waits for: a fiber parks, a thread sleeps.
class Sleeper {
 public:
  Sleeper() noexcept
      : fiber_(Scheduler::here() == nullptr ? nullptr : &Scheduler::here()->current()),
        caller_(caller()) {}
  Sleeper(const Sleeper&) = delete;
  Sleeper& operator=(const Sleeper&) = delete;

  /// Returns when it has been woken, when the deadline has passed, after a signal, or for no reason
  /// at all: 0,
  /// kTimedOut or kCancelled. `where` is what lists of fibers say.
  long sleep(Deadline deadline, const char* where, OnCancel on_cancel = OnCancel::tell);

  /// To be called after sleep(): 0, or -errno to end the wait. The hook may throw.
  long ask_interrupt_hook();

  /// From any thread, while the Sleeper is sure to be there.
  void wake() noexcept;

  /// Tells the calling fiber, or thread, from all others that there are now.
  static const void* caller() noexcept;
  /// Whether it is on a list.
  bool listed() const noexcept { return listed_; }
  /// The one whose this is.
  const void* made_by() const noexcept { return caller_; }

 private:
  friend class SleeperList;
  friend Waited wait_on(SleeperList& list, Sleeper& sleeper, std::unique_lock<std::mutex>& guard,
                        Deadline deadline, const char* where, OnCancel on_cancel) noexcept;
  friend bool handed_or_thrown(Waited waited, const Sleeper& sleeper);

  FiberCore* const fiber_;
  const void* const caller_;
  long stopped_ = 0;           // by what wait_on() was: kCancelled, or what the hook gave
  std::exception_ptr thrown_;  // by the hook
  bool listed_ = false;
  Sleeper* next_ = nullptr;
  Sleeper* previous_ = nullptr;

  // Of a thread.
  std::atomic<std::uint32_t> awake_{0};
  bool interrupted_ = false;  // by a signal
};

/// How a wait for something that is handed over has ended.
enum class Waited : std::uint8_t {
  handed,
  timed_out,
  stopped,             ///< since the fiber is told to end, or by the interrupt hook
  handed_but_stopped,  ///< the caller hands it on
};

/// Waits until somebody takes the sleeper off the list, to hand it what it waits for. `guard` is
/// the list's, held by the caller before and after.
Waited wait_on(SleeperList& list, Sleeper& sleeper, std::unique_lock<std::mutex>& guard,
               Deadline deadline, const char* where, OnCancel on_cancel = OnCancel::tell) noexcept;

/// Whether that has been handed over in time. Throws why the wait was stopped.
bool handed_or_thrown(Waited waited, const Sleeper& sleeper);

}  // namespace plug::detail
