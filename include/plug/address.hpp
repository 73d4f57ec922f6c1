#pragma once

// Socket addresses.
//
// An Address is a value that holds the kernel's own form. A host name is not an address: a
// {"host", port} pair is looked up by the call that it is given to, for that socket's family. So
//
//   sock.connect({"localhost", 8000});              // looked up; "" is every interface
//   sock.connect({"fe80::1", 8000, 0, 2});          // IPv6: flow information, scope id
//   sock.connect(Address::parse("[::1]:8000"));     // numbers only, no look-up
//   sock.connect(UnixAddress{"/run/app.sock"});
//   sock.connect(peer);                             // what accept() or recvfrom() gave
//
// Python: https://docs.python.org/3/library/socket.html#socket-families

#include <plug/bytes.hpp>
#include <plug/constants.hpp>

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <iosfwd>
#include <string>
#include <string_view>

namespace plug {

namespace detail {
struct AddressAccess;
}

/// The address of a socket in the kernel's form, for any family. A value: copied, compared and
/// hashed by its bytes. Default-constructed it is the address that is not there (Python's None), as
/// recvfrom() gives for a connected stream.
class Address {
 public:
  /// The longest address of any family, in bytes (the kernel's sockaddr_storage).
  static constexpr std::size_t kCapacity = 128;

  Address() noexcept = default;

  /// An address from the kernel's form, family first. Throws ValueError when it is longer than
  /// kCapacity or too short to hold a family.
  static Address from_bytes(BytesView raw);

  /// Reads "127.0.0.1:80", "[::1]:80", "[fe80::1%2]:80" or "[fe80::1%eth0]:80". Numbers only: no
  /// name is looked up. Throws ValueError naming the text that is no such address, OverflowError
  /// for a port outside 0..65535.
  static Address parse(std::string_view text);

  /// False for the address that is not there.
  explicit operator bool() const noexcept { return size_ != 0; }

  /// AF::UNSPEC when not there.
  AF family() const noexcept;

  /// The kernel's form.
  BytesView bytes() const noexcept { return {storage_, size_}; }

  /// The numeric host of an IPv4 or IPv6 address, without scope. Throws ValueError for others.
  std::string host() const;
  /// The port of an IPv4 or IPv6 address, host byte order. Throws ValueError for others.
  int port() const;
  /// Of an IPv6 address. Throws ValueError for others.
  std::uint32_t flowinfo() const;
  std::uint32_t scope_id() const;
  /// The path of a Unix address: cut at its NUL, or whole and beginning with NUL when abstract;
  /// empty for an unbound socket. Throws ValueError for others.
  std::string path() const;

  friend bool operator==(const Address& a, const Address& b) noexcept {
    return std::string_view(a.bytes()) == std::string_view(b.bytes());
  }
  friend std::strong_ordering operator<=>(const Address& a, const Address& b) noexcept {
    return std::string_view(a.bytes()) <=> std::string_view(b.bytes());
  }

 private:
  friend struct detail::AddressAccess;

  std::uint32_t size_ = 0;
  alignas(8) char storage_[kCapacity] = {};
};

/// The text that Python's str() gives: "('127.0.0.1', 80)", "('::1', 80, 0, 0)", a Unix path as it
/// is, an abstract one as "b'\\x00name'", "None", and "(family, b'raw')" for a family that is not
/// known here.
std::string to_string(const Address& address);
std::ostream& operator<<(std::ostream& out, const Address& address);

/// A host, by name or number, and a port: not yet an address. An empty host is every interface (to
/// bind) or this host (to connect); "<broadcast>" is 255.255.255.255.
struct HostPort {
  /// Throws OverflowError unless 0 <= port <= 65535 and flowinfo <= 0xfffff, ValueError when the
  /// host holds a NUL.
  HostPort(std::string_view host, int port, std::uint32_t flowinfo = 0, std::uint32_t scope_id = 0);

  std::string host;
  int port;
  std::uint32_t flowinfo;  ///< IPv6 only
  std::uint32_t scope_id;  ///< IPv6 only
};

/// "('host', port)".
std::string to_string(const HostPort& address);
std::ostream& operator<<(std::ostream& out, const HostPort& address);

/// The address of a Unix socket: a path in the file system, or, where the first byte is NUL, a name
/// in the abstract name space, all of whose bytes count. Empty: the kernel picks an abstract name
/// when bound.
///
///   server.bind(UnixAddress{"/run/app.sock"});
///   server.bind(UnixAddress{std::string_view("\0app", 4)});
///
/// Source: unix(7).
struct UnixAddress {
  /// Throws OSError "AF_UNIX path too long" from 108 bytes on (109 where abstract), ValueError for
  /// a NUL inside a path, since the kernel would cut the name there.
  UnixAddress(std::string_view path);

  /// Throws ValueError for an address of another family.
  explicit UnixAddress(const Address& address) : path(address.path()) {}

  /// Checks the path again, which may have changed since.
  operator Address() const;

  std::string path;
};

/// As Address prints it.
std::string to_string(const UnixAddress& address);
std::ostream& operator<<(std::ostream& out, const UnixAddress& address);

/// What a call takes for an address: an Address, a {host, port} pair, a HostPort, or any of the
/// typed addresses. A parameter type: it points at its argument and is never stored.
class AddressLike {
 public:
  AddressLike(const Address& address) noexcept : address_(&address) {}
  /// Checks the fields again, which may have changed since.
  AddressLike(const HostPort& address)
      : AddressLike(address.host, address.port, address.flowinfo, address.scope_id) {}
  AddressLike(const UnixAddress& address) : own_(address) {}

  /// Throws as HostPort's constructor does.
  AddressLike(std::string_view host, int port, std::uint32_t flowinfo = 0,
              std::uint32_t scope_id = 0);

 private:
  friend struct detail::AddressAccess;

  Address own_;
  const Address* address_ = nullptr;  // else own_ when that is there, else the fields below
  std::string_view host_;
  int port_ = 0;
  std::uint32_t flowinfo_ = 0;
  std::uint32_t scope_id_ = 0;
};

std::string to_string(const AddressLike& address);

}  // namespace plug

template <>
struct std::hash<plug::Address> {
  std::size_t operator()(const plug::Address& address) const noexcept {
    return std::hash<std::string_view>{}(address.bytes());
  }
};
