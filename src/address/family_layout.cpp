#include "address/family_layout.hpp"

#include <plug/resolve.hpp>

#include <algorithm>
#include <bit>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <type_traits>

#include "sys/netdb.hpp"

namespace plug::detail::address {

namespace {

constexpr std::uint16_t number(AF family) noexcept { return static_cast<std::uint16_t>(family); }

std::uint16_t little_endian(std::uint16_t value) noexcept {
  if constexpr (std::endian::native == std::endian::little) return value;
  return static_cast<std::uint16_t>((value << 8) | (value >> 8));
}

/// Zeroes all bytes: braces would zero only the first member of a union, and no padding.
template <class Layout>
void clear(Layout& layout) noexcept {
  static_assert(std::is_trivially_copyable_v<Layout>);
  std::memset(static_cast<void*>(&layout), 0, sizeof layout);
}

/// Copies an address of `family` with at least `least` bytes into `layout` and zeroes the rest.
template <class Layout>
bool load(const Address& address, AF family, std::size_t least, Layout& layout) noexcept {
  const BytesView bytes = address.bytes();
  if (address.family() != family || bytes.size() < least) return false;
  clear(layout);
  std::memcpy(&layout, bytes.data(), std::min(bytes.size(), sizeof layout));
  return true;
}

/// Does the same for a Bluetooth protocol, whose addresses all have one size.
template <class Layout>
bool load_bluetooth(const Address& address, Layout& layout) noexcept {
  return address.bytes().size() == sizeof layout &&
         address.protocol() <= int{Protocol(BTPROTO::RFCOMM)} &&
         load(address, AF::BLUETOOTH, sizeof layout, layout);
}

template <class Layout>
std::size_t store(const Layout& layout, char* out, std::size_t size = sizeof(Layout)) noexcept {
  std::memcpy(out, &layout, size);
  return size;
}

/// Returns an empty name for 0, which means every interface, and for an unknown interface, as
/// Python.
std::string interface_name(int index) {
  std::string name;
  if (index > 0 && sys::if_indextoname(static_cast<unsigned>(index), name) < 0) name.clear();
  return name;
}

template <std::size_t N>
std::string_view until_nul(const unsigned char (&text)[N]) noexcept {
  return {reinterpret_cast<const char*>(text), ::strnlen(reinterpret_cast<const char*>(text), N)};
}

std::string device_text(const layout::BluetoothDevice& device) {
  char text[18];
  std::snprintf(text, sizeof text, "%02X:%02X:%02X:%02X:%02X:%02X", device.bytes[5],
                device.bytes[4], device.bytes[3], device.bytes[2], device.bytes[1],
                device.bytes[0]);
  return text;
}

layout::BluetoothDevice device_of(std::string_view text) noexcept {
  layout::BluetoothDevice device;
  parse_device(text, device);
  return device;
}

constexpr std::size_t kCanSize = offsetof(layout::CanSockaddr, isotp);
constexpr std::size_t kIsotpSize = kCanSize + sizeof(layout::CanSockaddr::isotp);
constexpr std::size_t kJ1939Least =
    offsetof(layout::CanSockaddr, j1939.addr) + sizeof(layout::CanSockaddr::j1939.addr);

layout::CanSockaddr can_form(long index) noexcept {
  layout::CanSockaddr layout;
  clear(layout);
  layout.family = number(AF::CAN);
  layout.interface_index = static_cast<int>(index);
  return layout;
}

bool is_protocol(const Address& address, CAN protocol) noexcept {
  return address.protocol() == int{Protocol(protocol)};
}

}  // namespace

bool parse_device(std::string_view text, layout::BluetoothDevice& device) noexcept {
  for (int i = 5; i >= 0; --i) {
    const std::string_view part = text.substr(0, text.find(':'));
    const char* const end = part.data() + part.size();
    const auto [stop, error] = std::from_chars(part.data(), end, device.bytes[i], 16);
    if (error != std::errc{} || stop != end || part.size() > 2) return false;
    if (i == 0) return part.size() == text.size();
    if (part.size() == text.size()) return false;
    text.remove_prefix(part.size() + 1);
  }
  return false;
}

int interface_of(const Address& address) noexcept {
  layout::CanSockaddr can;
  if (load(address, AF::CAN, kCanSize, can)) return can.interface_index;
  layout::PacketSockaddr packet;
  if (load(address, AF::PACKET, offsetof(layout::PacketSockaddr, hardware), packet))
    return packet.interface_index;
  return 0;
}

// --- CAN ---

template <>
std::optional<CanAddress> read(const Address& address) {
  layout::CanSockaddr layout;
  if (is_protocol(address, CAN::ISOTP) || is_protocol(address, CAN::J1939) ||
      !load(address, AF::CAN, kCanSize, layout))
    return {};
  return CanAddress(interface_name(layout.interface_index));
}

template <>
std::optional<IsotpAddress> read(const Address& address) {
  layout::CanSockaddr layout;
  if ((address.protocol() != 0 && !is_protocol(address, CAN::ISOTP)) ||
      !load(address, AF::CAN, kIsotpSize, layout))
    return {};
  return IsotpAddress(interface_name(layout.interface_index), layout.isotp.rx_id,
                      layout.isotp.tx_id);
}

template <>
std::optional<J1939Address> read(const Address& address) {
  layout::CanSockaddr layout;
  if ((address.protocol() != 0 && !is_protocol(address, CAN::J1939)) ||
      !load(address, AF::CAN, kJ1939Least, layout))
    return {};
  const auto& j1939 = layout.j1939;
  return J1939Address(interface_name(layout.interface_index), j1939.name, j1939.pgn, j1939.addr);
}

// The size is as much as the protocol reads, and as the kernel itself returns.

std::size_t write(const CanAddress&, long index, char* out) noexcept {
  return store(can_form(index), out, kCanSize);
}

std::size_t write(const IsotpAddress& address, long index, char* out) noexcept {
  layout::CanSockaddr layout = can_form(index);
  layout.isotp.rx_id = address.rx_id;
  layout.isotp.tx_id = address.tx_id;
  return store(layout, out, kIsotpSize);
}

std::size_t write(const J1939Address& address, long index, char* out) noexcept {
  layout::CanSockaddr layout = can_form(index);
  layout.j1939.name = address.name;
  layout.j1939.pgn = address.pgn;
  layout.j1939.addr = address.addr;
  return store(layout, out);
}

// --- packet, netlink, VSOCK, TIPC, ALG, QIPCRTR ---

template <>
std::optional<PacketAddress> read(const Address& address) {
  constexpr std::size_t kLeast = offsetof(layout::PacketSockaddr, hardware);
  layout::PacketSockaddr layout;
  if (!load(address, AF::PACKET, kLeast, layout) ||
      layout.hardware_size > layout::kHardwareAddressCapacity)
    return {};
  PacketAddress fields(interface_name(layout.interface_index), ntoh(layout.protocol),
                       layout.packet_type, layout.hardware_type);
  // The address may be longer than hardware.
  const BytesView hardware = address.bytes().subspan(kLeast);
  fields.addr.assign(hardware.data(), std::min<std::size_t>(layout.hardware_size, hardware.size()));
  return fields;
}

std::size_t write(const PacketAddress& address, long index, char* out) noexcept {
  layout::PacketSockaddr layout;
  clear(layout);
  layout.family = number(AF::PACKET);
  layout.protocol = hton(address.proto);
  layout.interface_index = static_cast<int>(index);
  layout.hardware_type = address.hatype;
  layout.packet_type = address.pkttype;
  layout.hardware_size = static_cast<unsigned char>(address.addr.size());
  const std::size_t size = store(layout, out);
  constexpr std::size_t kHardware = offsetof(layout::PacketSockaddr, hardware);
  std::copy(address.addr.begin(), address.addr.end(), out + kHardware);
  return std::max(size, kHardware + address.addr.size());
}

template <>
std::optional<NetlinkAddress> read(const Address& address) {
  layout::NetlinkSockaddr layout;
  if (!load(address, AF::NETLINK, sizeof layout, layout)) return {};
  return NetlinkAddress(layout.pid, layout.groups);
}

std::size_t write(const NetlinkAddress& address, char* out) noexcept {
  layout::NetlinkSockaddr layout;
  clear(layout);
  layout.family = number(AF::NETLINK);
  layout.pid = address.pid;
  layout.groups = address.groups;
  return store(layout, out);
}

template <>
std::optional<VsockAddress> read(const Address& address) {
  layout::VsockSockaddr layout;
  constexpr std::size_t kLeast = offsetof(layout::VsockSockaddr, cid) + sizeof(layout.cid);
  if (!load(address, AF::VSOCK, kLeast, layout)) return {};
  return VsockAddress(layout.cid, layout.port);
}

std::size_t write(const VsockAddress& address, char* out) noexcept {
  layout::VsockSockaddr layout;
  clear(layout);
  layout.family = number(AF::VSOCK);
  layout.cid = address.cid;
  layout.port = address.port;
  return store(layout, out);
}

template <>
std::optional<TipcAddress> read(const Address& address) {
  layout::TipcSockaddr layout;
  if (!load(address, AF::TIPC, sizeof layout, layout)) return {};
  const auto fields = [&](std::uint32_t v1, std::uint32_t v2, std::uint32_t v3) {
    return TipcAddress(layout.type, v1, v2, v3, static_cast<std::uint8_t>(layout.scope));
  };
  switch (layout.type) {
    case static_cast<std::uint8_t>(TIPC::ADDR_NAMESEQ):
      return fields(layout.range.type, layout.range.lower, layout.range.upper);
    case static_cast<std::uint8_t>(TIPC::ADDR_NAME):
      return fields(layout.name.type, layout.name.instance, 0);
    case static_cast<std::uint8_t>(TIPC::ADDR_ID):
      return fields(layout.id.node, layout.id.reference, 0);
    default:
      return {};
  }
}

std::size_t write(const TipcAddress& address, char* out) noexcept {
  layout::TipcSockaddr layout;
  clear(layout);
  layout.family = number(AF::TIPC);
  layout.type = address.addr_type;
  layout.scope = static_cast<signed char>(address.scope);
  switch (address.addr_type) {
    case static_cast<std::uint8_t>(TIPC::ADDR_NAMESEQ):
      layout.range.type = address.v1;
      layout.range.lower = address.v2;
      layout.range.upper = address.v3;
      break;
    case static_cast<std::uint8_t>(TIPC::ADDR_NAME):
      layout.name.type = address.v1;
      layout.name.instance = address.v2;
      break;
    default:
      layout.id.node = address.v1;
      layout.id.reference = address.v2;
  }
  return store(layout, out);
}

template <>
std::optional<AlgAddress> read(const Address& address) {
  layout::AlgSockaddr layout;
  if (!load(address, AF::ALG, sizeof layout, layout)) return {};
  const std::string_view type = until_nul(layout.type);
  const std::string_view name = until_nul(layout.name);
  if (type.size() == layout::kAlgTypeCapacity || name.size() == layout::kAlgNameCapacity) return {};
  return AlgAddress(type, name, layout.features, layout.mask);
}

std::size_t write(const AlgAddress& address, char* out) noexcept {
  layout::AlgSockaddr layout;
  clear(layout);
  layout.family = number(AF::ALG);
  layout.features = address.feat;
  layout.mask = address.mask;
  std::copy(address.type.begin(), address.type.end(), layout.type);
  std::copy(address.name.begin(), address.name.end(), layout.name);
  return store(layout, out);
}

template <>
std::optional<QrtrAddress> read(const Address& address) {
  layout::QrtrSockaddr layout;
  if (!load(address, AF::QIPCRTR, sizeof layout, layout)) return {};
  return QrtrAddress(layout.node, layout.port);
}

std::size_t write(const QrtrAddress& address, char* out) noexcept {
  layout::QrtrSockaddr layout;
  clear(layout);
  layout.family = number(AF::QIPCRTR);
  layout.node = address.node;
  layout.port = address.port;
  return store(layout, out);
}

// --- Bluetooth ---

template <>
std::optional<L2capAddress> read(const Address& address) {
  layout::L2capSockaddr layout;
  if (!load_bluetooth(address, layout)) return {};
  return L2capAddress(device_text(layout.device), little_endian(layout.psm),
                      little_endian(layout.cid), layout.device_type);
}

std::size_t write(const L2capAddress& address, char* out) noexcept {
  layout::L2capSockaddr layout;
  clear(layout);
  layout.family = number(AF::BLUETOOTH);
  layout.psm = little_endian(address.psm);
  layout.device = device_of(address.bdaddr);
  layout.cid = little_endian(address.cid);
  layout.device_type = address.bdaddr_type;
  return store(layout, out);
}

template <>
std::optional<RfcommAddress> read(const Address& address) {
  layout::RfcommSockaddr layout;
  if (!load_bluetooth(address, layout)) return {};
  return RfcommAddress(device_text(layout.device), layout.channel);
}

std::size_t write(const RfcommAddress& address, char* out) noexcept {
  layout::RfcommSockaddr layout;
  clear(layout);
  layout.family = number(AF::BLUETOOTH);
  layout.device = device_of(address.bdaddr);
  layout.channel = address.channel;
  return store(layout, out);
}

template <>
std::optional<HciAddress> read(const Address& address) {
  layout::HciSockaddr layout;
  if (!load_bluetooth(address, layout)) return {};
  return HciAddress(layout.device, layout.channel);
}

std::size_t write(const HciAddress& address, char* out) noexcept {
  layout::HciSockaddr layout;
  clear(layout);
  layout.family = number(AF::BLUETOOTH);
  layout.device = address.dev;
  layout.channel = address.channel;
  return store(layout, out);
}

template <>
std::optional<ScoAddress> read(const Address& address) {
  layout::ScoSockaddr layout;
  if (!load_bluetooth(address, layout)) return {};
  return ScoAddress(device_text(layout.device));
}

std::size_t write(const ScoAddress& address, char* out) noexcept {
  layout::ScoSockaddr layout;
  clear(layout);
  layout.family = number(AF::BLUETOOTH);
  layout.device = device_of(address.bdaddr);
  return store(layout, out);
}

}  // namespace plug::detail::address
