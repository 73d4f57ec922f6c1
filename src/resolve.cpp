#include <plug/error.hpp>
#include <plug/resolve.hpp>

#include <bit>
#include <cerrno>
#include <limits>

#include "address_access.hpp"
#include "sys/sockaddr.hpp"

namespace plug {

namespace {

using detail::sys::InetFields;

bool has_nul(std::string_view text) { return text.find('\0') != std::string_view::npos; }

std::error_code lookup_error(int number, int system_error) {
  if (number == detail::sys::kEaiSystem) return {system_error, std::system_category()};
  return {number, gai_category()};
}

template <class Unsigned>
Unsigned to_big_endian(Unsigned value) noexcept {
  if constexpr (std::endian::native == std::endian::big) return value;
  if constexpr (sizeof(Unsigned) == sizeof(std::uint16_t)) return __builtin_bswap16(value);
  return static_cast<Unsigned>(__builtin_bswap32(value));
}

template <class Unsigned>
Unsigned checked(const char* function, std::int64_t value) {
  if (value < 0 || value > std::numeric_limits<Unsigned>::max())
    throw OverflowError(std::string(function) + ": " + std::to_string(value) + " does not fit in " +
                        std::to_string(8 * sizeof(Unsigned)) + " bits");
  return static_cast<Unsigned>(value);
}

std::size_t packed_size(AF family) { return family == AF::INET ? 4 : family == AF::INET6 ? 16 : 0; }

std::string host_text(std::optional<std::string_view> host) {
  return host ? detail::str_repr(*host) : "None";
}

Address inet_address(const InetFields& fields) {
  char raw[Address::kCapacity];
  return Address::from_bytes({raw, detail::sys::write_inet(fields, raw)});
}

}  // namespace

namespace detail {

Address resolve_host(std::string_view host, AF family, std::error_code& error) {
  error.clear();
  InetFields fields;
  fields.family = static_cast<int>(family);
  if (host.empty()) return inet_address(fields);
  if (host == "<broadcast>" || host == "255.255.255.255") {
    if (family != AF::INET) {
      error = Errc::address_family;
      return {};
    }
    for (int i = 0; i < 4; ++i) fields.host[i] = 0xff;
    return inet_address(fields);
  }
  const std::string name(host);
  if (sys::parse_host(fields.family, name, fields.host)) return inet_address(fields);
  const auto answers = getaddrinfo(host, std::nullopt, family, SOCK{}, 0, AI{}, error);
  return error ? Address{} : answers.front().sockaddr;
}

}  // namespace detail

std::vector<AddrInfo> getaddrinfo(std::optional<std::string_view> host, const Service& port,
                                  AF family, SOCK type, Protocol proto, AI flags,
                                  std::error_code& error) {
  error.clear();
  std::vector<AddrInfo> answers;
  if ((host && has_nul(*host)) || (port.text() && has_nul(*port.text()))) {
    error = Errc::embedded_nul;
    return answers;
  }
  const std::string name(host.value_or(""));
  int system_error = 0;
  const int failed = detail::sys::getaddrinfo(
      host ? name.c_str() : nullptr, port.text() ? port.text()->c_str() : nullptr,
      static_cast<int>(family), static_cast<int>(type), proto, static_cast<int>(flags), answers,
      system_error);
  if (failed != 0) error = lookup_error(failed, system_error);
  return answers;
}

std::vector<AddrInfo> getaddrinfo(std::optional<std::string_view> host, const Service& port,
                                  AF family, SOCK type, Protocol proto, AI flags) {
  std::error_code error;
  auto answers = getaddrinfo(host, port, family, type, proto, flags, error);
  if (error)
    throw_if(error, "host " + host_text(host) + ", port " +
                        host_text(port.text() ? std::optional<std::string_view>(*port.text())
                                              : std::nullopt));
  return answers;
}

std::string gethostbyname(std::string_view hostname) {
  std::error_code error;
  if (has_nul(hostname)) error = Errc::embedded_nul;
  const Address address = error ? Address{} : detail::resolve_host(hostname, AF::INET, error);
  if (error) throw_if(error, detail::str_repr(hostname));
  return address.host();
}

std::string gethostname() {
  std::string name;
  const long failed = detail::sys::gethostname(name);
  if (failed < 0) throw_if({static_cast<int>(-failed), std::system_category()}, "gethostname");
  return name;
}

int getservbyname(std::string_view service, std::string_view protocol) {
  if (has_nul(service) || has_nul(protocol))
    throw_if(Errc::embedded_nul, detail::str_repr(service));
  const std::string protocol_name(protocol);
  const int port = detail::sys::getservbyname(std::string(service),
                                              protocol.empty() ? nullptr : protocol_name.c_str());
  if (port < 0)
    throw_if(Errc::no_such_name, detail::str_repr(service) +
                                     (protocol.empty() ? "" : "/" + detail::str_repr(protocol)));
  return port;
}

std::uint16_t hton(std::uint16_t value) noexcept { return to_big_endian(value); }
std::uint32_t hton(std::uint32_t value) noexcept { return to_big_endian(value); }
std::uint16_t ntoh(std::uint16_t value) noexcept { return to_big_endian(value); }
std::uint32_t ntoh(std::uint32_t value) noexcept { return to_big_endian(value); }

std::uint16_t htons_(std::int64_t value) { return hton(checked<std::uint16_t>("htons", value)); }
std::uint16_t ntohs_(std::int64_t value) { return ntoh(checked<std::uint16_t>("ntohs", value)); }
std::uint32_t htonl_(std::int64_t value) { return hton(checked<std::uint32_t>("htonl", value)); }
std::uint32_t ntohl_(std::int64_t value) { return ntoh(checked<std::uint32_t>("ntohl", value)); }

Bytes inet_aton(std::string_view text) {
  unsigned char host[4] = {};
  if (has_nul(text) || !detail::sys::parse_host_loosely(std::string(text), host))
    throw_if(Errc::bad_packed_address, "inet_aton(" + detail::str_repr(text) + ")");
  return {reinterpret_cast<const char*>(host), sizeof host};
}

std::string inet_ntoa(BytesView packed) {
  if (packed.size() != packed_size(AF::INET))
    throw_if(Errc::bad_packed_address,
             "inet_ntoa() takes 4 bytes, not " + std::to_string(packed.size()));
  return inet_ntop(AF::INET, packed);
}

Bytes inet_pton(AF family, std::string_view text) {
  const std::size_t size = packed_size(family);
  if (size == 0)
    throw_if({EAFNOSUPPORT, std::system_category()},
             "family " + std::to_string(static_cast<int>(family)));
  unsigned char host[16] = {};
  if (has_nul(text) || !detail::sys::parse_host(static_cast<int>(family), std::string(text), host))
    throw_if(Errc::bad_packed_address, "inet_pton(" + detail::str_repr(text) + ")");
  return {reinterpret_cast<const char*>(host), size};
}

std::string inet_ntop(AF family, BytesView packed) {
  const std::size_t size = packed_size(family);
  if (size == 0)
    throw ValueError("unknown address family " + std::to_string(static_cast<int>(family)));
  if (packed.size() != size)
    throw ValueError("invalid length of packed IP address string: " +
                     std::to_string(packed.size()) + " bytes, not " + std::to_string(size));
  return detail::sys::format_host(static_cast<int>(family),
                                  reinterpret_cast<const unsigned char*>(packed.data()));
}

}  // namespace plug
