#pragma once

#include <plug/timeout.hpp>

#include <compare>
#include <cstdint>
#include <limits>

#include "sys/syscalls.hpp"

namespace plug::detail {

/// The time until which a call may wait: none (without limit), immediate (it must not wait), or a
/// point of the monotonic clock.
class Deadline {
 public:
  static constexpr Deadline none() noexcept { return Deadline(kNone); }
  static constexpr Deadline immediate() noexcept { return Deadline(kImmediate); }

  /// Returns a deadline that never passes and still is not none(), for a call that must not block
  /// in the system itself.
  static constexpr Deadline never() noexcept { return Deadline(kNone - 1); }

  /// Returns the deadline `span` nanoseconds from now: none() if negative, immediate() if 0.
  static Deadline after(std::int64_t span) noexcept {
    if (span <= 0) return span < 0 ? none() : immediate();
    const std::int64_t now = sys::monotonic_nanoseconds();
    return Deadline(span < kNone - now ? now + span : kNone - 1);
  }

  constexpr bool is_none() const noexcept { return when_ == kNone; }
  constexpr bool is_immediate() const noexcept { return when_ == kImmediate; }

  /// Orders deadlines by time, the earlier first.
  // NOLINTNEXTLINE(modernize-use-nullptr): there is no pointer
  friend constexpr auto operator<=>(const Deadline&, const Deadline&) noexcept = default;

  /// Returns the nanoseconds that are left: 0 if the deadline has passed, -1 if there is no limit.
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

/// Returns the deadline of a call that begins now.
inline Deadline deadline_of(const Timeout& timeout) noexcept {
  return timeout.is_none() ? Deadline::none() : Deadline::after(timeout.duration().count());
}

}  // namespace plug::detail
