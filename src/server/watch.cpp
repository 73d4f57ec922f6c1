#include "server/watch.hpp"

#include <plug/error.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>

#include "wait/io_driver.hpp"

namespace plug::detail::server {

namespace {

constexpr std::uint64_t kRequestEvent = 0, kLoopEvent = 1, kStopEvent = 2, kChildEvent = 3;

}  // namespace

RequestWatch::RequestWatch(ServerLoop& loop, BaseServer& server)
    : loop_(loop),
      fd_(server.fileno()),
      state_(socket::SocketAccess::state(server.socket)),
      waker_{[](void* self) noexcept { static_cast<ServerLoop*>(self)->requests().signal_event(); },
             &loop} {
  if (fd_ >= 0 && state_ && state_->descriptor.fd() == fd_) {
    in_flight_.emplace(state_->descriptor, false);
    // Non-blocking, because a client may be gone when it is accepted, or another process may have
    // taken it. Datagrams are received by a call that never waits, and answered on the same socket
    // by handlers that may wait.
    const auto type = static_cast<SOCK>(state_->type);
    if (in_flight_->fd() >= 0 && (type == SOCK::STREAM || type == SOCK::SEQPACKET))
      if (const long set = sys::set_nonblocking(fd_, true); set < 0)
        throw_if(base::error_from(set), "the server's socket");
    listed_ = state_->descriptor.add(waker_);
  }
  if (fd_ < 0 || (in_flight_ && !listed_)) throw ValueError("Invalid file descriptor: -1");
}

RequestWatch::~RequestWatch() {
  if (listed_) state_->descriptor.remove(waker_);
}

bool RequestWatch::wait(Deadline deadline, std::size_t most, bool stoppable) {
  const std::int64_t pause = loop_.pause().left();
  const bool listening = loop_.has_room(most) && pause <= 0;
  if (pause > 0) deadline = std::min(deadline, base::deadline_after(pause));
  deadline = std::min(deadline, loop_.children().next_look());
  const Ready ready = wait_ready(listening, deadline, stoppable);
  if (ready.event) loop_.requests().drain_event();
  loop_.children().look();
  if (closed()) throw_if(base::error_from(-EBADF), "the server's socket");
  return ready.request;
}

/// Waits, as wait_any() does, until there is a request (if `listening`) or another event. In a
/// fiber, where wait_any() takes many system calls, it uses an event set.
RequestWatch::Ready RequestWatch::wait_ready(bool listening, Deadline deadline, bool stoppable) {
  if (stoppable && has_set()) return wait_in_set(listening, deadline);
  std::array entries{sys::PollEntry{listening ? fd_ : -1, sys::kIn, 0},
                     sys::PollEntry{loop_.requests().event(), sys::kIn, 0},
                     sys::PollEntry{stoppable ? loop_.serving().stop_event() : -1, sys::kIn, 0},
                     sys::PollEntry{loop_.children().event(), sys::kIn, 0}};
  const long ready = wait::wait_any(entries, deadline);
  if (ready < 0) throw_if(base::error_from(ready), "waiting for a request");
  return {entries[0].revents != 0, entries[1].revents != 0};
}

/// Returns true if there is an event set. Only the server's own socket uses one, because it cannot
/// close unnoticed.
bool RequestWatch::has_set() {
  if (set_ || !wait::prefers_event_set() || !listed_) return set_.has_value();
  const long made = sys::epoll_create();
  if (made < 0) return false;
  set_.emplace(static_cast<int>(made));
  if (set_->add(loop_.requests().event(), sys::kIn, kLoopEvent) < 0 ||
      set_->add(loop_.serving().stop_event(), sys::kIn, kStopEvent) < 0)
    set_.reset();
  return set_.has_value();
}

RequestWatch::Ready RequestWatch::wait_in_set(bool listening, Deadline deadline) {
  if (listening != in_set_) {
    const long changed = listening ? set_->add(fd_, sys::kIn, kRequestEvent) : set_->remove(fd_);
    if (changed < 0) throw_if(base::error_from(changed), "waiting for a request");
    in_set_ = listening;
  }
  if (const int children = loop_.children().event(); children >= 0 && !children_in_set_) {
    const long added = set_->add(children, sys::kIn, kChildEvent);
    if (added < 0) throw_if(base::error_from(added), "waiting for the children of a server");
    children_in_set_ = true;
  }
  std::array<sys::RawEpollEvent, 4> events{};
  const long count = set_->wait(events, deadline);
  if (count < 0 && count != base::kTimedOut)
    throw_if(base::error_from(count), "waiting for a request");
  Ready ready{false, false};
  for (long i = 0; i < count; ++i) {
    const std::uint64_t which = events[static_cast<std::size_t>(i)].data;
    ready.request |= which == kRequestEvent;
    ready.event |= which == kLoopEvent;
  }
  return ready;
}

}  // namespace plug::detail::server
