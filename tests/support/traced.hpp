#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

/// The cost of a wait, measured in a separate process.
struct WaitCost {
  std::int64_t nanoseconds = 0;  ///< from its beginning to its end
  std::int64_t sleep = 0;        ///< a plain sleep of the same length at the same time, at most
  long calls = -1;               ///< system calls of its thread; -1 if they are not counted
  std::string outcome;           ///< the text that it has returned
};

/// A wait to measure. Sets up everything that it needs, then calls measure(wait) once. The outcome
/// is the text that `wait` returns.
using Measure = std::function<void(const std::function<std::string()>& wait)>;
using MeasuredBody = std::function<void(const Measure& measure)>;

struct MeasuredWait {
  MeasuredBody body;
  double seconds;  ///< the expected length of the wait
};

/// Runs all bodies at the same time, each in a forked child beside a sleep of the same length. A
/// body that does not end in time has the outcome "hangs". Counting slows each system call down,
/// and so delays the end of the wait.
std::vector<WaitCost> measure_waits(const std::vector<MeasuredWait>& waits, bool count_calls);
