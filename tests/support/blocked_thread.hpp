#pragma once

#include <atomic>
#include <functional>
#include <future>
#include <thread>

/// Runs a call in a thread of its own and lets the test go on once that thread sleeps in the
/// kernel, so that no test has to guess how long "blocked by now" takes. Joins when it dies.
class BlockedThread {
 public:
  explicit BlockedThread(std::function<void()> call);
  ~BlockedThread();

  /// Returns once the thread sleeps in one of the system calls that wait for a socket; false when
  /// the call returned instead, or nothing happened for 20 seconds. Opens no descriptor.
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

/// Calls `act` in a thread of its own once the thread that makes this, be it in a fiber or not,
/// sleeps in one of the system calls that wait for a socket: when it does not within 20 seconds,
/// the test has failed. When this dies before, `act` is called then; the destructor joins.
class OnceBlocked {
 public:
  explicit OnceBlocked(std::function<void()> act);
  ~OnceBlocked();

 private:
  int status_;  // /proc/self/task/TID/syscall
  std::atomic<bool> over_ = false;
  std::thread thread_;
};
