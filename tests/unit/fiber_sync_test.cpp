// Tests the primitives with which fibers and threads wait for each other: Mutex, Condition,
// Semaphore, Event.

#include <plug/fiber.hpp>
#include <plug/sync.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <limits>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include "support/errors.hpp"
#include "support/everywhere.hpp"
#include "support/fake_clock.hpp"

namespace plug {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using testing::HasSubstr;
using Tasks = std::vector<fiber::Task<void>>;

INSTANTIATE_TEST_SUITE_P(Places, InAllPlaces, all_places(), name_of_place);

void join_all(Tasks& tasks) {
  for (auto& task : tasks) task.join(kTooLong);
}

TEST(TheNamesOfFibers, AreAliasesOfTheNamesInPlug) {
  EXPECT_TRUE((std::is_same_v<fiber::Mutex, Mutex>));
  EXPECT_TRUE((std::is_same_v<fiber::Condition, Condition>));
  EXPECT_TRUE((std::is_same_v<fiber::Semaphore, Semaphore>));
  EXPECT_TRUE((std::is_same_v<fiber::BoundedSemaphore, BoundedSemaphore>));
  EXPECT_TRUE((std::is_same_v<fiber::Event, Event>));
  EXPECT_TRUE((std::is_same_v<fiber::Queue<int>, Queue<int>>));
  EXPECT_TRUE((std::is_same_v<fiber::TaskGroup, TaskGroup>));
}

// --- Mutex ---

TEST_P(InAllPlaces, AMutexIsHeldByOneAtATime) {
  Mutex mutex;
  int count = 0;
  bool held = false;
  run_everywhere(GetParam(), 12, [&](int) {
    for (int round = 0; round < 100; ++round) {
      const std::scoped_lock lock(mutex);
      ASSERT_FALSE(std::exchange(held, true));
      if (round % 8 == 0) fiber::yield();
      ++count;
      held = false;
    }
  });
  EXPECT_EQ(count, 1200);
}

TEST_P(InAllPlaces, AMutexThatIsGivenUpInTimeIsNotLost) {
  Mutex mutex;
  run_everywhere(GetParam(), 12, [&](int worker) {
    for (int round = 0; round < 50; ++round) {
      const std::unique_lock lock(mutex, microseconds(10 * worker));
      if (lock.owns_lock() && round % 4 == 0) fiber::sleep(microseconds(20));
    }
  });
  EXPECT_TRUE(mutex.try_lock());
  mutex.unlock();
}

TEST(AMutex, IsHandedOverInTheOrderOfComing) {
  fiber::run([] {
    Mutex mutex;
    std::string order;
    Tasks tasks;
    mutex.lock();
    for (const char name : {'a', 'b', 'c'}) {
      tasks.push_back(fiber::spawn([&mutex, &order, name] {
        const std::scoped_lock lock(mutex);
        order += name;
      }));
    }
    let_others_wait();
    mutex.unlock();
    EXPECT_FALSE(mutex.try_lock());
    join_all(tasks);
    EXPECT_EQ(order, "abc");
    EXPECT_TRUE(mutex.try_lock());
    mutex.unlock();
  });
}

TEST(AMutex, LockedTwiceByOneIsAnError) {
  const auto check = [] {
    Mutex mutex;
    mutex.lock();
    EXPECT_THAT(text_of_error<RuntimeError>([&] { mutex.lock(); }), HasSubstr("locked it already"));
    EXPECT_THROW(static_cast<void>(mutex.try_lock_for(1)), RuntimeError);
    EXPECT_FALSE(mutex.try_lock());
    mutex.unlock();
  };
  check();
  fiber::run(check);
}

TEST(AMutex, UnlockedByAnotherIsAnError) {
  fiber::run([] {
    Mutex mutex;
    EXPECT_THROW(mutex.unlock(), RuntimeError);
    mutex.lock();
    fiber::spawn([&] { EXPECT_THROW(mutex.unlock(), RuntimeError); }).join();
    std::thread([&] { EXPECT_THROW(mutex.unlock(), RuntimeError); }).join();
    mutex.unlock();
  });
}

TEST(AMutex, IsWaitedForUntilTheTimeoutAtMost) {
  Mutex mutex;
  mutex.lock();
  const auto check = [&] {
    EXPECT_FALSE(mutex.try_lock_for(0));
    EXPECT_FALSE(mutex.try_lock_for(0.005));
    const std::unique_lock lock(mutex, milliseconds(5));
    EXPECT_FALSE(lock.owns_lock());
  };
  std::thread(check).join();
  {
    const FakeClock clock;
    std::thread([&] { fiber::run(check); }).join();
    EXPECT_EQ(clock.elapsed(), milliseconds(10));
  }
  mutex.unlock();
  fiber::run([&] { EXPECT_TRUE(std::unique_lock(mutex, milliseconds(5)).owns_lock()); });
}

TEST(AMutex, IsLeftByCancelling) {
  fiber::run([] {
    Mutex mutex;
    mutex.lock();
    auto waiting = fiber::spawn("waiting", [&] { mutex.lock(); });
    let_others_wait();
    EXPECT_EQ(fiber::list().back().waits_in, "Mutex::lock");
    waiting.cancel();
    EXPECT_THROW(waiting.join(kTooLong), CancelledError);
    mutex.unlock();
    EXPECT_TRUE(mutex.try_lock());
    mutex.unlock();
  });
}

TEST(AMutex, IsHandedOnByWhoIsCancelledAtThatMoment) {
  for_each_seed([](std::uint64_t seed) {
    Mutex mutex;
    int got = 0;
    const auto lock = [&] {
      const std::scoped_lock held(mutex);
      ++got;
    };
    mutex.lock();
    Tasks tasks;
    for (int i = 0; i < 3; ++i) tasks.push_back(fiber::spawn(lock));
    let_others_wait();
    fiber::Task<void> cancelled = std::move(tasks[seed % 2]);
    tasks.erase(tasks.begin() + static_cast<int>(seed % 2));
    at_once(
        seed / 2, [&] { mutex.unlock(); }, [&] { cancelled.cancel(); });
    EXPECT_THROW(cancelled.join(kTooLong), CancelledError);
    join_all(tasks);
    ASSERT_EQ(got, 2);
    ASSERT_TRUE(mutex.try_lock());
    mutex.unlock();
  });
}

TEST(AMutex, HandedOverWhenTheTimeIsOverIsHeld) {
  int in_time = 0;
  for_each_seed([&](std::uint64_t) {
    Mutex mutex;
    Event unlock;
    auto holder = fiber::spawn([&] {
      const std::scoped_lock lock(mutex);
      unlock.wait();
    });
    let_others_wait();
    // The event is set so that the holder and the waiter run in the same turn.
    in_time += at_the_last_moment([&] { return std::unique_lock(mutex, kMoment).owns_lock(); },
                                  [] {}, [&] { unlock.set(); });
    holder.join(kTooLong);
    ASSERT_TRUE(mutex.try_lock());
    mutex.unlock();
  });
  EXPECT_GT(in_time, 0);
  EXPECT_LT(in_time, static_cast<int>(kSeeds));
}

// --- Condition ---

/// A buffer with room for three items, guarded as in textbooks.
struct Buffer {
  void put(int item) {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return items.size() < 3; });
    items.push_back(item);
    changed.notify_all();
  }
  int get() {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return !items.empty(); });
    const int item = items.front();
    items.pop_front();
    changed.notify_all();
    return item;
  }

  Mutex mutex;
  Condition changed;
  std::deque<int> items;
};

