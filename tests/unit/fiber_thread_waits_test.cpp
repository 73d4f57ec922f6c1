// Tests waits of plain threads for fibers' objects: the longest timeouts, and signals.

#include <plug/fiber.hpp>
#include <plug/queue.hpp>
#include <plug/socket.hpp>
#include <plug/sync.hpp>

#include <gtest/gtest.h>
#include <pthread.h>
#include <signal.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "support/everywhere.hpp"

namespace plug {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

/// The objects to wait for, and the end of these waits.
struct Things {
  Things() {
    full.put(1);
    fibers = std::thread([this] {
      fiber::run([this] {
        mutex.lock();
        child.emplace(fiber::spawn([this] {
          over.wait();
          child_is_over.set();
        }));
        child_is_there.set();
        child_is_over.wait();
        mutex.unlock();
      });
    });
    child_is_there.wait();
  }
  ~Things() {
    end();
    fibers.join();
  }

  void end() {
    if (std::exchange(ended, true)) return;
    over.set();
    event.set();
    semaphore.release();
    {
      const std::scoped_lock lock(of_condition);
      notified = true;
    }
    condition.notify_all();
    empty.put(1);
    full.get();
  }

  Event event, over, child_is_there, child_is_over;
  Mutex mutex, of_condition;
  Semaphore semaphore{0};
  Condition condition;
  bool notified = false;
  Queue<int> empty, full{1};
  std::optional<fiber::Task<void>> child;
  std::thread fibers;
  bool ended = false;
};

struct Wait {
  std::string name;
  /// Returns true if the call has got what it waited for.
  std::function<bool(Things&, const Timeout&)> call;
};

std::vector<Wait> waits() {
  return {{"Event::wait", [](Things& it, const Timeout& time) { return it.event.wait(time); }},
          {"Mutex::try_lock_for",
           [](Things& it, const Timeout& time) {
             const bool locked = it.mutex.try_lock_for(time);
             if (locked) it.mutex.unlock();
             return locked;
           }},
          {"Semaphore::acquire",
           [](Things& it, const Timeout& time) { return it.semaphore.acquire(time); }},
          {"Condition::wait",
           [](Things& it, const Timeout& time) {
             std::unique_lock lock(it.of_condition);
             return it.condition.wait(
                 lock, [&] { return it.notified; }, time);
           }},
          {"Queue::get", [](Things& it, const Timeout& time) { return it.empty.get(time) == 1; }},
          {"Queue::put",
           [](Things& it, const Timeout& time) {
             it.full.put(2, time);
             return true;
           }},
          {"Task::join", [](Things& it, const Timeout& time) {
             it.child->join(time);
             return true;
           }}};
}

TEST(AThread, WaitsForAsLongAsItIsToldAtMost) {
  for (const Timeout& longest : {Timeout(std::chrono::nanoseconds::max()), Timeout(9223372036)}) {
    for (const Wait& wait : waits()) {
      SCOPED_TRACE(wait.name);
      Things things;
      std::thread ending([&] {
        std::this_thread::sleep_for(milliseconds(10));
        things.end();
      });
      try {
        EXPECT_TRUE(wait.call(things, longest));
      } catch (const std::exception& error) {
        ADD_FAILURE() << error.what();
      }
      ending.join();
    }
  }
}

TEST(AThread, WaitsForAsLongAsItIsToldAtLeast) {
  for (const Wait& wait : waits()) {
    SCOPED_TRACE(wait.name);
    Things things;
    const auto begun = steady_clock::now();
    try {
      EXPECT_FALSE(wait.call(things, milliseconds(3)));
    } catch (const CancelledError&) {
      ADD_FAILURE();
    } catch (const std::exception&) {
      // Empty, Full or TimeoutError.
    }
    EXPECT_GE(steady_clock::now() - begun, milliseconds(3));
  }
}

// --- signals ---

std::atomic<int> asked{0};

struct Asked {};

/// Installs an interrupt hook that throws, and a handler for the signals.
class ASignal : public testing::TestWithParam<int> {
 protected:
  void SetUp() override {
    struct sigaction action {};
    action.sa_handler = [](int) {};
    action.sa_flags = GetParam();
    ASSERT_EQ(sigaction(SIGUSR1, &action, &before_), 0);
    set_interrupt_hook([]() -> std::errc {
      ++asked;
      throw Asked();
    });
  }
  void TearDown() override {
    set_interrupt_hook(nullptr);
    EXPECT_EQ(sigaction(SIGUSR1, &before_, nullptr), 0);
  }

  /// Returns true if the hook's exception ends a call that waits in another thread. Otherwise `end`
  /// ends the call.
  static bool is_asked_in(const std::function<void()>& call, const std::function<void()>& end) {
    std::atomic<bool> known{false}, over{false};
    bool thrown = false;
    pthread_t self{};
    std::thread thread([&] {
      self = pthread_self();
      known = true;
      try {
        call();
      } catch (const Asked&) {
        thrown = true;
      } catch (const std::exception&) {
      }
      over = true;
    });
    while (!known) std::this_thread::yield();
    const auto late = steady_clock::now() + milliseconds(2000);
    while (!over && steady_clock::now() < late) {
      pthread_kill(self, SIGUSR1);
      std::this_thread::sleep_for(milliseconds(1));
    }
    const InterruptHook hook = set_interrupt_hook(nullptr);
    end();
    thread.join();
    set_interrupt_hook(hook);
    return thrown;
  }

 private:
  struct sigaction before_ {};
};

TEST_P(ASignal, HasTheHookAskedWhereAThreadWaits) {
  const InterruptHook hook = set_interrupt_hook(nullptr);
  for (const Timeout& timeout : {Timeout(), Timeout(kTooLong)}) {
    for (const Wait& wait : waits()) {
      SCOPED_TRACE(wait.name);
      Things things;
      set_interrupt_hook(hook);
      EXPECT_TRUE(is_asked_in([&] { wait.call(things, timeout); }, [&] { things.end(); }));
      set_interrupt_hook(nullptr);
      things.end();
      // The exception has lost nothing.
      EXPECT_TRUE(wait.name == "Event::wait" || things.mutex.try_lock_for(kTooLong));
    }
  }
}

TEST_P(ASignal, HasTheHookAskedWhereAThreadSleeps) {
  EXPECT_TRUE(is_asked_in([] { fiber::sleep(5); }, [] {}));
}

TEST_P(ASignal, HasTheHookAskedWhereAThreadSleepsForAsLongAsItCan) {
  EXPECT_TRUE(is_asked_in([] { fiber::sleep(std::chrono::nanoseconds::max()); }, [] {}));
  EXPECT_TRUE(is_asked_in([] { fiber::sleep(9223372036); }, [] {}));
}

INSTANTIATE_TEST_SUITE_P(Handlers, ASignal, testing::Values(0, SA_RESTART), [](const auto& flags) {
  return flags.param == 0 ? "Interrupting" : "Restarting";
});

}  // namespace
}  // namespace plug
