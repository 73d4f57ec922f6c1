#pragma once

// Deadlines inside the library, in nanoseconds of the monotonic clock.

#include <plug/timeout.hpp>

#include <chrono>
#include <cstdint>

#include "base/timeout_access.hpp"
#include "sys/clock.hpp"

namespace plug::detail::base {

constexpr Deadline deadline_at(std::int64_t nanoseconds) noexcept {
  return Deadline::at(Deadline::Clock::time_point(std::chrono::nanoseconds(nanoseconds)));
}

/// A deadline that never passes and still is not none(), for a call that must not block in the
/// system itself.
inline constexpr Deadline kNever =
    Deadline::at(Deadline::none().time() - std::chrono::nanoseconds(1));

/// Turns a timeout into a deadline: returns the deadline of a call that begins now. `timeout` is
/// the number of a Timeout (TimeoutAccess::number()).
inline Deadline deadline_after(std::int64_t timeout) noexcept {
  if (timeout <= 0) {
    if (timeout == -1) return Deadline::none();
    return timeout == 0 ? Deadline::immediate() : deadline_at(TimeoutAccess::time(timeout));
  }
  const std::int64_t now = sys::monotonic_nanoseconds();
  return timeout < Deadline::none().time().time_since_epoch().count() - now
             ? deadline_at(now + timeout)
             : kNever;
}
inline Deadline deadline_after(const Timeout& timeout) noexcept {
  return deadline_after(TimeoutAccess::number(timeout));
}

/// Returns the nanoseconds that are left: 0 if the deadline has passed, -1 if there is no limit.
inline std::int64_t remaining(Deadline deadline) noexcept {
  if (deadline.is_none()) return -1;
  const std::int64_t time = deadline.time().time_since_epoch().count();
  const std::int64_t now = sys::monotonic_nanoseconds();
  return time > now ? time - now : 0;
}

}  // namespace plug::detail::base
