#include <plug/address.hpp>
#include <plug/error.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <ostream>

#include "address/access.hpp"
#include "layout/sockaddr.hpp"

namespace plug {

namespace {

using detail::layout::InetFields;

constexpr int kInet6 = static_cast<int>(AF::INET6);

InetFields inet_fields(const Address& address) {
  InetFields fields;
  if (!detail::layout::read_inet(address.bytes(), fields))
    throw ValueError("not an IPv4 or IPv6 address: " + to_string(address));
  return fields;
}

InetFields inet6_fields(const Address& address) {
  InetFields fields = inet_fields(address);
  if (fields.family != kInet6) throw ValueError("not an IPv6 address: " + to_string(address));
  return fields;
}

void check_port(int port) {
  if (port < 0 || port > 0xffff)
    throw OverflowError("port must be 0-65535, not " + std::to_string(port));
}

void check_host_port(std::string_view host, int port, std::uint32_t flowinfo) {
  check_port(port);
  if (flowinfo > 0xfffff)
    throw OverflowError("flowinfo must be 0-1048575, not " + std::to_string(flowinfo));
  if (host.find('\0') != std::string_view::npos)
    throw ValueError("host name must not contain null character: " +
                     detail::address::bytes_repr(host));
}

void check_unix_path(std::string_view path) {
  const bool abstract = !path.empty() && path.front() == '\0';
  // A path needs room for its NUL, an abstract name does not.
  if (path.size() > detail::layout::kUnixPathCapacity - (abstract ? 0 : 1))
    throw OSError(Errc::address_too_long,
                  std::to_string(path.size()) + " bytes, " + detail::address::bytes_repr(path));
  if (!abstract && path.find('\0') != std::string_view::npos)
    throw ValueError("a Unix path must not contain null character: " +
                     detail::address::bytes_repr(path));
}

std::string quoted(std::string_view text, bool (*escape)(unsigned char)) {
  const bool has_single = text.find('\'') != std::string_view::npos;
  const bool has_double = text.find('"') != std::string_view::npos;
  const char quote = has_single && !has_double ? '"' : '\'';
  std::string out(1, quote);
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == quote || c == '\\') {
      (out += '\\') += c;
    } else if (c == '\t' || c == '\n' || c == '\r') {
      (out += '\\') += c == '\t' ? 't' : c == '\n' ? 'n' : 'r';
    } else if (byte < 0x20 || escape(byte)) {
      constexpr char kDigits[] = "0123456789abcdef";
      ((out += "\\x") += kDigits[byte >> 4]) += kDigits[byte & 15];
    } else {
      out += c;
    }
  }
  return out += quote;
}

/// Includes the flow information and the scope of an IPv6 address if there are any.
std::string host_port_text(std::string_view host, int port, std::uint32_t flowinfo,
                           std::uint32_t scope_id) {
  std::string text = "(" + detail::address::str_repr(host) + ", " + std::to_string(port);
  if (flowinfo != 0 || scope_id != 0)
    text += ", " + std::to_string(flowinfo) + ", " + std::to_string(scope_id);
  return text + ")";
}

}  // namespace

namespace detail::address {

std::string bytes_repr(std::string_view bytes) {
  return "b" + quoted(bytes, [](unsigned char c) { return c >= 0x7f; });
}

std::string str_repr(std::string_view text) {
  return quoted(text, [](unsigned char c) { return c == 0x7f; });
}

std::string_view print_inet(const Address& address, std::span<char> room) noexcept {
  InetFields fields;
  if (!layout::read_inet(address.bytes(), fields)) return {};
  layout::HostText host;
  layout::print_host(fields.family, fields.host, host);
  char* out = room.data();
  const auto put = [&out](std::string_view text) { out = std::ranges::copy(text, out).out; };
  const auto put_number = [&](std::uint32_t number) {
    out = std::to_chars(out, room.data() + room.size(), number).ptr;
  };
  put("('");
  put(host.data());
  put("', ");
  put_number(fields.port);
  if (fields.family == kInet6) {
    for (const std::uint32_t number : {fields.flowinfo, fields.scope_id}) {
      put(", ");
      put_number(number);
    }
  }
  put(")");
  return {room.data(), out};
}

Address inet_address(const layout::InetFields& fields) {
  Address address;
  AddressAccess::set_size(address, layout::write_inet(fields, AddressAccess::storage(address)));
  return address;
}

std::size_t AddressAccess::fitting(const Address& address, std::size_t size) noexcept {
  const int family = layout::family_of({address.storage_, sizeof(std::uint16_t)});
  return std::min(size,
                  family == static_cast<int>(AF::UNIX) ? layout::kLargestUnix : Address::kCapacity);
}

const Address* AddressAccess::typed(const AddressLike& like, Address& found,
                                    std::error_code& error) {
  found = like.form_->address(like.typed_, error);
  return &found;
}

void AddressAccess::complete(const AddressLike& like, Address& found) {
  InetFields fields;
  if (!layout::read_inet(found.bytes(), fields)) return;
  fields.port = static_cast<std::uint16_t>(like.port_);
  fields.flowinfo = like.flowinfo_;
  if (like.scope_id_ != 0) fields.scope_id = like.scope_id_;
  found = inet_address(fields);
}

std::string AddressAccess::text(const AddressLike& like) {
  if (like.address_ != nullptr) return to_string(*like.address_);
  if (like.typed_ != nullptr) return like.form_->text(like.typed_);
  return host_port_text(like.host_, like.port_, like.flowinfo_, like.scope_id_);
}

std::string AddressAccess::text(const AddressLike& like, int family, const std::error_code& error) {
  if (error != Errc::address_family) return text(like);
  std::error_code ignored;
  Address address;
  if (like.typed_ != nullptr) address = like.form_->address(like.typed_, ignored);
  if (like.address_ != nullptr) address = *like.address_;
  return text(like) + " is " +
         (address ? "of " + family_text(static_cast<int>(address.family()))
                  : "a host and a port, of AF_INET or AF_INET6") +
         ", the socket of " + family_text(family);
}

std::string family_text(int family) {
  static constexpr std::pair<AF, std::string_view> kNames[] = {
      {AF::UNSPEC, "AF_UNSPEC"},   {AF::UNIX, "AF_UNIX"},
      {AF::INET, "AF_INET"},       {AF::INET6, "AF_INET6"},
      {AF::NETLINK, "AF_NETLINK"}, {AF::PACKET, "AF_PACKET"},
      {AF::RDS, "AF_RDS"},         {AF::CAN, "AF_CAN"},
      {AF::TIPC, "AF_TIPC"},       {AF::BLUETOOTH, "AF_BLUETOOTH"},
      {AF::ALG, "AF_ALG"},         {AF::VSOCK, "AF_VSOCK"},
      {AF::QIPCRTR, "AF_QIPCRTR"}};
  for (const auto& [known, name] : kNames)
    if (static_cast<int>(known) == family) return std::string(name);
  return "family " + std::to_string(family);
}

}  // namespace detail::address

