#pragma once

// Structured concurrency for fibers: a scope that waits for its children, concurrent calls, and a
// timeout for a block of code. Python: asyncio.
//
//   auto [page, price] = gather(5, [] { return fetch("page"); }, [] { return ask(); });
//
//   TaskGroup group;
//   for (const std::string& host : hosts) group.spawn([&] { visit(host); });
//   group.wait();
//
// Link with plug::fiber.

#include <plug/detail/forward.hpp>
#include <plug/detail/group.hpp>
#include <plug/fiber/fiber.hpp>
#include <plug/timeout.hpp>

#include <concepts>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#pragma GCC visibility push(default)

namespace plug {

/// Calls `function` in this fiber, and returns or throws its result. If it takes longer than
/// `time`, the call in which it waits, or the next one that would wait, throws CancelledError. When
/// that leaves `function`, timeout() throws TimeoutError instead. If `function` catches the
/// CancelledError and does not rethrow it, there is no TimeoutError. A fiber that is cancelled
/// meanwhile, even at the same moment, gets CancelledError, not TimeoutError. If several nested
/// timeouts have expired, the outermost throws. Fibers that `function` starts are not affected,
/// unless it waits for them in a TaskGroup. Throws RuntimeError outside of a fiber.
/// Python: asyncio.timeout().
template <std::invocable F>
decltype(auto) timeout(const Timeout& time, F function) {
  detail::TimeLimit limit(time);
  try {
    return function();
  } catch (const CancelledError&) {
    limit.throw_if_reached();
    throw;
  }
}

/// A scope for fibers that work together. Its children cannot outlive it.
///
/// When a child throws, the others are cancelled, and wait() throws that exception. When the fiber
/// that waits is cancelled, or an exception leaves the scope, the children are cancelled and waited
/// for. A child that ends by CancelledError has not failed. Further exceptions of children are
/// printed to standard error, unless Task::join() throws them.
///
/// Any fiber may add children, and so may the children. All members may be called from any thread.
/// A child that fails does not interrupt the code in the scope; only wait() reports it. If that
/// code waits for something else, use task_group(), which cancels its body.
/// Python: asyncio.TaskGroup.
class TaskGroup {
 public:
  /// Throws std::bad_alloc.
  TaskGroup();
  TaskGroup(const TaskGroup&) = delete;
  TaskGroup& operator=(const TaskGroup&) = delete;
  /// Waits for the children as wait() does, but throws nothing. An exception of a child is printed.
  /// If the caller is cancelled, its next wait throws CancelledError.
  ~TaskGroup();

  /// Starts a child, as fiber::spawn() does. In a cancelled group the child starts cancelled.
  template <detail::FiberFunction F>
  auto spawn(std::string_view name, F function) {
    return start("TaskGroup::spawn", std::string(name), std::move(function));
  }
  template <detail::FiberFunction F>
  auto spawn(F function) {
    return spawn(std::string_view(), std::move(function));
  }

  /// Blocks until all children have ended, including those that are added meanwhile. Then throws
  /// the exception of the first child that failed, or CancelledError if the caller was cancelled.
  /// Throws RuntimeError if a child calls it. Afterwards the group can be used again. For a time
  /// limit, call it in timeout().
  void wait();

  /// Cancels each child once, and those that will be added before wait() returns.
  void cancel() noexcept;

 private:
  template <std::invocable<TaskGroup&> F>
  friend auto task_group(F body);
  template <detail::FiberFunction... F>
  friend std::tuple<detail::Gathered<detail::FiberResult<F>>...> gather(F... functions);
  template <detail::FiberFunction F>
  friend auto gather(std::vector<F> functions);

  template <detail::FiberFunction F>
  auto start(const char* call, std::string name, F function) {
    return detail::spawn_in(group_.get(), {call, std::move(name)}, std::move(function));
  }
  /// Calls body(argument), and waits for the children.
  void run(void (*body)(void*), void* argument);

  const std::unique_ptr<detail::fiber::FiberGroup> group_;
  const int exceptions_;  // uncaught exceptions when it was created
};

/// Calls `body` in this fiber, with a group for the children that it starts. Waits for them, and
/// returns the result of the body.
///
///   const Bytes answer = task_group([&](TaskGroup& group) {
///     group.spawn([&] { watch(conn); });
///     return conn.recv(100);  // throws CancelledError if watch() throws
///   });
///
/// When a child throws, the other children and the body are cancelled: in the body, the call that
/// waits, or the next one that would wait, throws CancelledError, once. When all have ended, the
/// child's exception is thrown, regardless of how the body has ended. When the body throws or this
/// fiber is cancelled, the children are cancelled, and that exception is thrown when all have
/// ended. A child's exception takes precedence if the child failed first, or if this fiber was only
/// cancelled; the fiber's next wait then throws CancelledError again. Other exceptions are printed
/// to standard error. Throws RuntimeError outside of a fiber; std::bad_alloc.
/// Python: async with asyncio.TaskGroup() as group.
template <std::invocable<TaskGroup&> F>
auto task_group(F body) {
  using R = std::decay_t<std::invoke_result_t<F&, TaskGroup&>>;
  struct Call {
    F& body;
    TaskGroup group = TaskGroup();
    std::optional<detail::Gathered<R>> result = std::nullopt;
  } call{body};
  call.group.run(
      [](void* it) {
        Call& made = *static_cast<Call*>(it);
        if constexpr (std::is_void_v<R>)
          made.body(made.group);
        else
          made.result.emplace(made.body(made.group));
      },
      &call);
  if constexpr (!std::is_void_v<R>) return std::move(*call.result);
}

/// Calls all functions concurrently, each in a new fiber, and returns their results as a tuple,
/// with std::monostate for void. When one throws, or the caller is cancelled, the others are
/// cancelled and waited for, and that exception is thrown. Throws RuntimeError outside of a fiber.
/// Python: asyncio.gather(), which leaves the others running.
template <detail::FiberFunction... F>
std::tuple<detail::Gathered<detail::FiberResult<F>>...> gather(F... functions) {
  TaskGroup group;
  std::tuple<fiber::Task<detail::FiberResult<F>>...> tasks{
      group.start("gather", {}, std::move(functions))...};
  group.wait();
  return std::apply(
      [](auto&... task) {
        return std::tuple<detail::Gathered<detail::FiberResult<F>>...>{detail::result_of(task)...};
      },
      tasks);
}

/// Like gather() above, for a vector of functions. Returns a vector of their results, or nothing if
/// they return void.
template <detail::FiberFunction F>
auto gather(std::vector<F> functions) {
  using R = detail::FiberResult<F>;
  TaskGroup group;
  std::vector<fiber::Task<R>> tasks;
  tasks.reserve(functions.size());
  for (F& function : functions) tasks.push_back(group.start("gather", {}, std::move(function)));
  group.wait();
  if constexpr (std::is_void_v<R>) {
    for (fiber::Task<R>& task : tasks) task.join();
  } else {
    std::vector<R> results;
    results.reserve(tasks.size());
    for (fiber::Task<R>& task : tasks) results.push_back(task.join());
    return results;
  }
}

/// Like gather() without a timeout, but when `time` expires, cancels all functions, waits for them
/// and throws TimeoutError.
template <detail::FiberFunction... F>
auto gather(const Timeout& time, F... functions) {
  return timeout(time, [&] { return gather(std::move(functions)...); });
}
template <detail::FiberFunction F>
auto gather(const Timeout& time, std::vector<F> functions) {
  return timeout(time, [&] { return gather(std::move(functions)); });
}

}  // namespace plug

#pragma GCC visibility pop
