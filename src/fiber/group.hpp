#pragma once

// Fibers that are waited for, and cancelled, together.

#include <plug/fiber.hpp>

#include <cstdint>
#include <list>
#include <memory>
#include <mutex>

#include "fiber/sleeper.hpp"

namespace plug::detail {

class FiberGroup {
 public:
  /// The fiber that starts the children, in a part of what it does that is over when one fails.
  class Body {
   public:
    /// Throws RuntimeError outside of a fiber.
    explicit Body(FiberGroup& group);
    Body(const Body&) = delete;
    Body& operator=(const Body&) = delete;
    ~Body();

    /// Whether this is why the fiber has been told to end.
    bool has_ended() noexcept;
    /// Whether it has been cancelled, and told so.
    bool is_cancelled() const noexcept { return limit_.cancelled; }

   private:
    FiberGroup& group_;
    FiberLimit limit_{Deadline::none()};
  };

  struct Child {
    std::shared_ptr<FiberCore> fiber;  // null until it has started
    bool told;                         // on which list it is
  };
  using Place = std::list<Child>::iterator;

  /// Throws std::bad_alloc.
  Place add();
  void remove(Place child) noexcept;
  void started(Place child, const std::shared_ptr<FiberCore>& fiber) noexcept;
  /// By the child, as the last thing that it does with the group.
  void ended(Place child, const std::shared_ptr<FiberOutcome>& outcome, bool failed) noexcept;

  void cancel() noexcept;
  /// Throws RuntimeError when the caller is a child.
  void check_wait();
  /// Waits until there are no children, or until it is stopped.
  Waited wait(Sleeper& sleeper, OnCancel on_cancel) noexcept;
  /// Cancels the children, and waits whatever comes.
  void end() noexcept;
  bool has_failed() noexcept;
  /// Begins anew: what failed first, if any has.
  std::shared_ptr<FiberOutcome> finish() noexcept;

 private:
  /// Whether its children are of the process that this one was forked from: here it has none.
  bool is_of_parent() const noexcept { return generation_ != sys::fork_generation(); }
  /// With the mutex held.
  bool empty() const noexcept { return untold_.empty() && told_.empty(); }
  void tell(Place child) noexcept;

  const std::uint32_t generation_ = sys::fork_generation();
  std::mutex mutex_;
  // Those that have not been told that they are cancelled, and those that have been.
  std::list<Child> untold_;
  std::list<Child> told_;
  SleeperList waiting_;
  bool cancelled_ = false;
  std::shared_ptr<FiberOutcome> failed_;
  FiberCore* body_ = nullptr;
  FiberLimit* limit_of_body_ = nullptr;
};

}  // namespace plug::detail
