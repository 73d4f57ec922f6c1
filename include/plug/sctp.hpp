#pragma once

// SCTP beyond a plain socket: which stream a message belongs to, and the associations of a
// one-to-many socket.
//
//   Socket sock(AF::INET, SOCK::SEQPACKET, IPPROTO::SCTP);       // one-to-many
//   sock.setsockopt(IPPROTO::SCTP, SCTP::RECVRCVINFO, 1);
//   sock.sendmsg({"hello"}, {SctpSendInfo{.stream = 2}.control()}, MSG{}, peer);
//   auto message = sock.recvmsg(2000, CMSG_SPACE_(64));
//   SctpReceiveInfo::of(message.ancdata)->stream;
//
// Socket(AF::INET, SOCK::STREAM, IPPROTO::SCTP) is one-to-one: connect(), accept() and the rest as
// with TCP, with each message whole (MSG::EOR_ in recvmsg()'s flags ends it).
//
// RFC 6458, sctp(7). Options beside these: SCTP of family_constants.hpp.

#include <plug/ancillary.hpp>
#include <plug/bytes.hpp>
#include <plug/family_constants.hpp>
#include <plug/socket.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <system_error>

#pragma GCC visibility push(default)

namespace plug {

/// The value of SCTP::INITMSG, what a new association asks for; 0 is the system's default.
struct SctpInit {
  std::uint16_t out_streams = 0;
  std::uint16_t in_streams = 0;  ///< at most
  std::uint16_t attempts = 0;
  std::uint16_t timeout = 0;  ///< between attempts at most, in ms

  Bytes to_bytes() const;
  /// Throws ValueError for another size than 8 bytes.
  static SctpInit from_bytes(BytesView raw);
};

/// What sendmsg() is told of a message (SCTP_SNDINFO).
struct SctpSendInfo {
  std::uint16_t stream = 0;
  std::uint16_t flags = 0;       ///< SCTP::UNORDERED, SCTP::EOF_ ..., or-ed as numbers
  std::uint32_t ppid = 0;        ///< for the application; travels as it is in memory
  std::uint32_t context = 0;     ///< comes back where the message cannot be sent
  std::int32_t association = 0;  ///< of a one-to-many socket, in place of the address

  ControlMessage control() const;
};

/// What recvmsg() tells of a message, once SCTP::RECVRCVINFO is set (SCTP_RCVINFO).
struct SctpReceiveInfo {
  std::uint16_t stream = 0;
  std::uint16_t sequence = 0;  ///< in its stream
  std::uint16_t flags = 0;     ///< SCTP::UNORDERED
  std::uint32_t ppid = 0;
  std::uint32_t tsn = 0;  ///< in its association
  std::uint32_t context = 0;
  std::int32_t association = 0;

  /// Throws ValueError for an item of another kind or size.
  static SctpReceiveInfo from(const ControlMessage& item);
  /// The one among what came with a message; nothing when there is none.
  static std::optional<SctpReceiveInfo> of(const AncillaryData& ancdata);
};

/// The value of SCTP::EVENT: whether notifications of a kind (SCTP::ASSOC_CHANGE ...) are received,
/// as messages with MSG::NOTIFICATION in their flags.
struct SctpEvent {
  SCTP type{};
  bool on = true;
  std::int32_t association = 0;

  Bytes to_bytes() const;
};

/// A notification that an association came, went or changed (SCTP::ASSOC_CHANGE).
struct SctpAssociationChange {
  SCTP state{};  ///< SCTP::COMM_UP, COMM_LOST, RESTART, SHUTDOWN_COMP, CANT_STR_ASSOC
  std::uint16_t error = 0;
  std::uint16_t out_streams = 0;
  std::uint16_t in_streams = 0;
  std::int32_t association = 0;

  /// Throws ValueError for bytes that are no such notification.
  static SctpAssociationChange from_bytes(BytesView raw);
};

/// Takes an association out of a one-to-many socket: a one-to-one socket of its own, close-on-exec,
/// with the default time-out. Throws OSError: EINVAL for an association that is not there.
Socket sctp_peel_off(Socket& sock, std::int32_t association);
Socket sctp_peel_off(Socket& sock, std::int32_t association, std::error_code& error);

}  // namespace plug

#pragma GCC visibility pop
