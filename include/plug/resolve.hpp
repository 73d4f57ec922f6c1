#pragma once

// Lookups of hosts, services, protocols and interfaces; byte order; packed addresses.
//
// Host names are UTF-8. As in Python, a name that is not ASCII is encoded for the domain name
// system with the mappings of IDNA 2003. This needs libidn2, as libc's AI_IDN does. Without it, and
// for a name that cannot be encoded, the error is gaierror -105 (EAI_IDN_ENCODE). Numbers and ASCII
// names are not changed.
//
// All functions are thread-safe.

#include <plug/address.hpp>
#include <plug/bytes.hpp>
#include <plug/constants.hpp>
#include <plug/timeout.hpp>

#include <concepts>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#pragma GCC visibility push(default)

namespace plug {

/// The port argument of getaddrinfo(): a number, the name of a service ("http"), or none.
class Service {
 public:
  Service(std::nullopt_t) noexcept {}
  template <class T>
  requires(std::integral<T> && !std::same_as<T, bool>) Service(T port)
      : text_(std::to_string(port)) {}
  Service(std::string_view name) : text_(name) {}
  Service(const std::string& name) : text_(name) {}
  Service(const char* name) : text_(name) {}

  const std::optional<std::string>& text() const noexcept { return text_; }

 private:
  std::optional<std::string> text_;
};

/// A result of getaddrinfo(): the arguments for a Socket, and the address to connect to.
struct AddrInfo {
  AF family;
  SOCK type;
  int proto;
  std::string canonname;  ///< only in the first result, and only with AI::CANONNAME
  Address sockaddr;
};

/// Looks up `host` (a name, a number, or none for this host, or for every interface with
/// AI::PASSIVE) and `port`. Returns the results in the order in which to try them. The system's
/// resolver truncates port numbers to 16 bits. Blocks as long as the resolver does. Throws gaierror
/// naming host, port and hints, ValueError if a name contains a NUL. Python: socket.getaddrinfo();
/// getaddrinfo(3).
std::vector<AddrInfo> getaddrinfo(std::optional<std::string_view> host, const Service& port,
                                  AF family = AF::UNSPEC, SOCK type = SOCK{}, Protocol proto = 0,
                                  AI flags = AI{});
std::vector<AddrInfo> getaddrinfo(std::optional<std::string_view> host, const Service& port,
                                  AF family, SOCK type, Protocol proto, AI flags,
                                  std::error_code& error);

/// Like getaddrinfo() above, but waits for at most `timeout`; if it is zero, only numbers are
/// accepted. Throws TimeoutError naming host and port. The system's resolver cannot be interrupted:
/// it runs in a helper thread, and its result is dropped after a timeout. At most 16 such threads
/// run; further lookups wait in a queue, within their timeouts. The threads end after a few seconds
/// without work. Once they have been used, a shared library that contains plug stays loaded even
/// after dlclose(3). Numeric hosts and ports do not need a thread.
std::vector<AddrInfo> getaddrinfo(std::optional<std::string_view> host, const Service& port,
                                  AF family, SOCK type, Protocol proto, AI flags, Timeout timeout);
std::vector<AddrInfo> getaddrinfo(std::optional<std::string_view> host, const Service& port,
                                  AF family, SOCK type, Protocol proto, AI flags, Timeout timeout,
                                  std::error_code& error);

/// Returns the name of a host and the name of a service.
///
///   auto [host, service] = getnameinfo(peer, NI::NUMERICHOST | NI::NUMERICSERV);
///
/// A HostPort must have a numeric host (otherwise gaierror EAI::NONAME), and flow information and
/// scope id only for IPv6 (otherwise OSError). The host of a link-local address ends in "%" and its
/// interface. Throws gaierror naming the address: EAI::NONAME if NI::NAMEREQD is set and there is
/// no name, EAI::FAMILY if the address is not IPv4, IPv6 or Unix. May block. Python:
/// socket.getnameinfo(); getnameinfo(3).
std::pair<std::string, std::string> getnameinfo(const Address& address, NI flags = NI{});
std::pair<std::string, std::string> getnameinfo(const Address& address, NI flags,
                                                std::error_code& error);
std::pair<std::string, std::string> getnameinfo(const HostPort& address, NI flags = NI{});
std::pair<std::string, std::string> getnameinfo(const HostPort& address, NI flags,
                                                std::error_code& error);

/// Returns the first IPv4 address of a host, as text; "0.0.0.0" for "", "255.255.255.255" for
/// "<broadcast>". Throws gaierror, ValueError if the name contains a NUL. May block. Python:
/// socket.gethostbyname().
std::string gethostbyname(std::string_view hostname);
std::string gethostbyname(std::string_view hostname, std::error_code& error);

/// Names and addresses of a host.
///
///   auto [hostname, aliaslist, ipaddrlist] = gethostbyaddr("127.0.0.1");
struct HostEntry {
  std::string hostname;  ///< the canonical name
  std::vector<std::string> aliaslist;
  std::vector<std::string> ipaddrlist;  ///< the addresses, of one family, as text
};

/// Returns all IPv4 addresses of a host, its canonical name and its aliases. Throws gaierror or
/// herror naming it, ValueError if the name contains a NUL. May block. Python:
/// socket.gethostbyname_ex().
HostEntry gethostbyname_ex(std::string_view hostname);
HostEntry gethostbyname_ex(std::string_view hostname, std::error_code& error);

/// Returns the names and addresses that belong to an IPv4 or IPv6 address. A host name is looked up
/// first, and its first address is used. Throws herror if the address has no name, gaierror if
/// `ip_address` is a name without an address, OSError if it is "" and that means several addresses,
/// ValueError if it contains a NUL. May block. Python: socket.gethostbyaddr().
HostEntry gethostbyaddr(std::string_view ip_address);
HostEntry gethostbyaddr(std::string_view ip_address, std::error_code& error);

/// Returns the fully qualified name of a host: the first name with a dot that gethostbyaddr()
/// finds, otherwise the first name, otherwise `name` itself. "", "0.0.0.0" and "::" mean this
/// machine. Throws ValueError if the name contains a NUL, CancelledError, and the error of the
/// interrupt hook. May block. Python: socket.getfqdn().
std::string getfqdn(std::string_view name = {});

/// Returns the name of this machine. Throws OSError. Python: socket.gethostname(); gethostname(2).
std::string gethostname();

/// Sets the name of this machine, or of its UTS namespace. Throws OSError naming it,
/// PermissionError without the privilege. Python: socket.sethostname(); sethostname(2).
void sethostname(std::string_view name);

/// Returns the port of a service, such as "http". `protocol` is "tcp", "udp", or empty for any.
/// Throws OSError (without a number) naming an unknown service. Python: socket.getservbyname().
int getservbyname(std::string_view service, std::string_view protocol = {});

/// Returns the service of a port; for `protocol` see above. Throws OverflowError if the port is not
/// in 0..65535, OSError (without a number) if it has no service. Python: socket.getservbyport().
std::string getservbyport(int port, std::string_view protocol = {});

/// Returns the number of a protocol, such as "icmp". Throws OSError (without a number) naming an
/// unknown protocol. Python: socket.getprotobyname(); protocols(5).
int getprotobyname(std::string_view protocol);

/// Returns the index and name of all interfaces. Throws OSError. Python: socket.if_nameindex().
std::vector<std::pair<int, std::string>> if_nameindex();

/// Convert the name of an interface to its index, and back. Throw OSError: without a number for an
/// unknown name, ENXIO for an unknown index. Throw OverflowError if the index does not fit an
/// unsigned int. Python: socket.if_nametoindex(), socket.if_indextoname().
int if_nametoindex(std::string_view name);
std::string if_indextoname(std::int64_t index);

/// Convert between host and network byte order. hton() and ntoh() take 16 or 32 bits. The forms
/// with an underscore (the plain names are macros of system headers) take any integer and throw
/// OverflowError if it does not fit.
///
///   C and Python   typed                     range-checked
///   htons(x)       hton(std::uint16_t{x})    htons_(x)
///   ntohs(x)       ntoh(std::uint16_t{x})    ntohs_(x)
///   htonl(x)       hton(std::uint32_t{x})    htonl_(x)
///   ntohl(x)       ntoh(std::uint32_t{x})    ntohl_(x)
std::uint16_t hton(std::uint16_t value) noexcept;
std::uint32_t hton(std::uint32_t value) noexcept;
std::uint16_t ntoh(std::uint16_t value) noexcept;
std::uint32_t ntoh(std::uint32_t value) noexcept;
std::uint16_t htons_(std::int64_t value);
std::uint16_t ntohs_(std::int64_t value);
std::uint32_t htonl_(std::int64_t value);
std::uint32_t ntohl_(std::int64_t value);

/// Convert dotted IPv4 text (or a short form, "127.1") to its 4 bytes, and back. Throw OSError
/// (without a number) naming the text or the length. Python: socket.inet_aton(), inet_ntoa().
Bytes inet_aton(std::string_view text);
std::string inet_ntoa(BytesView packed);

/// Convert IPv4 or IPv6 text to its 4 or 16 bytes, and back. Short forms of IPv4 are invalid.
/// inet_pton() throws OSError: EAFNOSUPPORT for another family, without a number for malformed
/// text. inet_ntop() throws ValueError for another family or length. Python: socket.inet_pton(),
/// inet_ntop().
Bytes inet_pton(AF family, std::string_view text);
std::string inet_ntop(AF family, BytesView packed);

}  // namespace plug

#pragma GCC visibility pop
