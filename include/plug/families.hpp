#pragma once

// Addresses of the families beside IPv4, IPv6 and Unix, each a type of its own whose fields are
// those of Python's tuple. They go wherever an address goes:
//
//   Socket bus(AF::CAN, SOCK::RAW, CAN::RAW);
//   bus.bind(CanAddress{"can0"});
//   auto [frame, sender] = bus.recvfrom(16);
//   CanAddress(sender).interface;             // "can0"
//
// Numbers are in host byte order. A constructor takes any integer, or the family's own constants,
// and throws OverflowError naming what does not fit its field (where Python cuts it off). One from
// an Address throws ValueError when that is of another family or too short for it.
//
// Where an interface is named, the conversion to Address asks the system for its number: throws
// OSError ENODEV when there is none of that name, as the call does that the address is given to.
// to_address() is the same without throwing. The other way round an interface that is gone reads as
// empty, as in Python.
//
// AF::RDS takes {host, port} pairs of IPv4.
//
// Python: https://docs.python.org/3/library/socket.html#socket-families

#include <plug/address.hpp>
#include <plug/bytes.hpp>
#include <plug/family_constants.hpp>

#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>

#pragma GCC visibility push(default)

namespace plug {

namespace detail {
/// An integer of any type, or one of the enums' constants, for a field that checks its range.
template <class... Enums>
class NumberOr {
 public:
  template <class T>
  requires(std::integral<T> || (std::is_enum_v<T> &&
                                std::is_convertible_v<T, int>)) constexpr NumberOr(T value) noexcept
      : value_(static_cast<std::uint64_t>(value)), negative_(value < T{}) {}

  template <class E>
  requires(std::same_as<E, Enums> || ...) constexpr NumberOr(E value) noexcept
      : NumberOr(static_cast<std::underlying_type_t<E>>(value)) {}

  template <std::floating_point T>
  NumberOr(T) = delete;

  /// In two's complement.
  constexpr std::uint64_t value() const noexcept { return value_; }
  constexpr bool is_negative() const noexcept { return negative_; }

 private:
  std::uint64_t value_;
  bool negative_;
};
}  // namespace detail

/// AF::CAN with CAN::RAW or CAN::BCM: a bus by the name of its interface, or every bus where that
/// is empty. Python: (interface,).
struct CanAddress : detail::TypedAddress {
  /// Throws OSError "AF_CAN interface name too long" from 16 bytes on, ValueError for a NUL in it.
  CanAddress(std::string_view interface = {});
  explicit CanAddress(const Address& address);
  operator Address() const;
  Address to_address(std::error_code& error) const;

  std::string interface;
};

/// AF::CAN with CAN::ISOTP (ISO 15765-2). Identifiers of 29 bits carry CAN::EFF_FLAG. Python:
/// (interface, rx_id, tx_id).
struct IsotpAddress : detail::TypedAddress {
  /// The errors of CanAddress.
  IsotpAddress(std::string_view interface, detail::NumberOr<CAN> rx_id,
               detail::NumberOr<CAN> tx_id);
  explicit IsotpAddress(const Address& address);
  operator Address() const;
  Address to_address(std::error_code& error) const;

  std::string interface;
  std::uint32_t rx_id;
  std::uint32_t tx_id;
};

/// AF::CAN with CAN::J1939 (SAE J1939): a node by its 64-bit name (J1939::NO_NAME when the address
/// says who it is), a parameter group number (J1939::NO_PGN), an address (J1939::NO_ADDR). Python:
/// (interface, name, pgn, addr).
struct J1939Address : detail::TypedAddress {
  /// The errors of CanAddress.
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

/// AF::PACKET: an interface, or every one where the name is empty (which Python refuses), a
/// protocol, and what the kernel says of a packet: who it was for (PACKET::HOST ...), the kind of
/// hardware (ARPHRD_*, netdevice(7)), the hardware's address. Python: (interface, proto, pkttype,
/// hatype, addr).
struct PacketAddress : detail::TypedAddress {
  /// Throws ValueError for a hardware address above 8 bytes or a NUL in the interface.
  PacketAddress(std::string_view interface, detail::NumberOr<ETH, ETHERTYPE> proto,
                detail::NumberOr<PACKET> pkttype = PACKET::HOST, detail::NumberOr<> hatype = 0,
                BytesView addr = {});
  /// A hardware address of the kernel's may have up to 32 bytes (InfiniBand has 20).
  explicit PacketAddress(const Address& address);
  operator Address() const;
  Address to_address(std::error_code& error) const;

