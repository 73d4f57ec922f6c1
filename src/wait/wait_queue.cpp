#include "wait/wait_queue.hpp"

#include <plug/error.hpp>

#include <cerrno>
#include <utility>

#include "base/process_local.hpp"
#include "base/result.hpp"
#include "sys/process.hpp"

namespace plug::detail::wait {

constinit thread_local ThreadFibers thread_fibers;

long WaitNode::sleep_as_thread(Deadline deadline) noexcept {
  while (awake_.exchange(0) == 0) {
    const std::int64_t left = base::remaining(deadline);
    if (left == 0) return base::kTimedOut;
    interrupted_ = sys::futex_wait(awake_, 0, left) == -EINTR;
    if (interrupted_) break;
  }
  return 0;
}

long WaitNode::ask_as_thread() { return std::exchange(interrupted_, false) ? interrupted() : 0; }

void WaitNode::wake_thread() noexcept {
  // The WaitNode may be gone once its thread has seen `awake_`.
  const std::atomic<std::uint32_t>* const word = &awake_;
  awake_.store(1);
  sys::futex_wake(word);
}

}  // namespace plug::detail::wait

namespace plug::detail {

/// Empties the list in a forked child, where the waiters do not exist.
void WaitQueue::forget_parents() noexcept {
  if (base::renew(generation_)) waiters_.clear();
}

void WaitQueue::add(wait::WaitNode& node) noexcept {
  forget_parents();
  node.listed_ = true;
  waiters_.push_back(node);
}

bool WaitQueue::remove(wait::WaitNode& node) noexcept {
  if (!node.listed_) return false;
  node.listed_ = false;
  waiters_.remove(node);
  return true;
}

wait::WaitNode* WaitQueue::take() noexcept {
  forget_parents();
  wait::WaitNode* const node = waiters_.first();
  if (node != nullptr) remove(*node);
  return node;
}

bool WaitQueue::wake_one() noexcept {
  wait::WaitNode* const node = take();
  if (node == nullptr) return false;
  node->wake();
  return true;
}

void WaitQueue::wake_all() noexcept {
  while (wake_one()) continue;
}

}  // namespace plug::detail

namespace plug::detail::wait {

Waited wait_in(WaitQueue& list, WaitNode& node, std::unique_lock<std::mutex>& guard,
               Deadline deadline, const char* where, OnCancel on_cancel) noexcept {
  if (deadline.is_immediate()) return Waited::timed_out;
  list.add(node);
  for (;;) {
    guard.unlock();
    long slept = node.sleep(deadline, where, on_cancel);
    if (slept == 0 && on_cancel == OnCancel::tell) {
      try {
        slept = node.ask_interrupt_hook();
      } catch (...) {
        node.thrown_ = std::current_exception();
        slept = -EINTR;
      }
    }
    guard.lock();
    const bool handed = !node.listed();
    if (slept == 0 && !handed) continue;
    list.remove(node);
    if (on_cancel != OnCancel::tell && node.parker_ != nullptr) node.parker_->leave_signal();
    if (slept == 0 || slept == base::kTimedOut) return handed ? Waited::handed : Waited::timed_out;
    node.stopped_ = slept;
    return handed ? Waited::handed_but_stopped : Waited::stopped;
  }
}

bool handed_or_thrown(Waited waited, const WaitNode& node) {
  if (waited == Waited::handed || waited == Waited::timed_out) return waited == Waited::handed;
  if (node.thrown_) std::rethrow_exception(node.thrown_);
  throw_if(base::error_from(node.stopped_), "waiting");
  return false;
}

}  // namespace plug::detail::wait
