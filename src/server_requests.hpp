#pragma once

// The requests that a server has taken and that are still being handled.

#include <atomic>
#include <cstddef>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <utility>

#include "socket_state.hpp"
#include "sys/for_fiber.hpp"
#include "sys/syscalls.hpp"

namespace plug::detail {

/// How what handles a request is told to end: tell() is called with no lock held, and may do
/// anything. `connection` is null for a datagram.
struct RequestEnding {
  void (*tell)(void* handler, SocketState* connection) noexcept = nullptr;
  std::shared_ptr<void> handler;
};

/// Counts requests, for limits and for whoever waits until there are none, and can end their
/// connections. Each has a place here for as long as its Request lives, which may be longer than
/// the server. Threads: all of it from any. In a forked child the requests are the parent's, and
/// nothing happens.
class LiveRequests : public std::enable_shared_from_this<LiveRequests> {
 public:
  /// Throws OSError when there is no descriptor for its event.
  LiveRequests();

  /// A place for a request, for as long as the result lives. `connection` is null for a datagram;
  /// `host` is empty unless connections are counted by it. Null when `host` has `most` already.
  std::shared_ptr<const void> enter(std::shared_ptr<SocketState> connection,
                                    const std::string& host, std::size_t most);

  /// Counts the request no more for its host, before the place is left: its client may be about to
  /// see the end of the connection, and to come again. `place` is a result of enter(), or null.
  static void stop_counting(const std::shared_ptr<const void>& place) noexcept;

  /// Has cut() tell the handler of the request to end, in place of its connection; without one: no
  /// more. `place` is a result of enter().
  PLUG_FOR_FIBER static void set_handler(const std::shared_ptr<const void>& place,
                                         RequestEnding ending) noexcept;
  /// Tells the handler to end, unless it has been told: whether there is one.
  PLUG_FOR_FIBER static bool end_handler(const std::shared_ptr<const void>& place) noexcept;

  /// Whether there are `most` connections or more. If so the event is readable once one has ended.
  bool is_full(std::size_t most);
  /// Whether there are none. If not the event is readable once one has ended.
  bool is_idle();
  int event() const noexcept { return changed_.get(); }
  /// For a reason of the server's own.
  void signal_event() const noexcept { sys::eventfd_add(changed_); }
  void drain_event() const noexcept { sys::eventfd_drain(changed_); }

  /// Shuts down each connection, and those to come, so that their handlers end; tells those
  /// handlers that can be told, who may do anything meanwhile.
  void cut() noexcept;
  bool is_cut() const noexcept { return cut_.load(); }
  /// Those to come are left alone again.
  void uncut() noexcept { cut_.store(false); }

 private:
  struct Place;
  using Host = std::pair<const std::string, std::size_t>;  // of by_host_

  void leave(Place& place) noexcept;
  void leave_host(const Place& place) noexcept;
  static std::shared_ptr<Place> hold(Place* place) noexcept;

  const std::uint32_t generation_ = sys::fork_generation();
  sys::OwnFd changed_;
  std::atomic<bool> cut_{false};
  std::mutex mutex_;
  bool watched_ = false;  // somebody waits for the event
  Place* first_ = nullptr;
  std::size_t connections_ = 0;
  std::unordered_map<std::string, std::size_t> by_host_;
};

}  // namespace plug::detail
