#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace lesson {

/// Formats a size for people: "512 B", "1.5 KiB", "33.8 MiB".
std::string human_size(double bytes);

/// A progress bar for a known amount, on standard error. Draws only on a terminal, and at most ten
/// times a second. The destructor ends the line.
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
