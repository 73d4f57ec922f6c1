#pragma once

// Groups of fibers that are waited for and cancelled together.

#include <plug/fiber/fiber.hpp>

#include <cstdint>
#include <list>
#include <memory>
#include <mutex>

#include "base/process_local.hpp"
#include "fiber/scheduler.hpp"
#include "wait/wait_queue.hpp"

namespace plug::detail::fiber {

class FiberGroup {
 public:
  /// The part of a fiber that starts the children. It is cancelled when a child fails.
  class Body {
   public:
    /// Throws RuntimeError outside a fiber.
    explicit Body(FiberGroup& group);
    Body(const Body&) = delete;
    Body& operator=(const Body&) = delete;
    ~Body();

    /// Returns true if the failure of a child is why the fiber has been told to end.
    bool has_ended() noexcept;
    /// Returns true if the fiber itself has been cancelled, and told so.
    bool is_cancelled() const noexcept { return limit_.cancelled; }

   private:
    FiberGroup& group_;
    FiberLimit limit_{Deadline::none()};
  };

  struct Child {
    std::shared_ptr<FiberCore> fiber;  // null until it has started
    bool ending;                       // whether it is on ending_
  };
  using ChildRef = std::list<Child>::iterator;

  /// Throws std::bad_alloc.
  ChildRef add();
  void remove(ChildRef child) noexcept;
  void started(ChildRef child, const std::shared_ptr<FiberCore>& fiber) noexcept;
  /// Called by the child, as the last thing that it does with the group.
  void ended(ChildRef child, const std::shared_ptr<FiberOutcome>& outcome, bool failed) noexcept;

  void cancel() noexcept;
  /// Throws RuntimeError if the caller is a child.
  void check_wait();
  /// Waits until there are no children, or until the wait is stopped.
  wait::Waited wait(wait::WaitNode& node, wait::OnCancel on_cancel) noexcept;
  /// Cancels the children and waits for all of them; nothing ends this wait earlier.
  void end() noexcept;
  bool has_failed() noexcept;
  /// Makes the group ready for use again. Returns the first failure, or null.
  std::shared_ptr<FiberOutcome> finish() noexcept;

 private:
  /// Returns true if the children belong to the process that this one was forked from. Here the
  /// group has none.
  bool is_of_parent() const noexcept { return fork_guard_.is_of_parent(); }
  /// The mutex must be held.
  bool empty() const noexcept { return running_.empty() && ending_.empty(); }
  void mark_ending(ChildRef child) noexcept;

  const base::ForkGuard fork_guard_;
  std::mutex mutex_;
  // The children that cancel() still has to cancel, and the other ones.
  std::list<Child> running_;
  std::list<Child> ending_;
  WaitQueue waiting_;
  bool cancelled_ = false;
  std::shared_ptr<FiberOutcome> failed_;
  FiberCore* body_ = nullptr;
  FiberLimit* limit_of_body_ = nullptr;
};

}  // namespace plug::detail::fiber
