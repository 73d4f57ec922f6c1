#pragma once

// Guards objects of one process, which its forked children must not use.

#include <cstdint>
#include <utility>

#include "sys/syscalls.hpp"

namespace plug::detail::base {

/// Remembers the process that has made it, as a member of an object whose threads, waiters or locks
/// do not exist in a forked child.
class ForkGuard {
 public:
  ForkGuard() noexcept : generation_(sys::fork_generation()) {}

  /// Returns the guard of a process that has not been forked since it loaded plug.
  static constexpr ForkGuard of_first_process() noexcept { return ForkGuard(0); }

  /// Returns true in a forked child of the process that has made this.
  bool is_of_parent() const noexcept { return generation_ != sys::fork_generation(); }

 private:
  constexpr explicit ForkGuard(std::uint32_t generation) noexcept : generation_(generation) {}

  std::uint32_t generation_;
};

/// Sets a fork generation to that of this process. Returns true if it was a parent's.
inline bool renew(std::uint32_t& generation) noexcept {
  const std::uint32_t mine = sys::fork_generation();
  return std::exchange(generation, mine) != mine;
}

}  // namespace plug::detail::base
