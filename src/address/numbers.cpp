#include <plug/error.hpp>
#include <plug/resolve.hpp>

#include <bit>
#include <cerrno>
#include <limits>

#include "address/access.hpp"
#include "layout/sockaddr.hpp"

// Byte order and packed addresses.

namespace plug {

namespace {

bool has_nul(std::string_view text) { return text.find('\0') != std::string_view::npos; }

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

}  // namespace

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
  if (has_nul(text) || !detail::layout::parse_host_loosely(std::string(text), host))
    throw_if(Errc::bad_inet_aton, detail::address::str_repr(text));
  return {reinterpret_cast<const char*>(host), sizeof host};
}

std::string inet_ntoa(BytesView packed) {
  if (packed.size() != packed_size(AF::INET))
    throw_if(Errc::bad_packed_address, std::to_string(packed.size()) + " bytes, not 4");
  return inet_ntop(AF::INET, packed);
}

Bytes inet_pton(AF family, std::string_view text) {
  const std::size_t size = packed_size(family);
  if (size == 0)
    throw_if({EAFNOSUPPORT, std::system_category()},
             "family " + std::to_string(static_cast<int>(family)));
  unsigned char host[16] = {};
  if (has_nul(text) ||
      !detail::layout::parse_host(static_cast<int>(family), std::string(text), host))
    throw_if(Errc::bad_inet_pton, detail::address::str_repr(text));
  return {reinterpret_cast<const char*>(host), size};
}

std::string inet_ntop(AF family, BytesView packed) {
  const std::size_t size = packed_size(family);
  if (size == 0)
    throw ValueError("unknown address family " + std::to_string(static_cast<int>(family)));
  if (packed.size() != size)
    throw ValueError("invalid length of packed IP address string: " +
                     std::to_string(packed.size()) + " bytes, not " + std::to_string(size));
  return detail::layout::format_host(static_cast<int>(family),
                                     reinterpret_cast<const unsigned char*>(packed.data()));
}

}  // namespace plug