TEST_P(InAllPlaces, AConditionLosesNoNotification) {
  Buffer buffer;
  std::atomic<int> sum{0};
  run_everywhere(GetParam(), 12, [&](int worker) {
    for (int i = 1; i <= 50; ++i) {
      if (worker % 4 < 2)
        buffer.put(i);
      else
        sum += buffer.get();
    }
  });
  EXPECT_EQ(sum, 6 * 50 * 51 / 2);
}

TEST(ACondition, WakesTheFirstWaiterOrAll) {
  fiber::run([] {
    Mutex mutex;
    Condition condition;
    std::string order;
    Tasks tasks;
    for (const char name : {'a', 'b', 'c', 'd'}) {
      tasks.push_back(fiber::spawn([&, name] {
        std::unique_lock lock(mutex);
        EXPECT_TRUE(condition.wait(lock));
        order += name;
      }));
    }
    let_others_wait();
    condition.notify_one();
    tasks[0].join(kTooLong);
    tasks.erase(tasks.begin());
    EXPECT_EQ(order, "a");
    condition.notify_all();
    join_all(tasks);
    EXPECT_EQ(order, "abcd");
  });
}

TEST(ACondition, IsWaitedForUntilTheTimeoutAtMost) {
  const auto check = [] {
    Mutex mutex;
    Condition condition;
    std::unique_lock lock(mutex);
    EXPECT_FALSE(condition.wait(lock, 0));
    EXPECT_FALSE(condition.wait(lock, 0.005));
    int asked = 0;
    EXPECT_FALSE(condition.wait(
        lock, [&] { return ++asked == 3; }, 0.005));
    EXPECT_EQ(asked, 2);
    EXPECT_TRUE(condition.wait(
        lock, [&] { return ++asked == 3; }, 0.005));
    EXPECT_FALSE(mutex.try_lock());
  };
  check();
  const FakeClock clock;
  fiber::run(check);
  EXPECT_EQ(clock.elapsed(), milliseconds(10));
}

