#include "fiber_server/deferred_connections.hpp"

#include <plug/fiber/fiber.hpp>

#include <cstddef>
#include <new>
#include <utility>

#include "fiber/scheduler.hpp"
#include "server/pause.hpp"

namespace plug::detail::fiber_server {

namespace {

constexpr std::uint32_t kReadHangUp = 0x2000, kOnce = std::uint32_t{1} << 30;
constexpr std::uint64_t kLookAgain = 0;

}  // namespace

bool DeferredConnections::open() noexcept {
  if (set_) return true;
  if (look_again_.get() < 0) look_again_ = sys::OwnFd(static_cast<int>(sys::eventfd()));
  const long made = look_again_.get() < 0 ? -1 : sys::epoll_create();
  if (made < 0) return false;
  set_.emplace(static_cast<int>(made));
  if (set_->add(look_again_.get(), sys::kIn, kLookAgain) < 0) set_.reset();
  return set_.has_value();
}

bool DeferredConnections::add(Connection& connection, wait::Descriptor& descriptor,
                              Deadline deadline) {
  if (over_) return false;
  try {
    if (!watched_)
      plug::fiber::spawn("deferred connections", [self = shared_from_this()] { self->watch(); });
    watched_ = true;
    if (!deadline.is_none()) connection.timer_ = timers_.emplace(deadline, &connection);
  } catch (const std::bad_alloc&) {
    return false;
  }
  connection.timed_ = !deadline.is_none();
  connection.in_flight_.emplace(descriptor, false);
  connection.silent_ = this;
  connections_.push_front(connection);
  if (!await(connection)) {
    forget(connection);
    return false;
  }
  if (deadline < waits_) look_again();
  return true;
}

/// Registers a connection with the engine if the engine can watch it, else with the event set.
bool DeferredConnections::await(Connection& connection) {
  const int fd = connection.in_flight_->fd();
  if (fd < 0) return false;
  fiber::IoEngine& engine = fiber::FiberScheduler::here()->engine();
  if (engine.supports_read_events()) {
    try {
      return engine.await_arrival(*connection.in_flight_, connection) >= 0;
    } catch (const std::bad_alloc&) {
      return false;
    }
  }
  const auto data = reinterpret_cast<std::uintptr_t>(&connection);
  return open() && set_->add(fd, std::uint32_t{sys::kIn} | kReadHangUp | kOnce, data) >= 0;
}

void DeferredConnections::look_again() noexcept {
  if (set_) sys::eventfd_add(look_again_);
  if (fiber_ != nullptr) fiber_->owner->wake(*fiber_);
}

void DeferredConnections::forget(Connection& connection) noexcept {
  if (connection.timed_) timers_.erase(connection.timer_);
  connection.in_flight_.reset();
  connections_.remove(connection);
}

void DeferredConnections::withdraw(Connection& connection) noexcept {
  if (set_)
    set_->remove(connection.in_flight_->fd());
  else
    fiber::FiberScheduler::here()->engine().forget_arrival(*connection.in_flight_);
  forget(connection);
}

void DeferredConnections::drop(Connection& connection) noexcept {
  withdraw(connection);
  connection.on_timeout();
}

void DeferredConnections::has_come(Connection& connection) noexcept {
  forget(connection);
  readable_.push_back(connection);
  if (fiber_ != nullptr) fiber_->owner->wake(*fiber_);
}

void DeferredConnections::call_readable() noexcept {
  while (Connection* const connection = readable_.pop_front()) connection->on_readable();
}

void DeferredConnections::drop_late() noexcept {
  while (!timers_.empty() && base::remaining(timers_.begin()->first) == 0)
    drop(*timers_.begin()->second);
}

void DeferredConnections::close_all() noexcept {
  while (!connections_.empty()) drop(*connections_.first());
  if (watched_) look_again();
}

void DeferredConnections::set_all_aside() noexcept {
  while (!connections_.empty()) {
    Connection& connection = *connections_.first();
    withdraw(connection);
    connection.is_set_aside();
  }
  if (watched_) look_again();
}

void DeferredConnections::look_at(const Events& events, long count) noexcept {
  for (long i = 0; i < count; ++i) {
    const std::uint64_t data = events[static_cast<std::size_t>(i)].data;
    if (data == kLookAgain)
      sys::eventfd_drain(look_again_);
    else
      // NOLINTNEXTLINE(performance-no-int-to-ptr): epoll carries a number here
      has_come(*reinterpret_cast<Connection*>(static_cast<std::uintptr_t>(data)));
  }
}

/// Waits until a connection has data or until `waits_`. Returns a value >= 0, kTimedOut, or another
/// error.
long DeferredConnections::wait() {
  if (!set_) {
    const fiber::FiberScheduler::WakeReason woken =
        fiber_->owner->park(waits_, "deferred connections");
    return woken == fiber::FiberScheduler::WakeReason::cancel ? base::kCancelled : 0;
  }
  Events events;
  const long count = set_->wait(events, waits_);
  if (count > 0) look_at(events, count);
  return count;
}

void DeferredConnections::watch() {
  fiber_ = &fiber::FiberScheduler::here()->current();
  while (!connections_.empty() || !readable_.empty()) {
    waits_ = timers_.empty() ? Deadline::none() : timers_.begin()->first;
    long waited = readable_.empty() ? wait() : 0;
    waits_ = Deadline::immediate();
    // There may have been no memory for the wait.
    if (waited < 0 && waited != base::kTimedOut && waited != base::kCancelled)
      waited = server::AcceptPause::rest();
    if (waited == base::kCancelled) {
      over_ = true;
      close_all();
    }
    // All are off the list before the first callback, which may close others.
    call_readable();
    drop_late();
  }
  fiber_ = nullptr;
  watched_ = false;
}

}  // namespace plug::detail::fiber_server
