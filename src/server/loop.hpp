#pragma once

// The state of a server's loop, which its handlers and the threads that end it use too.

#include <plug/address.hpp>
#include <plug/socketserver.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "base/report.hpp"
#include "server/children.hpp"
#include "server/requests.hpp"
#include "socket/state.hpp"
#include "sys/for_fiber.hpp"
#include "sys/syscalls.hpp"
#include "wait/deadline.hpp"
#include "wait/descriptor.hpp"
#include "wait/event_set.hpp"

namespace plug::detail {

/// Makes an eventfd. Throws OSError if the system has no descriptor left.
sys::OwnFd make_event();

/// Returns true in a forked child, where the handlers' threads or fibers, and the objects that they
/// use, belong to the parent. The child then leaks `handlers`.
template <class Impl>
bool left_to_parent(std::unique_ptr<Impl>& handlers) noexcept {
  if (handlers->generation == sys::fork_generation()) return false;
  static_cast<void>(handlers.release());
  return true;
}

/// The number of connections that one host may have, and the prefixes that tell hosts apart.
struct HostLimit {
  std::size_t most = 0;  // no limit
  int ipv4_prefix = 32;
  int ipv6_prefix = 64;
};

class ServerLoop {
 public:
  /// Throws OSError if the system has no descriptor left for its events.
  ServerLoop();

  /// One call of serve_forever(), from its beginning to its end.
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
  /// Asks the loop to stop. Async-signal-safe.
  void stop() noexcept;
  /// Withdraws a request to stop. Only while no serve_forever() runs.
  void forget_stop() noexcept;
  /// Blocks until no serve_forever() runs.
  void wait_until_ended();
  /// Returns true if the caller, a thread or a fiber, is in serve_forever().
  bool runs_here();
  /// Returns true in a process other than the server's.
  bool forked() const noexcept { return generation_.load() != sys::fork_generation(); }
  /// Makes the server this process's, if it serves after a fork.
  void adopt();

  /// Makes the server one of a group, whose members must not change while it serves.
  void set_group(const std::vector<std::unique_ptr<BaseServer>>& group) noexcept {
    group_ = &group;
  }
  /// Closes the group's other sockets in a forked child, which would keep the address taken.
  void close_sockets_of_others(BaseServer& server) noexcept;

  /// Readable while the loop is asked to stop.
  int stop_event() const noexcept { return stop_wanted_.get(); }

  /// Waits for requests. Keeps the number of the server's descriptor taken, and is woken when the
  /// descriptor closes. For one thread, or one fiber.
  class Watch {
   public:
    /// Throws ValueError if the server has no descriptor.
    Watch(ServerLoop& loop, BaseServer& server);
    Watch(const Watch&) = delete;
    Watch& operator=(const Watch&) = delete;
    ~Watch();

    bool closed() const noexcept { return in_flight_ && state_->descriptor.closed(); }

    /// Waits, as wait_any() does, until there is a request (if `listening`) or an event of the
    /// loop. In a fiber, where wait_any() takes many system calls, it uses an event set.
    struct Ready {
      bool request;
      bool event;
    };
    Ready wait(bool listening, Deadline deadline, bool stoppable);

   private:
    bool has_set();
    Ready wait_in_set(bool listening, Deadline deadline);

    ServerLoop& loop_;
    const int fd_;
    const std::shared_ptr<SocketState> state_;
    std::optional<Descriptor::InFlight> in_flight_;  // if the descriptor is the socket's
    Waker waker_;
    bool listed_ = false;
    std::optional<EventSet> set_;
    bool in_set_ = false;           // the descriptor is in the set
    bool children_in_set_ = false;  // the children's event is in the set
  };

  /// Waits for a request and returns true if there is one. Returns false if the deadline has
  /// passed, or if there is something else to look at, such as stopping() (if `stoppable`). During
  /// a pause it reports no request. With `most` connections (zero: no limit) it waits until one has
  /// ended. Throws OSError EBADF if the descriptor closes.
  bool wait(Watch& watch, Deadline deadline, std::size_t most, bool stoppable);

