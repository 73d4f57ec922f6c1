#pragma once

// How the library makes Addresses and reads AddressLikes.

#include <plug/address.hpp>

#include <string>
#include <string_view>
#include <system_error>

#include "wait/deadline.hpp"

namespace plug::detail {

struct AddressAccess {
  /// The memory of an address for the kernel to write to, kCapacity bytes, and then its size.
  static char* storage(Address& address) noexcept { return address.storage_; }
  static void set_size(Address& address, std::size_t size) noexcept;

  /// The address that `like` means for a socket of `family`; looked up when it is a host, until the
  /// deadline. May point into `like` or to `found`.
  static const Address* resolve(const AddressLike& like, AF family, Deadline deadline,
                                Address& found, std::error_code& error);

  /// What `like` was given as, for error messages.
  static std::string text(const AddressLike& like);
};

/// The first address of a host in a family (AF::INET or AF::INET6), port 0. Numbers are read
/// without the resolver, which looks names up until the deadline; "" is every interface.
Address resolve_host(std::string_view host, AF family, Deadline deadline, std::error_code& error);

/// Text in quotes as Python's repr() gives it for bytes ("b'\\x00a'") and for str, whose characters
/// are taken to be printable from U+0080 on.
std::string bytes_repr(std::string_view bytes);
std::string str_repr(std::string_view text);

}  // namespace plug::detail
