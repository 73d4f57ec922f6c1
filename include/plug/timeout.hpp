#pragma once

// How long calls wait: Timeout, the maximum time of one call; Deadline, the time until which
// several calls may wait; and the interrupt hook, which may end them.

#include <plug/detail/forward.hpp>
#include <plug/detail/seconds.hpp>

#include <chrono>
#include <compare>
#include <concepts>
#include <cstdint>
#include <iosfwd>
#include <limits>
#include <optional>
#include <ratio>
#include <string>
#include <system_error>
#include <type_traits>

#pragma GCC visibility push(default)

namespace plug {

class Timeout;

/// The time until which calls may wait, for several calls that share it. Converts to Timeout, so
/// that it can be given wherever a timeout can. A call that would wait after the deadline throws
/// TimeoutError.
///
///   sock.settimeout(Deadline::after(5s));  // for all calls until the next settimeout()
class Deadline {
 public:
  using Clock = std::chrono::steady_clock;

  /// Returns the deadline that never comes.
  static constexpr Deadline none() noexcept { return Deadline(kNone); }
  /// Returns the deadline that has always passed: a call with this deadline does not wait, and
  /// throws BlockingIOError instead of TimeoutError, as with a timeout of zero.
  static constexpr Deadline immediate() noexcept { return Deadline(kImmediate); }
  /// Returns the end of a timeout that begins now: none() without a timeout, immediate() for zero.
  static Deadline after(Timeout timeout) noexcept;
  /// Returns the deadline at `time`, which may be in the past.
  static constexpr Deadline at(Clock::time_point time) noexcept { return Deadline(time); }

  constexpr bool is_none() const noexcept { return time_ == kNone; }
  constexpr bool is_immediate() const noexcept { return time_ == kImmediate; }

  /// Returns true if the deadline has passed.
  bool passed() const noexcept;
  /// Returns the time that is left: none without a limit, zero if the deadline has passed.
  Timeout remaining() const noexcept;
  /// Returns the time of the deadline: the latest of the clock for none(), the earliest for
  /// immediate().
  constexpr Clock::time_point time() const noexcept { return time_; }

  /// Orders deadlines by time, the earlier first.
  // NOLINTNEXTLINE(modernize-use-nullptr): there is no pointer
  friend constexpr auto operator<=>(const Deadline&, const Deadline&) noexcept = default;

 private:
  static constexpr Clock::time_point kNone = Clock::time_point::max();
  static constexpr Clock::time_point kImmediate = Clock::time_point::min();

  explicit constexpr Deadline(Clock::time_point time) noexcept : time_(time) {}

  Clock::time_point time_;
};

/// The maximum time that a call may wait: no limit (std::nullopt), zero (do not wait), or a
/// duration.
///
/// Converts from any number, in seconds, from any std::chrono::duration, from std::nullopt, and
/// from a Deadline, which then limits all calls that have this timeout. Stored in nanoseconds,
/// rounded up, so that a positive value never becomes zero. Throws ValueError if negative or NaN,
/// OverflowError if too large. Python: the argument of socket.settimeout().
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

  Timeout(Deadline deadline) noexcept;

  /// Returns true if there is no limit (Python's None).
  constexpr bool is_none() const noexcept { return nanoseconds_ == kNone; }

  /// Returns true if the call must not wait.
  constexpr bool is_zero() const noexcept { return nanoseconds_ == 0; }

  /// Returns true if this was made from a deadline that is neither none() nor immediate().
  constexpr bool is_deadline() const noexcept { return nanoseconds_ < kNone; }

  /// Returns the duration; of a deadline, what is left of it. Requires !is_none().
  std::chrono::nanoseconds duration() const noexcept {
    return std::chrono::nanoseconds(is_deadline() ? left() : nanoseconds_);
  }

  /// Returns the seconds, as Python's gettimeout() does; std::nullopt if there is no limit.
  std::optional<double> seconds() const noexcept {
    if (is_none()) return std::nullopt;
    return static_cast<double>(duration().count()) / 1e9;
  }

  friend constexpr bool operator==(const Timeout&, const Timeout&) noexcept = default;

 private:
  friend struct detail::base::TimeoutAccess;

  static constexpr std::int64_t kNone = -1;

  /// Returns the number of a deadline at a time, in nanoseconds, or the time of such a number.
  static constexpr std::int64_t mirrored(std::int64_t time_or_number) noexcept {
    return kNone - 1 - time_or_number;
  }
  /// Returns the nanoseconds until the deadline, 0 if it has passed.
  std::int64_t left() const noexcept;

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

  // kNone, the nanoseconds, or below kNone the mirrored() time of a deadline.
  std::int64_t nanoseconds_ = kNone;
};

/// Returns "None", or the seconds as Python prints them ("2.5", "0.0").
std::string to_string(const Timeout& timeout);
std::ostream& operator<<(std::ostream& out, const Timeout& timeout);

/// Return or set the timeout of new sockets; initially none. Process-wide and thread-safe. Python:
/// socket.getdefaulttimeout(), socket.setdefaulttimeout().
Timeout getdefaulttimeout() noexcept;
void setdefaulttimeout(Timeout timeout) noexcept;

/// Called in the thread of a call that a signal has interrupted, before that call continues with
/// the remaining time (PEP 475). Also called between the parts of a transfer (sendall(),
/// sendfile(), files), because a signal may be why the system took only a part. The hook returns
/// std::errc{} to continue, or an error to end the call, which then reports it in
/// std::generic_category(). It may also throw; the exception leaves the call, in both of its forms.
/// An error or exception ends the whole call: create_connection() tries no other address.
///
/// set_interrupt_hook() sets the hook of the process and returns the previous one. Initially there
/// is no hook (null).
using InterruptHook = std::errc (*)();
InterruptHook set_interrupt_hook(InterruptHook hook) noexcept;

}  // namespace plug

#pragma GCC visibility pop
