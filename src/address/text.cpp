// Address::parse() and Address::text().

#include <plug/error.hpp>
#include <plug/family/addresses.hpp>

#include <charconv>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "address/access.hpp"
#include "address/family_layout.hpp"
#include "sys/netdb.hpp"

namespace plug {

namespace {

using detail::layout::InetFields;

struct NoAddress {};  // thrown if a text is not an address

// --- reading ---

template <class T>
T number(std::string_view text) {
  int base = 10;
  if (text.starts_with("0x")) {
    base = 16;
    text.remove_prefix(2);
  }
  if (text.empty() ||
      text.find_first_not_of(base == 10 ? "0123456789" : "0123456789abcdefABCDEF") !=
          std::string_view::npos)
    throw NoAddress();
  T value{};
  const char* const end = text.data() + text.size();
  if (std::from_chars(text.data(), end, value, base).ec != std::errc{})
    throw OverflowError("a number of an address is too large: " + std::string(text));
  return value;
}

std::string bytes_of_hex(std::string_view text) {
  if (text.size() % 2 != 0) throw NoAddress();
  std::string bytes;
  for (; !text.empty(); text.remove_prefix(2)) {
    unsigned char byte = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + 2, byte, 16);
    if (error != std::errc{} || end != text.data() + 2) throw NoAddress();
    bytes += static_cast<char>(byte);
  }
  return bytes;
}

/// The parts of a text between its colons.
class Fields {
 public:
  Fields(std::string_view text, std::size_t least, std::size_t most) {
    for (std::size_t colon = 0; colon != std::string_view::npos;) {
      colon = text.find(':');
      fields_.push_back(text.substr(0, colon));
      if (colon != std::string_view::npos) text.remove_prefix(colon + 1);
    }
    if (fields_.size() < least || fields_.size() > most) throw NoAddress();
  }

  std::size_t size() const noexcept { return fields_.size(); }
  std::string_view text(std::size_t n) const { return fields_[n]; }
  /// Returns the number of a field, or `missing` if it was left out.
  std::uint64_t operator()(std::size_t n, std::uint64_t missing = 0) const {
    return n < fields_.size() ? number<std::uint64_t>(fields_[n]) : missing;
  }

 private:
  std::vector<std::string_view> fields_;
};

/// A Bluetooth device, whose text contains colons itself, and the fields after it.
struct DeviceAndFields {
  DeviceAndFields(std::string_view text, std::size_t least, std::size_t most)
      : all(text, 6 + least, 6 + most),
        device(text.substr(
            0, static_cast<std::size_t>(all.text(5).data() - text.data()) + all.text(5).size())) {}

  std::uint64_t operator()(std::size_t n) const { return all(6 + n); }

