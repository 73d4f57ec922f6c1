// Tests helper threads whose work waits for other helper threads.

#include <plug/fiber.hpp>
#include <plug/resolve.hpp>

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <thread>
#include <vector>

#include "support/process.hpp"
#include "wait/offload.hpp"

namespace plug {
namespace {

constexpr int kMost = detail::wait::kMostHelpers;

/// Looks up a name in each of `count` offloaded calls, as many at once as there are helper threads.
/// Returns the number of lookups that timed out.
int look_up_in_helpers(int count) {
  std::atomic<int> late{0}, begun{0};
  fiber::run([&] {
    std::vector<fiber::Task<void>> tasks;
    for (int i = 0; i < count; ++i) {
      tasks.push_back(fiber::spawn([&] {
        fiber::offload([&] {
          ++begun;
          while (begun < std::min(count, kMost)) std::this_thread::yield();
          try {
            getaddrinfo("localhost", 80, AF::INET, SOCK::STREAM, 0, AI{}, 4);
          } catch (const TimeoutError&) {
            ++late;
          }
        });
      }));
    }
    for (auto& task : tasks) task.join();
  });
  return late;
}

TEST(HelperThreads, ThatLookUpNamesDoNotWaitForEachOther) {
  EXPECT_EQ(look_up_in_helpers(kMost), 0);
  EXPECT_EQ(look_up_in_helpers(2 * kMost), 0);
}

TEST(HelperThreads, DoWorkWithinWorkWithinWork) {
  const auto nest = [](auto& self, int depth) -> int {
    if (depth == 0) return 1;
    return fiber::run([&] {
      auto one =
          fiber::spawn([&] { return fiber::offload([&] { return self(self, depth - 1); }); });
      auto two =
          fiber::spawn([&] { return fiber::offload([&] { return self(self, depth - 1); }); });
      return one.join() + two.join();
    });
  };
  EXPECT_EQ(run_in_child([&] {
              ::alarm(30);
              return nest(nest, 6) == 64 ? 0 : 1;
            }),
            0);
}

TEST(HelperThreads, AreNoMoreThanSixteenThatWork) {
  std::atomic<int> working{0}, most{0};
  fiber::run([&] {
    std::vector<fiber::Task<void>> tasks;
    for (int i = 0; i < 6 * kMost; ++i) {
      tasks.push_back(fiber::spawn([&] {
        fiber::offload([&] {
          getaddrinfo("localhost", 80, AF::INET, SOCK::STREAM, 0, AI{}, 20);
          const int now = ++working;
          for (int seen = most; now > seen && !most.compare_exchange_weak(seen, now);) continue;
          std::this_thread::sleep_for(std::chrono::microseconds(200));
          --working;
        });
      }));
    }
    for (auto& task : tasks) task.join();
  });
  // A helper that has waited for another one has let one more start, once.
  EXPECT_LE(most, 2 * kMost);
}

}  // namespace
}  // namespace plug
