#pragma once

#include <plug/detail/forward.hpp>
#include <plug/detail/intrusive_list.hpp>

#include <cstdint>

#pragma GCC visibility push(default)

namespace plug::detail {

/// A queue of waiters, in order of arrival. Guarded by its owner's mutex.
class WaitQueue {
 public:
  void add(wait::WaitNode& node) noexcept;
  /// Removes the waiter. Returns whether it was in the queue.
  bool remove(wait::WaitNode& node) noexcept;
  /// Removes and returns the first waiter, for the caller to wake; null if there is none.
  wait::WaitNode* take() noexcept;
  /// Removes and wakes the first waiter. Returns whether there was one.
  bool wake_one() noexcept;
  void wake_all() noexcept;

 private:
  void forget_parents() noexcept;

  IntrusiveList<wait::WaitNode> waiters_;
  std::uint32_t generation_ = 0;  // the fork generation of the waiters
};

}  // namespace plug::detail

#pragma GCC visibility pop
