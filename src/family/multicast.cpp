#include <plug/error.hpp>
#include <plug/family/multicast.hpp>

#include <cstring>
#include <string>

#include "address/access.hpp"
#include "base/throwing.hpp"
#include "layout/structs.hpp"
#include "sys/netdb.hpp"

namespace plug {

namespace {

namespace sys = detail::sys;
namespace layout = detail::layout;
using detail::address::str_repr;
using detail::base::throwing;
using layout::bytes_of;

/// The differences between the two families.
struct Ip {
  bool six;

  OptionLevel level() const { return six ? IPPROTO::IPV6 : IPPROTO::IP_; }
  OptionName pick(IP_ of_four, IPV6 of_six) const {
    return six ? OptionName(of_six) : OptionName(of_four);
  }
};

Ip ip_of(const Socket& sock) {
  const AF family = sock.family();
  if (family != AF::INET && family != AF::INET6)
    throw ValueError("multicast needs a socket of AF_INET or AF_INET6, not of family " +
                     std::to_string(static_cast<int>(family)));
  return {family == AF::INET6};
}

Address address_of(Ip ip, std::string_view text) {
  layout::InetFields fields;
  fields.family = static_cast<int>(ip.six ? AF::INET6 : AF::INET);
  if (text.find('\0') != std::string_view::npos ||
      !layout::parse_host(fields.family, std::string(text), fields.host))
    throw ValueError(std::string("no IPv") + (ip.six ? "6" : "4") + " address: " + str_repr(text));
  return detail::address::inet_address(fields);
}

Address group_of(Ip ip, std::string_view text) {
  const Address address = address_of(ip, text);
  layout::InetFields fields;
  layout::read_inet(address.bytes(), fields);
  if (ip.six ? fields.host[0] != 0xff : (fields.host[0] & 0xf0) != 0xe0)
    throw ValueError("no multicast group: " + str_repr(text));
  return address;
}

/// Returns the number of an interface, 0 for the system's choice; sets `error` if there is no such
/// interface.
int index_of(std::string_view interface, std::error_code& error) {
  error.clear();
  if (interface.empty()) return 0;
  if (interface.find('\0') != std::string_view::npos)
    throw ValueError("embedded null character: " + detail::address::bytes_repr(interface));
  const long index = sys::interface_index(std::string(interface));
  if (index < 0) error.assign(static_cast<int>(-index), std::system_category());
  return index < 0 ? 0 : static_cast<int>(index);
}

void copy(char (&out)[128], const Address& address) {
  std::memcpy(out, address.bytes().data(), address.bytes().size());
}

/// Sets one of the options that take an interface, a group, and possibly a source.
void change(Socket& sock, MCAST of_group, MCAST of_source, std::string_view group,
            std::string_view interface, std::string_view source, std::error_code& error) {
  const Ip ip = ip_of(sock);
  layout::SourceLayout layout{};
  copy(layout.group.group, group_of(ip, group));
  if (!source.empty()) copy(layout.source, address_of(ip, source));
  const int index = index_of(interface, error);
  if (error) return;
  layout.group.interface_index = static_cast<std::uint32_t>(index);
  if (source.empty())
    sock.setsockopt(ip.level(), of_group, bytes_of(layout.group), error);
  else
    sock.setsockopt(ip.level(), of_source, bytes_of(layout), error);
}

std::string group_text(std::string_view call, std::string_view group, std::string_view interface,
                       std::string_view source) {
  std::string text = std::string(call) + " " + std::string(group);
  if (!source.empty()) text += " from " + std::string(source);
  if (!interface.empty()) text += " on " + str_repr(interface);
  return text;
}

}  // namespace

void join_group(Socket& sock, std::string_view group, std::string_view interface,
                std::string_view source) {
  throwing([&](std::error_code& error) { join_group(sock, group, interface, source, error); },
           [&] { return group_text("join", group, interface, source); });
}
void join_group(Socket& sock, std::string_view group, std::string_view interface,
                std::string_view source, std::error_code& error) {
  change(sock, MCAST::JOIN_GROUP, MCAST::JOIN_SOURCE_GROUP, group, interface, source, error);
}

void leave_group(Socket& sock, std::string_view group, std::string_view interface,
                 std::string_view source) {
  throwing([&](std::error_code& error) { leave_group(sock, group, interface, source, error); },
           [&] { return group_text("leave", group, interface, source); });
}
void leave_group(Socket& sock, std::string_view group, std::string_view interface,
                 std::string_view source, std::error_code& error) {
  change(sock, MCAST::LEAVE_GROUP, MCAST::LEAVE_SOURCE_GROUP, group, interface, source, error);
}

void block_source(Socket& sock, std::string_view group, std::string_view source,
                  std::string_view interface) {
  throwing([&](std::error_code& error) { block_source(sock, group, source, interface, error); },
           [&] { return group_text("block", group, interface, source); });
}
void block_source(Socket& sock, std::string_view group, std::string_view source,
                  std::string_view interface, std::error_code& error) {
  address_of(ip_of(sock), source);
  change(sock, MCAST::BLOCK_SOURCE, MCAST::BLOCK_SOURCE, group, interface, source, error);
}

void unblock_source(Socket& sock, std::string_view group, std::string_view source,
                    std::string_view interface) {
  throwing([&](std::error_code& error) { unblock_source(sock, group, source, interface, error); },
           [&] { return group_text("unblock", group, interface, source); });
}
void unblock_source(Socket& sock, std::string_view group, std::string_view source,
                    std::string_view interface, std::error_code& error) {
  address_of(ip_of(sock), source);
  change(sock, MCAST::UNBLOCK_SOURCE, MCAST::UNBLOCK_SOURCE, group, interface, source, error);
}

void set_multicast_interface(Socket& sock, std::string_view interface) {
  throwing([&](std::error_code& error) { set_multicast_interface(sock, interface, error); },
           [&] { return str_repr(interface); });
}
void set_multicast_interface(Socket& sock, std::string_view interface, std::error_code& error) {
  const Ip ip = ip_of(sock);
  const int index = index_of(interface, error);
  if (error) return;
  if (ip.six)
    sock.setsockopt(ip.level(), IPV6::MULTICAST_IF, index, error);
  else
    sock.setsockopt(
        ip.level(), IP_::MULTICAST_IF,
        bytes_of(layout::InterfaceLayout{.group = 0, .address = 0, .interface_index = index}),
        error);
}

void set_multicast_ttl(Socket& sock, int hops) {
  throwing([&](std::error_code& error) { set_multicast_ttl(sock, hops, error); },
           [&] { return "set_multicast_ttl(" + std::to_string(hops) + ")"; });
}
void set_multicast_ttl(Socket& sock, int hops, std::error_code& error) {
  const Ip ip = ip_of(sock);
  if (hops < 0 || hops > 255)
    throw OverflowError("hops must be 0-255, not " + std::to_string(hops));
  sock.setsockopt(ip.level(), ip.pick(IP_::MULTICAST_TTL, IPV6::MULTICAST_HOPS), hops, error);
}
int multicast_ttl(const Socket& sock) {
  const Ip ip = ip_of(sock);
  return sock.getsockopt(ip.level(), ip.pick(IP_::MULTICAST_TTL, IPV6::MULTICAST_HOPS));
}

void set_multicast_loop(Socket& sock, bool on) {
  throwing([&](std::error_code& error) { set_multicast_loop(sock, on, error); },
           "set_multicast_loop");
}
void set_multicast_loop(Socket& sock, bool on, std::error_code& error) {
  const Ip ip = ip_of(sock);
  const auto name = ip.pick(IP_::MULTICAST_LOOP, IPV6::MULTICAST_LOOP);
  sock.setsockopt(ip.level(), name, on ? 1 : 0, error);
}
bool multicast_loop(const Socket& sock) {
  const Ip ip = ip_of(sock);
  return sock.getsockopt(ip.level(), ip.pick(IP_::MULTICAST_LOOP, IPV6::MULTICAST_LOOP)) != 0;
}

}  // namespace plug
