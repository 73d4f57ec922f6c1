#pragma once

// Names and numbers: hosts, services, byte order, packed addresses.
//
// Every function is safe from any thread.

#include <plug/address.hpp>
#include <plug/bytes.hpp>
#include <plug/constants.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

namespace plug {

/// A port as getaddrinfo() takes it: a number, the name of a service ("http"), or none.
class Service {
 public:
  Service(std::nullopt_t) noexcept {}
  Service(int port) : text_(std::to_string(port)) {}
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
/// `port`, in the order in which the answers should be tried. May block for as long as the system's
/// resolver does. Throws gaierror, naming host and port; ValueError when a name holds a NUL.
/// Python: socket.getaddrinfo(); getaddrinfo(3).
std::vector<AddrInfo> getaddrinfo(std::optional<std::string_view> host, const Service& port,
                                  AF family = AF::UNSPEC, SOCK type = SOCK{}, Protocol proto = 0,
                                  AI flags = AI{});
std::vector<AddrInfo> getaddrinfo(std::optional<std::string_view> host, const Service& port,
                                  AF family, SOCK type, Protocol proto, AI flags,
                                  std::error_code& error);

/// The first IPv4 address of a name, as text. "" is "0.0.0.0", "<broadcast>" is
/// "255.255.255.255". Throws gaierror. Python: socket.gethostbyname().
std::string gethostbyname(std::string_view hostname);

/// This machine's name. Throws OSError. Python: socket.gethostname(); gethostname(2).
std::string gethostname();

/// The port of an internet service, such as "http"; `protocol` is "tcp", "udp", or empty for any.
/// Throws OSError (without a number) naming what is not known. Python: socket.getservbyname().
int getservbyname(std::string_view service, std::string_view protocol = {});

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
