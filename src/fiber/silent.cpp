#include "fiber/silent.hpp"

#include <plug/fiber.hpp>

#include <cstddef>
#include <new>

#include "server_loop.hpp"

namespace plug::detail {

namespace {

constexpr std::uint32_t kReadHangUp = 0x2000, kOnce = std::uint32_t{1} << 30;
constexpr std::uint64_t kLookAgain = 0;

}  // namespace

bool Silent::open() noexcept {
  if (set_) return true;
  if (look_again_.get() < 0) look_again_ = sys::OwnFd(static_cast<int>(sys::eventfd()));
  const long made = look_again_.get() < 0 ? -1 : sys::epoll_create();
  if (made < 0) return false;
  set_.emplace(static_cast<int>(made));
  if (set_->add(look_again_.get(), sys::kIn, kLookAgain) < 0) set_.reset();
  return set_.has_value();
}

bool Silent::add(Connection& connection, Descriptor& descriptor, Deadline deadline) {
  if (over_ || !open()) return false;
  try {
    if (!watched_)
      fiber::spawn("silent connections", [self = shared_from_this()] { self->watch(); });
    watched_ = true;
    if (!deadline.is_none()) connection.timer_ = timers_.emplace(deadline, &connection);
  } catch (const std::bad_alloc&) {
    return false;
  }
  connection.timed_ = !deadline.is_none();
  connection.in_flight_.emplace(descriptor, false);
  connection.previous_ = nullptr;
  connection.next_ = first_;
  if (first_ != nullptr) first_->previous_ = &connection;
  first_ = &connection;
  const int fd = connection.in_flight_->fd();
  const auto data = reinterpret_cast<std::uintptr_t>(&connection);
  if (fd < 0 || set_->add(fd, std::uint32_t{sys::kIn} | kReadHangUp | kOnce, data) < 0) {
    forget(connection);
    return false;
  }
  if (deadline < waits_) sys::eventfd_add(look_again_.get());
  return true;
}

void Silent::forget(Connection& connection) noexcept {
  if (connection.timed_) timers_.erase(connection.timer_);
  connection.in_flight_.reset();
  (connection.previous_ != nullptr ? connection.previous_->next_ : first_) = connection.next_;
  if (connection.next_ != nullptr) connection.next_->previous_ = connection.previous_;
}

void Silent::drop(Connection& connection) noexcept {
  set_->remove(connection.in_flight_->fd());
  forget(connection);
  connection.stays_silent();
}

void Silent::drop_late() noexcept {
  while (!timers_.empty() && timers_.begin()->first.remaining() == 0)
    drop(*timers_.begin()->second);
}

void Silent::close_all() noexcept {
  while (first_ != nullptr) drop(*first_);
  if (watched_) sys::eventfd_add(look_again_.get());
}

void Silent::look_at(const Events& events, long count) noexcept {
  // All are off the list before the first is told, in which time others may be closed.
  std::array<Connection*, std::tuple_size_v<Events>> speaking{};
  std::size_t found = 0;
  for (long i = 0; i < count; ++i) {
    const std::uint64_t data = events[static_cast<std::size_t>(i)].data;
    if (data == kLookAgain) {
      sys::eventfd_drain(look_again_.get());
      continue;
    }
    auto* const connection = reinterpret_cast<Connection*>(static_cast<std::uintptr_t>(data));
    forget(*connection);
    speaking[found++] = connection;
  }
  for (std::size_t i = 0; i < found; ++i) speaking[i]->speaks();
}

void Silent::watch() {
  Events events;
  while (first_ != nullptr) {
    waits_ = timers_.empty() ? Deadline::none() : timers_.begin()->first;
    const long count = set_->wait(events, waits_);
    waits_ = Deadline::immediate();
    if (count == kCancelled) {
      over_ = true;
      close_all();
    } else if (count < 0 && count != kTimedOut) {
      ServerLoop::rest();  // there was no memory for it
    } else {
      look_at(events, count);
      drop_late();
    }
  }
  watched_ = false;
}

}  // namespace plug::detail
