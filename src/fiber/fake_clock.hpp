#pragma once

// A fake clock for tests of fibers. sys/clock.hpp says how a test replaces the clock that plug
// reads.

#include "base/deadline.hpp"

namespace plug::detail::fiber {

/// Moves the fake clock forward to a deadline. A scheduler calls it instead of sleeping, when none
/// of its fibers can run and a poll has found no event.
using AdvanceClock = void (*)(Deadline deadline) noexcept;

/// Null except in tests, which set it while no fibers run.
inline constinit AdvanceClock advance_clock = nullptr;

}  // namespace plug::detail::fiber
