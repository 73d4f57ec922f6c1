// Tests the order in which fibers run, and the events that wake them.

#include <plug/fiber.hpp>
#include <plug/group.hpp>
#include <plug/plug.hpp>
#include <plug/queue.hpp>
#include <plug/sync.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <mutex>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

#include "fiber/scheduler.hpp"
#include "support/errors.hpp"
#include "support/fibers.hpp"
#include "support/process.hpp"
#include "sys/syscalls.hpp"

namespace plug {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

TEST(Yield, TellsAFiberThatItHasBeenCancelled) {
  bool told = false;
  fiber::run([&] {
    fiber::spawn([&] {
      try {
        while (true) fiber::yield();
      } catch (const CancelledError&) {
        told = true;
        fiber::yield();
      }
    });
  });
  EXPECT_TRUE(told);
}

TEST(Fairness, IsKeptByCallsThatNeverWait) {
  const auto check = [](auto call) {
    fiber::run([&] {
      bool turn = false;
      fiber::spawn([&] { turn = true; });
      while (!turn) call();
    });
  };
  check([] { std::ignore = select({}, {}, {}, 0); });
  auto [one, other] = socketpair();
  check([&one = one, &other = other] {
    one.sendall("x");
    other.recv(1);
  });
}

TEST(Cancelling, BeforeItHasBegunEndsAFiberInItsFirstWait) {
  fiber::run([] {
    bool begun = false;
    auto task = fiber::spawn([&] {
      begun = true;
      fiber::sleep(std::nullopt);
    });
    task.cancel();
    EXPECT_THROW(task.join(), CancelledError);
    EXPECT_TRUE(begun);
  });
}

TEST(Cancelling, AtTheEndHeedsThatSomeBeginThen) {
  int begun = 0;
  fiber::run([&] {
    for (int i = 0; i < 20; ++i) {
      fiber::spawn([&](const std::stop_token& token) {
        const std::stop_callback more(token, [&] {
          for (int each = 0; each < 10; ++each) fiber::spawn([&] { ++begun; });
        });
        fiber::sleep(std::nullopt);
      });
    }
    fiber::yield();
  });
  EXPECT_EQ(begun, 200);
}

TEST(Waking, IsNotTakenForATimeoutThatCameBefore) {
  using detail::fiber::FiberScheduler;
  fiber::run([] {
    FiberScheduler& scheduler = *FiberScheduler::here();
    auto task = fiber::spawn([&] {
      // Both happen before the fiber continues.
      EXPECT_EQ(scheduler.park(detail::base::deadline_after(1), "test"),
                FiberScheduler::WakeReason::cancel);
      scheduler.wake(scheduler.current());
      EXPECT_EQ(scheduler.park(Deadline::none(), "test"), FiberScheduler::WakeReason::event);
    });
    fiber::yield();
    for (const auto start = Clock::now(); Clock::now() < start + milliseconds(1);) continue;
    fiber::yield();
    task.cancel();
    task.join();
  });
}

TEST(Waking, KeepsTheOrderInWhichAnotherThreadDidIt) {
  using detail::fiber::FiberCore;
  using detail::fiber::FiberScheduler;
  fiber::run([] {
    FiberScheduler& scheduler = *FiberScheduler::here();
    std::string order;
    std::vector<FiberCore*> cores;
    std::vector<fiber::Task<void>> tasks;
    for (char name = 'a'; name < 'f'; ++name) {
      tasks.push_back(fiber::spawn([&, name] {
        cores.push_back(&scheduler.current());
        scheduler.park(Deadline::none(), "test");
        order += name;
      }));
    }
    fiber::yield();
    std::thread([&] {
      for (FiberCore* core : cores) scheduler.wake(*core);
    }).join();
    for (auto& task : tasks) task.join();
    EXPECT_EQ(order, "abcde");
  });
}

#ifndef PLUG_SANITIZED  // sanitizers need descriptors themselves
TEST(Running, SaysThatThereIsNoDescriptorToSpare) {
  EXPECT_EQ(run_in_child([] {
              auto all = take_all_descriptors();
              const auto run = [] { fiber::run([] {}); };
              EXPECT_EQ(number_of_error(run), EMFILE);
              all.pop_back();
              EXPECT_EQ(number_of_error(run), EMFILE);
              all.clear();
              run();
              return testing::Test::HasFailure() ? 1 : 0;
            }),
            0);
}

#endif

// --- fibers that delay others ---

/// The reports of stalls, which another thread may read.
class Reports {
 public:
  fiber::RunOptions options(Timeout limit) {
    fiber::RunOptions options;
    options.stall_threshold = limit;
    options.on_stall = [this](std::string_view name, std::chrono::nanoseconds time) {
      const std::lock_guard lock(mutex_);
      reports_.emplace_back(name, time);
    };
    return options;
  }
  std::vector<std::pair<std::string, std::chrono::nanoseconds>> all() {
    const std::lock_guard lock(mutex_);
    return reports_;
  }

