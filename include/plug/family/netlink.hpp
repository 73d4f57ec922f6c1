#pragma once

// Messages of AF::NETLINK, and their attributes.
//
//   Socket sock(AF::NETLINK, SOCK::RAW, NETLINK::ROUTE);
//   const NetlinkMessage ask{.type = 18, .flags = NLM::F_REQUEST | NLM::F_DUMP,   // RTM_GETLINK
//                            .sequence = 1, .payload = Bytes(16, '\0')};
//   sock.sendto(ask.to_bytes(), NetlinkAddress(0, 0));
//   for (const NetlinkMessage& message : netlink_messages(sock.recv(65536)))
//     if (message.type == 16)                                                      // RTM_NEWLINK
//       for (const NetlinkAttribute& item : netlink_attributes(message.payload.substr(16))) ...
//
// Source: netlink(7), rtnetlink(7).

#include <plug/bytes.hpp>
#include <plug/family/constants.hpp>

#include <cstdint>
#include <vector>

#pragma GCC visibility push(default)

namespace plug {

/// A message.
struct NetlinkMessage {
  std::uint16_t type = 0;  ///< NLMSG::NOOP ..., or a type of the protocol
  NLM flags{};
  std::uint32_t sequence = 0;
  std::uint32_t pid = 0;
  Bytes payload{};  ///< the protocol's header, then attributes

  /// Returns the message, padded to 4 bytes so that others may follow it.
  Bytes to_bytes() const;

  bool is(NLMSG kind) const noexcept { return type == static_cast<std::uint16_t>(kind); }

  /// Returns the error number of an NLMSG::ERROR_ message; 0 is the acknowledgement that NLM::F_ACK
  /// requests. Throws ValueError if the message is of another type or too short, or if no error has
  /// this number.
  int error_number() const;
};

/// Splits received bytes into messages. Throws ValueError if a length is invalid.
std::vector<NetlinkMessage> netlink_messages(BytesView raw);

/// An attribute of a message.
struct NetlinkAttribute {
  std::uint16_t type = 0;
  Bytes payload{};  ///< a list of attributes, if nested

  /// Returns the attribute, padded to 4 bytes. Throws ValueError if the payload exceeds 65531
  /// bytes.
  Bytes to_bytes() const;
};

/// Parses the attributes that follow the protocol's header. Clears the two flag bits that the
/// kernel stores in a type. Throws ValueError if a length is invalid.
std::vector<NetlinkAttribute> netlink_attributes(BytesView raw);

}  // namespace plug

#pragma GCC visibility pop
