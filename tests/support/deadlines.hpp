#pragma once

// For tests of the time that calls take, on the real clock.

#include <plug/error.hpp>

#include <gtest/gtest.h>

#include <chrono>

/// The timeout of calls that wait in vain.
inline constexpr std::chrono::milliseconds kTimeout{150};
/// The time by which a loaded machine may wake a thread late. It never wakes one early.
inline constexpr std::chrono::milliseconds kSlack{2000};

/// Calls `call` and returns the time that this takes.
template <class Call>
std::chrono::nanoseconds time_of(Call call) {
  const auto begun = std::chrono::steady_clock::now();
  call();
  return std::chrono::steady_clock::now() - begun;
}

/// Expects a call to throw TimeoutError after kTimeout, and not before.
template <class Call>
void expect_timeout(Call call) {
  const auto taken = time_of([&] { EXPECT_THROW(call(), plug::TimeoutError); });
  EXPECT_GE(taken, kTimeout);
  EXPECT_LT(taken, kTimeout + kSlack);
}
