#pragma once

#include <cstdint>

#include "sys/for_fiber.hpp"

namespace plug::detail::sys {

/// Returns the time of the monotonic clock. All of plug reads this clock. Its source file defines
/// nothing else, so that a program that defines this function itself, such as a test, replaces it.
PLUG_FOR_FIBER std::int64_t monotonic_nanoseconds() noexcept;

}  // namespace plug::detail::sys
