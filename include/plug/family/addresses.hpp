#pragma once

// Addresses of families other than IPv4, IPv6 and Unix. Each type has the fields of Python's tuple.
// They are accepted wherever an address is:
//
//   Socket bus(AF::CAN, SOCK::RAW, CAN::RAW);
//   bus.bind(CanAddress{"can0"});
//   auto [frame, sender] = bus.recvfrom(16);
//   CanAddress(sender).interface;             // "can0"
//
// Numbers are in host byte order. A constructor takes integers of any type and the family's
// constants. It throws OverflowError, naming the field, if a value does not fit (Python truncates
// it). The constructor from an Address throws ValueError if the Address is of another family or too
// short.
//
// If a type names an interface, its conversion to Address asks the system for the interface's
// index. It throws OSError ENODEV if there is no such interface, as does a call that is given the
// type. to_address() is the form that does not throw. In the other direction, the name of an
// interface that no longer exists is empty, as in Python.
//
// AF::RDS uses {host, port} pairs of IPv4.
//
// Python: https://docs.python.org/3/library/socket.html#socket-families

#include <plug/address.hpp>
#include <plug/bytes.hpp>
#include <plug/detail/number_or.hpp>
#include <plug/family/constants.hpp>

#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>

#pragma GCC visibility push(default)

namespace plug {

/// AF::CAN with CAN::RAW or CAN::BCM: a bus, by the name of its interface; empty means every bus.
/// Python: (interface,).
struct CanAddress : detail::TypedAddress {
  /// Throws OSError "AF_CAN interface name too long" for 16 bytes or more; ValueError if it
  /// contains a NUL.
  CanAddress(std::string_view interface = {});
  explicit CanAddress(const Address& address);
  operator Address() const;
  Address to_address(std::error_code& error) const;

  std::string interface;
};

/// AF::CAN with CAN::ISOTP (ISO 15765-2). Identifiers of 29 bits include CAN::EFF_FLAG.
/// Python: (interface, rx_id, tx_id).
struct IsotpAddress : detail::TypedAddress {
  /// Throws as CanAddress does.
  IsotpAddress(std::string_view interface, detail::NumberOr<CAN> rx_id,
               detail::NumberOr<CAN> tx_id);
  explicit IsotpAddress(const Address& address);
  operator Address() const;
  Address to_address(std::error_code& error) const;

  std::string interface;
  std::uint32_t rx_id;
  std::uint32_t tx_id;
};

/// AF::CAN with CAN::J1939 (SAE J1939): the 64-bit name of a node (J1939::NO_NAME if the address
/// identifies it), a parameter group number (or J1939::NO_PGN), and an address (or J1939::NO_ADDR).
/// Python: (interface, name, pgn, addr).
struct J1939Address : detail::TypedAddress {
  /// Throws as CanAddress does.
  J1939Address(std::string_view interface, detail::NumberOr<J1939> name,
               detail::NumberOr<J1939> pgn, detail::NumberOr<J1939> addr);
  explicit J1939Address(const Address& address);
  operator Address() const;
  Address to_address(std::error_code& error) const;

  std::string interface;
  std::uint64_t name;
  std::uint32_t pgn;
  std::uint8_t addr;
};

/// AF::PACKET: an interface (empty means every one, which Python refuses), a protocol, and
/// information from the kernel about a packet: its destination (PACKET::HOST ...), the hardware
/// type (ARPHRD_*, netdevice(7)) and the hardware address. Python: (interface, proto, pkttype,
/// hatype, addr).
struct PacketAddress : detail::TypedAddress {
  /// Throws ValueError if the hardware address is longer than 8 bytes, or the interface contains a
  /// NUL.
  PacketAddress(std::string_view interface, detail::NumberOr<ETH, ETHERTYPE> proto,
                detail::NumberOr<PACKET> pkttype = PACKET::HOST, detail::NumberOr<> hatype = 0,
                BytesView addr = {});
  /// Accepts hardware addresses of up to 32 bytes from the kernel (InfiniBand has 20).
  explicit PacketAddress(const Address& address);
  operator Address() const;
  Address to_address(std::error_code& error) const;

  std::string interface;
  std::uint16_t proto;
  std::uint8_t pkttype;
  std::uint16_t hatype;
  Bytes addr;
};

/// AF::NETLINK: a port (0 is the kernel; in bind() it lets the kernel choose) and a mask of
/// multicast groups. Python: (pid, groups).
struct NetlinkAddress : detail::TypedAddress {
  NetlinkAddress(detail::NumberOr<> pid, detail::NumberOr<> groups);
  explicit NetlinkAddress(const Address& address);
  operator Address() const;

  std::uint32_t pid;
  std::uint32_t groups;
};

/// AF::VSOCK: a machine (VMADDR::CID_HOST ...) and a port. Python: (CID, port).
struct VsockAddress : detail::TypedAddress {
  VsockAddress(detail::NumberOr<VMADDR> cid, detail::NumberOr<VMADDR> port);
  explicit VsockAddress(const Address& address);
  operator Address() const;

