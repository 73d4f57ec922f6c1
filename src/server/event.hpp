#pragma once

#include "sys/syscalls.hpp"

namespace plug::detail::server {

/// Returns an eventfd; the result owns it, so the object that holds the result closes it. Throws
/// OSError if the system has no descriptor left.
sys::OwnFd make_event();

}  // namespace plug::detail::server
