// Tests random programs of fibers, each generated from a number. The fibers end, regardless of
// their effects on each other, and nothing that they hold is lost.
//
// PLUG_PROGRAMS sets the number of programs (few by default), PLUG_SEED the first one.

#include <plug/fiber.hpp>
#include <plug/group.hpp>
#include <plug/plug.hpp>
#include <plug/queue.hpp>
#include <plug/sync.hpp>

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "support/everywhere.hpp"
#include "support/fake_clock.hpp"

namespace plug {
namespace {

using std::chrono::microseconds;
using Task = fiber::Task<void>;
using Callback = std::stop_callback<std::function<void()>>;

std::uint64_t number_of(const char* variable, std::uint64_t otherwise) {
  const char* const value = std::getenv(variable);
  return value == nullptr ? otherwise : std::strtoull(value, nullptr, 10);
}

std::atomic<std::uint64_t> running{0};

/// Ends the process if a program hangs, and prints its number.
class Watched {
 public:
  Watched() {
    struct sigaction action {};
    action.sa_handler = [](int) {
      char text[64];
      const int size = std::snprintf(text, sizeof text, "hangs: PLUG_SEED=%llu\n",
                                     static_cast<unsigned long long>(running));
      [[maybe_unused]] const auto written = ::write(1, text, static_cast<std::size_t>(size));
      ::_exit(3);
    };
    EXPECT_EQ(sigaction(SIGALRM, &action, &before_), 0);
  }
  Watched(const Watched&) = delete;
  Watched& operator=(const Watched&) = delete;
  ~Watched() {
    ::alarm(0);
    EXPECT_EQ(sigaction(SIGALRM, &before_, nullptr), 0);
  }

  static void begin(std::uint64_t seed) {
    running = seed;
    ::alarm(kTooLong);
  }

 private:
  struct sigaction before_ {};
};

/// The objects that all fibers of a program share, in one thread or in several.
struct World {
  static constexpr std::ptrdiff_t kPlaces = 2;

  /// True for fibers in several threads. A callback that blocks would then hold up the thread that
  /// destroys the std::stop_callback at the same time, so callbacks do not block.
  bool several = false;

  Mutex mutexes[2];
  std::atomic<int> holders[2] = {};
  Semaphore places{kPlaces};
  std::atomic<std::ptrdiff_t> taken{0};
  Queue<std::shared_ptr<int>> queue{3};
  std::atomic<long> put{0}, got{0};
  Event event;
  Mutex of_condition;
  Condition condition;

  std::atomic<int> alive{0};
  std::atomic<int> to_spawn{60};  // the number of fibers that may still begin
  std::mutex guard;
  std::vector<std::shared_ptr<Task>> tasks;

  void keep(Task task) {
    auto kept = std::make_shared<Task>(std::move(task));
    const std::lock_guard lock(guard);
    tasks.push_back(std::move(kept));
  }
  std::shared_ptr<Task> any(std::uint64_t number) {
    const std::lock_guard lock(guard);
    return tasks.empty() ? nullptr : tasks[number % tasks.size()];
  }

  /// Expects that no fiber holds anything, and that every item has been taken or is left.
  void check() {
    for (int i = 0; i < 2; ++i) {
      EXPECT_EQ(holders[i], 0);
      EXPECT_TRUE(mutexes[i].try_lock());
    }
    EXPECT_TRUE(of_condition.try_lock());
    EXPECT_EQ(taken, 0);
    for (std::ptrdiff_t i = 0; i < kPlaces; ++i) EXPECT_TRUE(places.try_acquire());
    EXPECT_FALSE(places.try_acquire());
    EXPECT_EQ(alive, 0);
    EXPECT_EQ(put - got, static_cast<long>(queue.qsize()));
  }
};

/// A fiber of a program.
class Actor {
 public:
  Actor(World& world, std::uint64_t seed, int depth) : world_(world), random_(seed), depth_(depth) {
    ++world_.alive;
  }
  Actor(Actor&& other) noexcept
      : world_(other.world_), random_(other.random_), depth_(other.depth_) {
    ++world_.alive;
  }
  ~Actor() { --world_.alive; }

  /// May end early by CancelledError or another exception.
  void operator()() {
    for (std::uint64_t left = below(8); left > 0; --left) step();
  }

 private:
  std::uint64_t below(std::uint64_t bound) { return random_() % bound; }
  microseconds brief() { return microseconds(below(4) == 0 ? 0 : below(60)); }
  bool may_spawn() { return depth_ > 0 && world_.to_spawn.fetch_sub(1) > 0; }
  Actor child() { return Actor(world_, random_(), depth_ - 1); }

  void step() {
    FakeClock::advance(microseconds(below(8)));  // without one, real time passes
    switch (below(17)) {
      case 0:
        return fiber::yield();
      case 1:
        return fiber::sleep(brief());
      case 2:
      case 3:
        return use_mutex(below(2));
      case 4:
        return use_queue();
      case 5:
        return use_place();
      case 6:
        if (may_spawn()) world_.keep(fiber::spawn(child()));
        return;
      case 7:
        if (const auto task = world_.any(random_())) task->cancel();
        return;
      case 8:
        return join();
      case 9:
        return limit();
      case 10:
        return wait_for_group();
      case 11:
        return be_body();
      case 12:
      case 13:
        return with_callback();
      case 14:
        return use_event();
      case 15:
        return use_socket();
      default:
        if (below(4) == 0) throw ValueError("random");
        if (below(4) == 0) fiber::offload([] {});
    }
  }

