#include "support/parity_names.hpp"

#include <optional>
#include <utility>

namespace plug::parity {

namespace {

std::string quoted_list(const std::vector<std::string>& texts) {
  std::string text;
  for (const std::string& item : texts) text += (text.empty() ? "'" : ", '") + item + "'";
  return "[" + text + "]";
}

/// Omits the number of an herror, because Python reports a different one.
template <class LookUp>
std::string host_entry(LookUp look_up) {
  try {
    const auto [hostname, aliaslist, ipaddrlist] = look_up();
    return "('" + hostname + "', " + quoted_list(aliaslist) + ", " + quoted_list(ipaddrlist) + ")";
  } catch (const herror&) {
    return "herror";
  }
}

std::string addresses(const Case& c, Timeout timeout) {
  std::optional<std::string_view> host;
  if (c[1] != "None") host = c[1];
  const Service port = c[2] == "None"   ? Service(std::nullopt)
                       : c[2][0] == '#' ? Service(wide(c[2].substr(1)))
                                        : Service(c[2]);
  std::string text;
  for (const AddrInfo& answer : getaddrinfo(host, port, AF{number(c[3])}, SOCK{number(c[4])},
                                            number(c[5]), AI{number(c[6])}, timeout))
    text += (text.empty() ? "(" : " (") + std::to_string(static_cast<int>(answer.family)) + ", " +
            std::to_string(static_cast<int>(answer.type)) + ", " + std::to_string(answer.proto) +
            ", '" + answer.canonname + "', " + to_string(answer.sockaddr) + ")";
  return text;
}

std::string nameinfo(const Case& c) {
  const auto field = [&](std::size_t n) {
    return c.size() > n ? static_cast<std::uint32_t>(std::stoul(c[n], nullptr, 0)) : 0;
  };
  const auto [host, service] =
      getnameinfo({c[2], number(c[3]), field(4), field(5)}, NI{number(c[1])});
  return "('" + host + "', '" + service + "')";
}

std::string interfaces(const Case&) {
  std::string text;
  for (const auto& [index, name] : if_nameindex())
    text += (text.empty() ? "(" : ", (") + std::to_string(index) + ", '" + name + "')";
  return "[" + text + "]";
}

std::string server(const Case& c) {
  const ServerOptions options{.family = AF{number(c[1])},
                              .backlog = number(c[4]),
                              .reuse_port = c[5] == "True",
                              .dualstack_ipv6 = c[6] == "True"};
  Socket sock = create_server({c[2], number(c[3])}, options);
  return bare(sock, to_string(sock.getsockname())) + " " +
         std::to_string(sock.getsockopt(SOL::SOCKET, SO::ACCEPTCONN)) +
         std::to_string(sock.getsockopt(SOL::SOCKET, SO::REUSEADDR)) +
         std::to_string(sock.getsockopt(SOL::SOCKET, SO::REUSEPORT)) +
         (sock.family() == AF::INET6 ? std::to_string(sock.getsockopt(IPPROTO::IPV6, IPV6::V6ONLY))
                                     : "");
}

std::string server_in_use(const Case& c) {
  Socket first = create_server({c[2], 0}, {.family = AF{number(c[1])}});
  const Socket second =
      create_server({c[2], first.getsockname().port()}, {.family = AF{number(c[1])}});
  return "made";
}

std::string connection(const Case& c) {
  // Arguments: family and host to bind to, "listening" or not, host to connect to, source host,
  // port.
  Socket other(AF{number(c[1])});
  other.bind({c[2], 0});
  if (c[3] == "listening") other.listen();
  ConnectOptions options{.timeout = 20};
  if (c[5] != "None") options.source = HostPort(c[5], number(c[6]));
  options.all_errors = c[7] == "True";
  try {
    Socket sock = create_connection({c[4], other.getsockname().port()}, options);
    return bare(other, to_string(sock.getpeername())) + " " + to_string(sock.gettimeout());
  } catch (const ExceptionGroup& group) {
    std::string text = "group";
    for (const OSError& error : group.exceptions()) text += " " + std::to_string(error.number());
    return text;
  }
}

}  // namespace

const Operations& name_operations() {
  static const Operations table = {
      {"getaddrinfo", [](const Case& c) { return addresses(c, std::nullopt); }},
      {"getaddrinfo in time", [](const Case& c) { return addresses(c, 20); }},
      {"getnameinfo", nameinfo},
      {"getfqdn", [](const Case& c) { return getfqdn(c[1]); }},
      {"gethostbyname", [](const Case& c) { return gethostbyname(c[1]); }},
      {"gethostbyname_ex",
       [](const Case& c) { return host_entry([&] { return gethostbyname_ex(c[1]); }); }},
      {"gethostbyaddr",
       [](const Case& c) { return host_entry([&] { return gethostbyaddr(c[1]); }); }},
      {"getprotobyname", [](const Case& c) { return std::to_string(getprotobyname(c[1])); }},
      {"getservbyport",
       [](const Case& c) { return getservbyport(number(c[1]), c.size() > 2 ? c[2] : ""); }},
      {"if_nameindex", interfaces},
      {"if_nametoindex", [](const Case& c) { return std::to_string(if_nametoindex(c[1])); }},
      {"if_indextoname", [](const Case& c) { return if_indextoname(wide(c[1])); }},
      {"has_dualstack_ipv6", [](const Case&) { return truth(has_dualstack_ipv6()); }},
      {"create_server", server},
      {"create_server in use", server_in_use},
      {"create_connection", connection},
      {"dup", [](const Case& c) { return std::to_string(dup(Fileno{number(c[1])}).fileno()); }},
      {"close", [](const Case& c) { return close(Fileno{number(c[1])}), "closed"; }},
  };
  return table;
}

}  // namespace plug::parity
