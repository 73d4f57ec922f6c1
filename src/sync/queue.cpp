#include <plug/queue.hpp>

#include "wait/wait_queue.hpp"

namespace plug::detail {

struct QueueCore::Putter : wait::WaitNode {
  bool has_place = false;
};

struct QueueCore::Taker : wait::WaitNode {
  QueueNode* node = nullptr;
};

// Waiters are woken for everything that is there: no putter waits while there is room, and no taker
// waits while there is an item.

/// Hands the item to the taker that has waited longest, or stores it.
void QueueCore::offer(QueueNode* node) noexcept {
  auto* const taker = static_cast<Taker*>(takers_.take());
  if (taker == nullptr) return insert(node);
  ++handed_;
  taker->node = node;
  taker->wake();
}

/// Inserts the item among those that are stored, ordered by number.
void QueueCore::insert(QueueNode* node) noexcept {
  ++size_;
  if (last_ == nullptr || last_->number < node->number) {
    node->next = nullptr;
    (last_ == nullptr ? first_ : last_->next) = node;
    last_ = node;
    return;
  }
  QueueNode** place = &first_;
  while ((*place)->number < node->number) place = &(*place)->next;
  node->next = *place;
  *place = node;
}

/// Hands out the room that has become free.
void QueueCore::settle() noexcept {
  while (has_room()) {
    auto* const putter = static_cast<Putter*>(putters_.take());
    if (putter == nullptr) break;
    ++reserved_;
    putter->has_place = true;
    putter->wake();
  }
  if (over()) takers_.wake_all();
}

void QueueCore::reserve(const Timeout& timeout) {
  const Deadline deadline = base::deadline_after(timeout);
  if (!timeout.is_zero()) wait::maybe_yield();
  std::unique_lock guard(guard_);
  if (shut_) throw ShutDown();
  if (has_room()) {
    ++reserved_;
    return;
  }
  Putter putter;
  const wait::Waited waited = wait::wait_in(putters_, putter, guard, deadline, "Queue::put");
  if (waited == wait::Waited::handed && putter.has_place) return;
  if (putter.has_place) {
    --reserved_;
    settle();
  }
  if (wait::handed_or_thrown(waited, putter)) throw ShutDown();
  throw Full();
}

void QueueCore::fill(QueueNode* node) noexcept {
  {
    const std::lock_guard guard(guard_);
    --reserved_;
    if (!dropped_) {
      node->number = next_number_++;
      return offer(node);
    }
  }
  destroy_(node);
}

void QueueCore::release() noexcept {
  const std::lock_guard guard(guard_);
  --reserved_;
  settle();
}

QueueNode* QueueCore::take(const Timeout& timeout) {
  const Deadline deadline = base::deadline_after(timeout);
  if (!timeout.is_zero()) wait::maybe_yield();
  std::unique_lock guard(guard_);
  if (first_ != nullptr) {
    QueueNode* const node = first_;
    first_ = node->next;
    if (first_ == nullptr) last_ = nullptr;
    --size_;
    settle();
    return node;
  }
  if (over()) throw ShutDown();
  Taker taker;
  const wait::Waited waited = wait::wait_in(takers_, taker, guard, deadline, "Queue::get");
  if (taker.node != nullptr) {
    --handed_;
    if (waited == wait::Waited::handed) {
      settle();
      return taker.node;
    }
    if (!dropped_) {
      offer(taker.node);
    } else {
      guard.unlock();
      destroy_(taker.node);
    }
  }
  if (wait::handed_or_thrown(waited, taker)) throw ShutDown();
  throw Empty();
}

void QueueCore::give_back(QueueNode* node) noexcept {
  {
    const std::lock_guard guard(guard_);
    if (!dropped_) return offer(node);
  }
  destroy_(node);
}

void QueueCore::shutdown(bool immediate) noexcept {
  QueueNode* unwanted = nullptr;
  {
    const std::lock_guard guard(guard_);
    shut_ = true;
    putters_.wake_all();
    if (immediate) {
      dropped_ = true;
      unwanted = std::exchange(first_, nullptr);
      last_ = nullptr;
      size_ = 0;
    }
    if (over()) takers_.wake_all();
  }
  while (unwanted != nullptr) destroy_(std::exchange(unwanted, unwanted->next));
}

std::size_t QueueCore::size() const noexcept {
  const std::lock_guard guard(guard_);
  return size_;
}

bool QueueCore::full() const noexcept {
  const std::lock_guard guard(guard_);
  return !has_room();
}

}  // namespace plug::detail
