#include "layout/sockaddr.hpp"

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <bit>
#include <charconv>
#include <cstring>

namespace plug::detail::layout {

static_assert(sizeof(sockaddr_storage) == Address::kCapacity);
static_assert(sizeof(sockaddr_un::sun_path) == kUnixPathCapacity);
static_assert(sizeof(sockaddr_un) == kLargestUnix);

int family_of(BytesView address) noexcept {
  sa_family_t family = AF_UNSPEC;
  if (address.size() >= sizeof family) std::memcpy(&family, address.data(), sizeof family);
  return family;
}

bool read_inet(BytesView address, InetFields& fields) noexcept {
  fields.family = family_of(address);
  if (fields.family == AF_INET && address.size() >= sizeof(sockaddr_in)) {
    sockaddr_in in;
    std::memcpy(&in, address.data(), sizeof in);
    std::memcpy(fields.host, &in.sin_addr, sizeof in.sin_addr);
    fields.port = ntohs(in.sin_port);
    return true;
  }
  if (fields.family == AF_INET6 && address.size() >= sizeof(sockaddr_in6)) {
    sockaddr_in6 in;
    std::memcpy(&in, address.data(), sizeof in);
    std::memcpy(fields.host, &in.sin6_addr, sizeof in.sin6_addr);
    fields.port = ntohs(in.sin6_port);
    fields.flowinfo = ntohl(in.sin6_flowinfo);
    fields.scope_id = in.sin6_scope_id;
    return true;
  }
  return false;
}

std::size_t write_inet(const InetFields& fields, char* out) noexcept {
  if (fields.family == AF_INET6) {
    sockaddr_in6 in{};
    in.sin6_family = AF_INET6;
    in.sin6_port = htons(fields.port);
    in.sin6_flowinfo = htonl(fields.flowinfo);
    in.sin6_scope_id = fields.scope_id;
    std::memcpy(&in.sin6_addr, fields.host, sizeof in.sin6_addr);
    std::memcpy(out, &in, sizeof in);
    return sizeof in;
  }
  sockaddr_in in{};
  in.sin_family = AF_INET;
  in.sin_port = htons(fields.port);
  std::memcpy(&in.sin_addr, fields.host, sizeof in.sin_addr);
  std::memcpy(out, &in, sizeof in);
  return sizeof in;
}

BytesView unix_path(BytesView address) noexcept {
  return address.subspan(std::min(address.size(), offsetof(sockaddr_un, sun_path)));
}

std::size_t write_unix(BytesView path, char* out) noexcept {
  sockaddr_un un{};
  un.sun_family = AF_UNIX;
  const std::size_t size = std::min(path.size(), sizeof un.sun_path);
  std::copy_n(path.data(), size, un.sun_path);
  // A path in the file system includes its NUL; an abstract name has none.
  const bool counts_nul = size > 0 && size < sizeof un.sun_path && un.sun_path[0] != '\0';
  const std::size_t total = offsetof(sockaddr_un, sun_path) + size + (counts_nul ? 1 : 0);
  std::memcpy(out, &un, total);
  return total;
}

bool parse_host(int family, const std::string& text, unsigned char* out) noexcept {
  if (family != AF_INET && family != AF_INET6) return false;
  return ::inet_pton(family, text.c_str(), out) == 1;
}

bool parse_host_loosely(const std::string& text, unsigned char* out) noexcept {
  in_addr address{};
  if (::inet_aton(text.c_str(), &address) == 0) return false;
  std::memcpy(out, &address, sizeof address);
  return true;
}

void print_host(int family, const unsigned char* host, HostText& text) noexcept {
  static_assert(std::tuple_size_v<HostText> == INET6_ADDRSTRLEN);
  if (family == AF_INET) {  // for each client; inet_ntop() takes ten times as long
    char* out = text.data();
    for (int i = 0; i < 4; ++i) {
      if (i > 0) *out++ = '.';
      out = std::to_chars(out, text.data() + text.size(), host[i]).ptr;
    }
    *out = '\0';
  } else if (::inet_ntop(family, host, text.data(), INET6_ADDRSTRLEN) == nullptr) {
    text[0] = '\0';
  }
}

std::string format_host(int family, const unsigned char* host) {
  HostText text;
  print_host(family, host, text);
  return text.data();
}

}  // namespace plug::detail::layout
