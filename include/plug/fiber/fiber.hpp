#pragma once

// Fibers: plain blocking code, thousands of which run in one thread. Inside a fiber, every blocking
// plug call suspends only that fiber. Timeouts and errors are the same as on a thread.
//
//   fiber::run([] {
//     Socket server = create_server({"127.0.0.1", 8000});
//     while (true) {
//       auto [conn, peer] = server.accept();
//       fiber::spawn([conn = std::move(conn)]() mutable {
//         for (Bytes data = conn.recv(4096); !data.empty(); data = conn.recv(4096))
//           conn.sendall(data);
//       });
//     }
//   });
//
// Scheduling. A fiber stays on one thread. It runs until it waits, yields or ends. A plug call may
// also yield when it does not have to wait. Any other blocking call (locking a std::mutex that
// another fiber holds, sleep_for, reading a file) blocks all fibers of the thread, unless offload()
// runs it in a helper thread. While a fiber waits it must not hold anything that belongs to a
// thread, such as a lock of a std::mutex.
//
// Forking. A fiber that forks continues alone in the child, as on a plain thread. The other fibers
// run only in the parent. Joining them in the child, or spawning through their Scheduler
// (fiber/cores.hpp), throws RuntimeError. The child may run new fibers. When the function of the
// forking fiber returns in the child, fiber::run() returns in the child as well if it was the main
// fiber, and throws RuntimeError otherwise. Objects on the stacks of the other fibers are not
// destroyed in the child.
//
// Building. Link with plug::fiber. It compiles your code with -fstack-clash-protection, which all
// code that runs in fibers should be compiled with (see RunOptions::stack_size).

#include <plug/detail/fiber_outcome.hpp>
#include <plug/error.hpp>
#include <plug/timeout.hpp>

#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

#pragma GCC visibility push(default)

namespace plug::fiber {

/// The kernel interface that reports events to fibers.
enum class Engine : std::uint8_t {
  auto_,  ///< chosen by the environment variable PLUG_ENGINE (auto, epoll or uring); epoll if the
          ///< variable is auto, empty or not set
  epoll,  ///< epoll(7)
  uring   ///< io_uring(7): the more fibers wait, the fewer system calls. Needs Linux 6.1. Falls
          ///< back to epoll if the kernel or a sandbox refuses io_uring, or if plug was built
          ///< without liburing; see engine().
};

struct RunOptions {
  /// The size of each fiber's stack, in bytes of address space. Only pages that are touched take
  /// memory. A stack overflow ends the process with a line on standard error that names the fiber.
  /// A SIGSEGV handler prints it, and passes all other faults to the previous handler.
  ///
  /// The guard below each stack is 64 KiB. A larger stack frame may step over it and write into
  /// another stack, unless it was compiled with -fstack-clash-protection. The library is compiled
  /// with that option; the CMake target plug::fiber and `pkg-config --cflags plug-fiber` pass the
  /// option to users. Before Linux 6.13 only the first 8,192 stacks of a process have guard pages.
  /// On the others, an overflow is detected only when the fiber waits or ends, and only if it is of
  /// 64 KiB at most.
  std::size_t stack_size = 256 * 1024;
  Engine engine = Engine::auto_;
  /// For tests: fibers that are ready run in a random order with this seed, instead of in the order
  /// in which they became ready.
  std::optional<std::uint64_t> seed = std::nullopt;
  /// Cancels the main fiber when a stop is requested, by any thread.
  std::stop_token stop = {};
  /// Reports a fiber that runs for longer than this without waiting or yielding, because it blocks
  /// all others. Reports it again each time that the duration has doubled. Disabled by default and
  /// when zero. A monitor thread samples four times per interval, but at most once per millisecond.
  Timeout stall_threshold = std::nullopt;
  /// Called in the monitor thread with the fiber's name and the least time that it has run. Must
  /// not throw. The default prints a line to standard error.
  std::function<void(std::string_view name, std::chrono::nanoseconds time)> on_stall = nullptr;
  /// How long, at most, a thread polls for events before it sleeps, when all its fibers wait. A
  /// good value to begin with is 50us: it saves a client the time that the CPU takes to sleep and
  /// wake up, but keeps the CPU busy meanwhile. The thread adapts: it polls only for as long as
  /// polling has recently found events, and hardly ever if events are further apart than this.
  /// Disabled by default and when zero. Do not use on a single-CPU machine: polling would starve
  /// the sender.
  Timeout busy_poll = std::nullopt;
};

/// Returns a token that tells whether the calling fiber has been asked to end, for loops that never
/// wait. A stop is requested by everything that cancels the fiber, such as Task::cancel() and the
/// end of the main fiber. The request is visible at once, even from another thread, and permanent.
/// A timeout of plug/group.hpp does not request a stop.
///
/// A std::stop_callback runs in the fiber or thread that cancels, before the cancelled fiber gets
/// CancelledError; at the end of the main fiber, it runs in the main fiber. The callback may wait.
/// If another fiber of that thread destroys the std::stop_callback meanwhile, its destructor
/// returns at once. In another thread, the destructor blocks the thread until the callback has
/// returned.
///
/// Throws RuntimeError outside of a fiber; std::bad_alloc.
[[nodiscard]] std::stop_token get_stop_token();

/// A handle to a fiber that has been started, and to its result. Copies refer to the same fiber,
/// and so does a moved-from Task. Destroying the last copy leaves the fiber running; an exception
/// of the fiber is then printed to standard error. All members may be called from any thread.
template <class R>
class Task {
 public:
  explicit Task(std::shared_ptr<detail::FiberValue<R>> outcome) noexcept
      : outcome_(std::move(outcome)) {}
  Task(const Task&) noexcept = default;
  Task& operator=(const Task&) noexcept = default;
  ~Task() = default;

