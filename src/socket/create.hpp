#pragma once

// The states of new sockets.

#include <memory>
#include <system_error>

#include "socket/state.hpp"

namespace plug::detail::socket {

/// Makes the state of a socket for the new descriptor `made`, which it closes on failure, with the
/// default timeout unless the type says non-blocking. Returns null on failure.
std::shared_ptr<SocketState> adopt(long made, int family, int type, int proto,
                                   std::error_code& error);

}  // namespace plug::detail::socket
