#pragma once

#include "sys/syscalls.hpp"

namespace plug::detail::server {

/// Makes an eventfd. Throws OSError if the system has no descriptor left.
sys::OwnFd make_event();

}  // namespace plug::detail::server