  std::uint32_t cid;
  std::uint32_t port;
};

/// AF::TIPC. The meaning of the three values depends on `addr_type`:
///
///   TIPC::ADDR_NAMESEQ   service type, lower and upper bound of its instances
///   TIPC::ADDR_NAME      service type, instance, 0 (ignored; printed as the instance again)
///   TIPC::ADDR_ID        node, reference, 0 (ignored; printed as 0)
///
/// Python: (addr_type, v1, v2, v3[, scope]).
struct TipcAddress : detail::TypedAddress {
  /// Throws ValueError "Invalid address type" for any other type.
  TipcAddress(detail::NumberOr<TIPC> addr_type, detail::NumberOr<TIPC> v1,
              detail::NumberOr<TIPC> v2, detail::NumberOr<TIPC> v3,
              detail::NumberOr<TIPC> scope = TIPC::CLUSTER_SCOPE);
  explicit TipcAddress(const Address& address);
  operator Address() const;

  std::uint8_t addr_type;
  std::uint32_t v1;
  std::uint32_t v2;
  std::uint32_t v3;
  std::uint8_t scope;
};

/// AF::ALG: an algorithm of the kernel, by type ("hash") and name ("sha256"). accept() returns the
/// socket that takes the data. accept() never waits, and the system never reports the bound socket
/// as ready, so do not set a timeout on the bound socket (as in Python).
/// Python: (type, name[, feat[, mask]]).
struct AlgAddress : detail::TypedAddress {
  /// Throws ValueError "AF_ALG type too long." for 14 bytes or more, "AF_ALG name too long." for 64
  /// bytes or more, and if either contains a NUL.
  AlgAddress(std::string_view type, std::string_view name, detail::NumberOr<> feat = 0,
             detail::NumberOr<> mask = 0);
  explicit AlgAddress(const Address& address);
  operator Address() const;

  std::string type;
  std::string name;
  std::uint32_t feat;
  std::uint32_t mask;
};

/// AF::QIPCRTR, Qualcomm's IPC router. Python: (node, port).
struct QrtrAddress : detail::TypedAddress {
  QrtrAddress(detail::NumberOr<QRTR> node, detail::NumberOr<QRTR> port);
  explicit QrtrAddress(const Address& address);
  operator Address() const;

  std::uint32_t node;
  std::uint32_t port;
};

// AF::BLUETOOTH. Devices are written as "01:23:45:67:89:AB" (BDADDR::ANY, BDADDR::LOCAL). The
// constructors throw OSError "bad bluetooth address" for other text. The size of an Address tells
// its protocol.

/// With BTPROTO::L2CAP. Python: (bdaddr, psm[, cid[, bdaddr_type]]); printed with two fields if
/// bdaddr_type is BDADDR::BREDR, else with all four.
struct L2capAddress : detail::TypedAddress {
  L2capAddress(std::string_view bdaddr, detail::NumberOr<> psm, detail::NumberOr<> cid = 0,
               detail::NumberOr<> bdaddr_type = BDADDR::BREDR);
  explicit L2capAddress(const Address& address);
  operator Address() const;

  std::string bdaddr;
  std::uint16_t psm;
  std::uint16_t cid;
  std::uint8_t bdaddr_type;
};

/// With BTPROTO::RFCOMM. Python: (bdaddr, channel).
struct RfcommAddress : detail::TypedAddress {
  RfcommAddress(std::string_view bdaddr, detail::NumberOr<> channel);
  explicit RfcommAddress(const Address& address);
  operator Address() const;

  std::string bdaddr;
  std::uint8_t channel;
};

/// With BTPROTO::HCI: the number of an adapter (HCI::DEV_NONE for none) and a channel. Python: dev,
/// or (dev, channel) if the channel is not HCI::CHANNEL_RAW.
struct HciAddress : detail::TypedAddress {
  HciAddress(detail::NumberOr<HCI> dev, detail::NumberOr<HCI> channel = HCI::CHANNEL_RAW);
  explicit HciAddress(const Address& address);
  operator Address() const;

  std::uint16_t dev;
  std::uint16_t channel;
};

/// With BTPROTO::SCO. Python: bdaddr.
struct ScoAddress : detail::TypedAddress {
  ScoAddress(std::string_view bdaddr);
  explicit ScoAddress(const Address& address);
  operator Address() const;

  std::string bdaddr;
};

/// Returns the text that Python prints. The interface need not exist.
std::string to_string(const CanAddress& address);
std::string to_string(const IsotpAddress& address);
std::string to_string(const J1939Address& address);
std::string to_string(const PacketAddress& address);

/// Converts a protocol to network byte order, as a socket of AF::PACKET takes it:
/// Socket(AF::PACKET, SOCK::RAW, hton(ETH::P_ALL_)).
std::uint16_t hton(ETH protocol) noexcept;
std::uint16_t hton(ETHERTYPE protocol) noexcept;

}  // namespace plug

#pragma GCC visibility pop
