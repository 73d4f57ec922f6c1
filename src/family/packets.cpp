#include <plug/error.hpp>
#include <plug/family/packets.hpp>

#include <algorithm>
#include <cstring>
#include <utility>

#include "address/access.hpp"
#include "layout/structs.hpp"
#include "sys/netdb.hpp"

namespace plug {

namespace {

namespace sys = detail::sys;
namespace layout = detail::layout;

std::uint8_t byte_at(BytesView data, std::size_t at) noexcept {
  return static_cast<std::uint8_t>(data.data()[at]);
}

std::uint16_t word_at(BytesView data, std::size_t at) noexcept {
  return static_cast<std::uint16_t>(byte_at(data, at) << 8 | byte_at(data, at + 1));
}

void add_word(Bytes& out, unsigned value) {
  out += static_cast<char>(value >> 8);
  out += static_cast<char>(value & 0xff);
}

/// Returns the ICMP types of echo request and echo reply.
std::pair<std::uint8_t, std::uint8_t> echo_types(AF family) {
  if (family == AF::INET) return {8, 0};
  if (family == AF::INET6) return {128, 129};
  throw ValueError("ICMP is of AF_INET or AF_INET6, not of family " +
                   std::to_string(static_cast<int>(family)));
}

void add_host(Bytes& out, const std::string& host) {
  unsigned char bytes[4];
  if (host.find('\0') != std::string::npos ||
      !layout::parse_host(static_cast<int>(AF::INET), host, bytes))
    throw ValueError("no IPv4 address: " + detail::address::str_repr(host));
  out.append(reinterpret_cast<const char*>(bytes), sizeof bytes);
}

std::string host_at(BytesView data, std::size_t at) {
  unsigned char bytes[4];
  std::memcpy(bytes, data.data() + at, sizeof bytes);
  return layout::format_host(static_cast<int>(AF::INET), bytes);
}

constexpr std::size_t kChecksumOfIcmp = 2;
constexpr std::size_t kChecksumOfIp = 10;
constexpr std::size_t kEchoHeader = 8;
constexpr std::size_t kIpHeader = 20;

void put_checksum(Bytes& packet, std::size_t at) {
  const std::uint16_t sum = internet_checksum(packet);
  packet[at] = static_cast<char>(sum >> 8);
  packet[at + 1] = static_cast<char>(sum & 0xff);
}

}  // namespace

std::uint16_t internet_checksum(BytesView data, std::uint16_t begin) noexcept {
  std::uint64_t sum = static_cast<std::uint16_t>(~begin);
  std::size_t at = 0;
  for (; at + 1 < data.size(); at += 2) sum += word_at(data, at);
  if (at < data.size()) sum += static_cast<std::uint64_t>(byte_at(data, at)) << 8;
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum);
}

Bytes IcmpEcho::to_bytes(AF family) const {
  const auto [request_type, reply_type] = echo_types(family);
  Bytes raw;
  raw += static_cast<char>(reply ? reply_type : request_type);
  raw.append(3, '\0');  // the code, the checksum
  add_word(raw, identifier);
  add_word(raw, sequence);
  raw += data;
  if (family == AF::INET) put_checksum(raw, kChecksumOfIcmp);
  return raw;
}

std::optional<IcmpEcho> IcmpEcho::from_bytes(BytesView raw, AF family) {
  const auto [request_type, reply_type] = echo_types(family);
  if (raw.size() < kEchoHeader || byte_at(raw, 1) != 0) return std::nullopt;
  const std::uint8_t type = byte_at(raw, 0);
  if (type != request_type && type != reply_type) return std::nullopt;
  if (family == AF::INET && internet_checksum(raw) != 0) return std::nullopt;
  return IcmpEcho{type == reply_type, word_at(raw, 4), word_at(raw, 6),
                  Bytes(raw.data() + kEchoHeader, raw.size() - kEchoHeader)};
}

Bytes Ipv4Header::to_bytes() const {
  if (options.size() > 40 || options.size() % 4 != 0)
    throw ValueError("options of IPv4 have 0, 4, ... 40 bytes, not " +
                     std::to_string(options.size()));
  Bytes raw;
  raw += static_cast<char>(0x40 | size() / 4);
  raw += static_cast<char>(tos);
  add_word(raw, length);
  add_word(raw, identifier);
  add_word(raw, fragment);
  raw += static_cast<char>(ttl);
  raw += static_cast<char>(protocol);
  add_word(raw, 0);
  add_host(raw, source);
  add_host(raw, destination);
  raw += options;
  put_checksum(raw, kChecksumOfIp);
  return raw;
}

