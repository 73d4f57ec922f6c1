#pragma once

// create_connection() and create_server(): from an address to a connected or listening socket.
//
//   Socket sock = create_connection({"example.org", 80}, {.timeout = 5});
//   Socket server = create_server({"", 8000}, {.family = AF::INET6, .dualstack_ipv6 = true});
//
// Python: socket.create_connection(), socket.create_server()

#include <plug/address.hpp>
#include <plug/constants.hpp>
#include <plug/timeout.hpp>

#include <chrono>
#include <optional>
#include <system_error>

#pragma GCC visibility push(default)

namespace plug {

class Socket;

/// The delay that RFC 8305 recommends between two connection attempts.
inline constexpr std::chrono::milliseconds kHappyEyeballsDelay{250};

/// Options of create_connection(). Python: the arguments of socket.create_connection(), and for
/// happy eyeballs those of asyncio's loop.create_connection().
struct ConnectOptions {
  /// Applies to the lookup, then to each attempt. The new socket keeps it.
  Timeout timeout = getdefaulttimeout();
  /// The local address to bind first. A host name is looked up in the family of each attempt.
  std::optional<HostPort> source{};
  /// If true, throws an ExceptionGroup with the errors of all attempts instead of the last error.
  bool all_errors = false;
  /// If none, an attempt starts when the previous one has failed; otherwise also once this delay
  /// has passed since the start of the previous one. The first connection made is returned; the
  /// other attempts are abandoned.
  Timeout happy_eyeballs_delay = std::nullopt;
  /// If above zero, the addresses alternate by family, starting with that many of the first family.
  /// Default: 1 with happy_eyeballs_delay, otherwise 0. A negative value is a ValueError.
  std::optional<int> interleave{};
};

/// Looks up a host and connects a stream socket to the first of its addresses that answers. If none
/// does, throws the error of the last attempt, naming the address. Throws TimeoutError naming the
/// host if the lookup times out, OSError if the lookup finds no address. `timeout` applies to the
/// lookup and to each attempt, and the new socket keeps it. If it is zero, the lookup blocks, as in
/// Python, and the attempts do not wait. If a source is given, it is bound first; an error then
/// names it. Arguments are checked before the lookup.
///
///   create_connection({"example.org", 80}, {.timeout = 5, .all_errors = true,
///                                           .happy_eyeballs_delay = kHappyEyeballsDelay});
///
/// The forms with an error code store the error of the last attempt, even with all_errors. Python:
/// socket.create_connection(); RFC 8305.
[[nodiscard]] Socket create_connection(const HostPort& address,
                                       Timeout timeout = getdefaulttimeout());
[[nodiscard]] Socket create_connection(const HostPort& address, std::error_code& error);
[[nodiscard]] Socket create_connection(const HostPort& address, const ConnectOptions& options);
[[nodiscard]] Socket create_connection(const HostPort& address, const ConnectOptions& options,
                                       std::error_code& error);

/// Returns true if a TCP socket can serve both IPv4 and IPv6. Creates one to find out. Python:
/// socket.has_dualstack_ipv6().
bool has_dualstack_ipv6();

/// Options of create_server().
struct ServerOptions {
  AF family = AF::INET;
  int backlog = 128;
  bool reuse_port = false;      ///< SO_REUSEPORT
  bool dualstack_ipv6 = false;  ///< with AF::INET6: serve IPv4 as well
};

/// Returns a bound and listening TCP socket. Sets SO_REUSEADDR, so that a restarted server can bind
/// its port at once. With AF::INET6 it serves IPv6 only, unless dualstack_ipv6 is set. Throws
/// ValueError if dualstack_ipv6 is set for another family or the system does not support it, and
/// OSError naming the address. Python: socket.create_server().
[[nodiscard]] Socket create_server(const AddressLike& address, const ServerOptions& options = {});
[[nodiscard]] Socket create_server(const AddressLike& address, std::error_code& error);
[[nodiscard]] Socket create_server(const AddressLike& address, const ServerOptions& options,
                                   std::error_code& error);

}  // namespace plug

#pragma GCC visibility pop
