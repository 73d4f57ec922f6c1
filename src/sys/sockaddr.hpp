#pragma once

// The kernel's forms of addresses, and their text.

#include <plug/address.hpp>
#include <plug/bytes.hpp>
#include <plug/constants.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

namespace plug::detail::sys {

inline constexpr std::size_t kUnixPathCapacity = 108;
inline constexpr std::size_t kLargestUnix = sizeof(std::uint16_t) + kUnixPathCapacity;

/// The fields of an IPv4 or IPv6 address. Numbers are in host byte order; `host` holds 4 or 16
/// bytes in network order.
struct InetFields {
  int family = 0;
  unsigned char host[16] = {};
  std::uint16_t port = 0;
  std::uint32_t flowinfo = 0;
  std::uint32_t scope_id = 0;
};

int family_of(BytesView address) noexcept;

/// False when `address` is neither IPv4 nor IPv6, or too short.
bool read_inet(BytesView address, InetFields& fields) noexcept;
/// Writes the kernel's form; returns its size.
std::size_t write_inet(const InetFields& fields, char* out) noexcept;

/// The path bytes of a Unix address as the kernel gives them.
BytesView unix_path(BytesView address) noexcept;
/// Writes the kernel's form of a path that fits; returns its size.
std::size_t write_unix(BytesView path, char* out) noexcept;

/// Strict numeric text to network-order bytes (4 or 16). False when it is not such text, or for
/// another family.
bool parse_host(int family, const std::string& text, unsigned char* out) noexcept;
/// As parse_host() for IPv4, with the short forms of inet_aton(3).
bool parse_host_loosely(const std::string& text, unsigned char* out) noexcept;
/// 4 or 16 bytes to text, which ends in a NUL. In a signal handler too.
using HostText = std::array<char, 46>;
void print_host(int family, const unsigned char* host, HostText& text) noexcept;
std::string format_host(int family, const unsigned char* host);

/// The number of an interface, or -errno: ENODEV when there is none of that name.
long interface_index(const std::string& name) noexcept;

}  // namespace plug::detail::sys
