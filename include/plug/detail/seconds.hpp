#pragma once

// Conversions of seconds: the internal part of plug/timeout.hpp.

#include <cstdint>

#pragma GCC visibility push(default)

namespace plug::detail {

/// Converts seconds to nanoseconds, rounded up. Throws ValueError if the number is negative or NaN,
/// OverflowError if the result does not fit 64 bits (about 292 years).
std::int64_t nanoseconds_from_seconds(double seconds);
std::int64_t nanoseconds_from_seconds(std::int64_t seconds);
[[noreturn]] void throw_timeout_out_of_range(double seconds);

}  // namespace plug::detail

#pragma GCC visibility pop
