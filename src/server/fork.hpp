#pragma once

#include <memory>

#include "base/process_local.hpp"

namespace plug::detail::server {

/// Returns true in a forked child, where the handlers' threads or fibers, and the objects that they
/// use, belong to the parent. The child then leaks `handlers`.
template <class Impl>
bool left_to_parent(std::unique_ptr<Impl>& handlers) noexcept {
  if (!handlers->fork_guard.is_of_parent()) return false;
  static_cast<void>(handlers.release());
  return true;
}

}  // namespace plug::detail::server
