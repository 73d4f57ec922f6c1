// Tests the queue between fibers and threads.

#include <plug/fiber.hpp>
#include <plug/queue.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "support/everywhere.hpp"
#include "support/fake_clock.hpp"

namespace plug {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using testing::ElementsAre;
using Tasks = std::vector<fiber::Task<void>>;

INSTANTIATE_TEST_SUITE_P(Places, InAllPlaces, all_places(), name_of_place);

void join_all(Tasks& tasks) {
  for (auto& task : tasks) task.join(kTooLong);
}

TEST_P(InAllPlaces, AQueueLosesNothingAndKeepsTheOrderOfEachPutter) {
  constexpr int kPutters = 6, kItems = 100;
  Queue<std::pair<int, int>> queue(3);
  std::atomic<int> putting{kPutters};
  std::atomic<int> got{0};
  run_everywhere(GetParam(), 2 * kPutters, [&](int worker) {
    if (worker < kPutters) {
      for (int i = 0; i < kItems; ++i) queue.put({worker, i});
      if (--putting == 0) queue.shutdown();
      return;
    }
    std::vector<int> last(kPutters, -1);
    while (const auto item = queue.next()) {
      ASSERT_GT(item->second, last[static_cast<std::size_t>(item->first)]);
      last[static_cast<std::size_t>(item->first)] = item->second;
      ++got;
    }
  });
  EXPECT_EQ(got, kPutters * kItems);
  EXPECT_THROW(queue.get(), ShutDown);
}

TEST_P(InAllPlaces, AQueueWaitedForWithTimeoutsLosesNothing) {
  Queue<int> queue(2);
  std::atomic<int> put{0};
  std::atomic<int> got{0};
  std::atomic<int> putting{6};
  run_everywhere(GetParam(), 12, [&](int worker) {
    if (worker < 6) {
      for (int i = 1; i <= 60; ++i) {
        try {
          queue.put(i, microseconds(5 * worker));
          put += i;
        } catch (const Full&) {
        }
      }
      if (--putting == 0) queue.shutdown();
      return;
    }
    for (;;) {
      try {
        got += queue.get(microseconds(10 * worker));
      } catch (const Empty&) {
      } catch (const ShutDown&) {
        break;
      }
    }
  });
  EXPECT_EQ(got, put);
}

TEST(AQueue, IsFirstInFirstOut) {
  Queue<std::string> queue;
  EXPECT_EQ(queue.maxsize(), 0u);
  for (const char* text : {"a", "b", "c"}) queue.put(text);
  EXPECT_EQ(queue.qsize(), 3u);
  EXPECT_FALSE(queue.full());
  EXPECT_EQ(queue.get(), "a");
  EXPECT_EQ(queue.get_nowait(), "b");
  EXPECT_EQ(queue.next(), "c");
  EXPECT_TRUE(queue.empty());
}

TEST(AQueue, IsWaitedForUntilTheTimeoutAtMost) {
  const auto check = [] {
    Queue<int> queue(1);
    EXPECT_THROW(queue.get_nowait(), Empty);
    EXPECT_THROW(queue.get(0.005), Empty);
    queue.put_nowait(1);
    EXPECT_TRUE(queue.full());
    EXPECT_THROW(queue.put_nowait(2), Full);
    EXPECT_THROW(queue.put(2, 0.005), Full);
    EXPECT_EQ(queue.get(), 1);
  };
  check();
  const FakeClock clock;
  fiber::run(check);
  EXPECT_EQ(clock.elapsed(), milliseconds(10));
}

TEST(AQueue, ServesWaitersInTheOrderOfArrival) {
  fiber::run([] {
    Queue<int> queue(1);
    std::vector<int> got(3);
    Tasks tasks;
    for (int& place : got) tasks.push_back(fiber::spawn([&] { place = queue.get(); }));
    let_others_wait();
    for (int i = 1; i <= 3; ++i) queue.put(i);
    join_all(tasks);
    EXPECT_THAT(got, ElementsAre(1, 2, 3));

    tasks.clear();
    queue.put(0);
    for (int i = 1; i <= 3; ++i) tasks.push_back(fiber::spawn([&queue, i] { queue.put(i); }));
    let_others_wait();
    for (int i = 0; i <= 3; ++i) EXPECT_EQ(queue.get(), i);
    join_all(tasks);
  });
}

TEST(AQueue, HoldsNoMoreThanItHasRoomFor) {
  fiber::run([] {
    Queue<int> queue(2);
    auto taker = fiber::spawn([&] { queue.get(); });
    let_others_wait();
    queue.put(1);
    // The taker has not run yet, but the first item already belongs to it.
    EXPECT_EQ(queue.qsize(), 0u);
    queue.put(2);
    EXPECT_THROW(queue.put_nowait(3), Full);
    taker.join(kTooLong);
    queue.put_nowait(3);
  });
}

TEST(AQueue, TakesMoveOnlyItemsAndLeavesThemToTheCallerOnFailure) {
  Queue<std::unique_ptr<int>> queue(1);
  queue.put(std::make_unique<int>(1));
  auto other = std::make_unique<int>(2);
  EXPECT_THROW(queue.put(std::move(other), 0.001), Full);
  ASSERT_NE(other, nullptr);
  EXPECT_EQ(*queue.get(), 1);
  queue.shutdown();
  EXPECT_THROW(queue.put(std::move(other)), ShutDown);
  EXPECT_NE(other, nullptr);
}

/// Counts its live objects, and throws from its next move when told to.
struct Brittle {
  explicit Brittle(int number) : value(number) { ++alive; }
  Brittle(Brittle&& other) : value(other.value) {
    if (fails) throw std::runtime_error("move");
    ++alive;
  }
  ~Brittle() { --alive; }

