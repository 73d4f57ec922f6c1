// Tests processes that fork while fibers are alive.

#include <plug/fiber.hpp>
#include <plug/fiber/cores.hpp>
#include <plug/group.hpp>
#include <plug/plug.hpp>
#include <plug/sync.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "support/errors.hpp"
#include "support/process.hpp"

namespace plug {
namespace {

using testing::HasSubstr;

int failed() { return testing::Test::HasFailure() ? 1 : 0; }

TEST(AForkedChild, GoesOnAsAPlainThread) {
  fiber::run([] {
    auto [one, other] = socketpair();
    bool ran = false;
    auto task = fiber::spawn("of the parent", [&] {
      fiber::yield();
      ran = true;
    });
    fiber::yield();
    const auto child = [&, &a = one, &b = other] {
      EXPECT_FALSE(fiber::inside());
      fiber::yield();
      fiber::sleep(0.001);
      a.settimeout(0.01);
      EXPECT_THROW(a.recv(1), TimeoutError);
      b.sendall("x");
      EXPECT_EQ(a.recv(1), "x");
      EXPECT_TRUE(select({a}, {}, {}, 0).empty());
      EXPECT_FALSE(ran);
      return failed();
    };
    EXPECT_EQ(run_in_child(child), 0);
    task.join();
    EXPECT_TRUE(ran);
    // The parent does not receive the child's data, and its own waits continue.
    EXPECT_THROW(one.recv(1, MSG::DONTWAIT), BlockingIOError);
  });
}

TEST(AForkedChild, IsToldThatTheOtherFibersAreTheParents) {
  fiber::run([] {
    auto task = fiber::spawn("of the parent", [] { fiber::sleep(std::nullopt); });
    auto done = fiber::spawn([] { return 5; });
    const fiber::Scheduler here = fiber::here();
    fiber::yield();
    const auto child = [&] {
      EXPECT_THAT(text_of_error<RuntimeError>([&] { task.join(); }),
                  testing::AllOf(HasSubstr("of the parent"), HasSubstr("parent process")));
      EXPECT_THAT(text_of_error<RuntimeError>([] { fiber::spawn([] {}); }), HasSubstr("forked"));
      EXPECT_THAT(text_of_error<RuntimeError>([] { static_cast<void>(fiber::list()); }),
                  HasSubstr("forked"));
      EXPECT_THAT(text_of_error<RuntimeError>([&] { here.spawn([] {}); }),
                  HasSubstr("parent process"));
      EXPECT_FALSE(task.done());
      task.cancel();  // which has no effect
      EXPECT_EQ(done.join(), 5);
      return failed();
    };
    EXPECT_EQ(run_in_child(child), 0);
    fiber::sleep(0.001);
    EXPECT_FALSE(task.done());
  });
}

TEST(AForkedChild, MayRunFibersOfItsOwn) {
  const auto runs_fibers = [] {
    const auto result = [] {
      auto [one, other] = socketpair();
      auto reader = fiber::spawn([&one = one] { return one.recv(10); });
      fiber::yield();
      other.sendall("hello");
      return reader.join();
    };
    EXPECT_EQ(fiber::run(result), "hello");
    return failed();
  };
  fiber::run([&] {
    auto [one, other] = socketpair();
    auto reader = fiber::spawn([&one = one] { return one.recv(10); });
    fiber::yield();
    EXPECT_EQ(run_in_child(runs_fibers), 0);
#ifndef PLUG_SANITIZED  // sanitizers may not start threads in a forked child
    EXPECT_EQ(
        run_in_child([] { return fiber::run([] { return fiber::offload([] { return 4; }); }); }),
        4);
#endif
    EXPECT_FALSE(reader.done());
    other.sendall("still here");
    EXPECT_EQ(reader.join(), "still here");
  });
  // From a plain thread, while another thread runs fibers.
  std::promise<void> end;
  std::promise<void> begun;
  std::optional<fiber::Task<void>> task;
  std::thread other([&] {
    fiber::run([&] {
      task = fiber::spawn("elsewhere", [] { fiber::sleep(std::nullopt); });
      begun.set_value();
      fiber::offload([&] { end.get_future().wait(); });
    });
  });
  begun.get_future().wait();
  EXPECT_EQ(run_in_child([&] {
              EXPECT_THAT(text_of_error<RuntimeError>([&] { task->join(); }),
                          HasSubstr("elsewhere"));
              return runs_fibers();
            }),
            0);
  end.set_value();
  other.join();
}

// In a child that was forked by one of several fibers, the thread sanitizer stops working: it takes
// that fiber for the only one.
#ifndef __SANITIZE_THREAD__
TEST(AForkedChild, ReturnsFromRunWithTheMainFiber) {
  EXPECT_EQ(run_in_child([] {
              pid_t child = -1;
              const int result = fiber::run([&] {
                fiber::spawn([] { fiber::sleep(std::nullopt); });
                fiber::yield();
                child = ::fork();
                return child == 0 ? 7 : 8;
              });
              EXPECT_FALSE(fiber::inside());
              EXPECT_EQ(fiber::run([] { return 9; }), 9);
              if (child == 0) ::_exit(failed() == 0 ? result : 1);
              EXPECT_EQ(result, 8);
              EXPECT_EQ(fiber::wait_process(child), 7);
              return failed();
            }),
            0);
}

TEST(AForkedChild, CannotReturnFromRunWithoutTheMainFiber) {
  EXPECT_EQ(run_in_child([] {
              pid_t child = -1;
              try {
                fiber::run([&] { fiber::spawn("forks", [&] { child = ::fork(); }).join(); });
              } catch (const RuntimeError& error) {
                EXPECT_EQ(child, 0);
                EXPECT_THAT(error.what(), HasSubstr("parent process"));
                ::_exit(failed() == 0 ? 7 : 1);
              }
              EXPECT_NE(child, 0);
              EXPECT_EQ(fiber::wait_process(child), 7);
              return failed();
            }),
            0);
}
#endif

class Answer : public StreamRequestHandler {
 public:
  void handle() override {
    const bool plain = !fiber::inside();
    std::string line = rfile.readline();
    wfile.write(plain ? "plain " + line : "fiber " + line);
  }
};

TEST(AForkingServerInAFiber, HandlesRequestsInPlainChildren) {
  fiber::run([] {
    ForkingTCPServer server({"127.0.0.1", 0}, handler<Answer>);
    const int port = server.server_address.port();
    auto serving = fiber::spawn([&] {
      for (int i = 0; i < 3; ++i) server.handle_request();
    });
    for (int i = 0; i < 3; ++i) {
      Socket client = create_connection({"127.0.0.1", port}, 20);
      client.sendall("hello\n");
      EXPECT_EQ(client.makefile("rb").read(), "plain hello\n");
    }
    serving.join();
    server.server_close();
  });
}

TEST(AForkedChild, HoldsWhatTheFiberHeldAndWaitsForNoneOfTheOthers) {
  fiber::run([] {
    Mutex mutex;
    std::unique_lock lock(mutex);
    auto waiting = fiber::spawn([&] { const std::scoped_lock mine(mutex); });
    auto group = std::make_unique<TaskGroup>();
    group->spawn([] { fiber::yield(); });
    auto limit = std::make_unique<detail::TimeLimit>(60);
    fiber::yield();
    const auto child = [&] {
      EXPECT_THROW(mutex.lock(), RuntimeError);
      lock.unlock();
      EXPECT_TRUE(mutex.try_lock());
      EXPECT_THROW(group->spawn([] {}), RuntimeError);
      group->wait();
      group.reset();
      limit->throw_if_reached();
      limit.reset();
      return failed();
    };
    EXPECT_EQ(run_in_child(child), 0);
    lock.unlock();
    waiting.join();
  });
}

}  // namespace
}  // namespace plug
