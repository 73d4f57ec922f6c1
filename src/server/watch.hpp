#pragma once

#include <plug/socketserver.hpp>

#include <cstddef>
#include <memory>
#include <optional>

#include "base/deadline.hpp"
#include "server/loop.hpp"
#include "socket/state.hpp"
#include "wait/descriptor.hpp"
#include "wait/event_set.hpp"

namespace plug::detail::server {

/// Waits for requests. Keeps the number of the server's descriptor taken, and is woken when the
/// descriptor closes. For one thread, or one fiber.
class RequestWatch {
 public:
  /// Throws ValueError if the server has no descriptor.
  RequestWatch(ServerLoop& loop, BaseServer& server);
  RequestWatch(const RequestWatch&) = delete;
  RequestWatch& operator=(const RequestWatch&) = delete;
  ~RequestWatch();

  /// Waits for a request and returns true if there is one. Returns false if the deadline has
  /// passed, or if there is something else to look at, such as a request to stop (if `stoppable`).
  /// During a pause it reports no request. With `most` connections (zero: no limit) it waits until
  /// one has ended. Throws OSError EBADF if the descriptor closes.
  bool wait(Deadline deadline, std::size_t most, bool stoppable);

 private:
  struct Ready {
    bool request;
    bool event;  // of the requests that are being handled
  };

  Ready wait_ready(bool listening, Deadline deadline, bool stoppable);
  bool has_set();
  Ready wait_in_set(bool listening, Deadline deadline);
  bool closed() const noexcept { return in_flight_ && state_->descriptor.closed(); }

  ServerLoop& loop_;
  const int fd_;
  const std::shared_ptr<socket::SocketState> state_;
  std::optional<wait::Descriptor::InFlight> in_flight_;  // if the descriptor is the socket's
  wait::Waker waker_;
  bool listed_ = false;
  std::optional<wait::EventSet> set_;
  bool in_set_ = false;           // the descriptor is in the set
  bool children_in_set_ = false;  // the children's event is in the set
};

}  // namespace plug::detail::server
