#pragma once

// Decides how an operation waits after an attempt has failed with EAGAIN. perform_again()
// (thread_driver.cpp) and EngineBase (fiber/engine/engine_base.cpp) make the attempts and the
// waits. It is not always enough to wait until poll(2) reports the descriptor ready: poll(2) does
// so if the error queue holds something that nobody reads, and for a Unix datagram socket even if
// the receiver has no room. Each such wait would return at once.
//
// An operation that fails again waits for the next change of the descriptor instead of its present
// state. If a send fails although its wait has reported room, no event tells when there is room:
// the send is retried after a pause, each longer than the one before. (The kernel reports room on a
// Unix datagram socket whenever it frees the memory of a failed send.)

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <utility>

#include "base/deadline.hpp"
#include "sys/polling.hpp"
#include "wait/io_driver.hpp"

namespace plug::detail::wait {

inline constexpr int kOutOfBand = 0x1, kPeek = 0x2, kWaitAll = 0x100, kErrorQueue = 0x2000;

/// Returns the events that an operation waits for after an attempt that returned `result`.
inline int events_of(const Op& op, long result) noexcept {
  if (op.kind == Op::Kind::ready) return op.flags;
  if (op.kind == Op::Kind::accept) return sys::kIn;
  if (op.kind > Op::Kind::receive_batch) return sys::kOut;
  // poll(2) reports the error queue (POLLERR) without being asked.
  if ((op.flags & kErrorQueue) != 0) return 0;
  if ((op.flags & kOutOfBand) == 0) return sys::kIn;
  return sys::kPriority | (result == -EINVAL ? sys::kReadHangUp : sys::kIn);
}

/// Returns true if the attempt found no urgent data, for which the system itself never waits.
inline bool found_nothing_urgent(const Op& op, long result) noexcept {
  return result == -EINVAL && op.kind <= Op::Kind::receive_message && (op.flags & kOutOfBand) != 0;
}

/// The pauses between attempts if no event tells when to retry.
class Pause {
 public:
  /// Returns the end of the next pause, at the latest the deadline.
  Deadline next(Deadline deadline) noexcept {
    const Deadline end = std::min(deadline, base::deadline_after(length_));
    length_ = std::min(length_ * kGrowth, kLongest);
    return end;
  }

 private:
  static constexpr std::int64_t kFirst = 250'000, kLongest = 256'000'000;  // nanoseconds
  static constexpr std::int64_t kGrowth = 4;

  std::int64_t length_ = kFirst;
};

/// Becomes readable at the next change of a descriptor, regardless of its present state.
class ChangeWatch {
 public:
  /// Returns false if the system has no file descriptor left.
  bool open(int fd, int events) noexcept {
    constexpr std::uint32_t kEdge = std::uint32_t{1} << 31;
    const long made = sys::epoll_create();
    if (made < 0) return false;
    epoll_ = sys::OwnFd(static_cast<int>(made));
    const std::uint32_t watched = static_cast<std::uint16_t>(events) | kEdge;
    if (sys::epoll_add(epoll_.get(), fd, watched, 0) < 0) return false;
    take();  // discards the present state
    return true;
  }

  int fd() const noexcept { return epoll_.get(); }

  /// Returns the events since the last call; the watch is not readable any more.
  long take() noexcept {
    sys::RawEpollEvent event{};
    return sys::epoll_wait(epoll_.get(), &event, 1, 0) == 1 ? static_cast<long>(event.events) : 0;
  }

 private:
  sys::OwnFd epoll_;
};

/// Records the results of one operation's attempts and chooses the next wait.
class Attempts {
 public:
  explicit Attempts(int events) noexcept : events_(events) {}

  int events() const noexcept { return events_; }

  /// The step after a failed attempt.
  enum class Next : std::uint8_t {
    await_ready,   ///< wait for the descriptor
    try_again,     ///< try once more: the watch exists only from now on
    await_change,  ///< wait for watch()
    pause          ///< wait until pause()
  };
  /// `edges`: waiting for the descriptor already means waiting for a change.
  Next next(int fd, bool edges) noexcept {
    const bool first = !std::exchange(waited_, true);
    if (lied_) return Next::pause;
    if (first || edges) return Next::await_ready;
    if (watch_.fd() >= 0) return Next::await_change;
    lied_ = !watch_.open(fd, events_);
    return Next::try_again;
  }
  bool waited() const noexcept { return waited_; }
  /// An attempt that was interrupted has shown nothing.
  void interrupted() noexcept { waited_ = false; }

  /// Records the events that ended the wait. If they reported room, another failed attempt shows
  /// that this report is worthless.
  void ended(long events) noexcept { lied_ = (events & events_ & sys::kOut) != 0; }

  ChangeWatch& watch() noexcept { return watch_; }
  Deadline pause(Deadline deadline) noexcept { return pause_.next(deadline); }

 private:
  const int events_;
  bool waited_ = false;
  bool lied_ = false;
  Pause pause_;
  ChangeWatch watch_;
};

}  // namespace plug::detail::wait
