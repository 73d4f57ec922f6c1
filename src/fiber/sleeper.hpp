#pragma once

// Waiting for each other, whether fibers or threads.

#include <condition_variable>
#include <mutex>

#include "fiber/scheduler.hpp"

namespace plug::detail {

/// The caller, on the list of what it waits for: a fiber parks, a thread sleeps.
class Sleeper {
 public:
  Sleeper() noexcept
      : fiber_(Scheduler::here() == nullptr ? nullptr : &Scheduler::here()->current()) {}
  Sleeper(const Sleeper&) = delete;
  Sleeper& operator=(const Sleeper&) = delete;

  /// Returns when it has been woken, when the deadline has passed, or for no reason at all: 0,
  /// kTimedOut or kCancelled.
  long sleep(Deadline deadline, const char* where);

  /// To be called after sleep(), on no list: 0, or -errno to end the wait. The hook may throw.
  long ask_interrupt_hook() const;

  /// From any thread, while the Sleeper is sure to be there.
  void wake() noexcept;

 private:
  friend class SleeperList;

  FiberCore* const fiber_;
  bool listed_ = false;
  Sleeper* next_ = nullptr;
  Sleeper* previous_ = nullptr;

  // Of a thread.
  std::mutex mutex_;
  std::condition_variable woken_;
  bool awake_ = false;
};

/// Who waits, the first to come first. Its owner's mutex guards it.
class SleeperList {
 public:
  bool empty() const noexcept { return first_ == nullptr; }
  void add(Sleeper& sleeper) noexcept;
  /// Takes it off, unless it has been: whether it was there.
  bool remove(Sleeper& sleeper) noexcept;
  /// Takes the first off and wakes it: whether there was one.
  bool wake_one() noexcept;
  void wake_all() noexcept {
    while (wake_one()) continue;
  }

 private:
  Sleeper* first_ = nullptr;
  Sleeper* last_ = nullptr;
};

}  // namespace plug::detail
