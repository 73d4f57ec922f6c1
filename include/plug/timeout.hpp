#pragma once

// Timeout: the maximum time that a call may wait.

#include <chrono>
#include <concepts>
#include <cstdint>
#include <iosfwd>
#include <limits>
#include <optional>
#include <ratio>
#include <string>
#include <type_traits>

#pragma GCC visibility push(default)

namespace plug {

namespace detail {
/// Converts seconds to nanoseconds, rounded up. Throws ValueError if the number is negative or NaN,
/// OverflowError if the result does not fit 64 bits (about 292 years).
std::int64_t nanoseconds_from_seconds(double seconds);
std::int64_t nanoseconds_from_seconds(std::int64_t seconds);
[[noreturn]] void throw_timeout_out_of_range(double seconds);
}  // namespace detail

/// The maximum time that a call may wait: no limit (std::nullopt), zero (do not wait), or a
/// duration.
///
/// Converts from any number, in seconds, from any std::chrono::duration, and from std::nullopt.
/// Stored in nanoseconds, rounded up, so that a positive value never becomes zero. Throws
/// ValueError if negative or NaN, OverflowError if too large. Python: the argument of
/// socket.settimeout().
class Timeout {
 public:
  constexpr Timeout(std::nullopt_t = std::nullopt) noexcept {}

  template <class T>
  requires(std::integral<T> && !std::same_as<T, bool>) Timeout(T seconds)
      : nanoseconds_(from_integer(seconds)) {}

  template <std::floating_point T>
  Timeout(T seconds) : nanoseconds_(from_floating(seconds)) {}

  template <class Rep, class Period>
  Timeout(std::chrono::duration<Rep, Period> duration) : nanoseconds_(from_duration(duration)) {}

  Timeout(std::optional<double> seconds)
      : nanoseconds_(seconds ? detail::nanoseconds_from_seconds(*seconds) : kNone) {}

  /// Returns true if there is no limit (Python's None).
  constexpr bool is_none() const noexcept { return nanoseconds_ == kNone; }

  /// Returns true if the call must not wait.
  constexpr bool is_zero() const noexcept { return nanoseconds_ == 0; }

  /// Returns the duration. Requires !is_none().
  constexpr std::chrono::nanoseconds duration() const noexcept {
    return std::chrono::nanoseconds(nanoseconds_);
  }

  /// Returns the seconds, as Python's gettimeout() does; std::nullopt if there is no limit.
  std::optional<double> seconds() const noexcept {
    if (is_none()) return std::nullopt;
    return static_cast<double>(nanoseconds_) / 1e9;
  }

  friend constexpr bool operator==(const Timeout&, const Timeout&) noexcept = default;

 private:
  static constexpr std::int64_t kNone = -1;

  template <class T>
  static std::int64_t from_integer(T seconds) {
    if constexpr (std::is_unsigned_v<T> && sizeof(T) >= sizeof(std::int64_t)) {
      if (seconds > static_cast<T>(std::numeric_limits<std::int64_t>::max()))
        detail::throw_timeout_out_of_range(static_cast<double>(seconds));
    }
    return detail::nanoseconds_from_seconds(static_cast<std::int64_t>(seconds));
  }

  template <class Rep, class Period>
  static std::int64_t from_duration(std::chrono::duration<Rep, Period> duration) {
    using Seconds = std::chrono::duration<double>;
    using PerTick = std::ratio_divide<Period, std::nano>;  // nanoseconds
    constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
    double seconds = std::chrono::duration_cast<Seconds>(duration).count();
    if (seconds == 0 && duration.count() > 0) seconds = std::numeric_limits<double>::denorm_min();
    if constexpr (std::integral<Rep> && sizeof(Rep) <= sizeof kMost &&
                  PerTick::num <= kMost / PerTick::den) {
      if (duration.count() < 0) detail::throw_timeout_out_of_range(seconds);
      const auto ticks = static_cast<std::uint64_t>(duration.count());
      constexpr auto kDen = static_cast<std::uint64_t>(PerTick::den);
      const auto whole = static_cast<std::int64_t>(ticks / kDen);
      const auto rest = static_cast<std::int64_t>(ticks % kDen) * PerTick::num;
      const std::int64_t rest_up = rest / PerTick::den + (rest % PerTick::den != 0 ? 1 : 0);
      if (whole < 0 || whole > (kMost - rest_up) / PerTick::num)
        detail::throw_timeout_out_of_range(seconds);
      return whole * PerTick::num + rest_up;
    } else {
      return detail::nanoseconds_from_seconds(seconds);
    }
  }

  template <std::floating_point T>
  static std::int64_t from_floating(T seconds) {
    double rounded = static_cast<double>(seconds);
    if (rounded == 0 && seconds > 0) rounded = std::numeric_limits<double>::denorm_min();
    return detail::nanoseconds_from_seconds(rounded);
  }

  std::int64_t nanoseconds_ = kNone;
};

/// Returns "None", or the seconds as Python prints them ("2.5", "0.0").
std::string to_string(const Timeout& timeout);
std::ostream& operator<<(std::ostream& out, const Timeout& timeout);

/// Return or set the timeout of new sockets; at first none. Process-wide and thread-safe. Python:
/// socket.getdefaulttimeout(), socket.setdefaulttimeout().
Timeout getdefaulttimeout() noexcept;
void setdefaulttimeout(Timeout timeout) noexcept;

}  // namespace plug

#pragma GCC visibility pop
