#pragma once

// SelectorImpl: what all selectors share, a table of keys and the keys that are ready.

#include <plug/selectors.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <system_error>
#include <unordered_map>
#include <vector>

#include "select/wait.hpp"

namespace plug::detail::select {

/// The table of keys, which all selectors share, and the operations that each implements.
class SelectorImpl {
 public:
  /// One registration. A node never moves. An unregistered node is kept until the next select() if
  /// the result of the last one refers to it, or if the system refused to change it.
  struct Node {
    SelectorKey key;
    std::uint32_t slot;
    std::uint64_t generation;  // the number of the registration
    std::uint64_t turn = 0;    // the last turn in which it was ready,
    std::size_t place = 0;     // and its place in that turn's result
    std::weak_ptr<socket::SocketState> layered{};
  };

  SelectorImpl() noexcept : map_(*this) {}
  SelectorImpl(const SelectorImpl&) = delete;
  SelectorImpl& operator=(const SelectorImpl&) = delete;
  virtual ~SelectorImpl() = default;

  const SelectorKey* add(const FileObject& object, EVENT events, UserData data,
                         std::error_code& error);
  SelectorKey remove(const FileObject& object, std::error_code& error);
  /// Keeps the data if `data` is null.
  const SelectorKey* modify(const FileObject& object, EVENT events, UserData* data,
                            std::error_code& error);
  ReadyKeys select(const Seconds& timeout, std::error_code& error);
  void close();

  /// Returns null if the object is not registered; also sets an error if it cannot be.
  Node* find(const FileObject& object, std::error_code& error) const;

  bool closed() const noexcept { return closed_; }
  const SelectorMap* map() const noexcept { return closed_ ? nullptr : &map_; }
  std::size_t size() const noexcept { return slot_of_.size(); }
  const std::vector<std::unique_ptr<Node>>& slots() const noexcept { return slots_; }

 protected:
  // Results are 0 or a count if >= 0, else -errno. While one fiber waits, others may call
  // everything except select().
  virtual long watch(const Node& node) = 0;
  virtual long rewatch(const Node& node, EVENT events) = 0;
  virtual void unwatch(const Node& node) noexcept = 0;
  /// Waits and calls ready() for each ready node. Returns a negative number on error.
  virtual long wait(Deadline deadline) = 0;
  virtual void close_own() noexcept {}

  void ready(Node& node, EVENT events) {
    events = events & node.key.events;
    if (events == EVENT{}) return;
    node.turn = turn_;
    node.place = ready_.size();
    ready_.push_back({node.key, events});
  }
  bool nothing_ready() const noexcept { return ready_.empty(); }

  Node* node_of(int fd) const {
    const auto found = slot_of_.find(fd);
    return found == slot_of_.end() ? nullptr : slots_[found->second].get();
  }

  /// Returns the number of registrations so far.
  std::uint64_t registrations() const noexcept { return generations_; }

 private:
  bool any_holds_bytes() const;
  void add_those_that_hold_bytes();

  /// Stops watching a node, removes it from the table, and returns its key; without an owned object
  /// if `keep_object`, which then lives until the next select().
  SelectorKey take(Node& node, bool keep_object);

  std::vector<std::unique_ptr<Node>> slots_;
  std::vector<std::uint32_t> free_slots_;
  std::unordered_map<int, std::uint32_t> slot_of_;  // by descriptor
  std::vector<Node*> layered_;                      // those whose socket has a layer
  std::vector<Ready> ready_;
  std::vector<std::unique_ptr<Node>> unregistered_;
  std::uint64_t turn_ = 1;
  std::uint64_t generations_ = 0;
  bool closed_ = false;
  std::atomic<bool> waiting_{false};
  const SelectorMap map_;
};

/// Returns the events of poll(2) and epoll(7) for those of a key.
constexpr unsigned poll_bits(EVENT events) noexcept {
  return (events & EVENT::READ ? unsigned{sys::kIn} : 0U) |
         (events & EVENT::WRITE ? unsigned{sys::kOut} : 0U);
}

/// Maps events as Python does for poll(2) and epoll(7): any event that is neither of the two is
/// both.
constexpr EVENT events_of_poll(unsigned ready) noexcept {
  EVENT events{};
  if ((ready & ~unsigned{sys::kIn}) != 0) events |= EVENT::WRITE;
  if ((ready & ~unsigned{sys::kOut}) != 0) events |= EVENT::READ;
  return events;
}

}  // namespace plug::detail::select
