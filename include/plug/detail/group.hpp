#pragma once

// The internal part of plug/group.hpp.

#include <plug/detail/forward.hpp>
#include <plug/fiber/fiber.hpp>
#include <plug/timeout.hpp>

#include <memory>
#include <type_traits>
#include <variant>

#pragma GCC visibility push(default)

namespace plug::detail {

/// Limits the time of the code that the calling fiber runs while this lives.
class TimeLimit {
 public:
  explicit TimeLimit(const Timeout& time);
  TimeLimit(const TimeLimit&) = delete;
  TimeLimit& operator=(const TimeLimit&) = delete;
  ~TimeLimit();

  /// Throws TimeoutError if this limit is the reason why the fiber was asked to end.
  void throw_if_reached();

 private:
  const Timeout time_;
  std::unique_ptr<fiber::FiberLimit> limit_;
};

template <class R>
using Gathered = std::conditional_t<std::is_void_v<R>, std::monostate, R>;

template <class R>
Gathered<R> result_of(plug::fiber::Task<R>& task) {
  if constexpr (std::is_void_v<R>) {
    task.join();
    return {};
  } else {
    return task.join();
  }
}

}  // namespace plug::detail

#pragma GCC visibility pop
