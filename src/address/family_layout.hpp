#pragma once

// Converts the addresses of <plug/family/addresses.hpp> to and from the kernel's structures.

#include <plug/family/addresses.hpp>

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "layout/sockaddrs.hpp"

namespace plug::detail::address {

/// Returns the fields of an address, or nothing if it has another family or protocol or is too
/// short. For AF::CAN the Address knows the protocol; for AF::BLUETOOTH its size tells it.
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

/// Returns the interface number of an address of a type that has one; 0 means every interface.
int interface_of(const Address& address) noexcept;

/// Calls `use` with the typed form of an address, if it has one.
template <class Use>
void visit(const Address& address, Use use);

// Write the kernel's layout of fields that fit, and return its size. `index` is the interface
// number.

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

/// Returns false if the text is not a Bluetooth address: six numbers of one or two hexadecimal
/// digits.
bool parse_device(std::string_view text, layout::BluetoothDevice& device) noexcept;

template <class Use>
void visit(const Address& address, Use use) {
  const auto as = [&]<class T>(std::optional<T> typed) {
    if (typed) use(*typed);
    return typed.has_value();
  };
  switch (address.family()) {
    case AF::CAN:
      // Without a known protocol all three could read it: the plain one comes first.
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

}  // namespace plug::detail::address
