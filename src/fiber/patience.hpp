#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>

namespace plug::detail {

/// For how long a thread that has nothing to do looks for something before it sleeps: for as long
/// as that has paid, which it has when sleeping would have been short. Where it does not pay it is
/// tried again now and then, since what sleeps is told later, and so sees events further apart. All
/// times are nanoseconds of one clock.
class Patience {
 public:
  /// The longest; never when zero.
  explicit Patience(std::int64_t most) noexcept : most_(most), limit_(most) {}

  bool is_any() const noexcept { return most_ > 0; }

  /// There is nothing to do: whether to look again at once.
  bool lasts(std::int64_t now) noexcept {
    if (idle_since_ < 0) idle_since_ = now;
    return now - idle_since_ < limit_;
  }

  /// Whether it has ended; true once.
  bool has_ended() noexcept { return !std::exchange(told_, true); }

  bool is_idle() const noexcept { return idle_since_ >= 0; }

  /// There is something to do again.
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
  static constexpr int kTryAgain = 16;  // when it has slept so often

  std::int64_t most_;
  std::int64_t limit_;
  std::int64_t idle_since_ = -1;  // below zero: it is not
  bool told_ = false;
  int slept_ = 0;  // since the limit is zero
};

}  // namespace plug::detail
