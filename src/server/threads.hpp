#pragma once

// The threads of servers, and waits for them.

#include <plug/detail/intrusive_list.hpp>

#include <memory>
#include <mutex>

#include "sys/syscalls.hpp"

namespace plug::detail::server {

/// Wakes those who wait for a change of a server. The owner's mutex guards it.
class Changes {
 public:
  /// Waits for changes: registered from its constructor to its destructor, so that no change
  /// after the first check is missed. For one thread, or one fiber.
  class Watcher : public ListNode<Watcher> {
   public:
    /// `lock` holds the mutex. The destructor locks it again if it is not locked then.
    Watcher(Changes& changes, std::unique_lock<std::mutex>& lock) noexcept;
    Watcher(const Watcher&) = delete;
    Watcher& operator=(const Watcher&) = delete;
    ~Watcher();

    /// Waits until there may have been a change, or until `also` (-1: none) is readable. Unlocks
    /// the mutex meanwhile. Throws as a wait does, and then leaves the mutex unlocked.
    void wait(const char* what, int also = -1);

   private:
    friend class Changes;

    Changes& changes_;
    std::unique_lock<std::mutex>& lock_;
    const sys::OwnFd event_;
  };

  /// The mutex must be held.
  void tell() const noexcept;

 private:
  IntrusiveList<Watcher> waiting_;
};

/// Threads that run, and threads that have ended and have to be joined.
class ThreadList {
 public:
  /// A thread and its data.
  class Thread : public ListNode<Thread> {
   public:
    Thread() = default;
    Thread(const Thread&) = delete;
    Thread& operator=(const Thread&) = delete;
    virtual ~Thread() = default;

   private:
    friend class ThreadList;

    /// Runs on the thread. May be left by pthread_exit(), but by no other exception.
    virtual void run() = 0;
    /// Called after run() has ended in any way; leave() with the mutex held.
    virtual void let_go() noexcept {}
    virtual void leave() noexcept = 0;

    ThreadList* list_ = nullptr;
    unsigned long thread_ = 0;
  };

  std::mutex mutex;
  Changes changes;  // a thread has ended, or a change of the owner's

  /// Starts the thread and takes ownership. Returns 0 or -errno. The mutex must be held.
  long start(std::unique_ptr<Thread>& thread) noexcept;
  /// Returns true if threads run. The mutex must be held.
  bool any_runs() const noexcept { return !running_.empty(); }
  /// Joins the threads that have ended. If one is still leaving the system, waits for it or leaves
  /// it for a later call. The mutex must not be held.
  void collect(bool wait_for_exit) noexcept;
  /// Waits for all threads and joins them; nothing ends the wait earlier.
  void end() noexcept;

 private:
  static void* main(void* given);
  void ended(Thread& thread) noexcept;

  IntrusiveList<Thread> running_;
  IntrusiveList<Thread> done_;
};

}  // namespace plug::detail::server
