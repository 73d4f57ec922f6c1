#pragma once

// The waits of select(), Poll, Epoll and the selectors, and their access to a FileObject.

#include <plug/error.hpp>
#include <plug/select.hpp>

#include <atomic>
#include <cstddef>
#include <memory>
#include <system_error>
#include <unordered_map>
#include <vector>

#include "base/deadline.hpp"
#include "socket/state.hpp"
#include "sys/polling.hpp"
#include "wait/io_driver.hpp"

namespace plug::detail::select {

struct FileAccess {
  /// Returns the state of a Socket; null for any other object.
  static std::shared_ptr<socket::SocketState> socket_state(const FileObject& object) {
    if (object.kind_ == nullptr) return nullptr;
    const Socket* const sock = object.kind_->socket(object.object_);
    return sock == nullptr ? nullptr : socket::SocketAccess::state(*sock);
  }
  static std::string_view type(const FileObject& object) noexcept {
    return object.kind_ == nullptr ? std::string_view() : object.kind_->name;
  }
};

/// Returns the descriptor; or a negative number, with an error, if there is none.
int descriptor_of(const FileObject& object, std::error_code& error);

/// Returns true if bytes can be received although the descriptor is not ready.
inline bool holds_bytes(const socket::SocketState* state) noexcept {
  return state != nullptr && state->layer() && state->layer()->pending() > 0;
}

/// Returns the deadline of a call for which a negative time means no limit.
template <class Period>
Deadline deadline_of(const WaitTime<Period>& time) noexcept {
  return time.is_negative() ? Deadline::none() : base::deadline_after(time.limit());
}

// The events that select(2) counts as readable and as writable.
inline constexpr short kSelectRead = sys::kIn | sys::kReadNormal | sys::kReadBand;
inline constexpr short kSelectWrite = sys::kOut | sys::kWriteNormal | sys::kWriteBand;

/// Returns the part of the entry's events (kSelectRead, kSelectWrite, kPriority) that select(2)
/// would report.
constexpr short selected(const sys::PollEntry& entry) noexcept {
  int ready = entry.revents & sys::kPriority;
  if ((entry.revents & (kSelectRead | sys::kHangUp | sys::kError)) != 0) ready |= kSelectRead;
  if ((entry.revents & (kSelectWrite | sys::kError)) != 0) ready |= kSelectWrite;
  return static_cast<short>(ready & entry.events);
}

/// Waits as select(2) does. Returns the number of entries with a selected() event, 0 if the
/// deadline has passed, -EBADF if a descriptor is not open.
long wait_selected(std::vector<sys::PollEntry>& entries, Deadline deadline);

/// Waits for the entries of a PollSet as wait_any() does.
inline long wait_poll(std::vector<sys::PollEntry>& entries, Deadline deadline) {
  return wait::wait_any(entries, deadline);
}

/// Waits for events of an epoll. Returns the number of events written, 0 if the deadline has
/// passed, or a negative error: -EBADF if the epoll is closed, which ends the wait of a fiber.
long wait_epoll(wait::Descriptor& epoll, sys::RawEpollEvent* events, int most, Deadline deadline);

/// Entries to poll, one for each descriptor, found by its number. They may change during a wait,
/// which is for the entries at its beginning.
class PollSet {
 public:
  /// Waits with wait_poll() or wait_selected() and returns its result. In a fiber, close() ends the
  /// wait with -EBADF.
  using Wait = long (*)(std::vector<sys::PollEntry>& entries, Deadline deadline);
  long wait(Wait wait_for, Deadline deadline);

  /// Returns the entries of the last wait, with the events that have happened.
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
  sys::OwnFd closing_;  // an eventfd, by which close() ends the wait of a fiber
  bool closed_ = false;
};

/// Allows one wait at a time.
class OneWait {
 public:
  explicit OneWait(std::atomic<bool>& waiting) noexcept
      : waiting_(waiting), first_(!waiting.exchange(true)) {}
  OneWait(const OneWait&) = delete;
  OneWait& operator=(const OneWait&) = delete;
  ~OneWait() {
    if (first_) waiting_ = false;
  }

  /// Returns true if there is no other wait.
  bool first() const noexcept { return first_; }

 private:
  std::atomic<bool>& waiting_;
  const bool first_;
};

}  // namespace plug::detail::select
