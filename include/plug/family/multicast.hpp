#pragma once

// Multicast: datagrams to an IPv4 or IPv6 group, which all members of the group receive.
//
//   Socket sock(AF::INET, SOCK::DGRAM);
//   sock.setsockopt(SOL::SOCKET, SO::REUSEADDR, 1);    // several members on one host
//   sock.bind({"", 5007});
//   join_group(sock, "239.1.2.3");
//   set_multicast_ttl(sock, 4);
//   sock.sendto("hello", {"239.1.2.3", 5007});
//
// The functions take sockets of AF::INET and AF::INET6, and groups of the same family. Groups and
// sources are numeric addresses in text form. Interfaces are names ("eth0"); an empty name lets the
// system choose.
//
// Both forms throw ValueError, naming the text, for an invalid group or address, because no system
// call decides that. System errors are OSError: ENODEV if the interface does not exist, EADDRINUSE
// if the group has been joined already, EADDRNOTAVAIL if the group to leave has not been joined,
// ENOBUFS for too many groups (net.ipv4.igmp_max_memberships).
//
// A socket receives datagrams to its port for any group that any socket of this host has joined,
// unless it is bound to the group's address, or IP_::MULTICAST_ALL (IPV6::MULTICAST_ALL) is 0.
//
// Source: ip(7), ipv6(7), RFC 3678. Python uses setsockopt() and struct for this.

#include <plug/socket.hpp>

#include <string_view>
#include <system_error>

#pragma GCC visibility push(default)

namespace plug {

/// Joins a group, for datagrams of every sender, or of `source` alone (source-specific; call it
/// once for each source).
void join_group(Socket& sock, std::string_view group, std::string_view interface = {},
                std::string_view source = {});
void join_group(Socket& sock, std::string_view group, std::string_view interface,
                std::string_view source, std::error_code& error);

/// Leaves a group. Takes the same arguments as join_group(). Closing the socket leaves all groups.
void leave_group(Socket& sock, std::string_view group, std::string_view interface = {},
                 std::string_view source = {});
void leave_group(Socket& sock, std::string_view group, std::string_view interface,
                 std::string_view source, std::error_code& error);

/// block_source() blocks one sender of a group that was joined for every sender. unblock_source()
/// lets it in again.
void block_source(Socket& sock, std::string_view group, std::string_view source,
                  std::string_view interface = {});
void block_source(Socket& sock, std::string_view group, std::string_view source,
                  std::string_view interface, std::error_code& error);
void unblock_source(Socket& sock, std::string_view group, std::string_view source,
                    std::string_view interface = {});
void unblock_source(Socket& sock, std::string_view group, std::string_view source,
                    std::string_view interface, std::error_code& error);

/// Sets the interface through which datagrams to groups are sent.
void set_multicast_interface(Socket& sock, std::string_view interface);
void set_multicast_interface(Socket& sock, std::string_view interface, std::error_code& error);

/// Sets the maximum number of hops of datagrams to groups: 0-255. The default 1 means this network
/// only. Throws OverflowError for other values.
void set_multicast_ttl(Socket& sock, int hops);
void set_multicast_ttl(Socket& sock, int hops, std::error_code& error);
int multicast_ttl(const Socket& sock);

/// Sets whether group members on this host receive datagrams of this socket. True by default.
void set_multicast_loop(Socket& sock, bool on);
void set_multicast_loop(Socket& sock, bool on, std::error_code& error);
bool multicast_loop(const Socket& sock);

}  // namespace plug

#pragma GCC visibility pop
