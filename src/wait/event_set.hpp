#pragma once

// Waits for many descriptors again and again. Each is registered with the system once instead of in
// every wait.

#include <cerrno>
#include <cstdint>
#include <span>

#include "base/deadline.hpp"
#include "sys/polling.hpp"
#include "wait/descriptor.hpp"
#include "wait/io_driver.hpp"

namespace plug::detail::wait {

/// An epoll(7) descriptor, which is itself waited for like any other descriptor.
class EventSet {
 public:
  /// Takes ownership of a descriptor that sys::epoll_create() has made.
  explicit EventSet(int epoll) noexcept : epoll_(epoll) {}

  /// Adds or removes a descriptor. Returns 0 or -errno, as the calls of sys/polling.hpp do.
  long add(int fd, std::uint32_t events, std::uint64_t data) noexcept {
    return sys::epoll_add(epoll_.fd(), fd, events, data);
  }
  long remove(int fd) noexcept { return sys::epoll_remove(epoll_.fd(), fd); }

  /// Waits for events. Returns their number, at least one, or an error as perform() does.
  long wait(std::span<sys::RawEpollEvent> events, Deadline deadline) {
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

}  // namespace plug::detail::wait
