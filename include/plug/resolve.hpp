#pragma once

// Names and numbers: hosts, services, interfaces, byte order, packed addresses.
//
// Host names are UTF-8. One that is not ASCII is asked for in the encoding of the domain name
// system, with the mappings of IDNA 2003, as Python does. That takes libidn2, as libc's own AI_IDN
// does; without it, and for a name that cannot be encoded, the error is gaierror -105
// (EAI_IDN_ENCODE). Numbers and ASCII names are passed on as they are.
//
// Every function is safe from any thread.

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

/// A port as getaddrinfo() takes it: a number, the name of a service ("http"), or none.
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

/// One answer of getaddrinfo(): what to make a socket with, and where to connect it.
struct AddrInfo {
  AF family;
  SOCK type;
  int proto;
  std::string canonname;  ///< only in the first, and only with AI::CANONNAME
  Address sockaddr;
};

/// Looks up `host` (a name, a number, or none: this host, every interface with AI::PASSIVE) and
/// `port`, in the order in which the answers should be tried. Numbers are passed on as they are,
/// which the system's resolver cuts to 16 bits. May block for as long as that resolver does. Throws
/// gaierror, naming host, port and the hints given; ValueError when a name holds a NUL. Python:
/// socket.getaddrinfo(); getaddrinfo(3).
std::vector<AddrInfo> getaddrinfo(std::optional<std::string_view> host, const Service& port,
                                  AF family = AF::UNSPEC, SOCK type = SOCK{}, Protocol proto = 0,
                                  AI flags = AI{});
std::vector<AddrInfo> getaddrinfo(std::optional<std::string_view> host, const Service& port,
                                  AF family, SOCK type, Protocol proto, AI flags,
                                  std::error_code& error);

/// The same, until `timeout` at most; with zero, numbers only. Throws TimeoutError, naming host and
/// port. The system's resolver cannot be interrupted: it runs in a helper thread and, when the
/// caller has gone, its answer is dropped. 16 such threads run at most; what is asked beyond that
/// waits its turn, within its time-out. They end when there has been nothing to do for some
/// seconds, and a shared library that plug is linked into stays loaded from then on, whoever closes
/// it (dlclose(3)). Numbers never go to a thread.
std::vector<AddrInfo> getaddrinfo(std::optional<std::string_view> host, const Service& port,
                                  AF family, SOCK type, Protocol proto, AI flags, Timeout timeout);
std::vector<AddrInfo> getaddrinfo(std::optional<std::string_view> host, const Service& port,
                                  AF family, SOCK type, Protocol proto, AI flags, Timeout timeout,
                                  std::error_code& error);

/// The name of a host and of a service, as text.
///
///   auto [host, service] = getnameinfo(peer, NI::NUMERICHOST | NI::NUMERICSERV);
///
/// A HostPort has to hold a numeric host (gaierror EAI::NONAME otherwise), with flow information
/// and scope for IPv6 only (OSError). The host of a link-local address ends in "%" and its
/// interface. Throws gaierror naming the address: EAI::NONAME with NI::NAMEREQD where there is no
/// name, EAI::FAMILY for an address that is neither IPv4, IPv6 nor Unix. May block. Python:
/// socket.getnameinfo(); getnameinfo(3).
std::pair<std::string, std::string> getnameinfo(const Address& address, NI flags = NI{});
std::pair<std::string, std::string> getnameinfo(const Address& address, NI flags,
                                                std::error_code& error);
std::pair<std::string, std::string> getnameinfo(const HostPort& address, NI flags = NI{});
std::pair<std::string, std::string> getnameinfo(const HostPort& address, NI flags,
                                                std::error_code& error);

/// The first IPv4 address of a name, as text. "" is "0.0.0.0", "<broadcast>" is
/// "255.255.255.255". Throws gaierror. Python: socket.gethostbyname().
std::string gethostbyname(std::string_view hostname);
std::string gethostbyname(std::string_view hostname, std::error_code& error);

