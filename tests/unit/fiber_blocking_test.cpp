// Tests blocking calls that helper threads make, and child processes.

#include <plug/fiber.hpp>
#include <plug/plug.hpp>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <fstream>
#include <future>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "support/errors.hpp"
#include "support/fibers.hpp"
#include "support/process.hpp"
#include "support/temporary_directory.hpp"
#include "sys/syscalls.hpp"

namespace plug {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

// --- offload ---

TEST(Offload, GivesWhatTheFunctionReturnsOrThrows) {
  const auto check = [] {
    EXPECT_EQ(fiber::offload([] { return 7; }), 7);
    EXPECT_EQ(*fiber::offload([] { return std::make_unique<int>(8); }), 8);
    const std::string text = "text";
    EXPECT_EQ(fiber::offload([&]() -> const std::string& { return text; }), "text");
    int there = 0;
    fiber::offload([&] { there = 9; });
    EXPECT_EQ(there, 9);
    EXPECT_THROW(fiber::offload([] { throw std::out_of_range("x"); }), std::out_of_range);
  };
  check();
  fiber::run(check);
}

TEST(Offload, RunsInAnotherThreadThatIsInNoFiber) {
  const auto here = std::this_thread::get_id();
  fiber::run([&] {
    fiber::offload([&] {
      EXPECT_NE(std::this_thread::get_id(), here);
      EXPECT_FALSE(fiber::inside());
    });
  });
  EXPECT_EQ(fiber::offload([] { return std::this_thread::get_id(); }), here);
}

TEST(Offload, LetsTheOtherFibersRun) {
  fiber::run([] {
    std::promise<void> promise;
    auto blocked = fiber::spawn([&] { fiber::offload([&] { promise.get_future().wait(); }); });
    fiber::sleep(0.001);
    EXPECT_FALSE(blocked.done());
    promise.set_value();
    blocked.join();
  });
}

TEST(Offload, WaitsForItsFunctionThoughItIsCancelled) {
  fiber::run([] {
    std::promise<void> promise;
    bool ended = false;
    bool told = false;
    auto task = fiber::spawn([&] {
      const int value = fiber::offload([&] {
        promise.get_future().wait();
        return 3;
      });
      ended = true;
      EXPECT_EQ(value, 3);
      try {
        fiber::sleep(std::nullopt);
      } catch (const CancelledError&) {
        told = true;
      }
      fiber::sleep(0.001);  // the cancellation is delivered only once
    });
    fiber::yield();
    task.cancel();
    fiber::sleep(0.005);
    EXPECT_FALSE(ended);
    promise.set_value();
    task.join();
    EXPECT_TRUE(told);
  });
}

TEST(Offload, DoesNotBeginInAFiberThatHasBeenCancelled) {
  fiber::run([] {
    bool called = false;
    auto task = fiber::spawn([&] { fiber::offload([&] { called = true; }); });
    task.cancel();
    EXPECT_THROW(task.join(), CancelledError);
    EXPECT_FALSE(called);
  });
}

TEST(Offload, HasWorkWaitForItsTurnBeyondSixteenThreads) {
  fiber::run([] {
    std::atomic<int> at_once = 0;
    std::atomic<int> most = 0;
    std::vector<fiber::Task<void>> tasks;
    for (int i = 0; i < 40; ++i) {
      tasks.push_back(fiber::spawn([&] {
        fiber::offload([&] {
          const int now = ++at_once;
          for (int seen = most; seen < now && !most.compare_exchange_weak(seen, now);) continue;
          while (most < 16) std::this_thread::yield();
          --at_once;
        });
      }));
    }
    for (auto& task : tasks) task.join();
    EXPECT_EQ(most, 16);
  });
}

TEST(LookupsInFibers, AreMadeByHelpers) {
  if (getservbyname("ssh") != 22) GTEST_SKIP() << "needs /etc/services";
  ASSERT_EQ(run_in_child([] {  // the child begins without helpers
              const int before = count_helpers();
              fiber::run([] { getservbyname("ssh"); });
              return count_helpers() - before;
            }),
            1);
  ASSERT_EQ(run_in_child([] {
              fiber::run([] { getaddrinfo("127.0.0.1", "ssh"); });
              return count_helpers();
            }),
            1);
  ASSERT_EQ(run_in_child([] {
              fiber::run([] { getaddrinfo("127.0.0.1", 22); });
              return count_helpers();
            }),
            0);
}

// --- sendfile ---

/// Returns a file that is not in memory; -1 if the system keeps it there.
int file_on_disk(const std::string& path, const std::string& content) {
  std::ofstream(path) << content;
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  ::fsync(file);
  ::posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED);
  if (detail::sys::in_memory(file, 0) == -EAGAIN) return file;
  ::close(file);
  return -1;
}

