#include "address/family_layout.hpp"

#include <plug/resolve.hpp>

#include <algorithm>
#include <bit>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <type_traits>

#include "sys/netdb.hpp"

namespace plug::detail::sys {

namespace {

constexpr std::uint16_t number(AF family) noexcept { return static_cast<std::uint16_t>(family); }

std::uint16_t little_endian(std::uint16_t value) noexcept {
  if constexpr (std::endian::native == std::endian::little) return value;
  return static_cast<std::uint16_t>((value << 8) | (value >> 8));
}

/// Zeroes all bytes: braces would zero only the first member of a union, and no padding.
template <class Form>
void clear(Form& form) noexcept {
  static_assert(std::is_trivially_copyable_v<Form>);
  std::memset(static_cast<void*>(&form), 0, sizeof form);
}

/// Copies an address of `family` with at least `least` bytes into `form` and zeroes the rest.
template <class Form>
bool load(const Address& address, AF family, std::size_t least, Form& form) noexcept {
  const BytesView bytes = address.bytes();
  if (address.family() != family || bytes.size() < least) return false;
  clear(form);
  std::memcpy(&form, bytes.data(), std::min(bytes.size(), sizeof form));
  return true;
}

/// Does the same for a Bluetooth protocol, whose addresses all have one size.
template <class Form>
bool load_bluetooth(const Address& address, Form& form) noexcept {
  return address.bytes().size() == sizeof form &&
         address.protocol() <= int{Protocol(BTPROTO::RFCOMM)} &&
         load(address, AF::BLUETOOTH, sizeof form, form);
}

template <class Form>
std::size_t store(const Form& form, char* out, std::size_t size = sizeof(Form)) noexcept {
  std::memcpy(out, &form, size);
  return size;
}

/// Returns an empty name for 0, which means every interface, and for an unknown interface, as
/// Python.
std::string interface_name(int index) {
  std::string name;
  if (index > 0 && if_indextoname(static_cast<unsigned>(index), name) < 0) name.clear();
  return name;
}

template <std::size_t N>
std::string_view until_nul(const unsigned char (&text)[N]) noexcept {
  return {reinterpret_cast<const char*>(text), ::strnlen(reinterpret_cast<const char*>(text), N)};
}

std::string device_text(const BluetoothDevice& device) {
  char text[18];
  std::snprintf(text, sizeof text, "%02X:%02X:%02X:%02X:%02X:%02X", device.bytes[5],
                device.bytes[4], device.bytes[3], device.bytes[2], device.bytes[1],
                device.bytes[0]);
  return text;
}

BluetoothDevice device_of(std::string_view text) noexcept {
  BluetoothDevice device;
  parse_device(text, device);
  return device;
}

constexpr std::size_t kCanSize = offsetof(CanSockaddr, isotp);
constexpr std::size_t kIsotpSize = kCanSize + sizeof(CanSockaddr::isotp);
constexpr std::size_t kJ1939Least =
    offsetof(CanSockaddr, j1939.addr) + sizeof(CanSockaddr::j1939.addr);

CanSockaddr can_form(long index) noexcept {
  CanSockaddr form;
  clear(form);
  form.family = number(AF::CAN);
  form.interface_index = static_cast<int>(index);
  return form;
}

bool is_protocol(const Address& address, CAN protocol) noexcept {
  return address.protocol() == int{Protocol(protocol)};
}

}  // namespace

bool parse_device(std::string_view text, BluetoothDevice& device) noexcept {
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
  CanSockaddr can;
  if (load(address, AF::CAN, kCanSize, can)) return can.interface_index;
  PacketSockaddr packet;
  if (load(address, AF::PACKET, offsetof(PacketSockaddr, hardware), packet))
    return packet.interface_index;
  return 0;
}

// --- CAN ---

template <>
std::optional<CanAddress> read(const Address& address) {
  CanSockaddr form;
  if (is_protocol(address, CAN::ISOTP) || is_protocol(address, CAN::J1939) ||
      !load(address, AF::CAN, kCanSize, form))
    return {};
  return CanAddress(interface_name(form.interface_index));
}

template <>
std::optional<IsotpAddress> read(const Address& address) {
  CanSockaddr form;
  if ((address.protocol() != 0 && !is_protocol(address, CAN::ISOTP)) ||
      !load(address, AF::CAN, kIsotpSize, form))
    return {};
  return IsotpAddress(interface_name(form.interface_index), form.isotp.rx_id, form.isotp.tx_id);
}

template <>
std::optional<J1939Address> read(const Address& address) {
  CanSockaddr form;
  if ((address.protocol() != 0 && !is_protocol(address, CAN::J1939)) ||
      !load(address, AF::CAN, kJ1939Least, form))
    return {};
  const auto& j1939 = form.j1939;
  return J1939Address(interface_name(form.interface_index), j1939.name, j1939.pgn, j1939.addr);
}

// The size is as much as the protocol reads, and as the kernel itself returns.

std::size_t write(const CanAddress&, long index, char* out) noexcept {
  return store(can_form(index), out, kCanSize);
}

std::size_t write(const IsotpAddress& address, long index, char* out) noexcept {
  CanSockaddr form = can_form(index);
  form.isotp.rx_id = address.rx_id;
  form.isotp.tx_id = address.tx_id;
  return store(form, out, kIsotpSize);
}

std::size_t write(const J1939Address& address, long index, char* out) noexcept {
  CanSockaddr form = can_form(index);
  form.j1939.name = address.name;
  form.j1939.pgn = address.pgn;
  form.j1939.addr = address.addr;
  return store(form, out);
}

// --- packet, netlink, VSOCK, TIPC, ALG, QIPCRTR ---

template <>
std::optional<PacketAddress> read(const Address& address) {
  constexpr std::size_t kLeast = offsetof(PacketSockaddr, hardware);
  PacketSockaddr form;
  if (!load(address, AF::PACKET, kLeast, form) || form.hardware_size > kHardwareAddressCapacity)
    return {};
  PacketAddress fields(interface_name(form.interface_index), ntoh(form.protocol), form.packet_type,
                       form.hardware_type);
  // The address may be longer than hardware.
  const BytesView hardware = address.bytes().subspan(kLeast);
  fields.addr.assign(hardware.data(), std::min<std::size_t>(form.hardware_size, hardware.size()));
  return fields;
}

std::size_t write(const PacketAddress& address, long index, char* out) noexcept {
  PacketSockaddr form;
  clear(form);
  form.family = number(AF::PACKET);
  form.protocol = hton(address.proto);
  form.interface_index = static_cast<int>(index);
  form.hardware_type = address.hatype;
  form.packet_type = address.pkttype;
  form.hardware_size = static_cast<unsigned char>(address.addr.size());
  const std::size_t size = store(form, out);
  constexpr std::size_t kHardware = offsetof(PacketSockaddr, hardware);
  std::copy(address.addr.begin(), address.addr.end(), out + kHardware);
  return std::max(size, kHardware + address.addr.size());
}

template <>
std::optional<NetlinkAddress> read(const Address& address) {
  NetlinkSockaddr form;
  if (!load(address, AF::NETLINK, sizeof form, form)) return {};
  return NetlinkAddress(form.pid, form.groups);
}

std::size_t write(const NetlinkAddress& address, char* out) noexcept {
  NetlinkSockaddr form;
  clear(form);
  form.family = number(AF::NETLINK);
  form.pid = address.pid;
  form.groups = address.groups;
  return store(form, out);
}

template <>
std::optional<VsockAddress> read(const Address& address) {
  VsockSockaddr form;
  constexpr std::size_t kLeast = offsetof(VsockSockaddr, cid) + sizeof(form.cid);
  if (!load(address, AF::VSOCK, kLeast, form)) return {};
  return VsockAddress(form.cid, form.port);
}

std::size_t write(const VsockAddress& address, char* out) noexcept {
  VsockSockaddr form;
  clear(form);
  form.family = number(AF::VSOCK);
  form.cid = address.cid;
  form.port = address.port;
  return store(form, out);
}

template <>
std::optional<TipcAddress> read(const Address& address) {
  TipcSockaddr form;
  if (!load(address, AF::TIPC, sizeof form, form)) return {};
  const auto fields = [&](std::uint32_t v1, std::uint32_t v2, std::uint32_t v3) {
    return TipcAddress(form.type, v1, v2, v3, static_cast<std::uint8_t>(form.scope));
  };
  switch (form.type) {
    case static_cast<std::uint8_t>(TIPC::ADDR_NAMESEQ):
      return fields(form.range.type, form.range.lower, form.range.upper);
    case static_cast<std::uint8_t>(TIPC::ADDR_NAME):
      return fields(form.name.type, form.name.instance, 0);
    case static_cast<std::uint8_t>(TIPC::ADDR_ID):
      return fields(form.id.node, form.id.reference, 0);
    default:
      return {};
  }
}

std::size_t write(const TipcAddress& address, char* out) noexcept {
  TipcSockaddr form;
  clear(form);
  form.family = number(AF::TIPC);
  form.type = address.addr_type;
  form.scope = static_cast<signed char>(address.scope);
  switch (address.addr_type) {
    case static_cast<std::uint8_t>(TIPC::ADDR_NAMESEQ):
      form.range.type = address.v1;
      form.range.lower = address.v2;
      form.range.upper = address.v3;
      break;
    case static_cast<std::uint8_t>(TIPC::ADDR_NAME):
      form.name.type = address.v1;
      form.name.instance = address.v2;
      break;
    default:
      form.id.node = address.v1;
      form.id.reference = address.v2;
  }
  return store(form, out);
}

template <>
std::optional<AlgAddress> read(const Address& address) {
  AlgSockaddr form;
  if (!load(address, AF::ALG, sizeof form, form)) return {};
  const std::string_view type = until_nul(form.type);
  const std::string_view name = until_nul(form.name);
  if (type.size() == kAlgTypeCapacity || name.size() == kAlgNameCapacity) return {};
  return AlgAddress(type, name, form.features, form.mask);
}

std::size_t write(const AlgAddress& address, char* out) noexcept {
  AlgSockaddr form;
  clear(form);
  form.family = number(AF::ALG);
  form.features = address.feat;
  form.mask = address.mask;
  std::copy(address.type.begin(), address.type.end(), form.type);
  std::copy(address.name.begin(), address.name.end(), form.name);
  return store(form, out);
}

template <>
std::optional<QrtrAddress> read(const Address& address) {
  QrtrSockaddr form;
  if (!load(address, AF::QIPCRTR, sizeof form, form)) return {};
  return QrtrAddress(form.node, form.port);
}

std::size_t write(const QrtrAddress& address, char* out) noexcept {
  QrtrSockaddr form;
  clear(form);
  form.family = number(AF::QIPCRTR);
  form.node = address.node;
  form.port = address.port;
  return store(form, out);
}

// --- Bluetooth ---

template <>
std::optional<L2capAddress> read(const Address& address) {
  L2capSockaddr form;
  if (!load_bluetooth(address, form)) return {};
  return L2capAddress(device_text(form.device), little_endian(form.psm), little_endian(form.cid),
                      form.device_type);
}

std::size_t write(const L2capAddress& address, char* out) noexcept {
  L2capSockaddr form;
  clear(form);
  form.family = number(AF::BLUETOOTH);
  form.psm = little_endian(address.psm);
  form.device = device_of(address.bdaddr);
  form.cid = little_endian(address.cid);
  form.device_type = address.bdaddr_type;
  return store(form, out);
}

template <>
std::optional<RfcommAddress> read(const Address& address) {
  RfcommSockaddr form;
  if (!load_bluetooth(address, form)) return {};
  return RfcommAddress(device_text(form.device), form.channel);
}

std::size_t write(const RfcommAddress& address, char* out) noexcept {
  RfcommSockaddr form;
  clear(form);
  form.family = number(AF::BLUETOOTH);
  form.device = device_of(address.bdaddr);
  form.channel = address.channel;
  return store(form, out);
}

template <>
std::optional<HciAddress> read(const Address& address) {
  HciSockaddr form;
  if (!load_bluetooth(address, form)) return {};
  return HciAddress(form.device, form.channel);
}

std::size_t write(const HciAddress& address, char* out) noexcept {
  HciSockaddr form;
  clear(form);
  form.family = number(AF::BLUETOOTH);
  form.device = address.dev;
  form.channel = address.channel;
  return store(form, out);
}

template <>
std::optional<ScoAddress> read(const Address& address) {
  ScoSockaddr form;
  if (!load_bluetooth(address, form)) return {};
  return ScoAddress(device_text(form.device));
}

std::size_t write(const ScoAddress& address, char* out) noexcept {
  ScoSockaddr form;
  clear(form);
  form.family = number(AF::BLUETOOTH);
  form.device = device_of(address.bdaddr);
  return store(form, out);
}

}  // namespace plug::detail::sys
