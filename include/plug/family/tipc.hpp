#pragma once

// TIPC beyond its addresses (family/addresses.hpp): the topology service, which reports when
// services appear and disappear, and groups of sockets.
//
//   Socket top(AF::TIPC, SOCK::SEQPACKET);
//   top.connect(TipcAddress(TIPC::ADDR_NAME, TIPC::TOP_SRV, TIPC::TOP_SRV, 0));
//   top.sendall(TipcSubscription{.type = 4711, .filter = TIPC::SUB_SERVICE}.to_bytes());
//   const auto event = TipcEvent::from_bytes(top.recv(kTipcEventSize));
//   event.event == TIPC::PUBLISHED;
//
// Source: tipc(7); http://tipc.io/programming.html

#include <plug/bytes.hpp>
#include <plug/family/constants.hpp>

#include <array>
#include <cstddef>
#include <cstdint>

#pragma GCC visibility push(default)

namespace plug {

/// A request to the topology service: to report services of `type` with an instance from `lower` to
/// `upper`.
struct TipcSubscription {
  std::uint32_t type = 0;
  std::uint32_t lower = 0;
  std::uint32_t upper = 0xffffffff;
  std::uint32_t timeout = 0xffffffff;  ///< in ms; then TIPC::SUBSCR_TIMEOUT is reported;
                                       ///< the default is TIPC::WAIT_FOREVER
  TIPC filter = TIPC::SUB_SERVICE;     ///< or TIPC::SUB_PORTS: an event for each socket
  std::array<char, 8> handle{};        ///< returned with each event

  Bytes to_bytes() const;
};

/// The size of an event in bytes, for receiving.
inline constexpr std::ptrdiff_t kTipcEventSize = 48;

/// An event from the topology service.
struct TipcEvent {
  TIPC event{};  ///< TIPC::PUBLISHED, WITHDRAWN, SUBSCR_TIMEOUT
  std::uint32_t lower = 0;
  std::uint32_t upper = 0;
  std::uint32_t reference = 0;  ///< with `node`, the socket: TipcAddress(TIPC::ADDR_ID, ...)
  std::uint32_t node = 0;
  TipcSubscription subscription{};

  /// Throws ValueError unless `raw` has kTipcEventSize bytes.
  static TipcEvent from_bytes(BytesView raw);
};

/// The value of TIPC::GROUP_JOIN. A socket of SOCK::RDM that joins a group receives messages to its
/// instance and, with TIPC::GROUP_MEMBER_EVTS, an empty message when a member joins or leaves.
struct TipcGroup {
  std::uint32_t type = 0;
  std::uint32_t instance = 0;
  TIPC scope = TIPC::CLUSTER_SCOPE;
  std::uint32_t flags = 0;  ///< TIPC::GROUP_LOOPBACK, GROUP_MEMBER_EVTS, or-ed as numbers

  Bytes to_bytes() const;
};

}  // namespace plug

#pragma GCC visibility pop