Ipv4Header Ipv4Header::from_bytes(BytesView raw) {
  const std::size_t size = raw.empty() ? 0 : std::size_t{byte_at(raw, 0) & 15u} * 4;
  if (size < kIpHeader || raw.size() < size || byte_at(raw, 0) >> 4 != 4)
    throw ValueError("no IPv4 packet: " +
                     detail::address::bytes_repr(std::string_view(raw).substr(0, kIpHeader)));
  return {byte_at(raw, 1),  word_at(raw, 2),  word_at(raw, 4),
          word_at(raw, 6),  byte_at(raw, 8),  byte_at(raw, 9),
          host_at(raw, 12), host_at(raw, 16), Bytes(raw.data() + kIpHeader, size - kIpHeader)};
}

Bytes packet_membership(std::string_view interface, PACKET type, BytesView address) {
  layout::PacketMembershipLayout layout{};
  if (address.size() > sizeof layout.address)
    throw ValueError("Hardware address must be 8 bytes or less: " +
                     detail::address::bytes_repr(address));
  if (interface.find('\0') != std::string_view::npos)
    throw ValueError("embedded null character: " + detail::address::bytes_repr(interface));
  const long index = sys::interface_index(std::string(interface));
  if (index < 0)
    throw_if({static_cast<int>(-index), std::system_category()},
             detail::address::str_repr(interface));
  layout.interface_index = static_cast<std::int32_t>(index);
  layout.type = static_cast<std::uint16_t>(type);
  layout.length = static_cast<std::uint16_t>(address.size());
  std::copy(address.begin(), address.end(), layout.address);
  return layout::bytes_of(layout);
}

std::string link_protocol_name(std::uint16_t protocol) {
  static constexpr std::pair<ETH, std::string_view> kNames[] = {
      {ETH::P_IP, "IPv4"},
      {ETH::P_IPV6, "IPv6"},
      {ETH::P_ARP, "ARP"},
      {ETH::P_RARP, "RARP"},
      {ETH::P_8021Q, "802.1Q"},
      {ETH::P_8021AD, "802.1ad"},
      {ETH::P_802_2, "802.2"},
      {ETH::P_802_3, "802.3"},
      {ETH::P_LLDP, "LLDP"},
      {ETH::P_PAE, "EAPOL"},
      {ETH::P_PPP_DISC, "PPPoE discovery"},
      {ETH::P_PPP_SES, "PPPoE"},
      {ETH::P_MPLS_UC, "MPLS"},
      {ETH::P_MPLS_MC, "MPLS multicast"},
      {ETH::P_MACSEC, "MACsec"},
      {ETH::P_1588, "PTP"},
      {ETH::P_FCOE, "FCoE"},
      {ETH::P_AOE, "AoE"},
      {ETH::P_TIPC, "TIPC"},
      {ETH::P_CAN, "CAN"},
      {ETH::P_CANFD, "CAN FD"},
      {ETH::P_CANXL, "CAN XL"},
      {ETH::P_LOOPBACK, "loopback test"},
      {ETH::P_SLOW, "slow protocols"}};
  for (const auto& entry : kNames)
    if (entry.first == ETH{protocol}) return std::string(entry.second);
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text = "0x";
  for (int shift = 12; shift >= 0; shift -= 4) text += kDigits[protocol >> shift & 15];
  return text;
}

std::string ip_protocol_name(std::uint8_t protocol) {
  static constexpr std::pair<IPPROTO, std::string_view> kNames[] = {
      {IPPROTO::ICMP, "ICMP"},
      {IPPROTO::IGMP, "IGMP"},
      {IPPROTO::IPIP, "IPIP"},
      {IPPROTO::TCP, "TCP"},
      {IPPROTO::UDP, "UDP"},
      {IPPROTO::DCCP, "DCCP"},
      {IPPROTO::IPV6, "IPv6"},
      {IPPROTO::GRE, "GRE"},
      {IPPROTO::ESP, "ESP"},
      {IPPROTO::AH, "AH"},
      {IPPROTO::ICMPV6, "ICMPv6"},
      {IPPROTO::PIM, "PIM"},
      {IPPROTO::SCTP, "SCTP"},
      {IPPROTO::UDPLITE, "UDP-Lite"},
      {IPPROTO::HOPOPTS, "hop-by-hop options"}};
  for (const auto& entry : kNames)
    if (static_cast<int>(entry.first) == protocol) return std::string(entry.second);
  return std::to_string(protocol);
}

}  // namespace plug
