#pragma once

// Synchronization of fibers and threads: Mutex, Condition, Semaphore, Event. Python: threading.
// plug/queue.hpp has a queue.
//
//   Mutex mutex;
//   Condition changed;
//   ...
//   std::unique_lock lock(mutex);
//   changed.wait(lock, [&] { return !work.empty(); });
//
// Plain threads, fibers of one thread and fibers of several threads may use the same object at the
// same time. A fiber that waits lets the other fibers of its thread run. Waiters are served in
// order of arrival. A lock, a semaphore unit or a notification that is handed to a waiter is never
// lost: if the timeout expires at that moment, the waiter has it; if the waiter is cancelled at
// that moment, the next one gets it.
//
// Cancelling. If a fiber is cancelled while it waits, or was cancelled before and is about to wait,
// the call throws CancelledError, once. A call that need not wait does not check.
//
// Signals. If a signal arrives while a plain thread waits, that thread calls the interrupt hook
// (set_interrupt_hook()).
//
// Lifetime. Destroy an object only when nothing waits for it. In a forked child the object has no
// waiters. The fiber or thread that forked still holds its locks. Locks of others stay locked, as
// with std::mutex.

#include <plug/detail/forward.hpp>
#include <plug/detail/wait_queue.hpp>
#include <plug/error.hpp>
#include <plug/timeout.hpp>

#include <concepts>
#include <cstddef>
#include <memory>
#include <mutex>

#pragma GCC visibility push(default)

namespace plug {

/// A mutex for fibers and threads. std::scoped_lock and std::unique_lock take it, the latter also
/// with a timeout. Unlike with a std::mutex, a fiber that holds it may wait for other things.
/// Python: threading.Lock, but only the holder may release it.
class Mutex {
 public:
  Mutex() noexcept = default;
  Mutex(const Mutex&) = delete;
  Mutex& operator=(const Mutex&) = delete;

  /// Acquires the mutex, blocking if necessary. Throws RuntimeError if the caller holds it already;
  /// CancelledError.
  void lock();

  /// Acquires the mutex if it is free, and returns whether it did. Never blocks.
  [[nodiscard]] bool try_lock() noexcept;

  /// Like lock(), but with a timeout. Returns whether it has acquired the mutex.
  [[nodiscard]] bool try_lock_for(const Timeout& timeout);

  /// Releases the mutex; the first waiter, if any, then holds it. Throws RuntimeError if the caller
  /// does not hold it.
  void unlock();

 private:
  friend struct detail::sync::SyncAccess;

  std::mutex guard_;
  detail::WaitQueue waiting_;
  const void* owner_ = nullptr;
};

/// A condition variable. A Mutex guards the condition; all waiters of one Condition must use the
/// same Mutex. Python: threading.Condition.
class Condition {
 public:
  Condition() noexcept = default;
  Condition(const Condition&) = delete;
  Condition& operator=(const Condition&) = delete;

  /// Unlocks the mutex, blocks until notified, and locks the mutex again, also before it throws
  /// CancelledError. Returns true if notified, false after the timeout; locking again may take
  /// longer. If the caller is cancelled at the moment of a notification, the next waiter gets the
  /// notification. Throws CancelledError; RuntimeError if the caller does not hold the lock.
  bool wait(std::unique_lock<Mutex>& lock, const Timeout& timeout = std::nullopt);

  /// Blocks until predicate() is true. Calls predicate() with the lock held, first at once and then
  /// after each notification, and returns its last result. The timeout limits the whole wait.
  /// Python: wait_for().
  template <std::predicate P>
  bool wait(std::unique_lock<Mutex>& lock, P predicate, const Timeout& timeout = std::nullopt) {
    const auto asked = [](void* it) -> bool { return (*static_cast<P*>(it))(); };
    return wait_until(lock, asked, std::addressof(predicate), timeout);
  }

  /// Wakes the first waiter, or all of them. The caller need not hold the lock.
  void notify_one() noexcept;
  void notify_all() noexcept;

 private:
  friend struct detail::sync::SyncAccess;

  bool wait_until(std::unique_lock<Mutex>& lock, bool (*predicate)(void*), void* argument,
                  const Timeout& timeout);

  std::mutex guard_;
  detail::WaitQueue waiting_;
};

/// A counting semaphore. acquire() blocks while the count is zero.
///
/// std::scoped_lock and std::unique_lock take it too. They acquire one unit and release it at their
/// end, as Python's `with semaphore` does.
/// Python: threading.Semaphore.
class Semaphore {
 public:
  /// Throws ValueError if `value` is negative.
  explicit Semaphore(std::ptrdiff_t value = 1);
  Semaphore(const Semaphore&) = delete;
  Semaphore& operator=(const Semaphore&) = delete;

  /// Decrements the count, blocking while it is zero. Returns true. Throws CancelledError.
  bool acquire();
  /// Like acquire(), but returns false after the timeout and then leaves the count unchanged.
  [[nodiscard]] bool acquire(const Timeout& timeout);

  /// Decrements the count unless it is zero, and returns whether it did. Never blocks.
  [[nodiscard]] bool try_acquire() noexcept;

  /// Adds `n` to the count; waiters get their units first. Throws ValueError if `n` is less than 1
  /// or the count would exceed the bound of a BoundedSemaphore; OverflowError if the count would
  /// overflow.
  void release(std::ptrdiff_t n = 1);

  void lock() { acquire(); }
  [[nodiscard]] bool try_lock() noexcept { return try_acquire(); }
  void unlock() { release(); }

 protected:
  Semaphore(std::ptrdiff_t value, std::ptrdiff_t bound);

 private:
  friend struct detail::sync::SyncAccess;

  std::mutex guard_;
  detail::WaitQueue waiting_;
  std::ptrdiff_t value_;
  std::ptrdiff_t bound_;
};

/// A Semaphore whose count cannot exceed its initial value: release() throws ValueError if more is
/// released than was acquired.
/// Python: threading.BoundedSemaphore.
class BoundedSemaphore : public Semaphore {
 public:
  /// Throws ValueError if `value` is negative.
  explicit BoundedSemaphore(std::ptrdiff_t value = 1);
};

/// A flag that fibers and threads can wait for.
/// Python: threading.Event.
class Event {
 public:
  Event() noexcept = default;
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;

  [[nodiscard]] bool is_set() const noexcept;
  /// Sets the flag and wakes all waiters, even if the flag is cleared right after.
  void set() noexcept;
  void clear() noexcept;
  /// Blocks until the flag is set. Returns true, or false after the timeout. Throws CancelledError.
  bool wait(const Timeout& timeout = std::nullopt);

 private:
  mutable std::mutex guard_;
  detail::WaitQueue waiting_;
  bool set_ = false;
};

}  // namespace plug

#pragma GCC visibility pop
