#include "server/loop.hpp"

#include <plug/error.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <string>

#include "layout/sockaddr.hpp"
#include "socket/calls.hpp"
#include "sys/process.hpp"
#include "wait/io_driver.hpp"

namespace plug::detail {

namespace {

constexpr std::int64_t kPause = 50'000'000;  // nanoseconds
constexpr std::uint64_t kRequestEvent = 0, kLoopEvent = 1, kStopEvent = 2, kChildEvent = 3;

/// Returns the host of an address, for counting: its first bits. A link-local address counts as a
/// whole, with its interface, because it may exist on each interface. Empty if nothing is counted.
std::string host_of(const Address& address, const HostLimit& limit) {
  constexpr std::size_t kOfIpv4 = 4, kOfIpv6 = 16, kMapped = 12;
  sys::InetFields fields;
  if (!sys::read_inet(address.bytes(), fields)) return {};
  const bool ipv6 = static_cast<AF>(fields.family) == AF::INET6;
  std::string host(reinterpret_cast<const char*>(fields.host), ipv6 ? kOfIpv6 : kOfIpv4);
  const std::string_view mapped("\0\0\0\0\0\0\0\0\0\0\xff\xff", kMapped);
  int prefix = limit.ipv4_prefix;
  if (ipv6 && host.starts_with(mapped)) {
    host.erase(0, kMapped);
  } else if (ipv6) {
    const bool of_link = fields.host[0] == 0xfe && (fields.host[1] & 0xc0) == 0x80;
    if (of_link) return host + std::to_string(fields.scope_id);
    prefix = limit.ipv6_prefix;
  }
  const std::size_t bits = host.size() * 8;
  const std::size_t kept = prefix < 0 ? bits : std::min(static_cast<std::size_t>(prefix), bits);
  for (std::size_t bit = kept; bit < bits; ++bit)
    host[bit / 8] = static_cast<char>(host[bit / 8] & ~(0x80 >> bit % 8));
  return host;
}

/// Returns null for a datagram.
std::shared_ptr<SocketState> connection_of(Request& request) noexcept {
  return request.is_datagram() ? nullptr : SocketAccess::state(request.socket());
}

}  // namespace

sys::OwnFd make_event() {
  const long made = sys::eventfd();
  if (made < 0) throw_if(error_from(made), "the events of a server");
  return sys::OwnFd(static_cast<int>(made));
}

ServerLoop::ServerLoop()
    : stop_wanted_(make_event()),
      ended_(make_event()),
      requests_(std::make_shared<RequestRegistry>()) {}

void ServerLoop::close_sockets_of_others(BaseServer& server) noexcept {
  if (group_ == nullptr) return;
  std::error_code ignored;
  for (const auto& other : *group_)
    if (other.get() != &server) other->socket.close(ignored);
}

void ServerLoop::adopt() {
  if (!forked()) return;
  sys::OwnFd stop_wanted = make_event();
  sys::OwnFd ended = make_event();
  requests_ = std::make_shared<RequestRegistry>();
  stop_wanted_ = std::move(stop_wanted);
  ended_ = std::move(ended);
  stop_.store(false);
  serving_.store(false);
  callers_.clear();
  children_ = ServerChildren();
  generation_.store(sys::fork_generation());
}

ServerLoop::Running::Running(ServerLoop& loop) : loop_(loop) {
  const std::lock_guard lock(loop_.mutex_);
  loop_.callers_.push_back(caller());
  if (!loop_.serving_.exchange(true)) loop_.requests_->accept_again();
  sys::eventfd_drain(loop_.ended_);
}

ServerLoop::Running::~Running() {
  const std::lock_guard lock(loop_.mutex_);
  auto& callers = loop_.callers_;
  callers.erase(std::find(callers.begin(), callers.end(), caller()));
  if (!callers.empty()) return;
  loop_.forget_stop();
  loop_.serving_.store(false);
  sys::eventfd_add(loop_.ended_);
}

void ServerLoop::let_one_in() {
  const std::lock_guard lock(mutex_);
  if (!serving_.load()) requests_->accept_again();
}

void ServerLoop::stop() noexcept {
  const int before = errno;
  stop_.store(true);
  sys::eventfd_add(stop_wanted_);
  errno = before;
}

void ServerLoop::forget_stop() noexcept {
  stop_.store(false);
  sys::eventfd_drain(stop_wanted_);
}

void ServerLoop::wait_until_ended() {
  while (serving_.load()) {
    std::array entries{sys::PollEntry{ended_.get(), sys::kIn, 0}};
    const long ready = wait_any(entries, Deadline::none());
    if (ready < 0) throw_if(error_from(ready), "shutdown");
  }
}

bool ServerLoop::runs_here() {
  const std::lock_guard lock(mutex_);
  return std::find(callers_.begin(), callers_.end(), caller()) != callers_.end();
}

ServerLoop::Watch::Watch(ServerLoop& loop, BaseServer& server)
    : loop_(loop),
      fd_(server.fileno()),
      state_(SocketAccess::state(server.socket)),
      waker_{[](void* self) noexcept { static_cast<ServerLoop*>(self)->requests_->signal_event(); },
             &loop} {
  if (fd_ >= 0 && state_ && state_->descriptor.fd() == fd_) {
    in_flight_.emplace(state_->descriptor, false);
    // Non-blocking, because a client may be gone when it is accepted, or another process may have
    // taken it. Datagrams are received by a call that never waits, and answered on the same socket
    // by handlers that may wait.
    const auto type = static_cast<SOCK>(state_->type);
    if (in_flight_->fd() >= 0 && (type == SOCK::STREAM || type == SOCK::SEQPACKET))
      if (const long set = sys::set_nonblocking(fd_, true); set < 0)
        throw_if(error_from(set), "the server's socket");
    listed_ = state_->descriptor.add(waker_);
  }
  if (fd_ < 0 || (in_flight_ && !listed_)) throw ValueError("Invalid file descriptor: -1");
}

ServerLoop::Watch::~Watch() {
  if (listed_) state_->descriptor.remove(waker_);
}

/// Returns true if there is an event set. Only the server's own socket uses one, because it cannot
/// close unnoticed.
bool ServerLoop::Watch::has_set() {
  if (set_ || !prefers_event_set() || !listed_) return set_.has_value();
  const long made = sys::epoll_create();
  if (made < 0) return false;
  set_.emplace(static_cast<int>(made));
  if (set_->add(loop_.requests_->event(), sys::kIn, kLoopEvent) < 0 ||
      set_->add(loop_.stop_event(), sys::kIn, kStopEvent) < 0)
    set_.reset();
  return set_.has_value();
}

ServerLoop::Watch::Ready ServerLoop::Watch::wait_in_set(bool listening, Deadline deadline) {
  if (listening != in_set_) {
    const long changed = listening ? set_->add(fd_, sys::kIn, kRequestEvent) : set_->remove(fd_);
    if (changed < 0) throw_if(error_from(changed), "waiting for a request");
    in_set_ = listening;
  }
  if (const int children = loop_.children_.event(); children >= 0 && !children_in_set_) {
    const long added = set_->add(children, sys::kIn, kChildEvent);
    if (added < 0) throw_if(error_from(added), "waiting for the children of a server");
    children_in_set_ = true;
  }
  std::array<sys::EpollEvent, 4> events{};
  const long count = set_->wait(events, deadline);
  if (count < 0 && count != kTimedOut) throw_if(error_from(count), "waiting for a request");
  Ready ready{false, false};
  for (long i = 0; i < count; ++i) {
    const std::uint64_t which = events[static_cast<std::size_t>(i)].data;
    ready.request |= which == kRequestEvent;
    ready.event |= which == kLoopEvent;
  }
  return ready;
}

ServerLoop::Watch::Ready ServerLoop::Watch::wait(bool listening, Deadline deadline,
                                                 bool stoppable) {
  if (stoppable && has_set()) return wait_in_set(listening, deadline);
  std::array entries{sys::PollEntry{listening ? fd_ : -1, sys::kIn, 0},
                     sys::PollEntry{loop_.requests_->event(), sys::kIn, 0},
                     sys::PollEntry{stoppable ? loop_.stop_event() : -1, sys::kIn, 0},
                     sys::PollEntry{loop_.children_.event(), sys::kIn, 0}};
  const long ready = wait_any(entries, deadline);
  if (ready < 0) throw_if(error_from(ready), "waiting for a request");
  return {entries[0].revents != 0, entries[1].revents != 0};
}

bool ServerLoop::wait(Watch& watch, Deadline deadline, std::size_t most, bool stoppable) {
  const std::int64_t pause =
      paused_.load() ? paused_until_.load() - sys::monotonic_nanoseconds() : 0;
  const bool listening = has_room(most) && pause <= 0;
  if (pause > 0) deadline = std::min(deadline, deadline_after(pause));
  deadline = std::min(deadline, children_.next_look());
  const Watch::Ready ready = watch.wait(listening, deadline, stoppable);
  if (ready.event) requests_->drain_event();
  children_.look();
  if (watch.closed()) throw_if(error_from(-EBADF), "the server's socket");
  return ready.request;
}

bool ServerLoop::admit(Request& request, const Address& client_address, const HostLimit& limit) {
  const bool by_host = limit.most > 0 && !request.is_datagram();
  if (by_host) children_.look();
  const std::string host = by_host ? host_of(client_address, limit) : std::string();
  auto& place = ServerAccess::place(request);
  // A program may hand out a request again after it has been handled: it is counted anew.
  place.reset();
  place = requests_->enter(connection_of(request), host, limit.most);
  return place != nullptr;
}

void ServerLoop::count_if_new(Request& request) {
  auto& place = ServerAccess::place(request);
  if (!place) place = requests_->enter(connection_of(request), {}, 0);
}

// --- ending ---

bool ServerLoop::wait_until_idle(int give_up) {
  for (;;) {
    children_.look();
    requests_->drain_event();
    if (requests_->is_idle()) {
      requests_->signal_event();  // another thread may wait too
      return true;
    }
    std::array entries{sys::PollEntry{give_up, sys::kIn, 0},
                       sys::PollEntry{requests_->event(), sys::kIn, 0},
                       sys::PollEntry{children_.event(), sys::kIn, 0}};
    const long ready = wait_any(entries, children_.next_look());
    if (ready < 0) throw_if(error_from(ready), "waiting for the requests of a server");
    if (entries[0].revents != 0) return false;
  }
}

// --- pausing ---

long ServerLoop::rest() { return wait_any({}, deadline_after(kPause)); }

bool ServerLoop::pause() {
  paused_until_.store(sys::monotonic_nanoseconds() + kPause);
  return !paused_.exchange(true);
}

void ServerLoop::got_request() {
  if (paused_.load(std::memory_order_relaxed)) paused_.store(false);
}

void report_exception(std::string_view what, const Address& client_address) noexcept {
  std::string text;
  try {
    text = std::string(what) + " " + to_string(client_address);
  } catch (const std::bad_alloc&) {
    return report_exception(what);
  }
  report_exception(text);
}

}  // namespace plug::detail
