#pragma once

// Fibers in several threads: one thread for each core of the machine, and work that is handed from
// one of them to another.
//
//   fiber::run_on(0, [](std::size_t) {  // in each thread a listener of its own, on one port
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
// The kernel gives each connection to one of the listeners (SO_REUSEPORT). Where that is too
// uneven, one thread accepts for all and hands the connections over before their handlers start:
//
//   fiber::run_on(4, [](std::size_t core, const std::vector<fiber::Scheduler>& all) {
//     if (core != 0) return fiber::sleep(std::nullopt);
//     Socket server = create_server({"127.0.0.1", 8000});
//     for (std::size_t next = 0;; ++next) {
//       auto [conn, peer] = server.accept();
//       all[next % all.size()].spawn(Handler(std::move(conn)));
//     }
//   });
//
// A fiber that has begun stays where it is.

#include <plug/fiber.hpp>

#include <concepts>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace plug::detail {

class Scheduler;

}  // namespace plug::detail

#pragma GCC visibility push(default)

namespace plug::detail {

void hand_over_fiber(Scheduler& scheduler, const std::shared_ptr<FiberOutcome>& outcome,
                     std::string name);

}  // namespace plug::detail

namespace plug::fiber {

/// The fibers of one thread, for those who want to add to them. A value: copies mean the same
/// fibers. It may outlive them.
class Scheduler {
 public:
  explicit Scheduler(std::shared_ptr<detail::Scheduler> scheduler) noexcept
      : scheduler_(std::move(scheduler)) {}
  Scheduler(const Scheduler&) noexcept = default;
  Scheduler& operator=(const Scheduler&) noexcept = default;
  ~Scheduler() = default;

  /// Starts a fiber in that thread, from any thread, with all that `function` holds; of several
  /// that one thread starts the first begins first. Its name is for lists and reports.
  ///
  /// Throws RuntimeError when the main fiber there has ended, std::bad_alloc. When it ends before
  /// the fiber has begun, join() of the Task throws RuntimeError; when there is no memory for the
  /// fiber, std::bad_alloc. In each case the function is dropped: a connection in it closes.
  template <detail::FiberFunction F>
  auto spawn(std::string_view name, F function) const {
    using R = detail::FiberResult<F>;
    std::shared_ptr<detail::FiberValue<R>> outcome =
        std::make_shared<detail::FiberCall<F, R>>(std::move(function));
    detail::hand_over_fiber(*scheduler_, outcome, std::string(name));
    return Task<R>(std::move(outcome));
  }
  template <detail::FiberFunction F>
  auto spawn(F function) const {
    return spawn(std::string_view(), std::move(function));
  }

  friend bool operator==(const Scheduler&, const Scheduler&) noexcept = default;

 private:
  std::shared_ptr<detail::Scheduler> scheduler_;
};

/// The fibers of the calling thread. Throws RuntimeError outside of a fiber.
Scheduler here();

}  // namespace plug::fiber

namespace plug::detail {

using AllCores = const std::vector<fiber::Scheduler>&;
using CoreMain = std::function<void(std::size_t core, AllCores all)>;
void run_on_cores(std::size_t cores, const CoreMain& main, const fiber::RunOptions& options);

}  // namespace plug::detail

namespace plug::fiber {

/// What run_on() calls on each core: with its number, counted from 0, and, where it takes them,
/// with the schedulers of all cores in that order.
template <class F>
concept CoreFunction =
    std::invocable<F&, std::size_t> || std::is_invocable_v<F&, std::size_t, detail::AllCores>;

/// Runs fibers in that many threads, one of which is the calling one, as fiber::run() does: the
/// main fiber of each calls main(core), at the same time as the others. 0: as many threads as the
/// process has processors to use, by its affinity and by the quota of its cgroup, rounded up.
/// Returns when all have ended, whatever main returns.
///
/// What one of them throws ends the others, whose main fibers are cancelled, and is thrown here;
/// what they throw besides is printed on standard error. The threads are not bound to processors.
/// Those that are made here take no signals: the interrupt hook is asked in core 0.
///
/// Throws RuntimeError in a fiber; OSError when there are no threads or descriptors to spare.
template <CoreFunction F>
void run_on(std::size_t cores, F main, const RunOptions& options = {}) {
  detail::run_on_cores(
      cores,
      [&main](std::size_t core, [[maybe_unused]] detail::AllCores all) {
        if constexpr (std::invocable<F&, std::size_t>)
          main(core);
        else
          main(core, all);
      },
      options);
}

}  // namespace plug::fiber

#pragma GCC visibility pop
