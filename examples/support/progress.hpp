#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace lesson {

/// A size as people read it: "512 B", "1.5 KiB", "33.8 MiB".
std::string human_size(double bytes);

/// A bar that shows how much of a known amount is done, on standard error and only when that is a
/// terminal. Drawn at most ten times a second; its line is ended when it goes.
class Progress {
 public:
  Progress(std::string_view label, std::uint64_t total);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void add(std::uint64_t bytes);

 private:
  using Clock = std::chrono::steady_clock;

  void draw(Clock::time_point now);

  std::string label_;
  std::uint64_t total_;
  std::uint64_t done_ = 0;
  bool terminal_;
  Clock::time_point began_;
  Clock::time_point drawn_;
};

}  // namespace lesson
