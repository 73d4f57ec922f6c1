#pragma once

// Happy eyeballs (RFC 8305): attempts to connect that overlap, of which the first to succeed wins.

#include <plug/address.hpp>
#include <plug/resolve.hpp>
#include <plug/socket.hpp>
#include <plug/timeout.hpp>

#include <string>
#include <system_error>
#include <vector>

#include "socket_state.hpp"

namespace plug::detail {

inline Socket closed_socket() { return SocketAccess::make(nullptr); }

/// What an attempt failed with, and the address that this is about.
struct ConnectFailure {
  std::error_code error;
  std::string about;
};

/// A socket for one attempt, with its time-out, bound to `source` unless that is null. A closed
/// one, and `failure` set, where that fails.
Socket connecting_socket(const AddrInfo& target, Timeout timeout, const HostPort* source,
                         ConnectFailure& failure);

/// Begins to connect to the targets in order, each when `delay` has passed since the one before or
/// when an attempt has failed; `timeout` (not zero) is per attempt. The first connection, with the
/// time-out; a closed socket when all attempts failed, or the waiting itself, or when the caller is
/// told to end. All failures are added to `failures`.
Socket race(const std::vector<AddrInfo>& targets, Timeout timeout, Timeout delay,
            const HostPort* source, std::vector<ConnectFailure>& failures);

}  // namespace plug::detail
