#pragma once

// Reports fibers that hold up the others.

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string_view>
#include <thread>

namespace plug::detail::fiber {

class FiberCore;

/// Checks on a monitor thread whether one fiber of a scheduler runs for too long.
class StallDetector {
 public:
  using Report = std::function<void(std::string_view name, std::chrono::nanoseconds time)>;

  /// Without a report function, prints a line to standard error. Throws OSError if no thread can be
  /// started.
  StallDetector(std::chrono::nanoseconds limit, Report report);
  StallDetector(const StallDetector&) = delete;
  StallDetector& operator=(const StallDetector&) = delete;
  ~StallDetector();

  void begins(const FiberCore& fiber) noexcept {
    const std::lock_guard lock(mutex_);
    running_ = &fiber;
    ++turn_;
  }
  void ends() noexcept {
    const std::lock_guard lock(mutex_);
    running_ = nullptr;
  }

 private:
  void watch();

  const std::chrono::nanoseconds limit_;
  const Report report_;
  std::mutex mutex_;
  std::condition_variable changed_;
  const FiberCore* running_ = nullptr;
  std::uint64_t turn_ = 0;  // counts how often a fiber has begun to run
  bool over_ = false;
  std::thread thread_;
};

}  // namespace plug::detail::fiber
