#pragma once

// The child processes that handle the requests of a server.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "sys/syscalls.hpp"
#include "wait/deadline.hpp"

namespace plug::detail {

/// The children and what they handle. A child is noticed when it ends, by a descriptor of the
/// process (pidfd_open(2)); that it has handled its request it says before, since a client that has
/// seen the end of its connection may come again before the process has ended. For the thread that
/// serves.
class ServerChildren {
 public:
  /// Before a fork: takes what add() and tell_handled() need, as far as there is any. Throws
  /// std::bad_alloc.
  void prepare();
  /// Adds a child, which has the place of a request (LiveRequests) until it ends.
  void add(int child, std::shared_ptr<const void> place) noexcept;
  /// Drops a child that has been reaped.
  void remove(int child) noexcept;
  bool empty() const noexcept { return children_.empty(); }

  /// In a child: tells the parent that the request has been handled.
  void tell_handled() noexcept;
  /// In a child: the others are the parent's.
  void leave_to_parent() noexcept { children_.clear(); }

  /// Readable when look() has something to do; -1 when there is nothing to wait for.
  int event() const noexcept { return children_.empty() ? -1 : set_.get(); }
  /// When to look without an event: none, unless there is a child without a descriptor.
  Deadline next_look() const noexcept;
  /// Drops the children that have ended, and stops counting requests that have been handled.
  void look() noexcept;

  /// Asks all to end.
  void terminate() noexcept;

 private:
  struct Child {
    int number;
    std::shared_ptr<const void> place;
    sys::OwnFd process;  // none on an old kernel, or when there is none to spare
  };

  void drop(std::vector<Child>::iterator child) noexcept;
  void read_handled() noexcept;

  std::uint32_t generation_ = sys::fork_generation();
  std::vector<Child> children_;
  std::size_t unwatched_ = 0;  // of them have no descriptor
  sys::OwnFd set_;             // epoll(7)
  sys::OwnFd handled_;         // numbers of children, of which each tells its own
  sys::OwnFd tell_handled_;
};

}  // namespace plug::detail
