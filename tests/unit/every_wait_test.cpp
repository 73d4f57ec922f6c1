// Tests how every wait of every public call (support/waits.hpp) reacts when its fiber is cancelled,
// when a timeout around it expires, when the interrupt hook ends it, when its descriptor is closed,
// when its own timeout expires, and when the process forks; on each engine and in plain threads.
// Each end is reported once and with the right error, the object stays usable, and no descriptor is
// left behind.
//
// With PLUG_LONG_WAITS in the environment each test runs ten times, in fibers in a different order
// each time.

#include <plug/fiber.hpp>
#include <plug/group.hpp>
#include <plug/sync.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <future>
#include <iterator>
#include <map>
#include <regex>
#include <set>
#include <string>
#include <thread>

#include "fiber/engine/engine_base.hpp"
#include "support/engines.hpp"
#include "support/namespaces.hpp"
#include "support/process.hpp"
#include "support/sockets.hpp"
#include "support/waits.hpp"

namespace plug {
namespace {

using waits::Scenario;
using waits::Wait;
using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

/// Seconds. A call that takes longer is considered to hang.
constexpr int kTooLong = 20;
/// The timeout of a call that something else is to end.
const Timeout kLong = 300;
const Timeout kShort = 0.01;

const std::string kReturned = "returned", kCancelled = "CancelledError";
const std::string kTimedOut = "TimeoutError", kStopped = "the hook's exception";

struct Stopped {};

/// Returns how the call ends.
std::string end_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const CancelledError&) {
    return kCancelled;
  } catch (const Stopped&) {
    return kStopped;
  } catch (const ExceptionGroup& error) {
    return std::string("an ExceptionGroup: ") + error.what();
  } catch (const OSError& error) {
    if (error.code() == timed_out()) return kTimedOut;
    return "error " + std::to_string(error.code().value());
  } catch (const std::exception& error) {
    return error.what();
  }
  return kReturned;
}

std::string end_of_next_wait() {
  return end_of([] { fiber::sleep(0.001); });
}

// --- signals ---

std::atomic<int> handled{0};
std::atomic<int> asked{0};

/// Matches the possible ends of a call whose descriptor is closed while it waits.
testing::Matcher<std::string> ends_of_closing(const Scenario& scenario) {
  const std::string closed = "error " + std::to_string(EBADF);
  if (!scenario.is(waits::kMayBeginLate)) return closed;
  return testing::AnyOf(closed, std::string("Invalid file descriptor: -1"));
}

struct Answer {
  std::string end;  // how the call ends
  InterruptHook hook;
};

/// Each hook ends the call the first time, and later lets it continue.
const std::vector<Answer>& answers() {
  static const std::vector<Answer> all = {
      {kStopped, []() -> std::errc { return asked++ == 0 ? throw Stopped() : std::errc{}; }},
      {"error " + std::to_string(EINTR),
       [] { return asked++ == 0 ? std::errc::interrupted : std::errc{}; }},
      {"error " + std::to_string(EAGAIN),
       [] { return asked++ == 0 ? std::errc::resource_unavailable_try_again : std::errc{}; }}};
  return all;
}

/// Sends signals to a thread after begin(), until the hook has been called often enough.
class Signaller {
 public:
  Signaller(pthread_t target, InterruptHook hook, int enough = 1)
      : target_(target), enough_(enough) {
    asked = 0;
    handled = 0;
    set_interrupt_hook(hook);
  }
  Signaller(const Signaller&) = delete;
  Signaller& operator=(const Signaller&) = delete;
  ~Signaller() {
    end();
    set_interrupt_hook(nullptr);
  }

  void begin() {
    thread_ = std::thread([this] {
      while (!over_ && asked < enough_) {
        pthread_kill(target_, SIGUSR1);
        ++sent_;
        std::this_thread::sleep_for(milliseconds(1));
        if (asked > 0 || handled >= 10) seen_.set();
      }
      seen_.set();
    });
  }
  /// Blocks until the hook has been called, or until signals have arrived while the thread slept.
  /// The waiting fiber must have no timer, because a signal does not interrupt a sleep that is
  /// over.
  void wait_until_seen() { seen_.wait(); }
  int sent() const { return sent_; }
  void end() {
    over_ = true;
    if (thread_.joinable()) thread_.join();
  }

