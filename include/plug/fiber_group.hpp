#pragma once

// Fibers that belong together: a scope that waits for its children, several calls at once, and a
// time-out for whatever is done. As Python's asyncio has them.
//
//   auto [page, price] = fiber::gather(5, [] { return fetch("page"); }, [] { return ask(); });
//
//   fiber::TaskGroup group;
//   for (const std::string& host : hosts) group.spawn([&] { visit(host); });
//   group.wait();
//
// Link with plug::fiber.

#include <plug/fiber.hpp>
#include <plug/timeout.hpp>

#include <concepts>
#include <cstddef>
#include <memory>
#include <optional>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace plug::detail {

struct FiberLimit;

}  // namespace plug::detail

#pragma GCC visibility push(default)

namespace plug::detail {

/// The time of what the calling fiber does while this lives.
class TimeLimit {
 public:
  explicit TimeLimit(const Timeout& time);
  TimeLimit(const TimeLimit&) = delete;
  TimeLimit& operator=(const TimeLimit&) = delete;
  ~TimeLimit();

  /// Throws TimeoutError if this is why the fiber has been told to end.
  void throw_if_reached();

 private:
  const Timeout time_;
  std::unique_ptr<FiberLimit> limit_;
};

}  // namespace plug::detail

namespace plug::fiber {

/// Calls `function` in this fiber and gives what it returns or throws. When it takes longer than
/// `time` it gets CancelledError where it waits, or is about to, and this throws TimeoutError once
/// that has come through: what the function catches and keeps is no time-out. A fiber that is
/// cancelled meanwhile, even at that very moment, gets CancelledError and no TimeoutError. Of
/// several around each other that have run out, the outermost throws. Its children are not
/// concerned, unless it waits for them in a TaskGroup. Throws RuntimeError outside of a fiber.
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

/// A scope that its children do not outlive: fibers that work on something together.
///
/// When a child throws, the others are cancelled, and its exception comes out of wait(). When the
/// fiber that waits is cancelled, or the scope is left by an exception, the children are cancelled
/// and waited for. A child that ends by CancelledError has merely ended. What else children throw
/// is printed on standard error, unless it is asked for by Task::join().
///
/// Any fiber may add children, they themselves included; all may be called from any thread.
/// The scope itself goes on when a child fails, and wait() is what tells it: what waits for
/// something else meanwhile is better the body of task_group(), which is cancelled then.
/// Python: asyncio.TaskGroup.
class TaskGroup {
 public:
  /// Throws std::bad_alloc.
  TaskGroup();
  TaskGroup(const TaskGroup&) = delete;
  TaskGroup& operator=(const TaskGroup&) = delete;
  /// Waits for the children, as wait(), but throws nothing: what a child threw is printed, and the
  /// caller's being cancelled comes out of its next wait.
  ~TaskGroup();

  /// Starts a child, as fiber::spawn(). In a group that has been cancelled it begins cancelled.
  template <detail::FiberFunction F>
  auto spawn(std::string_view name, F function) {
    return detail::spawn_in(group_.get(), name, std::move(function));
  }
  template <detail::FiberFunction F>
  auto spawn(F function) {
    return spawn(std::string_view(), std::move(function));
  }

  /// Waits until all children have ended, those included that are added meanwhile. Throws what the
  /// first of them to fail threw, CancelledError when the caller is cancelled; all have ended then
  /// as well. RuntimeError when one of them calls it. After that the group is as new. To wait no
  /// longer than some time, call it in timeout().
  void wait();

  /// Cancels the children that there are, each once, and those that will be added before wait()
  /// returns.
  void cancel() noexcept;

 private:
  template <std::invocable<TaskGroup&> F>
  friend auto task_group(F body);

  /// Calls body(argument), and waits.
  void run(void (*body)(void*), void* argument);

  const std::unique_ptr<detail::FiberGroup> group_;
  const int exceptions_;  // under way when it was made
};

}  // namespace plug::fiber

namespace plug::detail {

template <class R>
using Gathered = std::conditional_t<std::is_void_v<R>, std::monostate, R>;

template <class R>
Gathered<R> result_of(fiber::Task<R>& task) {
  if constexpr (std::is_void_v<R>) {
    task.join();
    return {};
  } else {
    return task.join();
  }
}

}  // namespace plug::detail

namespace plug::fiber {

/// Calls `body` in this fiber, with a group for the children that it starts, waits for them, and
/// gives what the body returns.
///
///   const Bytes answer = fiber::task_group([&](fiber::TaskGroup& group) {
///     group.spawn([&] { watch(conn); });
///     return conn.recv(100);  // ends by CancelledError when watch() throws
///   });
///
/// When a child throws, the others and the body are cancelled: the body gets CancelledError where
/// it waits, or is about to, once. When all have ended the child's exception comes out, whatever
/// the body has made of that. When the body throws, or this fiber is cancelled, the children are
/// cancelled, and that comes out when all have ended; but a child's exception comes first if one
/// has failed before, or if this fiber has merely been cancelled, which its next wait tells it
/// again then. What is thrown besides is printed on standard error. Throws RuntimeError outside of
/// a fiber, std::bad_alloc. Python: async with asyncio.TaskGroup() as group.
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

/// Calls all functions at once, each in a fiber of its own, and gives what they return as a tuple,
/// with std::monostate for what returns nothing. When one throws, or the caller is cancelled, the
/// others are cancelled and waited for, and that exception comes out. Throws RuntimeError outside
/// of a fiber.
/// Python: asyncio.gather(), which leaves the others running.
template <detail::FiberFunction... F>
std::tuple<detail::Gathered<detail::FiberResult<F>>...> gather(F... functions) {
  TaskGroup group;
  std::tuple<Task<detail::FiberResult<F>>...> tasks{group.spawn(std::move(functions))...};
  group.wait();
  return std::apply(
      [](auto&... task) {
        return std::tuple<detail::Gathered<detail::FiberResult<F>>...>{detail::result_of(task)...};
      },
      tasks);
}

/// The same for as many functions as there are at run time: a vector of what they return, or
/// nothing when that is nothing.
template <detail::FiberFunction F>
auto gather(std::vector<F> functions) {
  using R = detail::FiberResult<F>;
  TaskGroup group;
  std::vector<Task<R>> tasks;
  tasks.reserve(functions.size());
  for (F& function : functions) tasks.push_back(group.spawn(std::move(function)));
  group.wait();
  if constexpr (std::is_void_v<R>) {
    for (Task<R>& task : tasks) task.join();
  } else {
    std::vector<R> results;
    results.reserve(tasks.size());
    for (Task<R>& task : tasks) results.push_back(task.join());
    return results;
  }
}

/// The same within a time-out, after which all are cancelled and waited for: TimeoutError.
template <detail::FiberFunction... F>
auto gather(const Timeout& time, F... functions) {
  return timeout(time, [&] { return gather(std::move(functions)...); });
}
template <detail::FiberFunction F>
auto gather(const Timeout& time, std::vector<F> functions) {
  return timeout(time, [&] { return gather(std::move(functions)); });
}

}  // namespace plug::fiber

#pragma GCC visibility pop
