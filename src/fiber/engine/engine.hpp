#pragma once

// The contract between a scheduler of fibers and the engine that waits for events.
//
// An engine belongs to one scheduler. Only that scheduler's thread uses it, except for wake(). It
// parks the fiber that calls perform() or wait_any() and wakes it in turn(). In addition to the
// guarantees of every driver (wait/io_driver.hpp):
//  1. Only the calling fiber waits. An operation that can be done at once is done at once.
//  2. A fiber that is cancelled while it is parked gets kCancelled, once. By then its operation has
//     ended, and no buffer will be touched.
//  3. A descriptor keeps the blocking mode that the user has set; at most a single call changes it
//     and restores it (Descriptor::Unblocked).
//  4. A fiber whose calls never wait still lets other fibers run now and then.

#include <plug/fiber/fiber.hpp>

#include <cerrno>
#include <memory>

#include "wait/io_driver.hpp"

namespace plug::detail::fiber {

class FiberScheduler;

/// A callback for the arrival of data.
class Arrival {
 public:
  /// Called in turn(), outside of any fiber.
  virtual void arrived() noexcept = 0;

 protected:
  ~Arrival() = default;
};

/// The driver of a thread while the thread runs the scheduler's fibers.
class IoEngine : public wait::IoDriver {
 public:
  IoEngine() = default;
  IoEngine(const IoEngine&) = delete;
  IoEngine& operator=(const IoEngine&) = delete;
  virtual ~IoEngine() = default;

  virtual const char* name() const noexcept = 0;

  /// Returns true if the engine supports await_arrival().
  virtual bool supports_read_events() const noexcept { return false; }
  /// Calls arrival.arrived() once, when the descriptor has data to receive or has reached its end,
  /// also if that happened earlier. No fiber may receive from the descriptor meanwhile. The caller
  /// keeps `number` until the callback or until forget_arrival(), which also works after the
  /// descriptor has been closed. Returns 0 or -errno.
  virtual long await_arrival(const wait::Descriptor::InFlight& /*number*/, Arrival& /*arrival*/) {
    return -ENOSYS;
  }
  virtual void forget_arrival(const wait::Descriptor::InFlight& /*number*/) noexcept {}

  /// Waits for events, at most until the deadline, and wakes the fibers that they concern. Returns
  /// 0 or -errno; -EINTR if a signal came.
  virtual long turn(Deadline deadline) = 0;

  /// Makes the current turn(), or the next one, return. May be called from any thread.
  virtual void wake() noexcept = 0;
};

/// Makes the requested engine; for `auto`, the one that the environment (PLUG_ENGINE) names. Falls
/// back to epoll if io_uring is not available (see make_uring_engine()). Must be called on the
/// thread whose fibers it is for. Throws OSError if the system has no descriptors or memory left,
/// ValueError if PLUG_ENGINE has an unknown value.
std::unique_ptr<IoEngine> make_engine(FiberScheduler& scheduler, plug::fiber::Engine asked);

std::unique_ptr<IoEngine> make_epoll_engine(FiberScheduler& scheduler);

/// Throws OSError for a step of an engine's setup that failed with `failed` (-errno).
[[noreturn]] void throw_engine_error(long failed);

/// Returns null if the kernel is too old, if io_uring is not allowed (by the system, a sandbox, or
/// the limit on locked memory), or if plug was built without it. Throws OSError on other failures.
std::unique_ptr<IoEngine> make_uring_engine(FiberScheduler& scheduler);

}  // namespace plug::detail::fiber
