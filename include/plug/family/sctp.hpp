#pragma once

// SCTP beyond a plain socket: the streams of messages, and the associations of a one-to-many
// socket.
//
//   Socket sock(AF::INET, SOCK::SEQPACKET, IPPROTO::SCTP);       // one-to-many
//   sock.setsockopt(IPPROTO::SCTP, SCTP::RECVRCVINFO, 1);
//   sock.sendmsg({"hello"}, {SctpSendInfo{.stream = 2}.control()}, peer);
//   auto message = sock.recvmsg(2000, CMSG::SPACE(64));
//   SctpReceiveInfo::of(message.ancdata)->stream;
//
// Socket(AF::INET, SOCK::STREAM, IPPROTO::SCTP) is one-to-one: connect(), accept() and the rest
// work as with TCP, but messages keep their boundaries. recvmsg() sets MSG::EOR_ in the flags of
// the last part of a message.
//
// Source: RFC 6458, sctp(7). SCTP in family/constants.hpp has the other options.

#include <plug/ancillary.hpp>
#include <plug/bytes.hpp>
#include <plug/family/constants.hpp>
#include <plug/socket.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <system_error>

#pragma GCC visibility push(default)

namespace plug {

/// The value of SCTP::INITMSG: parameters of new associations. 0 means the system's default.
struct SctpInit {
  std::uint16_t out_streams = 0;
  std::uint16_t in_streams = 0;  ///< the maximum
  std::uint16_t attempts = 0;
  std::uint16_t timeout = 0;  ///< the maximum between attempts, in ms

  Bytes to_bytes() const;
  /// Throws ValueError unless `raw` has 8 bytes.
  static SctpInit from_bytes(BytesView raw);
};

/// Parameters of a message for sendmsg() (SCTP_SNDINFO).
struct SctpSendInfo {
  std::uint16_t stream = 0;
  std::uint16_t flags = 0;       ///< SCTP::UNORDERED, SCTP::EOF_ ..., or-ed as numbers
  std::uint32_t ppid = 0;        ///< for the application; sent without conversion of byte order
  std::uint32_t context = 0;     ///< returned if the message cannot be sent
  std::int32_t association = 0;  ///< one-to-many sockets only: instead of the address

  /// Returns the ancillary data for sendmsg().
  ControlMessage control() const;
};

/// Information about a message from recvmsg(), once SCTP::RECVRCVINFO is set (SCTP_RCVINFO).
struct SctpReceiveInfo {
  std::uint16_t stream = 0;
  std::uint16_t sequence = 0;  ///< number within the stream
  std::uint16_t flags = 0;     ///< SCTP::UNORDERED
  std::uint32_t ppid = 0;
  std::uint32_t tsn = 0;  ///< number within the association
  std::uint32_t context = 0;
  std::int32_t association = 0;

  /// Throws ValueError if `item` is of another kind or size.
  static SctpReceiveInfo from(const ControlMessage& item);
  /// Returns the SctpReceiveInfo in the ancillary data of a message; std::nullopt if there is none.
  static std::optional<SctpReceiveInfo> of(const AncillaryData& ancdata);
};

/// The value of SCTP::EVENT: turns notifications of one type (SCTP::ASSOC_CHANGE ...) on or off.
/// They are received as messages with MSG::NOTIFICATION in their flags.
struct SctpEvent {
  SCTP type{};
  bool on = true;
  std::int32_t association = 0;

  Bytes to_bytes() const;
};

/// A notification that an association has started, ended or changed (SCTP::ASSOC_CHANGE).
struct SctpAssociationChange {
  SCTP state{};  ///< SCTP::COMM_UP, COMM_LOST, RESTART, SHUTDOWN_COMP, CANT_STR_ASSOC
  std::uint16_t error = 0;
  std::uint16_t out_streams = 0;
  std::uint16_t in_streams = 0;
  std::int32_t association = 0;

  /// Throws ValueError if `raw` is not such a notification.
  static SctpAssociationChange from_bytes(BytesView raw);
};

/// Moves an association out of a one-to-many socket, and returns it as a new one-to-one socket,
/// which is close-on-exec and has the default timeout. Throws OSError EINVAL if there is no such
/// association.
Socket sctp_peel_off(Socket& sock, std::int32_t association);
Socket sctp_peel_off(Socket& sock, std::int32_t association, std::error_code& error);

}  // namespace plug

#pragma GCC visibility pop
