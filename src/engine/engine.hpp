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
//  4. Calls that need not wait let other fibers run now and then.

#include <plug/fiber.hpp>

#include <cerrno>
#include <memory>

#include "wait/waiter.hpp"

namespace plug::detail {

class Scheduler;

/// What is told that something has come.
class Arrival {
 public:
  /// In turn(), and so in no fiber.
  virtual void arrived() noexcept = 0;

 protected:
  ~Arrival() = default;
};

/// The Waiter of the thread, while it runs the scheduler's fibers.
class Engine : public Waiter {
 public:
  Engine() = default;
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;
  virtual ~Engine() = default;

  virtual const char* name() const noexcept = 0;

  /// Whether it can do the following.
  virtual bool tells_of_arrivals() const noexcept { return false; }
  /// Has `arrival` told once, when there is something to be received on a descriptor of which
  /// nobody receives, or its end; also when that has come before. The number stays taken until then
  /// or until the arrival is forgotten, which works when the descriptor has been closed too. 0, or
  /// -errno.
  virtual long await_arrival(const Descriptor::InFlight& /*number*/, Arrival& /*arrival*/) {
    return -ENOSYS;
  }
  virtual void forget_arrival(const Descriptor::InFlight& /*number*/) noexcept {}

  /// Waits until something has happened, until the deadline at most, and wakes the fibers that it
  /// concerns: 0, or -errno; -EINTR when a signal came.
  virtual long turn(Deadline deadline) = 0;

  /// Ends turn(), or the next one, from any thread.
  virtual void wake() noexcept = 0;
};

/// The engine that is asked for, or what the environment says; epoll in place of an io_uring that
/// cannot be had. By the thread whose fibers it is for. Throws OSError when the system has no
/// descriptors or memory to spare, ValueError when the environment says nothing known.
std::unique_ptr<Engine> make_engine(Scheduler& scheduler, fiber::Engine asked);

std::unique_ptr<Engine> make_epoll_engine(Scheduler& scheduler);

/// What an engine begins with has failed (-errno). Throws OSError.
[[noreturn]] void throw_engine_error(long failed);

/// Null where the kernel is too old, where it or what confines the process forbids it, and where
/// plug has been built without it.
std::unique_ptr<Engine> make_uring_engine(Scheduler& scheduler);

}  // namespace plug::detail
