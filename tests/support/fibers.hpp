#pragma once

// For tests of what runs in fibers.

#include <plug/fiber.hpp>

#include <cstddef>
#include <string_view>
#include <vector>

#include "sys/polling.hpp"

/// Calls `test` in a fiber, whether this is one or not.
template <class F>
void in_fiber(F test) {
  if (plug::fiber::inside())
    test();
  else
    plug::fiber::run(test);
}

/// How many of the thread's fibers handle a request.
inline std::size_t fibers_of_requests() {
  std::size_t count = 0;
  for (const plug::fiber::Info& info : plug::fiber::list())
    count += info.name.starts_with("request from ");
  return count;
}

/// Whether the fiber of that name waits.
inline bool is_parked(std::string_view name) {
  for (const plug::fiber::Info& info : plug::fiber::list())
    if (info.name == name && !info.waits_in.empty()) return true;
  return false;
}

/// All the descriptors that this process may still open.
inline std::vector<plug::detail::sys::OwnFd> take_all_descriptors() {
  std::vector<plug::detail::sys::OwnFd> all;
  for (long made = 0; (made = plug::detail::sys::eventfd()) >= 0;)
    all.emplace_back(static_cast<int>(made));
  return all;
}
