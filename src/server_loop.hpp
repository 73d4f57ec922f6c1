#pragma once

// What a server's loop shares with the threads that end it.

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

#include "server_children.hpp"
#include "server_requests.hpp"
#include "socket_state.hpp"
#include "sys/for_fiber.hpp"
#include "sys/syscalls.hpp"
#include "wait/deadline.hpp"
#include "wait/descriptor.hpp"
#include "wait/event_set.hpp"

namespace plug::detail {

/// An eventfd. Throws OSError when there is none to be had.
sys::OwnFd make_event();

/// In a forked child the threads, or fibers, that handle requests are the parent's, and so is what
/// they use: true, and that is left as it is, for ever, when another process has made it.
template <class Impl>
bool left_to_parent(std::unique_ptr<Impl>& handlers) noexcept {
  if (handlers->generation == sys::fork_generation()) return false;
  static_cast<void>(handlers.release());
  return true;
}

/// How many connections may come from one host, and which addresses are one host's.
struct HostLimit {
  std::size_t most = 0;  // no limit
  int ipv4_prefix = 32;
  int ipv6_prefix = 64;
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
  /// Where no serve_forever() runs.
  void forget_stop() noexcept;
  /// Returns when no serve_forever() runs.
  void wait_until_ended();
  /// Whether the caller, a thread or a fiber, is in serve_forever().
  bool runs_here();
  /// Whether this is another process than the one whose server it is.
  bool forked() const noexcept { return generation_.load() != sys::fork_generation(); }
  /// Makes the server this process's, where it serves after a fork.
  void adopt();

  /// Makes it one of a group of servers, which must stay as they are while it serves.
  void set_group(const std::vector<std::unique_ptr<BaseServer>>& group) noexcept {
    group_ = &group;
  }
  /// In a forked child, which would keep the group's address taken.
  void close_sockets_of_others(BaseServer& server) noexcept;

  /// Readable while the loop is to stop.
  int stop_event() const noexcept { return stop_wanted_.get(); }

  /// Keeps the number of the server's descriptor taken while the loop waits for it, and has the
  /// loop woken when it closes. For one thread, or one fiber.
  class Watch {
   public:
    /// Throws ValueError when there is no descriptor.
    Watch(ServerLoop& loop, BaseServer& server);
    Watch(const Watch&) = delete;
    Watch& operator=(const Watch&) = delete;
    ~Watch();

    bool closed() const noexcept { return in_flight_ && state_->descriptor.closed(); }

    /// Waits as wait_any() does until there is a request, if `listening`, or the loop is told
    /// something. In a fiber, where that takes many system calls, by a set of its own.
    struct Ready {
      bool request;
      bool event;
    };
    Ready wait(bool listening, Deadline deadline, bool stoppable);
    /// Whether there is a request now, which may be accepted ahead. To ask get_request() costs an
    /// exception when there is none.
    bool has_request();

   private:
    bool has_set();
    Ready wait_in_set(bool listening, Deadline deadline);

    ServerLoop& loop_;
    const int fd_;
    const std::shared_ptr<SocketState> state_;
    std::optional<Descriptor::InFlight> in_flight_;  // where the descriptor is the socket's
    Waker waker_;
    bool listed_ = false;
    std::optional<EventSet> set_;
    bool in_set_ = false;           // the descriptor is
    bool children_in_set_ = false;  // their event is
  };

  /// Waits for a request: true when there is one; false when the deadline has passed, or there is
  /// something else to look at, such as stopping() where it is `stoppable`. During a pause there is
  /// none. Throws OSError EBADF when the descriptor closes. With `most` connections (zero is no
  /// limit) it waits until one has ended.
  bool wait(Watch& watch, Deadline deadline, std::size_t most, bool stoppable);

  /// A connection that has been accepted before get_request() asks for it: to look whether there is
  /// one costs no more than to accept it. From any thread.
  class Ahead {
   public:
    /// Accepts one, unless there is one already: whether get_request() would find something, be
    /// that an error.
    bool accept(SocketState& listener);
    /// The one that has been accepted, if any.
    std::optional<std::pair<Socket, Address>> take() noexcept;
    /// In a forked child it is the parent's.
    void forget() noexcept {
      accepted_.reset();
      state_.store(State::empty);
    }
    bool is_any() const noexcept { return state_.load(std::memory_order_relaxed) != State::empty; }

