#pragma once

#include <plug/timeout.hpp>

#include <cstdint>

namespace plug::detail::base {

/// A timeout as one number: nanoseconds; -1 without a limit; below -1, a deadline.
struct TimeoutAccess {
  static constexpr std::int64_t number(const Timeout& timeout) noexcept {
    return timeout.nanoseconds_;
  }
  static Timeout timeout(std::int64_t number) noexcept {
    Timeout made;
    made.nanoseconds_ = number;
    return made;
  }
  /// Returns the time of a deadline, in nanoseconds, from its number.
  static constexpr std::int64_t time(std::int64_t number) noexcept {
    return Timeout::mirrored(number);
  }
};

}  // namespace plug::detail::base
