#include "layout/families.hpp"

#include <arpa/inet.h>
#include <linux/can.h>
#include <linux/if_alg.h>
#include <linux/if_packet.h>
#include <linux/netlink.h>
#include <linux/qrtr.h>
#include <linux/tipc.h>
#include <linux/vm_sockets.h>
#include <net/if.h>
#include <sys/socket.h>

#include <algorithm>
#include <bit>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <type_traits>

#include "layout/sockaddr.hpp"
#include "sys/netdb.hpp"

namespace plug::detail::sys {

static_assert(kInterfaceCapacity == IFNAMSIZ);
static_assert(kAlgTypeCapacity == sizeof(sockaddr_alg::salg_type));
static_assert(kAlgNameCapacity == sizeof(sockaddr_alg::salg_name));

namespace {

// The Bluetooth structures, which the kernel's headers do not have (<bluetooth/l2cap.h> and others
// do). Numbers of several bytes that go over the air are little-endian.

struct sockaddr_l2 {
  sa_family_t l2_family;
  unsigned short l2_psm;  // little-endian
  BluetoothDevice l2_bdaddr;
  unsigned short l2_cid;  // little-endian
  std::uint8_t l2_bdaddr_type;
};

struct sockaddr_rc {
  sa_family_t rc_family;
  BluetoothDevice rc_bdaddr;
  std::uint8_t rc_channel;
};

struct sockaddr_sco {
  sa_family_t sco_family;
  BluetoothDevice sco_bdaddr;
};

struct sockaddr_hci {
  sa_family_t hci_family;
  unsigned short hci_dev;
  unsigned short hci_channel;
};

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
  return {reinterpret_cast<const char*>(text), strnlen(reinterpret_cast<const char*>(text), N)};
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

constexpr std::size_t kCanSize = offsetof(sockaddr_can, can_addr);
constexpr std::size_t kIsotpSize = kCanSize + sizeof(sockaddr_can::can_addr.tp);
constexpr std::size_t kJ1939Least =
    offsetof(sockaddr_can, can_addr.j1939.addr) + sizeof(sockaddr_can::can_addr.j1939.addr);

sockaddr_can can_form(long index) noexcept {
  sockaddr_can form;
  clear(form);
  form.can_family = AF_CAN;
  form.can_ifindex = static_cast<int>(index);
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
  sockaddr_can can;
  if (load(address, AF::CAN, kCanSize, can)) return can.can_ifindex;
  sockaddr_ll packet;
  if (load(address, AF::PACKET, offsetof(sockaddr_ll, sll_addr), packet)) return packet.sll_ifindex;
  return 0;
}

// --- CAN ---

template <>
std::optional<CanAddress> read(const Address& address) {
  sockaddr_can form;
  if (is_protocol(address, CAN::ISOTP) || is_protocol(address, CAN::J1939) ||
      !load(address, AF::CAN, kCanSize, form))
    return {};
  return CanAddress(interface_name(form.can_ifindex));
}

template <>
std::optional<IsotpAddress> read(const Address& address) {
  sockaddr_can form;
  if ((address.protocol() != 0 && !is_protocol(address, CAN::ISOTP)) ||
      !load(address, AF::CAN, kIsotpSize, form))
    return {};
  return IsotpAddress(interface_name(form.can_ifindex), form.can_addr.tp.rx_id,
                      form.can_addr.tp.tx_id);
}

template <>
std::optional<J1939Address> read(const Address& address) {
  sockaddr_can form;
  if ((address.protocol() != 0 && !is_protocol(address, CAN::J1939)) ||
      !load(address, AF::CAN, kJ1939Least, form))
    return {};
  const auto& j1939 = form.can_addr.j1939;
  return J1939Address(interface_name(form.can_ifindex), j1939.name, j1939.pgn, j1939.addr);
}

// The size is as much as the protocol reads, and as the kernel itself returns.

std::size_t write(const CanAddress&, long index, char* out) noexcept {
  return store(can_form(index), out, kCanSize);
}

std::size_t write(const IsotpAddress& address, long index, char* out) noexcept {
  sockaddr_can form = can_form(index);
  form.can_addr.tp.rx_id = address.rx_id;
  form.can_addr.tp.tx_id = address.tx_id;
  return store(form, out, kIsotpSize);
}

std::size_t write(const J1939Address& address, long index, char* out) noexcept {
  sockaddr_can form = can_form(index);
  form.can_addr.j1939.name = address.name;
  form.can_addr.j1939.pgn = address.pgn;
  form.can_addr.j1939.addr = address.addr;
  return store(form, out);
}

// --- packet, netlink, VSOCK, TIPC, ALG, QIPCRTR ---

template <>
std::optional<PacketAddress> read(const Address& address) {
  constexpr std::size_t kLeast = offsetof(sockaddr_ll, sll_addr);
  sockaddr_ll form;
  if (!load(address, AF::PACKET, kLeast, form) || form.sll_halen > kHardwareAddressCapacity)
    return {};
  PacketAddress fields(interface_name(form.sll_ifindex), ntohs(form.sll_protocol), form.sll_pkttype,
                       form.sll_hatype);
  // The address may be longer than sll_addr.
  const BytesView hardware = address.bytes().from(kLeast);
  fields.addr.assign(hardware.data(), std::min<std::size_t>(form.sll_halen, hardware.size()));
  return fields;
}

std::size_t write(const PacketAddress& address, long index, char* out) noexcept {
  sockaddr_ll form;
  clear(form);
  form.sll_family = AF_PACKET;
  form.sll_protocol = htons(address.proto);
  form.sll_ifindex = static_cast<int>(index);
  form.sll_hatype = address.hatype;
  form.sll_pkttype = address.pkttype;
  form.sll_halen = static_cast<unsigned char>(address.addr.size());
  const std::size_t size = store(form, out);
  constexpr std::size_t kHardware = offsetof(sockaddr_ll, sll_addr);
  std::copy(address.addr.begin(), address.addr.end(), out + kHardware);
  return std::max(size, kHardware + address.addr.size());
}

template <>
std::optional<NetlinkAddress> read(const Address& address) {
  sockaddr_nl form;
  if (!load(address, AF::NETLINK, sizeof form, form)) return {};
  return NetlinkAddress(form.nl_pid, form.nl_groups);
}

std::size_t write(const NetlinkAddress& address, char* out) noexcept {
  sockaddr_nl form;
  clear(form);
  form.nl_family = AF_NETLINK;
  form.nl_pid = address.pid;
  form.nl_groups = address.groups;
  return store(form, out);
}

template <>
std::optional<VsockAddress> read(const Address& address) {
  sockaddr_vm form;
  constexpr std::size_t kLeast = offsetof(sockaddr_vm, svm_cid) + sizeof(form.svm_cid);
  if (!load(address, AF::VSOCK, kLeast, form)) return {};
  return VsockAddress(form.svm_cid, form.svm_port);
}

std::size_t write(const VsockAddress& address, char* out) noexcept {
  sockaddr_vm form;
  clear(form);
  form.svm_family = AF_VSOCK;
  form.svm_cid = address.cid;
  form.svm_port = address.port;
  return store(form, out);
}

template <>
std::optional<TipcAddress> read(const Address& address) {
  sockaddr_tipc form;
  if (!load(address, AF::TIPC, sizeof form, form)) return {};
  const auto fields = [&](std::uint32_t v1, std::uint32_t v2, std::uint32_t v3) {
    return TipcAddress(form.addrtype, v1, v2, v3, static_cast<std::uint8_t>(form.scope));
  };
  switch (form.addrtype) {
    case TIPC_ADDR_NAMESEQ:
      return fields(form.addr.nameseq.type, form.addr.nameseq.lower, form.addr.nameseq.upper);
    case TIPC_ADDR_NAME:
      return fields(form.addr.name.name.type, form.addr.name.name.instance, 0);
    case TIPC_ADDR_ID:
      return fields(form.addr.id.node, form.addr.id.ref, 0);
    default:
      return {};
  }
}

std::size_t write(const TipcAddress& address, char* out) noexcept {
  sockaddr_tipc form;
  clear(form);
  form.family = AF_TIPC;
  form.addrtype = address.addr_type;
  form.scope = static_cast<signed char>(address.scope);
  switch (address.addr_type) {
    case TIPC_ADDR_NAMESEQ:
      form.addr.nameseq.type = address.v1;
      form.addr.nameseq.lower = address.v2;
      form.addr.nameseq.upper = address.v3;
      break;
    case TIPC_ADDR_NAME:
      form.addr.name.name.type = address.v1;
      form.addr.name.name.instance = address.v2;
      break;
    default:
      form.addr.id.node = address.v1;
      form.addr.id.ref = address.v2;
  }
  return store(form, out);
}

template <>
std::optional<AlgAddress> read(const Address& address) {
  sockaddr_alg form;
  if (!load(address, AF::ALG, sizeof form, form)) return {};
  const std::string_view type = until_nul(form.salg_type);
  const std::string_view name = until_nul(form.salg_name);
  if (type.size() == kAlgTypeCapacity || name.size() == kAlgNameCapacity) return {};
  return AlgAddress(type, name, form.salg_feat, form.salg_mask);
}

std::size_t write(const AlgAddress& address, char* out) noexcept {
  sockaddr_alg form;
  clear(form);
  form.salg_family = AF_ALG;
  form.salg_feat = address.feat;
  form.salg_mask = address.mask;
  std::copy(address.type.begin(), address.type.end(), form.salg_type);
  std::copy(address.name.begin(), address.name.end(), form.salg_name);
  return store(form, out);
}

template <>
std::optional<QrtrAddress> read(const Address& address) {
  sockaddr_qrtr form;
  if (!load(address, AF::QIPCRTR, sizeof form, form)) return {};
  return QrtrAddress(form.sq_node, form.sq_port);
}

std::size_t write(const QrtrAddress& address, char* out) noexcept {
  sockaddr_qrtr form;
  clear(form);
  form.sq_family = AF_QIPCRTR;
  form.sq_node = address.node;
  form.sq_port = address.port;
  return store(form, out);
}

// --- Bluetooth ---

template <>
std::optional<L2capAddress> read(const Address& address) {
  sockaddr_l2 form;
  if (!load_bluetooth(address, form)) return {};
  return L2capAddress(device_text(form.l2_bdaddr), little_endian(form.l2_psm),
                      little_endian(form.l2_cid), form.l2_bdaddr_type);
}

std::size_t write(const L2capAddress& address, char* out) noexcept {
  sockaddr_l2 form;
  clear(form);
  form.l2_family = AF_BLUETOOTH;
  form.l2_psm = little_endian(address.psm);
  form.l2_bdaddr = device_of(address.bdaddr);
  form.l2_cid = little_endian(address.cid);
  form.l2_bdaddr_type = address.bdaddr_type;
  return store(form, out);
}

template <>
std::optional<RfcommAddress> read(const Address& address) {
  sockaddr_rc form;
  if (!load_bluetooth(address, form)) return {};
  return RfcommAddress(device_text(form.rc_bdaddr), form.rc_channel);
}

std::size_t write(const RfcommAddress& address, char* out) noexcept {
  sockaddr_rc form;
  clear(form);
  form.rc_family = AF_BLUETOOTH;
  form.rc_bdaddr = device_of(address.bdaddr);
  form.rc_channel = address.channel;
  return store(form, out);
}

template <>
std::optional<HciAddress> read(const Address& address) {
  sockaddr_hci form;
  if (!load_bluetooth(address, form)) return {};
  return HciAddress(form.hci_dev, form.hci_channel);
}

std::size_t write(const HciAddress& address, char* out) noexcept {
  sockaddr_hci form;
  clear(form);
  form.hci_family = AF_BLUETOOTH;
  form.hci_dev = address.dev;
  form.hci_channel = address.channel;
  return store(form, out);
}

template <>
std::optional<ScoAddress> read(const Address& address) {
  sockaddr_sco form;
  if (!load_bluetooth(address, form)) return {};
  return ScoAddress(device_text(form.sco_bdaddr));
}

std::size_t write(const ScoAddress& address, char* out) noexcept {
  sockaddr_sco form;
  clear(form);
  form.sco_family = AF_BLUETOOTH;
  form.sco_bdaddr = device_of(address.bdaddr);
  return store(form, out);
}

}  // namespace plug::detail::sys
