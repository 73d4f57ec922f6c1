#pragma once

// Fibers: calls in plain blocking style, of which one thread runs many thousand. Whatever of plug
// would wait in a fiber lets the thread's other fibers run meanwhile: the same code, with the same
// time-outs and errors, as on a thread of its own.
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
// A fiber stays on the thread that it was started by. It runs until it waits, yields or ends: what
// else blocks (a std::mutex that another fiber holds, sleep_for, reading a file) blocks all fibers
// of the thread, unless it is left to a helper thread by offload(). Nothing that belongs to a
// thread, such as a lock of std::mutex, may be held while a fiber waits.
//
// A fiber that forks goes on alone in the child, as on a plain thread: the others run in the parent
// only, where asking for them in the child is a RuntimeError. The child may run fibers of its own.
// When the function of the fiber that forked returns there, so does fiber::run() if that was the
// main fiber; otherwise it throws RuntimeError. What the others hold is not destroyed in the child.
//
// Link with plug::fiber, and compile what fibers call with -fstack-clash-protection (RunOptions
// says why), which that brings along.

#include <plug/error.hpp>
#include <plug/timeout.hpp>

#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <exception>
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

namespace plug::detail {

class FiberGroup;

}  // namespace plug::detail

#pragma GCC visibility push(default)

namespace plug::fiber {

/// What tells fibers that something has happened.
enum class Engine : std::uint8_t {
  auto_,  ///< what the environment variable PLUG_ENGINE names: auto, epoll or uring; auto is epoll
  epoll,  ///< epoll(7)
  uring   ///< io_uring(7), which makes fewer system calls the more fibers wait. Needs Linux 6.1.
          ///< Where the kernel, or what confines the process, does not let it have one, and where
          ///< plug was built without liburing, fibers run with epoll instead: see engine().
};

struct RunOptions {
  /// Address space for the stack of each fiber, in bytes; only pages that are touched take memory.
  /// A fiber that overflows its stack ends the process, with a line on standard error that names
  /// it. The SIGSEGV handler that prints the line passes all other faults to the previous handler.
  ///
  /// The guard below each stack is 64 KiB. A larger frame may step over it and write into another
  /// stack, unless it was compiled with -fstack-clash-protection: the library is, and the CMake
  /// target plug::fiber and `pkg-config --cflags plug-fiber` give the option to its users. Before
  /// Linux 6.13 only the first 8,192 stacks of a process have guard pages; of the others an
  /// overflow of up to 64 KiB is noticed when the fiber waits or ends, and a larger one is not.
  std::size_t stack_size = 256 * 1024;
  Engine engine = Engine::auto_;
  /// For tests: fibers that could run do so in an order made from this number, and not first come,
  /// first served.
  std::optional<std::uint64_t> seed = std::nullopt;
  /// Cancels the main fiber once a stop is requested, from whatever thread.
  std::stop_token stop = {};
  /// A fiber that runs for longer than this, without waiting or yielding, holds up all others and
  /// is reported: with its name, and the time that it has run for at least; again when that time
  /// has doubled. Without it nobody looks; zero is the same. Each look is a thread's of its own,
  /// four in this time.
  Timeout busy_limit = std::nullopt;
  /// Called in that thread, and must not throw. By default it is a line on standard error.
  std::function<void(std::string_view name, std::chrono::nanoseconds time)> on_busy = nullptr;
  /// For how long, at most, a thread whose fibers all wait looks for events again and again before
  /// it sleeps: some 50 microseconds answer a client sooner by what putting the processor to sleep
  /// and waking it takes, and keep it busy meanwhile. It looks for as long as that has paid of
  /// late, and not at all where events are further apart than this. Without it, or with zero, it
  /// sleeps at once. Not for a machine with a single processor, which who is to send may need.
  Timeout busy_poll = std::nullopt;
};

/// Tells whether the calling fiber has been asked to end, which a loop that never waits can look
/// at: for all that Task::cancel() and the end of the main fiber bring about, from then on and for
/// ever, at once also when another thread asks. A time-out of plug/fiber_group.hpp is none of that.
///
/// A std::stop_callback is called by the fiber, or thread, that cancels, before the fiber is told;
/// at the end of the main fiber by that. It may wait. While it does, its destructor does not wait
/// for it in another fiber of that thread, and blocks the thread in any other.
///
/// Throws RuntimeError outside of a fiber, std::bad_alloc.
std::stop_token get_stop_token();

}  // namespace plug::fiber

