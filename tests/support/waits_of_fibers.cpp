// Waits of fibers and threads for each other, for child processes, and for time.

#include <plug/fiber.hpp>
#include <plug/group.hpp>
#include <plug/queue.hpp>
#include <plug/sync.hpp>

#include <signal.h>
#include <sys/wait.h>

#include <future>
#include <mutex>

#include "support/waits.hpp"

namespace waits {

namespace fiber = plug::fiber;
using plug::Timeout;

namespace {

Wait for_event(Timeout timeout) {
  auto event = std::make_shared<plug::Event>();
  return {.call = [event, timeout] { expect_in_time(event->wait(timeout)); },
          .let_go = [event] { event->set(); }};
}

/// A mutex that another fiber or thread has locked.
struct Held {
  plug::Mutex mutex;
  plug::Event locked, unlock;
  Beside holder{[this] {
    const std::lock_guard lock(mutex);
    locked.set();
    unlock.wait();
  }};
  Held() { locked.wait(); }
  Held(const Held&) = delete;
  Held& operator=(const Held&) = delete;
  ~Held() { unlock.set(); }
};

template <class F>
Wait for_mutex(F lock) {
  auto held = std::make_shared<Held>();
  return {.call =
              [held, lock] {
                lock(held->mutex);
                held->mutex.unlock();
              },
          .let_go = [held] { held->unlock.set(); }};
}

Wait for_condition(Timeout timeout) {
  struct Things {
    plug::Mutex mutex;
    plug::Condition condition;
    bool ready = false;
  };
  auto things = std::make_shared<Things>();
  return {.call =
              [things, timeout] {
                std::unique_lock lock(things->mutex);
                expect_in_time(things->condition.wait(
                    lock, [&] { return things->ready; }, timeout));
              },
          .let_go =
              [things] {
                const std::lock_guard lock(things->mutex);
                things->ready = true;
                things->condition.notify_all();
              }};
}

Wait for_semaphore(Timeout timeout) {
  auto semaphore = std::make_shared<plug::Semaphore>(0);
  return {.call = [semaphore, timeout] { expect_in_time(semaphore->acquire(timeout)); },
          .let_go = [semaphore] { semaphore->release(2); }};
}

Wait for_item(Timeout timeout) {
  auto queue = std::make_shared<plug::Queue<int>>();
  return {.call =
              [queue, timeout] {
                try {
                  queue->get(timeout);
                } catch (const plug::Empty&) {
                  expect_in_time(false);
                }
              },
          .let_go =
              [queue] {
                queue->put(1);
                queue->put(2);
              }};
}

Wait for_room(Timeout timeout) {
  auto queue = std::make_shared<plug::Queue<int>>(1);
  queue->put(0);
  return {.call =
              [queue, timeout] {
                try {
                  queue->put(1, timeout);
                } catch (const plug::Full&) {
                  expect_in_time(false);
                }
              },
          .let_go =
              [queue] {
                queue->get();
                // The put() that waited has filled the queue again: make room for a later one.
                for (int more = 0; more < 2; ++more) {
                  try {
                    queue->get(0.01);
                  } catch (const plug::Empty&) {
                    // The queue is empty.
                  }
                }
              }};
}

Wait joining(Timeout timeout) {
  struct Things {
    std::shared_ptr<plug::Event> over = std::make_shared<plug::Event>();
    fiber::Task<void> task = fiber::spawn("joined", [over = over] { over->wait(); });
    ~Things() { over->set(); }
  };
  auto things = std::make_shared<Things>();
  return {.call = [things, timeout] { things->task.join(timeout); },
          .let_go = [things] { things->over->set(); }};
}

/// A group whose children end when they are cancelled, or when `over` is set.
template <class F>
Wait of_group(F wait) {
  auto over = std::make_shared<plug::Event>();
  return {.call = [over, wait] { wait(*over); }, .let_go = [over] { over->set(); }};
}

Wait sleeping(Timeout) {
  return {.call = [] { fiber::sleep(std::nullopt); }};
}

Wait offloading(Timeout) {
  struct Things {
    std::promise<void> go;
    std::shared_future<void> gone{go.get_future()};
    bool let = false;
  };
  auto things = std::make_shared<Things>();
  return {.call = [things] { fiber::offload([things] { things->gone.wait(); }); },
          .let_go =
              [things] {
                if (!std::exchange(things->let, true)) things->go.set_value();
              }};
}

Wait for_child(Timeout timeout) {
  struct Child {
    int pid = ::fork();
    bool reaped = false;
    ~Child() {
      if (reaped) return;
      ::kill(pid, SIGKILL);
      ::waitpid(pid, nullptr, 0);
    }
  };
  auto child = std::make_shared<Child>();
  if (child->pid == 0)
    for (;;) ::pause();
  return {.call =
              [child, timeout] {
                if (child->reaped) return;
                fiber::wait_process(child->pid, timeout);
                child->reaped = true;
              },
          .let_go = [child] { ::kill(child->pid, SIGKILL); }};
}

}  // namespace

std::vector<Scenario> of_fibers() {
  return {
      {"sleep", "sleep", "fiber/fiber.cpp", kInFibersOnly, sleeping},
      {"Event::wait", "Event::wait", "sync/sync.cpp", kTimed, for_event},
      {"Mutex::lock", "Mutex::lock", "sync/sync.cpp", 0,
       [](Timeout) { return for_mutex([](plug::Mutex& mutex) { mutex.lock(); }); }},
      {"Mutex::try_lock_for", "Mutex::lock", "sync/sync.cpp", kTimed,
       [](Timeout t) {
         return for_mutex([t](plug::Mutex& mutex) { expect_in_time(mutex.try_lock_for(t)); });
       }},
      {"Condition::wait", "Condition::wait", "sync/sync.cpp", kTimed, for_condition},
      {"Semaphore::acquire", "Semaphore::acquire", "sync/sync.cpp", kTimed, for_semaphore},
      {"Queue::get", "Queue::get", "sync/queue.cpp", kTimed, for_item},
      {"Queue::put", "Queue::put", "sync/queue.cpp", kTimed, for_room},
      {"Task::join", "join", "fiber/fiber.cpp", kTimed | kInFibersOnly, joining},
      {"TaskGroup::wait", "TaskGroup::wait", "fiber/group.cpp", kInFibersOnly,
       [](Timeout) {
         return of_group([](plug::Event& over) {
           plug::TaskGroup group;
           group.spawn("child", [&] { over.wait(); });
           group.wait();
         });
       }},
      {"~TaskGroup", "TaskGroup::wait", "fiber/group.cpp", kInFibersOnly | kEndsAtOnce | kHookLater,
       [](Timeout) {
         return of_group([](plug::Event& over) {
           plug::TaskGroup group;
           group.spawn("child", [&] { over.wait(); });
         });
       }},
      {"gather", "TaskGroup::wait", "fiber/group.cpp", kInFibersOnly,
       [](Timeout) {
         return of_group(
             [](plug::Event& over) { plug::gather([&] { over.wait(); }, [&] { over.wait(); }); });
       }},
      {"offload", "offload", "fiber/blocking.cpp", kInFibersOnly | kToldLater, offloading},
      {"wait_process", "select", "fiber/blocking.cpp", kTimed, for_child},
  };
}

}  // namespace waits
