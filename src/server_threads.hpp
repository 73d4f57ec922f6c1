#pragma once

// What servers have threads with, and how they wait for them.

#include <memory>
#include <mutex>

#include "sys/syscalls.hpp"

namespace plug::detail {

/// Tells those who wait until something of a server changes. A mutex of its owner guards it.
class Changes {
 public:
  /// One who waits: from before it looks until this dies, also by an exception. For one thread, or
  /// one fiber.
  class Waiting {
   public:
    /// `lock` holds the mutex now, and when this dies, or else takes it then.
    Waiting(Changes& changes, std::unique_lock<std::mutex>& lock) noexcept;
    Waiting(const Waiting&) = delete;
    Waiting& operator=(const Waiting&) = delete;
    ~Waiting();

    /// Returns when there may have been a change, or `also` is readable (-1 is none). Unlocks
    /// meanwhile. Throws as a wait does, and then without the lock.
    void wait(const char* what, int also = -1);

   private:
    friend class Changes;

    Changes& changes_;
    std::unique_lock<std::mutex>& lock_;
    const sys::OwnFd event_;
    Waiting* next_;
    Waiting* previous_ = nullptr;
  };

  /// With the mutex held.
  void tell() const noexcept;

 private:
  Waiting* first_ = nullptr;
};

/// Threads that run, and those that have ended and are to be joined.
class ThreadList {
 public:
  /// A thread and what it needs.
  class Thread {
   public:
    Thread() = default;
    Thread(const Thread&) = delete;
    Thread& operator=(const Thread&) = delete;
    virtual ~Thread() = default;

   private:
    friend class ThreadList;

    /// What the thread does. It may be left by the end of the thread (pthread_exit), by nothing
    /// else.
    virtual void run() = 0;
    /// Called when that has ended, however it has; the second with the mutex held.
    virtual void let_go() noexcept {}
    virtual void leave() noexcept = 0;

    ThreadList* list_ = nullptr;
    unsigned long thread_ = 0;
    Thread* next_ = nullptr;
    Thread* previous_ = nullptr;
  };

  std::mutex mutex;
  Changes changes;  // a thread has ended, or what the owner says

  /// With the mutex held. 0, and takes the thread; or -errno.
  long start(std::unique_ptr<Thread>& thread) noexcept;
  /// Whether some run. With the mutex held.
  bool any_runs() const noexcept { return running_.first() != nullptr; }
  /// Joins those that have ended; where one is still on its way out of the system it waits for it,
  /// or leaves it for later. Without the mutex.
  void collect(bool wait_for_exit) noexcept;
  /// Waits for all of them and joins them, whatever anybody is told meanwhile.
  void end() noexcept;

 private:
  class List {
   public:
    // NOLINTNEXTLINE(clang-analyzer-cplusplus.NewDelete): what is freed has been removed
    Thread* first() const noexcept { return first_; }
    void add(Thread& thread) noexcept;
    void remove(Thread& thread) noexcept;

   private:
    Thread* first_ = nullptr;
  };

  static void* main(void* given);
  void ended(Thread& thread) noexcept;

  List running_;
  List done_;
};

}  // namespace plug::detail
