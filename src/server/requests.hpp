#pragma once

// The requests of a server that are being handled.

#include <plug/detail/intrusive_list.hpp>

#include <atomic>
#include <cstddef>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <utility>

#include "base/process_local.hpp"
#include "socket/state.hpp"
#include "sys/for_fiber.hpp"
#include "sys/syscalls.hpp"

namespace plug::detail::server {

/// The way to tell the handler of a request to end. tell() is called with no lock held and may do
/// anything. `connection` is null for a datagram.
struct RequestEnding {
  void (*tell)(void* handler, socket::SocketState* connection) noexcept = nullptr;
  std::shared_ptr<void> handler;
};

/// Counts requests, for limits and for callers that wait until there are none, and can end their
/// connections. A request has an entry here for as long as its Request lives, which may be longer
/// than the server lives. Thread-safe. In a forked child the requests are the parent's, and nothing
/// happens.
class RequestRegistry : public std::enable_shared_from_this<RequestRegistry> {
 public:
  /// Throws OSError if the system has no descriptor left for its event.
  RequestRegistry();

  /// Adds a request for as long as the result lives. `connection` is null for a datagram; `host` is
  /// empty unless connections are counted per host. Returns null if `host` has `most` already.
  std::shared_ptr<const void> enter(std::shared_ptr<socket::SocketState> connection,
                                    const std::string& host, std::size_t most);

  /// Stops counting the request for its host before the request leaves: its client may be about to
  /// see the end of the connection and to come again. `entry` is a result of enter(), or null.
  static void stop_counting(const std::shared_ptr<const void>& entry) noexcept;

  /// Makes shut_down_all() tell the handler of the request to end, instead of shutting down its
  /// connection. An empty `ending` undoes that. `entry` is a result of enter().
  PLUG_FOR_FIBER static void set_handler(const std::shared_ptr<const void>& entry,
                                         RequestEnding ending) noexcept;
  /// Tells the handler to end, unless it has been told. Returns true if there is a handler.
  PLUG_FOR_FIBER static bool end_handler(const std::shared_ptr<const void>& entry) noexcept;

  /// Returns true if there are `most` connections or more; the event is readable once one has
  /// ended.
  bool is_full(std::size_t most);
  /// Returns true if there are none; otherwise the event is readable once one has ended.
  bool is_idle();
  int event() const noexcept { return changed_.get(); }
  /// Signals the event for another reason of the server.
  void signal_event() const noexcept { sys::eventfd_add(changed_); }
  void drain_event() const noexcept { sys::eventfd_drain(changed_); }

  /// Shuts down each connection, and those to come, so that their handlers end. Handlers that can
  /// be told to end are told instead, and may do anything meanwhile.
  void shut_down_all() noexcept;
  bool are_shut_down() const noexcept { return shut_down_.load(); }
  /// Accepts connections again after shut_down_all().
  void accept_again() noexcept { shut_down_.store(false); }

 private:
  struct Entry;
  using Host = std::pair<const std::string, std::size_t>;  // an element of by_host_

  void leave(Entry& entry) noexcept;
  void leave_host(const Entry& entry) noexcept;
  static std::shared_ptr<Entry> hold(Entry* entry) noexcept;

  const base::ForkGuard fork_guard_;
  sys::OwnFd changed_;
  std::atomic<bool> shut_down_{false};
  std::mutex mutex_;
  bool watched_ = false;  // a caller waits for the event
  IntrusiveList<Entry> places_;
  std::size_t connections_ = 0;
  std::unordered_map<std::string, std::size_t> by_host_;
};

}  // namespace plug::detail::server