 private:
  const pthread_t target_;
  const int enough_;
  std::atomic<int> sent_{0};
  std::atomic<bool> over_{false};
  Event seen_;
  std::thread thread_;
};

// --- the table ---

/// For lookups at a name server that holds its answers back.
const std::map<std::string, std::string> kFiles = {
    {"/etc/resolv.conf", "nameserver 127.0.0.1\noptions timeout:30 attempts:1\n"},
    {"/etc/nsswitch.conf", "hosts: files dns\n"},
    {"/etc/hosts", "127.0.0.1 localhost\n127.0.0.1 two.test\n127.0.0.2 two.test\n"}};

/// Calls `body(true)` in a process with those files and its own network. If that is forbidden,
/// calls `body(false)` in this process, which omits the scenarios that need names.
void in_own_network(const std::function<void(bool named)>& body) {
  const int status = run_in_namespaces(kFiles, true, [&] {
    body(true);
    return testing::Test::HasFailure() ? 1 : 0;
  });
  if (status == kNoNamespaces) return body(false);
  EXPECT_EQ(status, 0);
}

const std::vector<Scenario>& all_scenarios() {
  static const std::vector<Scenario> all = [] {
    std::vector<Scenario> table;
    for (const auto& part : {waits::of_sockets(), waits::of_streams(), waits::of_names(),
                             waits::of_fibers(), waits::of_servers()})
      table.insert(table.end(), part.begin(), part.end());
    return table;
  }();
  return all;
}

/// Descriptors of an abandoned lookup close when libc returns.
void expect_descriptors(int before) {
  const auto limit = Clock::now() + std::chrono::seconds(5);
  while (count_descriptors() > before && Clock::now() < limit)
    std::this_thread::sleep_for(milliseconds(1));
  EXPECT_LE(count_descriptors(), before) << "a descriptor is left behind";
}

std::vector<Timeout> timeouts_of(const Scenario& scenario) {
  if (scenario.is(waits::kTimed)) return {std::nullopt, kLong};
  return {std::nullopt};
}

/// Returns how often each test of a scenario runs.
int rounds() { return std::getenv("PLUG_LONG_WAITS") != nullptr ? 10 : 1; }

template <class Test>
void for_each_wait(bool named, const std::vector<Timeout>& timeouts, Test test) {
  settled_descriptors();
  const char* const only = std::getenv("PLUG_WAIT");
  for (const Scenario& scenario : all_scenarios()) {
    if (scenario.is(waits::kNeedsNames) && !named) continue;
    if (only != nullptr && scenario.name != only) continue;
    for (const Timeout& timeout : timeouts.empty() ? timeouts_of(scenario) : timeouts) {
      SCOPED_TRACE(std::string(scenario.name) + ", timeout " + to_string(timeout));
      // The first call creates what a process has only once.
      if (scenario.name == "connect") scenario.make(timeout);
      const int before = count_descriptors();
      test(scenario, timeout);
      expect_descriptors(before);
    }
  }
}

/// The tests of this class test all scenarios.
class EveryWait {
 protected:
  EveryWait() {
    struct sigaction action {};
    action.sa_handler = [](int) { ++handled; };
    sigaction(SIGUSR1, &action, &before_);
  }
  EveryWait(const EveryWait&) = delete;
  EveryWait& operator=(const EveryWait&) = delete;
  ~EveryWait() { sigaction(SIGUSR1, &before_, nullptr); }

 private:
  struct sigaction before_ {};
};

/// Uses the object of a wait, and fibers, in a forked child. Returns 0 if that works.
int act_in_child(const Wait& wait) {
  if (fiber::inside()) return 1;
  if (wait.close) wait.close();
  auto [sock, peer] = socketpair();
  sock.sendall("x");
  if (peer.recv(1) != "x") return 2;
  return fiber::run([] {
    auto [left, right] = socketpair();
    auto task = fiber::spawn([&, &sock = right] { return sock.recv(1); });
    fiber::yield();
    left.sendall("y");
    return task.join(kTooLong) == "y" ? 0 : 3;
  });
}

// --- fibers ---