   private:
    enum class State : std::uint8_t { empty, busy, full };

    std::atomic<State> state_{State::empty};
    std::optional<std::pair<Socket, Address>> accepted_;  // while it is full
  };
  Ahead& ahead() noexcept { return ahead_; }

  /// Called by a get_request() that does not wait though there is no request; one that accepts
  /// connections takes those that are ahead.
  void does_not_wait(bool takes_ahead) noexcept {
    takes_ahead_.store(takes_ahead, std::memory_order_relaxed);
    does_not_wait_.store(true, std::memory_order_relaxed);
  }
  /// Whether there may be another request, and asking for it does not wait. Once for each request.
  bool may_take_another(std::size_t most) {
    return does_not_wait_.exchange(false, std::memory_order_relaxed) &&
           (most == 0 || !requests_->is_full(most));
  }

  /// Counts a request among those being handled, unless it is already; false when that makes more
  /// than the limit from its host.
  PLUG_FOR_FIBER bool admit(Request& request, const Address& client_address,
                            const HostLimit& limit = {});
  LiveRequests& requests() const noexcept { return *requests_; }
  ServerChildren& children() noexcept { return children_; }
  /// Before a request without serve_forever(): lets it in, whatever has been cut before.
  void let_one_in();
  /// Waits until no request is being handled: true; or until the descriptor `give_up` is readable:
  /// false. By the thread that serves.
  bool wait_until_idle(int give_up);
  /// A request has been taken whose handler begins later; whether one has been since the last call.
  void defer() noexcept { deferred_.store(true); }
  bool take_deferred() noexcept { return deferred_.exchange(false); }
  /// The handler of such a request begins; whether one has since forget_deferred(), by which
  /// somebody waits for that.
  void begin_deferred() noexcept {
    if (!deferred_begun_.exchange(true)) requests_->signal_event();
  }
  bool deferred_has_begun() const noexcept { return deferred_begun_.load(); }
  void forget_deferred() noexcept {
    deferred_.store(false);
    deferred_begun_.store(false);
  }

  /// Lets no request in for a while. True when there has been one since the pause before.
  bool pause();
  /// Waits for the length of a pause, and for nothing else: 0, or as wait_any().
  [[nodiscard]] PLUG_FOR_FIBER static long rest();
  void got_request();

 private:
  sys::OwnFd stop_wanted_;
  sys::OwnFd ended_;
  std::atomic<std::uint32_t> generation_ = sys::fork_generation();
  std::atomic<bool> stop_{false};
  std::atomic<bool> serving_{false};
  std::mutex mutex_;
  std::vector<const void*> callers_;  // that are in serve_forever()
  std::atomic<bool> does_not_wait_{false};
  std::atomic<bool> takes_ahead_{false};
  Ahead ahead_;
  std::atomic<bool> deferred_{false};
  std::atomic<bool> deferred_begun_{true};
  std::atomic<bool> paused_{false};
  std::atomic<std::int64_t> paused_until_{0};  // of the monotonic clock
  std::shared_ptr<LiveRequests> requests_;
  ServerChildren children_;
  const std::vector<std::unique_ptr<BaseServer>>* group_ = nullptr;
};

/// Prints the exception that is being handled, after `what` and the client, in one write.
PLUG_FOR_FIBER void report_exception(std::string_view what, const Address& client_address) noexcept;
PLUG_FOR_FIBER void report_exception(std::string_view what) noexcept;

struct ServerAccess {
  static ServerLoop& loop(BaseServer& server) noexcept { return *server.loop_; }
  static void check_shutdown(BaseServer& server) { server.check_shutdown(); }
  static std::shared_ptr<void> run_beside(BaseServer& server, std::function<void()> function) {
    return server.run_beside(std::move(function));
  }
  static std::shared_ptr<const void>& place(Request& request) noexcept { return request.place_; }
  static const std::shared_ptr<const void>& place(const Request& request) noexcept {
    return request.place_;
  }
};

}  // namespace plug::detail
