#pragma once

// A queue for fibers and threads. Python: queue.
//
//   Queue<Socket> accepted(100);
//   std::jthread worker([&] {  // or a fiber
//     while (std::optional<Socket> conn = accepted.next()) serve(*conn);
//   });
//   ...
//   accepted.put(server.accept().first);
//   ...
//   accepted.shutdown();
//
// Queues give the guarantees of plug/sync.hpp: plain threads, fibers of one thread and fibers of
// several threads may use a queue at the same time; waiters are served in order of arrival; no item
// is lost.

#include <plug/detail/wait_queue.hpp>
#include <plug/error.hpp>
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

namespace plug {

/// Thrown if there is no item, now or within the timeout. Python: queue.Empty.
class Empty : public std::runtime_error {
 public:
  Empty() : std::runtime_error("the queue is empty") {}
};

/// Thrown if there is no room, now or within the timeout. Python: queue.Full.
class Full : public std::runtime_error {
 public:
  Full() : std::runtime_error("the queue is full") {}
};

/// Thrown if the queue has been shut down. Python: queue.ShutDown.
class ShutDown : public std::runtime_error {
 public:
  ShutDown() : std::runtime_error("the queue has been shut down") {}
};

}  // namespace plug

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

namespace plug {

/// A first-in, first-out queue. Items may be move-only. If moving or copying an item throws, the
/// call throws that, and the queue is as it was before.
/// Python: queue.Queue, with the shutdown() of 3.13.
template <std::move_constructible T>
class Queue {
 public:
  /// Creates a queue with room for `maxsize` items; zero means no limit.
  explicit Queue(std::size_t maxsize = 0) noexcept
      : core_(maxsize, [](detail::QueueNode* node) noexcept { delete static_cast<Node*>(node); }) {}

  /// Adds the item, blocking while the queue is full. Throws Full after the timeout; ShutDown;
  /// CancelledError; std::bad_alloc. In each case the caller keeps the item.
  void put(T&& item, const Timeout& timeout = std::nullopt) {
    add(timeout, [&] { return new Node(std::move(item)); });
  }
  void put(const T& item,
           const Timeout& timeout = std::nullopt) requires std::copy_constructible<T> {
    add(timeout, [&] { return new Node(item); });
  }

  /// Like put(), but throws Full instead of blocking.
  void put_nowait(T&& item) { put(std::move(item), 0); }
  void put_nowait(const T& item) requires std::copy_constructible<T> { put(item, 0); }

  /// Removes and returns the first item, blocking while there is none. Throws Empty after the
  /// timeout; ShutDown if the queue has been shut down and is empty; CancelledError.
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

  /// Like get(), but throws Empty instead of blocking.
  T get_nowait() { return get(0); }

  /// Like get(), but returns std::nullopt where get() throws ShutDown.
  [[nodiscard]] std::optional<T> next() {
    try {
      return get();
    } catch (const ShutDown&) {
      return std::nullopt;
    }
  }

  /// Shuts the queue down. From now on put() throws ShutDown, also where it waits, and get() does
  /// so once the queue is empty. If `immediate`, discards the items, so that get() throws at once.
  /// May be called again.
  void shutdown(bool immediate = false) noexcept { core_.shutdown(immediate); }

  /// Returns a snapshot: other fibers and threads may have changed the queue since.
  [[nodiscard]] std::size_t qsize() const noexcept { return core_.size(); }
  [[nodiscard]] bool empty() const noexcept { return qsize() == 0; }
  [[nodiscard]] bool full() const noexcept { return core_.full(); }

  [[nodiscard]] std::size_t maxsize() const noexcept { return core_.maxsize(); }

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

}  // namespace plug

#pragma GCC visibility pop