  std::string interface;
  std::uint16_t proto;
  std::uint8_t pkttype;
  std::uint16_t hatype;
  Bytes addr;
};

/// AF::NETLINK: a port (0 is the kernel, or, to bind, one that it picks) and a mask of multicast
/// groups. Python: (pid, groups).
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

/// AF::TIPC, whose three values mean, by `addr_type`:
///   TIPC::ADDR_NAMESEQ   service type, lower and upper end of its instances
///   TIPC::ADDR_NAME      service type, instance, 0 (it is not read; printed as the instance again)
///   TIPC::ADDR_ID        node, reference, 0 (likewise; printed as 0)
/// Python: (addr_type, v1, v2, v3[, scope]).
struct TipcAddress : detail::TypedAddress {
  /// Throws ValueError "Invalid address type" for another.
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

/// AF::ALG: an algorithm of the kernel's by its type ("hash") and its name ("sha256"). accept()
/// gives the socket that takes the data; it never waits, nor is it ever said to be ready, so that
/// the bound socket is to have no time-out (as in Python). Python: (type, name[, feat[, mask]]).
struct AlgAddress : detail::TypedAddress {
  /// Throws ValueError "AF_ALG type too long." from 14 bytes on, "AF_ALG name too long." from 64
  /// bytes on, and for a NUL in either.
  AlgAddress(std::string_view type, std::string_view name, detail::NumberOr<> feat = 0,
             detail::NumberOr<> mask = 0);
  explicit AlgAddress(const Address& address);
  operator Address() const;

  std::string type;
  std::string name;
  std::uint32_t feat;
  std::uint32_t mask;
};

/// AF::QIPCRTR, Qualcomm's router. Python: (node, port).
struct QrtrAddress : detail::TypedAddress {
  QrtrAddress(detail::NumberOr<QRTR> node, detail::NumberOr<QRTR> port);
  explicit QrtrAddress(const Address& address);
  operator Address() const;

  std::uint32_t node;
  std::uint32_t port;
};

// AF::BLUETOOTH. A device is written "01:23:45:67:89:AB" (BDADDR::ANY, BDADDR::LOCAL). The
// constructors throw OSError "bad bluetooth address" for text that is no such address. The protocol
// of an Address is told by its size.

/// With BTPROTO::L2CAP. Python: (bdaddr, psm[, cid[, bdaddr_type]]); printed with all four when
/// bdaddr_type is not BDADDR::BREDR, with two else.
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

/// With BTPROTO::HCI: an adapter by its number (HCI::DEV_NONE for none) and a channel. Python: dev,
/// or (dev, channel) where that is not HCI::CHANNEL_RAW.
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

/// As Python prints them; the interface need not be there.
std::string to_string(const CanAddress& address);
std::string to_string(const IsotpAddress& address);
std::string to_string(const J1939Address& address);
std::string to_string(const PacketAddress& address);

/// Network byte order, as the protocol of a socket of AF::PACKET has to be:
/// Socket(AF::PACKET, SOCK::RAW, hton(ETH::P_ALL_)).
std::uint16_t hton(ETH protocol) noexcept;
std::uint16_t hton(ETHERTYPE protocol) noexcept;

}  // namespace plug

#pragma GCC visibility pop
