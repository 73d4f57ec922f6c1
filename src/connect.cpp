#include <plug/error.hpp>
#include <plug/socket.hpp>

#include <algorithm>

#include "socket_state.hpp"

// Client and server sockets in one call.

namespace plug {

namespace {

Socket closed_socket() { return detail::SocketAccess::make(nullptr); }

/// Makes, binds and connects one attempt; a closed socket when it fails.
Socket attempt_connection(const AddrInfo& target, Timeout timeout, const HostPort* source,
                          std::error_code& error) {
  Socket sock(target.family, target.type, target.proto, error);
  if (!error) sock.settimeout(timeout, error);
  if (!error && source) sock.bind(*source, error);
  if (!error) sock.connect(target.sockaddr, error);
  return error ? closed_socket() : std::move(sock);
}

/// As create_connection(); `tried` becomes the last address that was.
Socket connect_any(const HostPort& address, Timeout timeout, const HostPort* source, Address& tried,
                   std::error_code& error) {
  // Throws for a port or a name that cannot be, before the resolver makes something of it.
  [[maybe_unused]] const AddressLike checked(address);
  const auto targets =
      getaddrinfo(address.host, address.port, AF::UNSPEC, SOCK::STREAM, 0, AI{}, error);
  for (const AddrInfo& target : targets) {
    tried = target.sockaddr;
    Socket sock = attempt_connection(target, timeout, source, error);
    if (!error) return sock;
  }
  return closed_socket();
}

Socket connect_or_throw(const HostPort& address, Timeout timeout, const HostPort* source) {
  Address tried;
  std::error_code error;
  Socket sock = connect_any(address, timeout, source, tried, error);
  if (error) throw_if(error, tried ? to_string(tried) : to_string(address));
  return sock;
}

const HostPort* pointer_to(const std::optional<HostPort>& address) {
  return address ? &*address : nullptr;
}

}  // namespace

Socket create_connection(const HostPort& address) {
  return connect_or_throw(address, getdefaulttimeout(), nullptr);
}

Socket create_connection(const HostPort& address, Timeout timeout) {
  return connect_or_throw(address, timeout, nullptr);
}

Socket create_connection(const HostPort& address, Timeout timeout,
                         const std::optional<HostPort>& source) {
  return connect_or_throw(address, timeout, pointer_to(source));
}

Socket create_connection(const HostPort& address, Timeout timeout,
                         const std::optional<HostPort>& source, std::error_code& error) {
  Address tried;
  return connect_any(address, timeout, pointer_to(source), tried, error);
}

Socket create_server(const AddressLike& address, const ServerOptions& options) {
  std::error_code error;
  Socket sock = create_server(address, options, error);
  if (error) throw_if(error, to_string(address));
  return sock;
}

Socket create_server(const AddressLike& address, const ServerOptions& options,
                     std::error_code& error) {
  if (options.dualstack_ipv6 && options.family != AF::INET6)
    throw ValueError("dualstack_ipv6 requires family AF::INET6, not " +
                     std::to_string(static_cast<int>(options.family)));
  Socket sock(options.family, SOCK::STREAM, 0, error);
  if (!error) sock.setsockopt(SOL::SOCKET, SO::REUSEADDR, 1, error);
  if (!error && options.reuse_port) sock.setsockopt(SOL::SOCKET, SO::REUSEPORT, 1, error);
  if (!error && options.family == AF::INET6)
    sock.setsockopt(IPPROTO::IPV6, IPV6::V6ONLY, options.dualstack_ipv6 ? 0 : 1, error);
  if (!error) sock.bind(address, error);
  if (!error) sock.listen(options.backlog, error);
  return error ? closed_socket() : std::move(sock);
}

}  // namespace plug