/// Waits until the fiber, and the one that the call has started, wait where the scenario says.
/// Fails the test and returns false if they do not.
bool until_parked(std::string_view name, const Scenario& scenario) {
  const auto limit = Clock::now() + std::chrono::seconds(kTooLong);
  // io_uring uses an epoll(7) for this wait.
  const bool uring = std::string_view(fiber::engine()) == "uring";
  const std::string_view also = uring && !scenario.also.empty() ? "ready" : scenario.also;
  std::string seen;
  while (Clock::now() < limit) {
    if (asked > 0) return true;  // between two parts, which no signal interrupts
    seen = "nothing";
    bool other = also.empty();
    for (const fiber::Info& info : fiber::list()) {
      if (info.name == name)
        seen = info.waits_in;
      else
        other = other || info.waits_in == also;
    }
    if (seen == scenario.where && other) return true;
    fiber::sleep(0.0005);
  }
  ADD_FAILURE() << name << " waits in " << seen << " and not in " << scenario.where;
  return false;
}

class EveryWaitInFibers : public OnEngine, private EveryWait {
 protected:
  /// Calls test(scenario, timeout) in the main fiber, once for each scenario and timeout.
  template <class Test>
  void for_each_in_a_fiber(Test test, const std::vector<Timeout>& timeouts = {}) {
    in_own_network([&](bool named) {
      for_each_wait(named, timeouts, [&](const Scenario& scenario, const Timeout& timeout) {
        if (scenario.is(waits::kOnThreadsOnly)) return;
        for (int round = 0; round < rounds(); ++round) {
          SCOPED_TRACE("round " + std::to_string(round));
          asked = 0;
          fiber::RunOptions options{.engine = GetParam()};
          if (rounds() > 1) options.seed = static_cast<std::uint64_t>(round);
          fiber::run([&] { test(scenario, timeout); }, options);
        }
      });
    });
  }

  /// Makes the call in another fiber, and stores the results of the call and of the fiber's next
  /// wait.
  struct WaitingThread {
    explicit WaitingThread(const Scenario& scenario, const Timeout& timeout)
        : wait(scenario.make(timeout)) {
      parked = until_parked("waiter", scenario);
    }
    WaitingThread(const WaitingThread&) = delete;
    WaitingThread& operator=(const WaitingThread&) = delete;
    ~WaitingThread() { join(); }

    void join() {
      if (end_of([&] { task.join(kTooLong); }) != kTimedOut) return;
      ADD_FAILURE() << "the call hangs";
      task.cancel();
      if (wait.close) wait.close();
      if (wait.let_go) wait.let_go();
      task.join(kTooLong);
    }

    Wait wait;
    std::string end = "nothing", next_end = "nothing";
    bool parked = false;
    fiber::Task<void> task = fiber::spawn("waiter", [this] {
      end = end_of(wait.call);
      next_end = end_of_next_wait();
    });
  };
};

void expect_usable(const Wait& wait) {
  if (!wait.let_go) return;
  wait.let_go();
  EXPECT_EQ(end_of([&] { timeout(kTooLong, wait.call); }), kReturned) << "used again";
}

bool is_told_later(const Scenario& scenario) {
  return scenario.is(waits::kToldLater) || scenario.is(waits::kEndsAtOnce);
}

TEST_P(EveryWaitInFibers, IsEndedByCancellingOnce) {
  for_each_in_a_fiber([](const Scenario& scenario, const Timeout& timeout) {
    WaitingThread waiter(scenario, timeout);
    waiter.task.cancel();
    if (scenario.is(waits::kToldLater)) waiter.wait.let_go();
    waiter.join();
    const bool later = is_told_later(scenario);
    EXPECT_EQ(waiter.end, later ? kReturned : kCancelled);
    EXPECT_EQ(waiter.next_end, later ? kCancelled : kReturned);
    expect_usable(waiter.wait);
  });
}

