// Tests task_group(): a body and its children, each of which ends the others when it fails.

#include <plug/fiber.hpp>
#include <plug/group.hpp>
#include <plug/plug.hpp>
#include <plug/sync.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>

#include "support/errors.hpp"
#include "support/everywhere.hpp"
#include "support/fake_clock.hpp"

namespace plug {
namespace {

using testing::HasSubstr;
using Group = TaskGroup;

[[noreturn]] void fail(const std::string& text) { throw ValueError(text); }

TEST(TheBodyOfATaskGroup, GivesWhatItReturnsOnceItsChildrenHaveEnded) {
  const FakeClock clock;
  fiber::run([] {
    int ended = 0;
    const auto result = task_group([&](Group& group) {
      for (int i = 0; i < 3; ++i) {
        group.spawn([&] {
          fiber::sleep(0.001);
          ++ended;
        });
      }
      return std::make_unique<int>(7);
    });
    EXPECT_EQ(*result, 7);
    EXPECT_EQ(ended, 3);
    task_group([&](Group& group) { group.spawn([&] { ++ended; }); });
    EXPECT_EQ(ended, 4);
  });
}

TEST(TheBodyOfATaskGroup, RefusesToRunOutsideAFiber) {
  EXPECT_THROW(task_group([](Group&) {}), RuntimeError);
}

TEST(TheBodyOfATaskGroup, IsCancelledWhereItWaitsWhenAChildFails) {
  for_each_seed([](std::uint64_t) {
    auto [one, other] = socketpair();
    bool told = false, cleaned = false;
    EXPECT_EQ(text_of_error<ValueError>([&, &conn = one] {
                task_group([&](Group& group) {
                  group.spawn([] {
                    fiber::yield();
                    fail("the child");
                  });
                  group.spawn([&] {
                    try {
                      fiber::sleep(kTooLong);
                    } catch (const CancelledError&) {
                      cleaned = true;
                      throw;
                    }
                  });
                  try {
                    conn.recv(1);
                  } catch (const CancelledError&) {
                    told = true;
                    // The cancellation is delivered only once.
                    fiber::sleep(0.00001);
                    throw;
                  }
                });
              }),
              "the child");
    EXPECT_TRUE(told);
    EXPECT_TRUE(cleaned);
    // No cancellation is left.
    fiber::sleep(0.00001);
    EXPECT_FALSE(fiber::get_stop_token().stop_requested());
  });
}

TEST(TheBodyOfATaskGroup, IsCancelledByAChildInAnotherThread) {
  fiber::run([] {
    Event waits;
    Event never;
    EXPECT_EQ(text_of_error<ValueError>([&] {
                task_group([&](Group& group) {
                  std::jthread other([&] {
                    fiber::run([&] {
                      group.spawn([&] {
                        waits.wait();
                        fail("elsewhere");
                      });
                      // The group reports the child's exception, which must come before this fiber
                      // ends.
                      fiber::sleep(0.02);
                    });
                  });
                  waits.set();
                  never.wait(kTooLong);
                });
              }),
              "elsewhere");
  });
}

TEST(TheBodyOfATaskGroup, ThatDoesNotHeedACancelStillEndsByTheException) {
  fiber::run([] {
    for (const bool waits : {true, false}) {
      EXPECT_EQ(text_of_error<ValueError>([&] {
                  task_group([&](Group& group) {
                    auto child = group.spawn([] { fail("the child"); });
                    if (!waits) return;
                    EXPECT_THROW(fiber::sleep(kTooLong), CancelledError);
                  });
                }),
                "the child");
      // The fiber itself is not cancelled.
      EXPECT_NO_THROW(fiber::yield());
    }
  });
}

TEST(TheBodyOfATaskGroup, ThatThrowsCancelsTheChildren) {
  fiber::run([] {
    int cancelled = 0;
    EXPECT_EQ(text_of_error<ValueError>([&] {
                task_group([&](Group& group) {
                  group.spawn([&] {
                    EXPECT_THROW(fiber::sleep(kTooLong), CancelledError);
                    ++cancelled;
                  });
                  fiber::yield();
                  fail("the body");
                });
              }),
              "the body");
    EXPECT_EQ(cancelled, 1);
  });
}

TEST(TheBodyOfATaskGroup, ThatThrowsAfterAChildHasFailedIsPrinted) {
  testing::internal::CaptureStderr();
  fiber::run([] {
    EXPECT_EQ(text_of_error<ValueError>([&] {
                task_group([&](Group& group) {
                  group.spawn([] { fail("the child"); });
                  try {
                    fiber::sleep(kTooLong);
                  } catch (const CancelledError&) {
                    fail("the body");
                  }
                });
              }),
              "the child");
  });
  EXPECT_THAT(testing::internal::GetCapturedStderr(), HasSubstr("the body"));
}

TEST(TheBodyOfATaskGroup, IsCancelledFromOutsideWithItsChildren) {
  for_each_seed([](std::uint64_t seed) {
    int cancelled = 0;
    auto parent = fiber::spawn([&] {
      task_group([&](Group& group) {
        group.spawn([&] {
          EXPECT_THROW(fiber::sleep(kTooLong), CancelledError);
          ++cancelled;
        });
        if (seed % 2 == 0) fiber::sleep(kTooLong);
      });
    });
    let_others_wait();
    parent.cancel();
    EXPECT_THROW(parent.join(kTooLong), CancelledError);
    EXPECT_EQ(cancelled, 1);
  });
}

TEST(TheBodyOfATaskGroup, IsToldOfACancelAfterAChildsExceptionHasComeOut) {
  for_each_seed([](std::uint64_t seed) {
    bool caught = false;
    Event go;
    auto parent = fiber::spawn([&] {
      try {
        task_group([&](Group& group) {
          group.spawn([&] {
            if (seed % 3 != 0) {
              go.wait();
              fail("at that moment");
            }
            try {
              go.wait();
              fiber::sleep(kTooLong);
            } catch (const CancelledError&) {
              fail("as it ends");
            }
          });
          fiber::sleep(kTooLong);
        });
      } catch (const ValueError&) {
        caught = true;
      }
      fiber::sleep(kTooLong);
    });
    let_others_wait();
    at_once(
        seed, [&] { go.set(); }, [&] { parent.cancel(); });
    EXPECT_THROW(parent.join(kTooLong), CancelledError);
    EXPECT_TRUE(caught || seed % 3 != 0);
  });
}

TEST(TheBodyOfATaskGroup, KeepsItsTimeout) {
  for_each_seed([](std::uint64_t) {
    EXPECT_THROW(timeout(0.0002,
                         [] {
                           task_group([](Group& group) {
                             group.spawn([] { fiber::sleep(kTooLong); });
                             fiber::sleep(kTooLong);
                           });
                         }),
                 TimeoutError);
    EXPECT_THROW(task_group([](Group& group) {
                   group.spawn([] { fiber::sleep(kTooLong); });
                   timeout(0.0002, [] { fiber::sleep(kTooLong); });
                 }),
                 TimeoutError);
    EXPECT_EQ(text_of_error<ValueError>([] {
                task_group([](Group& group) {
                  group.spawn([] { fail("the child"); });
                  timeout(kTooLong, [] { fiber::sleep(kTooLong); });
                });
              }),
              "the child");
  });
}

TEST(TheBodyOfATaskGroup, OfWhichSeveralFailAroundEachOtherEndsByTheOutermost) {
  testing::internal::CaptureStderr();
  fiber::run([] {
    EXPECT_EQ(text_of_error<ValueError>([] {
                task_group([](Group& outer) {
                  outer.spawn([] { fail("outer"); });
                  task_group([](Group& inner) {
                    inner.spawn([] { fail("inner"); });
                    fiber::sleep(kTooLong);
                  });
                });
              }),
              "outer");
    EXPECT_NO_THROW(fiber::yield());
  });
  EXPECT_THAT(testing::internal::GetCapturedStderr(), HasSubstr("inner"));
}

}  // namespace
}  // namespace plug
