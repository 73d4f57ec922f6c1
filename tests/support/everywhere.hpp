#pragma once

// The same work in fibers of one thread, in fibers of several, in threads, or in all of these; and
// events of one moment in fibers, in the order that a seed makes, on a fake clock.

#include <plug/fiber.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <iterator>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "support/fake_clock.hpp"

enum class Where { fibers, schedulers, threads, all };

class InAllPlaces : public testing::TestWithParam<Where> {};

inline auto all_places() {
  return testing::Values(Where::fibers, Where::schedulers, Where::threads, Where::all);
}

inline std::string name_of_place(const testing::TestParamInfo<Where>& info) {
  constexpr const char* kNames[] = {"Fibers", "Schedulers", "Threads", "All"};
  return kNames[static_cast<std::size_t>(info.param)];
}

/// Calls body(0) to body(count - 1) at once and waits until all have ended.
inline void run_everywhere(Where where, int count, const std::function<void(int)>& body) {
  struct Thread {
    bool fibers;
    std::vector<int> work;
  };
  std::vector<Thread> threads;
  if (where == Where::fibers) threads.assign(1, {true, {}});
  if (where == Where::schedulers || where == Where::all) threads.assign(3, {true, {}});
  for (int i = 0; i < count; ++i) {
    // With Where::all, every second worker is a thread.
    if (where == Where::threads || (where == Where::all && i % 2 == 0))
      threads.push_back({false, {i}});
    else
      threads[static_cast<std::size_t>(where == Where::fibers ? 0 : i % 3)].work.push_back(i);
  }
  std::vector<std::jthread> running;
  running.reserve(threads.size());
  for (const Thread& thread : threads) {
    running.emplace_back([&body, &thread] {
      if (!thread.fibers) return body(thread.work.front());
      plug::fiber::run([&] {
        std::vector<plug::fiber::Task<void>> tasks;
        for (const int i : thread.work)
          tasks.push_back(plug::fiber::spawn([&body, i] { body(i); }));
        for (auto& task : tasks) task.join();
      });
    });
  }
}

#ifdef PLUG_SANITIZED
inline constexpr std::uint64_t kSeeds = 150;
#else
inline constexpr std::uint64_t kSeeds = 1'000;
#endif
/// Seconds. A test that takes longer is considered to hang.
inline constexpr int kTooLong = 60;

/// Calls body(seed) in fibers that run in the order of a seed, on a fake clock, for each of kSeeds.
template <class Body>
void for_each_seed(Body body) {
  for (std::uint64_t seed = 0; seed < kSeeds && !testing::Test::HasFatalFailure(); ++seed) {
    SCOPED_TRACE(seed);
    const FakeClock clock;
    plug::fiber::run([&] { body(seed); }, {.seed = seed});
  }
}

/// Lets all other fibers of the thread run until they wait.
inline void let_others_wait() {
  const auto waits = [](const plug::fiber::Info& info) { return !info.waits_in.empty(); };
  for (;;) {
    plug::fiber::yield();
    const std::vector<plug::fiber::Info> all = plug::fiber::list();
    if (std::count_if(all.begin(), all.end(), waits) + 1 == std::ssize(all)) return;
  }
}

/// Calls both functions, which must not block, before any fiber that they wake runs.
template <class One, class Other>
void at_once(std::uint64_t seed, One one, Other other) {
  if (seed % 2 == 0) one();
  other();
  if (seed % 2 != 0) one();
}

/// The timeout of the call that at_the_last_moment() makes.
inline constexpr std::chrono::microseconds kMoment{150};

/// Starts `wait`, which waits for kMoment, and `act` in the turn in which that has just passed.
/// `prepare` may make other fibers run in the same turn. Returns the result of `wait`. Needs a fake
/// clock.
template <class Wait, class Act, class Prepare>
auto at_the_last_moment(Wait wait, Act act, Prepare prepare) {
  auto waiting = plug::fiber::spawn(wait);
  let_others_wait();
  auto acting = plug::fiber::spawn(act);
  prepare();
  FakeClock::advance(kMoment);
  acting.join(kTooLong);
  return waiting.join(kTooLong);
}
template <class Wait, class Act>
auto at_the_last_moment(Wait wait, Act act) {
  return at_the_last_moment(wait, act, [] {});
}
