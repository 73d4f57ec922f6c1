#pragma once

// The child processes that handle a server's requests.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/deadline.hpp"
#include "base/process_local.hpp"
#include "sys/syscalls.hpp"

namespace plug::detail::server {

/// The children and their requests. A descriptor of the process (pidfd_open(2)) reports the end of
/// a child. The child itself reports earlier that it has handled its request, because a client that
/// has seen the end of its connection may come again before the process has ended. For the serving
/// thread only.
class ServerChildren {
 public:
  /// Must be called before a fork: makes the descriptors that add() and tell_handled() use, if the
  /// system has any left. Throws std::bad_alloc.
  void prepare();
  /// Adds a child, which holds the entry of a request (RequestRegistry) until it ends.
  void add(int child, std::shared_ptr<const void> entry) noexcept;
  /// Removes a child that has been reaped.
  void remove(int child) noexcept;
  bool empty() const noexcept { return children_.empty(); }

  /// In a child: tells the parent that the request has been handled.
  void tell_handled() noexcept;
  /// In a child: forgets the others, which are the parent's.
  void leave_to_parent() noexcept { children_.clear(); }

  /// Readable when look() has something to do; -1 if there is nothing to wait for.
  int event() const noexcept { return children_.empty() ? -1 : set_.get(); }
  /// Returns when to look without an event: never, unless a child has no descriptor.
  Deadline next_look() const noexcept;
  /// Removes the children that have ended, and stops counting requests that have been handled.
  void look() noexcept;

  /// Sends SIGTERM to all children.
  void terminate() noexcept;

 private:
  struct Child {
    int number;
    std::shared_ptr<const void> entry;
    sys::OwnFd process;  // none on an old kernel, or if no descriptor is left
  };

  void drop(std::vector<Child>::iterator child) noexcept;
  void read_handled() noexcept;

  base::ForkGuard fork_guard_;
  std::vector<Child> children_;
  std::size_t unwatched_ = 0;  // number of children without a descriptor
  sys::OwnFd set_;             // epoll(7)
  sys::OwnFd handled_;         // receives the numbers of children that have handled their requests
  sys::OwnFd tell_handled_;
};

}  // namespace plug::detail::server
