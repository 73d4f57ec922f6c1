#include <plug/error.hpp>
#include <plug/resolve.hpp>

#include <algorithm>
#include <cerrno>
#include <limits>

#include "address/access.hpp"
#include "base/result.hpp"
#include "base/throwing.hpp"
#include "layout/sockaddr.hpp"
#include "resolve/resolver.hpp"
#include "sys/netdb.hpp"

// The name services.

namespace plug {

namespace {
using detail::address::str_repr;
using detail::base::throwing;
using detail::layout::InetFields;
using detail::sys::AddressQuery;
namespace sys = detail::sys;
namespace layout = detail::layout;

bool has_nul(std::string_view text) { return text.find('\0') != std::string_view::npos; }

void check_name(std::string_view name) {
  if (has_nul(name)) throw_if(Errc::embedded_nul, str_repr(name));
}

/// Throws the error of a system call that returned -errno.
void throw_failed(long result, std::string_view about) {
  if (result < 0) throw_if({static_cast<int>(-result), std::system_category()}, about);
}

std::string host_text(std::optional<std::string_view> host) {
  return host ? str_repr(*host) : "None";
}

/// Returns the query of getaddrinfo() as text, without the hints that were left out.
std::string query_text(std::optional<std::string_view> host, const Service& port, AF family,
                       SOCK type, int proto, AI flags) {
  std::string text =
      "host " + host_text(host) + ", port " +
      host_text(port.text() ? std::optional<std::string_view>(*port.text()) : std::nullopt);
  const std::pair<const char*, int> hints[] = {{"family", static_cast<int>(family)},
                                               {"type", static_cast<int>(type)},
                                               {"proto", proto},
                                               {"flags", static_cast<int>(flags)}};
  for (const auto& [name, value] : hints)
    if (value != 0) ((text += ", ") += name) += " " + std::to_string(value);
  return text;
}

std::string protocol_text(std::string_view protocol) {
  return protocol.empty() ? "" : "/" + str_repr(protocol);
}

const char* null_if_empty(const std::string& text) { return text.empty() ? nullptr : text.c_str(); }

bool is_broadcast(std::string_view host) {
  return host == "<broadcast>" || host == "255.255.255.255";
}

std::error_code code_of(const sys::LookupError& error) noexcept {
  switch (error.of) {
    case sys::LookupError::Of::system:
      return {error.number, std::system_category()};
    case sys::LookupError::Of::getaddrinfo:
      return {error.number, gai_category()};
    case sys::LookupError::Of::gethostbyname:
      return {error.number, herror_category()};
    case sys::LookupError::Of::nothing:
      break;
  }
  return {};
}

std::vector<AddrInfo> answers_of(std::vector<sys::FoundAddress>&& found) {
  std::vector<AddrInfo> answers;
  answers.reserve(found.size());
  for (sys::FoundAddress& one : found)
    answers.push_back({static_cast<AF>(one.family), static_cast<SOCK>(one.type), one.proto,
                       std::move(one.canonical_name),
                       Address::from_bytes({one.address, one.size})});
  return answers;
}

/// Returns the only address that a name has, in any family.
Address only_address(std::string_view host, std::error_code& error) {
  if (is_broadcast(host))
    return detail::resolve::resolve_host(host, AF::INET, Deadline::none(), error);
  const bool wildcard = host.empty();
  const auto answers =
      getaddrinfo(wildcard ? std::nullopt : std::optional(host),
                  wildcard ? Service("0") : Service(std::nullopt), AF::UNSPEC,
                  wildcard ? SOCK::DGRAM : SOCK{}, 0, wildcard ? AI::PASSIVE : AI{}, error);
  if (!error && wildcard && answers.size() > 1) error = Errc::several_addresses;
  if (!error && answers.empty()) error = Errc::no_addresses;
  return error ? Address{} : answers.front().sockaddr;
}

struct HostAnswer {
  sys::LookupError error;
  sys::FoundHost host;
};

HostEntry entry_of(sys::FoundHost&& host) {
  HostEntry entry{std::move(host.name), std::move(host.aliases), {}};
  for (const std::string& address : host.addresses)
    entry.ipaddrlist.push_back(
        layout::format_host(static_cast<int>(address.size() == 4 ? AF::INET : AF::INET6),
                            reinterpret_cast<const unsigned char*>(address.data())));
  return entry;
}

template <class Call>
HostEntry host_entry(Call call, std::error_code& error) {
  auto answer = detail::resolve::off_thread(std::move(call), Deadline::none(), error);
  if (error) return {};
  error = code_of(answer->error);
  return error ? HostEntry{} : entry_of(std::move(answer->host));
}

/// Returns true if no file has to be read for the query, unless the host turns out to be a name.
bool is_numeric(const AddressQuery& query) {
  const auto digits = [](char c) { return c >= '0' && c <= '9'; };
  const auto ascii = [](char c) { return static_cast<unsigned char>(c) < 0x80; };
  return (!query.service || std::all_of(query.service->begin(), query.service->end(), digits)) &&
         (!query.host || std::all_of(query.host->begin(), query.host->end(), ascii));
}

/// Returns the result of `call`, which reads a file of names or asks another name service.
template <class Call>
auto from_database(Call call) {
  auto found = throwing(
      [&](std::error_code& error) {
        return detail::resolve::off_thread(std::move(call), Deadline::none(), error);
      },
      "name lookup");
  return std::move(*found);
}

}  // namespace

namespace detail::resolve {

std::vector<AddrInfo> look_up(const AddressQuery& query, Deadline deadline,
                              std::error_code& error) {
  const bool direct = deadline.is_none() && wait::may_block_thread();
  if (direct || wait::may_block_thread() || is_numeric(query)) {
    std::vector<sys::FoundAddress> found;
    error = code_of(sys::getaddrinfo(direct ? query : sys::numeric(query), found));
    if (direct || error != std::error_code(sys::kEaiNoName, gai_category()))
      return answers_of(std::move(found));
  }
  if (deadline.is_immediate()) {
    error = timed_out();
    return {};
  }
  struct Answer {
    sys::LookupError error;
    std::vector<sys::FoundAddress> answers;
  };
  auto answer = off_thread(
      [query] {
        Answer found;
        found.error = sys::getaddrinfo(query, found.answers);
        return found;
      },
      deadline, error);
  if (error) return {};
  error = code_of(answer->error);
  return answers_of(std::move(answer->answers));
}

Address resolve_host(std::string_view host, AF family, Deadline deadline, std::error_code& error) {
  error.clear();
  InetFields fields;
  fields.family = static_cast<int>(family);
  if (host.empty()) return address::inet_address(fields);
  if (is_broadcast(host)) {
    if (family != AF::INET) {
      error = Errc::address_family;
      return {};
    }
    for (int i = 0; i < 4; ++i) fields.host[i] = 0xff;
    return address::inet_address(fields);
  }
  AddressQuery query;
  query.host = host;
  query.family = fields.family;
  if (layout::parse_host(fields.family, *query.host, fields.host))
    return address::inet_address(fields);
  const auto answers = look_up(query, deadline, error);
  if (!error && answers.empty()) error = Errc::no_addresses;
  return error ? Address{} : answers.front().sockaddr;
}

const Address* resolve(const AddressLike& like, AF family, Deadline deadline, Address& found,
                       std::error_code& error) {
  if (const Address* const known = address::AddressAccess::known(like, found, error)) return known;
  if (family != AF::INET && family != AF::INET6 && family != AF::RDS) {
    error = Errc::address_family;
    return &found;
  }
  found = resolve_host(address::AddressAccess::host(like), family == AF::RDS ? AF::INET : family,
                       deadline, error);
  if (!error) address::AddressAccess::complete(like, found);
  return &found;
}

}  // namespace detail::resolve

std::vector<AddrInfo> getaddrinfo(std::optional<std::string_view> host, const Service& port,
                                  AF family, SOCK type, Protocol proto, AI flags, Timeout timeout,
                                  std::error_code& error) {
  if ((host && has_nul(*host)) || (port.text() && has_nul(*port.text()))) {
    error = Errc::embedded_nul;
    return {};
  }
  AddressQuery query{{},
                     port.text(),
                     static_cast<int>(family),
                     static_cast<int>(type),
                     proto,
                     static_cast<int>(flags)};
  if (host) query.host = *host;
  return detail::resolve::look_up(query, detail::base::deadline_after(timeout), error);
}

std::vector<AddrInfo> getaddrinfo(std::optional<std::string_view> host, const Service& port,
                                  AF family, SOCK type, Protocol proto, AI flags, Timeout timeout) {
  return throwing(
      [&](std::error_code& error) {
        return getaddrinfo(host, port, family, type, proto, flags, timeout, error);
      },
      [&] { return query_text(host, port, family, type, proto, flags); });
}

std::vector<AddrInfo> getaddrinfo(std::optional<std::string_view> host, const Service& port,
                                  AF family, SOCK type, Protocol proto, AI flags,
                                  std::error_code& error) {
  return getaddrinfo(host, port, family, type, proto, flags, Timeout(std::nullopt), error);
}

std::vector<AddrInfo> getaddrinfo(std::optional<std::string_view> host, const Service& port,
                                  AF family, SOCK type, Protocol proto, AI flags) {
  return getaddrinfo(host, port, family, type, proto, flags, Timeout(std::nullopt));
}

std::pair<std::string, std::string> getnameinfo(const Address& address, NI flags,
                                                std::error_code& error) {
  struct Answer {
    detail::sys::LookupError error;
    std::pair<std::string, std::string> names;
  };
  auto answer = detail::resolve::off_thread(
      [address, flags = static_cast<int>(flags)] {
        Answer found;
        found.error =
            detail::sys::getnameinfo(address.bytes(), flags, found.names.first, found.names.second);
        return found;
      },
      Deadline::none(), error);
  if (error) return {};
  error = code_of(answer->error);
  return std::move(answer->names);
}

std::pair<std::string, std::string> getnameinfo(const Address& address, NI flags) {
  return throwing([&](std::error_code& error) { return getnameinfo(address, flags, error); },
                  [&] { return to_string(address); });
}

std::pair<std::string, std::string> getnameinfo(const HostPort& given, NI flags,
                                                std::error_code& error) {
  // Throws for fields that have been changed to invalid values.
  [[maybe_unused]] const AddressLike checked(given);
  const auto answers =
      getaddrinfo(given.host, given.port, AF::UNSPEC, SOCK::DGRAM, 0, AI::NUMERICHOST, error);
  if (!error && answers.size() != 1)
    error = answers.empty() ? Errc::no_addresses : Errc::several_addresses;
  if (error) return {};
  InetFields fields;
  const Address address = answers.front().sockaddr;
  if (address.family() != AF::INET6) {
    if (given.flowinfo == 0 && given.scope_id == 0) return getnameinfo(address, flags, error);
    error = Errc::address_family;
    return {};
  }
  detail::layout::read_inet(address.bytes(), fields);
  fields.flowinfo = given.flowinfo;
  fields.scope_id = given.scope_id;
  return getnameinfo(detail::address::inet_address(fields), flags, error);
}

std::pair<std::string, std::string> getnameinfo(const HostPort& address, NI flags) {
  return throwing([&](std::error_code& error) { return getnameinfo(address, flags, error); },
                  [&] { return to_string(address); });
}

std::string gethostbyname(std::string_view hostname, std::error_code& error) {
  if (has_nul(hostname)) {
    error = Errc::embedded_nul;
    return {};
  }
  const Address address =
      detail::resolve::resolve_host(hostname, AF::INET, Deadline::none(), error);
  return error ? std::string() : address.host();
}

std::string gethostbyname(std::string_view hostname) {
  return throwing([&](std::error_code& error) { return gethostbyname(hostname, error); },
                  [&] { return str_repr(hostname); });
}

HostEntry gethostbyname_ex(std::string_view hostname, std::error_code& error) {
  // As in Python, a name without an IPv4 address fails here.
  gethostbyname(hostname, error);
  if (error) return {};
  return host_entry(
      [name = std::string(hostname)] {
        HostAnswer answer;
        answer.error = sys::gethostbyname(name, answer.host);
        return answer;
      },
      error);
}

HostEntry gethostbyname_ex(std::string_view hostname) {
  return throwing([&](std::error_code& error) { return gethostbyname_ex(hostname, error); },
                  [&] { return str_repr(hostname); });
}

HostEntry gethostbyaddr(std::string_view ip_address, std::error_code& error) {
  if (has_nul(ip_address)) {
    error = Errc::embedded_nul;
    return {};
  }
  const Address address = only_address(ip_address, error);
  if (error) return {};
  InetFields fields;
  if (!layout::read_inet(address.bytes(), fields)) {
    error = detail::base::error_from(-EAFNOSUPPORT);
    return {};
  }
  return host_entry(
      [fields] {
        HostAnswer answer;
        answer.error = sys::gethostbyaddr(fields.family, fields.host, answer.host);
        return answer;
      },
      error);
}

HostEntry gethostbyaddr(std::string_view ip_address) {
  return throwing([&](std::error_code& error) { return gethostbyaddr(ip_address, error); },
                  [&] { return str_repr(ip_address); });
}

std::string getfqdn(std::string_view name) {
  check_name(name);
  constexpr std::string_view kBlanks = " \t\n\r\v\f";
  name.remove_prefix(std::min(name.find_first_not_of(kBlanks), name.size()));
  name = name.substr(0, name.find_last_not_of(kBlanks) + 1);
  std::string asked =
      name.empty() || name == "0.0.0.0" || name == "::" ? gethostname() : std::string(name);
  std::error_code error;
  const HostEntry entry = gethostbyaddr(asked, error);
  if (detail::base::ends_call(error)) throw_if(error, str_repr(asked));
  if (error) return asked;
  const auto qualified = [](const std::string& text) {
    return text.find('.') != std::string::npos;
  };
  if (qualified(entry.hostname)) return entry.hostname;
  for (const std::string& alias : entry.aliaslist)
    if (qualified(alias)) return alias;
  return entry.hostname;
}

std::string gethostname() {
  std::string name;
  throw_failed(detail::sys::gethostname(name), "gethostname");
  return name;
}

void sethostname(std::string_view name) {
  throw_failed(detail::sys::sethostname(std::string(name)), str_repr(name));
}

int getservbyname(std::string_view service, std::string_view protocol) {
  check_name(service);
  check_name(protocol);
  const std::string protocol_name(protocol);
  const int port = from_database([name = std::string(service), protocol_name] {
    return detail::sys::getservbyname(name, null_if_empty(protocol_name));
  });
  if (port < 0) throw_if(Errc::no_such_name, str_repr(service) + protocol_text(protocol));
  return port;
}

std::string getservbyport(int port, std::string_view protocol) {
  if (port < 0 || port > 0xffff)
    throw OverflowError("getservbyport: port must be 0-65535.: " + std::to_string(port));
  check_name(protocol);
  const std::string protocol_name(protocol);
  std::string service = from_database([port, protocol_name] {
    return detail::sys::getservbyport(port, null_if_empty(protocol_name));
  });
  if (service.empty()) throw_if(Errc::no_such_port, std::to_string(port) + protocol_text(protocol));
  return service;
}

int getprotobyname(std::string_view protocol) {
  check_name(protocol);
  const int number =
      from_database([name = std::string(protocol)] { return detail::sys::getprotobyname(name); });
  if (number < 0) throw_if(Errc::no_such_protocol, str_repr(protocol));
  return number;
}

std::vector<std::pair<int, std::string>> if_nameindex() {
  std::vector<std::pair<int, std::string>> interfaces;
  throw_failed(detail::sys::if_nameindex(interfaces), "if_nameindex");
  return interfaces;
}

int if_nametoindex(std::string_view name) {
  check_name(name);
  const long index = detail::sys::interface_index(std::string(name));
  if (index < 0) throw_if(Errc::no_such_interface, str_repr(name));
  return static_cast<int>(index);
}

std::string if_indextoname(std::int64_t index) {
  if (index < 0 || index > std::numeric_limits<std::uint32_t>::max())
    throw OverflowError("interface index " + std::to_string(index) +
                        " does not fit an unsigned int");
  std::string name;
  throw_failed(detail::sys::if_indextoname(static_cast<unsigned>(index), name),
               "interface index " + std::to_string(index));
  return name;
}

}  // namespace plug