  Fields all;
  std::string_view device;
};

Address parse_can(std::string_view text) { return CanAddress(text); }

Address parse_isotp(std::string_view text) {
  const Fields f(text, 3, 3);
  return IsotpAddress(f.text(0), f(1), f(2));
}

Address parse_j1939(std::string_view text) {
  const Fields f(text, 4, 4);
  return J1939Address(f.text(0), f(1), f(2), f(3));
}

Address parse_netlink(std::string_view text) {
  const Fields f(text, 2, 2);
  return NetlinkAddress(f(0), f(1));
}

Address parse_packet(std::string_view text) {
  const Fields f(text, 2, 5);
  if (f.size() == 3) throw NoAddress();
  PacketAddress address(f.text(0), f(1), f(2), f(3));
  if (f.size() == 5) address.addr = bytes_of_hex(f.text(4));
  return address;
}

Address parse_vsock(std::string_view text) {
  const Fields f(text, 2, 2);
  return VsockAddress(f(0), f(1));
}

Address parse_tipc(std::string_view text) {
  const Fields f(text, 4, 5);
  return TipcAddress(f(0), f(1), f(2), f(3), f(4, static_cast<unsigned>(TIPC::CLUSTER_SCOPE)));
}

Address parse_alg(std::string_view text) {
  const Fields f(text, 2, 4);
  if (f.size() == 3) throw NoAddress();
  return AlgAddress(f.text(0), f.text(1), f(2), f(3));
}

Address parse_qrtr(std::string_view text) {
  const Fields f(text, 2, 2);
  return QrtrAddress(f(0), f(1));
}

Address parse_l2cap(std::string_view text) {
  const DeviceAndFields f(text, 1, 3);
  if (f.all.size() == 8) throw NoAddress();
  return L2capAddress(f.device, f(0), f(1), f(2));
}

Address parse_rfcomm(std::string_view text) {
  const DeviceAndFields f(text, 1, 1);
  return RfcommAddress(f.device, f(0));
}

Address parse_hci(std::string_view text) {
  const Fields f(text, 1, 2);
  return HciAddress(f(0), f(1));
}

Address parse_sco(std::string_view text) { return ScoAddress(DeviceAndFields(text, 0, 0).device); }

Address parse_unix(std::string_view text) { return UnixAddress(text); }

Address parse_raw(std::string_view text) {
  const Fields f(text, 2, 2);
  const auto family = number<std::uint16_t>(f.text(0));
  return Address::from_bytes(std::string(reinterpret_cast<const char*>(&family), sizeof family) +
                             bytes_of_hex(f.text(1)));
}

constexpr struct {
  std::string_view prefix;
  Address (*parse)(std::string_view rest);
} kKinds[] = {{"unix:", parse_unix},   {"can:", parse_can},         {"isotp:", parse_isotp},
              {"j1939:", parse_j1939}, {"netlink:", parse_netlink}, {"packet:", parse_packet},
              {"vsock:", parse_vsock}, {"tipc:", parse_tipc},       {"alg:", parse_alg},
              {"qrtr:", parse_qrtr},   {"l2cap:", parse_l2cap},     {"rfcomm:", parse_rfcomm},
              {"hci:", parse_hci},     {"sco:", parse_sco},         {"raw:", parse_raw}};

Address parse_inet(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || text.find('\0') != std::string_view::npos)
    throw NoAddress();
  std::string_view host = text.substr(0, colon);
  const std::string_view port = text.substr(colon + 1);
  if (port.empty() || port.find_first_not_of("0123456789") != std::string_view::npos)
    throw NoAddress();

  InetFields fields;
  fields.family = static_cast<int>(AF::INET);
  if (host.size() >= 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
    fields.family = static_cast<int>(AF::INET6);
    if (const std::size_t percent = host.find('%'); percent != std::string_view::npos) {
      const std::string scope(host.substr(percent + 1));
      if (!scope.empty() && scope.find_first_not_of("0123456789") == std::string::npos) {
        const auto [end, error] =
            std::from_chars(scope.data(), scope.data() + scope.size(), fields.scope_id);
        if (error != std::errc{}) throw OverflowError("a scope is 0-4294967295, not " + scope);
      } else {
        const long index = detail::sys::interface_index(scope);
        if (index < 0) throw NoAddress();
        fields.scope_id = static_cast<std::uint32_t>(index);
      }
      host = host.substr(0, percent);
    }
  }
  if (!detail::layout::parse_host(fields.family, std::string(host), fields.host)) throw NoAddress();
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), fields.port);
  if (error != std::errc{}) throw OverflowError("port must be 0-65535, not " + std::string(port));
  return detail::address::inet_address(fields);
}

bool is_path(std::string_view text) {
  return text.starts_with("/") || text.starts_with("./") || text.starts_with("../");
}

Address parse_any(std::string_view text) {
  if (is_path(text)) return UnixAddress(text);
  if (text.starts_with("@")) return UnixAddress('\0' + std::string(text.substr(1)));
  for (const auto& kind : kKinds)
    if (text.starts_with(kind.prefix)) return kind.parse(text.substr(kind.prefix.size()));
  return parse_inet(text);
}

// --- writing ---

std::string hex(BytesView bytes) {
  std::string text;
  for (const char c : bytes) {
    constexpr char kDigits[] = "0123456789abcdef";
    const auto byte = static_cast<unsigned char>(c);
    (text += kDigits[byte >> 4]) += kDigits[byte & 15];
  }
  return text;
}