Address Address::from_bytes(BytesView raw) {
  if (raw.size() < sizeof(std::uint16_t) || raw.size() > kCapacity)
    throw ValueError("a socket address has 2 to 128 bytes, not " + std::to_string(raw.size()));
  Address address;
  std::copy(raw.begin(), raw.end(), address.storage_);
  address.size_ = static_cast<std::uint16_t>(raw.size());
  return address;
}

AF Address::family() const noexcept { return static_cast<AF>(detail::layout::family_of(bytes())); }

std::string Address::host() const {
  const InetFields fields = inet_fields(*this);
  return detail::layout::format_host(fields.family, fields.host);
}

int Address::port() const { return inet_fields(*this).port; }
std::uint32_t Address::flowinfo() const { return inet6_fields(*this).flowinfo; }
std::uint32_t Address::scope_id() const { return inet6_fields(*this).scope_id; }

std::string Address::path() const {
  if (family() != AF::UNIX) throw ValueError("not a Unix address: " + to_string(*this));
  const std::string_view path = detail::layout::unix_path(bytes());
  if (path.empty() || path.front() == '\0') return std::string(path);
  return std::string(path.substr(0, path.find('\0')));
}

std::string to_string(const Address& address) {
  if (!address) return "None";
  std::array<char, detail::address::kInetText> room;
  if (const auto inet = detail::address::print_inet(address, room); !inet.empty())
    return std::string(inet);
  if (address.family() == AF::UNIX) {
    std::string path = address.path();
    return !path.empty() && path.front() == '\0' ? detail::address::bytes_repr(path) : path;
  }
  if (const auto typed = detail::address::typed_text(address)) return *typed;
  return "(" + std::to_string(static_cast<int>(address.family())) + ", " +
         detail::address::bytes_repr(address.bytes().subspan(sizeof(std::uint16_t))) + ")";
}

std::ostream& operator<<(std::ostream& out, const Address& address) {
  return out << to_string(address);
}

HostPort::HostPort(std::string_view host_, int port_, std::uint32_t flowinfo_,
                   std::uint32_t scope_id_)
    : host(host_), port(port_), flowinfo(flowinfo_), scope_id(scope_id_) {
  check_host_port(host_, port_, flowinfo_);
}

std::string to_string(const HostPort& address) {
  return host_port_text(address.host, address.port, address.flowinfo, address.scope_id);
}

std::ostream& operator<<(std::ostream& out, const HostPort& address) {
  return out << to_string(address);
}

UnixAddress::UnixAddress(std::string_view path_) : path(path_) { check_unix_path(path); }

UnixAddress::operator Address() const {
  check_unix_path(path);
  Address address;
  detail::address::AddressAccess::set_size(
      address, detail::layout::write_unix(path, detail::address::AddressAccess::storage(address)));
  return address;
}

AddressLike::AddressLike(std::string_view host, int port, std::uint32_t flowinfo,
                         std::uint32_t scope_id)
    : host_(host), port_(port), flowinfo_(flowinfo), scope_id_(scope_id) {
  check_host_port(host, port, flowinfo);
}

std::string to_string(const AddressLike& address) {
  return detail::address::AddressAccess::text(address);
}

}  // namespace plug