  void use_mutex(std::uint64_t which) {
    std::unique_lock<Mutex> lock;
    if (below(2) == 0)
      lock = std::unique_lock(world_.mutexes[which]);
    else
      lock = std::unique_lock(world_.mutexes[which], brief());
    if (!lock.owns_lock()) return;
    // A fiber that an exception ends has released the mutex before.
    struct Holding {
      explicit Holding(std::atomic<int>& counted) : count(counted) { EXPECT_EQ(++count, 1); }
      ~Holding() { --count; }
      std::atomic<int>& count;
    } holding(world_.holders[which]);
    if (below(2) == 0) fiber::sleep(brief());
    if (below(4) == 0) fiber::yield();
  }

  void use_queue() {
    try {
      if (below(2) == 0) {
        world_.queue.put(std::make_shared<int>(0), brief());
        ++world_.put;
      } else {
        const auto item = world_.queue.get(brief());
        EXPECT_NE(item, nullptr);
        ++world_.got;
      }
    } catch (const Empty&) {
    } catch (const Full&) {
    }
  }

  void use_place() {
    if (!world_.places.acquire(brief())) return;
    EXPECT_LE(++world_.taken, World::kPlaces);
    const auto release = [](World* world) {
      --world->taken;
      world->places.release();
    };
    const std::unique_ptr<World, decltype(release)> held(&world_, release);
    fiber::sleep(brief());
  }

  void use_event() {
    switch (below(4)) {
      case 0:
        return world_.event.set();
      case 1:
        return world_.event.clear();
      case 2:
        world_.event.wait(brief());
        return;
      default:
        world_.condition.notify_one();
        std::unique_lock lock(world_.of_condition);
        world_.condition.wait(lock, brief());
    }
  }

  void use_socket() {
    auto [one, other] = socketpair();
    one.settimeout(kTooLong);
    other.sendall("x");
    EXPECT_EQ(one.recv(1), "x");
    try {
      one.settimeout(brief());
      one.recv(1);
    } catch (const OSError&) {
    }
  }

  void join() {
    try {
      if (const auto task = world_.any(random_())) task->join(brief());
    } catch (const TimeoutError&) {
    } catch (const RuntimeError&) {  // a fiber cannot join itself
    } catch (const ValueError&) {
    }
  }

  void limit() {
    try {
      timeout(brief(), [this] {
        step();
        step();
      });
    } catch (const TimeoutError&) {
    } catch (const ValueError&) {
    }
  }

  void wait_for_group() {
    TaskGroup group;
    for (std::uint64_t left = below(4); left > 0 && may_spawn(); --left)
      world_.keep(group.spawn(child()));
    if (below(4) == 0) group.cancel();
    if (below(2) == 0) step();
    if (below(4) != 0) group.wait();
  }

  void be_body() {
    try {
      task_group([this](TaskGroup& group) {
        for (std::uint64_t left = below(4); left > 0 && may_spawn(); --left)
          world_.keep(group.spawn(child()));
        step();
        step();
      });
    } catch (const ValueError&) {
    }
  }

  /// Any fiber may call the callback at any time, and its owner may end meanwhile.
  void with_callback() {
    const auto call = [world = &world_, number = random_()] {
      World& in = *world;
      const std::uint64_t what = number;
      try {
        switch (in.several ? 3 : what % 5) {
          case 0:
            fiber::yield();
            break;
          case 1:
            fiber::sleep(microseconds(20));
            break;
          case 2: {
            const std::unique_lock lock(in.of_condition, microseconds(30));
            fiber::yield();
            break;
          }
          case 3:
            if (const auto task = in.any(what)) task->cancel();
            break;
          default:
            if (in.to_spawn.fetch_sub(1) > 0) fiber::spawn(Actor(in, what, 1)).join(0.001);
        }
      } catch (const CancelledError&) {
      } catch (const std::exception&) {
      }
    };
    const Callback stopping(fiber::get_stop_token(), call);
    step();
    step();
  }

  World& world_;
  std::mt19937_64 random_;
  const int depth_;
};

/// Runs one program, in fibers whose order its number determines.
void run_program(World& world, std::uint64_t seed) {
  fiber::run(
      [&] {
        for (std::uint64_t i = 0; i < 8; ++i)
          world.keep(fiber::spawn(Actor(world, seed * 8 + i, 3)));
        // The fibers that are left are cancelled.
        if (seed % 2 == 0) fiber::sleep(microseconds(seed % 500));
      },
      {.seed = seed});
}

TEST(RandomPrograms, EndAndLoseNothing) {
  const Watched watched;
  testing::internal::CaptureStderr();  // exceptions of tasks that nobody joins are printed
  const std::uint64_t first = number_of("PLUG_SEED", 1);
  for (std::uint64_t seed = first; seed < first + number_of("PLUG_PROGRAMS", kSeeds / 2); ++seed) {
    SCOPED_TRACE("PLUG_SEED=" + std::to_string(seed));
    Watched::begin(seed);
    World world;
    const FakeClock clock;
    run_program(world, seed);
    world.check();
    if (HasFailure()) break;
  }
  testing::internal::GetCapturedStderr();
}

TEST(RandomPrograms, OfSeveralThreadsEndAndLoseNothing) {
  const Watched watched;
  testing::internal::CaptureStderr();
  const std::uint64_t first = number_of("PLUG_SEED", 1);
  for (std::uint64_t seed = first; seed < first + number_of("PLUG_PROGRAMS", kSeeds / 10); ++seed) {
    SCOPED_TRACE("PLUG_SEED=" + std::to_string(seed));
    Watched::begin(seed);
    World world;
    world.several = true;
    {
      std::jthread other([&] { run_program(world, 2 * seed); });
      run_program(world, 2 * seed + 1);
    }
    world.check();
    if (HasFailure()) break;
  }
  testing::internal::GetCapturedStderr();
}

}  // namespace
}  // namespace plug