std::string piece(std::string_view text) { return std::string(text); }
std::string piece(std::uint64_t number) { return std::to_string(number); }

template <class... Rest>
std::string joined(std::string text, const Rest&... rest) {
  ((text += ":" + piece(rest)), ...);
  return text;
}

// Return the text of the fields; empty if no such text can express them.

std::string text_of(const CanAddress& a) { return joined("can", a.interface); }
std::string text_of(const IsotpAddress& a) {
  return joined("isotp", a.interface, a.rx_id, a.tx_id);
}
std::string text_of(const J1939Address& a) {
  return joined("j1939", a.interface, a.name, a.pgn, a.addr);
}
std::string text_of(const PacketAddress& a) {
  const std::string text = joined("packet", a.interface, a.proto);
  if (!a.addr.empty()) return joined(text, a.pkttype, a.hatype, hex(a.addr));
  return a.pkttype == 0 && a.hatype == 0 ? text : joined(text, a.pkttype, a.hatype);
}
std::string text_of(const NetlinkAddress& a) { return joined("netlink", a.pid, a.groups); }
std::string text_of(const VsockAddress& a) { return joined("vsock", a.cid, a.port); }
std::string text_of(const TipcAddress& a) {
  return joined("tipc", a.addr_type, a.v1, a.v2, a.v3, a.scope);
}
std::string text_of(const AlgAddress& a) {
  if ((a.type + a.name).find(':') != std::string::npos) return {};
  const std::string text = joined("alg", a.type, a.name);
  return a.feat == 0 && a.mask == 0 ? text : joined(text, a.feat, a.mask);
}
std::string text_of(const QrtrAddress& a) { return joined("qrtr", a.node, a.port); }
std::string text_of(const L2capAddress& a) {
  const std::string text = joined("l2cap", a.bdaddr, a.psm);
  return a.cid == 0 && a.bdaddr_type == 0 ? text : joined(text, a.cid, a.bdaddr_type);
}
std::string text_of(const RfcommAddress& a) { return joined("rfcomm", a.bdaddr, a.channel); }
std::string text_of(const HciAddress& a) {
  return a.channel == 0 ? joined("hci", a.dev) : joined("hci", a.dev, a.channel);
}
std::string text_of(const ScoAddress& a) { return joined("sco", a.bdaddr); }

std::string inet_text(const InetFields& fields) {
  if (fields.flowinfo != 0) return {};
  std::string host = detail::layout::format_host(fields.family, fields.host);
  if (fields.scope_id != 0) host += "%" + std::to_string(fields.scope_id);
  if (fields.family == static_cast<int>(AF::INET6)) host = "[" + host + "]";
  return joined(host, fields.port);
}

std::string unix_text(const std::string& path) {
  const bool abstract = !path.empty() && path.front() == '\0';
  // The kernel allows paths without room for the NUL. plug, like Python, does not make them.
  if (path.size() + (abstract ? 0 : 1) > detail::layout::kUnixPathCapacity) return {};
  if (abstract) return "@" + path.substr(1);
  return is_path(path) ? path : "unix:" + path;
}

}  // namespace

Address Address::parse(std::string_view text) {
  try {
    return parse_any(text);
  } catch (const NoAddress&) {
    throw ValueError("not an address (127.0.0.1:80, [::1]:80, /path, @name, can:can0 ...): " +
                     detail::address::str_repr(text));
  }
}

std::string Address::text() const {
  if (!*this) return {};
  InetFields fields;
  std::string text;
  if (detail::layout::read_inet(bytes(), fields)) {
    text = inet_text(fields);
  } else if (family() == AF::UNIX) {
    text = unix_text(path());
  } else {
    detail::address::visit(*this, [&](const auto& typed) {
      // An interface that is gone must not be read back as every interface.
      if constexpr (requires { typed.interface; })
        if (typed.interface.empty() && detail::address::interface_of(*this) != 0) return;
      text = text_of(typed);
    });
  }
  if (!text.empty()) return text;
  return joined("raw", static_cast<std::uint64_t>(family()),
                hex(bytes().subspan(sizeof(std::uint16_t))));
}

}  // namespace plug
