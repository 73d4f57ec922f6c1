#include <plug/error.hpp>
#include <plug/timeout.hpp>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <cmath>
#include <ostream>

#include "base/deadline.hpp"
#include "base/timeout_access.hpp"

namespace plug {

namespace {

constexpr double kNanosecondsPerSecond = 1e9;

/// Formats as Python's repr(): the fewest digits, with an exponent below 1e-4 and from 1e16 on.
std::string text_of(double seconds) {
  const double magnitude = std::fabs(seconds);
  const bool plain = magnitude == 0 || (magnitude >= 1e-4 && magnitude < 1e16);
  char text[32];
  const auto end = std::to_chars(text, text + sizeof text, seconds,
                                 plain ? std::chars_format::fixed : std::chars_format::scientific);
  std::string result(text, end.ptr);
  if (plain && result.find('.') == std::string::npos) result += ".0";
  return result;
}

std::atomic<std::int64_t> default_timeout{-1};

}  // namespace

namespace detail {

void throw_timeout_out_of_range(double seconds) {
  if (std::isnan(seconds)) throw ValueError("Invalid value NaN (not a number) as a timeout");
  if (seconds < 0) throw ValueError("Timeout value out of range: " + text_of(seconds));
  throw OverflowError("Timeout value too large: " + text_of(seconds));
}

std::int64_t nanoseconds_from_seconds(double seconds) {
  const double nanoseconds = std::ceil(seconds * kNanosecondsPerSecond);
  // 2^63 as a double is the first value that does not fit.
  if (!(seconds >= 0) || nanoseconds >= 9223372036854775808.0) throw_timeout_out_of_range(seconds);
  return static_cast<std::int64_t>(nanoseconds);
}

std::int64_t nanoseconds_from_seconds(std::int64_t seconds) {
  constexpr std::int64_t kScale = 1'000'000'000;
  if (seconds < 0 || seconds > std::numeric_limits<std::int64_t>::max() / kScale)
    throw_timeout_out_of_range(static_cast<double>(seconds));
  return seconds * kScale;
}

}  // namespace detail

std::string to_string(const Timeout& timeout) {
  const auto seconds = timeout.seconds();
  return seconds ? text_of(*seconds) : "None";
}

std::ostream& operator<<(std::ostream& out, const Timeout& timeout) {
  return out << to_string(timeout);
}

Deadline Deadline::after(Timeout timeout) noexcept { return detail::base::deadline_after(timeout); }

bool Deadline::passed() const noexcept { return detail::base::remaining(*this) == 0; }

Timeout Deadline::remaining() const noexcept {
  return detail::base::TimeoutAccess::timeout(detail::base::remaining(*this));
}

Timeout::Timeout(Deadline deadline) noexcept {
  if (deadline.is_none()) return;
  const std::int64_t time = deadline.time().time_since_epoch().count();
  nanoseconds_ = deadline.is_immediate() ? 0 : mirrored(std::max(time, std::int64_t{0}));
}

std::int64_t Timeout::left() const noexcept {
  return detail::base::remaining(detail::base::deadline_after(nanoseconds_));
}

Timeout getdefaulttimeout() noexcept {
  return detail::base::TimeoutAccess::timeout(default_timeout);
}

void setdefaulttimeout(Timeout timeout) noexcept {
  default_timeout = detail::base::TimeoutAccess::number(timeout);
}

}  // namespace plug