TEST_P(EveryWaitInFibers, IsEndedByATimeoutAroundIt) {
  for_each_in_a_fiber([](const Scenario& scenario, const Timeout& timeout) {
    const Wait wait = scenario.make(timeout);
    auto letting_go = fiber::spawn([&] {
      fiber::sleep(kShort);
      fiber::sleep(kShort);
      if (scenario.is(waits::kToldLater)) wait.let_go();
    });
    const auto begun = Clock::now();
    const std::string end = end_of([&] {
      plug::timeout(kShort, [&] {
        wait.call();
        if (is_told_later(scenario)) fiber::sleep(kLong);
      });
    });
    EXPECT_EQ(end, kTimedOut);
    EXPECT_LT(Clock::now() - begun, std::chrono::seconds(kTooLong / 4));
    EXPECT_EQ(end_of_next_wait(), kReturned);
    letting_go.join();
    expect_usable(wait);
  });
}

TEST_P(EveryWaitInFibers, IsEndedByTheInterruptHookOnce) {
  for_each_in_a_fiber([](const Scenario& scenario, const Timeout& timeout) {
    for (const Answer& answer : answers()) {
      SCOPED_TRACE(answer.end);
      const Wait wait = scenario.make(timeout);
      Signaller signaller(pthread_self(), answer.hook);
      const bool later = is_told_later(scenario);
      auto watch = fiber::spawn([&] {
        const bool parked = until_parked("main", scenario);
        signaller.begin();
        signaller.wait_until_seen();
        if (parked && !scenario.is(waits::kToldLater) && !scenario.is(waits::kHookLater)) return;
        signaller.end();  // the signals that have arrived are reported without a further one
        wait.let_go();
      });
      const std::string end = end_of(wait.call);
      const std::string next_end = end_of([&] { fiber::sleep(later ? kLong : 0.001); });
      signaller.end();
      EXPECT_EQ(end, later ? kReturned : answer.end);
      EXPECT_EQ(next_end, later ? answer.end : kReturned);
      watch.join();
      expect_usable(wait);
    }
  });
}

TEST_P(EveryWaitInFibers, OutlastsSignalsThatDoNotEndIt) {
  for_each_in_a_fiber([](const Scenario& scenario, const Timeout& timeout) {
    const Wait wait = scenario.make(timeout);
    if (!wait.let_go) return;
    Signaller signaller(
        pthread_self(), [] { return ++asked, std::errc{}; }, 100);
    auto watch = fiber::spawn([&] {
      until_parked("main", scenario);
      signaller.begin();
      while (handled < 3) fiber::sleep(0.001);
      wait.let_go();
    });
    EXPECT_EQ(end_of(wait.call), kReturned);
    signaller.end();
    watch.join();
  });
}

TEST_P(EveryWaitInFibers, IsEndedByClosing) {
  for_each_in_a_fiber([](const Scenario& scenario, const Timeout& timeout) {
    if (!scenario.make(timeout).close) return;
    WaitingThread waiter(scenario, timeout);
    waiter.wait.close();
    waiter.join();
    EXPECT_THAT(waiter.end, ends_of_closing(scenario));
    EXPECT_EQ(waiter.next_end, kReturned);
  });
}

TEST_P(EveryWaitInFibers, IsEndedByItsOwnTimeout) {
  for_each_in_a_fiber(
      [](const Scenario& scenario, const Timeout& timeout) {
        if (!scenario.is(waits::kTimed)) return;
        const Wait wait = scenario.make(timeout);
        EXPECT_EQ(end_of([&] { plug::timeout(kTooLong, wait.call); }), kTimedOut);
        EXPECT_EQ(end_of_next_wait(), kReturned);
      },
      {kShort});
}

TEST_P(EveryWaitInFibers, GoesOnInTheParentOfAForkAndNotInTheChild) {
  for_each_in_a_fiber([](const Scenario& scenario, const Timeout& timeout) {
    WaitingThread waiter(scenario, timeout);
    EXPECT_EQ(run_in_child([&] { return act_in_child(waiter.wait); }), 0);
    if (waiter.wait.let_go)
      waiter.wait.let_go();
    else
      waiter.task.cancel();
    waiter.join();
    EXPECT_EQ(waiter.end, waiter.wait.let_go ? kReturned : kCancelled);
  });
}

PLUG_ON_EACH_ENGINE(EveryWaitInFibers);

// --- threads ---

