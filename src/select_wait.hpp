#pragma once

// What select(), Poll, Epoll and the selectors share: how they wait, and how they read a
// FileObject.

#include <plug/error.hpp>
#include <plug/select.hpp>

#include <atomic>
#include <cstddef>
#include <memory>
#include <system_error>
#include <unordered_map>
#include <vector>

#include "socket_state.hpp"
#include "sys/polling.hpp"
#include "wait/deadline.hpp"
#include "wait/waiter.hpp"

namespace plug::detail {

struct FileAccess {
  /// The state of a Socket; null for everything else.
  static std::shared_ptr<SocketState> socket_state(const FileObject& object) {
    if (object.kind_ == nullptr) return nullptr;
    const Socket* const sock = object.kind_->socket(object.object_);
    return sock == nullptr ? nullptr : SocketAccess::state(*sock);
  }
  static std::string_view type(const FileObject& object) noexcept {
    return object.kind_ == nullptr ? std::string_view() : object.kind_->name;
  }
};

/// The descriptor; below zero, with an error, when there is none.
int descriptor_of(const FileObject& object, std::error_code& error);

/// Whether there are bytes that can be received without the descriptor being ready.
inline bool holds_bytes(const SocketState* state) noexcept {
  return state != nullptr && state->layer() && state->layer()->pending() > 0;
}

/// The deadline of a call for which a negative time is none.
template <class Period>
Deadline deadline_of(const WaitTime<Period>& time) noexcept {
  return time.is_negative() ? Deadline::none() : deadline_of(time.limit());
}

// What select(2) calls readable and writable.
inline constexpr short kSelectRead = sys::kIn | sys::kReadNormal | sys::kReadBand;
inline constexpr short kSelectWrite = sys::kOut | sys::kWriteNormal | sys::kWriteBand;

/// The part of what the entry asks for (kSelectRead, kSelectWrite, kPriority) that select(2) would
/// report.
constexpr short selected(const sys::PollEntry& entry) noexcept {
  int ready = entry.revents & sys::kPriority;
  if ((entry.revents & (kSelectRead | sys::kHangUp | sys::kError)) != 0) ready |= kSelectRead;
  if ((entry.revents & (kSelectWrite | sys::kError)) != 0) ready |= kSelectWrite;
  return static_cast<short>(ready & entry.events);
}

/// Waits as select(2) does: the count of entries that have something selected(), 0 when the
/// deadline passed, -EBADF when one is not open.
long wait_selected(std::vector<sys::PollEntry>& entries, Deadline deadline);

/// wait_any() of what PollSet has.
inline long wait_poll(std::vector<sys::PollEntry>& entries, Deadline deadline) {
  return wait_any(entries, deadline);
}

/// Waits for events of an epoll: the count of those written, 0 when the deadline passed, -errno;
/// -EBADF when it is closed, which ends the wait of a fiber.
long wait_epoll(Descriptor& epoll, sys::EpollEvent* events, int most, Deadline deadline);

/// Entries to poll, one a descriptor, found by their number. They may change while they are waited
/// for: a wait is for those that there were when it began.
class PollSet {
 public:
  /// Waits with wait_any() or wait_selected(), whose result it returns. In a fiber close() ends the
  /// wait: -EBADF.
  using Wait = long (*)(std::vector<sys::PollEntry>& entries, Deadline deadline);
  long wait(Wait wait_for, Deadline deadline);

  /// The entries of the last wait, and what has happened to them.
  const std::vector<sys::PollEntry>& waited() const noexcept { return waited_; }

  void close() noexcept;

  /// Adds an entry, or replaces its events.
  void set(int fd, short events) {
    const auto [place, added] = places_.try_emplace(fd, entries_.size());
    if (!added) {
      entries_[place->second].events = events;
      return;
    }
    try {
      entries_.push_back({fd, events, 0});
    } catch (...) {
      places_.erase(place);
      throw;
    }
  }

  bool contains(int fd) const { return places_.contains(fd); }

  bool remove(int fd) {
    const auto found = places_.find(fd);
    if (found == places_.end()) return false;
    entries_[found->second] = entries_.back();
    places_[entries_.back().fd] = found->second;
    entries_.pop_back();
    places_.erase(fd);
    return true;
  }

 private:
  std::vector<sys::PollEntry> entries_;
  std::unordered_map<int, std::size_t> places_;
  std::vector<sys::PollEntry> waited_;
  sys::OwnFd closing_;  // an eventfd by which close() ends the wait of a fiber
  bool closed_ = false;
};

/// Lets one wait at a time go on.
class OneWait {
 public:
  explicit OneWait(std::atomic<bool>& waiting) noexcept
      : waiting_(waiting), first_(!waiting.exchange(true)) {}
  OneWait(const OneWait&) = delete;
  OneWait& operator=(const OneWait&) = delete;
  ~OneWait() {
    if (first_) waiting_ = false;
  }

  /// Whether there is no other.
  bool first() const noexcept { return first_; }

 private:
  std::atomic<bool>& waiting_;
  const bool first_;
};

}  // namespace plug::detail
