// Tests how fibers start, end and wait for each other.

#include <plug/fiber.hpp>
#include <plug/fiber/cores.hpp>
#include <plug/plug.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "support/errors.hpp"
#include "support/fake_clock.hpp"
#include "support/process.hpp"

namespace plug {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using testing::ElementsAre;
using testing::HasSubstr;

TEST(FiberRun, GivesWhatMainReturnsOrThrows) {
  EXPECT_EQ(fiber::run([] { return 7; }), 7);
  EXPECT_EQ(*fiber::run([] { return std::make_unique<int>(8); }), 8);
  EXPECT_THROW(fiber::run([] { throw std::out_of_range("x"); }), std::out_of_range);
  EXPECT_FALSE(fiber::inside());
  EXPECT_TRUE(fiber::run([] { return fiber::inside(); }));
}

TEST(FiberRun, IsRefusedInAFiber) {
  EXPECT_THROW(fiber::run([] { fiber::run([] {}); }), RuntimeError);
  EXPECT_THROW(fiber::spawn([] {}), RuntimeError);
}

TEST(FiberRun, CancelsWhatIsLeftAndWaitsForIt) {
  const FakeClock clock;
  std::vector<std::string> happened;
  fiber::run([&] {
    fiber::spawn([&] {
      try {
        fiber::sleep(std::nullopt);
      } catch (const CancelledError&) {
        happened.push_back("cancelled");
        fiber::sleep(0.001);
        happened.push_back("cleaned up");
        throw;
      }
    });
    fiber::yield();
  });
  EXPECT_THAT(happened, ElementsAre("cancelled", "cleaned up"));
}

TEST(FiberRun, GivesAllDescriptorsBack) {
  const int before = count_descriptors();
  for (int i = 0; i < 10; ++i) fiber::run([] { fiber::spawn([] {}).join(); });
  EXPECT_EQ(count_descriptors(), before);
}

TEST(Fibers, TakeTurnsInTheOrderInWhichTheyCould) {
  std::string order;
  fiber::run([&] {
    std::vector<fiber::Task<void>> tasks;
    for (const char name : {'a', 'b', 'c'}) {
      tasks.push_back(fiber::spawn([&order, name] {
        for (int i = 0; i < 3; ++i) {
          order += name;
          fiber::yield();
        }
      }));
    }
    for (auto& task : tasks) task.join();
  });
  EXPECT_EQ(order, "abcabcabc");
}

TEST(Fibers, TakeTurnsInTheOrderOfASeed) {
  const auto order_of = [](std::uint64_t seed) {
    std::string order;
    fiber::run(
        [&] {
          for (char name = 'a'; name < 'k'; ++name) fiber::spawn([&order, name] { order += name; });
          while (order.size() < 10) fiber::yield();
        },
        {.seed = seed});
    return order;
  };
  EXPECT_EQ(order_of(1), order_of(1));
  EXPECT_NE(order_of(1), order_of(2));
}

TEST(Task, GivesWhatTheFiberReturnsOrThrows) {
  fiber::run([] {
    EXPECT_EQ(fiber::spawn([] { return std::string("x"); }).join(), "x");
    auto failing = fiber::spawn([]() -> int { throw ValueError("y"); });
    EXPECT_EQ(text_of_error<ValueError>([&] { failing.join(); }), "y");
    EXPECT_TRUE(failing.done());
  });
}

TEST(Task, IsWaitedForUntilTheTimeoutAtMost) {
  const FakeClock clock;
  fiber::run([] {
    auto task = fiber::spawn("slow", [] { fiber::sleep(std::nullopt); });
    EXPECT_THAT(text_of_error<TimeoutError>([&] { task.join(0.01); }), HasSubstr("slow"));
    EXPECT_FALSE(task.done());
    task.cancel();
    EXPECT_THROW(task.join(), CancelledError);
  });
  EXPECT_EQ(clock.elapsed(), milliseconds(10));
}

TEST(Task, CanBeJoinedAndCancelledByAnotherThread) {
  fiber::run([] {
    auto task = fiber::spawn([] { fiber::sleep(std::nullopt); });
    auto ending = fiber::spawn([] { fiber::sleep(0.01); });
    std::thread other([&] {
      ending.join();
      task.cancel();
    });
    EXPECT_THROW(task.join(), CancelledError);
    other.join();
  });
}

TEST(Task, TellsWhoJoinsItOfACancelThoughItEndsAtOnce) {
  fiber::run([] {
    std::optional<fiber::Task<void>> joining;
    auto ending = fiber::spawn([&] {
      fiber::yield();
      joining->cancel();
    });
    joining = fiber::spawn([&] { ending.join(); });
    EXPECT_THROW(joining->join(), CancelledError);
  });
}

TEST(Task, MayOutliveItsFibers) {
  std::unique_ptr<fiber::Task<int>> task;
  fiber::run([&] {
    task = std::make_unique<fiber::Task<int>>(fiber::spawn([] { return 3; }));
    fiber::yield();
  });
  task->cancel();
  EXPECT_EQ(task->join(), 3);
}

TEST(Task, ThatNobodyAsksReportsWhatItThrows) {
  testing::internal::CaptureStderr();
  fiber::run([] {
    fiber::spawn("forgotten", [] { throw ValueError("lost?"); });
    fiber::yield();
  });
  const std::string printed = testing::internal::GetCapturedStderr();
  EXPECT_THAT(printed, HasSubstr("Exception in the fiber forgotten"));
  EXPECT_THAT(printed, HasSubstr("plug::ValueError: lost?"));
}

TEST(Exceptions, BelongToTheFiberThatHandlesThem) {
  fiber::run([] {
    const auto handle = [](const std::string& text) {
      try {
        throw std::runtime_error(text);
      } catch (const std::runtime_error&) {
        for (int i = 0; i < 5; ++i) {
          fiber::yield();
          try {
            throw;
          } catch (const std::runtime_error& again) {
            EXPECT_EQ(again.what(), text);
          }
        }
      }
      EXPECT_EQ(std::uncaught_exceptions(), 0);
    };
    auto a = fiber::spawn([&] { handle("a"); });
    auto b = fiber::spawn([&] { handle("b"); });
    a.join();
    b.join();
  });
}

TEST(Exceptions, MayBeThrownAcrossAWaitInADestructor) {
  struct Waits {
    ~Waits() {
      EXPECT_EQ(std::uncaught_exceptions(), 1);
      fiber::yield();
      EXPECT_EQ(std::uncaught_exceptions(), 1);
    }
  };
  fiber::run([] {
    auto other = fiber::spawn([] {
      EXPECT_EQ(std::uncaught_exceptions(), 0);
      fiber::yield();
    });
    try {
      const Waits waits;
      throw std::runtime_error("x");
    } catch (const std::runtime_error&) {
      fiber::yield();
    }
    other.join();
  });
}

TEST(Sleep, LastsExactlyAsLongAsAskedWhileOthersRun) {
  const FakeClock clock;
  fiber::run([&] {
    std::vector<nanoseconds> order;
    std::vector<fiber::Task<void>> tasks;
    for (const nanoseconds time : {nanoseconds(30'000'000), nanoseconds(10'000'000),
                                   nanoseconds(20'000'000), nanoseconds(10'000'001)}) {
      tasks.push_back(fiber::spawn([&order, &clock, time] {
        fiber::sleep(time);
        order.push_back(clock.elapsed());
      }));
    }
    for (auto& task : tasks) task.join();
    EXPECT_THAT(order, ElementsAre(nanoseconds(10'000'000), nanoseconds(10'000'001),
                                   nanoseconds(20'000'000), nanoseconds(30'000'000)));
  });
}

TEST(List, NamesFibersAndWhereTheyWait) {
  fiber::run([] {
    auto [one, other] = socketpair();
    auto reader = fiber::spawn("reader", [&one = one] { one.recv(1); });
    auto node = fiber::spawn("node", [] { fiber::sleep(std::nullopt); });
    fiber::yield();
    std::vector<std::string> all;
    for (const fiber::Info& info : fiber::list())
      all.push_back(info.name + ":" + std::string(info.waits_in));
    EXPECT_THAT(all, ElementsAre("main:", "reader:recv", "node:sleep"));
    other.sendall("x");
    reader.join();
  });
}

#ifdef PLUG_SANITIZED
constexpr int kMany = 4'000;  // the thread sanitizer has room for 8,128 threads and fibers
#else
constexpr int kMany = 10'000;
#endif

TEST(Fibers, RunByTheThousand) {
  const FakeClock clock;
  int count = 0;
  fiber::run([&] {
    std::vector<fiber::Task<void>> all;
    for (int i = 0; i < kMany; ++i) {
      all.push_back(fiber::spawn([&] {
        fiber::sleep(0.001);
        ++count;
      }));
    }
    EXPECT_EQ(fiber::list().size(), std::size_t{kMany} + 1);
    for (auto& task : all) task.join();
    EXPECT_EQ(fiber::list().size(), 1u);
  });
  EXPECT_EQ(count, kMany);
}

// --- sockets ---

TEST(SocketsInFibers, WaitForEachOther) {
  fiber::run([] {
    Socket server = create_server({"127.0.0.1", 0});
    const Address address = server.getsockname();
    auto serving = fiber::spawn([&] {
      for (int i = 0; i < 20; ++i) {
        fiber::spawn([conn = server.accept().first]() mutable {
          for (Bytes data = conn.recv(100); !data.empty(); data = conn.recv(100))
            conn.sendall(data);
        });
      }
    });
    std::vector<fiber::Task<void>> clients;
    for (int i = 0; i < 20; ++i) {
      clients.push_back(fiber::spawn([&] {
        Socket client = create_connection({"127.0.0.1", address.port()});
        for (int round = 0; round < 50; ++round) {
          client.sendall("hello");
          ASSERT_EQ(client.recv(100), "hello");
        }
      }));
    }
    for (auto& client : clients) client.join();
    serving.join();
  });
}

TEST(SocketsInFibers, EndAtTheirTimeout) {
  const FakeClock clock;
  fiber::run([&] {
    auto [one, other] = socketpair();
    one.settimeout(0.05);
    EXPECT_THROW(one.recv(1), TimeoutError);
    EXPECT_EQ(clock.elapsed(), milliseconds(50));
    one.settimeout(0);
    EXPECT_THROW(one.recv(1), BlockingIOError);
  });
}

TEST(SocketsInFibers, AreWokenByClosing) {
  fiber::run([] {
    auto [one, other] = socketpair();
    auto reader = fiber::spawn([&one = one] { return number_of_error([&] { one.recv(1); }); });
    fiber::yield();
    one.close();
    EXPECT_EQ(reader.join(), EBADF);
    auto [third, fourth] = socketpair();
    auto another = fiber::spawn([&s = third] { return number_of_error([&] { s.recv(1); }); });
    fiber::yield();
    std::thread closer([&s = third] { s.close(); });
    EXPECT_EQ(another.join(), EBADF);
    closer.join();
  });
}

TEST(SocketsInFibers, AreLeftByCancelling) {
  fiber::run([] {
    auto [one, other] = socketpair();
    auto reader = fiber::spawn([&one = one] { one.recv(1); });
    fiber::yield();
    reader.cancel();
    EXPECT_THROW(reader.join(), CancelledError);
    other.sendall("still there");
    EXPECT_EQ(one.recv(100), "still there");
    auto coded = fiber::spawn([&one = one] {
      std::error_code error;
      one.recv(1, error);
      return error;
    });
    fiber::yield();
    coded.cancel();
    EXPECT_EQ(coded.join(), std::errc::operation_canceled);
  });
}

TEST(SocketsInFibers, SendWhatDoesNotFitAtOnce) {
  fiber::run([] {
    auto [one, other] = socketpair();
    const std::string big(10'000'000, 'x');
    auto sender = fiber::spawn([&one = one, &big] {
      one.sendall(big);
      one.close();
    });
    EXPECT_EQ(other.makefile("rb").read(), big);
    sender.join();
  });
}

TEST(SocketsInFibers, WorkWithADatagramThatIsShorterThanAsked) {
  fiber::run([] {
    Socket one(AF::INET, SOCK::DGRAM);
    one.bind({"127.0.0.1", 0});
    Socket other(AF::INET, SOCK::DGRAM);
    other.connect(one.getsockname());
    auto reader = fiber::spawn([&] {
      std::string all;
      for (int i = 0; i < 3; ++i) all += one.recv(100);
      return all;
    });
    fiber::yield();
    for (const char* text : {"a", "b", "c"}) other.sendall(std::string(text));
    EXPECT_EQ(reader.join(10), "abc");
  });
}

TEST(SocketsInFibers, AreLeftByCancellingThoughTheyCloseAtOnce) {
  fiber::run([] {
    auto [one, other] = socketpair();
    auto reader = fiber::spawn([&one = one] { one.recv(1); });
    fiber::yield();
    reader.cancel();
    one.close();
    EXPECT_THROW(reader.join(), CancelledError);
  });
}

TEST(SelectInFibers, TakesARegularFileInWhichNothingHappens) {
  const FakeClock clock;
  fiber::run([] {
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::tmpfile(), std::fclose);
    EXPECT_TRUE(select({}, {}, {::fileno(file.get())}, 0.01).empty());
  });
  EXPECT_EQ(clock.elapsed(), milliseconds(10));
}

