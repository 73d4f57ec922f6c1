// Tests fibers in several threads, and functions that one thread hands to another.

#include <plug/fiber/cores.hpp>
#include <plug/plug.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

#include "support/errors.hpp"
#include "support/fibers.hpp"
#include "support/process.hpp"
#include "sys/processors.hpp"
#include "sys/syscalls.hpp"

namespace plug {
namespace {

using testing::HasSubstr;
using Schedulers = std::vector<fiber::Scheduler>;

TEST(RunOnThreads, CallsTheFunctionInAThreadForEachCore) {
  std::mutex mutex;
  std::set<std::size_t> numbers;
  std::set<std::thread::id> threads;
  const int before = count_descriptors();
  fiber::run_on_threads(3, [&](std::size_t core) {
    EXPECT_TRUE(fiber::inside());
    fiber::sleep(0.001);
    const std::lock_guard lock(mutex);
    numbers.insert(core);
    threads.insert(std::this_thread::get_id());
  });
  EXPECT_THAT(numbers, testing::ElementsAre(0, 1, 2));
  EXPECT_EQ(threads.size(), 3u);
  EXPECT_EQ(threads.count(std::this_thread::get_id()), 1u);
  EXPECT_EQ(count_descriptors(), before);
}

TEST(RunPerCore, HasAThreadForEachUsableProcessor) {
  cpu_set_t set;
  ASSERT_EQ(sched_getaffinity(0, sizeof set, &set), 0);
  std::atomic<int> count = 0;
  fiber::run_per_core([&](std::size_t) { ++count; });
  EXPECT_LE(count, CPU_COUNT(&set));
  EXPECT_EQ(static_cast<std::size_t>(count), detail::sys::usable_processors());
}

TEST(RunOnThreads, RefusesZeroThreads) {
  EXPECT_THAT(text_of_error<ValueError>([] { fiber::run_on_threads(0, [](std::size_t) {}); }),
              HasSubstr("0 threads"));
}

TEST(RunOnThreads, IsRefusedInAFiber) {
  const auto run_on = [] { fiber::run_on_threads(2, [](std::size_t) {}); };
  EXPECT_THAT(text_of_error<RuntimeError>([&] { fiber::run(run_on); }),
              HasSubstr("run_on_threads"));
}

TEST(RunOnThreads, EndsAllWhenOneThrowsAndThrowsThat) {
  std::atomic<int> cancelled = 0;
  const auto run_on = [&] {
    fiber::run_on_threads(3, [&](std::size_t core) {
      if (core == 1) throw std::out_of_range("the first");
      auto other = fiber::spawn([&] {
        try {
          fiber::sleep(std::nullopt);
        } catch (const CancelledError&) {
          ++cancelled;
          throw;
        }
      });
      other.join();
    });
  };
  EXPECT_EQ(text_of_error<std::out_of_range>(run_on), "the first");
  EXPECT_THAT(cancelled.load(), testing::AnyOf(0, 1, 2));
}

TEST(RunOnThreads, PrintsWhatIsThrownAfterTheFirst) {
  testing::internal::CaptureStderr();
  const auto run_on = [] {
    fiber::run_on_threads(2, [](std::size_t core) {
      if (core == 0) throw std::out_of_range("the first");
      try {
        fiber::sleep(std::nullopt);
      } catch (const CancelledError&) {
        throw ValueError("the second");
      }
    });
  };
  const std::string text = text_of_error<std::out_of_range>(run_on);
  const std::string printed = testing::internal::GetCapturedStderr();
  EXPECT_EQ(text, "the first");
  // Nothing is printed if the other thread ended before its function had begun.
  EXPECT_THAT(printed, testing::AnyOf("", HasSubstr("plug::ValueError: the second")));
}

#ifndef PLUG_SANITIZED  // sanitizers need descriptors themselves
TEST(RunOnThreads, SaysThatThereAreNoDescriptorsToSpare) {
  EXPECT_EQ(run_in_child([] {
              auto all = take_all_descriptors();
              const auto run_on = [] {
                fiber::run_on_threads(2, [](std::size_t) { ADD_FAILURE(); });
              };
              for (int spare = 0; spare < 4; ++spare) {
                EXPECT_EQ(number_of_error(run_on), EMFILE) << spare;
                all.pop_back();
              }
              return testing::Test::HasFailure() ? 1 : 0;
            }),
            0);
}

#endif

TEST(RunOnThreads, HasAListenerInEachThreadOnOnePort) {
  Socket first = create_server({"127.0.0.1", 0}, {.reuse_port = true});
  const int port = first.getsockname().port();
  std::atomic<int> served = 0;
  constexpr int kClients = 50;
  fiber::run_on_threads(2, [&](std::size_t core) {
    Socket server =
        core == 0 ? std::move(first) : create_server({"127.0.0.1", port}, {.reuse_port = true});
    auto serving = fiber::spawn([&] {
      for (;;) {
        fiber::spawn([conn = server.accept().first]() mutable { conn.sendall(conn.recv(100)); });
      }
    });
    for (int i = 0; i < kClients; ++i) {
      Socket client = create_connection({"127.0.0.1", port}, 20);
      client.sendall("hello");
      if (client.recv(100) == "hello") ++served;
    }
    // Clients of the other core may still connect to this listener.
    while (served < 2 * kClients) fiber::sleep(0.001);
    serving.cancel();
    EXPECT_THROW(serving.join(), CancelledError);
  });
  EXPECT_EQ(served, 2 * kClients);
}

TEST(RunOnThreads, HandsConnectionsOverBeforeTheirHandlersStart) {
  constexpr std::size_t kCores = 3;
  std::array<std::atomic<int>, kCores> handled{};
  std::array<std::thread::id, kCores> threads;
  fiber::run_on_threads(kCores, [&](std::size_t core, const Schedulers& all) {
    EXPECT_EQ(all.size(), kCores);
    EXPECT_TRUE(fiber::here() == all[core]);
    threads[core] = std::this_thread::get_id();
    const auto over = [&] { return handled[0] + handled[1] + handled[2] == 30; };
    if (core != 0) {
      while (!over()) fiber::sleep(0.001);
      return;
    }
    Socket server = create_server({"127.0.0.1", 0});
    auto accepting = fiber::spawn([&] {
      for (std::size_t next = 0; next < 30; ++next) {
        Socket conn = server.accept().first;
        all[next % kCores].spawn([&, next, conn = std::move(conn)]() mutable {
          EXPECT_TRUE(fiber::here() == all[next % kCores]);
          conn.sendall(conn.recv(100));
          ++handled[next % kCores];
        });
      }
    });
    std::vector<fiber::Task<void>> clients;
    for (int i = 0; i < 30; ++i) {
      clients.push_back(fiber::spawn([&] {
        Socket client = create_connection({"127.0.0.1", server.getsockname().port()});
        client.sendall("hello");
        EXPECT_EQ(client.recv(100), "hello");
      }));
    }
    for (auto& client : clients) client.join();
    accepting.join();
    while (!over()) fiber::sleep(0.001);
  });
  for (const auto& count : handled) EXPECT_EQ(count, 10);
}

// --- handing over ---

/// A thread that runs fibers, until the destructor or end().
class Elsewhere {
 public:
  Elsewhere() : Elsewhere(std::promise<fiber::Scheduler>()) {}
  Elsewhere(const Elsewhere&) = delete;
  Elsewhere& operator=(const Elsewhere&) = delete;
  ~Elsewhere() { end(); }

