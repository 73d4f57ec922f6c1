#include "server_loop.hpp"

#include <plug/error.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <string>

#include "sys/process.hpp"
#include "wait/waiter.hpp"

namespace plug::detail {

namespace {

constexpr std::int64_t kPause = 50'000'000;  // nanoseconds

sys::OwnFd make_event() {
  const long made = sys::eventfd();
  if (made < 0) throw_if(error_from(made), "the events of a server");
  return sys::OwnFd(static_cast<int>(made));
}

}  // namespace

ServerLoop::ServerLoop() : wake_(make_event()), ended_(make_event()) {}

ServerLoop::Running::Running(ServerLoop& loop) : loop_(loop) {
  const std::lock_guard lock(loop_.mutex_);
  loop_.threads_.push_back(std::this_thread::get_id());
  loop_.serving_.store(true);
  sys::eventfd_drain(loop_.ended_.get());
}

ServerLoop::Running::~Running() {
  const std::lock_guard lock(loop_.mutex_);
  auto& threads = loop_.threads_;
  threads.erase(std::find(threads.begin(), threads.end(), std::this_thread::get_id()));
  if (!threads.empty()) return;
  loop_.stop_.store(false);
  sys::eventfd_drain(loop_.wake_.get());
  loop_.serving_.store(false);
  sys::eventfd_add(loop_.ended_.get());
}

void ServerLoop::stop() noexcept {
  const int before = errno;
  stop_.store(true);
  sys::eventfd_add(wake_.get());
  errno = before;
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
  return std::find(threads_.begin(), threads_.end(), std::this_thread::get_id()) != threads_.end();
}

ServerLoop::Watch::Watch(ServerLoop& loop, BaseServer& server)
    : fd_(server.fileno()),
      state_(SocketAccess::state(server.socket)),
      waker_{[](void* self) noexcept {
               sys::eventfd_add(static_cast<ServerLoop*>(self)->wake_.get());
             },
             &loop} {
  if (fd_ >= 0 && state_ && state_->descriptor.fd() == fd_) {
    in_flight_.emplace(state_->descriptor, false);
    listed_ = state_->descriptor.add(waker_);
    // When it is accepted a client may be gone, or another process may have taken it.
    if (listed_) sys::set_nonblocking(fd_, true);
  }
  if (fd_ < 0 || (in_flight_ && !listed_)) throw ValueError("Invalid file descriptor: -1");
}

ServerLoop::Watch::~Watch() {
  if (listed_) state_->descriptor.remove(waker_);
}

bool ServerLoop::wait(const Watch& watch, Deadline deadline, std::size_t most) {
  const std::int64_t pause =
      paused_.load() ? paused_until_.load() - sys::monotonic_nanoseconds() : 0;
  const bool full = most > 0 && connections_ && connections_->is_full(most);
  if (pause > 0) deadline = std::min(deadline, Deadline::after(pause));
  std::array entries{sys::PollEntry{wake_.get(), sys::kIn, 0},
                     sys::PollEntry{full        ? connections_->event()
                                    : pause > 0 ? -1
                                                : watch.fd(),
                                    sys::kIn, 0}};
  const long ready = wait_any(entries, deadline);
  if (ready < 0) throw_if(error_from(ready), "waiting for a request");
  if (watch.closed()) throw_if(error_from(-EBADF), "the server's socket");
  if (entries[0].revents != 0 && !stopping()) sys::eventfd_drain(wake_.get());
  return !full && entries[1].revents != 0;
}

bool ServerLoop::admit(Request& request, const Address& client_address, std::size_t most_of_host) {
  if (!connections_) connections_ = std::make_shared<ConnectionCount>();
  const AF family = client_address.family();
  const bool has_host = family == AF::INET || family == AF::INET6;
  auto place = ConnectionCount::enter(connections_, has_host ? client_address.host() : "",
                                      has_host ? most_of_host : 0);
  const bool admitted = place != nullptr;
  ServerAccess::place(request) = std::move(place);
  return admitted;
}

void ServerLoop::give_to_child(int child, const Request& request) {
  if (const auto& place = ServerAccess::place(request)) of_children_.emplace_back(child, place);
}

void ServerLoop::child_ended(int child) noexcept {
  for (auto it = of_children_.begin(); it != of_children_.end(); ++it) {
    if (it->first != child) continue;
    of_children_.erase(it);
    return;
  }
}

// --- counting connections ---

ConnectionCount::ConnectionCount() : ended_(make_event()) {}

std::shared_ptr<const void> ConnectionCount::enter(const std::shared_ptr<ConnectionCount>& self,
                                                   const std::string& host, std::size_t most) {
  struct Place {
    Place(std::shared_ptr<ConnectionCount> all, std::string name)
        : count(std::move(all)), host(std::move(name)) {}
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;
    ~Place() { count->leave(host); }
    std::shared_ptr<ConnectionCount> count;
    std::string host;
  };
  {
    const std::lock_guard lock(self->mutex_);
    std::size_t& here = self->by_host_[host];
    if (most > 0 && here >= most) return nullptr;
    ++here;
    ++self->count_;
  }
  try {
    return std::make_shared<const Place>(self, host);
  } catch (...) {
    self->leave(host);
    throw;
  }
}

void ConnectionCount::leave(const std::string& host) noexcept {
  const std::lock_guard lock(mutex_);
  --count_;
  const auto found = by_host_.find(host);
  if (--found->second == 0) by_host_.erase(found);
  sys::eventfd_add(ended_.get());
}

bool ConnectionCount::is_full(std::size_t most) {
  const std::lock_guard lock(mutex_);
  if (count_ < most) return false;
  sys::eventfd_drain(ended_.get());
  return true;
}

// --- pausing ---

bool ServerLoop::pause() {
  paused_until_.store(sys::monotonic_nanoseconds() + kPause);
  return !paused_.exchange(true);
}

void ServerLoop::got_request() {
  if (paused_.load(std::memory_order_relaxed)) paused_.store(false);
}

void report_exception(std::string_view what, const Address& client_address) noexcept {
  try {
    const std::string line(40, '-');
    std::string text = line + "\n" + std::string(what) + " " + to_string(client_address) + "\n";
    try {
      throw;
    } catch (const std::exception& error) {
      text += sys::type_name(typeid(error)) + ": " + error.what();
    } catch (...) {
      const std::type_info* const type = sys::current_exception_type();
      text += type == nullptr ? "an exception of another language" : sys::type_name(*type);
    }
    text += "\n" + line + "\n";
    sys::write_error(text.data(), text.size());
  } catch (...) {
    constexpr std::string_view kShort = "an exception, and no memory to describe it\n";
    sys::write_error(kShort.data(), kShort.size());
  }
}

}  // namespace plug::detail
