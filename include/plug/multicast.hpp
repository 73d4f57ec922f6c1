#pragma once

// Multicast: datagrams to a group of IPv4 or IPv6, which whoever has joined it receives.
//
//   Socket sock(AF::INET, SOCK::DGRAM);
//   sock.setsockopt(SOL::SOCKET, SO::REUSEADDR, 1);    // several members on one host
//   sock.bind({"", 5007});
//   join_group(sock, "239.1.2.3");
//   set_multicast_ttl(sock, 4);
//   sock.sendto("hello", {"239.1.2.3", 5007});
//
// The functions take sockets of AF::INET and AF::INET6 and the groups of their family. Groups,
// sources and interfaces are text: addresses as numbers, and an interface by its name ("eth0"),
// where an empty one is the system's choice. They throw ValueError naming a group that is none and
// an address that is none (in both forms, since no system call decides that), and OSError: ENODEV
// for an interface that is not there, EADDRINUSE for a group joined twice, EADDRNOTAVAIL for one
// that is left and was not joined, ENOBUFS for too many groups (net.ipv4.igmp_max_memberships).
//
// A socket receives what comes to its port for any group that any socket of this host has joined,
// unless it is bound to the group's address, or IP_::MULTICAST_ALL (IPV6::MULTICAST_ALL) is 0.
//
// ip(7), ipv6(7), RFC 3678. Python has setsockopt() and struct for this.

#include <plug/socket.hpp>

#include <string_view>
#include <system_error>

#pragma GCC visibility push(default)

namespace plug {

/// Joins a group: from every sender, or from `source` alone (source-specific; once for each
/// source).
void join_group(Socket& sock, std::string_view group, std::string_view interface = {},
                std::string_view source = {});
void join_group(Socket& sock, std::string_view group, std::string_view interface,
                std::string_view source, std::error_code& error);

/// Leaves it again, with the arguments that it was joined with. Closing the socket leaves all.
void leave_group(Socket& sock, std::string_view group, std::string_view interface = {},
                 std::string_view source = {});
void leave_group(Socket& sock, std::string_view group, std::string_view interface,
                 std::string_view source, std::error_code& error);

/// Keeps out one sender to a group that has been joined from every sender, and lets it in again.
void block_source(Socket& sock, std::string_view group, std::string_view source,
                  std::string_view interface = {});
void block_source(Socket& sock, std::string_view group, std::string_view source,
                  std::string_view interface, std::error_code& error);
void unblock_source(Socket& sock, std::string_view group, std::string_view source,
                    std::string_view interface = {});
void unblock_source(Socket& sock, std::string_view group, std::string_view source,
                    std::string_view interface, std::error_code& error);

/// The interface that datagrams to groups leave by.
void set_multicast_interface(Socket& sock, std::string_view interface);
void set_multicast_interface(Socket& sock, std::string_view interface, std::error_code& error);

/// How many hops such a datagram may make: 0-255, 1 at first, which is this network. Throws
/// OverflowError for another.
void set_multicast_ttl(Socket& sock, int hops);
void set_multicast_ttl(Socket& sock, int hops, std::error_code& error);
int multicast_ttl(const Socket& sock);

/// Whether this host's members of a group receive what the socket sends to it; they do at first.
void set_multicast_loop(Socket& sock, bool on);
void set_multicast_loop(Socket& sock, bool on, std::error_code& error);
bool multicast_loop(const Socket& sock);

}  // namespace plug

#pragma GCC visibility pop
