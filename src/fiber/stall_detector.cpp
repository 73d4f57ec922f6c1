#include "fiber/stall_detector.hpp"

#include <plug/error.hpp>

#include <algorithm>
#include <cstdio>
#include <string>
#include <system_error>
#include <utility>

#include "fiber/scheduler.hpp"
#include "sys/process.hpp"
#include "sys/signals.hpp"

namespace plug::detail::fiber {

namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::nanoseconds;

void print(std::string_view name, nanoseconds time) {
  char seconds[32];
  std::snprintf(seconds, sizeof seconds, "%.3g", std::chrono::duration<double>(time).count());
  const std::string text =
      "plug: " + (name.empty() ? "a fiber" : "the fiber " + std::string(name)) + " has run for " +
      seconds + " s without waiting\n";
  sys::write_error(text.data(), text.size());
}

}  // namespace

StallDetector::StallDetector(nanoseconds limit, Report report)
    : limit_(limit), report_(report ? std::move(report) : Report(print)) {
  try {
    const sys::SignalMask none;
    thread_ = std::thread([this] { watch(); });
  } catch (const std::system_error& error) {
    throw_if(error.code(), "the thread that watches fibers");
    throw;
  }
}

StallDetector::~StallDetector() {
  {
    const std::lock_guard lock(mutex_);
    over_ = true;
    changed_.notify_one();
  }
  thread_.join();
}

void StallDetector::watch() {
  const nanoseconds interval = std::max(limit_ / 4, nanoseconds(std::chrono::milliseconds(1)));
  std::uint64_t seen = 0;
  Clock::time_point since;
  nanoseconds next = limit_;
  std::unique_lock lock(mutex_);
  while (!changed_.wait_for(lock, interval, [this] { return over_; })) {
    if (running_ == nullptr) continue;
    const Clock::time_point now = Clock::now();
    if (std::exchange(seen, turn_) != turn_) {
      since = now;
      next = limit_;
      continue;
    }
    const nanoseconds time = now - since;
    if (time < next) continue;
    next = 2 * time;
    FiberCore::Room room;
    const std::string name(running_->name(room));
    lock.unlock();
    report_(name, time);
    lock.lock();
  }
}

}  // namespace plug::detail::fiber
