#pragma once

#include <atomic>
#include <functional>
#include <future>
#include <thread>

/// Makes a call in another thread and lets the test continue once that thread sleeps in the kernel,
/// so that no test has to guess how long that takes. The destructor joins the thread.
class BlockedThread {
 public:
  explicit BlockedThread(std::function<void()> call);
  ~BlockedThread();

  /// Returns true once the thread sleeps in a system call that waits for a socket. Returns false if
  /// the call has returned instead, or after 20 seconds. Opens no file descriptor.
  bool wait_until_blocked();

  /// Waits for the call to return.
  void join() { thread_.join(); }

 private:
  std::promise<int> tid_;
  std::promise<void> go_;
  std::promise<void> done_;
  std::future<void> finished_ = done_.get_future();
  std::thread thread_;
  int status_ = -1;  // /proc/self/task/TID/syscall
};

/// Calls `act` in another thread once the thread that creates this object, in a fiber or not,
/// sleeps in a system call that waits for a socket. The test fails if that takes longer than 20
/// seconds. If the object is destroyed before, `act` is called then. The destructor joins the
/// thread.
class OnceBlocked {
 public:
  explicit OnceBlocked(std::function<void()> act);
  ~OnceBlocked();

 private:
  int status_;  // /proc/self/task/TID/syscall
  std::atomic<bool> over_ = false;
  std::thread thread_;
};
