#pragma once

// A queue between fibers, and threads. As Python's queue has it.
//
//   fiber::Queue<Socket> accepted(100);
//   fiber::spawn([&] {
//     while (std::optional<Socket> conn = accepted.next()) serve(*conn);
//   });
//   ...
//   accepted.put(server.accept().first);
//   ...
//   accepted.shutdown();
//
// What plug/fiber_sync.hpp says of its objects is true of queues: for fibers of one thread, of
// several, and for threads without fibers, at once; who waits is served in the order of coming;
// nothing is lost.
//
// Link with plug::fiber.

#include <plug/fiber_sync.hpp>
#include <plug/timeout.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <type_traits>
#include <utility>

#pragma GCC visibility push(default)

namespace plug::fiber {

/// Nothing to get, now or within the time-out. Python's queue.Empty.
class Empty : public std::runtime_error {
 public:
  Empty() : std::runtime_error("the queue is empty") {}
};

/// No room to put, now or within the time-out. Python's queue.Full.
class Full : public std::runtime_error {
 public:
  Full() : std::runtime_error("the queue is full") {}
};

/// The queue has been shut down. Python's queue.ShutDown.
class ShutDown : public std::runtime_error {
 public:
  ShutDown() : std::runtime_error("the queue has been shut down") {}
};

}  // namespace plug::fiber

namespace plug::detail {

struct QueueNode {
  QueueNode* next = nullptr;
  std::uint64_t number = 0;  // in the order of putting
};

/// All of a queue but what its items are. A place is what an item has in the queue, from before it
/// is put until after it has been taken.
class QueueCore {
 public:
  using Destroy = void (*)(QueueNode*) noexcept;

  QueueCore(std::size_t maxsize, Destroy destroy) noexcept : maxsize_(maxsize), destroy_(destroy) {}
  QueueCore(const QueueCore&) = delete;
  QueueCore& operator=(const QueueCore&) = delete;
  ~QueueCore() { shutdown(true); }

  /// Takes a place. Throws Full, ShutDown, CancelledError.
  void reserve(const Timeout& timeout);
  /// Puts an item into a place.
  void fill(QueueNode* node) noexcept;
  /// Gives an empty place up.
  void release() noexcept;

  /// The first item: its place is free. Throws Empty, ShutDown, CancelledError.
  QueueNode* take(const Timeout& timeout);
  /// Puts what has been taken back to where it was.
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

  const std::size_t maxsize_;  // 0: no bound
  const Destroy destroy_;
  mutable std::mutex guard_;
  SleeperList putters_;
  SleeperList takers_;
  QueueNode* first_ = nullptr;
  QueueNode* last_ = nullptr;
  std::size_t size_ = 0;
  std::size_t reserved_ = 0;  // places that are about to be filled
  std::size_t handed_ = 0;    // items that their takers have not seen yet
  std::uint64_t next_number_ = 0;
  bool shut_ = false;
  bool dropped_ = false;  // nobody wants what is in it
};

}  // namespace plug::detail

namespace plug::fiber {

/// What some put, others get: first in, first out. Items may be move-only. What a move or a copy of
/// an item throws comes out of the call, and the queue is as it was before.
/// Python: queue.Queue, with the shutdown() of 3.13.
template <std::move_constructible T>
class Queue {
 public:
  /// Has room for so many items; 0: for as many as memory has.
  explicit Queue(std::size_t maxsize = 0) noexcept
      : core_(maxsize, [](detail::QueueNode* node) noexcept { delete static_cast<Node*>(node); }) {}

  /// Waits for room and adds the item, which stays the caller's when this throws: Full after the
  /// time-out, ShutDown, CancelledError; std::bad_alloc.
  void put(T&& item, const Timeout& timeout = std::nullopt) {
    add(timeout, [&] { return new Node(std::move(item)); });
  }
  void put(const T& item,
           const Timeout& timeout = std::nullopt) requires std::copy_constructible<T> {
    add(timeout, [&] { return new Node(item); });
  }

  /// The same without waiting: throws Full when there is no room.
  void put_nowait(T&& item) { put(std::move(item), 0); }
  void put_nowait(const T& item) requires std::copy_constructible<T> { put(item, 0); }

  /// Waits for an item and removes it. Throws Empty after the time-out; ShutDown once the queue has
  /// been shut down and is empty; CancelledError.
  T get(const Timeout& timeout = std::nullopt) {
    std::unique_ptr<Node> node(static_cast<Node*>(core_.take(timeout)));
    if constexpr (std::is_nothrow_move_constructible_v<T>) {
      return std::move(node->item);
    } else {
      try {
        return std::move(node->item);
      } catch (...) {
        core_.give_back(node.release());
        throw;
      }
    }
  }

  /// The same without waiting: throws Empty when there is none.
  T get_nowait() { return get(0); }

  /// As get(), but gives std::nullopt where that throws ShutDown.
  std::optional<T> next() {
    try {
      return get();
    } catch (const ShutDown&) {
      return std::nullopt;
    }
  }

  /// From now on put() throws ShutDown, also where it waits; get() does so when nothing is left.
  /// `immediate`: what is in the queue is dropped, so that get() throws at once. May be called
  /// again.
  void shutdown(bool immediate = false) noexcept { core_.shutdown(immediate); }

  /// What was true at some moment of the call; others may have changed it since.
  std::size_t qsize() const noexcept { return core_.size(); }
  bool empty() const noexcept { return qsize() == 0; }
  bool full() const noexcept { return core_.full(); }

  std::size_t maxsize() const noexcept { return core_.maxsize(); }

 private:
  struct Node : detail::QueueNode {
    explicit Node(T&& from) : item(std::move(from)) {}
    explicit Node(const T& from) requires std::copy_constructible<T> : item(from) {}
    T item;
  };

  template <class Make>
  void add(const Timeout& timeout, Make make) {
    core_.reserve(timeout);
    Node* node = nullptr;
    try {
      node = make();
    } catch (...) {
      core_.release();
      throw;
    }
    core_.fill(node);
  }

  detail::QueueCore core_;
};

}  // namespace plug::fiber

#pragma GCC visibility pop