 private:
  std::mutex mutex_;
  std::vector<std::pair<std::string, std::chrono::nanoseconds>> reports_;
};

TEST(AFiberThatNeverWaits, IsReportedAndAgainWhenTheTimeHasDoubled) {
  Reports reports;
  const auto start = Clock::now();
  fiber::run(
      [&] {
        fiber::spawn("hog", [&] {
          while (reports.all().size() < 2) continue;
        }).join();
      },
      reports.options(milliseconds(10)));
  const auto all = reports.all();
  ASSERT_GE(all.size(), 2u);
  EXPECT_EQ(all[0].first, "hog");
  EXPECT_EQ(all[1].first, "hog");
  EXPECT_GE(all[0].second, milliseconds(10));
  EXPECT_GE(all[1].second, 2 * all[0].second);
  EXPECT_LE(all[1].second, Clock::now() - start);
}

TEST(AFiberThatWaits, IsNotReportedHoweverLong) {
  Reports reports;
  fiber::run(
      [] {
        fiber::spawn("busy and fair", [] {
          for (const auto end = Clock::now() + milliseconds(700); Clock::now() < end;)
            fiber::yield();
        });
        fiber::sleep(0.7);
      },
      reports.options(0.3));
  EXPECT_TRUE(reports.all().empty());
}

TEST(AFiberThatNeverWaits, IsPrintedByDefault) {
  testing::internal::CaptureStderr();
  fiber::run(
      [] {
        fiber::spawn("hog", [] {
          struct stat printed {};
          while (::fstat(2, &printed) == 0 && printed.st_size == 0) continue;
        }).join();
      },
      {.stall_threshold = milliseconds(10)});
  EXPECT_THAT(testing::internal::GetCapturedStderr(),
              testing::MatchesRegex("plug: the fiber hog has run for .* s without waiting\n"));
}

std::errc refuse() { return std::errc::io_error; }

TEST(TheInterruptHook, IsAskedWhereMainSleepsOrJoins) {
  struct sigaction action {};
  struct sigaction before {};
  action.sa_handler = [](int) {};
  ASSERT_EQ(sigaction(SIGUSR1, &action, &before), 0);
  set_interrupt_hook(refuse);
  const auto interrupted = [](auto wait) {
    fiber::run([&] {
      const pthread_t self = pthread_self();
      std::atomic<bool> over = false;
      std::thread other([&] {
        while (!over) {
          pthread_kill(self, SIGUSR1);
          std::this_thread::sleep_for(milliseconds(1));
        }
      });
      EXPECT_EQ(number_of_error(wait), EIO);
      over = true;
      other.join();
    });
  };
  interrupted([] { fiber::sleep(std::nullopt); });
  interrupted([] { fiber::spawn([] { fiber::sleep(std::nullopt); }).join(); });
  // A fiber that leaves a wait like this passes on what it gets, and is in no queue any more.
  Mutex mutex;
  Queue<int> queue;
  interrupted([&] {
    std::unique_lock lock(mutex);
    Condition().wait(lock);
  });
  EXPECT_TRUE(mutex.try_lock());
  interrupted([&] { std::unique_lock(mutex, std::chrono::hours(1)); });
  mutex.unlock();
  EXPECT_TRUE(mutex.try_lock());
  interrupted([&] { queue.get(); });
  queue.put(1);
  EXPECT_EQ(queue.qsize(), 1u);
  interrupted([] {
    TaskGroup group;
    group.spawn([] { fiber::sleep(std::nullopt); });
    group.wait();
  });
  set_interrupt_hook(nullptr);
  EXPECT_EQ(sigaction(SIGUSR1, &before, nullptr), 0);
}

}  // namespace
}  // namespace plug
