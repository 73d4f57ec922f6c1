#pragma once

// Happy eyeballs (RFC 8305): overlapping attempts to connect, of which the first to succeed wins.

#include <plug/address.hpp>
#include <plug/resolve.hpp>
#include <plug/socket.hpp>
#include <plug/timeout.hpp>

#include <string>
#include <system_error>
#include <vector>

#include "socket/state.hpp"

namespace plug::detail::socket {

/// The error of an attempt, and the address that it is about.
struct ConnectFailure {
  std::error_code error;
  std::string about;
};

/// Makes a socket for one attempt, with its timeout, bound to `source` unless that is null. On
/// failure returns a closed socket and sets `failure`.
Socket connecting_socket(const AddrInfo& target, Timeout timeout, const HostPort* source,
                         ConnectFailure& failure);

/// Starts to connect to the targets in order, each when `delay` has passed since the previous one
/// or when an attempt has failed; `timeout` (not zero) applies to each attempt. Returns the first
/// connection, with that timeout. Returns a closed socket if all attempts or the wait have failed,
/// or if the caller is told to end. Adds all failures to `failures`.
Socket race(const std::vector<AddrInfo>& targets, Timeout timeout, Timeout delay,
            const HostPort* source, std::vector<ConnectFailure>& failures);

}  // namespace plug::detail::socket
