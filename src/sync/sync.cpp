#include <plug/sync.hpp>

#include <limits>
#include <string>

#include "wait/wait_queue.hpp"

namespace plug {

namespace detail::sync {

namespace {

struct ConditionSleeper : wait::WaitNode {
  bool alone = false;  // woken by notify_one(): passes it on if it cannot use it
};

void notify_one_of(WaitQueue& waiting) noexcept {
  auto* const node = static_cast<ConditionSleeper*>(waiting.take());
  if (node == nullptr) return;
  node->alone = true;
  node->wake();
}

}  // namespace

struct SyncAccess {
  /// Returns true if the caller owns the mutex now, false if the deadline has passed.
  static bool lock(Mutex& mutex, Deadline deadline, wait::OnCancel on_cancel);
  static bool holds(Mutex& mutex) noexcept {
    const std::lock_guard guard(mutex.guard_);
    return mutex.owner_ == wait::WaitNode::caller();
  }
  static bool wait(Condition& condition, Mutex& mutex, Deadline deadline);
  static bool acquire(Semaphore& semaphore, Deadline deadline);
  /// The mutex's guard must be held.
  static void hand_over(Mutex& mutex) noexcept {
    wait::WaitNode* const next = mutex.waiting_.take();
    mutex.owner_ = next == nullptr ? nullptr : next->made_by();
    if (next != nullptr) next->wake();
  }
};

bool SyncAccess::lock(Mutex& mutex, Deadline deadline, wait::OnCancel on_cancel) {
  const void* const caller = wait::WaitNode::caller();
  std::unique_lock guard(mutex.guard_);
  if (mutex.owner_ == caller) throw RuntimeError("Mutex: the caller has locked it already");
  if (mutex.owner_ == nullptr) {
    mutex.owner_ = caller;
    return true;
  }
  wait::WaitNode node;
  const wait::Waited waited =
      wait::wait_in(mutex.waiting_, node, guard, deadline, "Mutex::lock", on_cancel);
  if (waited == wait::Waited::handed_but_stopped) hand_over(mutex);
  return wait::handed_or_thrown(waited, node);
}

bool SyncAccess::wait(Condition& condition, Mutex& mutex, Deadline deadline) {
  ConditionSleeper node;
  std::unique_lock guard(condition.guard_);
  // The guard is held, so nobody can notify between the unlock and the wait.
  mutex.unlock();
  const wait::Waited waited =
      wait::wait_in(condition.waiting_, node, guard, deadline, "Condition::wait");
  if (waited == wait::Waited::handed_but_stopped && node.alone) notify_one_of(condition.waiting_);
  guard.unlock();
  lock(mutex, Deadline::none(), wait::OnCancel::ignore);
  return wait::handed_or_thrown(waited, node);
}

bool SyncAccess::acquire(Semaphore& semaphore, Deadline deadline) {
  wait::maybe_yield();
  std::unique_lock guard(semaphore.guard_);
  if (semaphore.value_ > 0) {
    --semaphore.value_;
    return true;
  }
  wait::WaitNode node;
  const wait::Waited waited =
      wait::wait_in(semaphore.waiting_, node, guard, deadline, "Semaphore::acquire");
  if (waited == wait::Waited::handed_but_stopped && !semaphore.waiting_.wake_one())
    ++semaphore.value_;
  return wait::handed_or_thrown(waited, node);
}

}  // namespace detail::sync

using detail::base::deadline_after;
using detail::sync::SyncAccess;
using detail::wait::OnCancel;
using detail::wait::Waited;

// --- Mutex ---

void Mutex::lock() { SyncAccess::lock(*this, Deadline::none(), OnCancel::tell); }

bool Mutex::try_lock_for(const Timeout& timeout) {
  return SyncAccess::lock(*this, deadline_after(timeout), OnCancel::tell);
}

bool Mutex::try_lock() noexcept {
  const std::lock_guard guard(guard_);
  if (owner_ != nullptr) return false;
  owner_ = detail::wait::WaitNode::caller();
  return true;
}

void Mutex::unlock() {
  const std::lock_guard guard(guard_);
  if (owner_ != detail::wait::WaitNode::caller())
    throw RuntimeError("Mutex: the caller has not locked it");
  SyncAccess::hand_over(*this);
}

// --- Condition ---

namespace {

Mutex& held_mutex(const std::unique_lock<Mutex>& lock) {
  if (!lock.owns_lock() || !SyncAccess::holds(*lock.mutex()))
    throw RuntimeError("Condition: the caller does not hold the lock");
  return *lock.mutex();
}

}  // namespace

bool Condition::wait(std::unique_lock<Mutex>& lock, const Timeout& timeout) {
  Mutex& mutex = held_mutex(lock);
  return SyncAccess::wait(*this, mutex, deadline_after(timeout));
}

bool Condition::wait_until(std::unique_lock<Mutex>& lock, bool (*predicate)(void*), void* argument,
                           const Timeout& timeout) {
  Mutex& mutex = held_mutex(lock);
  const Deadline deadline = deadline_after(timeout);
  while (!predicate(argument))
    if (!SyncAccess::wait(*this, mutex, deadline)) return predicate(argument);
  return true;
}

void Condition::notify_one() noexcept {
  const std::lock_guard guard(guard_);
  detail::sync::notify_one_of(waiting_);
}

void Condition::notify_all() noexcept {
  const std::lock_guard guard(guard_);
  waiting_.wake_all();
}

// --- Semaphore ---

Semaphore::Semaphore(std::ptrdiff_t value)
    : Semaphore(value, std::numeric_limits<std::ptrdiff_t>::max()) {}

Semaphore::Semaphore(std::ptrdiff_t value, std::ptrdiff_t bound) : value_(value), bound_(bound) {
  if (value < 0) throw ValueError("Semaphore: begins below zero: " + std::to_string(value));
}

BoundedSemaphore::BoundedSemaphore(std::ptrdiff_t value) : Semaphore(value, value) {}

bool Semaphore::acquire() { return SyncAccess::acquire(*this, Deadline::none()); }

bool Semaphore::acquire(const Timeout& timeout) {
  return SyncAccess::acquire(*this, deadline_after(timeout));
}

bool Semaphore::try_acquire() noexcept {
  const std::lock_guard guard(guard_);
  if (value_ == 0) return false;
  --value_;
  return true;
}

void Semaphore::release(std::ptrdiff_t n) {
  if (n < 1) throw ValueError("Semaphore: less than one released: " + std::to_string(n));
  const std::lock_guard guard(guard_);
  if (n > bound_ - value_) {
    const std::string text = "Semaphore: " + std::to_string(n) + " released above its bound of " +
                             std::to_string(bound_);
    if (bound_ == std::numeric_limits<std::ptrdiff_t>::max()) throw OverflowError(text);
    throw ValueError(text);
  }
  while (n > 0 && waiting_.wake_one()) --n;
  value_ += n;
}

// --- Event ---

bool Event::is_set() const noexcept {
  const std::lock_guard guard(guard_);
  return set_;
}

void Event::set() noexcept {
  const std::lock_guard guard(guard_);
  set_ = true;
  waiting_.wake_all();
}

void Event::clear() noexcept {
  const std::lock_guard guard(guard_);
  set_ = false;
}

bool Event::wait(const Timeout& timeout) {
  detail::wait::WaitNode node;
  std::unique_lock guard(guard_);
  if (set_) return true;
  const Waited waited = wait_in(waiting_, node, guard, deadline_after(timeout), "Event::wait");
  return handed_or_thrown(waited, node);
}

}  // namespace plug
