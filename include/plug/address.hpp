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
//   sock.bind(CanAddress{"can0"});                  // and the other families of families.hpp
//   sock.connect(peer);                             // what accept() or recvfrom() gave
//
// Python: https://docs.python.org/3/library/socket.html#socket-families

#include <plug/bytes.hpp>
#include <plug/constants.hpp>

#include <compare>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <iosfwd>
#include <string>
#include <string_view>
#include <system_error>

namespace plug::detail {

struct AddressAccess;

}  // namespace plug::detail

#pragma GCC visibility push(default)

namespace plug {

/// The address of a socket in the kernel's form, for any family. A value: copied, compared and
/// hashed by its bytes. What accept(), recvfrom() and their like give also knows the protocol of
/// its socket, without which the addresses of AF::CAN do not say what they hold; that takes no part
/// in comparing. Default-constructed it is the address that is not there (Python's None), as
/// recvfrom() gives for a connected stream.
class Address {
 public:
  /// The longest address of any family, in bytes (the kernel's sockaddr_storage).
  static constexpr std::size_t kCapacity = 128;

  Address() noexcept = default;

  /// An address from the kernel's form, family first. Throws ValueError when it is longer than
  /// kCapacity or too short to hold a family.
  static Address from_bytes(BytesView raw);

  /// Reads the text form of an address. Numbers only: no name is looked up, but interfaces have to
  /// be there. Numbers are decimal, or hexadecimal after 0x; [] marks what may be left out.
  ///
  ///   127.0.0.1:80   [::1]:80   [fe80::1%2]:80   [fe80::1%eth0]:80
  ///   /run/app   ./app   ../app   unix:PATH         a path
  ///   @NAME                                         an abstract Unix name, without its NUL
  ///   can:INTERFACE                                 every interface when empty
  ///   isotp:INTERFACE:RX_ID:TX_ID   j1939:INTERFACE:NAME:PGN:ADDR
  ///   netlink:PID:GROUPS
  ///   packet:INTERFACE:PROTO[:PKTTYPE:HATYPE[:ADDR]]   ADDR in hexadecimal digits
  ///   vsock:CID:PORT   qrtr:NODE:PORT
  ///   tipc:ADDR_TYPE:V1:V2:V3[:SCOPE]
  ///   alg:TYPE:NAME[:FEAT:MASK]
  ///   l2cap:BDADDR:PSM[:CID:BDADDR_TYPE]   rfcomm:BDADDR:CHANNEL   hci:DEV[:CHANNEL]   sco:BDADDR
  ///   raw:FAMILY:BYTES                              any family, BYTES in hexadecimal digits
  ///
  /// The fields are those of the typed addresses (families.hpp), with their limits. Throws
  /// ValueError naming the text that is no such address, OverflowError for a number out of range,
  /// OSError for an interface that is not there.
  static Address parse(std::string_view text);

  /// The text that parse() reads; empty for the address that is not there. parse() gives back what
  /// the fields say: an address of which the kernel fills in more, or less, than plug does may
  /// differ from it in the bytes that do not count.
  std::string text() const;

  /// False for the address that is not there.
  explicit operator bool() const noexcept { return size_ != 0; }

  /// AF::UNSPEC when not there.
  AF family() const noexcept;

  /// The protocol of the socket that it came from, or that its typed address is for; 0 when not
  /// known.
  int protocol() const noexcept { return protocol_; }

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

  std::uint16_t size_ = 0;
  std::uint16_t protocol_ = 0;
  alignas(8) char storage_[kCapacity] = {};
};

/// The text that Python's str() gives: "('127.0.0.1', 80)", "('::1', 80, 0, 0)", a Unix path as it
/// is, an abstract one as "b'\\x00name'", "('can0',)", "None", and "(family, b'raw')" for a family
/// that is not known here or for bytes too few for their family. The interfaces of CAN and packet
/// addresses are asked for by name now; one that is gone is ''.
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

/// "('host', port)", or "('host', port, flowinfo, scope_id)" where either is not 0.
std::string to_string(const HostPort& address);
std::ostream& operator<<(std::ostream& out, const HostPort& address);

namespace detail {
/// The base of plug's own typed addresses.
struct TypedAddress {};
}  // namespace detail

/// The address of a Unix socket: a path in the file system, or, where the first byte is NUL, a name
/// in the abstract name space, all of whose bytes count. Empty: the kernel picks an abstract name
/// when bound.
///
///   server.bind(UnixAddress{"/run/app.sock"});
///   server.bind(UnixAddress{std::string_view("\0app", 4)});
///
/// Source: unix(7).
struct UnixAddress : detail::TypedAddress {
  /// Throws OSError "AF_UNIX path too long" from 108 bytes on (109 where abstract), ValueError for
  /// a NUL inside a path, since the kernel would cut the name there.
  UnixAddress(std::string_view path);

  /// Throws ValueError for an address of another family.
  explicit UnixAddress(const Address& address) : path(address.path()) {}

  /// Checks the path again, which may have changed since.
  operator Address() const;

  std::string path;
};

namespace detail {
/// What is no Address but converts to one. Where the conversion asks the system for something there
/// is also to_address(std::error_code&), the form that does not throw.
template <class T>
concept ConvertsToAddress =
    std::convertible_to<const T&, Address> && !std::derived_from<T, Address>;

/// What a call needs of it.
struct TypedForm {
  Address (*address)(const void* typed, std::error_code& error);
  std::string (*text)(const void* typed);
};
}  // namespace detail

/// As Python prints the address that it stands for.
template <std::derived_from<detail::TypedAddress> T>
std::string to_string(const T& address) {
  return to_string(static_cast<Address>(address));
}
template <std::derived_from<detail::TypedAddress> T>
std::ostream& operator<<(std::ostream& out, const T& address) {
  return out << to_string(address);
}

namespace detail {
template <ConvertsToAddress T>
inline constexpr TypedForm kTypedForm{[](const void* typed, std::error_code& error) -> Address {
                                        const T& address = *static_cast<const T*>(typed);
                                        if constexpr (requires { address.to_address(error); })
                                          return address.to_address(error);
                                        else
                                          return address;
                                      },
                                      [](const void* typed) {
                                        const T& address = *static_cast<const T*>(typed);
                                        if constexpr (std::derived_from<T, TypedAddress>)
                                          return to_string(address);
                                        else
                                          return to_string(static_cast<Address>(address));
                                      }};
}  // namespace detail

/// What a call takes for an address: an Address, a {host, port} pair, a HostPort, or any of the
/// typed addresses (whatever converts to Address). A parameter type: it points at its argument and
/// is never stored.
class AddressLike {
 public:
  AddressLike(const Address& address) noexcept : address_(&address) {}
  /// Checks the fields again, which may have changed since.
  AddressLike(const HostPort& address)
      : AddressLike(address.host, address.port, address.flowinfo, address.scope_id) {}
  /// The conversion is the call's, within its errors.
  template <detail::ConvertsToAddress T>
  AddressLike(const T& address) noexcept : typed_(&address), form_(&detail::kTypedForm<T>) {}

  /// Throws as HostPort's constructor does.
  AddressLike(std::string_view host, int port, std::uint32_t flowinfo = 0,
              std::uint32_t scope_id = 0);

 private:
  friend struct detail::AddressAccess;

  const Address* address_ = nullptr;  // else typed_ when that is there, else the fields below
  const void* typed_ = nullptr;
  const detail::TypedForm* form_ = nullptr;  // of typed_
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
