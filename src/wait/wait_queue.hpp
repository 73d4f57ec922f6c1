#pragma once

// Waits that work for fibers and threads alike.

#include <plug/detail/wait_queue.hpp>

#include <atomic>
#include <cstdint>
#include <exception>
#include <mutex>

#include "sys/for_fiber.hpp"
#include "wait/parker.hpp"

namespace plug::detail::wait {

enum class Waited : std::uint8_t;

/// A caller that waits, as an entry of a WaitQueue. A fiber parks, a thread sleeps.
class WaitNode : public ListNode<WaitNode> {
 public:
  WaitNode() noexcept : parker_(thread_fibers.parker), caller_(const_cast<void*>(caller())) {}
  WaitNode(const WaitNode&) = delete;
  WaitNode& operator=(const WaitNode&) = delete;

  /// Returns when it has been woken, when the deadline has passed, after a signal, or spuriously:
  /// 0, kTimedOut or kCancelled. `where` is the name that lists of fibers show.
  long sleep(Deadline deadline, const char* where, OnCancel on_cancel = OnCancel::tell) {
    return parker_ != nullptr ? parker_->suspend(deadline, where, on_cancel)
                              : sleep_as_thread(deadline);
  }

  /// Must be called after sleep(). Returns 0, or a value below kStopped to end the wait. The hook
  /// may throw.
  long ask_interrupt_hook() {
    return parker_ != nullptr ? parker_->ask_after_signal() : ask_as_thread();
  }

  /// Wakes the caller. May be called on any thread while the WaitNode exists.
  void wake() noexcept {
    if (parker_ != nullptr)
      parker_->wake(*static_cast<fiber::FiberCore*>(caller_));
    else
      wake_thread();
  }

  /// Returns an address that identifies the calling fiber or thread among all that exist now.
  static const void* caller() noexcept {
    const ThreadFibers& fibers = thread_fibers;
    if (fibers.parker != nullptr) return &fibers.parker->current();
    // A fiber that has forked still owns the mutexes that it owned before.
    return fibers.forked != nullptr ? static_cast<const void*>(fibers.forked) : &fibers;
  }
  /// Returns true if it is on a list.
  bool listed() const noexcept { return listed_; }
  /// Returns the caller() that made it.
  const void* made_by() const noexcept { return caller_; }

 private:
  friend class detail::WaitQueue;
  friend Waited wait_in(WaitQueue& list, WaitNode& node, std::unique_lock<std::mutex>& guard,
                        Deadline deadline, const char* where, OnCancel on_cancel) noexcept;
  friend bool handed_or_thrown(Waited waited, const WaitNode& node);

  PLUG_FOR_FIBER long sleep_as_thread(Deadline deadline) noexcept;
  PLUG_FOR_FIBER long ask_as_thread();
  PLUG_FOR_FIBER void wake_thread() noexcept;

  Parker* const parker_;
  void* const caller_;         // with a parker, a FiberCore
  long stopped_ = 0;           // why wait_in() ended: kCancelled, or the hook's answer
  std::exception_ptr thrown_;  // by the hook
  bool listed_ = false;

  // Used by threads only.
  std::atomic<std::uint32_t> awake_{0};
  bool interrupted_ = false;  // by a signal
};

/// The end of a wait for something that is handed over.
enum class Waited : std::uint8_t {
  handed,
  timed_out,
  stopped,             ///< the fiber was cancelled, or the interrupt hook ended the wait
  handed_but_stopped,  ///< the caller must hand it on
};

/// Waits until another caller takes the node off the list, which hands over the awaited thing.
/// `guard` locks the list; the caller holds it before and after.
PLUG_FOR_FIBER Waited wait_in(WaitQueue& list, WaitNode& node, std::unique_lock<std::mutex>& guard,
                              Deadline deadline, const char* where,
                              OnCancel on_cancel = OnCancel::tell) noexcept;

/// Returns true if it was handed over in time. Throws the reason if the wait was stopped.
PLUG_FOR_FIBER bool handed_or_thrown(Waited waited, const WaitNode& node);

}  // namespace plug::detail::wait