namespace plug::detail {

/// What a fiber can run: it may take a std::stop_token, as what a std::jthread runs.
template <class F>
concept FiberFunction = std::invocable<F&> || std::invocable<F&, std::stop_token>;

template <FiberFunction F>
decltype(auto) call_in_fiber(F& function) {
  if constexpr (std::invocable<F&, std::stop_token>)
    return function(fiber::get_stop_token());
  else
    return function();
}

template <FiberFunction F>
using FiberResult = decltype(call_in_fiber(std::declval<F&>()));

/// What comes of a fiber, for those who wait for it.
class FiberOutcome {
 public:
  FiberOutcome();
  FiberOutcome(const FiberOutcome&) = delete;
  FiberOutcome& operator=(const FiberOutcome&) = delete;
  /// Reports an exception that nobody has asked for.
  virtual ~FiberOutcome();

  /// Returns when the fiber has ended; kTimedOut, kCancelled.
  long wait(const Timeout& timeout);
  bool done() const noexcept;
  void cancel() noexcept;
  const std::string& name() const noexcept;
  /// Throws what the fiber threw.
  void rethrow();

 protected:
  virtual void call() = 0;
  /// Lets go of what would have been called.
  virtual void drop() noexcept = 0;

 private:
  friend struct FiberAccess;
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

template <class R>
class FiberValue : public FiberOutcome {
 public:
  R take() { return std::move(*value_); }

 protected:
  std::optional<R> value_;
};

template <>
class FiberValue<void> : public FiberOutcome {
 public:
  void take() noexcept {}
};

template <class F, class R>
class FiberCall final : public FiberValue<R> {
 public:
  explicit FiberCall(F function) : function_(std::move(function)) {}

 private:
  void call() override {
    // Ends with the call, and not with whoever waits for its result.
    F function = std::move(*function_);
    function_.reset();
    if constexpr (std::is_void_v<R>)
      call_in_fiber(function);
    else
      this->value_.emplace(call_in_fiber(function));
  }
  void drop() noexcept override { function_.reset(); }

  std::optional<F> function_;
};

/// `group`: the one that it is a child of, if any.
void start_fiber(const std::shared_ptr<FiberOutcome>& outcome, std::string name, FiberGroup* group);
void run_fibers(const std::shared_ptr<FiberOutcome>& main, const fiber::RunOptions& options);
void throw_if_not_joined(long waited, const std::string& name);

/// A call that a helper thread makes.
class HelperCall {
 public:
  HelperCall() = default;
  HelperCall(const HelperCall&) = delete;
  HelperCall& operator=(const HelperCall&) = delete;

  /// Returns when it has been made. Throws what it has thrown.
  void run();

 protected:
  ~HelperCall() = default;

 private:
  virtual void call() = 0;
};

template <class F, class R>
class HelperCallOf final : public HelperCall {
 public:
  explicit HelperCallOf(F& function) noexcept : function_(function) {}
  R take() {
    run();
    if constexpr (!std::is_void_v<R>) return std::move(*value_);
  }

 private:
  void call() override {
    if constexpr (std::is_void_v<R>)
      function_();
    else
      value_.emplace(function_());
  }

  F& function_;
  std::optional<std::conditional_t<std::is_void_v<R>, char, R>> value_;
};

}  // namespace plug::detail

namespace plug::fiber {

/// A fiber that has been started, and what it returns. A value: copies, and one that has been moved
/// from, mean the same fiber. Dropping the last leaves the fiber running; what it throws is then
/// printed on standard error. All may be called from any thread.
template <class R>
class Task {
 public:
  explicit Task(std::shared_ptr<detail::FiberValue<R>> outcome) noexcept
      : outcome_(std::move(outcome)) {}
  Task(const Task&) noexcept = default;
  Task& operator=(const Task&) noexcept = default;
  ~Task() = default;

  /// Waits until the fiber has ended, for `timeout` at most, and gives what it returned: once.
  /// Throws what it threw, CancelledError when it was cancelled; TimeoutError, and the fiber goes
  /// on; CancelledError when the caller is cancelled itself; RuntimeError in the fiber itself.
  R join(Timeout timeout = std::nullopt) {
    detail::throw_if_not_joined(outcome_->wait(timeout), outcome_->name());
    outcome_->rethrow();
    return outcome_->take();
  }

  /// Whether it has ended, so that join() does not wait.
  bool done() const noexcept { return outcome_->done(); }

  /// Asks the fiber to end: CancelledError in the call in which it waits, or in the next that
  /// would. Once for each time: what it waits for while it cleans up is not disturbed. Its stop
  /// token tells so at once.
  void cancel() noexcept { outcome_->cancel(); }