  /// Blocks until the fiber has ended, for `timeout` at most, and moves the result out. Throws the
  /// fiber's exception (CancelledError if it was cancelled); TimeoutError after the timeout, which
  /// does not end the fiber; CancelledError if the caller is cancelled; RuntimeError in the
  /// fiber itself, and if an earlier join(), of any copy, has returned or thrown the result.
  R join(const Timeout& timeout = std::nullopt) {
    outcome_->join(timeout);
    return outcome_->take();
  }

  /// Returns true if the fiber has ended; join() then does not wait.
  [[nodiscard]] bool done() const noexcept { return outcome_->done(); }

  /// Asks the fiber to end: the call in which it waits, or the next one that would wait, throws
  /// CancelledError. That happens once per cancel(), so that the fiber may wait while it cleans up.
  /// Its stop token reports the stop at once.
  void cancel() noexcept { outcome_->cancel(); }

  /// Returns the name that was given to spawn(), or one like "spawn 3" or "gather 4", made of the
  /// function that has started the fiber and a number that is unique in its thread.
  [[nodiscard]] std::string name() const { return outcome_->name(); }

 private:
  std::shared_ptr<detail::FiberValue<R>> outcome_;
};

/// Runs fibers in the calling thread, beginning with `main`, and returns or throws its result. When
/// main has ended, cancels the other fibers, and returns when all have ended.
///
/// If a signal arrives while all fibers wait, the main fiber calls the interrupt hook
/// (set_interrupt_hook()). Throws RuntimeError in a fiber; ValueError for a stack_size above 64 GiB
/// or an unknown PLUG_ENGINE; OSError if there are not enough descriptors or memory;
/// std::bad_alloc. Several threads may each run fibers at the same time.
template <detail::FiberFunction F>
auto run(F main, const RunOptions& options = {}) {
  using R = detail::FiberResult<F>;
  const auto outcome = std::make_shared<detail::FiberCall<F, R>>(std::move(main));
  detail::run_fibers(outcome, options);
  outcome->rethrow();
  return outcome->take();
}

/// Starts a fiber in the same thread, and returns its Task. The new fiber first runs when the
/// calling fiber waits, yields or ends. list() and reports show the name (see Task::name()). A
/// function that can be called with a std::stop_token gets get_stop_token(). Throws RuntimeError
/// outside of a fiber; std::bad_alloc.
template <detail::FiberFunction F>
auto spawn(std::string_view name, F function) {
  return detail::spawn_in(nullptr, {"fiber::spawn", std::string(name)}, std::move(function));
}
template <detail::FiberFunction F>
auto spawn(F function) {
  return spawn(std::string_view(), std::move(function));
}

/// Returns true if the caller runs in a fiber.
[[nodiscard]] bool inside() noexcept;

/// Lets the thread's other fibers run. Throws CancelledError. Outside of a fiber it calls
/// std::this_thread::yield().
void yield();

/// Suspends the fiber, or blocks a plain thread, for `time`; forever if it is std::nullopt. Throws
/// CancelledError.
void sleep(const Timeout& time);

/// Calls a function that blocks, such as one that reads files, in a helper thread while the fiber
/// waits. Returns or throws its result. Outside of a fiber it calls the function directly.
///
/// The function may refer to the caller's variables, because offload() returns only after the
/// function has ended. Nothing can interrupt it. If the fiber is cancelled meanwhile, its next call
/// that waits throws CancelledError. The function does not run in a fiber, and its thread blocks
/// signals.
///
/// At most 16 helper threads work at a time; they also make name lookups. Further calls are queued.
/// A helper thread does not count while its function waits for another helper: for a name lookup,
/// or while it runs fibers that offload. Throws CancelledError if the fiber was cancelled before;
/// OSError if no thread can be started.
template <std::invocable F>
auto offload(F function) {
  if (!inside()) return function();
  return detail::HelperCallOf<F, std::decay_t<std::invoke_result_t<F&>>>(function).take();
}

/// Blocks until a child process has ended, and reaps it. Returns its exit status, or the negative
/// number of the signal that ended it. Works on a plain thread too. Nothing else may wait for that
/// child.
///
/// Throws ValueError unless pid > 0; ChildProcessError if it is not a child of this process or has
/// been reaped; TimeoutError or CancelledError, neither of which ends the child.
/// Python: subprocess.Popen.wait(); waitpid(2), pidfd_open(2).
int wait_process(int pid, const Timeout& timeout = std::nullopt);
/// Stores EINVAL if pid is not above zero.
int wait_process(int pid, const Timeout& timeout, std::error_code& error);

/// Describes a fiber of the calling thread.
struct Info {
  std::string name;
  /// The call in which it waits; empty if it does not wait.
  std::string_view waits_in;
  /// The most stack that has been used, in bytes, in whole pages. Includes earlier fibers on the
  /// same stack.
  std::size_t stack_used;
};
/// Returns the calling thread's fibers that have not ended. Throws RuntimeError outside of a fiber.
[[nodiscard]] std::vector<Info> list();

/// Returns the engine in use, "epoll" or "uring". Throws RuntimeError outside of a fiber.
[[nodiscard]] std::string_view engine();

}  // namespace plug::fiber

#pragma GCC visibility pop
