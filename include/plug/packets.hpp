#pragma once

// Packets by hand, for SOCK::RAW and AF::PACKET: the echo of ICMP, the header of IPv4
// (IP_::HDRINCL), the internet's checksum, and whose packets an interface takes.
//
//   Socket sock(AF::INET, SOCK::RAW, IPPROTO::ICMP);          // needs CAP_NET_RAW
//   sock.sendto(IcmpEcho{.identifier = 7, .sequence = 1, .data = "x"}.to_bytes(AF::INET),
//               {"192.0.2.1", 0});
//   const auto header = Ipv4Header::from_bytes(packet);       // raw sockets of IPv4 give it too
//   const auto echo = IcmpEcho::from_bytes(packet.substr(header.size()), AF::INET);
//
// Socket(AF::INET, SOCK::DGRAM, IPPROTO::ICMP) echoes without that right, for the groups of
// net.ipv4.ping_group_range: the kernel sets identifier and checksum and gives no header.
//
// Numbers are in host byte order; the bytes are the network's. RFC 791, 792, 1071, 4443; packet(7),
// raw(7), icmp(7)

#include <plug/bytes.hpp>
#include <plug/constants.hpp>
#include <plug/family_constants.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#pragma GCC visibility push(default)

namespace plug {

/// The internet's checksum (RFC 1071): 0 over data that holds a right one. `begin` is one to go on
/// from, of an even number of bytes.
std::uint16_t internet_checksum(BytesView data, std::uint16_t begin = 0xffff) noexcept;

/// An echo request of ICMP or ICMPv6, or its reply.
struct IcmpEcho {
  bool reply = false;
  std::uint16_t identifier = 0;
  std::uint16_t sequence = 0;
  Bytes data{};

  /// The message with its checksum; that of ICMPv6 is 0, since the kernel makes it. Throws
  /// ValueError unless `family` is AF::INET or AF::INET6.
  Bytes to_bytes(AF family) const;
  /// Nothing when the bytes are no echo, or (IPv4) the checksum is wrong. Throws ValueError as
  /// to_bytes() does.
  static std::optional<IcmpEcho> from_bytes(BytesView raw, AF family);
};

/// The header of an IPv4 packet.
struct Ipv4Header {
  std::uint8_t tos = 0;
  std::uint16_t length = 0;      ///< of the whole packet; the kernel sets it
  std::uint16_t identifier = 0;  ///< 0: the kernel sets it
  std::uint16_t fragment = 0;    ///< 0x4000: don't fragment; 0x2000: more follow; offset / 8
  std::uint8_t ttl = 64;
  std::uint8_t protocol = 0;       ///< IPPROTO
  std::string source = "0.0.0.0";  ///< unspecified: the kernel sets it
  std::string destination = "0.0.0.0";
  Bytes options{};  ///< up to 40 bytes, a multiple of 4

  std::size_t size() const noexcept { return 20 + options.size(); }

  /// With its checksum. Throws ValueError for text that is no IPv4 address and for options of a
  /// size that cannot be.
  Bytes to_bytes() const;
  /// Throws ValueError for bytes that are too short or no IPv4.
  static Ipv4Header from_bytes(BytesView raw);
};

/// The value of PACKET::ADD_MEMBERSHIP and DROP_MEMBERSHIP: which packets an interface takes
/// beside its own, until the socket closes: PACKET::MR_PROMISC (all), MR_ALLMULTI, MR_MULTICAST
/// (of a hardware address). Throws OSError ENODEV, ValueError for an address above 8 bytes.
Bytes packet_membership(std::string_view interface, PACKET type, BytesView address = {});

/// What a protocol of a link layer is called ("IPv4", "ARP", "CAN FD"); "0x88b5" when not known.
std::string link_protocol_name(std::uint16_t protocol);

/// What a protocol of IPv4 and IPv6 is called ("TCP", "ICMPv6"); "253" when not known.
std::string ip_protocol_name(std::uint8_t protocol);

}  // namespace plug

#pragma GCC visibility pop
