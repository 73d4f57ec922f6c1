#pragma once

// The kernel's forms of the addresses of families.hpp.

#include <plug/families.hpp>

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace plug::detail::sys {

/// The fields of an address; nothing when it is of another family or protocol, or too short. The
/// protocol of AF::CAN is what the Address knows it to be, that of AF::BLUETOOTH its size.
template <class T>
std::optional<T> read(const Address& address);
template <>
std::optional<CanAddress> read(const Address& address);
template <>
std::optional<IsotpAddress> read(const Address& address);
template <>
std::optional<J1939Address> read(const Address& address);
template <>
std::optional<PacketAddress> read(const Address& address);
template <>
std::optional<NetlinkAddress> read(const Address& address);
template <>
std::optional<VsockAddress> read(const Address& address);
template <>
std::optional<TipcAddress> read(const Address& address);
template <>
std::optional<AlgAddress> read(const Address& address);
template <>
std::optional<QrtrAddress> read(const Address& address);
template <>
std::optional<L2capAddress> read(const Address& address);
template <>
std::optional<RfcommAddress> read(const Address& address);
template <>
std::optional<HciAddress> read(const Address& address);
template <>
std::optional<ScoAddress> read(const Address& address);

/// The number of the interface in an address that one of the types with an interface can read; 0 is
/// every interface.
int interface_of(const Address& address) noexcept;

/// Calls `use` with the typed address that an address is one of, if any.
template <class Use>
void visit(const Address& address, Use use);

// Write the kernel's form of fields that fit; return its size. `index` is the interface's number.

std::size_t write(const CanAddress& address, long index, char* out) noexcept;
std::size_t write(const IsotpAddress& address, long index, char* out) noexcept;
std::size_t write(const J1939Address& address, long index, char* out) noexcept;
std::size_t write(const PacketAddress& address, long index, char* out) noexcept;
std::size_t write(const NetlinkAddress& address, char* out) noexcept;
std::size_t write(const VsockAddress& address, char* out) noexcept;
std::size_t write(const TipcAddress& address, char* out) noexcept;
std::size_t write(const AlgAddress& address, char* out) noexcept;
std::size_t write(const QrtrAddress& address, char* out) noexcept;
std::size_t write(const L2capAddress& address, char* out) noexcept;
std::size_t write(const RfcommAddress& address, char* out) noexcept;
std::size_t write(const HciAddress& address, char* out) noexcept;
std::size_t write(const ScoAddress& address, char* out) noexcept;

/// An address of Bluetooth in the kernel's order, which is the reverse of the text's.
struct BluetoothDevice {
  unsigned char bytes[6] = {};
};
/// False when the text is no such address: six numbers of one or two hexadecimal digits.
bool parse_device(std::string_view text, BluetoothDevice& device) noexcept;

inline constexpr std::size_t kInterfaceCapacity = 16;        // with its NUL
inline constexpr std::size_t kAlgTypeCapacity = 14;          // likewise
inline constexpr std::size_t kAlgNameCapacity = 64;          // likewise
inline constexpr std::size_t kHardwareAddressCapacity = 32;  // of any kind of hardware

template <class Use>
void visit(const Address& address, Use use) {
  const auto as = [&]<class T>(std::optional<T> typed) {
    if (typed) use(*typed);
    return typed.has_value();
  };
  switch (address.family()) {
    case AF::CAN:
      // With no protocol known all three would read it; the plain one is the first.
      as(read<CanAddress>(address)) || as(read<IsotpAddress>(address)) ||
          as(read<J1939Address>(address));
      break;
    case AF::PACKET:
      as(read<PacketAddress>(address));
      break;
    case AF::NETLINK:
      as(read<NetlinkAddress>(address));
      break;
    case AF::VSOCK:
      as(read<VsockAddress>(address));
      break;
    case AF::TIPC:
      as(read<TipcAddress>(address));
      break;
    case AF::ALG:
      as(read<AlgAddress>(address));
      break;
    case AF::QIPCRTR:
      as(read<QrtrAddress>(address));
      break;
    case AF::BLUETOOTH:
      as(read<L2capAddress>(address)) || as(read<RfcommAddress>(address)) ||
          as(read<HciAddress>(address)) || as(read<ScoAddress>(address));
      break;
    default:
      break;
  }
}

}  // namespace plug::detail::sys