TEST(SelectInFibers, WaitsForAnyOfSeveral) {
  fiber::run([] {
    auto [one, other] = socketpair();
    auto [third, fourth] = socketpair();
    auto waiting = fiber::spawn([&a = one, &b = third] {
      return select({a, b}).readable.at(0).is(b);
    });
    fiber::yield();
    fourth.sendall("x");
    EXPECT_TRUE(waiting.join());
    EXPECT_TRUE(select({one}, {}, {}, 0.01).empty());
    DefaultSelector selector;
    selector.register_(one, EVENT::READ);
    auto selecting = fiber::spawn([&] { return selector.select().size(); });
    fiber::yield();
    other.sendall("x");
    EXPECT_EQ(selecting.join(), 1u);
  });
}

TEST(Fiber, CannotBeJoinedASecondTime) {
  const auto second = [](auto task) { return text_of_error<RuntimeError>([&] { task.join(); }); };
  fiber::run([&] {
    fiber::Task<void> plain = fiber::spawn("plain", [] {});
    plain.join();
    EXPECT_EQ(second(plain), "joining the fiber plain a second time");
    EXPECT_EQ(second(plain), "joining the fiber plain a second time");
    fiber::Task<std::string> giving = fiber::spawn("giving", [] { return std::string("once"); });
    const fiber::Task<std::string> copy = giving;
    EXPECT_EQ(giving.join(), "once");
    EXPECT_EQ(second(copy), "joining the fiber giving a second time");
    fiber::Task<int> failing = fiber::spawn("failing", []() -> int { throw ValueError("x"); });
    EXPECT_THROW(failing.join(), ValueError);
    EXPECT_EQ(second(failing), "joining the fiber failing a second time");
  });
}

