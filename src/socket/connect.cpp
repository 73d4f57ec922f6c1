#include <plug/error.hpp>
#include <plug/socket.hpp>

#include <algorithm>
#include <cerrno>
#include <string>
#include <utility>
#include <vector>

#include "address/access.hpp"
#include "base/throwing.hpp"
#include "socket/connect_race.hpp"
#include "socket/state.hpp"

// Client and server sockets in one call.

namespace plug {

namespace {

using detail::socket::ConnectFailure;

/// Orders the addresses in turns by family, after `first` addresses of the first family.
std::vector<AddrInfo> interleaved(const std::vector<AddrInfo>& targets, std::size_t first) {
  std::vector<std::vector<AddrInfo>> families;
  for (const AddrInfo& target : targets) {
    const auto at =
        std::find_if(families.begin(), families.end(), [&](const std::vector<AddrInfo>& family) {
          return family.front().family == target.family;
        });
    if (at == families.end())
      families.push_back({target});
    else
      at->push_back(target);
  }
  std::vector<AddrInfo> result;
  for (std::size_t turn = 0; result.size() < targets.size(); ++turn) {
    for (std::size_t family = 0; family < families.size(); ++family) {
      // The first family is ahead by `first` - 1 addresses.
      const std::size_t begin = family == 0 && turn > 0 ? turn + first - 1 : turn;
      const std::size_t end = family == 0 ? turn + first : turn + 1;
      for (std::size_t i = begin; i < std::min(end, families[family].size()); ++i)
        result.push_back(families[family][i]);
    }
  }
  return result;
}

/// Adds the given fields that the resolver does not know.
void complete(std::vector<AddrInfo>& targets, const HostPort& given) {
  if (given.flowinfo == 0 && given.scope_id == 0) return;
  for (AddrInfo& target : targets) {
    detail::layout::InetFields fields;
    if (target.family != AF::INET6 || !detail::layout::read_inet(target.sockaddr.bytes(), fields))
      continue;
    fields.flowinfo = given.flowinfo;
    if (given.scope_id != 0) fields.scope_id = given.scope_id;
    target.sockaddr = detail::address::inet_address(fields);
  }
}

struct ConnectOutcome {
  Socket sock = Socket::closed();
  std::vector<ConnectFailure> failures;  // the last one is the error of the call
  bool tried = false;                    // an attempt was made
};

ConnectOutcome connect_any(const HostPort& address, const ConnectOptions& options) {
  // Throws for an invalid port or name before the resolver interprets it.
  [[maybe_unused]] const AddressLike checked(address);
  if (options.source) [[maybe_unused]]
    const AddressLike checked_source(*options.source);
  const bool eyeballs = !options.happy_eyeballs_delay.is_none();
  const int interleave = options.interleave.value_or(eyeballs ? 1 : 0);
  if (interleave < 0)
    throw ValueError("interleave must not be negative: " + std::to_string(interleave));

  ConnectOutcome outcome;
  std::error_code error;
  auto targets =
      getaddrinfo(address.host, address.port, AF::UNSPEC, SOCK::STREAM, 0, AI{},
                  options.timeout.is_zero() ? Timeout(std::nullopt) : options.timeout, error);
  if (!error && targets.empty()) error = Errc::no_addresses;
  if (error) {
    outcome.failures.push_back({error, to_string(address)});
    return outcome;
  }
  complete(targets, address);
  if (interleave > 0) targets = interleaved(targets, static_cast<std::size_t>(interleave));
  outcome.tried = true;
  const HostPort* source = options.source ? &*options.source : nullptr;
  if (eyeballs && !options.timeout.is_zero()) {
    outcome.sock = detail::socket::race(targets, options.timeout, options.happy_eyeballs_delay,
                                        source, outcome.failures);
    return outcome;
  }
  for (const AddrInfo& target : targets) {
    ConnectFailure failure;
    Socket sock = detail::socket::connecting_socket(target, options.timeout, source, failure);
    if (!failure.error) {
      sock.connect(target.sockaddr, failure.error);
      if (!failure.error) {
        outcome.sock = std::move(sock);
        return outcome;
      }
      failure.about = to_string(target.sockaddr);
    }
    outcome.failures.push_back(std::move(failure));
    if (detail::base::ends_call(outcome.failures.back().error)) break;
  }
  return outcome;
}

bool connected(const ConnectOutcome& outcome) { return outcome.sock.fileno() >= 0; }

}  // namespace

Socket create_connection(const HostPort& address, Timeout timeout) {
  return create_connection(address, ConnectOptions{.timeout = timeout});
}

Socket create_connection(const HostPort& address, std::error_code& error) {
  return create_connection(address, ConnectOptions(), error);
}

Socket create_connection(const HostPort& address, const ConnectOptions& options) {
  ConnectOutcome outcome = connect_any(address, options);
  if (connected(outcome)) return std::move(outcome.sock);
  const ConnectFailure& last = outcome.failures.back();
  if (!outcome.tried || !options.all_errors || detail::base::ends_call(last.error))
    throw_if(last.error, last.about);
  std::vector<OSError> errors;
  for (const ConnectFailure& failure : outcome.failures)
    errors.emplace_back(failure.error, failure.about);
  throw ExceptionGroup("create_connection failed", std::move(errors));
}

Socket create_connection(const HostPort& address, const ConnectOptions& options,
                         std::error_code& error) {
  error.clear();
  ConnectOutcome outcome = connect_any(address, options);
  if (!connected(outcome)) error = outcome.failures.back().error;
  return std::move(outcome.sock);
}

bool has_dualstack_ipv6() {
  std::error_code error;
  Socket sock(AF::INET6, SOCK::STREAM, 0, error);
  if (!error) sock.setsockopt(IPPROTO::IPV6, IPV6::V6ONLY, 0, error);
  return !error;
}

Socket create_server(const AddressLike& address, const ServerOptions& options) {
  return detail::base::throwing(
      [&](std::error_code& error) { return create_server(address, options, error); },
      [&](const std::error_code& error) {
        return detail::address::AddressAccess::text(address, static_cast<int>(options.family),
                                                    error);
      });
}

Socket create_server(const AddressLike& address, std::error_code& error) {
  return create_server(address, ServerOptions(), error);
}

Socket create_server(const AddressLike& address, const ServerOptions& options,
                     std::error_code& error) {
  if (options.dualstack_ipv6 && !has_dualstack_ipv6())
    throw ValueError("dualstack_ipv6 not supported on this platform");
  if (options.dualstack_ipv6 && options.family != AF::INET6)
    throw ValueError("dualstack_ipv6 requires AF_INET6 family, not " +
                     std::to_string(static_cast<int>(options.family)));
  Socket sock(options.family, SOCK::STREAM, 0, error);
  // A family without this option fails at bind(), if at all.
  std::error_code ignored;
  if (!error) sock.setsockopt(SOL::SOCKET, SO::REUSEADDR, 1, ignored);
  if (!error && options.reuse_port) sock.setsockopt(SOL::SOCKET, SO::REUSEPORT, 1, error);
  if (!error && options.family == AF::INET6)
    sock.setsockopt(IPPROTO::IPV6, IPV6::V6ONLY, options.dualstack_ipv6 ? 0 : 1, error);
  if (!error) sock.bind(address, error);
  if (!error) sock.listen(options.backlog, error);
  return error ? Socket::closed() : std::move(sock);
}

}  // namespace plug
