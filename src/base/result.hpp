#pragma once

// The result of an operation as one number, and the error code that it stands for.

#include <plug/error.hpp>

#include <cstddef>
#include <system_error>

#include "sys/for_fiber.hpp"

namespace plug::detail::base {

inline constexpr long kTimedOut = -4096;   // below every -errno
inline constexpr long kCancelled = -4097;  // in a fiber that has been cancelled
inline constexpr long kStopped = -8192;    // minus the errno with which the hook has ended the call

/// Returns a result as an error code; no error if it is >= 0.
PLUG_FOR_FIBER std::error_code error_from(long result) noexcept;

/// Returns true if an error from error_from() is not a failure of the operation: the caller has
/// been told to end, by a cancellation or the interrupt hook, and must not wait for something else
/// instead.
inline bool ends_call(const std::error_code& error) noexcept {
  return error == make_error_code(Errc::cancelled) || error.category() == std::generic_category();
}

/// Splits a result into a count and an error.
inline std::size_t count_of(long result, std::error_code& error) noexcept {
  if (result >= 0) [[likely]] {
    if (error) [[unlikely]]
      error.clear();
    return static_cast<std::size_t>(result);
  }
  error = error_from(result);
  return 0;
}

}  // namespace plug::detail::base
