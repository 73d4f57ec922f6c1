#pragma once

// Packets for SOCK::RAW and AF::PACKET: ICMP echoes, IPv4 headers (IP_::HDRINCL), the Internet
// checksum, and the packets that an interface accepts.
//
//   Socket sock(AF::INET, SOCK::RAW, IPPROTO::ICMP);          // needs CAP_NET_RAW
//   sock.sendto(IcmpEcho{.identifier = 7, .sequence = 1, .data = "x"}.to_bytes(AF::INET),
//               {"192.0.2.1", 0});
//   const auto header = Ipv4Header::from_bytes(packet);       // raw IPv4 sockets include it
//   const auto echo = IcmpEcho::from_bytes(packet.substr(header.size()), AF::INET);
//
// Socket(AF::INET, SOCK::DGRAM, IPPROTO::ICMP) sends echoes without that capability, for the user
// groups in net.ipv4.ping_group_range. The kernel then sets identifier and checksum, and removes
// the header.
//
// Fields are in host byte order, bytes in network byte order. Source: RFC 791, 792, 1071, 4443;
// packet(7), raw(7), icmp(7).

#include <plug/bytes.hpp>
#include <plug/constants.hpp>
#include <plug/family/constants.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#pragma GCC visibility push(default)

namespace plug {

/// Returns the Internet checksum (RFC 1071); 0 for data that contains a correct one. `begin` is the
/// checksum of preceding data, which has an even number of bytes.
std::uint16_t internet_checksum(BytesView data, std::uint16_t begin = 0xffff) noexcept;

/// An ICMP or ICMPv6 echo request, or its reply.
struct IcmpEcho {
  bool reply = false;
  std::uint16_t identifier = 0;
  std::uint16_t sequence = 0;
  Bytes data{};

  /// Returns the message with its checksum. The checksum of ICMPv6 is 0, because the kernel
  /// computes it. Throws ValueError unless `family` is AF::INET or AF::INET6.
  Bytes to_bytes(AF family) const;
  /// Returns std::nullopt if the bytes are not an echo, or (IPv4) if the checksum is wrong. Throws
  /// ValueError as to_bytes() does.
  static std::optional<IcmpEcho> from_bytes(BytesView raw, AF family);
};

/// The header of an IPv4 packet.
struct Ipv4Header {
  std::uint8_t tos = 0;
  std::uint16_t length = 0;      ///< of the whole packet; set by the kernel
  std::uint16_t identifier = 0;  ///< 0: set by the kernel
  std::uint16_t fragment = 0;    ///< 0x4000: don't fragment; 0x2000: more follow; offset / 8
  std::uint8_t ttl = 64;
  std::uint8_t protocol = 0;       ///< a value of IPPROTO
  std::string source = "0.0.0.0";  ///< "0.0.0.0": set by the kernel
  std::string destination = "0.0.0.0";
  Bytes options{};  ///< up to 40 bytes, a multiple of 4

  std::size_t size() const noexcept { return 20 + options.size(); }

  /// Returns the header with its checksum. Throws ValueError for text that is not an IPv4 address,
  /// and for options of an invalid size.
  Bytes to_bytes() const;
  /// Throws ValueError if the bytes are too short or not IPv4.
  static Ipv4Header from_bytes(BytesView raw);
};

/// Returns the value of PACKET::ADD_MEMBERSHIP and DROP_MEMBERSHIP: which packets an interface
/// accepts besides its own, until the socket closes. Types are PACKET::MR_PROMISC (all),
/// MR_ALLMULTI (all multicast) and MR_MULTICAST (one hardware address). Throws OSError ENODEV if
/// there is no such interface; ValueError for an address above 8 bytes.
Bytes packet_membership(std::string_view interface, PACKET type, BytesView address = {});

/// Returns the name of a link-layer protocol ("IPv4", "ARP", "CAN FD"), or "0x88b5" if it is
/// unknown.
std::string link_protocol_name(std::uint16_t protocol);

/// Returns the name of an IPv4 or IPv6 protocol ("TCP", "ICMPv6"), or "253" if it is unknown.
std::string ip_protocol_name(std::uint8_t protocol);

}  // namespace plug

#pragma GCC visibility pop
