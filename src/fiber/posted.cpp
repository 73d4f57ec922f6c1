// Requests of other threads to a scheduler: to wake, cancel or start a fiber. They put the fiber on
// a list, which the scheduler's thread works off.

#include <plug/error.hpp>

#include <exception>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

#include "fiber/scheduler.hpp"

namespace plug::detail::fiber {

void FiberScheduler::post(FiberCore& fiber, bool cancel) noexcept {
  if (is_of_parent()) return;
  const std::lock_guard lock(mutex_);
  fiber.remote_cancel_ |= cancel;
  if (!over_ && !fiber.remote_listed_) list_posted(fiber);
}

bool FiberScheduler::hand_over(const std::shared_ptr<FiberCore>& fiber) noexcept {
  {
    const std::lock_guard lock(mutex_);
    if (accepting_ && !over_) {
      list_posted(*fiber);
      return true;
    }
  }
  drop(*fiber);
  return false;
}

/// The mutex must be held.
void FiberScheduler::list_posted(FiberCore& fiber) noexcept {
  fiber.remote_listed_ = true;
  fiber.remote_ = std::move(posted_);
  posted_ = fiber.shared_from_this();
  // The first one wakes the engine, which exists as long as the mutex is held.
  if (!fiber.remote_) engine_->wake();
}

void FiberScheduler::admit(const std::shared_ptr<FiberCore>& fiber) noexcept {
  if (here() != this) return refuse(*fiber, refusal(*fiber));
  try {
    equip(*fiber);
  } catch (...) {
    return refuse(*fiber, std::current_exception());
  }
  // Objects that the function holds are destroyed in a fiber, because they may wait for others.
  fiber->refused_ = ending_;
  begin(fiber);
}

std::exception_ptr FiberScheduler::refusal(const FiberCore& fiber) noexcept {
  FiberCore::Room room;
  const std::string_view name = fiber.name(room);
  try {
    return std::make_exception_ptr(
        RuntimeError((name.empty() ? "a fiber" : "the fiber " + std::string(name)) +
                     " has not begun: those that it was handed to have ended"));
  } catch (...) {
    return std::current_exception();
  }
}

/// Refuses a fiber as on a plain thread, if no scheduler runs or there is no memory for a fiber.
void FiberScheduler::refuse(FiberCore& fiber, std::exception_ptr why) noexcept {
  wait::IoDriver* const waiter_before = wait::current_driver();
  wait::Parker* const parker_before = std::exchange(wait::thread_fibers.parker, nullptr);
  wait::set_current_driver(nullptr);
  fiber.main_->run(std::move(why));
  drop(fiber);
  wait::set_current_driver(waiter_before);
  wait::thread_fibers.parker = parker_before;
}

void FiberScheduler::take_posted() noexcept {
  std::shared_ptr<FiberCore> posted;
  {
    const std::lock_guard lock(mutex_);
    // Restores the order in which the fibers were posted.
    while (posted_) {
      std::shared_ptr<FiberCore> before = std::exchange(posted_->remote_, std::move(posted));
      posted = std::exchange(posted_, std::move(before));
    }
  }
  while (posted) {
    FiberCore& fiber = *posted;
    bool cancelled = false;
    std::shared_ptr<FiberCore> next;
    {
      const std::lock_guard lock(mutex_);
      fiber.remote_listed_ = false;
      cancelled = std::exchange(fiber.remote_cancel_, false);
      next = std::move(fiber.remote_);
    }
    const bool handed_over = fiber.state_ == FiberCore::State::unborn;
    if (handed_over) admit(posted);
    // The thread that called cancel() has requested the stop.
    if (cancelled)
      cancel_here(fiber);
    else if (!handed_over)
      wake_here(fiber);
    posted = std::move(next);
  }
}

}  // namespace plug::detail::fiber
