#pragma once

// Access to the insides of Address and AddressLike.

#include <plug/address.hpp>

#include <algorithm>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>

#include "layout/sockaddr.hpp"
#include "sys/for_fiber.hpp"

namespace plug::detail::address {

struct AddressAccess {
  /// Returns the memory of an address, kCapacity bytes, for the kernel to write to. set_size() then
  /// sets the address's size and the protocol of its socket.
  static char* storage(Address& address) noexcept { return address.storage_; }
  static void set_size(Address& address, std::size_t size, int protocol = 0) noexcept {
    if (size > layout::kLargestUnix) [[unlikely]]
      size = fitting(address, size);
    address.size_ = static_cast<std::uint16_t>(size);
    address.protocol_ = static_cast<std::uint16_t>(protocol);
  }

  /// Limits a size to the bytes that were written. The kernel reports the length that it wanted,
  /// which may exceed the room, and one byte too many for a Unix path that fills its room.
  PLUG_FOR_FIBER static std::size_t fitting(const Address& address, std::size_t size) noexcept;

  /// Returns the address that `like` stands for, or null if that is a host. The result may point
  /// into `like` or to `found`.
  static const Address* known(const AddressLike& like, Address& found, std::error_code& error) {
    error.clear();
    if (like.address_ != nullptr) return like.address_;
    return like.typed_ != nullptr ? typed(like, found, error) : nullptr;
  }
  static std::string_view host(const AddressLike& like) noexcept { return like.host_; }
  /// Gives the address of host(like), which has port 0, the other fields of `like`.
  static void complete(const AddressLike& like, Address& found);

  /// Returns the text that `like` was given as, for error messages.
  static std::string text(const AddressLike& like);
  /// Does the same for an error of a socket of `family`, and names both families if they are the
  /// cause.
  static std::string text(const AddressLike& like, int family, const std::error_code& error);

 private:
  static const Address* typed(const AddressLike& like, Address& found, std::error_code& error);
};

/// Returns the name of a family, such as "AF_INET", or its number.
std::string family_text(int family);

/// Makes an IPv4 or IPv6 address from its fields.
Address inet_address(const layout::InetFields& fields);

/// Writes to_string() of an IPv4 or IPv6 address to `room`, of kInetText bytes, and returns it;
/// empty for other families. May be called in a signal handler.
inline constexpr std::size_t kInetText = 96;
PLUG_FOR_FIBER std::string_view print_inet(const Address& address, std::span<char> room) noexcept;

/// Returns the text of an address whose family has a type in <plug/family/addresses.hpp>; nothing
/// for other families or too few bytes.
std::optional<std::string> typed_text(const Address& address);

/// Return text in quotes as Python's repr() does, for bytes ("b'\\x00a'") and for str. Characters
/// from U+0080 on are taken to be printable.
std::string bytes_repr(std::string_view bytes);
std::string str_repr(std::string_view text);

}  // namespace plug::detail::address