TEST(SendfileInFibers, LeavesTheDiskToAHelper) {
  const TemporaryDirectory directory;
  std::string content(1'000'003, 'x');
  for (std::size_t i = 0; i < content.size(); i += 977) content[i] = static_cast<char>(i);
  const int file = file_on_disk(directory / "file", content);
  if (file < 0) GTEST_SKIP() << "needs a file system on a disk";
  EXPECT_EQ(run_in_child([&] {
              fiber::run([&] {
                auto [one, other] = socketpair();
                auto sender = fiber::spawn([&one = one, file] {
                  EXPECT_EQ(one.sendfile(file), 1'000'003);
                  one.close();
                });
                EXPECT_EQ(other.makefile("rb").read(), content);
                sender.join();
              });
              return testing::Test::HasFailure() ? 100 : count_helpers();
            }),
            1);
  // The file is in memory now.
  EXPECT_EQ(run_in_child([&] {
              fiber::run([&] {
                auto [one, other] = socketpair();
                one.sendfile(file, 0, 10'000);
                EXPECT_EQ(other.recv(20'000).size(), 10'000u);
              });
              return testing::Test::HasFailure() ? 100 : count_helpers();
            }),
            0);
  ::close(file);
}

// --- processes ---

/// Starts a child process that ends when the other end of the socket pair is closed.
pid_t start_child(Socket& end, int status) {
  auto [one, other] = socketpair();
  const pid_t child = ::fork();
  if (child == 0) {
    end.close();
    one.close();
    char byte = 0;
    [[maybe_unused]] const auto got = ::read(other.fileno(), &byte, 1);
    if (status < 0) ::raise(-status);
    ::_exit(status);
  }
  end = std::move(one);
  return child;
}

TEST(WaitProcess, GivesTheExitStatusOrTheSignal) {
  const auto check = [] {
    Socket end;
    const pid_t child = start_child(end, 7);
    end.close();
    EXPECT_EQ(fiber::wait_process(child), 7);
    const pid_t killed = start_child(end, 0);
    ::kill(killed, SIGKILL);
    EXPECT_EQ(fiber::wait_process(killed, 10), -SIGKILL);
  };
  const int before = count_descriptors();
  check();
  fiber::run(check);
  EXPECT_EQ(count_descriptors(), before);
}

TEST(WaitProcess, LetsTheOtherFibersRun) {
  fiber::run([] {
    Socket end;
    const pid_t child = start_child(end, 1);
    auto waiting = fiber::spawn([child] { return fiber::wait_process(child); });
    fiber::sleep(0.001);
    EXPECT_FALSE(waiting.done());
    end.close();
    EXPECT_EQ(waiting.join(), 1);
  });
}

TEST(WaitProcess, EndsAtItsTimeoutAndTheChildGoesOn) {
  const auto check = [] {
    Socket end;
    const pid_t child = start_child(end, 2);
    EXPECT_THROW(fiber::wait_process(child, 0), TimeoutError);
    const Clock::time_point start = Clock::now();
    EXPECT_THROW(fiber::wait_process(child, 0.02), TimeoutError);
    EXPECT_GE(Clock::now() - start, milliseconds(20));
    end.close();
    EXPECT_EQ(fiber::wait_process(child), 2);
  };
  check();
  fiber::run(check);
}

TEST(WaitProcess, IsLeftByCancelling) {
  fiber::run([] {
    Socket end;
    const pid_t child = start_child(end, 3);
    auto waiting = fiber::spawn([child] { fiber::wait_process(child); });
    fiber::yield();
    waiting.cancel();
    EXPECT_THROW(waiting.join(), CancelledError);
    end.close();
    EXPECT_EQ(fiber::wait_process(child), 3);
  });
}

TEST(WaitProcess, RefusesWhatIsNoChild) {
  EXPECT_EQ(number_of_error<ChildProcessError>([] { fiber::wait_process(1); }), ECHILD);
  EXPECT_THAT(text_of_error<ValueError>([] { fiber::wait_process(-1); }), testing::HasSubstr("-1"));
  std::error_code error;
  fiber::wait_process(0, std::nullopt, error);
  EXPECT_EQ(error, std::errc::invalid_argument);
  Socket end;
  const pid_t child = start_child(end, 0);
  end.close();
  fiber::wait_process(child);
  EXPECT_THROW(fiber::wait_process(child), ChildProcessError);
}

#ifndef PLUG_SANITIZED  // sanitizers need descriptors themselves
TEST(WaitProcess, NeedsNoDescriptor) {
  EXPECT_EQ(run_in_child([] {
              Socket end;
              const pid_t child = start_child(end, 4);
              return fiber::run([&] {
                const auto all = take_all_descriptors();
                EXPECT_THROW(fiber::wait_process(child, 0.02), TimeoutError);
                end.close();
                return testing::Test::HasFailure() ? 100 : fiber::wait_process(child);
              });
            }),
            4);
}
#endif

}  // namespace
}  // namespace plug
