#pragma once

// The contract between a scheduler of fibers and what tells it that something has happened.
//
// An engine belongs to one scheduler and is used by its thread alone, except for wake(). It parks
// the fiber that calls perform() or wait_any() and wakes it in turn(). Beyond what Waiter promises
// (wait/waiter.hpp):
//  1. Nobody but the calling fiber waits. An operation that can be done at once is.
//  2. A fiber that is cancelled while it is parked gets kCancelled, once. Nothing of its operation
//     is under way any more then, and no buffer will be touched.
//  3. The mode of a descriptor stays as the user has set it.

#include <memory>

#include "wait/waiter.hpp"

namespace plug::detail {

class Scheduler;

class Engine {
 public:
  Engine() = default;
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;
  virtual ~Engine() = default;

  virtual const char* name() const noexcept = 0;

  /// In a fiber, as Waiter's.
  virtual long perform(Descriptor& descriptor, Op& op, Deadline deadline) = 0;
  virtual long wait_any(std::span<sys::PollEntry> entries, Deadline deadline) = 0;

  /// Waits until something has happened, until the deadline at most, and wakes the fibers that it
  /// concerns: 0, or -errno; -EINTR when a signal came.
  virtual long turn(Deadline deadline) = 0;

  /// Ends turn(), or the next one, from any thread.
  virtual void wake() noexcept = 0;
};

/// Throws OSError when the system has no descriptors to spare.
std::unique_ptr<Engine> make_epoll_engine(Scheduler& scheduler);

}  // namespace plug::detail
