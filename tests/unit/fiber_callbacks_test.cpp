// Tests user code that fibers call: stop callbacks and destructors, which may block like any other
// code.

#include <plug/fiber.hpp>
#include <plug/fiber/cores.hpp>
#include <plug/group.hpp>
#include <plug/plug.hpp>
#include <plug/sync.hpp>

#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <thread>
#include <utility>
#include <vector>

#include "support/everywhere.hpp"
#include "support/process.hpp"

namespace plug {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;
using Callback = std::stop_callback<std::function<void()>>;

/// Runs fibers in a child process, which an alarm ends if they hang. Returns 0 if `main` returns
/// true.
int run_in_child_fibers(const std::function<bool()>& main) {
  return run_in_child([&] {
    ::alarm(kTooLong / 2);
    return fiber::run(main) ? 0 : 1;
  });
}

/// The same with 40 fibers that wait when the main fiber ends. Each then calls `callback`.
int end_with_callbacks(const std::function<void()>& callback) {
  return run_in_child([&] {
    ::alarm(kTooLong / 2);
    int called = 0;
    fiber::run([&] {
      for (int i = 0; i < 40; ++i) {
        fiber::spawn([&] {
          const Callback stopping(fiber::get_stop_token(), [&] {
            callback();
            ++called;
          });
          fiber::sleep(std::nullopt);
        });
      }
      let_others_wait();
    });
    return called == 40 ? 0 : 1;
  });
}

TEST(StopCallbacksAtTheEndOfTheMainFiber, MayYieldAndSleep) {
  EXPECT_EQ(end_with_callbacks([] {
              fiber::yield();
              fiber::sleep(0.0001);
            }),
            0);
}

TEST(StopCallbacksAtTheEndOfTheMainFiber, RunInAFiber) {
  EXPECT_EQ(end_with_callbacks([] {
              EXPECT_EQ(fiber::spawn([] { return fiber::inside(); }).join(), true);
              EXPECT_FALSE(fiber::list().empty());
              if (testing::Test::HasFailure()) ::_exit(2);
            }),
            0);
}

TEST(StopCallbacksAtTheEndOfTheMainFiber, MaySendOnASocket) {
  auto [one, other] = socketpair();
  EXPECT_EQ(end_with_callbacks([&, &conn = one] { conn.sendall("over"); }), 0);
  EXPECT_EQ(other.recv(1000, MSG::WAITALL | MSG::DONTWAIT).size(), 160u);
}

TEST(StopCallbacksAtTheEndOfTheMainFiber, ExcludeEachOtherByAMutex) {
  Mutex mutex;
  bool held = false;
  EXPECT_EQ(end_with_callbacks([&] {
              const std::scoped_lock lock(mutex);
              if (std::exchange(held, true)) ::_exit(2);
              fiber::yield();
              held = false;
            }),
            0);
}

TEST(StopCallbacksAtTheEndOfTheMainFiber, MayWaitForAGroup) {
  EXPECT_EQ(end_with_callbacks([] {
              TaskGroup group;
              group.spawn([] { fiber::sleep(std::nullopt); });
              group.wait();
            }),
            0);
}

TEST(StopCallbacksAtTheEndOfTheMainFiber, MayWaitWhenItHasBeenCancelledAsWell) {
  EXPECT_EQ(run_in_child([] {
              ::alarm(kTooLong / 2);
              bool called = false;
              std::stop_source stop;
              fiber::run(
                  [&] {
                    fiber::spawn([&] {
                      const Callback stopping(fiber::get_stop_token(), [&] {
                        fiber::sleep(0.001);
                        called = true;
                      });
                      fiber::sleep(std::nullopt);
                    });
                    let_others_wait();
                    stop.request_stop();
                  },
                  {.stop = stop.get_token()});
              return called ? 0 : 1;
            }),
            0);
}

TEST(StopCallbacks, AreCalledForEachFiberThatHasNotEndedWhateverOthersDo) {
  EXPECT_EQ(run_in_child([] {
              ::alarm(kTooLong / 2);
              int called = 0;
              fiber::run([&] {
                std::vector<fiber::Task<void>> tasks;
                for (int i = 0; i < 30; ++i) {
                  // Some of them end while others are being cancelled.
                  fiber::spawn([&, i] {
                    const Callback stopping(fiber::get_stop_token(), [&] {
                      ++called;
                      fiber::sleep(i % 3 == 0 ? 0.0002 : 0);
                      fiber::spawn([] { fiber::sleep(std::nullopt); });
                    });
                    try {
                      fiber::sleep(std::nullopt);
                    } catch (const CancelledError&) {
                      fiber::sleep(i % 2 == 0 ? 0.0001 : 0);
                    }
                  });
                }
                let_others_wait();
              });
              return called == 30 ? 0 : 1;
            }),
            0);
}

TEST(StopCallbacks, MayLetGoOfTheFiberThatIsCancelled) {
  fiber::run([] {
    Event event;
    bool ended = false;
    Event over;
    std::vector<fiber::Task<void>> others;
    std::stop_token token;
    std::optional<fiber::Task<void>> task = fiber::spawn([&] {
      token = fiber::get_stop_token();
      event.wait();
      ended = true;
    });
    let_others_wait();
    const Callback stopping(token, [&] {
      event.set();
      while (!ended) fiber::yield();
      task.reset();
      // The fiber's memory is reused by others, which wait.
      for (int i = 0; i < 8; ++i) others.push_back(fiber::spawn([&] { over.wait(); }));
      let_others_wait();
    });
    task->cancel();
    EXPECT_TRUE(ended);
    over.set();
    for (fiber::Task<void>& other : others) EXPECT_NO_THROW(other.join());
  });
}

TEST(StopCallbacks, OfTheFibersOfSeveralThreadsAreCalledWithoutALock) {
  testing::internal::CaptureStderr();
  Semaphore ready(0);
  Event told;
  std::weak_ptr<int> second;
  bool gone = false;
  EXPECT_THROW(fiber::run_on_threads(3,
                                     [&](std::size_t core) {
                                       const auto thrown = std::make_shared<int>(0);
                                       if (core == 0) {
                                         ready.acquire();
                                         ready.acquire();
                                         throw ValueError("the first");
                                       }
                                       if (core == 1) {
                                         // Core 2 throws an exception, which is destroyed while
                                         // this callback runs in core 1.
                                         const Callback stopping(fiber::get_stop_token(), [&] {
                                           told.set();
                                           const auto over =
                                               steady_clock::now() + milliseconds(5000);
                                           while (!gone && steady_clock::now() < over) {
                                             std::this_thread::sleep_for(milliseconds(1));
                                             gone = second.expired();
                                           }
                                         });
                                         ready.release();
                                         fiber::sleep(kTooLong);
                                       }
                                       second = thrown;
                                       ready.release();
                                       told.wait();
                                       throw thrown;
                                     }),
               ValueError);
  testing::internal::GetCapturedStderr();
  EXPECT_TRUE(gone);
}

TEST(AFunctionThatIsHandedOver, ThatDoesNotBeginEndsInAFiber) {
  struct Waiting {
    explicit Waiting(Event* waited, bool* given) : event(waited), in_time(given) {}
    Waiting(Waiting&& other) noexcept
        : event(std::exchange(other.event, nullptr)), in_time(other.in_time) {}
    ~Waiting() {
      if (event != nullptr) *in_time = event->wait(2);
    }
    void operator()() const {}
    Event* event;
    bool* in_time;
  };
  Event event;
  bool in_time = false;
  std::optional<fiber::Task<void>> task;
  fiber::run([&] {
    fiber::spawn([&] {
      try {
        fiber::sleep(kTooLong);
      } catch (const CancelledError&) {
        fiber::sleep(0.02);
        event.set();
      }
    });
    let_others_wait();
    const fiber::Scheduler here = fiber::here();
    std::thread([&] { task = here.spawn(Waiting(&event, &in_time)); }).join();
  });
  EXPECT_TRUE(in_time);
  EXPECT_THROW(task->join(), RuntimeError);
}

// --- joining ---

TEST(AFiber, ThatJoinsItselfGetsARuntimeError) {
  EXPECT_EQ(run_in_child_fibers([] {
              std::optional<fiber::Task<bool>> self;
              self = fiber::spawn("self", [&] {
                try {
                  static_cast<void>(self->join());
                } catch (const RuntimeError&) {
                  return true;
                }
                return false;
              });
              return self->join();
            }),
            0);
}

TEST(AFiber, ThatWaitsForItsOwnGroupGetsARuntimeError) {
  EXPECT_EQ(run_in_child_fibers([] {
              TaskGroup group;
              auto child = group.spawn([&] {
                try {
                  group.wait();
                } catch (const RuntimeError&) {
                  return true;
                }
                return false;
              });
              group.wait();
              return child.join();
            }),
            0);
}

}  // namespace
}  // namespace plug