TEST(Fiber, MayBeJoinedAgainAfterATimeout) {
  fiber::run([] {
    fiber::Task<int> task = fiber::spawn([] {
      fiber::yield();
      return 5;
    });
    EXPECT_THROW(task.join(0), TimeoutError);
    EXPECT_EQ(task.join(), 5);
  });
}

TEST(Fiber, IsNamedByTheFunctionThatStartedItAndANumber) {
  fiber::run([] {
    EXPECT_EQ(fiber::spawn([] {}).name(), "spawn 1");
    EXPECT_EQ(fiber::spawn("given", [] {}).name(), "given");
    EXPECT_EQ(fiber::here().spawn([] {}).name(), "Scheduler::spawn 2");
    fiber::TaskGroup group;
    EXPECT_EQ(group.spawn([] {}).name(), "TaskGroup::spawn 3");
    std::vector<std::string> names;
    const auto list = [&names] {
      for (const fiber::Info& info : fiber::list()) names.push_back(info.name);
    };
    fiber::gather(list, [] {});
    EXPECT_THAT(names, testing::IsSupersetOf({"main", "gather 4", "gather 5"}));
    names.clear();
    fiber::gather(std::vector<std::function<void()>>{list});
    EXPECT_THAT(names, testing::Contains("gather 6"));
  });
}

