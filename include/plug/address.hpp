#pragma once

// Socket addresses.
//
// An Address holds the kernel's form of an address. A host name is not an address: a call that
// takes a {"host", port} pair looks up the host, in the family of its socket.
//
//   sock.connect({"localhost", 8000});              // looked up; "" is every interface
//   sock.connect({"fe80::1", 8000, 0, 2});          // IPv6: flow information, scope id
//   sock.connect(Address::parse("[::1]:8000"));     // numbers only, no lookup
//   sock.connect(UnixAddress{"/run/app.sock"});
//   sock.bind(CanAddress{"can0"});                  // other families: family/addresses.hpp
//   sock.connect(peer);                             // returned by accept() or recvfrom()
//
// Python: https://docs.python.org/3/library/socket.html#socket-families

#include <plug/bytes.hpp>
#include <plug/constants.hpp>
#include <plug/detail/forward.hpp>
#include <plug/detail/typed_address.hpp>

#include <compare>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <iosfwd>
#include <string>
#include <string_view>
#include <system_error>

#pragma GCC visibility push(default)

namespace plug {

/// A socket address of any family, in the kernel's form. Copied, compared and hashed by its bytes.
/// An address returned by accept(), recvfrom() and others also stores the protocol of its socket,
/// which determines the layout of AF::CAN addresses; comparisons ignore it. A default-constructed
/// Address is empty (Python's None), as is the one that recvfrom() returns on a connected stream.
class Address {
 public:
  /// The size of the longest address of any family (the kernel's sockaddr_storage).
  static constexpr std::size_t kCapacity = 128;

  Address() noexcept = default;

  /// Makes an address from the kernel's form, which starts with the family. Throws ValueError if it
  /// is longer than kCapacity, or too short to contain a family.
  static Address from_bytes(BytesView raw);

  /// Parses the text form of an address. Host names are not looked up, but interfaces must exist.
  /// Numbers are decimal, or hexadecimal after 0x. Parts in [] are optional.
  ///
  ///   127.0.0.1:80   [::1]:80   [fe80::1%2]:80   [fe80::1%eth0]:80
  ///   /run/app   ./app   ../app   unix:PATH         a path
  ///   @NAME                                         an abstract Unix name, without its NUL
  ///   can:INTERFACE                                 empty: all interfaces
  ///   isotp:INTERFACE:RX_ID:TX_ID   j1939:INTERFACE:NAME:PGN:ADDR
  ///   netlink:PID:GROUPS
  ///   packet:INTERFACE:PROTO[:PKTTYPE:HATYPE[:ADDR]]   ADDR in hexadecimal digits
  ///   vsock:CID:PORT   qrtr:NODE:PORT
  ///   tipc:ADDR_TYPE:V1:V2:V3[:SCOPE]
  ///   alg:TYPE:NAME[:FEAT:MASK]
  ///   l2cap:BDADDR:PSM[:CID:BDADDR_TYPE]   rfcomm:BDADDR:CHANNEL   hci:DEV[:CHANNEL]   sco:BDADDR
  ///   raw:FAMILY:BYTES                              any family, BYTES in hexadecimal digits
  ///
  /// The fields, and their limits, are those of the typed addresses (family/addresses.hpp). Throws
  /// ValueError naming the text if it is not an address, OverflowError for a number out of range,
  /// OSError for an unknown interface.
  static Address parse(std::string_view text);

  /// Returns the text that parse() reads; empty for an empty address. parse() restores all fields.
  /// The result may still differ from this address in bytes without a meaning, which the kernel and
  /// plug may fill differently.
  std::string text() const;

  /// Returns false for an empty address.
  explicit operator bool() const noexcept { return size_ != 0; }

  /// Returns the family; AF::UNSPEC for an empty address.
  AF family() const noexcept;

  /// Returns the protocol of the socket that it came from, or of its typed address; 0 if unknown.
  int protocol() const noexcept { return protocol_; }

  /// Returns the kernel's form.
  BytesView bytes() const noexcept { return {storage_, size_}; }

  /// Returns the numeric host of an IPv4 or IPv6 address, without its scope. Throws ValueError for
  /// other families.
  std::string host() const;
  /// Returns the port of an IPv4 or IPv6 address. Throws ValueError for other families.
  int port() const;
  /// Return a field of an IPv6 address. Throw ValueError for other families.
  std::uint32_t flowinfo() const;
  std::uint32_t scope_id() const;
  /// Returns the path of a Unix address: up to its NUL, or, if abstract, the whole name with its
  /// leading NUL; empty for an unbound socket. Throws ValueError for other families.
  std::string path() const;

