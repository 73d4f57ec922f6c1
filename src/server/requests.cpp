#include "server/requests.hpp"

#include <plug/error.hpp>

#include <utility>

#include "server/event.hpp"
#include "socket/calls.hpp"

namespace plug::detail {

namespace {

constexpr int kShutBoth = 2;

void end_connection(SocketState& connection) noexcept {
  on_descriptor(connection, [](int fd) { return sys::shutdown(fd, kShutBoth); });
}

}  // namespace

struct RequestRegistry::Place : std::enable_shared_from_this<Place>, ListNode<Place> {
  Place(std::shared_ptr<RequestRegistry> all, std::shared_ptr<SocketState> handled)
      : requests(std::move(all)), connection(std::move(handled)) {}
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;
  ~Place() {
    if (listed) requests->leave(*this);
  }

  const std::shared_ptr<RequestRegistry> requests;
  const std::shared_ptr<SocketState> connection;
  mutable Host* host = nullptr;  // the entry that counts its connection
  bool listed = false;
  mutable RequestEnding ending;
  mutable bool told = false;  // the handler has been told
};

RequestRegistry::RequestRegistry() : changed_(make_event()) {}

std::shared_ptr<const void> RequestRegistry::enter(std::shared_ptr<SocketState> connection,
                                                   const std::string& host, std::size_t most) {
  auto place = std::make_shared<Place>(shared_from_this(), std::move(connection));
  if (fork_guard_.is_of_parent()) return place;
  const std::lock_guard lock(mutex_);
  if (!host.empty()) {
    Host& here = *by_host_.try_emplace(host, 0).first;
    if (most > 0 && here.second >= most) return nullptr;
    ++here.second;
    place->host = &here;
  }
  place->listed = true;
  places_.push_front(*place);
  if (place->connection) {
    ++connections_;
    if (is_cut()) end_connection(*place->connection);
  }
  return place;
}

void RequestRegistry::leave(Place& place) noexcept {
  if (fork_guard_.is_of_parent()) return;
  const std::lock_guard lock(mutex_);
  places_.remove(place);
  if (place.connection) --connections_;
  leave_host(place);
  if (std::exchange(watched_, false)) signal_event();
}

/// The mutex must be held.
void RequestRegistry::leave_host(const Place& place) noexcept {
  Host* const host = std::exchange(place.host, nullptr);
  if (host != nullptr && --host->second == 0) by_host_.erase(by_host_.find(host->first));
}

void RequestRegistry::stop_counting(const std::shared_ptr<const void>& place) noexcept {
  if (!place) return;
  const auto& its = *static_cast<const Place*>(place.get());
  RequestRegistry& requests = *its.requests;
  if (requests.fork_guard_.is_of_parent()) return;
  const std::lock_guard lock(requests.mutex_);
  requests.leave_host(its);
}

void RequestRegistry::set_handler(const std::shared_ptr<const void>& place,
                                  RequestEnding ending) noexcept {
  const auto& its = *static_cast<const Place*>(place.get());
  const std::lock_guard lock(its.requests->mutex_);
  std::swap(its.ending, ending);  // the old one is destroyed without the lock
}

bool RequestRegistry::end_handler(const std::shared_ptr<const void>& place) noexcept {
  const auto& its = *static_cast<const Place*>(place.get());
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

/// Returns the first place from `place` on that is not about to leave. The mutex must be held.
std::shared_ptr<RequestRegistry::Place> RequestRegistry::hold(Place* place) noexcept {
  std::shared_ptr<Place> held;
  for (; place != nullptr && !held; place = IntrusiveList<Place>::next(*place))
    held = place->weak_from_this().lock();
  return held;
}

void RequestRegistry::shut_down_all() noexcept {
  if (fork_guard_.is_of_parent()) return;
  std::shared_ptr<Place> place;
  {
    const std::lock_guard lock(mutex_);
    cut_.store(true);
    place = hold(places_.first());
  }
  // A place that is held stays in the list; new places come before it.
  while (place) {
    if (!end_handler(place) && place->connection) end_connection(*place->connection);
    std::unique_lock lock(mutex_);
    std::shared_ptr<Place> next = hold(IntrusiveList<Place>::next(*place));
    lock.unlock();
    place = std::move(next);
  }
}

}  // namespace plug::detail