TEST(Fiber, IsReportedByThatName) {
  testing::internal::CaptureStderr();
  fiber::run([] {
    fiber::spawn([] { throw ValueError("unseen"); });
    fiber::yield();
  });
  EXPECT_THAT(testing::internal::GetCapturedStderr(), HasSubstr("Exception in the fiber spawn 1"));
  const auto outside = [](auto start) { return text_of_error<RuntimeError>(start); };
  EXPECT_EQ(outside([] { fiber::spawn([] {}); }), "fiber::spawn: not in a fiber");
  EXPECT_EQ(outside([] { fiber::gather([] {}); }), "gather: not in a fiber");
  EXPECT_EQ(outside([] { fiber::TaskGroup().spawn([] {}); }), "TaskGroup::spawn: not in a fiber");
}

TEST(Fiber, MeansTheSameAfterItsTaskHasBeenMoved) {
  fiber::run([] {
    fiber::Task<int> task = fiber::spawn("named", [] { return 3; });
    fiber::Task<int> moved = std::move(task);
    EXPECT_EQ(task.name(), "named");
    EXPECT_FALSE(task.done());
    EXPECT_EQ(moved.join(), 3);
    EXPECT_TRUE(task.done());
    fiber::Scheduler here = fiber::here();
    const fiber::Scheduler other = std::move(here);
    EXPECT_EQ(here.spawn([] { return 4; }).join(), 4);
  });
}

}  // namespace
}  // namespace plug
