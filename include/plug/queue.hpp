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

#include <plug/detail/queue_core.hpp>
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

  /// Shuts the queue down. From now on put() throws ShutDown, also in calls that wait, and so does
  /// get() once the queue is empty. If `immediate`, discards the items, so that get() throws at
  /// once. May be called again.
  void shutdown(bool immediate = false) noexcept { core_.shutdown(immediate); }

  /// Returns the number of items. Other fibers and threads may change it at any time.
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
