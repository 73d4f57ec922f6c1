#pragma once

// How the library makes Addresses and reads AddressLikes.

#include <plug/address.hpp>

#include <algorithm>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>

#include "sys/for_fiber.hpp"
#include "sys/sockaddr.hpp"
#include "wait/deadline.hpp"

namespace plug::detail {

struct AddressAccess {
  /// The memory of an address for the kernel to write to, kCapacity bytes, and then its size and
  /// the protocol of its socket.
  static char* storage(Address& address) noexcept { return address.storage_; }
  static void set_size(Address& address, std::size_t size, int protocol = 0) noexcept {
    if (size > sys::kLargestUnix) [[unlikely]]
      size = fitting(address, size);
    address.size_ = static_cast<std::uint16_t>(size);
    address.protocol_ = static_cast<std::uint16_t>(protocol);
  }

  /// The kernel reports the length that it wanted, which may be more than there was room for, and
  /// for a Unix path that fills its room one more than it takes.
  PLUG_FOR_FIBER static std::size_t fitting(const Address& address, std::size_t size) noexcept;

  /// The address that `like` means for a socket of `family`; looked up when it is a host, until the
  /// deadline. May point into `like` or to `found`.
  static const Address* resolve(const AddressLike& like, AF family, Deadline deadline,
                                Address& found, std::error_code& error);

  /// What `like` was given as, for error messages.
  static std::string text(const AddressLike& like);
  /// The same for an error that a socket of `family` has met with it: both families, where that is
  /// why.
  static std::string text(const AddressLike& like, int family, const std::error_code& error);
};

/// The name of a family, "AF_INET", or its number.
std::string family_text(int family);

/// An IPv4 or IPv6 address of its fields.
Address inet_address(const sys::InetFields& fields);

/// to_string() of an IPv4 or IPv6 address, made in `room`, of kInetText bytes; empty for others. In
/// a signal handler too.
inline constexpr std::size_t kInetText = 96;
PLUG_FOR_FIBER std::string_view print_inet(const Address& address, std::span<char> room) noexcept;

/// The first address of a host in a family (AF::INET or AF::INET6), port 0. Numbers are read
/// without the resolver, which looks names up until the deadline; "" is every interface.
Address resolve_host(std::string_view host, AF family, Deadline deadline, std::error_code& error);

/// The text of an address whose family has a typed address in families.hpp; nothing for others and
/// for bytes that are too few.
std::optional<std::string> typed_text(const Address& address);

/// Text in quotes as Python's repr() gives it for bytes ("b'\\x00a'") and for str, whose characters
/// are taken to be printable from U+0080 on.
std::string bytes_repr(std::string_view bytes);
std::string str_repr(std::string_view text);

}  // namespace plug::detail
