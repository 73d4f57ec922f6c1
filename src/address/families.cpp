// The typed addresses: their checks, conversions and text. resolve::resolve() and
// server::ServerAccess::inet_family() decide in which family a {host, port} pair is used.

#include <plug/error.hpp>
#include <plug/family/addresses.hpp>
#include <plug/resolve.hpp>

#include <concepts>
#include <limits>
#include <optional>

#include "address/access.hpp"
#include "address/family_layout.hpp"
#include "base/throwing.hpp"
#include "sys/netdb.hpp"

namespace plug {

namespace {

namespace sys = detail::sys;
namespace layout = detail::layout;
namespace address = detail::address;
using detail::address::AddressAccess;
using detail::address::str_repr;
using detail::base::throwing;

// --- checks ---

template <std::unsigned_integral Field, class Number>
Field checked(Number number, std::string_view name) {
  constexpr Field kMost = std::numeric_limits<Field>::max();
  if (number.is_negative() || number.value() > kMost)
    throw OverflowError(std::string(name) + " must be 0-" + std::to_string(kMost) + ", not " +
                        (number.is_negative()
                             ? std::to_string(static_cast<std::int64_t>(number.value()))
                             : std::to_string(number.value())));
  return static_cast<Field>(number.value());
}

void check_no_nul(std::string_view text) {
  if (text.find('\0') != std::string_view::npos)
    throw ValueError("embedded null character: " + detail::address::bytes_repr(text));
}

void check_can_interface(std::string_view name) {
  if (name.find('\0') != std::string_view::npos)
    throw ValueError("embedded null byte: " + detail::address::bytes_repr(name));
  if (name.size() >= layout::kInterfaceCapacity)
    throw OSError(Errc::interface_too_long, str_repr(name));
}

void check_device(std::string_view text) {
  layout::BluetoothDevice device;
  if (!address::parse_device(text, device)) throw OSError(Errc::bad_bluetooth, str_repr(text));
}

void check(const CanAddress& address) { check_can_interface(address.interface); }
void check(const IsotpAddress& address) { check_can_interface(address.interface); }
void check(const J1939Address& address) { check_can_interface(address.interface); }

void check(const PacketAddress& address) {
  check_no_nul(address.interface);
  if (address.addr.size() > layout::kHardwareAddressCapacity)
    throw ValueError("Hardware address must be 32 bytes or less: " +
                     detail::address::bytes_repr(address.addr));
}

void check(const TipcAddress& address) {
  const TIPC type{address.addr_type};
  if (type != TIPC::ADDR_NAMESEQ && type != TIPC::ADDR_NAME && type != TIPC::ADDR_ID)
    throw ValueError("Invalid address type: " + std::to_string(address.addr_type));
}

void check(const AlgAddress& address) {
  check_no_nul(address.type);
  check_no_nul(address.name);
  if (address.type.size() >= layout::kAlgTypeCapacity)
    throw ValueError("AF_ALG type too long.: " + str_repr(address.type));
  if (address.name.size() >= layout::kAlgNameCapacity)
    throw ValueError("AF_ALG name too long.: " + str_repr(address.name));
}

void check(const NetlinkAddress&) {}
void check(const VsockAddress&) {}
void check(const QrtrAddress&) {}
void check(const HciAddress&) {}
void check(const L2capAddress& address) { check_device(address.bdaddr); }
void check(const RfcommAddress& address) { check_device(address.bdaddr); }
void check(const ScoAddress& address) { check_device(address.bdaddr); }

// --- to and from the kernel's layout ---

template <class T>
Address made(const T& fields, BTPROTO protocol = {}) {
  check(fields);
  Address address;
  const std::size_t size = address::write(fields, AddressAccess::storage(address));
  AddressAccess::set_size(address, size, static_cast<int>(protocol));
  return address;
}

template <class T>
Address made_with_interface(const T& fields, Protocol protocol, std::error_code& error) {
  check(fields);
  error.clear();
  const long index = fields.interface.empty() ? 0 : sys::interface_index(fields.interface);
  if (index < 0) {
    error.assign(static_cast<int>(-index), std::system_category());
    return {};
  }
  Address address;
  const std::size_t size = address::write(fields, index, AddressAccess::storage(address));
  AddressAccess::set_size(address, size, protocol);
  return address;
}

/// The throwing form of to_address().
template <class T>
Address or_throw(const T& fields) {
  return throwing([&](std::error_code& error) { return fields.to_address(error); },
                  [&] { return to_string(fields); });
}

template <class T>
T fields_of(const Address& address, std::string_view kind) {
  if (auto fields = address::read<T>(address)) return *std::move(fields);
  throw ValueError("not " + std::string(kind) + ": " + to_string(address));
}

// --- text ---

std::string piece(std::string_view text) { return str_repr(text); }
std::string piece(std::uint64_t number) { return std::to_string(number); }

template <class First, class... Rest>
std::string tuple(const First& first, const Rest&... rest) {
  std::string text = "(" + piece(first);
  ((text += ", " + piece(rest)), ...);
  return text += sizeof...(rest) == 0 ? ",)" : ")";
}

std::string text_of(const CanAddress& a) { return tuple(a.interface); }
std::string text_of(const IsotpAddress& a) { return tuple(a.interface, a.rx_id, a.tx_id); }
std::string text_of(const J1939Address& a) { return tuple(a.interface, a.name, a.pgn, a.addr); }
std::string text_of(const PacketAddress& a) {
  std::string text = tuple(a.interface, a.proto, a.pkttype, a.hatype);
  text.back() = ',';
  return text + " " + detail::address::bytes_repr(a.addr) + ")";
}
std::string text_of(const NetlinkAddress& a) { return tuple(a.pid, a.groups); }
std::string text_of(const VsockAddress& a) { return tuple(a.cid, a.port); }
std::string text_of(const TipcAddress& a) {
  const std::uint32_t v3 = TIPC{a.addr_type} == TIPC::ADDR_NAME ? a.v2 : a.v3;
  // It is signed in the kernel's structure, and Python prints it unsigned.
  const std::uint32_t scope = a.scope < 0x80 ? a.scope : 0xffffff00u | a.scope;
  return tuple(a.addr_type, a.v1, a.v2, v3, scope);
}
std::string text_of(const AlgAddress& a) { return tuple(a.type, a.name, a.feat, a.mask); }
std::string text_of(const QrtrAddress& a) { return tuple(a.node, a.port); }
std::string text_of(const L2capAddress& a) {
  return a.bdaddr_type == BDADDR::BREDR ? tuple(a.bdaddr, a.psm)
                                        : tuple(a.bdaddr, a.psm, a.cid, a.bdaddr_type);
}
std::string text_of(const RfcommAddress& a) { return tuple(a.bdaddr, a.channel); }
std::string text_of(const HciAddress& a) {
  return HCI{a.channel} == HCI::CHANNEL_RAW ? piece(a.dev) : tuple(a.dev, a.channel);
}
std::string text_of(const ScoAddress& a) { return a.bdaddr; }

}  // namespace

std::optional<std::string> detail::address::typed_text(const Address& address) {
  std::optional<std::string> text;
  address::visit(address, [&text](const auto& typed) { text = text_of(typed); });
  return text;
}

// --- CAN ---

CanAddress::CanAddress(std::string_view interface_) : interface(interface_) { check(*this); }
CanAddress::CanAddress(const Address& address)
    : CanAddress(fields_of<CanAddress>(address, "an address of CAN_RAW or CAN_BCM")) {}
CanAddress::operator Address() const { return or_throw(*this); }
Address CanAddress::to_address(std::error_code& error) const {
  return made_with_interface(*this, CAN::RAW, error);
}
std::string to_string(const CanAddress& address) { return text_of(address); }

IsotpAddress::IsotpAddress(std::string_view interface_, detail::NumberOr<CAN> rx_id_,
                           detail::NumberOr<CAN> tx_id_)
    : interface(interface_),
      rx_id(checked<std::uint32_t>(rx_id_, "rx_id")),
      tx_id(checked<std::uint32_t>(tx_id_, "tx_id")) {
  check(*this);
}
IsotpAddress::IsotpAddress(const Address& address)
    : IsotpAddress(fields_of<IsotpAddress>(address, "an address of CAN_ISOTP")) {}
IsotpAddress::operator Address() const { return or_throw(*this); }
Address IsotpAddress::to_address(std::error_code& error) const {
  return made_with_interface(*this, CAN::ISOTP, error);
}
std::string to_string(const IsotpAddress& address) { return text_of(address); }

J1939Address::J1939Address(std::string_view interface_, detail::NumberOr<J1939> name_,
                           detail::NumberOr<J1939> pgn_, detail::NumberOr<J1939> addr_)
    : interface(interface_),
      name(checked<std::uint64_t>(name_, "name")),
      pgn(checked<std::uint32_t>(pgn_, "pgn")),
      addr(checked<std::uint8_t>(addr_, "addr")) {
  check(*this);
}
J1939Address::J1939Address(const Address& address)
    : J1939Address(fields_of<J1939Address>(address, "an address of CAN_J1939")) {}
J1939Address::operator Address() const { return or_throw(*this); }
Address J1939Address::to_address(std::error_code& error) const {
  return made_with_interface(*this, CAN::J1939, error);
}
std::string to_string(const J1939Address& address) { return text_of(address); }

// --- packet, netlink, VSOCK, TIPC, ALG, QIPCRTR ---

PacketAddress::PacketAddress(std::string_view interface_, detail::NumberOr<ETH, ETHERTYPE> proto_,
                             detail::NumberOr<PACKET> pkttype_, detail::NumberOr<> hatype_,
                             BytesView addr_)
    : interface(interface_),
      proto(checked<std::uint16_t>(proto_, "proto")),
      pkttype(checked<std::uint8_t>(pkttype_, "pkttype")),
      hatype(checked<std::uint16_t>(hatype_, "hatype")),
      addr(std::string_view(addr_)) {
  if (addr.size() > 8)
    throw ValueError("Hardware address must be 8 bytes or less: " +
                     detail::address::bytes_repr(addr));
  check(*this);
}
PacketAddress::PacketAddress(const Address& address)
    : PacketAddress(fields_of<PacketAddress>(address, "an address of AF_PACKET")) {}
PacketAddress::operator Address() const { return or_throw(*this); }
Address PacketAddress::to_address(std::error_code& error) const {
  return made_with_interface(*this, 0, error);
}
std::string to_string(const PacketAddress& address) { return text_of(address); }

NetlinkAddress::NetlinkAddress(detail::NumberOr<> pid_, detail::NumberOr<> groups_)
    : pid(checked<std::uint32_t>(pid_, "pid")), groups(checked<std::uint32_t>(groups_, "groups")) {}
NetlinkAddress::NetlinkAddress(const Address& address)
    : NetlinkAddress(fields_of<NetlinkAddress>(address, "an address of AF_NETLINK")) {}
NetlinkAddress::operator Address() const { return made(*this); }

VsockAddress::VsockAddress(detail::NumberOr<VMADDR> cid_, detail::NumberOr<VMADDR> port_)
    : cid(checked<std::uint32_t>(cid_, "cid")), port(checked<std::uint32_t>(port_, "port")) {}
VsockAddress::VsockAddress(const Address& address)
    : VsockAddress(fields_of<VsockAddress>(address, "an address of AF_VSOCK")) {}
VsockAddress::operator Address() const { return made(*this); }

TipcAddress::TipcAddress(detail::NumberOr<TIPC> addr_type_, detail::NumberOr<TIPC> v1_,
                         detail::NumberOr<TIPC> v2_, detail::NumberOr<TIPC> v3_,
                         detail::NumberOr<TIPC> scope_)
    : addr_type(checked<std::uint8_t>(addr_type_, "addr_type")),
      v1(checked<std::uint32_t>(v1_, "v1")),
      v2(checked<std::uint32_t>(v2_, "v2")),
      v3(checked<std::uint32_t>(v3_, "v3")),
      scope(checked<std::uint8_t>(scope_, "scope")) {
  check(*this);
}
TipcAddress::TipcAddress(const Address& address)
    : TipcAddress(fields_of<TipcAddress>(address, "an address of AF_TIPC")) {}
TipcAddress::operator Address() const { return made(*this); }

AlgAddress::AlgAddress(std::string_view type_, std::string_view name_, detail::NumberOr<> feat_,
                       detail::NumberOr<> mask_)
    : type(type_),
      name(name_),
      feat(checked<std::uint32_t>(feat_, "feat")),
      mask(checked<std::uint32_t>(mask_, "mask")) {
  check(*this);
}
AlgAddress::AlgAddress(const Address& address)
    : AlgAddress(fields_of<AlgAddress>(address, "an address of AF_ALG")) {}
AlgAddress::operator Address() const { return made(*this); }

QrtrAddress::QrtrAddress(detail::NumberOr<QRTR> node_, detail::NumberOr<QRTR> port_)
    : node(checked<std::uint32_t>(node_, "node")), port(checked<std::uint32_t>(port_, "port")) {}
QrtrAddress::QrtrAddress(const Address& address)
    : QrtrAddress(fields_of<QrtrAddress>(address, "an address of AF_QIPCRTR")) {}
QrtrAddress::operator Address() const { return made(*this); }

// --- Bluetooth ---

L2capAddress::L2capAddress(std::string_view bdaddr_, detail::NumberOr<> psm_,
                           detail::NumberOr<> cid_, detail::NumberOr<> bdaddr_type_)
    : bdaddr(bdaddr_),
      psm(checked<std::uint16_t>(psm_, "psm")),
      cid(checked<std::uint16_t>(cid_, "cid")),
      bdaddr_type(checked<std::uint8_t>(bdaddr_type_, "bdaddr_type")) {
  check(*this);
}
L2capAddress::L2capAddress(const Address& address)
    : L2capAddress(fields_of<L2capAddress>(address, "an address of BTPROTO_L2CAP")) {}
L2capAddress::operator Address() const { return made(*this, BTPROTO::L2CAP); }

RfcommAddress::RfcommAddress(std::string_view bdaddr_, detail::NumberOr<> channel_)
    : bdaddr(bdaddr_), channel(checked<std::uint8_t>(channel_, "channel")) {
  check(*this);
}
RfcommAddress::RfcommAddress(const Address& address)
    : RfcommAddress(fields_of<RfcommAddress>(address, "an address of BTPROTO_RFCOMM")) {}
RfcommAddress::operator Address() const { return made(*this, BTPROTO::RFCOMM); }

HciAddress::HciAddress(detail::NumberOr<HCI> dev_, detail::NumberOr<HCI> channel_)
    : dev(checked<std::uint16_t>(dev_, "dev")),
      channel(checked<std::uint16_t>(channel_, "channel")) {}
HciAddress::HciAddress(const Address& address)
    : HciAddress(fields_of<HciAddress>(address, "an address of BTPROTO_HCI")) {}
HciAddress::operator Address() const { return made(*this, BTPROTO::HCI); }

ScoAddress::ScoAddress(std::string_view bdaddr_) : bdaddr(bdaddr_) { check(*this); }
ScoAddress::ScoAddress(const Address& address)
    : ScoAddress(fields_of<ScoAddress>(address, "an address of BTPROTO_SCO")) {}
ScoAddress::operator Address() const { return made(*this, BTPROTO::SCO); }

std::uint16_t hton(ETH protocol) noexcept { return hton(static_cast<std::uint16_t>(protocol)); }
std::uint16_t hton(ETHERTYPE protocol) noexcept {
  return hton(static_cast<std::uint16_t>(protocol));
}

}  // namespace plug
