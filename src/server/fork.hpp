#pragma once

#include <memory>

#include "sys/syscalls.hpp"

namespace plug::detail {

/// Returns true in a forked child, where the handlers' threads or fibers, and the objects that they
/// use, belong to the parent. The child then leaks `handlers`.
template <class Impl>
bool left_to_parent(std::unique_ptr<Impl>& handlers) noexcept {
  if (handlers->generation == sys::fork_generation()) return false;
  static_cast<void>(handlers.release());
  return true;
}

}  // namespace plug::detail