  /// Returns true if there is room for another request. With `most` connections (zero: no limit)
  /// there is none until one has ended.
  bool has_room(std::size_t most) { return most == 0 || !requests_->is_full(most); }

  /// Counts a request that the server has taken among those being handled. Returns false if its
  /// host has reached the limit.
  bool admit(Request& request, const Address& client_address, const HostLimit& limit);
  /// Counts a request that admit() has not counted, because the program has made it and has called
  /// process_request() itself.
  PLUG_FOR_FIBER void count_if_new(Request& request);
  RequestRegistry& requests() const noexcept { return *requests_; }
  ServerChildren& children() noexcept { return children_; }
  /// Must be called before a request without serve_forever(): accepts it even after
  /// shut_down_all().
  void let_one_in();
  /// Waits until no request is being handled, and returns true. Returns false once the descriptor
  /// `give_up` is readable. Must be called on the serving thread.
  bool wait_until_idle(int give_up);
  /// Records a request whose handler begins later. take_deferred() returns true if there has been
  /// one since its last call.
  void defer() noexcept { deferred_.store(true); }
  bool take_deferred() noexcept { return deferred_.exchange(false); }
  /// Records that the handler of such a request begins. deferred_has_begun() returns true if one
  /// has begun since forget_deferred().
  void begin_deferred() noexcept {
    if (!deferred_begun_.exchange(true)) requests_->signal_event();
  }
  bool deferred_has_begun() const noexcept { return deferred_begun_.load(); }
  void forget_deferred() noexcept {
    deferred_.store(false);
    deferred_begun_.store(false);
  }

  /// Takes no request for a while. Returns true if there has been one since the previous pause.
  bool pause();
  /// Waits for the length of a pause. Returns 0, or an error as wait_any() does.
  [[nodiscard]] PLUG_FOR_FIBER static long rest();
  void got_request();

 private:
  sys::OwnFd stop_wanted_;
  sys::OwnFd ended_;
  std::atomic<std::uint32_t> generation_ = sys::fork_generation();
  std::atomic<bool> stop_{false};
  std::atomic<bool> serving_{false};
  std::mutex mutex_;
  std::vector<const void*> callers_;  // those in serve_forever()
  std::atomic<bool> deferred_{false};
  std::atomic<bool> deferred_begun_{true};
  std::atomic<bool> paused_{false};
  std::atomic<std::int64_t> paused_until_{0};  // on the monotonic clock
  std::shared_ptr<RequestRegistry> requests_;
  ServerChildren children_;
  const std::vector<std::unique_ptr<BaseServer>>* group_ = nullptr;
};

/// Does the same as report_exception(what), and prints the client after `what`.
PLUG_FOR_FIBER void report_exception(std::string_view what, const Address& client_address) noexcept;

struct ServerAccess {
  /// Returns the socket that the address holds, or null.
  static Socket* listener(const ServerAddress& address) noexcept { return address.listener_.get(); }
  /// Returns AF::INET6 for an IPv6 address or a numeric IPv6 host, otherwise AF::INET.
  static AF inet_family(const ServerAddress& address) noexcept {
    // Only numeric IPv6 hosts contain a colon.
    const bool ipv6 = address.known_ ? address.address_.family() == AF::INET6
                                     : address.host_.host.find(':') != std::string::npos;
    return ipv6 ? AF::INET6 : AF::INET;
  }
  static ServerLoop& loop(BaseServer& server) noexcept { return *server.loop_; }
  static void check_shutdown(BaseServer& server) { server.check_shutdown(); }
  static std::shared_ptr<void> run_in_background(BaseServer& server,
                                                 std::function<void()> function) {
    return server.run_in_background(std::move(function));
  }
  static std::shared_ptr<const void>& place(Request& request) noexcept { return request.place_; }
  static const std::shared_ptr<const void>& place(const Request& request) noexcept {
    return request.place_;
  }
};

}  // namespace plug::detail
