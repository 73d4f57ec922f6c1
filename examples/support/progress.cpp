#include "support/progress.hpp"

#include <algorithm>
#include <cstdio>
#include <iostream>

#include <sys/ioctl.h>
#include <unistd.h>

#include "support/text.hpp"

namespace lesson {
namespace {

/// Returns the width of the terminal in columns; 80 if it is not known.
std::size_t terminal_width() noexcept {
  winsize size{};
  if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return 80;
  return size.ws_col;
}

}  // namespace

std::string human_size(double bytes) {
  const char* const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  std::size_t unit = 0;
  for (; bytes >= 1024 && unit + 1 < std::size(units); ++unit) bytes /= 1024;
  char text[32];
  std::snprintf(text, sizeof text, unit == 0 ? "%.0f %s" : "%.1f %s", bytes, units[unit]);
  return text;
}

Progress::Progress(std::string_view label, std::uint64_t total)
    : label_(one_line(label)),
      total_(total),
      terminal_(isatty(STDERR_FILENO) == 1),
      began_(Clock::now()) {
  if (terminal_) draw(began_);
}

Progress::~Progress() {
  if (!terminal_) return;
  draw(Clock::now());
  std::cerr << '\n' << std::flush;
}

void Progress::add(std::uint64_t bytes) {
  done_ += bytes;
  if (!terminal_) return;
  const Clock::time_point now = Clock::now();
  if (now - drawn_ >= std::chrono::milliseconds(100)) draw(now);
}

void Progress::draw(Clock::time_point now) {
  drawn_ = now;
  const double done = static_cast<double>(done_);
  const double part = total_ == 0 ? 1 : std::min(done / static_cast<double>(total_), 1.0);
  const double seconds = std::chrono::duration<double>(now - began_).count();
  char percent[16];
  std::snprintf(percent, sizeof percent, " %3.0f%% ", part * 100);
  std::string figures = human_size(done) + " of " + human_size(static_cast<double>(total_));
  if (seconds > 0) figures += ", " + human_size(done / seconds) + "/s";

  // The brackets, the space after them, and a free column at the end.
  constexpr std::size_t kFrame = 4;
  const std::size_t width = terminal_width();
  const std::size_t used = label_.size() + sizeof " 100% " - 1 + figures.size() + kFrame;
  const std::size_t bar = std::min<std::size_t>(width > used ? width - used : 0, 40);
  const auto full = static_cast<std::size_t>(part * static_cast<double>(bar));
  // Clears the rest of the line, because the previous text may have been longer.
  std::cerr << "\r" + label_ + percent + "[" + std::string(full, '#') +
                   std::string(bar - full, ' ') + "] " + figures + "\x1b[K"
            << std::flush;
}

}  // namespace lesson
