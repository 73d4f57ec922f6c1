#include <plug/error.hpp>
#include <plug/family/netlink.hpp>

#include <algorithm>
#include <cstring>
#include <limits>

#include "address/access.hpp"
#include "layout/structs.hpp"

namespace plug {

namespace {

namespace layout = detail::layout;

constexpr std::size_t padded(std::size_t size) noexcept { return (size + 3) & ~std::size_t{3}; }

void pad(Bytes& raw) { raw.resize(padded(raw.size()), '\0'); }

[[noreturn]] void refuse(BytesView raw) {
  throw ValueError("no netlink messages: " + detail::address::bytes_repr(raw));
}

/// Calls found(layout, payload) for each item. Items begin with their length.
template <class Layout, class Found>
void each_item(BytesView raw, Found found) {
  for (BytesView rest = raw; !rest.empty();) {
    if (rest.size() < sizeof(Layout)) refuse(raw);
    const auto layout = layout::layout_in<Layout>(rest);
    if (layout.length < sizeof layout || layout.length > rest.size()) refuse(raw);
    found(layout, Bytes(rest.data() + sizeof layout, layout.length - sizeof layout));
    rest = rest.subspan(std::min(padded(layout.length), rest.size()));
  }
}

}  // namespace

Bytes NetlinkMessage::to_bytes() const {
  const std::size_t size = sizeof(layout::NetlinkHeaderLayout) + payload.size();
  if (size > std::numeric_limits<std::uint32_t>::max())
    throw ValueError("a netlink message of " + std::to_string(size) + " bytes");
  Bytes raw = layout::bytes_of(layout::NetlinkHeaderLayout{
      static_cast<std::uint32_t>(size), type, static_cast<std::uint16_t>(flags), sequence, pid});
  raw += payload;
  pad(raw);
  return raw;
}

int NetlinkMessage::error_number() const {
  std::int32_t number = 0;
  if (!is(NLMSG::ERROR_) || payload.size() < sizeof number)
    throw ValueError("no NLMSG_ERROR: type " + std::to_string(type) + ", " +
                     std::to_string(payload.size()) + " bytes");
  std::memcpy(&number, payload.data(), sizeof number);
  if (number == std::numeric_limits<std::int32_t>::min())
    throw ValueError("no error of the system: " + std::to_string(number));
  return -number;
}

std::vector<NetlinkMessage> netlink_messages(BytesView raw) {
  std::vector<NetlinkMessage> messages;
  each_item<layout::NetlinkHeaderLayout>(
      raw, [&](const layout::NetlinkHeaderLayout& layout, Bytes payload) {
        messages.push_back(
            {layout.type, NLM{layout.flags}, layout.sequence, layout.pid, std::move(payload)});
      });
  return messages;
}

Bytes NetlinkAttribute::to_bytes() const {
  const std::size_t size = sizeof(layout::NetlinkAttributeLayout) + payload.size();
  if (size > std::numeric_limits<std::uint16_t>::max())
    throw ValueError("a netlink attribute of " + std::to_string(payload.size()) + " bytes");
  Bytes raw =
      layout::bytes_of(layout::NetlinkAttributeLayout{static_cast<std::uint16_t>(size), type});
  raw += payload;
  pad(raw);
  return raw;
}

std::vector<NetlinkAttribute> netlink_attributes(BytesView raw) {
  constexpr std::uint16_t kTypeMask = 0x3fff;  // NLA_TYPE_MASK
  std::vector<NetlinkAttribute> attributes;
  each_item<layout::NetlinkAttributeLayout>(raw, [&](const layout::NetlinkAttributeLayout& layout,
                                                     Bytes payload) {
    attributes.push_back({static_cast<std::uint16_t>(layout.type & kTypeMask), std::move(payload)});
  });
  return attributes;
}

}  // namespace plug
