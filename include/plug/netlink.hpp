#pragma once

// The messages of AF::NETLINK and what is in them.
//
//   Socket sock(AF::NETLINK, SOCK::RAW, NETLINK::ROUTE);
//   const NetlinkMessage ask{.type = 18, .flags = NLM::F_REQUEST | NLM::F_DUMP,   // RTM_GETLINK
//                            .sequence = 1, .payload = Bytes(16, '\0')};
//   sock.sendto(ask.to_bytes(), NetlinkAddress(0, 0));
//   for (const NetlinkMessage& message : netlink_messages(sock.recv(65536)))
//     if (message.type == 16)                                                      // RTM_NEWLINK
//       for (const NetlinkAttribute& item : netlink_attributes(message.payload.substr(16))) ...
//
// netlink(7), rtnetlink(7)

#include <plug/bytes.hpp>
#include <plug/family_constants.hpp>

#include <cstdint>
#include <vector>

#pragma GCC visibility push(default)

namespace plug {

/// One message.
struct NetlinkMessage {
  std::uint16_t type = 0;  ///< NLMSG::NOOP ..., or of the protocol
  NLM flags{};
  std::uint32_t sequence = 0;
  std::uint32_t pid = 0;
  Bytes payload{};  ///< a header of the protocol's, then attributes

  /// Padded to 4 bytes, so that several may follow each other.
  Bytes to_bytes() const;

  bool is(NLMSG kind) const noexcept { return type == static_cast<std::uint16_t>(kind); }

  /// Of an NLMSG::ERROR_, the system's number: 0 is what NLM::F_ACK asked for. Throws ValueError
  /// for another message, one that is too short, and a number that no error has.
  int error_number() const;
};

/// What was received. Throws ValueError where a length is beyond the bytes.
std::vector<NetlinkMessage> netlink_messages(BytesView raw);

/// One attribute of a message.
struct NetlinkAttribute {
  std::uint16_t type = 0;
  Bytes payload{};  ///< another attribute list, where it is nested

  /// Padded to 4 bytes. Throws ValueError above 65531 bytes.
  Bytes to_bytes() const;
};

/// The attributes that follow the protocol's header. Their types are without the two flags that
/// the kernel keeps in them. Throws ValueError where a length is beyond the bytes.
std::vector<NetlinkAttribute> netlink_attributes(BytesView raw);

}  // namespace plug

#pragma GCC visibility pop
