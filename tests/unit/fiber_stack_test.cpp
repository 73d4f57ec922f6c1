// Tests the stacks of fibers: their guards, their cost, and overflows.

#include <plug/fiber.hpp>
#include <plug/plug.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <exception>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <new>
#include <set>
#include <span>
#include <sstream>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "fiber/scheduler.hpp"
#include "fiber/stack.hpp"
#include "support/errors.hpp"
#include "support/process.hpp"
#include "support/temporary_directory.hpp"

namespace plug {
namespace {

using detail::fiber::FiberScheduler;
using detail::fiber::Stack;
using detail::fiber::StackGuard;
using detail::fiber::StackPool;
using testing::HasSubstr;

// --- the pool ---

TEST(StackPool, GivesMemoryBackToTheSystem) {
  StackPool pool(64 * 1024);
  std::vector<Stack> stacks;
  for (int i = 0; i < 1000; ++i) {
    stacks.push_back(pool.take());
    std::memset(stacks.back().top() - 1000, 1, 1000);
  }
  EXPECT_EQ(pool.in_use(), 1000u);
  const std::size_t reserved = pool.reserved();
  EXPECT_GE(reserved, 1000u * 64 * 1024);
  for (const Stack& stack : stacks) pool.give_back(stack);
  EXPECT_EQ(pool.in_use(), 0u);
  EXPECT_LE(pool.reserved(), reserved / 10);
}

TEST(StackPool, HasStacksWhoseTopsDoNotMeetInTheCache) {
  StackPool pool(64 * 1024);
  std::set<std::uintptr_t> places;
  for (int i = 0; i < 8; ++i)
    places.insert(reinterpret_cast<std::uintptr_t>(pool.take().top()) % 4096);
  EXPECT_EQ(places.size(), 8u);
}

TEST(StackPool, GuardsByMappingsUntilThereAreManyAndByCanariesBeyond) {
  for (int round = 0; round < 2; ++round) {  // the stacks are given back
    StackPool pool(16 * 1024, StackGuard::mapping);
    EXPECT_EQ(pool.take().guard, StackGuard::mapping);
    Stack last;
    for (int i = 0; i < 9000; ++i) last = pool.take();
    EXPECT_EQ(last.guard, StackGuard::canary);
    EXPECT_TRUE(last.intact(last.memory));
    EXPECT_FALSE(last.intact(last.memory - 1));
    last.memory[-1] = 1;
    EXPECT_FALSE(last.intact(last.memory));
  }
}

TEST(StackPool, TellsHowMuchOfAStackHasBeenUsed) {
  StackPool pool(256 * 1024);
  const Stack stack = pool.take();
  EXPECT_EQ(stack.most_used(), 0u);
  stack.memory[stack.size - 1] = 1;
  EXPECT_EQ(stack.most_used(), 4096u);
  stack.memory[stack.size - 100'000] = 1;
  EXPECT_EQ(stack.most_used(), 102'400u);
}

/// Uses about 1 KiB of stack per level. The result prevents the compiler from removing the calls.
int go_deep(int levels, const std::function<void()>& at_the_bottom) {
  volatile char frame[1024] = {};
  if (levels == 0) {
    at_the_bottom();
    return frame[0];
  }
  frame[1] = static_cast<char>(levels);
  return go_deep(levels - 1, at_the_bottom) + frame[2];
}

TEST(StackSize, IsRoundedUpAndHasABound) {
  for (const std::size_t size : {0U, 1U, 20'000U})
    fiber::run([] { EXPECT_EQ(fiber::spawn([] { return 1; }).join(), 1); }, {.stack_size = size});
  EXPECT_THAT(text_of_error<ValueError>([] { fiber::run([] {}, {.stack_size = SIZE_MAX}); }),
              HasSubstr(std::to_string(SIZE_MAX)));
}

TEST(List, TellsHowMuchStackEachFiberHasUsed) {
  fiber::run([] {
    fiber::spawn("deep", [] {
      go_deep(100, [] {});
      fiber::sleep(std::nullopt);
    });
    fiber::spawn("shallow", [] { fiber::sleep(std::nullopt); });
    fiber::yield();
    std::map<std::string, std::size_t> used;
    for (const fiber::Info& info : fiber::list()) used[info.name] = info.stack_used;
    EXPECT_GE(used["deep"], 100u * 1024);
    EXPECT_LE(used["shallow"], 64u * 1024);
    EXPECT_GE(used["shallow"], 1u);
  });
}

#ifndef PLUG_SANITIZED  // sanitizers have stacks, handlers and memory of their own

// --- overflow ---

/// How a child process ended, and its output on standard error.
struct Death {
  int status = 0;
  std::string printed;
};

Death die(const std::function<void()>& body) {
  const TemporaryDirectory directory;
  const std::string path = directory / "stderr";
  Death death;
  death.status = run_in_child([&] {
    if (std::freopen(path.c_str(), "w", stderr) == nullptr) return 254;
    const rlimit none{};
    ::setrlimit(RLIMIT_CORE, &none);
    body();
    return 0;
  });
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  death.printed = text.str();
  return death;
}

void overflow() {
  go_deep(1'000'000, [] {});
}

/// fiber::run() with another kind of guard.
void run_with(StackGuard guard, const std::function<void()>& body) {
  const auto scheduler = std::make_shared<FiberScheduler>(
      FiberScheduler::Options{.stack_size = 64 * 1024, .guard = guard});
  struct Main final : detail::fiber::FiberMain {
    explicit Main(const std::function<void()>& function) : body(function) {}
    void run(std::exception_ptr) noexcept override { body(); }
    void let_go() noexcept override {}
    std::string_view name(std::span<char>) const noexcept override { return "main"; }
    const std::function<void()>& body;
  } main(body);
  const auto fiber = scheduler->make(main);
  scheduler->start(fiber);
  EXPECT_EQ(scheduler->run(*fiber), 0);
}

TEST(AStackThatOverflows, IsReportedByTheNameOfItsFiber) {
  const Death death = die([] {
    fiber::run([] { fiber::spawn("glutton", overflow).join(); }, {.stack_size = 128 * 1024});
  });
  EXPECT_EQ(death.status, 1000 + SIGSEGV);
  EXPECT_EQ(death.printed,
            "plug: the stack of the fiber glutton has overflowed its 131072 bytes\n");
}

TEST(AStackThatOverflows, IsReportedInAnotherThreadToo) {
  const Death death =
      die([] { std::thread([] { fiber::run([] { fiber::spawn(overflow).join(); }); }).join(); });
  EXPECT_EQ(death.status, 1000 + SIGSEGV);
  EXPECT_THAT(death.printed, HasSubstr("the stack of the fiber spawn 1 has overflowed"));
}

/// Touches the far end of a frame that reaches over the guard into the stack of another fiber.
int use_a_large_frame() {
  volatile char frame[512 * 1024];
  volatile std::size_t far_end = 0;  // a constant would let the compiler shrink the frame
  frame[far_end] = 1;
  return frame[far_end];
}

/// Runs a fiber that does so above the stacks of others.
Death die_by_a_large_frame(StackGuard guard) {
  return die([guard] {
    run_with(guard, [] {
      for (int i = 0; i < 20; ++i) fiber::spawn([] { fiber::sleep(std::nullopt); });
      fiber::spawn("giant", [] { use_a_large_frame(); }).join();
      ::_exit(0);
    });
  });
}

TEST(AStackThatOverflows, IsReportedWhereOneFrameIsLargerThanTheGuard) {
  for (const StackGuard guard : {StackGuard::mark, StackGuard::mapping}) {
    const Death death = die_by_a_large_frame(guard);
    EXPECT_EQ(death.status, 1000 + SIGSEGV);
    EXPECT_EQ(death.printed, "plug: the stack of the fiber giant has overflowed its 65536 bytes\n");
  }
}

TEST(AStackThatOverflows, IsReportedWhereGuardsAreMappings) {
  const Death death = die([] { run_with(StackGuard::mapping, overflow); });
  EXPECT_EQ(death.status, 1000 + SIGSEGV);
  EXPECT_THAT(death.printed, HasSubstr("the fiber main has overflowed"));
}

TEST(AStackThatOverflows, IsReportedWhereItHasButACanary) {
  const Death while_deep =
      die([] { run_with(StackGuard::canary, [] { go_deep(80, [] { fiber::yield(); }); }); });
  EXPECT_EQ(while_deep.status, 1000 + SIGABRT);
  EXPECT_THAT(while_deep.printed, HasSubstr("the fiber main has overflowed"));
  const Death afterwards = die([] { run_with(StackGuard::canary, [] { go_deep(80, [] {}); }); });
  EXPECT_EQ(afterwards.status, 1000 + SIGABRT);
  EXPECT_EQ(
      die([] { run_with(StackGuard::canary, [] { go_deep(40, [] { fiber::yield(); }); }); }).status,
      0);
}

TEST(AStackThatOverflows, WritesNowhereElse) {
  EXPECT_EQ(run_in_child([] {
              StackPool pool(64 * 1024);
              pool.take();
              const Stack stack = pool.take();
              *stack.memory = 1;
              stack.memory[-1] = 1;
              return 0;
            }),
            1000 + SIGSEGV);
}

// --- other faults ---

int* volatile nowhere = nullptr;
void fault() { *nowhere = 1; }

struct sigaction exits_77() {
  struct sigaction action {};
  action.sa_flags = SA_SIGINFO;
  action.sa_sigaction = [](int, siginfo_t* info, void*) {
    ::_exit(info->si_addr == nullptr ? 77 : 78);
  };
  return action;
}

TEST(AFaultElsewhere, GoesToTheHandlerOfBefore) {
  const auto in_a_fiber = [] { fiber::run([] { fiber::spawn(fault).join(); }); };
  const Death handled = die([&] {
    const struct sigaction action = exits_77();
    ::sigaction(SIGSEGV, &action, nullptr);
    in_a_fiber();
  });
  EXPECT_EQ(handled.status, 77);
  const Death unhandled = die(in_a_fiber);
  EXPECT_EQ(unhandled.status, 1000 + SIGSEGV);
  EXPECT_EQ(handled.printed + unhandled.printed, "");
}

TEST(AFaultElsewhere, GoesToTheHandlerOfBeforeInAThreadWithoutFibers) {
  const Death death = die([] {
    const struct sigaction action = exits_77();
    ::sigaction(SIGSEGV, &action, nullptr);
    fiber::run([] { fiber::offload(fault); });
  });
  EXPECT_EQ(death.status, 77);
}

TEST(AFaultElsewhere, IsIgnoredWhereItWasSentAndIgnoredBefore) {
  EXPECT_EQ(die([] {
              ::signal(SIGSEGV, SIG_IGN);
              fiber::run([] { ::raise(SIGSEGV); });
            }).status,
            0);
  EXPECT_EQ(die([] { fiber::run([] { ::raise(SIGSEGV); }); }).status, 1000 + SIGSEGV);
}

TEST(TheHandlerOfFaults, IsRestoredAfterTheRun) {
  EXPECT_EQ(run_in_child([] {
              const struct sigaction action = exits_77();
              ::sigaction(SIGSEGV, &action, nullptr);
              struct sigaction now {};
              fiber::run([&] {
                ::sigaction(SIGSEGV, nullptr, &now);
                EXPECT_NE(now.sa_sigaction, action.sa_sigaction);
              });
              ::sigaction(SIGSEGV, nullptr, &now);
              EXPECT_EQ(now.sa_sigaction, action.sa_sigaction);
              stack_t stack{};
              ::sigaltstack(nullptr, &stack);
              EXPECT_EQ(stack.ss_flags, SS_DISABLE);
              // A handler that somebody else has installed meanwhile stays.
              fiber::run([&] { ::signal(SIGSEGV, SIG_IGN); });
              ::sigaction(SIGSEGV, nullptr, &now);
              EXPECT_EQ(now.sa_handler, SIG_IGN);
              return testing::Test::HasFailure() ? 1 : 0;
            }),
            0);
}

// --- memory ---

std::size_t resident() {
  std::size_t all = 0;
  std::size_t pages = 0;
  std::ifstream("/proc/self/statm") >> all >> pages;
  return pages * 4096;
}

TEST(OutOfStacks, StartsNoFiberAndLetsTheOthersGoOn) {
  EXPECT_EQ(run_in_child([] {
              std::size_t all = 0;
              std::ifstream("/proc/self/statm") >> all;
              const rlimit limit{all * 4096 + (300 << 20), RLIM_INFINITY};
              ::setrlimit(RLIMIT_AS, &limit);
              int ended = 0;
              fiber::run([&] {
                std::vector<fiber::Task<void>> tasks;
                EXPECT_THROW(
                    for (;;) {
                      tasks.push_back(fiber::spawn([&] {
                        fiber::sleep(0.001);
                        ++ended;
                      }));
                    },
                    std::bad_alloc);
                EXPECT_GT(tasks.size(), 100u);
                for (auto& task : tasks) task.join();
                EXPECT_EQ(ended, static_cast<int>(tasks.size()));
                fiber::spawn([] {}).join();  // a stack is free again
              });
              return testing::Test::HasFailure() ? 1 : 0;
            }),
            0);
}

TEST(StackMemory, IsGivenBackAfterAPeak) {
  EXPECT_EQ(run_in_child([] {
              fiber::run([] {
                const std::size_t before = resident();
                {
                  std::vector<fiber::Task<void>> tasks;
                  for (int i = 0; i < 2000; ++i) {
                    tasks.push_back(
                        fiber::spawn([] { go_deep(64, [] { fiber::sleep(std::nullopt); }); }));
                  }
                  fiber::yield();
                  EXPECT_GE(resident(), before + 2000 * (64 << 10));
                  for (auto& task : tasks) task.cancel();
                  for (auto& task : tasks) EXPECT_THROW(task.join(), CancelledError);
                }
                EXPECT_LE(resident(), before + (20 << 20));
              });
              return testing::Test::HasFailure() ? 1 : 0;
            }),
            0);
}

#endif

}  // namespace
}  // namespace plug
