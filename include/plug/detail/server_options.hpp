#pragma once

// Assigns options to a server: the internal part of plug/server/options.hpp.

#pragma GCC visibility push(default)

namespace plug::detail {

[[noreturn]] void throw_no_datagrams();

/// Assigns the options that each kind of server has.
template <class Server, class Options>
void assign_options(Server& server, const Options& options) {
  options.timeout.assign_to(server.timeout);
  options.address_family.assign_to(server.address_family);
  options.socket_type.assign_to(server.socket_type);
  options.request_queue_size.assign_to(server.request_queue_size);
  options.allow_reuse_address.assign_to(server.allow_reuse_address);
  options.allow_reuse_port.assign_to(server.allow_reuse_port);
  options.max_connections.assign_to(server.max_connections);
  options.max_connections_per_address.assign_to(server.max_connections_per_address);
  options.ipv4_prefix_length.assign_to(server.ipv4_prefix_length);
  options.ipv6_prefix_length.assign_to(server.ipv6_prefix_length);
  options.connection_timeout.assign_to(server.connection_timeout);
  options.connection_lifetime.assign_to(server.connection_lifetime);
  if constexpr (requires { server.max_packet_size; })
    options.max_packet_size.assign_to(server.max_packet_size);
  else if (options.max_packet_size.is_given())
    throw_no_datagrams();
}

}  // namespace plug::detail

#pragma GCC visibility pop
