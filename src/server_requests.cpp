#include "server_requests.hpp"

#include <plug/error.hpp>

#include <utility>

#include "server_loop.hpp"
#include "socket_calls.hpp"

namespace plug::detail {

namespace {

constexpr int kShutBoth = 2;

void end_connection(SocketState& connection) noexcept {
  on_descriptor(connection, [](int fd) { return sys::shutdown(fd, kShutBoth); });
}

}  // namespace

struct LiveRequests::Place {
  Place(std::shared_ptr<LiveRequests> all, std::shared_ptr<SocketState> handled)
      : requests(std::move(all)), connection(std::move(handled)) {}
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;
  ~Place() {
    if (listed) requests->leave(*this);
  }

  const std::shared_ptr<LiveRequests> requests;
  const std::shared_ptr<SocketState> connection;
  mutable Host* host = nullptr;  // where its connection is counted
  bool listed = false;
  mutable RequestEnding* handler = nullptr;
  Place* previous = nullptr;
  Place* next = nullptr;
};

LiveRequests::LiveRequests() : changed_(make_event()) {}

std::shared_ptr<const void> LiveRequests::enter(std::shared_ptr<SocketState> connection,
                                                const std::string& host, std::size_t most) {
  auto place = std::make_shared<Place>(shared_from_this(), std::move(connection));
  if (generation_ != sys::fork_generation()) return place;
  const std::lock_guard lock(mutex_);
  if (!host.empty()) {
    Host& here = *by_host_.try_emplace(host, 0).first;
    if (most > 0 && here.second >= most) return nullptr;
    ++here.second;
    place->host = &here;
  }
  place->listed = true;
  place->next = first_;
  if (first_ != nullptr) first_->previous = place.get();
  first_ = place.get();
  if (place->connection) {
    ++connections_;
    if (is_cut()) end_connection(*place->connection);
  }
  return place;
}

void LiveRequests::leave(Place& place) noexcept {
  if (generation_ != sys::fork_generation()) return;
  const std::lock_guard lock(mutex_);
  (place.previous != nullptr ? place.previous->next : first_) = place.next;
  if (place.next != nullptr) place.next->previous = place.previous;
  if (place.connection) --connections_;
  leave_host(place);
  if (std::exchange(watched_, false)) signal_event();
}

/// With the mutex held.
void LiveRequests::leave_host(const Place& place) noexcept {
  Host* const host = std::exchange(place.host, nullptr);
  if (host != nullptr && --host->second == 0) by_host_.erase(by_host_.find(host->first));
}

void LiveRequests::stop_counting(const std::shared_ptr<const void>& place) noexcept {
  if (!place) return;
  const auto& its = *static_cast<const Place*>(place.get());
  LiveRequests& requests = *its.requests;
  if (requests.generation_ != sys::fork_generation()) return;
  const std::lock_guard lock(requests.mutex_);
  requests.leave_host(its);
}

void LiveRequests::set_handler(const std::shared_ptr<const void>& place,
                               RequestEnding* handler) noexcept {
  const auto& its = *static_cast<const Place*>(place.get());
  const std::lock_guard lock(its.requests->mutex_);
  its.handler = handler;
}

bool LiveRequests::is_full(std::size_t most) {
  const std::lock_guard lock(mutex_);
  if (connections_ < most) return false;
  watched_ = true;
  return true;
}

bool LiveRequests::is_idle() {
  const std::lock_guard lock(mutex_);
  if (first_ == nullptr) return true;
  watched_ = true;
  return false;
}

void LiveRequests::cut() noexcept {
  if (generation_ != sys::fork_generation()) return;
  const std::lock_guard lock(mutex_);
  cut_.store(true);
  for (Place* place = first_; place != nullptr; place = place->next) {
    if (place->handler != nullptr)
      place->handler->end_request();
    else if (place->connection)
      end_connection(*place->connection);
  }
}

}  // namespace plug::detail
