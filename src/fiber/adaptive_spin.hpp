#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>

namespace plug::detail::fiber {

/// Decides how long an idle thread polls for events before it sleeps. It polls for as long as that
/// has paid off, that is, while the sleeps would have been short. If it does not pay off, polling
/// is tried again now and then: a sleeping thread sees events late, so they look further apart than
/// they are. All times are nanoseconds of one clock.
class AdaptiveSpin {
 public:
  /// `most` is the longest time to poll; zero disables polling.
  explicit AdaptiveSpin(std::int64_t most) noexcept : most_(most), limit_(most) {}

  bool is_any() const noexcept { return most_ > 0; }

  /// Called when there is nothing to do. Returns true if the thread is to poll again at once.
  bool lasts(std::int64_t now) noexcept {
    if (idle_since_ < 0) idle_since_ = now;
    return now - idle_since_ < limit_;
  }

  /// Returns true once, after polling has ended.
  bool has_ended() noexcept { return !std::exchange(told_, true); }

  bool is_idle() const noexcept { return idle_since_ >= 0; }

  /// Called when there is something to do again.
  void found(std::int64_t now) noexcept {
    const std::int64_t idle = now - idle_since_;
    if (limit_ == 0 && ++slept_ == kTryAgain)
      limit_ = most_;
    else if (idle >= most_)
      limit_ = limit_ / 2 < most_ / kSteps ? 0 : limit_ / 2;
    else if (idle >= limit_)
      limit_ = std::clamp(2 * limit_, most_ / kSteps, most_);
    if (limit_ != 0) slept_ = 0;
    idle_since_ = -1;
    told_ = false;
  }

 private:
  static constexpr std::int64_t kSteps = 8;
  static constexpr int kTryAgain = 16;  // after so many sleeps

  std::int64_t most_;
  std::int64_t limit_;
  std::int64_t idle_since_ = -1;  // negative: not idle
  bool told_ = false;
  int slept_ = 0;  // sleeps since the limit became zero
};

}  // namespace plug::detail::fiber
