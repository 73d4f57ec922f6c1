#include <plug/error.hpp>
#include <plug/family/netlink.hpp>

#include <algorithm>
#include <cstring>
#include <limits>

#include "address/access.hpp"
#include "layout/structs.hpp"

namespace plug {

namespace {

namespace sys = detail::sys;

constexpr std::size_t padded(std::size_t size) noexcept { return (size + 3) & ~std::size_t{3}; }

void pad(Bytes& raw) { raw.resize(padded(raw.size()), '\0'); }

[[noreturn]] void refuse(BytesView raw) {
  throw ValueError("no netlink messages: " + detail::bytes_repr(raw));
}

/// Calls found(form, payload) for each item. Items begin with their length.
template <class Form, class Found>
void each_item(BytesView raw, Found found) {
  for (BytesView rest = raw; !rest.empty();) {
    if (rest.size() < sizeof(Form)) refuse(raw);
    const auto form = sys::form_in<Form>(rest);
    if (form.length < sizeof form || form.length > rest.size()) refuse(raw);
    found(form, Bytes(rest.data() + sizeof form, form.length - sizeof form));
    rest = rest.subspan(std::min(padded(form.length), rest.size()));
  }
}

}  // namespace

Bytes NetlinkMessage::to_bytes() const {
  const std::size_t size = sizeof(sys::NetlinkForm) + payload.size();
  if (size > std::numeric_limits<std::uint32_t>::max())
    throw ValueError("a netlink message of " + std::to_string(size) + " bytes");
  Bytes raw = sys::bytes_of(sys::NetlinkForm{static_cast<std::uint32_t>(size), type,
                                             static_cast<std::uint16_t>(flags), sequence, pid});
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
  each_item<sys::NetlinkForm>(raw, [&](const sys::NetlinkForm& form, Bytes payload) {
    messages.push_back({form.type, NLM{form.flags}, form.sequence, form.pid, std::move(payload)});
  });
  return messages;
}

Bytes NetlinkAttribute::to_bytes() const {
  const std::size_t size = sizeof(sys::NetlinkAttributeForm) + payload.size();
  if (size > std::numeric_limits<std::uint16_t>::max())
    throw ValueError("a netlink attribute of " + std::to_string(payload.size()) + " bytes");
  Bytes raw = sys::bytes_of(sys::NetlinkAttributeForm{static_cast<std::uint16_t>(size), type});
  raw += payload;
  pad(raw);
  return raw;
}

std::vector<NetlinkAttribute> netlink_attributes(BytesView raw) {
  constexpr std::uint16_t kTypeMask = 0x3fff;  // NLA_TYPE_MASK
  std::vector<NetlinkAttribute> attributes;
  each_item<sys::NetlinkAttributeForm>(raw, [&](const sys::NetlinkAttributeForm& form,
                                                Bytes payload) {
    attributes.push_back({static_cast<std::uint16_t>(form.type & kTypeMask), std::move(payload)});
  });
  return attributes;
}

}  // namespace plug
