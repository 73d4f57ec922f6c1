#pragma once

#include <chrono>

/// Stops the clock that plug reads, in all threads, while it lives. The clock then moves only by
/// advance(), and when all fibers of a scheduler wait: it jumps to the next deadline, so that no
/// test waits for it and the order of deadlines does not depend on the load of the machine.
///
/// For tests whose fibers run in one thread. Must be made and destroyed while no fibers run. The
/// clock does not wait for other threads, for other processes, or for the kernel to finish work
/// that a poll does not show yet.
class FakeClock {
 public:
  FakeClock() noexcept;
  FakeClock(const FakeClock&) = delete;
  FakeClock& operator=(const FakeClock&) = delete;
  ~FakeClock();

  /// Returns how far the clock has moved.
  std::chrono::nanoseconds elapsed() const noexcept;

  /// Lets time pass without a wait, as a computation does. Does nothing on the real clock.
  static void advance(std::chrono::nanoseconds time) noexcept;

 private:
  std::chrono::nanoseconds begun_;
};
