// The clock that plug reads, and the fake one that tests of fibers put in its place.

#include <plug/fiber.hpp>
#include <plug/plug.hpp>
#include <plug/queue.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <optional>
#include <string>
#include <thread>

#include "support/fake_clock.hpp"

namespace plug {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::steady_clock;

TEST(AFakeClock, JumpsToTheNextDeadlineWhenAllFibersWait) {
  const auto begun = steady_clock::now();
  const FakeClock clock;
  std::string order;
  fiber::run([&] {
    const auto sleep = [&](char name, hours time) {
      return fiber::spawn([&order, name, time] {
        fiber::sleep(time);
        order += name;
      });
    };
    auto last = sleep('c', hours(30));
    auto first = sleep('a', hours(10));
    auto second = sleep('b', hours(20));
    last.join();
    EXPECT_EQ(order, "abc");
  });
  EXPECT_EQ(clock.elapsed(), hours(30));
  EXPECT_LT(steady_clock::now() - begun, hours(1));
}

TEST(AFakeClock, StandsStillWhileAFiberCanRun) {
  const FakeClock clock;
  fiber::run([&] {
    auto node = fiber::spawn([] { fiber::sleep(nanoseconds(1)); });
    for (int i = 0; i < 100; ++i) fiber::yield();
    EXPECT_FALSE(node.done());
    EXPECT_EQ(clock.elapsed(), nanoseconds(0));
    node.join();
  });
  EXPECT_EQ(clock.elapsed(), nanoseconds(1));
}

TEST(AFakeClock, LetsFibersHandleEventsBeforeItJumps) {
  const FakeClock clock;
  fiber::run([&] {
    auto [one, other] = socketpair();
    auto echo = fiber::spawn([&sock = other] {
      for (Bytes data = sock.recv(10); !data.empty(); data = sock.recv(10)) sock.sendall(data);
    });
    one.settimeout(nanoseconds(1));
    for (int i = 0; i < 100; ++i) {
      one.sendall("x");
      EXPECT_EQ(one.recv(10), "x");
    }
    EXPECT_EQ(clock.elapsed(), nanoseconds(0));
    EXPECT_THROW(one.recv(10), TimeoutError);
    one.close();
    echo.join();
  });
}

TEST(AFakeClock, LeavesTheThreadAsleepWithoutADeadline) {
  const FakeClock clock;
  fiber::run([] {
    Queue<int> queue;
    std::thread other([&] {
      std::this_thread::yield();
      queue.put(1);
    });
    EXPECT_EQ(queue.get(), 1);
    other.join();
  });
  EXPECT_EQ(clock.elapsed(), nanoseconds(0));
}

TEST(AFakeClock, IsTheClockOfDeadlines) {
  const FakeClock clock;
  const Deadline deadline = Deadline::after(milliseconds(10));
  const Timeout timeout(deadline);
  FakeClock::advance(milliseconds(9));
  EXPECT_FALSE(deadline.passed());
  EXPECT_EQ(deadline.remaining(), Timeout(milliseconds(1)));
  EXPECT_EQ(timeout.duration(), milliseconds(1));
  FakeClock::advance(milliseconds(1));
  EXPECT_TRUE(deadline.passed());
  EXPECT_TRUE(deadline.remaining().is_zero());
  EXPECT_EQ(timeout.duration(), milliseconds(0));
  EXPECT_EQ(Deadline::after(hours(1)).time() - deadline.time(), hours(1));
}

TEST(AFakeClock, GivesWayToTheRealOneWhenItEnds) {
  std::optional<FakeClock> clock;
  clock.emplace();
  FakeClock::advance(hours(1));
  clock.reset();
  FakeClock::advance(hours(1));
  const auto before = steady_clock::now();
  const Deadline deadline = Deadline::after(hours(1));
  EXPECT_GE(deadline.time(), before + hours(1));
  EXPECT_LE(deadline.time(), steady_clock::now() + hours(1));
}

}  // namespace
}  // namespace plug