  const fiber::Scheduler& scheduler() const { return *scheduler_; }
  std::thread::id thread() const { return thread_.get_id(); }
  /// Cancels the main fiber; the others end on their own.
  void begin_end() { main_->cancel(); }
  void end() {
    if (!thread_.joinable()) return;
    begin_end();
    thread_.join();
  }

 private:
  explicit Elsewhere(std::promise<fiber::Scheduler> promise) {
    thread_ = std::thread([&promise, this] {
      fiber::run([&] {
        main_.emplace(fiber::spawn("waits", [] { fiber::sleep(std::nullopt); }));
        promise.set_value(fiber::here());
        try {
          main_->join();
        } catch (const CancelledError&) {
        }
      });
    });
    scheduler_ = promise.get_future().get();
  }

  std::optional<fiber::Scheduler> scheduler_;
  std::optional<fiber::Task<void>> main_;
  std::thread thread_;
};

TEST(HandingOver, RunsTheFunctionThereAndGivesItsResult) {
  Elsewhere elsewhere;
  auto task = elsewhere.scheduler().spawn("named", [] {
    EXPECT_TRUE(fiber::inside());
    return std::this_thread::get_id();
  });
  EXPECT_EQ(task.name(), "named");
  EXPECT_EQ(task.join(), elsewhere.thread());
  auto failing = elsewhere.scheduler().spawn([]() -> int { throw ValueError("x"); });
  EXPECT_THROW(failing.join(), ValueError);
  fiber::run([&] {
    auto from_fiber = elsewhere.scheduler().spawn([] { return std::make_unique<int>(3); });
    EXPECT_EQ(*from_fiber.join(), 3);
  });
}

TEST(HandingOver, ToOneselfIsSpawning) {
  fiber::run([] {
    const auto here = std::this_thread::get_id();
    EXPECT_EQ(fiber::here().spawn([] { return std::this_thread::get_id(); }).join(), here);
  });
  EXPECT_THROW(std::ignore = fiber::here(), RuntimeError);
}

TEST(HandingOver, GivesTheFunctionAStopToken) {
  Elsewhere elsewhere;
  auto task = elsewhere.scheduler().spawn([](const std::stop_token& token) {
    while (!token.stop_requested()) {
      try {
        fiber::sleep(std::nullopt);
      } catch (const CancelledError&) {
      }
    }
    return 6;
  });
  task.cancel();
  EXPECT_EQ(task.join(), 6);
}

TEST(HandingOver, KeepsTheOrder) {
  Elsewhere elsewhere;
  std::string order;
  std::vector<fiber::Task<void>> tasks;
  for (char name = 'a'; name <= 'z'; ++name)
    tasks.push_back(elsewhere.scheduler().spawn([&order, name] { order += name; }));
  for (auto& task : tasks) task.join();
  EXPECT_EQ(order, "abcdefghijklmnopqrstuvwxyz");
}

TEST(HandingOver, CanBeCancelledAtAnyTime) {
  Elsewhere elsewhere;
  for (int i = 0; i < 100; ++i) {
    auto task = elsewhere.scheduler().spawn([] { fiber::sleep(std::nullopt); });
    for (int turns = i % 5; turns > 0; --turns) std::this_thread::yield();
    task.cancel();
    EXPECT_THROW(task.join(), CancelledError);
  }
}

TEST(HandingOver, IsRefusedWhenTheMainFiberHasEnded) {
  Elsewhere elsewhere;
  elsewhere.end();
  auto [one, other] = socketpair();
  const auto spawn = [&, &conn = one] {
    elsewhere.scheduler().spawn("late", [conn = std::move(conn)] {});
  };
  EXPECT_THAT(text_of_error<RuntimeError>(spawn), HasSubstr("late"));
  EXPECT_EQ(other.recv(1), "");  // the connection has been closed
}

TEST(HandingOver, IsRefusedThoughTheOthersGoOnForAWhile) {
  Elsewhere elsewhere;
  std::promise<void> begun;
  std::promise<void> end;
  auto lasting = elsewhere.scheduler().spawn([&] {
    begun.set_value();
    try {
      fiber::sleep(std::nullopt);
    } catch (const CancelledError&) {
      fiber::offload([&] { end.get_future().wait(); });
    }
  });
  begun.get_future().wait();
  elsewhere.begin_end();
  std::string text;
  while (text.find("was to join") == std::string::npos) {
    try {
      elsewhere.scheduler().spawn([] {}).join();
    } catch (const RuntimeError& error) {
      text = error.what();
    }
  }
  EXPECT_FALSE(lasting.done());
  end.set_value();
  lasting.join();
}

TEST(HandingOver, ThatCameTooLateSaysSoAndDropsTheFunction) {
  auto [one, other] = socketpair();
  std::optional<fiber::Task<void>> task;
  bool called = false;
  fiber::run([&, &conn = one] {
    // From another thread, because this thread would start it at once. It must not have time to
    // start.
    std::thread([&, scheduler = fiber::here()] {
      task = scheduler.spawn("late", [&called, conn = std::move(conn)] { called = true; });
    }).join();
  });
  EXPECT_THAT(text_of_error<RuntimeError>([&] { task->join(); }), HasSubstr("late has not begun"));
  EXPECT_EQ(other.recv(1), "");
  EXPECT_FALSE(called);
}

TEST(HandingOver, LosesNothingWhileItsThreadEnds) {
  for (int round = 0; round < 100; ++round) {
    Elsewhere elsewhere;
    std::atomic<int> begun = 0;
    std::atomic<int> ended = 0;
    std::atomic<int> refused = 0;
    std::vector<std::thread> threads;
    constexpr int kThreads = 2, kEach = 20;
    for (int i = 0; i < kThreads; ++i) {
      threads.emplace_back([&] {
        for (int each = 0; each < kEach; ++each) {
          try {
            elsewhere.scheduler().spawn([&] { ++begun; }).join();
            ++ended;
          } catch (const RuntimeError&) {
            ++refused;
          }
        }
      });
    }
    while (begun < round % 10) std::this_thread::yield();
    elsewhere.end();
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(begun, ended);
    EXPECT_EQ(begun + refused, kThreads * kEach);
  }
}

}  // namespace
}  // namespace plug