  int value;
  static inline bool fails = false;
  static inline int alive = 0;
};

TEST(AQueue, IsAsBeforeWhenAMoveThrows) {
  Queue<Brittle> queue(2);
  queue.put(Brittle(1));
  Brittle::fails = true;
  EXPECT_THROW(queue.put(Brittle(2)), std::runtime_error);
  EXPECT_THROW(queue.get(), std::runtime_error);
  EXPECT_EQ(queue.qsize(), 1u);
  Brittle::fails = false;
  queue.put(Brittle(3));
  EXPECT_TRUE(queue.full());
  EXPECT_EQ(queue.get().value, 1);
  EXPECT_EQ(queue.get().value, 3);
  EXPECT_TRUE(queue.empty());
  EXPECT_EQ(Brittle::alive, 0);
}

TEST(AQueue, DestroysWhatIsLeft) {
  {
    Queue<Brittle> queue;
    queue.put(Brittle(1));
    queue.put(Brittle(2));
    EXPECT_EQ(Brittle::alive, 2);
  }
  EXPECT_EQ(Brittle::alive, 0);
}

TEST(AQueue, ThatIsShutDownGivesWhatIsLeftAndWakesAll) {
  fiber::run([] {
    Queue<int> queue(1);
    Tasks getting;
    for (int i = 0; i < 3; ++i)
      getting.push_back(fiber::spawn([&] { EXPECT_THROW(queue.get(), ShutDown); }));
    let_others_wait();
    queue.shutdown();
    join_all(getting);

    Queue<int> full(1);
    full.put(1);
    Tasks putting;
    for (int i = 0; i < 3; ++i)
      putting.push_back(fiber::spawn([&] { EXPECT_THROW(full.put(2), ShutDown); }));
    let_others_wait();
    full.shutdown();
    full.shutdown();
    join_all(putting);
    EXPECT_EQ(full.get(), 1);
    EXPECT_THROW(full.get_nowait(), ShutDown);
    EXPECT_EQ(full.next(), std::nullopt);
  });
}

TEST(AQueue, ThatIsShutDownImmediatelyDropsWhatIsLeft) {
  Queue<Brittle> queue;
  queue.put(Brittle(1));
  queue.shutdown(true);
  EXPECT_EQ(Brittle::alive, 0);
  EXPECT_EQ(queue.qsize(), 0u);
  EXPECT_THROW(queue.get(), ShutDown);
  EXPECT_THROW(queue.put(Brittle(2)), ShutDown);
}

TEST(AQueue, HasAnItemHandedOnByWhoIsCancelledAtThatMoment) {
  for_each_seed([](std::uint64_t seed) {
    Queue<int> queue(1);
    auto first = fiber::spawn([&] { queue.get(); });
    let_others_wait();
    std::optional<fiber::Task<int>> second;
    if (seed % 3 == 0) {
      second = fiber::spawn([&] { return queue.get(); });
      let_others_wait();
    }
    at_once(
        seed, [&] { queue.put_nowait(1); }, [&] { first.cancel(); });
    if (seed % 3 == 1) queue.shutdown();
    EXPECT_THROW(first.join(kTooLong), CancelledError);
    ASSERT_EQ(second ? second->join(kTooLong) : queue.get(kTooLong), 1);
  });
}

TEST(AQueue, HasRoomHandedOnByWhoIsCancelledAtThatMoment) {
  for_each_seed([](std::uint64_t seed) {
    Queue<int> queue(1);
    queue.put(0);
    auto first = fiber::spawn([&] { queue.put(1); });
    let_others_wait();
    auto second = fiber::spawn([&] { queue.put(2); });
    let_others_wait();
    at_once(
        seed, [&] { ASSERT_EQ(queue.get_nowait(), 0); }, [&] { first.cancel(); });
    EXPECT_THROW(first.join(kTooLong), CancelledError);
    second.join(kTooLong);
    ASSERT_EQ(queue.get_nowait(), 2);
    ASSERT_TRUE(queue.empty());
    queue.put_nowait(3);
  });
}

TEST(AQueue, HasItemsKeepTheirOrderThoughThoseWhoHadThemAreCancelled) {
  for_each_seed([](std::uint64_t) {
    Queue<int> queue;
    Tasks tasks;
    for (int i = 0; i < 3; ++i) tasks.push_back(fiber::spawn([&] { queue.get(); }));
    let_others_wait();
    for (int i = 0; i < 5; ++i) queue.put_nowait(i);
    for (auto& task : tasks) task.cancel();
    for (auto& task : tasks) EXPECT_THROW(task.join(kTooLong), CancelledError);
    for (int i = 0; i < 5; ++i) ASSERT_EQ(queue.get_nowait(), i);
  });
}

TEST(AQueue, HasAnItemThatComesWhenATimeIsOverGoToOne) {
  int in_time = 0;
  for_each_seed([&](std::uint64_t) {
    Queue<int> queue(1);
    const bool got = at_the_last_moment(
        [&] {
          try {
            return queue.get(kMoment) == 1;
          } catch (const Empty&) {
            return false;
          }
        },
        [&] { queue.put_nowait(1); });
    in_time += got;
    ASSERT_EQ(queue.empty(), got);
    // The place is free again, or holds the item that nobody took.
    ASSERT_EQ(queue.full(), !got);
  });
  EXPECT_GT(in_time, 0);
  EXPECT_LT(in_time, static_cast<int>(kSeeds));
}

/// Puts, gets, timeouts, cancels and a shutdown as the seed says: what has been put is what has
/// been got and what is left.
TEST(AQueue, ReturnsOrKeepsAllItemsThatWerePut) {
  for_each_seed([](std::uint64_t seed) {
    Queue<int> queue(2);
    std::mt19937_64 random(seed);
    int put = 0, got = 0;
    const auto timeout = [&] {
      return random() % 2 == 0 ? Timeout() : Timeout(microseconds(random() % 20));
    };
    const auto work = [&](int number) {
      for (int i = 0; i < 5; ++i) {
        FakeClock::advance(microseconds(random() % 10));
        try {
          if (number % 2 == 0) {
            queue.put(int{1}, timeout());
            ++put;
          } else {
            got += queue.get(timeout());
          }
        } catch (const Full&) {
        } catch (const Empty&) {
        } catch (const ShutDown&) {
          return;
        }
        ASSERT_LE(queue.qsize(), 2u);
      }
    };
    Tasks tasks;
    for (int i = 0; i < 6; ++i) tasks.push_back(fiber::spawn([&work, i] { work(i); }));
    for (int i = 0; i < 4; ++i) {
      tasks[random() % tasks.size()].cancel();
      fiber::yield();
    }
    queue.shutdown();
    for (auto& task : tasks) {
      try {
        task.join(kTooLong);
      } catch (const CancelledError&) {
      }
    }
    while (queue.next()) ++got;
    ASSERT_EQ(got, put);
  });
}

}  // namespace
}  // namespace plug
