#include "server/admission.hpp"

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>

#include "layout/sockaddr.hpp"
#include "server/access.hpp"
#include "socket/state.hpp"

namespace plug::detail::server {

namespace {

/// Returns the host of an address, for counting: its first bits. A link-local address counts as a
/// whole, with its interface, because it may exist on each interface. Empty if nothing is counted.
std::string host_of(const Address& address, const HostLimit& limit) {
  constexpr std::size_t kOfIpv4 = 4, kOfIpv6 = 16, kMapped = 12;
  layout::InetFields fields;
  if (!layout::read_inet(address.bytes(), fields)) return {};
  const bool ipv6 = static_cast<AF>(fields.family) == AF::INET6;
  std::string host(reinterpret_cast<const char*>(fields.host), ipv6 ? kOfIpv6 : kOfIpv4);
  const std::string_view mapped("\0\0\0\0\0\0\0\0\0\0\xff\xff", kMapped);
  int prefix = limit.ipv4_prefix;
  if (ipv6 && host.starts_with(mapped)) {
    host.erase(0, kMapped);
  } else if (ipv6) {
    const bool of_link = fields.host[0] == 0xfe && (fields.host[1] & 0xc0) == 0x80;
    if (of_link) return host + std::to_string(fields.scope_id);
    prefix = limit.ipv6_prefix;
  }
  const std::size_t bits = host.size() * 8;
  const std::size_t kept = prefix < 0 ? bits : std::min(static_cast<std::size_t>(prefix), bits);
  for (std::size_t bit = kept; bit < bits; ++bit)
    host[bit / 8] = static_cast<char>(host[bit / 8] & ~(0x80 >> bit % 8));
  return host;
}

/// Returns null for a datagram.
std::shared_ptr<socket::SocketState> connection_of(Request& request) noexcept {
  return request.is_datagram() ? nullptr : socket::SocketAccess::state(request.socket());
}

}  // namespace

bool admit(RequestRegistry& requests, Request& request, const Address& client_address,
           const HostLimit& limit) {
  const bool by_host = limit.most > 0 && !request.is_datagram();
  const std::string host = by_host ? host_of(client_address, limit) : std::string();
  auto& entry = ServerAccess::entry(request);
  // A program may hand out a request again after it has been handled: it is counted anew.
  entry.reset();
  entry = requests.enter(connection_of(request), host, limit.most);
  return entry != nullptr;
}

void count_if_new(RequestRegistry& requests, Request& request) {
  auto& entry = ServerAccess::entry(request);
  if (!entry) entry = requests.enter(connection_of(request), {}, 0);
}

}  // namespace plug::detail::server
