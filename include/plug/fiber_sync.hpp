#pragma once

// What fibers, and threads, wait for each other with: a mutex, a condition, a semaphore, an event.
// plug/fiber_queue.hpp has a queue. As Python's threading has them.
//
//   fiber::Mutex mutex;
//   fiber::Condition changed;
//   ...
//   std::unique_lock lock(mutex);
//   changed.wait(lock, [&] { return !work.empty(); });
//
// Everything here may be used by fibers of one thread, by fibers of several, and by threads without
// fibers, all at once. A fiber that waits lets the others of its thread run. Who waits is served in
// the order of coming. Nothing that is handed to somebody is lost because its time is over at that
// very moment (it then has it), or because it is cancelled then (the next one gets it).
//
// A fiber that is cancelled while it waits, or that has been and is about to wait, gets
// CancelledError, once; a call that need not wait does not look. A signal that comes while a thread
// without fibers waits has the interrupt hook (set_interrupt_hook()) asked there. Nobody may be
// waiting for an object of these when it is destroyed. In a forked child who forked holds what it
// held; what other fibers and threads held stays held, as with std::mutex, and none of them waits.
//
// Link with plug::fiber.

#include <plug/error.hpp>
#include <plug/timeout.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>

namespace plug::detail {

class Sleeper;
struct SyncAccess;

}  // namespace plug::detail

#pragma GCC visibility push(default)

namespace plug::detail {

/// Who waits, the first to come first. Its owner's mutex guards it.
class SleeperList {
 public:
  void add(Sleeper& sleeper) noexcept;
  /// Takes it off, unless it has been: whether it was there.
  bool remove(Sleeper& sleeper) noexcept;
  /// Takes the first off, to be woken: null when there is none.
  Sleeper* take() noexcept;
  /// Takes the first off and wakes it: whether there was one.
  bool wake_one() noexcept;
  void wake_all() noexcept;

 private:
  void forget_parents() noexcept;

  Sleeper* first_ = nullptr;
  Sleeper* last_ = nullptr;
  std::uint32_t generation_ = 0;  // of forks
};

}  // namespace plug::detail

namespace plug::fiber {

/// Held by one fiber or thread at a time. std::scoped_lock and std::unique_lock take it, the latter
/// with a time-out as well. Its holder may wait for other things.
/// Python: threading.Lock, but for who may release it.
class Mutex {
 public:
  Mutex() noexcept = default;
  Mutex(const Mutex&) = delete;
  Mutex& operator=(const Mutex&) = delete;

  /// Waits until nobody holds it, and holds it. Throws RuntimeError when the caller does so
  /// already, CancelledError.
  void lock();

  /// Holds it if nobody does: whether that is so now. Never waits.
  bool try_lock() noexcept;

  /// As lock(), but gives up after the time-out: whether it holds it.
  bool try_lock_for(const Timeout& timeout);

  /// Hands it to who has waited for the longest time. Throws RuntimeError unless the caller holds
  /// it.
  void unlock();

 private:
  friend struct detail::SyncAccess;

  std::mutex guard_;
  detail::SleeperList waiting_;
  const void* owner_ = nullptr;
};

/// Where fibers and threads wait until somebody says that something has changed. What has is
/// guarded by a Mutex: by one and the same for all who wait at a time.
/// Python: threading.Condition.
class Condition {
 public:
  Condition() noexcept = default;
  Condition(const Condition&) = delete;
  Condition& operator=(const Condition&) = delete;

  /// Unlocks, waits for a notification, and locks again, in any case: whether there was one, and
  /// not the time-out before. That is for the wait alone; locking takes the time that it takes. A
  /// notification that finds the caller cancelled goes to the next one. Throws CancelledError;
  /// RuntimeError when the caller does not hold the lock.
  bool wait(std::unique_lock<Mutex>& lock, const Timeout& timeout = std::nullopt);

  /// Waits until `predicate` says so, which is asked with the lock held, at once and after each
  /// notification: what it said last. The time-out is for all of it. Python: wait_for().
  template <std::predicate P>
  bool wait(std::unique_lock<Mutex>& lock, P predicate, const Timeout& timeout = std::nullopt) {
    const auto asked = [](void* it) -> bool { return (*static_cast<P*>(it))(); };
    return wait_until(lock, asked, std::addressof(predicate), timeout);
  }

  /// Wakes who has waited for the longest time, or everybody. The caller need not hold the lock.
  void notify_one() noexcept;
  void notify_all() noexcept;

 private:
  friend struct detail::SyncAccess;

  bool wait_until(std::unique_lock<Mutex>& lock, bool (*predicate)(void*), void* argument,
                  const Timeout& timeout);

  std::mutex guard_;
  detail::SleeperList waiting_;
};

/// A number that never gets below zero: who would take it there waits.
///
/// It is also what a std::scoped_lock or std::unique_lock takes, which then acquires one and
/// releases it at its end: Python's `with semaphore`.
/// Python: threading.Semaphore.
class Semaphore {
 public:
  /// Throws ValueError when below zero.
  explicit Semaphore(std::ptrdiff_t value = 1);
  Semaphore(const Semaphore&) = delete;
  Semaphore& operator=(const Semaphore&) = delete;

  /// Takes one, and waits until there is one: whether there was, within the time-out. Throws
  /// CancelledError.
  bool acquire(const Timeout& timeout = std::nullopt);

  /// Takes one if there is one: whether there was. Never waits.
  bool try_acquire() noexcept;

  /// Adds `n`, of which those who wait get theirs. Throws ValueError when `n` is below 1 or when it
  /// would be above the bound of a BoundedSemaphore, OverflowError.
  void release(std::ptrdiff_t n = 1);

  void lock() { acquire(); }
  bool try_lock() noexcept { return try_acquire(); }
  void unlock() { release(); }

 protected:
  Semaphore(std::ptrdiff_t value, std::ptrdiff_t bound);

 private:
  friend struct detail::SyncAccess;

  std::mutex guard_;
  detail::SleeperList waiting_;
  std::ptrdiff_t value_;
  std::ptrdiff_t bound_;
};

/// A Semaphore that cannot get above the number that it began with: to release more than has been
/// acquired is an error.
/// Python: threading.BoundedSemaphore.
class BoundedSemaphore : public Semaphore {
 public:
  /// Throws ValueError when below zero.
  explicit BoundedSemaphore(std::ptrdiff_t value = 1);
};

/// A flag that can be waited for.
/// Python: threading.Event.
class Event {
 public:
  Event() noexcept = default;
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;

  bool is_set() const noexcept;
  /// Sets it and wakes all who wait, also when it is cleared at once.
  void set() noexcept;
  void clear() noexcept;
  /// Waits until it is set: whether it was, within the time-out. Throws CancelledError.
  bool wait(const Timeout& timeout = std::nullopt);

 private:
  mutable std::mutex guard_;
  detail::SleeperList waiting_;
  bool set_ = false;
};

}  // namespace plug::fiber

#pragma GCC visibility pop
