#pragma once

// Descriptors that are waited for together, again and again: each is told to the system once, and
// not in every wait.

#include <cerrno>
#include <cstdint>
#include <span>

#include "sys/polling.hpp"
#include "wait/deadline.hpp"
#include "wait/descriptor.hpp"
#include "wait/waiter.hpp"

namespace plug::detail {

/// An epoll(7) of its own, which is waited for as any other descriptor is.
class EventSet {
 public:
  /// Takes what sys::epoll_create() has made.
  explicit EventSet(int epoll) noexcept : epoll_(epoll) {}

  /// As the calls of sys/polling.hpp: 0, or -errno.
  long add(int fd, std::uint32_t events, std::uint64_t data) noexcept {
    return sys::epoll_add(epoll_.fd(), fd, events, data);
  }
  long remove(int fd) noexcept { return sys::epoll_remove(epoll_.fd(), fd); }

  /// Waits for events: how many there are, at least one; or what perform() gives.
  long wait(std::span<sys::EpollEvent> events, Deadline deadline) {
    for (;;) {
      Op op{.kind = Op::Kind::ready, .flags = sys::kIn};
      const long ready = perform(epoll_, op, deadline);
      if (ready < 0) return ready;
      const long count =
          sys::epoll_wait(epoll_.fd(), events.data(), static_cast<int>(events.size()), 0);
      if (count != 0 && count != -EINTR) return count;
    }
  }

 private:
  Descriptor epoll_;
};

}  // namespace plug::detail