  const std::string& name() const noexcept { return outcome_->name(); }

 private:
  std::shared_ptr<detail::FiberValue<R>> outcome_;
};

}  // namespace plug::fiber

namespace plug::detail {

template <FiberFunction F>
auto spawn_in(FiberGroup* group, std::string_view name, F function) {
  using R = FiberResult<F>;
  std::shared_ptr<FiberValue<R>> outcome = std::make_shared<FiberCall<F, R>>(std::move(function));
  start_fiber(outcome, std::string(name), group);
  return fiber::Task<R>(std::move(outcome));
}

}  // namespace plug::detail

namespace plug::fiber {

/// Runs fibers in the calling thread, the first of which calls `main`, and gives what that returns
/// or throws. When it has ended the others are cancelled, and this returns when all have ended.
///
/// A signal that comes while all fibers wait has the interrupt hook (set_interrupt_hook()) asked in
/// the main fiber. Throws RuntimeError in a fiber, ValueError for a stack_size above 64 GiB and for
/// an unknown PLUG_ENGINE, OSError when there are no descriptors or memory to spare,
/// std::bad_alloc. Several threads may run fibers at once, each its own.
template <detail::FiberFunction F>
auto run(F main, const RunOptions& options = {}) {
  using R = detail::FiberResult<F>;
  const auto outcome = std::make_shared<detail::FiberCall<F, R>>(std::move(main));
  detail::run_fibers(outcome, options);
  outcome->rethrow();
  return outcome->take();
}

/// Starts a fiber beside the calling one; it first runs when that waits, yields or ends. Its name
/// is for lists and reports. A function that can be called with a std::stop_token gets
/// get_stop_token(). Throws RuntimeError outside of a fiber, std::bad_alloc when there is no memory
/// for it.
template <detail::FiberFunction F>
auto spawn(std::string_view name, F function) {
  return detail::spawn_in(nullptr, name, std::move(function));
}
template <detail::FiberFunction F>
auto spawn(F function) {
  return spawn(std::string_view(), std::move(function));
}

/// Whether the caller is in a fiber.
bool inside() noexcept;

/// Lets the thread's other fibers run. Throws CancelledError. Nothing outside of a fiber but
/// std::this_thread::yield().
void yield();

/// Waits, on a plain thread too. Throws CancelledError.
void sleep(const Timeout& time);

/// Calls a function that blocks, such as one that reads files, in a helper thread while the fiber
/// waits, and gives what it returns or throws. Outside of a fiber it is simply called.
///
/// The function may refer to the caller's variables: this returns when it has ended and not before.
/// Nothing can interrupt it, so a fiber that is cancelled meanwhile is told by the next call that
/// waits. In its thread it is in no fiber, and takes no signals.
///
/// At most 16 such threads work at once, which are also those that look up names; more work waits
/// its turn. A thread whose function looks up a name or runs fibers that offload something does not
/// count while it waits for that. Throws CancelledError when the fiber has been cancelled before,
/// OSError when there can be no thread.
template <std::invocable F>
auto offload(F function) {
  if (!inside()) return function();
  return detail::HelperCallOf<F, std::decay_t<std::invoke_result_t<F&>>>(function).take();
}

/// Waits until a child process has ended, reaps it, and gives its exit status, or the negative
/// number of the signal that ended it. On a plain thread too. Nobody else may wait for that child.
///
/// Throws ValueError unless pid > 0; ChildProcessError when it is no child of this process, or has
/// been reaped; TimeoutError, and the child goes on; CancelledError likewise.
/// Python: subprocess.Popen.wait(); waitpid(2), pidfd_open(2).
int wait_process(int pid, const Timeout& timeout = std::nullopt);
/// The error of a pid that is not above zero is EINVAL.
int wait_process(int pid, const Timeout& timeout, std::error_code& error);

/// A fiber of the calling thread.
struct Info {
  std::string name;
  /// The call in which it waits; empty when it does not.
  std::string_view waits_in;
  /// The most that has been used of its stack, in bytes, in whole pages; also by a fiber that had
  /// the same stack before.
  std::size_t stack_used;
};
/// All that have not ended. Throws RuntimeError outside of a fiber.
std::vector<Info> list();

/// What tells the thread's fibers that something has happened: "epoll" or "uring". Throws
/// RuntimeError outside of a fiber.
std::string_view engine();

}  // namespace plug::fiber

#pragma GCC visibility pop