/// What is known of a host.
///
///   auto [hostname, aliaslist, ipaddrlist] = gethostbyaddr("127.0.0.1");
struct HostEntry {
  std::string hostname;  ///< its canonical name
  std::vector<std::string> aliaslist;
  std::vector<std::string> ipaddrlist;  ///< its addresses, of one family, as text
};

/// All IPv4 addresses of a name, its canonical name and its aliases. Throws gaierror or herror,
/// naming it; ValueError when it holds a NUL. May block. Python: socket.gethostbyname_ex().
HostEntry gethostbyname_ex(std::string_view hostname);
HostEntry gethostbyname_ex(std::string_view hostname, std::error_code& error);

/// The name of an address, IPv4 or IPv6, its aliases and its addresses. A name is taken for its
/// first address. Throws herror where there is no name for it, gaierror where `ip_address` is a
/// name without address; OSError for "" where that is several addresses; ValueError for a NUL.
/// May block. Python: socket.gethostbyaddr().
HostEntry gethostbyaddr(std::string_view ip_address);
HostEntry gethostbyaddr(std::string_view ip_address, std::error_code& error);

/// The fully qualified name of a host: the first with a dot among those that gethostbyaddr() gives,
/// else its first, else `name` itself. "", "0.0.0.0" and "::" mean this machine. Throws ValueError
/// for a NUL, CancelledError, and what the interrupt hook says. May block. Python:
/// socket.getfqdn().
std::string getfqdn(std::string_view name = {});

/// This machine's name. Throws OSError. Python: socket.gethostname(); gethostname(2).
std::string gethostname();

/// Gives this machine (more exactly: the UTS name space) a name. Throws OSError naming it:
/// PermissionError without the right. Python: socket.sethostname(); sethostname(2).
void sethostname(std::string_view name);

/// The port of an internet service, such as "http"; `protocol` is "tcp", "udp", or empty for any.
/// Throws OSError (without a number) naming what is not known. Python: socket.getservbyname().
int getservbyname(std::string_view service, std::string_view protocol = {});

/// The internet service of a port; `protocol` as above. Throws OverflowError outside 0..65535,
/// OSError (without a number) for a port that no service has. Python: socket.getservbyport().
std::string getservbyport(int port, std::string_view protocol = {});

/// The number of a protocol, such as "icmp". Throws OSError (without a number) naming what is not
/// known. Python: socket.getprotobyname(); protocols(5).
int getprotobyname(std::string_view protocol);

/// The network interfaces, by index and name. Throws OSError. Python: socket.if_nameindex().
std::vector<std::pair<int, std::string>> if_nameindex();

/// The index of an interface, and back. Throw OSError: without a number for a name that is not
/// there, ENXIO for an index; OverflowError for an index that can be none. Python:
/// socket.if_nametoindex(), socket.if_indextoname().
int if_nametoindex(std::string_view name);
std::string if_indextoname(std::int64_t index);

/// Byte order. hton() and ntoh() take the two widths there are; the forms with an underscore (the
/// plain names are macros of the system's) take any integer and throw OverflowError for one that
/// does not fit.
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

/// Dotted IPv4 text (also the short forms, "127.1") to its 4 bytes, and back. Throws OSError
/// (without a number) naming the text or the length. Python: socket.inet_aton(), inet_ntoa().
Bytes inet_aton(std::string_view text);
std::string inet_ntoa(BytesView packed);

/// IPv4 (4 bytes) or IPv6 (16 bytes) text to its bytes, strictly, and back. inet_pton() throws
/// OSError: EAFNOSUPPORT for another family, without a number for malformed text. inet_ntop()
/// throws ValueError for another family or length. Python: socket.inet_pton(), inet_ntop().
Bytes inet_pton(AF family, std::string_view text);
std::string inet_ntop(AF family, BytesView packed);

}  // namespace plug

#pragma GCC visibility pop
