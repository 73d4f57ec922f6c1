#pragma once

// Fibers in several threads: one thread per core, and work that one thread hands over to another.
//
//   fiber::run_per_core([](std::size_t) {  // each thread has a listener on the same port
//     Socket server = create_server({"127.0.0.1", 8000}, {.reuse_port = true});
//     while (true) {
//       auto [conn, peer] = server.accept();
//       fiber::spawn([conn = std::move(conn)]() mutable {
//         for (Bytes data = conn.recv(4096); !data.empty(); data = conn.recv(4096))
//           conn.sendall(data);
//       });
//     }
//   });
//
// The kernel distributes connections over the listeners (SO_REUSEPORT). If that is too uneven, one
// thread accepts all connections and hands them over before their handlers start:
//
//   fiber::run_on_threads(4, [](std::size_t core, const std::vector<fiber::Scheduler>& all) {
//     if (core != 0) return fiber::sleep(std::nullopt);
//     Socket server = create_server({"127.0.0.1", 8000});
//     for (std::size_t next = 0;; ++next) {
//       auto [conn, peer] = server.accept();
//       all[next % all.size()].spawn(Handler(std::move(conn)));
//     }
//   });
//
// A fiber that has started never moves to another thread.

#include <plug/detail/fiber_cores.hpp>
#include <plug/detail/forward.hpp>
#include <plug/fiber/fiber.hpp>

#include <concepts>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#pragma GCC visibility push(default)

namespace plug::fiber {

/// A handle to the fibers of one thread, through which any thread can start more of them. Copies
/// refer to the same fibers. May outlive the fibers.
class Scheduler {
 public:
  explicit Scheduler(std::shared_ptr<detail::fiber::FiberScheduler> scheduler) noexcept
      : scheduler_(std::move(scheduler)) {}
  Scheduler(const Scheduler&) noexcept = default;
  Scheduler& operator=(const Scheduler&) noexcept = default;
  ~Scheduler() = default;

  /// Starts a fiber in the scheduler's thread and moves `function` there. May be called from any
  /// thread. Functions that one thread spawns start in the order of the calls. list() and stall
  /// reports show the name.
  ///
  /// Throws RuntimeError if that thread's main fiber has ended; std::bad_alloc. If the main fiber
  /// ends before the new fiber has started, Task::join() throws RuntimeError; if there is no memory
  /// for the new fiber, std::bad_alloc. In each case the function is destroyed, which closes a
  /// connection in it.
  template <detail::FiberFunction F>
  auto spawn(std::string_view name, F function) const {
    using R = detail::FiberResult<F>;
    std::shared_ptr<detail::FiberValue<R>> outcome =
        std::make_shared<detail::FiberCall<F, R>>(std::move(function));
    detail::hand_over_fiber(*scheduler_, outcome, {"Scheduler::spawn", std::string(name)});
    return Task<R>(std::move(outcome));
  }
  template <detail::FiberFunction F>
  auto spawn(F function) const {
    return spawn(std::string_view(), std::move(function));
  }

  friend bool operator==(const Scheduler&, const Scheduler&) noexcept = default;

 private:
  std::shared_ptr<detail::fiber::FiberScheduler> scheduler_;
};

/// Returns the scheduler of the calling thread. Throws RuntimeError outside of a fiber.
[[nodiscard]] Scheduler here();

/// A function that each thread can call: with the thread's index, from 0, and, if it takes them,
/// with the schedulers of all threads in that order.
template <class F>
concept CoreFunction =
    std::invocable<F&, std::size_t> || std::is_invocable_v<F&, std::size_t, detail::AllCores>;

/// Runs fibers in `threads` threads, one of which is the calling one, as fiber::run() does. The
/// main fibers call main(index) concurrently. Returns when all fibers have ended, and ignores the
/// results of main.
///
/// An exception of one main fiber cancels the others and is thrown here; their exceptions are
/// printed to standard error. Threads are not pinned to CPUs. Threads that this creates block
/// signals: the interrupt hook runs in thread 0.
///
/// Throws ValueError if `threads` is 0; RuntimeError in a fiber; OSError if there are not enough
/// threads or descriptors.
template <CoreFunction F>
void run_on_threads(std::size_t threads, F main, const RunOptions& options = {}) {
  detail::run_on_threads(
      threads,
      [&main](std::size_t index, [[maybe_unused]] detail::AllCores all) {
        if constexpr (std::invocable<F&, std::size_t>)
          main(index);
        else
          main(index, all);
      },
      options);
}

/// Like run_on_threads(), with one thread for each CPU that the process may use: as many as its
/// affinity allows or, if less, the CPU quota of its cgroup, rounded up.
template <CoreFunction F>
void run_per_core(F main, const RunOptions& options = {}) {
  run_on_threads(detail::usable_cores(), std::move(main), options);
}

}  // namespace plug::fiber

#pragma GCC visibility pop
