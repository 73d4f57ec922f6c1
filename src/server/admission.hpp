#pragma once

#include <plug/address.hpp>
#include <plug/socketserver.hpp>

#include <cstddef>

#include "server/requests.hpp"
#include "sys/for_fiber.hpp"

namespace plug::detail::server {

/// The number of connections that one host may have, and the prefixes that tell hosts apart.
struct HostLimit {
  std::size_t most = 0;  // no limit
  int ipv4_prefix = 32;
  int ipv6_prefix = 64;
};

/// Counts a request that a server has taken among those being handled. Returns false if its host
/// has reached the limit.
bool admit(RequestRegistry& requests, Request& request, const Address& client_address,
           const HostLimit& limit);

/// Counts a request that admit() has not counted, because the program has made it and has called
/// process_request() itself.
PLUG_FOR_FIBER void count_if_new(RequestRegistry& requests, Request& request);

}  // namespace plug::detail::server
