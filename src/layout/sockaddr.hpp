#pragma once

// The kernel's structures for addresses, and their text.

#include <plug/address.hpp>
#include <plug/bytes.hpp>
#include <plug/constants.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

namespace plug::detail::layout {

inline constexpr std::size_t kUnixPathCapacity = 108;
inline constexpr std::size_t kLargestUnix = sizeof(std::uint16_t) + kUnixPathCapacity;

/// The fields of an IPv4 or IPv6 address. Numbers are in host byte order; `host` holds 4 or 16
/// bytes in network byte order.
struct InetFields {
  int family = 0;
  unsigned char host[16] = {};
  std::uint16_t port = 0;
  std::uint32_t flowinfo = 0;
  std::uint32_t scope_id = 0;
};

int family_of(BytesView address) noexcept;

/// Returns false if `address` is neither IPv4 nor IPv6, or is too short.
bool read_inet(BytesView address, InetFields& fields) noexcept;
/// Writes the kernel's layout and returns its size.
std::size_t write_inet(const InetFields& fields, char* out) noexcept;

/// Returns the path of a Unix address as the kernel stores it.
BytesView unix_path(BytesView address) noexcept;
/// Writes the kernel's layout of a path that fits and returns its size.
std::size_t write_unix(BytesView path, char* out) noexcept;

/// Converts strict numeric text to bytes in network byte order (4 or 16). Returns false for other
/// text or another family.
bool parse_host(int family, const std::string& text, unsigned char* out) noexcept;
/// Does the same for IPv4, and also accepts the short forms of inet_aton(3).
bool parse_host_loosely(const std::string& text, unsigned char* out) noexcept;
/// Converts 4 or 16 bytes to text that ends in a NUL. May be called in a signal handler.
using HostText = std::array<char, 46>;
void print_host(int family, const unsigned char* host, HostText& text) noexcept;
std::string format_host(int family, const unsigned char* host);

}  // namespace plug::detail::layout
