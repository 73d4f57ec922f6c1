#pragma once

#include <plug/timeout.hpp>

#include <compare>
#include <cstdint>
#include <limits>

#include "sys/syscalls.hpp"

namespace plug::detail {

/// A moment until which a call may wait: none, immediate (it may not), or a point of the monotonic
/// clock.
class Deadline {
 public:
  static constexpr Deadline none() noexcept { return Deadline(kNone); }
  static constexpr Deadline immediate() noexcept { return Deadline(kImmediate); }

  /// A moment that does not come: no limit for a call that must not wait itself.
  static constexpr Deadline never() noexcept { return Deadline(kNone - 1); }

  /// The moment that many nanoseconds from now; none when negative, immediate when 0.
  static Deadline after(std::int64_t span) noexcept {
    if (span <= 0) return span < 0 ? none() : immediate();
    const std::int64_t now = sys::monotonic_nanoseconds();
    return Deadline(span < kNone - now ? now + span : kNone - 1);
  }

  constexpr bool is_none() const noexcept { return when_ == kNone; }
  constexpr bool is_immediate() const noexcept { return when_ == kImmediate; }

  /// The earlier is the less.
  // NOLINTNEXTLINE(modernize-use-nullptr): there is no pointer
  friend constexpr auto operator<=>(const Deadline&, const Deadline&) noexcept = default;

  /// Nanoseconds that are left: 0 when it has passed, -1 when there is no limit.
  std::int64_t remaining() const noexcept {
    if (is_none()) return -1;
    const std::int64_t now = sys::monotonic_nanoseconds();
    return when_ > now ? when_ - now : 0;
  }

 private:
  static constexpr std::int64_t kNone = std::numeric_limits<std::int64_t>::max();
  static constexpr std::int64_t kImmediate = std::numeric_limits<std::int64_t>::min();

  explicit constexpr Deadline(std::int64_t when) noexcept : when_(when) {}

  std::int64_t when_;
};

/// The deadline of a call that begins now.
inline Deadline deadline_of(const Timeout& timeout) noexcept {
  return timeout.is_none() ? Deadline::none() : Deadline::after(timeout.duration().count());
}

}  // namespace plug::detail