  friend bool operator==(const Address& a, const Address& b) noexcept {
    return std::string_view(a.bytes()) == std::string_view(b.bytes());
  }
  friend std::strong_ordering operator<=>(const Address& a, const Address& b) noexcept {
    return std::string_view(a.bytes()) <=> std::string_view(b.bytes());
  }

 private:
  friend struct detail::address::AddressAccess;

  std::uint16_t size_ = 0;
  std::uint16_t protocol_ = 0;
  alignas(8) char storage_[kCapacity] = {};
};

/// Returns the text of Python's str(): "('127.0.0.1', 80)", "('::1', 80, 0, 0)", a Unix path as it
/// is, an abstract one as "b'\\x00name'", "('can0',)", "None", and "(family, b'raw')" if the family
/// is unknown or the address too short for it. Looks up the interface names of CAN and packet
/// addresses; prints '' for an interface that no longer exists.
std::string to_string(const Address& address);
std::ostream& operator<<(std::ostream& out, const Address& address);

/// A host name or number, and a port. An empty host means every interface when binding, this host
/// when connecting; "<broadcast>" means 255.255.255.255.
struct HostPort {
  /// Throws OverflowError unless 0 <= port <= 65535 and flowinfo <= 0xfffff, ValueError if the host
  /// contains a NUL.
  HostPort(std::string_view host, int port, std::uint32_t flowinfo = 0, std::uint32_t scope_id = 0);

  std::string host;
  int port;
  std::uint32_t flowinfo;  ///< IPv6 only
  std::uint32_t scope_id;  ///< IPv6 only
};

/// Returns "('host', port)", or "('host', port, flowinfo, scope_id)" if one of these is not 0.
std::string to_string(const HostPort& address);
std::ostream& operator<<(std::ostream& out, const HostPort& address);

/// The address of a Unix socket: a path in the file system, or, if the first byte is NUL, a name in
/// the abstract namespace, of which all bytes count. If it is empty, bind() lets the kernel choose
/// an abstract name.
///
///   server.bind(UnixAddress{"/run/app.sock"});
///   server.bind(UnixAddress{std::string_view("\0app", 4)});
///
/// Source: unix(7).
struct UnixAddress : detail::TypedAddress {
  /// Throws OSError "AF_UNIX path too long" for 108 bytes or more (109 if abstract), ValueError for
  /// a NUL inside a path, because the kernel would end the path there.
  UnixAddress(std::string_view path);

  /// Throws ValueError if the address is of another family.
  explicit UnixAddress(const Address& address) : path(address.path()) {}

  /// Checks the path again, because the member may have changed.
  operator Address() const;

  std::string path;
};

/// Returns the text that Python prints for the address.
template <std::derived_from<detail::TypedAddress> T>
std::string to_string(const T& address) {
  return to_string(static_cast<Address>(address));
}
template <std::derived_from<detail::TypedAddress> T>
std::ostream& operator<<(std::ostream& out, const T& address) {
  return out << to_string(address);
}

/// The parameter type of calls that take an address: an Address, a {host, port} pair, a HostPort,
/// or a typed address (any type that converts to Address). It points to its argument and must not
/// be stored.
class AddressLike {
 public:
  AddressLike(const Address& address) noexcept : address_(&address) {}
  /// Checks the fields again, because they may have changed.
  AddressLike(const HostPort& address)
      : AddressLike(address.host, address.port, address.flowinfo, address.scope_id) {}
  /// The call converts the address and reports the errors of the conversion.
  template <detail::ConvertsToAddress T>
  AddressLike(const T& address) noexcept : typed_(&address), form_(&detail::kTypedFunctions<T>) {}

  /// Throws as HostPort's constructor does.
  AddressLike(std::string_view host, int port, std::uint32_t flowinfo = 0,
              std::uint32_t scope_id = 0);

 private:
  friend struct detail::address::AddressAccess;

  const Address* address_ = nullptr;  // otherwise typed_ if not null, otherwise the fields below
  const void* typed_ = nullptr;
  const detail::TypedFunctions* form_ = nullptr;  // of typed_
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

#pragma GCC visibility pop