/// Makes a call in another thread.
class WaitingThread {
 public:
  explicit WaitingThread(const std::function<void()>& call)
      : thread_([this, call] {
          tid_.set_value(static_cast<int>(::syscall(SYS_gettid)));
          end_.set_value(end_of(call));
        }) {
    const int tid = tid_.get_future().get();
    until_asleep("/proc/self/task/" + std::to_string(tid) + "/stat");
  }
  WaitingThread(const WaitingThread&) = delete;
  WaitingThread& operator=(const WaitingThread&) = delete;
  ~WaitingThread() { thread_.join(); }

  pthread_t thread() { return thread_.native_handle(); }

  /// Returns how the call ends. If it hangs, fails the test and calls `help`.
  template <class Help>
  std::string end(Help help) {
    if (ended_.wait_for(std::chrono::seconds(kTooLong)) != std::future_status::ready) {
      ADD_FAILURE() << "the call hangs";
      help();
    }
    return ended_.get();
  }

 private:
  bool is_over() const {
    return ended_.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
  }

  /// Looks several times, because the thread may merely sleep for a lock for a moment.
  void until_asleep(const std::string& path) const {
    const auto limit = Clock::now() + std::chrono::seconds(kTooLong);
    for (int looks = 0; looks < 5 && !is_over(); ++looks) {
      std::string text;
      std::ifstream stat(path);
      std::getline(stat, text);
      const std::size_t state = text.rfind(") ");
      if (state == std::string::npos || text.substr(state + 2, 1) != "S") looks = 0;
      if (Clock::now() > limit) {
        ADD_FAILURE() << "the call does not wait";
        return;
      }
      std::this_thread::sleep_for(milliseconds(1));
    }
    EXPECT_FALSE(is_over()) << "the call does not wait";
  }

  std::promise<int> tid_;
  std::promise<std::string> end_;
  std::future<std::string> ended_ = end_.get_future();
  std::thread thread_;
};

class EveryWaitOnThreads : public testing::Test, private EveryWait {
 protected:
  template <class Test>
  void for_each_on_a_thread(Test test, const std::vector<Timeout>& timeouts = {}) {
    in_own_network([&](bool named) {
      for_each_wait(named, timeouts, [&](const Scenario& scenario, const Timeout& timeout) {
        if (scenario.is(waits::kInFibersOnly)) return;
        for (int round = 0; round < rounds(); ++round) test(scenario, timeout);
      });
    });
  }

  static void help(const Wait& wait) {
    if (wait.close) wait.close();
    if (wait.let_go) wait.let_go();
  }
};

TEST_F(EveryWaitOnThreads, IsEndedByTheInterruptHookOnce) {
  for_each_on_a_thread([](const Scenario& scenario, const Timeout& timeout) {
    // A lookup with a timeout waits like any other call.
    const bool in_time = scenario.is(waits::kNeedsNames) && !timeout.is_none();
    if (scenario.is(waits::kNoHookOnThreads) && !in_time) return;
    for (const Answer& answer : answers()) {
      SCOPED_TRACE(answer.end);
      const Wait wait = scenario.make(timeout);
      std::string next_end;
      WaitingThread thread(wait.call);
      Signaller signaller(thread.thread(), answer.hook);
      signaller.begin();
      const std::string end = thread.end([&] { help(wait); });
      EXPECT_EQ(end, scenario.is(waits::kEndsAtOnce) ? kReturned : answer.end);
      signaller.end();
      if (!wait.let_go) continue;
      wait.let_go();
      EXPECT_EQ(end_of(wait.call), kReturned) << "used again";
    }
  });
}

TEST_F(EveryWaitOnThreads, OutlastsSignalsThatDoNotEndIt) {
  for_each_on_a_thread([](const Scenario& scenario, const Timeout& timeout) {
    const Wait wait = scenario.make(timeout);
    if (!wait.let_go) return;
    WaitingThread thread(wait.call);
    Signaller signaller(
        thread.thread(), [] { return ++asked, std::errc{}; }, 100);
    signaller.begin();
    // The thread sanitizer delays handlers although the wait has been interrupted. In a lookup,
    // where libc itself continues to wait, nobody calls the hook either.
    while (handled < 3 && asked < 3 && signaller.sent() < 1000) std::this_thread::yield();
    wait.let_go();
    EXPECT_EQ(thread.end([&] { help(wait); }), kReturned);
    signaller.end();
  });
}

