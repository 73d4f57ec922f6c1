#pragma once

// What a server's loop shares with the threads that end it.

#include <plug/address.hpp>
#include <plug/socketserver.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "socket_state.hpp"
#include "sys/syscalls.hpp"
#include "wait/deadline.hpp"
#include "wait/descriptor.hpp"

namespace plug::detail {

/// How many connections a server has. Places outlive the server if they have to.
class ConnectionCount {
 public:
  /// Throws OSError when there is no descriptor for its event.
  ConnectionCount();

  /// A place of its own for a connection, for as long as the result lives; null when `host` has
  /// `most` already (zero is no limit).
  static std::shared_ptr<const void> enter(const std::shared_ptr<ConnectionCount>& self,
                                           const std::string& host, std::size_t most);
  /// Whether there are `most` connections or more. The event is readable when one has ended since.
  bool is_full(std::size_t most);
  int event() const noexcept { return ended_.get(); }

 private:
  void leave(const std::string& host) noexcept;

  std::mutex mutex_;
  std::size_t count_ = 0;
  std::unordered_map<std::string, std::size_t> by_host_;
  sys::OwnFd ended_;
};

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
  /// Returns when no serve_forever() runs.
  void wait_until_ended();
  /// Whether the calling thread is in serve_forever().
  bool runs_here();
  /// Whether this is another process than the one that made it.
  bool forked() const noexcept { return generation_ != sys::fork_generation(); }

  /// Readable when the loop is to stop, or its descriptor has been closed.
  int wake_event() const noexcept { return wake_.get(); }

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

  /// Waits for a request: true when there is one; false when the deadline has passed or the loop
  /// has been woken. During a pause there is none. Throws OSError EBADF when the descriptor closes.
  /// With `most` connections (zero is no limit) it waits until one has ended.
  bool wait(const Watch& watch, Deadline deadline, std::size_t most);

  /// Counts a connection; false when there are too many from its host.
  bool admit(Request& request, const Address& client_address, std::size_t most_of_host);
  /// A child has the connection from now on, until it has been reaped.
  void give_to_child(int child, const Request& request);
  void child_ended(int child) noexcept;

  /// Lets no request in for a while. True when there has been one since the pause before.
  bool pause();
  void got_request();

 private:
  sys::OwnFd wake_;
  sys::OwnFd ended_;
  const std::uint32_t generation_ = sys::fork_generation();
  std::atomic<bool> stop_{false};
  std::atomic<bool> serving_{false};
  std::mutex mutex_;
  std::vector<std::thread::id> threads_;  // that are in serve_forever()
  std::atomic<bool> paused_{false};
  std::atomic<std::int64_t> paused_until_{0};     // of the monotonic clock
  std::shared_ptr<ConnectionCount> connections_;  // once they are counted
  std::vector<std::pair<int, std::shared_ptr<const void>>> of_children_;
};

/// Prints the exception that is being handled, after `what` and the client, in one write.
void report_exception(std::string_view what, const Address& client_address) noexcept;

struct ServerAccess {
  static ServerLoop& loop(BaseServer& server) noexcept { return *server.loop_; }
  static std::shared_ptr<const void>& place(Request& request) noexcept { return request.place_; }
  static const std::shared_ptr<const void>& place(const Request& request) noexcept {
    return request.place_;
  }
};

}  // namespace plug::detail