TEST(ACondition, RefusesACallerWithoutTheLock) {
  fiber::run([] {
    Mutex mutex;
    Condition condition;
    std::unique_lock lock(mutex, std::defer_lock);
    EXPECT_THROW(condition.wait(lock), RuntimeError);
    lock.lock();
    fiber::spawn([&] { EXPECT_THROW(condition.wait(lock), RuntimeError); }).join();
    EXPECT_TRUE(lock.owns_lock());
  });
}

TEST(ACondition, IsLeftByCancellingWithTheLockHeld) {
  fiber::run([] {
    Mutex mutex;
    Condition condition;
    bool in_time = true;
    auto waiting = fiber::spawn("waiting", [&] {
      std::unique_lock lock(mutex);
      try {
        condition.wait(lock);
      } catch (const CancelledError&) {
        in_time = false;
        EXPECT_THROW(mutex.lock(), RuntimeError);
        // The second cancellation arrived while the fiber waited for the mutex.
        EXPECT_THROW(fiber::sleep(kTooLong), CancelledError);
        fiber::sleep(0);
        throw;
      }
    });
    let_others_wait();
    {
      const std::scoped_lock lock(mutex);
      waiting.cancel();
      let_others_wait();
      EXPECT_EQ(fiber::list().back().waits_in, "Mutex::lock");
      waiting.cancel();
      let_others_wait();
      EXPECT_TRUE(in_time);
    }
    EXPECT_THROW(waiting.join(kTooLong), CancelledError);
    EXPECT_TRUE(mutex.try_lock());
    mutex.unlock();
  });
}

TEST(ACondition, HasANotificationHandedOnByWhoIsCancelledAtThatMoment) {
  for_each_seed([](std::uint64_t seed) {
    Mutex mutex;
    Condition condition;
    int notified = 0;
    const auto wait = [&] {
      std::unique_lock lock(mutex);
      condition.wait(lock);
      ++notified;
    };
    auto first = fiber::spawn(wait);
    auto second = fiber::spawn(wait);
    let_others_wait();
    at_once(
        seed, [&] { condition.notify_one(); }, [&] { first.cancel(); });
    EXPECT_THROW(first.join(kTooLong), CancelledError);
    second.join(kTooLong);
    ASSERT_EQ(notified, 1);
  });
}

TEST(ACondition, HasANotificationOfAllConcernNobodyWhoCameLater) {
  const FakeClock clock;
  fiber::run([] {
    Mutex mutex;
    Condition condition;
    auto first = fiber::spawn([&] {
      std::unique_lock lock(mutex);
      condition.wait(lock);
    });
    let_others_wait();
    std::unique_lock lock(mutex);
    condition.notify_all();
    first.cancel();
    EXPECT_FALSE(condition.wait(lock, 0.01));
    lock.unlock();
    EXPECT_THROW(first.join(kTooLong), CancelledError);
  });
}