TEST_F(EveryWaitOnThreads, IsEndedByClosing) {
  for_each_on_a_thread([](const Scenario& scenario, const Timeout& timeout) {
    const Wait wait = scenario.make(timeout);
    if (!wait.close || (scenario.is(waits::kNotWokenByClose) && timeout.is_none())) return;
    WaitingThread thread(wait.call);
    wait.close();
    EXPECT_THAT(thread.end([&] { help(wait); }), ends_of_closing(scenario));
  });
}

TEST_F(EveryWaitOnThreads, IsEndedByItsOwnTimeout) {
  for_each_on_a_thread(
      [](const Scenario& scenario, const Timeout& timeout) {
        if (!scenario.is(waits::kTimed)) return;
        const Wait wait = scenario.make(timeout);
        const auto begun = Clock::now();
        EXPECT_EQ(end_of(wait.call), kTimedOut);
        EXPECT_GE(Clock::now() - begun, timeout.duration());
      },
      {0.1});
}

TEST_F(EveryWaitOnThreads, GoesOnInTheParentOfAForkAndNotInTheChild) {
  for_each_on_a_thread([](const Scenario& scenario, const Timeout& timeout) {
    const Wait wait = scenario.make(timeout);
    if (!wait.let_go && !wait.close) return;
    WaitingThread thread(wait.call);
    EXPECT_EQ(run_in_child([&] { return act_in_child(wait); }), 0);
    wait.let_go ? wait.let_go() : wait.close();
    const std::string end = thread.end([&] { help(wait); });
    EXPECT_EQ(end, wait.let_go ? kReturned : "error " + std::to_string(EBADF));
  });
}

// --- the table itself ---

/// The implementation of all waits; server/pause.hpp names a wait in a comment.
const std::set<std::string> kOtherFiles = {
    "fiber/engine/engine.hpp", "fiber/engine/engine_base.hpp",
    "fiber/engine/epoll.cpp",  "fiber/engine/uring.cpp",
    "fiber/scheduler.cpp",     "fiber/scheduler.hpp",
    "framing/framing.cpp",     "resolve/resolver.hpp",
    "select/wait.hpp",         "server/pause.cpp",
    "server/pause.hpp",        "socket/state.hpp",
    "sys/transfer.hpp",        "wait/event_set.hpp",
    "wait/io_driver.hpp",      "wait/offload.hpp",
    "wait/thread_driver.cpp",  "wait/wait_queue.cpp",
    "wait/wait_queue.hpp"};

TEST(TheTableOfWaits, HasEveryNameAndEveryFileOfTheSource) {
  std::set<std::string> names, files = kOtherFiles;
  for (const Scenario& scenario : all_scenarios()) {
    names.emplace(scenario.where);
    names.emplace(scenario.also);
    files.emplace(scenario.file);
  }
  // Each wait has a name for lists of fibers, and each operation has one.
  const std::regex named(R"re(\b(?:park|sleep|wait_in|wait_for_end)\([^;"]*?"([^"]+)")re");
  const std::regex waits(
      R"(\b(?:perform|transfer|wait_any|wait_epoll|wait_selected|wait_in|call_offloaded|)"
      R"(off_thread|look_up|receive_some|send_some|send_all|park|sleep)\()");
  int found = 0;
  const std::string folder = source_path("src");
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    if (!entry.is_regular_file()) continue;
    std::ifstream file(entry.path());
    const std::string text(std::istreambuf_iterator<char>(file), {});
    for (std::sregex_iterator at(text.begin(), text.end(), named), end; at != end; ++at, ++found)
      EXPECT_TRUE(names.contains((*at)[1])) << entry.path() << " waits in " << (*at)[1];
    if (std::regex_search(text, waits)) {
      EXPECT_TRUE(files.contains(entry.path().lexically_relative(folder)))
          << entry.path() << " waits";
    }
  }
  EXPECT_GE(found, 12);
  for (int kind = 0; kind <= static_cast<int>(detail::wait::Op::Kind::ready); ++kind) {
    const char* const name = detail::fiber::name_of(static_cast<detail::wait::Op::Kind>(kind));
    EXPECT_TRUE(names.contains(name)) << name;
  }
}

}  // namespace
}  // namespace plug
