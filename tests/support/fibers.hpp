#pragma once

// For tests of code that runs in fibers.

#include <plug/fiber.hpp>

#include <cstddef>
#include <string_view>
#include <vector>

#include "sys/polling.hpp"

/// Calls `test` in this fiber; in a new one if the caller is not in a fiber.
template <class F>
void in_fiber(F test) {
  if (plug::fiber::inside())
    test();
  else
    plug::fiber::run(test);
}

/// Returns how many of the thread's fibers handle a request.
inline std::size_t fibers_of_requests() {
  std::size_t count = 0;
  for (const plug::fiber::Info& info : plug::fiber::list())
    count += info.name.starts_with("request from ");
  return count;
}

/// Returns true if the fiber of that name waits.
inline bool is_parked(std::string_view name) {
  for (const plug::fiber::Info& info : plug::fiber::list())
    if (info.name == name && !info.waits_in.empty()) return true;
  return false;
}

/// Opens file descriptors until this process may open no more, and returns them.
inline std::vector<plug::detail::sys::OwnFd> take_all_descriptors() {
  std::vector<plug::detail::sys::OwnFd> all;
  for (long made = 0; (made = plug::detail::sys::eventfd()) >= 0;)
    all.emplace_back(static_cast<int>(made));
  return all;
}