TEST(ACondition, HasANotificationGoToOneThoughATimeIsOver) {
  int in_time = 0;
  for_each_seed([&](std::uint64_t) {
    Mutex mutex;
    Condition condition;
    bool other_notified = false;
    std::optional<fiber::Task<void>> other;
    const bool notified = at_the_last_moment(
        [&] {
          std::unique_lock lock(mutex);
          other = fiber::spawn([&] {
            std::unique_lock second(mutex);
            condition.wait(second);
            other_notified = true;
          });
          return condition.wait(lock, kMoment);
        },
        [&] { condition.notify_one(); });
    let_others_wait();
    in_time += notified;
    ASSERT_NE(notified, other_notified);
    condition.notify_all();
    other->join(kTooLong);
  });
  EXPECT_GT(in_time, 0);
  EXPECT_LT(in_time, static_cast<int>(kSeeds));
}

// --- Semaphore ---

TEST_P(InAllPlaces, ASemaphoreLetsSoManyIn) {
  BoundedSemaphore semaphore(3);
  std::atomic<int> inside{0};
  std::atomic<int> most{0};
  run_everywhere(GetParam(), 12, [&](int) {
    for (int round = 0; round < 50; ++round) {
      const std::scoped_lock lock(semaphore);
      const int now = ++inside;
      ASSERT_LE(now, 3);
      for (int seen = most; seen < now && !most.compare_exchange_weak(seen, now);) continue;
      // A holder leaves only once others have been inside together with it.
      do fiber::yield();
      while (most < 3);
      --inside;
    }
  });
  EXPECT_EQ(most, 3);
  EXPECT_THROW(semaphore.release(), ValueError);
}

TEST(ASemaphore, CountsAsPythonsDoes) {
  EXPECT_THAT(text_of_error<ValueError>([] { Semaphore(-1); }), HasSubstr("-1"));
  Semaphore semaphore(2);
  EXPECT_TRUE(semaphore.acquire());
  EXPECT_TRUE(semaphore.try_acquire());
  EXPECT_FALSE(semaphore.try_acquire());
  EXPECT_FALSE(semaphore.acquire(0));
  EXPECT_FALSE(semaphore.acquire(0.005));
  EXPECT_THAT(text_of_error<ValueError>([&] { semaphore.release(0); }), HasSubstr("0"));
  semaphore.release(3);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(semaphore.acquire(0));
  EXPECT_FALSE(semaphore.try_acquire());
  semaphore.release();
  EXPECT_THROW(semaphore.release(std::numeric_limits<std::ptrdiff_t>::max()), OverflowError);
  EXPECT_TRUE(semaphore.try_acquire());
  EXPECT_FALSE(semaphore.try_acquire());
}

TEST(ASemaphore, WithABoundIsNotReleasedAboveIt) {
  BoundedSemaphore semaphore(2);
  EXPECT_THROW(semaphore.release(), ValueError);
  semaphore.acquire();
  EXPECT_THAT(text_of_error<ValueError>([&] { semaphore.release(2); }), HasSubstr("bound of 2"));
  semaphore.release();
}

TEST(ASemaphore, GivesToAllForWhomThereIsEnough) {
  fiber::run([] {
    Semaphore semaphore(0);
    std::string order;
    Tasks tasks;
    for (const char name : {'a', 'b', 'c'}) {
      tasks.push_back(fiber::spawn([&, name] {
        semaphore.acquire();
        order += name;
      }));
    }
    let_others_wait();
    semaphore.release(2);
    EXPECT_FALSE(semaphore.try_acquire());
    let_others_wait();
    EXPECT_EQ(order, "ab");
    semaphore.release(2);
    join_all(tasks);
    EXPECT_TRUE(semaphore.try_acquire());
    EXPECT_FALSE(semaphore.try_acquire());
  });
}

TEST(ASemaphore, IsHandedOnByWhoIsCancelledAtThatMoment) {
  for_each_seed([](std::uint64_t seed) {
    Semaphore semaphore(0);
    auto first = fiber::spawn([&] { semaphore.acquire(); });
    let_others_wait();
    std::optional<fiber::Task<void>> second;
    if (seed % 2 == 0) second = fiber::spawn([&] { semaphore.acquire(); });
    let_others_wait();
    at_once(
        seed, [&] { semaphore.release(); }, [&] { first.cancel(); });
    EXPECT_THROW(first.join(kTooLong), CancelledError);
    if (second)
      second->join(kTooLong);
    else
      ASSERT_TRUE(semaphore.try_acquire());
    ASSERT_FALSE(semaphore.try_acquire());
  });
}

