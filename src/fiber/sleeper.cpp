#include "fiber/sleeper.hpp"

#include <chrono>

namespace plug::detail {

long Sleeper::sleep(Deadline deadline, const char* where) {
  if (fiber_ != nullptr) {
    switch (fiber_->owner->park(deadline, where)) {
      case Scheduler::Woken::by_cancel:
        return kCancelled;
      case Scheduler::Woken::by_the_clock:
        return kTimedOut;
      case Scheduler::Woken::by_someone:
        break;
    }
    return 0;
  }
  std::unique_lock lock(mutex_);
  const auto awake = [this] { return awake_; };
  if (deadline.is_none())
    woken_.wait(lock, awake);
  else if (!woken_.wait_for(lock, std::chrono::nanoseconds(deadline.remaining()), awake))
    return kTimedOut;
  awake_ = false;
  return 0;
}

long Sleeper::ask_interrupt_hook() const {
  return fiber_ != nullptr && fiber_->owner->take_interrupt() ? interrupted() : 0;
}

void Sleeper::wake() noexcept {
  if (fiber_ != nullptr) return fiber_->owner->wake(*fiber_);
  // Under the mutex, or it could be gone before it is told.
  const std::lock_guard lock(mutex_);
  awake_ = true;
  woken_.notify_one();
}

void SleeperList::add(Sleeper& sleeper) noexcept {
  sleeper.listed_ = true;
  sleeper.next_ = nullptr;
  sleeper.previous_ = last_;
  (last_ == nullptr ? first_ : last_->next_) = &sleeper;
  last_ = &sleeper;
}

bool SleeperList::remove(Sleeper& sleeper) noexcept {
  if (!sleeper.listed_) return false;
  sleeper.listed_ = false;
  (sleeper.previous_ == nullptr ? first_ : sleeper.previous_->next_) = sleeper.next_;
  (sleeper.next_ == nullptr ? last_ : sleeper.next_->previous_) = sleeper.previous_;
  return true;
}

bool SleeperList::wake_one() noexcept {
  Sleeper* const sleeper = first_;
  if (sleeper == nullptr) return false;
  remove(*sleeper);
  sleeper->wake();
  return true;
}

}  // namespace plug::detail
