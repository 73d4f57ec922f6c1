#pragma once

#include <atomic>
#include <mutex>
#include <vector>

#include "server/requests.hpp"
#include "sys/syscalls.hpp"

namespace plug::detail::server {

/// The threads and fibers in serve_forever(), and the request to stop. Thread-safe. Owns the
/// server's eventfds for these: they close with the BaseServer, not in server_close().
class ServingState {
 public:
  /// Throws OSError if the system has no descriptor left for the events.
  ServingState();

  /// One call of serve_forever(), from its beginning to its end.
  class Running {
   public:
    /// The first of several callers makes `requests` accept connections again.
    Running(ServingState& state, RequestRegistry& requests);
    Running(const Running&) = delete;
    Running& operator=(const Running&) = delete;
    ~Running();

   private:
    ServingState& state_;
  };

  bool stopping() const noexcept { return stop_.load(); }
  /// Asks serve_forever() to stop. Async-signal-safe.
  void stop() noexcept;
  /// Withdraws a request to stop. Only while no serve_forever() runs.
  void forget_stop() noexcept;
  /// Readable while serve_forever() is asked to stop.
  int stop_event() const noexcept { return stop_wanted_.get(); }

  /// Blocks until no serve_forever() runs.
  void wait_until_ended();
  /// Returns true if the caller, a thread or a fiber, is in serve_forever().
  bool runs_here();
  /// Must be called before a request without serve_forever(): makes `requests` accept connections
  /// again.
  void let_one_in(RequestRegistry& requests);

  /// Forgets the callers of the parent, in a forked child. Throws as the constructor does, and then
  /// changes nothing.
  void adopt();

 private:
  sys::OwnFd stop_wanted_;  // eventfd
  sys::OwnFd ended_;        // eventfd, readable once the last serve_forever() has ended
  std::atomic<bool> stop_{false};
  std::atomic<bool> serving_{false};
  std::mutex mutex_;
  std::vector<const void*> callers_;  // those in serve_forever()
};

}  // namespace plug::detail::server
