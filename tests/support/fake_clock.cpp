#include "support/fake_clock.hpp"

#include <atomic>
#include <chrono>
#include <cstdint>

#include "fiber/fake_clock.hpp"
#include "sys/clock.hpp"

namespace {

// The time of the fake clock, or 0 while there is none.
constinit std::atomic<std::int64_t> fake_time{0};

void advance_to(plug::Deadline deadline) noexcept {
  const std::int64_t time = deadline.time().time_since_epoch().count();
  if (time > fake_time) fake_time = time;
}

}  // namespace

namespace plug::detail::sys {

// Replaces the function of src/sys/clock.cpp in programs that use a FakeClock.
std::int64_t monotonic_nanoseconds() noexcept {
  const std::int64_t fake = fake_time.load(std::memory_order_relaxed);
  return fake != 0 ? fake : std::chrono::steady_clock::now().time_since_epoch().count();
}

}  // namespace plug::detail::sys

FakeClock::FakeClock() noexcept : begun_(plug::detail::sys::monotonic_nanoseconds()) {
  fake_time = begun_.count();
  plug::detail::fiber::advance_clock = &advance_to;
}

FakeClock::~FakeClock() {
  plug::detail::fiber::advance_clock = nullptr;
  fake_time = 0;
}

std::chrono::nanoseconds FakeClock::elapsed() const noexcept {
  return std::chrono::nanoseconds(fake_time) - begun_;
}

void FakeClock::advance(std::chrono::nanoseconds time) noexcept {
  if (fake_time != 0) fake_time += time.count();
}
