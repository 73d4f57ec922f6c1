#pragma once

// What an operation that has been tried in vain waits for, where poll(2) says that the descriptor
// is ready all the same: its error queue has something that nobody reads, or it is to send to a
// Unix datagram socket that has no room, of which its own readiness tells nothing. Each wait for
// such a descriptor would end at once, for ever.
//
// Such an operation is told of what changes from then on, and no longer of what is the case. Where
// a send is tried in vain when that has said that there is room, nothing tells when there is: it is
// tried again after a pause, each time a longer one. (The kernel reports room on a Unix datagram
// socket whenever it gives back the memory of a send that has failed.)

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <utility>

#include "sys/polling.hpp"
#include "wait/deadline.hpp"
#include "wait/waiter.hpp"

namespace plug::detail {

inline constexpr int kOutOfBand = 0x1, kPeek = 0x2, kWaitAll = 0x100, kErrorQueue = 0x2000;

/// What an operation waits for whose attempt has given `result`.
inline int events_of(const Op& op, long result) noexcept {
  if (op.kind == Op::Kind::ready) return op.flags;
  if (op.kind == Op::Kind::accept) return sys::kIn;
  if (op.kind > Op::Kind::receive_batch) return sys::kOut;
  // Of what is in the error queue each wait is told.
  if ((op.flags & kErrorQueue) != 0) return 0;
  if ((op.flags & kOutOfBand) == 0) return sys::kIn;
  return sys::kPriority | (result == -EINVAL ? sys::kReadHangUp : sys::kIn);
}

/// Whether an attempt has found no urgent data, which the system does not wait for itself.
inline bool found_nothing_urgent(const Op& op, long result) noexcept {
  return result == -EINVAL && op.kind <= Op::Kind::receive_message && (op.flags & kOutOfBand) != 0;
}

/// Pauses between attempts of which nothing tells when to make them.
class Pause {
 public:
  /// The end of the next pause, the deadline at the latest.
  Deadline next(Deadline deadline) noexcept {
    const Deadline end = std::min(deadline, Deadline::after(length_));
    length_ = std::min(length_ * kGrowth, kLongest);
    return end;
  }

 private:
  static constexpr std::int64_t kFirst = 250'000, kLongest = 256'000'000;  // nanoseconds
  static constexpr std::int64_t kGrowth = 4;

  std::int64_t length_ = kFirst;
};

/// Becomes ready when something happens to a descriptor, whatever is the case already.
class ChangeWatch {
 public:
  /// False where the system has no descriptor to spare.
  bool open(int fd, int events) noexcept {
    constexpr std::uint32_t kEdge = std::uint32_t{1} << 31;
    const long made = sys::epoll_create();
    if (made < 0) return false;
    epoll_ = sys::OwnFd(static_cast<int>(made));
    const std::uint32_t watched = static_cast<std::uint16_t>(events) | kEdge;
    if (sys::epoll_add(epoll_.get(), fd, watched, 0) < 0) return false;
    take();  // what is the case now
    return true;
  }

  int fd() const noexcept { return epoll_.get(); }

  /// What has happened; it is not ready any more.
  long take() noexcept {
    sys::EpollEvent event{};
    return sys::epoll_wait(epoll_.get(), &event, 1, 0) == 1 ? static_cast<long>(event.events) : 0;
  }

 private:
  sys::OwnFd epoll_;
};

/// What the attempts of one operation have found, for the next wait.
class Attempts {
 public:
  explicit Attempts(int events) noexcept : events_(events) {}

  int events() const noexcept { return events_; }

  /// What to do after an attempt in vain.
  enum class Next : std::uint8_t {
    await_ready,   ///< wait for the descriptor
    try_again,     ///< there has been no watch until now
    await_change,  ///< wait for watch()
    pause          ///< wait until pause()
  };
  /// `edges`: waiting for the descriptor is waiting for changes.
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

  /// The wait has ended with these events. When it was said that there is room, another attempt in
  /// vain shows that this means nothing.
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

}  // namespace plug::detail
