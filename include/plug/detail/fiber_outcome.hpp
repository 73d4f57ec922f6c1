#pragma once

// The functions that fibers and helper threads run, and their results: the internal part of
// plug/fiber/fiber.hpp.

#include <plug/detail/forward.hpp>
#include <plug/timeout.hpp>

#include <concepts>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <type_traits>
#include <utility>

#pragma GCC visibility push(default)

namespace plug::fiber {

struct RunOptions;
template <class R>
class Task;
std::stop_token get_stop_token();

}  // namespace plug::fiber

namespace plug::detail {

/// A function that a fiber can run. Like that of a std::jthread, it may take a std::stop_token.
template <class F>
concept FiberFunction = std::invocable<F&> || std::invocable<F&, std::stop_token>;

template <FiberFunction F>
decltype(auto) call_in_fiber(F& function) {
  if constexpr (std::invocable<F&, std::stop_token>)
    return function(plug::fiber::get_stop_token());
  else
    return function();
}

template <FiberFunction F>
using FiberResult = decltype(call_in_fiber(std::declval<F&>()));

/// The result of a fiber, shared with those that wait for it.
class FiberOutcome {
 public:
  FiberOutcome();
  FiberOutcome(const FiberOutcome&) = delete;
  FiberOutcome& operator=(const FiberOutcome&) = delete;
  /// Reports an exception that nobody has asked for.
  virtual ~FiberOutcome();

  /// Blocks until the fiber has ended, and throws its exception, if any. Throws as Task::join().
  void join(const Timeout& timeout);
  bool done() const noexcept;
  void cancel() noexcept;
  std::string name() const;
  /// Throws the fiber's exception, if any. The fiber has ended.
  void rethrow();

 protected:
  virtual void call() = 0;
  /// Destroys the function without calling it.
  virtual void drop() noexcept = 0;

 private:
  friend struct fiber::FiberAccess;
  struct Impl;

  long wait(const Timeout& timeout);

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
    // Destroyed at the end of the call, not with the last Task.
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

/// The name of a fiber: the one that the user gives, or else the function that starts the fiber and
/// a number.
struct FiberName {
  const char* call;
  std::string given = {};
};

/// `group`: the group of which the fiber is a child, or null.
void start_fiber(const std::shared_ptr<FiberOutcome>& outcome, FiberName&& name,
                 fiber::FiberGroup* group);
void run_fibers(const std::shared_ptr<FiberOutcome>& main, const plug::fiber::RunOptions& options);

template <FiberFunction F>
auto spawn_in(fiber::FiberGroup* group, FiberName&& name, F function) {
  using R = FiberResult<F>;
  std::shared_ptr<FiberValue<R>> outcome = std::make_shared<FiberCall<F, R>>(std::move(function));
  start_fiber(outcome, std::move(name), group);
  return plug::fiber::Task<R>(std::move(outcome));
}

/// A call that a helper thread makes.
class HelperCall {
 public:
  HelperCall() = default;
  HelperCall(const HelperCall&) = delete;
  HelperCall& operator=(const HelperCall&) = delete;

  /// Blocks until the call has been made. Throws its exception.
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

#pragma GCC visibility pop
