#pragma once

// A queue apart from the type of its items: the internal part of plug/queue.hpp.

#include <plug/detail/wait_queue.hpp>
#include <plug/timeout.hpp>

#include <cstddef>
#include <cstdint>
#include <mutex>

#pragma GCC visibility push(default)

namespace plug::detail {

struct QueueNode {
  QueueNode* next = nullptr;
  std::uint64_t number = 0;  // in the order of put()
};

/// A queue apart from the type of its items. An item occupies a place in the queue, from before it
/// is put until after it has been taken.
class QueueCore {
 public:
  using Destroy = void (*)(QueueNode*) noexcept;

  QueueCore(std::size_t maxsize, Destroy destroy) noexcept : maxsize_(maxsize), destroy_(destroy) {}
  QueueCore(const QueueCore&) = delete;
  QueueCore& operator=(const QueueCore&) = delete;
  ~QueueCore() { shutdown(true); }

  /// Reserves a place, and blocks until there is one. Throws Full, ShutDown, CancelledError.
  void reserve(const Timeout& timeout);
  /// Puts an item into a reserved place.
  void fill(QueueNode* node) noexcept;
  /// Releases a reserved place.
  void release() noexcept;

  /// Removes the first item, blocking until there is one, and frees its place. Throws Empty,
  /// ShutDown, CancelledError.
  QueueNode* take(const Timeout& timeout);
  /// Puts an item that has been taken back to where it was.
  void give_back(QueueNode* node) noexcept;

  void shutdown(bool immediate) noexcept;

  std::size_t size() const noexcept;
  bool full() const noexcept;
  std::size_t maxsize() const noexcept { return maxsize_; }

 private:
  struct Putter;
  struct Taker;

  bool has_room() const noexcept { return maxsize_ == 0 || size_ + reserved_ + handed_ < maxsize_; }
  bool over() const noexcept { return dropped_ || (shut_ && size_ + reserved_ + handed_ == 0); }
  void offer(QueueNode* node) noexcept;
  void insert(QueueNode* node) noexcept;
  void settle() noexcept;

  const std::size_t maxsize_;  // 0: no limit
  const Destroy destroy_;
  mutable std::mutex guard_;
  WaitQueue putters_;
  WaitQueue takers_;
  QueueNode* first_ = nullptr;
  QueueNode* last_ = nullptr;
  std::size_t size_ = 0;
  std::size_t reserved_ = 0;  // places that are about to be filled
  std::size_t handed_ = 0;    // items handed to takers that have not run yet
  std::uint64_t next_number_ = 0;
  bool shut_ = false;
  bool dropped_ = false;  // shut down with `immediate`
};

}  // namespace plug::detail

#pragma GCC visibility pop
