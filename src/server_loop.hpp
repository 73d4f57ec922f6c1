#pragma once

// What a server's loop shares with the threads that end it.

#include <plug/address.hpp>
#include <plug/socketserver.hpp>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "server_requests.hpp"
#include "socket_state.hpp"
#include "sys/syscalls.hpp"
#include "wait/deadline.hpp"
#include "wait/descriptor.hpp"

namespace plug::detail {

/// An eventfd. Throws OSError when there is none to be had.
sys::OwnFd make_event();

class ServerLoop {
 public:
  /// Throws OSError when there is no descriptor for its events.
  ServerLoop();

  /// One serve_forever(), from its beginning to its end.
  class Running {
   public:
    explicit Running(ServerLoop& loop);
    Running(const Running&) = delete;
    Running& operator=(const Running&) = delete;
    ~Running();

   private:
    ServerLoop& loop_;
  };

  bool stopping() const noexcept { return stop_.load(); }
  /// Async-signal-safe.
  void stop() noexcept;
  /// Where no serve_forever() runs.
  void forget_stop() noexcept;
  /// Returns when no serve_forever() runs.
  void wait_until_ended();
  /// Whether the calling thread is in serve_forever().
  bool runs_here();
  /// Whether this is another process than the one whose server it is.
  bool forked() const noexcept { return generation_.load() != sys::fork_generation(); }
  /// Makes the server this process's, where it serves after a fork.
  void adopt();

  /// Readable while the loop is to stop.
  int stop_event() const noexcept { return stop_wanted_.get(); }

  /// Keeps the number of the server's descriptor taken while the loop waits for it, and has the
  /// loop woken when it closes.
  class Watch {
   public:
    /// Throws ValueError when there is no descriptor.
    Watch(ServerLoop& loop, BaseServer& server);
    Watch(const Watch&) = delete;
    Watch& operator=(const Watch&) = delete;
    ~Watch();

    int fd() const noexcept { return fd_; }
    bool closed() const noexcept { return in_flight_ && state_->descriptor.closed(); }

   private:
    const int fd_;
    const std::shared_ptr<SocketState> state_;
    std::optional<Descriptor::InFlight> in_flight_;  // where the descriptor is the socket's
    Waker waker_;
    bool listed_ = false;
  };

  /// Waits for a request: true when there is one; false when the deadline has passed, or there is
  /// something else to look at, such as stopping() where it is `stoppable`. During a pause there is
  /// none. Throws OSError EBADF when the descriptor closes. With `most` connections (zero is no
  /// limit) it waits until one has ended.
  bool wait(const Watch& watch, Deadline deadline, std::size_t most, bool stoppable);

  /// Counts a request among those being handled, unless it is already; false when that makes more
  /// than `most_of_host` from its host (zero is no limit).
  bool admit(Request& request, const Address& client_address, std::size_t most_of_host);
  LiveRequests& requests() const noexcept { return *requests_; }
  /// A child has the request from now on, until it has been reaped.
  void give_to_child(int child, const Request& request);
  void child_ended(int child) noexcept;
  /// Waits until no request is being handled: true; or until the descriptor `give_up` is readable:
  /// false. By the thread that serves.
  bool wait_until_idle(int give_up);
  /// Has the children end.
  void terminate_children() noexcept;

  /// Lets no request in for a while. True when there has been one since the pause before.
  bool pause();
  /// Waits for the length of a pause, and for nothing else.
  static void rest() noexcept;
  void got_request();

 private:
  sys::OwnFd stop_wanted_;
  sys::OwnFd ended_;
  std::atomic<std::uint32_t> generation_ = sys::fork_generation();
  std::atomic<bool> stop_{false};
  std::atomic<bool> serving_{false};
  std::mutex mutex_;
  std::vector<std::thread::id> threads_;  // that are in serve_forever()
  std::atomic<bool> paused_{false};
  std::atomic<std::int64_t> paused_until_{0};  // of the monotonic clock
  std::shared_ptr<LiveRequests> requests_;
  std::vector<std::pair<int, std::shared_ptr<const void>>> of_children_;  // their requests
};

/// Waits until one of the children has ended, or one of the descriptors is readable (-1 is none).
void wait_for_child(const std::vector<int>& children, std::array<int, 2> descriptors);

/// Prints the exception that is being handled, after `what` and the client, in one write.
void report_exception(std::string_view what, const Address& client_address) noexcept;
void report_exception(std::string_view what) noexcept;

struct ServerAccess {
  static ServerLoop& loop(BaseServer& server) noexcept { return *server.loop_; }
  static void check_shutdown(BaseServer& server) { server.check_shutdown(); }
  static std::shared_ptr<const void>& place(Request& request) noexcept { return request.place_; }
  static const std::shared_ptr<const void>& place(const Request& request) noexcept {
    return request.place_;
  }
};

}  // namespace plug::detail
