#include "server/requests.hpp"

#include <plug/error.hpp>

#include <utility>

#include "server/event.hpp"
#include "socket/calls.hpp"

namespace plug::detail::server {

namespace {

constexpr int kShutBoth = 2;

void end_connection(socket::SocketState& connection) noexcept {
  socket::on_descriptor(connection, [](int fd) { return sys::shutdown(fd, kShutBoth); });
}

}  // namespace

struct RequestRegistry::Entry : std::enable_shared_from_this<Entry>, ListNode<Entry> {
  Entry(std::shared_ptr<RequestRegistry> all, std::shared_ptr<socket::SocketState> handled)
      : requests(std::move(all)), connection(std::move(handled)) {}
  Entry(const Entry&) = delete;
  Entry& operator=(const Entry&) = delete;
  ~Entry() {
    if (listed) requests->leave(*this);
  }

  const std::shared_ptr<RequestRegistry> requests;
  const std::shared_ptr<socket::SocketState> connection;
  mutable Host* host = nullptr;  // the entry that counts its connection
  bool listed = false;
  mutable RequestEnding ending;
  mutable bool told = false;  // the handler has been told
};

RequestRegistry::RequestRegistry() : changed_(make_event()) {}

std::shared_ptr<const void> RequestRegistry::enter(std::shared_ptr<socket::SocketState> connection,
                                                   const std::string& host, std::size_t most) {
  auto entry = std::make_shared<Entry>(shared_from_this(), std::move(connection));
  if (fork_guard_.is_of_parent()) return entry;
  const std::lock_guard lock(mutex_);
  if (!host.empty()) {
    Host& here = *by_host_.try_emplace(host, 0).first;
    if (most > 0 && here.second >= most) return nullptr;
    ++here.second;
    entry->host = &here;
  }
  entry->listed = true;
  places_.push_front(*entry);
  if (entry->connection) {
    ++connections_;
    if (are_shut_down()) end_connection(*entry->connection);
  }
  return entry;
}

void RequestRegistry::leave(Entry& entry) noexcept {
  if (fork_guard_.is_of_parent()) return;
  const std::lock_guard lock(mutex_);
  places_.remove(entry);
  if (entry.connection) --connections_;
  leave_host(entry);
  if (std::exchange(watched_, false)) signal_event();
}

/// The mutex must be held.
void RequestRegistry::leave_host(const Entry& entry) noexcept {
  Host* const host = std::exchange(entry.host, nullptr);
  if (host != nullptr && --host->second == 0) by_host_.erase(by_host_.find(host->first));
}

void RequestRegistry::stop_counting(const std::shared_ptr<const void>& entry) noexcept {
  if (!entry) return;
  const auto& its = *static_cast<const Entry*>(entry.get());
  RequestRegistry& requests = *its.requests;
  if (requests.fork_guard_.is_of_parent()) return;
  const std::lock_guard lock(requests.mutex_);
  requests.leave_host(its);
}

void RequestRegistry::set_handler(const std::shared_ptr<const void>& entry,
                                  RequestEnding ending) noexcept {
  const auto& its = *static_cast<const Entry*>(entry.get());
  const std::lock_guard lock(its.requests->mutex_);
  std::swap(its.ending, ending);  // the old one is destroyed without the lock
}

bool RequestRegistry::end_handler(const std::shared_ptr<const void>& entry) noexcept {
  const auto& its = *static_cast<const Entry*>(entry.get());
  RequestEnding ending;
  {
    const std::lock_guard lock(its.requests->mutex_);
    if (its.ending.tell == nullptr) return false;
    if (std::exchange(its.told, true)) return true;
    ending = its.ending;
  }
  ending.tell(ending.handler.get(), its.connection.get());
  return true;
}

bool RequestRegistry::is_full(std::size_t most) {
  const std::lock_guard lock(mutex_);
  if (connections_ < most) return false;
  watched_ = true;
  return true;
}

bool RequestRegistry::is_idle() {
  const std::lock_guard lock(mutex_);
  if (places_.empty()) return true;
  watched_ = true;
  return false;
}

/// Returns the first entry from `entry` on that is not about to leave. The mutex must be held.
std::shared_ptr<RequestRegistry::Entry> RequestRegistry::hold(Entry* entry) noexcept {
  std::shared_ptr<Entry> held;
  for (; entry != nullptr && !held; entry = IntrusiveList<Entry>::next(*entry))
    held = entry->weak_from_this().lock();
  return held;
}

void RequestRegistry::shut_down_all() noexcept {
  if (fork_guard_.is_of_parent()) return;
  std::shared_ptr<Entry> entry;
  {
    const std::lock_guard lock(mutex_);
    shut_down_.store(true);
    entry = hold(places_.first());
  }
  // An entry that is held stays in the list; new entries come before it.
  while (entry) {
    if (!end_handler(entry) && entry->connection) end_connection(*entry->connection);
    std::unique_lock lock(mutex_);
    std::shared_ptr<Entry> next = hold(IntrusiveList<Entry>::next(*entry));
    lock.unlock();
    entry = std::move(next);
  }
}

}  // namespace plug::detail::server
