// Tests fibers that belong together: task groups, gather(), timeouts; and stop tokens.

#include <plug/fiber.hpp>
#include <plug/group.hpp>
#include <plug/plug.hpp>
#include <plug/queue.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <thread>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

#include "support/errors.hpp"
#include "support/everywhere.hpp"
#include "support/fake_clock.hpp"

namespace plug {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using testing::ElementsAre;
using testing::HasSubstr;
using Clock = std::chrono::steady_clock;

/// Returns a function that waits until it is cancelled, and counts that.
auto until_cancelled(int& cancelled) {
  return [&cancelled] {
    try {
      fiber::sleep(kTooLong);
    } catch (const CancelledError&) {
      // A cancelled fiber may still wait to clean up.
      fiber::sleep(0.001);
      ++cancelled;
      throw;
    }
  };
}

// --- TaskGroup ---

TEST(ATaskGroup, WaitsForItsChildrenAndTheirs) {
  const FakeClock clock;
  fiber::run([] {
    TaskGroup group;
    int ended = 0;
    auto first = group.spawn("first", [&] {
      fiber::sleep(0.005);
      for (int i = 0; i < 2; ++i) {
        group.spawn([&] {
          fiber::sleep(0.005);
          ++ended;
        });
      }
      ++ended;
      return 7;
    });
    EXPECT_EQ(first.name(), "first");
    group.wait();
    EXPECT_EQ(ended, 3);
    EXPECT_EQ(first.join(0), 7);
    group.wait();
  });
  EXPECT_EQ(clock.elapsed(), milliseconds(10));
}

TEST(ATaskGroup, WaitsAtTheEndOfItsScope) {
  const FakeClock clock;
  fiber::run([] {
    int ended = 0;
    {
      TaskGroup group;
      group.spawn([&] {
        fiber::sleep(0.005);
        ++ended;
      });
    }
    EXPECT_EQ(ended, 1);
  });
  EXPECT_EQ(clock.elapsed(), milliseconds(5));
}

TEST(ATaskGroup, CancelsTheOthersWhenAChildThrows) {
  const FakeClock clock;
  fiber::run([] {
    TaskGroup group;
    int cancelled = 0;
    for (int i = 0; i < 3; ++i) group.spawn(until_cancelled(cancelled));
    let_others_wait();
    group.spawn([] { throw ValueError("the first"); });
    group.spawn([] { fiber::sleep(kTooLong); });
    EXPECT_EQ(text_of_error<ValueError>([&] { group.wait(); }), "the first");
    EXPECT_EQ(cancelled, 3);
    // The error is reported only once; afterwards the group is as new.
    EXPECT_NO_THROW(group.wait());
    EXPECT_EQ(group.spawn([] { return fiber::get_stop_token().stop_requested(); }).join(), false);
  });
}

TEST(ATaskGroup, GivesTheFirstExceptionAndHasTheOthersPrinted) {
  testing::internal::CaptureStderr();
  fiber::run([] {
    TaskGroup group;
    group.spawn("other", [] {
      try {
        fiber::sleep(kTooLong);
      } catch (const CancelledError&) {
        throw ValueError("while it cleans up");
      }
    });
    let_others_wait();
    group.spawn([] { throw ValueError("the first"); });
    EXPECT_EQ(text_of_error<ValueError>([&] { group.wait(); }), "the first");
  });
  const std::string printed = testing::internal::GetCapturedStderr();
  EXPECT_THAT(printed, HasSubstr("Exception in the fiber other"));
  EXPECT_THAT(printed, HasSubstr("while it cleans up"));
  EXPECT_THAT(printed, testing::Not(HasSubstr("the first")));
}

TEST(ATaskGroup, HasAnExceptionPrintedThatNobodyWaitsFor) {
  testing::internal::CaptureStderr();
  fiber::run([] {
    TaskGroup group;
    group.spawn("forgotten", [] { throw ValueError("lost?"); });
  });
  EXPECT_THAT(testing::internal::GetCapturedStderr(), HasSubstr("fiber forgotten"));
}

TEST(ATaskGroup, GoesOnWhenAChildIsCancelledAlone) {
  const FakeClock clock;
  fiber::run([] {
    TaskGroup group;
    int ended = 0;
    auto cancelled = group.spawn([] { fiber::sleep(kTooLong); });
    group.spawn([&] {
      fiber::sleep(0.005);
      ++ended;
    });
    let_others_wait();
    cancelled.cancel();
    EXPECT_NO_THROW(group.wait());
    EXPECT_EQ(ended, 1);
    EXPECT_THROW(cancelled.join(), CancelledError);
  });
}

TEST(ATaskGroup, ThatIsCancelledCancelsEachOnceAndThoseThatCome) {
  const FakeClock clock;
  fiber::run([] {
    TaskGroup group;
    int cancelled = 0;
    group.spawn(until_cancelled(cancelled));
    let_others_wait();
    group.cancel();
    group.cancel();
    group.spawn(until_cancelled(cancelled));
    group.wait();
    EXPECT_EQ(cancelled, 2);
  });
}

TEST(ATaskGroup, IsCancelledWithWhoWaitsForIt) {
  const FakeClock clock;
  fiber::run([] {
    int cancelled = 0;
    auto parent = fiber::spawn([&] {
      TaskGroup group;
      group.spawn(until_cancelled(cancelled));
      group.spawn(until_cancelled(cancelled));
      try {
        group.wait();
      } catch (const CancelledError&) {
        EXPECT_EQ(cancelled, 2);
        fiber::sleep(0.001);
        throw;
      }
    });
    let_others_wait();
    parent.cancel();
    EXPECT_THROW(parent.join(kTooLong), CancelledError);
    EXPECT_EQ(cancelled, 2);
  });
}

TEST(ATaskGroup, AtTheEndOfItsScopeLeavesACancelToTheNextWait) {
  const FakeClock clock;
  fiber::run([] {
    int cancelled = 0;
    bool left = false;
    auto parent = fiber::spawn([&] {
      {
        TaskGroup group;
        group.spawn(until_cancelled(cancelled));
      }
      left = true;
      fiber::sleep(kTooLong);
    });
    let_others_wait();
    parent.cancel();
    EXPECT_THROW(parent.join(kTooLong), CancelledError);
    EXPECT_EQ(cancelled, 1);
    EXPECT_TRUE(left);
  });
}

TEST(ATaskGroup, LeftByAnExceptionCancelsAndWaits) {
  const FakeClock clock;
  fiber::run([] {
    int cancelled = 0;
    EXPECT_THROW(
        {
          TaskGroup group;
          group.spawn(until_cancelled(cancelled));
          let_others_wait();
          throw std::out_of_range("x");
        },
        std::out_of_range);
    EXPECT_EQ(cancelled, 1);
  });
}

TEST(ATaskGroup, HasItsChildrenInFibers) {
  TaskGroup group;
  EXPECT_THROW(group.spawn([] {}), RuntimeError);
  group.wait();
}

TEST(ATaskGroup, TakesChildrenOfSeveralSchedulers) {
  TaskGroup group;
  std::atomic<int> cancelled{0};
  Queue<int> ready;
  std::vector<std::jthread> threads;
  for (int i = 0; i < 3; ++i) {
    threads.emplace_back([&] {
      fiber::run([&] {
        auto child = group.spawn([&] {
          ready.put(1);
          try {
            fiber::sleep(kTooLong);
          } catch (const CancelledError&) {
            ++cancelled;
            throw;
          }
        });
        EXPECT_THROW(child.join(), CancelledError);
      });
    });
  }
  for (int i = 0; i < 3; ++i) ready.get(kTooLong);
  fiber::run([&] {
    auto failing = group.spawn([] { throw ValueError("x"); });
    EXPECT_THROW(failing.join(kTooLong), ValueError);
  });
  EXPECT_THROW(group.wait(), ValueError);
  EXPECT_EQ(cancelled, 3);
}

/// Children that end, fail and wait, and a parent that is cancelled at some moment: in the end none
/// is left.
TEST(ATaskGroup, LeavesNoChildAfterErrorsAndCancels) {
  testing::internal::CaptureStderr();
  for_each_seed([](std::uint64_t seed) {
    int alive = 0;
    struct Alive {
      explicit Alive(int& count) : alive(count) { ++alive; }
      ~Alive() { --alive; }
      int& alive;
    };
    auto parent = fiber::spawn([&] {
      TaskGroup group;
      for (std::uint64_t i = 0; i < 5; ++i) {
        group.spawn([&alive, what = (seed >> i) % 4] {
          const Alive one(alive);
          fiber::yield();
          if (what == 0) fiber::sleep(kTooLong);
          if (what == 1) throw std::out_of_range("x");
          if (what == 2) fiber::sleep(microseconds(10));
        });
      }
      fiber::yield();
      if (seed % 3 == 0) group.cancel();
      if (seed % 2 == 0) group.wait();
    });
    for (std::uint64_t i = 0; i < seed % 7; ++i) {
      FakeClock::advance(microseconds(seed % 5));
      fiber::yield();
    }
    parent.cancel();
    try {
      parent.join(kTooLong);
    } catch (const CancelledError&) {
    } catch (const std::out_of_range&) {
    }
    ASSERT_EQ(alive, 0);
    ASSERT_EQ(fiber::list().size(), 1u);
  });
  EXPECT_THAT(testing::internal::GetCapturedStderr(), HasSubstr("std::out_of_range: x"));
}

// --- gather ---

TEST(Gather, GivesWhatAllReturn) {
  const FakeClock clock;
  fiber::run([] {
    auto [number, text, nothing] = gather(
        [] {
          fiber::sleep(0.05);
          return 7;
        },
        [] {
          fiber::sleep(0.05);
          return std::make_unique<std::string>("x");
        },
        [] { fiber::sleep(0.05); });
    EXPECT_EQ(number, 7);
    EXPECT_EQ(*text, "x");
    EXPECT_EQ(nothing, std::monostate());
    EXPECT_EQ(gather(), std::tuple<>());
  });
  EXPECT_EQ(clock.elapsed(), milliseconds(50));
}

TEST(Gather, TakesAsManyAsThereAre) {
  const FakeClock clock;
  fiber::run([] {
    std::vector<std::function<int()>> functions;
    for (int i = 0; i < 5; ++i) {
      functions.emplace_back([i] {
        fiber::sleep(milliseconds(5 - i));
        return i;
      });
    }
    EXPECT_THAT(gather(functions), ElementsAre(0, 1, 2, 3, 4));
    EXPECT_THAT(gather(kTooLong, functions), ElementsAre(0, 1, 2, 3, 4));
    int called = 0;
    gather(std::vector<std::function<void()>>(3, [&] { ++called; }));
    EXPECT_EQ(called, 3);
  });
}

TEST(Gather, CancelsTheOthersWhenOneThrows) {
  const FakeClock clock;
  fiber::run([] {
    int cancelled = 0;
    EXPECT_THROW(gather(
                     until_cancelled(cancelled),
                     [] {
                       fiber::sleep(0.001);
                       throw ValueError("x");
                     },
                     until_cancelled(cancelled)),
                 ValueError);
    EXPECT_EQ(cancelled, 2);
  });
}

TEST(Gather, TakesNoLongerThanAsked) {
  const FakeClock clock;
  fiber::run([&] {
    int cancelled = 0;
    EXPECT_THROW(gather(0.01, until_cancelled(cancelled), [] { return 1; }), TimeoutError);
    EXPECT_EQ(cancelled, 1);
    // The child takes 1 ms to end.
    EXPECT_EQ(clock.elapsed(), milliseconds(11));
    EXPECT_EQ(gather(
                  kTooLong, [] { return 1; }, [] { return 2; }),
              std::tuple(1, 2));
  });
}

// --- timeout ---

TEST(ATimeout, GivesWhatTheFunctionReturnsOrThrows) {
  const FakeClock clock;
  fiber::run([] {
    int number = 3;
    int& same = timeout(1, [&]() -> int& { return number; });
    EXPECT_EQ(&same, &number);
    EXPECT_EQ(*timeout(std::nullopt, [] { return std::make_unique<int>(4); }), 4);
    EXPECT_THROW(timeout(1, [] { throw ValueError("x"); }), ValueError);
    EXPECT_NO_THROW(fiber::sleep(0.001));
  });
  EXPECT_THROW(timeout(1, [] {}), RuntimeError);
}

TEST(ATimeout, EndsEveryKindOfWait) {
  const FakeClock clock;
  fiber::run([&] {
    auto [one, other] = socketpair();
    Queue<int> queue;
    const std::vector<std::function<void()>> waits = {
        [] { fiber::sleep(kTooLong); },
        [&s = one] { s.recv(1); },
        [&s = one] { std::ignore = select({s}, {}, {}); },
        [&] { queue.get(); },
        [] { fiber::spawn([] { fiber::sleep(kTooLong); }).join(); },
        [] {
          for (;;) {
            FakeClock::advance(milliseconds(1));
            fiber::yield();
          }
        },
    };
    for (const auto& wait : waits) {
      const std::chrono::nanoseconds begun = clock.elapsed();
      EXPECT_THAT(text_of_error<TimeoutError>([&] { timeout(0.01, wait); }),
                  HasSubstr("timeout of 0.01 seconds"));
      EXPECT_EQ(clock.elapsed() - begun, milliseconds(10));
    }
    EXPECT_THROW(timeout(0, [] { fiber::sleep(1); }), TimeoutError);
  });
}

TEST(ATimeout, EndsAFiberThatIsAlwaysWokenInTime) {
  const FakeClock clock;
  fiber::run([] {
    Queue<int> there(1), back(1);
    auto echo = fiber::spawn([&] {
      while (const auto item = there.next()) back.put(*item);
    });
    EXPECT_THROW(timeout(0.01,
                         [&] {
                           for (;;) {
                             FakeClock::advance(milliseconds(1));
                             there.put(1);
                             back.get();
                           }
                         }),
                 TimeoutError);
    there.shutdown();
    back.shutdown();
    try {
      echo.join(kTooLong);
    } catch (const ShutDown&) {
      // It was about to send an item back.
    }
  });
}

TEST(ATimeout, IsToldOnce) {
  const FakeClock clock;
  fiber::run([] {
    bool cleaned = false;
    EXPECT_THROW(timeout(0.005,
                         [&] {
                           try {
                             fiber::sleep(kTooLong);
                           } catch (const CancelledError&) {
                             fiber::sleep(0.01);
                             cleaned = true;
                             throw;
                           }
                         }),
                 TimeoutError);
    EXPECT_TRUE(cleaned);
    EXPECT_EQ(timeout(0.005,
                      [] {
                        try {
                          fiber::sleep(kTooLong);
                        } catch (const CancelledError&) {
                        }
                        return 5;
                      }),
              5);
  });
}

TEST(ATimeout, IsDistinguishedFromOtherTimeouts) {
  const FakeClock clock;
  fiber::run([] {
    // The call within the timeout ends first, or at the same moment.
    auto [one, other] = socketpair();
    one.settimeout(0.005);
    EXPECT_THAT(text_of_error<TimeoutError>([&s = one] { timeout(10, [&] { s.recv(1); }); }),
                testing::Not(HasSubstr("timeout of")));
    // A timeout around another one.
    const auto nested = [](double outer, double inner) {
      return text_of_error<TimeoutError>(
          [&] { timeout(outer, [&] { timeout(inner, [] { fiber::sleep(kTooLong); }); }); });
    };
    EXPECT_THAT(nested(10, 0.005), HasSubstr("of 0.005 seconds"));
    EXPECT_THAT(nested(0.005, 10), HasSubstr("of 0.005 seconds"));
    // Both have expired when the fiber is woken: the outer one counts.
    EXPECT_THAT(text_of_error<TimeoutError>([] {
                  timeout(0.002, [] {
                    timeout(0.001, [] {
                      FakeClock::advance(milliseconds(3));
                      fiber::sleep(kTooLong);
                    });
                  });
                }),
                HasSubstr("of 0.002 seconds"));
    // A second timeout while the fiber cleans up after the first one.
    EXPECT_THAT(text_of_error<TimeoutError>([] {
                  timeout(0.001, [] {
                    try {
                      fiber::sleep(kTooLong);
                    } catch (const CancelledError&) {
                      EXPECT_THROW(timeout(0.002, [] { fiber::sleep(kTooLong); }), TimeoutError);
                      throw;
                    }
                  });
                }),
                HasSubstr("of 0.001 seconds"));
  });
}

TEST(ATimeout, ThatIsOverWhenTheFiberIsToldOfACancelIsNotToldAsWell) {
  const FakeClock clock;
  fiber::run([] {
    bool undisturbed = false;
    auto limited = fiber::spawn([&] {
      timeout(0.001, [&] {
        try {
          fiber::sleep(kTooLong);
        } catch (const CancelledError&) {
          fiber::sleep(0.001);
          undisturbed = true;
          throw;
        }
      });
    });
    let_others_wait();
    FakeClock::advance(milliseconds(2));
    limited.cancel();
    EXPECT_THROW(limited.join(kTooLong), CancelledError);
    EXPECT_TRUE(undisturbed);
  });
}

TEST(ATimeout, IsNotConfusedWithACancelAtTheSameTime) {
  int timed_out = 0, cancelled = 0;
  for_each_seed([&](std::uint64_t seed) {
    std::string seen;
    bool undisturbed = false;
    auto limited = fiber::spawn([&] {
      try {
        timeout(kMoment, [&] {
          try {
            fiber::sleep(kTooLong);
          } catch (const CancelledError&) {
            // A cancellation may arrive until here.
            if (seed % 2 == 0) fiber::yield();
            throw;
          }
        });
      } catch (const TimeoutError&) {
        seen = "timed out";
      } catch (const CancelledError&) {
        seen = "cancelled";
        fiber::sleep(0);
        undisturbed = true;
      }
      if (seen == "timed out") fiber::sleep(kTooLong);  // the cancellation is delivered here
    });
    let_others_wait();
    auto canceller = fiber::spawn([&] { limited.cancel(); });
    FakeClock::advance(kMoment);
    try {
      limited.join(kTooLong);
    } catch (const CancelledError&) {
    }
    // Either is reported only once.
    if (seen == "cancelled") {
      ASSERT_TRUE(undisturbed);
      ++cancelled;
    } else {
      ASSERT_EQ(seen, "timed out");
      ++timed_out;
    }
  });
  EXPECT_GT(timed_out, 0);
  EXPECT_GT(cancelled, 0);
}

TEST(ATimeout, OfAGroupEndsItsChildren) {
  const FakeClock clock;
  fiber::run([] {
    int cancelled = 0;
    TaskGroup group;
    for (int i = 0; i < 3; ++i) group.spawn(until_cancelled(cancelled));
    EXPECT_THROW(timeout(0.005, [&] { group.wait(); }), TimeoutError);
    EXPECT_EQ(cancelled, 3);
    EXPECT_THROW(timeout(0.005,
                         [&] {
                           {
                             TaskGroup scope;
                             scope.spawn(until_cancelled(cancelled));
                           }
                           fiber::sleep(kTooLong);
                         }),
                 TimeoutError);
    EXPECT_EQ(cancelled, 4);
  });
}

// --- stop tokens ---

/// Lets others run, and ignores a cancellation.
void give_way() {
  try {
    fiber::yield();
  } catch (const CancelledError&) {
  }
}

TEST(AStopToken, IsGivenToAFiberThatTakesIt) {
  fiber::run([](std::stop_token main) {
    EXPECT_FALSE(main.stop_requested());
    auto task = fiber::spawn([](std::stop_token token) {
      int rounds = 0;
      for (; !token.stop_requested(); ++rounds) give_way();
      EXPECT_TRUE(fiber::get_stop_token().stop_requested());
      EXPECT_EQ(token, fiber::get_stop_token());
      return rounds;
    });
    fiber::yield();
    task.cancel();
    EXPECT_GT(task.join(kTooLong), 0);
  });
  EXPECT_THROW(std::ignore = fiber::get_stop_token(), RuntimeError);
}

TEST(AStopToken, StopsALoopThatNeverWaitsFromAnotherThread) {
  fiber::run([] {
    std::atomic<bool> looping{false};
    bool told = false;
    std::optional<fiber::Task<void>> task;
    task = fiber::spawn([&] {
      const std::stop_token token = fiber::get_stop_token();
      looping = true;
      // The loop ends in any case: a test that fails should not hang.
      const auto late = Clock::now() + std::chrono::seconds(kTooLong / 2);
      while (!token.stop_requested() && Clock::now() < late) std::this_thread::yield();
      told = token.stop_requested();
    });
    const std::jthread other([&] {
      while (!looping) std::this_thread::yield();
      task->cancel();
    });
    task->join(kTooLong);
    EXPECT_TRUE(told);
  });
}

TEST(AStopToken, IsRequestedAlsoWhenItIsAskedForLater) {
  fiber::run([] {
    auto task = fiber::spawn([] { return fiber::get_stop_token().stop_requested(); });
    task.cancel();
    EXPECT_TRUE(task.join(kTooLong));
  });
}

TEST(AStopToken, IsRequestedWhenTheMainFiberEnds) {
  bool requested = false;
  fiber::run([&] {
    fiber::spawn([&](std::stop_token token) {
      while (!token.stop_requested()) give_way();
      requested = true;
    });
    fiber::yield();
  });
  EXPECT_TRUE(requested);
}

TEST(AStopToken, HasCallbacksThatMayStartFibers) {
  std::string order;
  fiber::run([&] {
    fiber::spawn([&] {
      const std::stop_callback callback(fiber::get_stop_token(), [&] {
        order += "asked,";
        fiber::spawn([&] { order += "started,"; });
      });
      try {
        fiber::sleep(kTooLong);
      } catch (const CancelledError&) {
        order += "cancelled,";
        throw;
      }
    });
    fiber::yield();
    order += "main ends,";  // its end asks the other fiber to stop
  });
  EXPECT_THAT(order, testing::StartsWith("main ends,asked,"));
  EXPECT_THAT(order, HasSubstr("started,"));
  EXPECT_THAT(order, HasSubstr("cancelled,"));
}

TEST(AStopToken, OfRunCancelsItFromAnyThread) {
  std::stop_source source;
  std::atomic<bool> running{false};
  int cancelled = 0;
  std::jthread other([&] {
    while (!running) std::this_thread::yield();
    source.request_stop();
  });
  EXPECT_THROW(fiber::run(
                   [&] {
                     fiber::spawn(until_cancelled(cancelled));
                     fiber::yield();
                     running = true;
                     fiber::sleep(kTooLong);
                   },
                   {.stop = source.get_token()}),
               CancelledError);
  EXPECT_EQ(cancelled, 1);
  // The stop is requested before the fibers begin.
  EXPECT_THROW(fiber::run([] { fiber::sleep(kTooLong); }, {.stop = source.get_token()}),
               CancelledError);
}

}  // namespace
}  // namespace plug