TEST(ASemaphore, ReleasedWhenATimeIsOverIsForOne) {
  int in_time = 0;
  for_each_seed([&](std::uint64_t) {
    Semaphore semaphore(0);
    const bool acquired = at_the_last_moment([&] { return semaphore.acquire(kMoment); },
                                             [&] { semaphore.release(); });
    in_time += acquired;
    ASSERT_NE(semaphore.try_acquire(), acquired);
  });
  EXPECT_GT(in_time, 0);
  EXPECT_LT(in_time, static_cast<int>(kSeeds));
}

struct Counted {
  explicit Counted(int& counted) : count(counted) { ++count; }
  Counted(const Counted&) = delete;
  Counted& operator=(const Counted&) = delete;
  ~Counted() { --count; }
  int& count;
};

/// Fibers that acquire with and without a timeout, and are cancelled, as the seed says.
TEST(ASemaphore, HasAllItsPermitsBackAfterTimeoutsAndCancels) {
  for_each_seed([](std::uint64_t seed) {
    BoundedSemaphore semaphore(2);
    std::mt19937_64 random(seed);
    int inside = 0;
    Tasks tasks;
    for (int i = 0; i < 6; ++i) {
      tasks.push_back(fiber::spawn([&] {
        for (int round = 0; round < 4; ++round) {
          const Timeout timeout =
              random() % 2 == 0 ? Timeout() : Timeout(microseconds(random() % 20));
          FakeClock::advance(microseconds(random() % 10));
          if (!semaphore.acquire(timeout)) continue;
          const std::unique_lock held(semaphore, std::adopt_lock);
          const Counted counted(inside);
          ASSERT_LE(inside, 2);
          if (random() % 2 == 0) fiber::yield();
        }
      }));
    }
    for (int i = 0; i < 6; ++i) {
      tasks[random() % tasks.size()].cancel();
      fiber::yield();
    }
    for (auto& task : tasks) {
      try {
        task.join(kTooLong);
      } catch (const CancelledError&) {
      }
    }
    ASSERT_TRUE(semaphore.try_acquire());
    ASSERT_TRUE(semaphore.try_acquire());
    ASSERT_FALSE(semaphore.try_acquire());
  });
}

// --- Event ---

TEST_P(InAllPlaces, AnEventWakesAll) {
  Event event;
  std::atomic<int> waiting{0};
  std::atomic<int> woken{0};
  run_everywhere(GetParam(), 12, [&](int worker) {
    if (worker == 11) {
      while (waiting < 11) fiber::sleep(0.001);
      event.set();
    } else {
      ++waiting;
      woken += event.wait(kTooLong);
    }
  });
  EXPECT_EQ(woken, 11);
}

TEST(AnEvent, WakesWhoWaitsAlsoWhenItIsClearedAtOnce) {
  fiber::run([] {
    Event event;
    auto waiting = fiber::spawn([&] { return event.wait(); });
    let_others_wait();
    event.set();
    event.clear();
    EXPECT_TRUE(waiting.join(kTooLong));
    EXPECT_FALSE(event.is_set());
  });
}

TEST(AnEvent, IsWaitedForNoLongerThanAskedNorWhenItIsSet) {
  const auto check = [] {
    Event event;
    EXPECT_FALSE(event.wait(0));
    EXPECT_FALSE(event.wait(0.005));
    event.set();
    EXPECT_TRUE(event.is_set());
    EXPECT_TRUE(event.wait(0));
    EXPECT_TRUE(event.wait());
  };
  check();
  const FakeClock clock;
  fiber::run(check);
  EXPECT_EQ(clock.elapsed(), milliseconds(5));
}

TEST(AnEvent, IsLeftByCancelling) {
  for_each_seed([](std::uint64_t seed) {
    Event event;
    auto waiting = fiber::spawn([&] { event.wait(); });
    auto other = fiber::spawn([&] { event.wait(); });
    let_others_wait();
    at_once(
        seed, [&] { event.set(); }, [&] { waiting.cancel(); });
    EXPECT_THROW(waiting.join(kTooLong), CancelledError);
    other.join(kTooLong);
  });
}

}  // namespace
}  // namespace plug
