#include <plug/ancillary.hpp>
#include <plug/error.hpp>

#include <cstring>

#include "address/access.hpp"
#include "layout/sockaddr.hpp"
#include "socket/calls.hpp"
#include "socket/control_messages.hpp"
#include "sys/control.hpp"

namespace plug {

namespace {

using detail::base::error_from;
using detail::socket::close_descriptors;
using detail::socket::each_descriptor;
using detail::socket::is_rights;
using detail::socket::item_of;
namespace sys = detail::sys;
namespace layout = detail::layout;

}  // namespace

void detail::throw_control_length(const char* call, std::int64_t length) {
  throw OverflowError(std::string(call) + " argument out of range: " + std::to_string(length));
}

// --- OwnedFd ---

OwnedFd::~OwnedFd() {
  if (fileno_ >= 0) sys::close(fileno_);
}

void OwnedFd::close() {
  const int number = fileno_;
  detail::base::throwing([&](std::error_code& error) { close(error); },
                         [&] { return "close of fileno " + std::to_string(number); });
}

void OwnedFd::close(std::error_code& error) {
  error.clear();
  if (fileno_ >= 0) error = error_from(sys::close(detach()));
}

// --- ControlMessage ---

namespace {

std::string about(const ControlMessage& item) {
  return "control message of level " + std::to_string(item.level) + ", type " +
         std::to_string(item.type) + ", " + std::to_string(item.data.size()) + " bytes";
}

[[noreturn]] void throw_no(const char* what, const ControlMessage& item) {
  throw ValueError(about(item) + ": no " + what);
}

/// Reads the data of an item that is exactly a T. Returns false for any other item.
template <class T>
bool holds(const ControlMessage& item, OptionLevel level, ControlType type, T& value) noexcept {
  if (!item.is(level, type) || item.data.size() != sizeof value) return false;
  std::memcpy(&value, item.data.data(), sizeof value);
  return true;
}

Address host_address(AF family, const unsigned char* host) {
  layout::InetFields fields;
  fields.family = static_cast<int>(family);
  std::memcpy(fields.host, host, family == AF::INET ? 4 : 16);
  return detail::address::inet_address(fields);
}

/// Converts `time`, in seconds and parts of seconds, to a time point. Returns nothing if no clock
/// can represent it.
std::optional<Timestamp> moment(const sys::TimePair& time, std::int64_t nanoseconds_of_part) {
  constexpr std::int64_t kSecond = 1'000'000'000;
  std::int64_t since = 0;
  if (time.fraction < 0 || time.fraction >= kSecond / nanoseconds_of_part) return std::nullopt;
  const std::int64_t nanoseconds = time.fraction * nanoseconds_of_part;
  // Rounds the seconds towards zero first, so that the least time point fits.
  const bool before = time.seconds < 0 && nanoseconds > 0;
  if (__builtin_mul_overflow(before ? time.seconds + 1 : time.seconds, kSecond, &since) ||
      __builtin_add_overflow(since, before ? nanoseconds - kSecond : nanoseconds, &since))
    return std::nullopt;
  return Timestamp(std::chrono::nanoseconds(since));
}

}  // namespace

ControlMessage ControlMessage::rights(const detail::ListOf<int>& filenos) {
  return {SOL::SOCKET, SCM::RIGHTS, BytesView(filenos.data(), filenos.size() * sizeof(int))};
}

std::vector<int> ControlMessage::rights() const {
  if (!is_rights(level, type)) throw_no("descriptors", *this);
  std::vector<int> numbers;
  each_descriptor(data.data(), data.size(), [&](int number) { numbers.push_back(number); });
  return numbers;
}

ControlMessage ControlMessage::credentials(const Credentials& sender) {
  return item_of(SOL::SOCKET, SCM::CREDENTIALS,
                 sys::UserCredentials{sender.pid, sender.uid, sender.gid});
}

Credentials ControlMessage::credentials() const {
  sys::UserCredentials value{};
  if (!holds(*this, SOL::SOCKET, SCM::CREDENTIALS, value)) throw_no("credentials", *this);
  return {value.pid, value.uid, value.gid};
}

ControlMessage ControlMessage::packet_info(const PacketInfo& info) {
  layout::InetFields local;
  if (!layout::read_inet(info.local.bytes(), local))
    throw ValueError("packet information needs an IPv4 or IPv6 address: " + to_string(info.local));
  if (info.local.family() == AF::INET) {
    sys::PacketInfo4 value{};
    value.interface_index = info.interface_index;
    std::memcpy(value.local, local.host, sizeof value.local);
    return item_of(IPPROTO::IP_, IP_::PKTINFO, value);
  }
  sys::PacketInfo6 value{};
  value.interface_index = info.interface_index;
  std::memcpy(value.local, local.host, sizeof value.local);
  return item_of(IPPROTO::IPV6, IPV6::PKTINFO, value);
}

PacketInfo ControlMessage::packet_info() const {
  if (sys::PacketInfo4 value{}; holds(*this, IPPROTO::IP_, IP_::PKTINFO, value))
    return {value.interface_index, host_address(AF::INET, value.local),
            host_address(AF::INET, value.destination)};
  sys::PacketInfo6 value{};
  if (!holds(*this, IPPROTO::IPV6, IPV6::PKTINFO, value)) throw_no("packet information", *this);
  const Address local = host_address(AF::INET6, value.local);
  return {value.interface_index, local, local};
}

ControlMessage ControlMessage::ttl(int hops) { return item_of(IPPROTO::IP_, IP_::TTL, hops); }

ControlMessage ControlMessage::hop_limit(int hops) {
  return item_of(IPPROTO::IPV6, IPV6::HOPLIMIT, hops);
}

int ControlMessage::ttl() const {
  int hops = 0;
  if (!holds(*this, IPPROTO::IP_, IP_::TTL, hops) &&
      !holds(*this, IPPROTO::IPV6, IPV6::HOPLIMIT, hops))
    throw_no("TTL", *this);
  return hops;
}

ControlMessage ControlMessage::tos(int value) { return item_of(IPPROTO::IP_, IP_::TOS, value); }

ControlMessage ControlMessage::traffic_class(int value) {
  return item_of(IPPROTO::IPV6, IPV6::TCLASS, value);
}

int ControlMessage::tos() const {
  // The kernel takes an int for IP_TOS and returns a byte.
  if (unsigned char byte = 0; holds(*this, IPPROTO::IP_, IP_::TOS, byte)) return byte;
  int value = 0;
  if (!holds(*this, IPPROTO::IP_, IP_::TOS, value) &&
      !holds(*this, IPPROTO::IPV6, IPV6::TCLASS, value))
    throw_no("TOS", *this);
  return value;
}

Timestamp ControlMessage::timestamp() const {
  sys::TimePair time{};
  std::optional<Timestamp> when;
  if (holds(*this, SOL::SOCKET, SCM::TIMESTAMP, time))
    when = moment(time, 1000);
  else if (holds(*this, SOL::SOCKET, SCM::TIMESTAMPNS, time))
    when = moment(time, 1);
  if (!when) throw_no("timestamp", *this);
  return *when;
}

Timestamps ControlMessage::timestamps() const {
  struct {
    sys::TimePair software, unused, hardware;
  } times{};
  if (!holds(*this, SOL::SOCKET, SCM::TIMESTAMPING, times)) throw_no("timestamps", *this);
  const auto given = [this](const sys::TimePair& time) -> std::optional<Timestamp> {
    if (time.seconds == 0 && time.fraction == 0) return std::nullopt;
    const std::optional<Timestamp> when = moment(time, 1);
    if (!when) throw_no("timestamps", *this);
    return when;
  };
  return {given(times.software), given(times.hardware)};
}

std::string to_string(const ControlMessage& item) {
  return "(" + std::to_string(item.level) + ", " + std::to_string(item.type) + ", " +
         detail::address::bytes_repr(item.data) + ")";
}

// --- AncillaryData ---

AncillaryData::AncillaryData(AncillaryData&& other) noexcept
    : items_(std::move(other.items_)), owns_(std::exchange(other.owns_, false)) {
  other.items_.clear();
}

AncillaryData& AncillaryData::operator=(AncillaryData&& other) noexcept {
  const AncillaryData old(std::move(*this));
  items_ = std::move(other.items_);
  owns_ = std::exchange(other.owns_, false);
  other.items_.clear();
  return *this;
}

AncillaryData::~AncillaryData() {
  if (!owns_) return;
  for (const ControlMessage& item : items_)
    if (is_rights(item.level, item.type)) close_descriptors(item.data.data(), item.data.size());
}

const ControlMessage* AncillaryData::find(OptionLevel level, ControlType type) const noexcept {
  for (const ControlMessage& item : items_)
    if (item.is(level, type)) return &item;
  return nullptr;
}

std::vector<OwnedFd> AncillaryData::take_fds() {
  std::vector<OwnedFd> fds;
  if (!owns_) return fds;
  std::size_t bytes = 0;
  for (const ControlMessage& item : items_)
    if (is_rights(item.level, item.type)) bytes += item.data.size();
  fds.reserve(bytes / sizeof(int));
  owns_ = false;
  for (const ControlMessage& item : items_)
    if (is_rights(item.level, item.type))
      each_descriptor(item.data.data(), item.data.size(),
                      [&](int number) { fds.emplace_back(number); });
  return fds;
}

std::vector<ControlMessage> AncillaryData::release() noexcept {
  owns_ = false;
  return std::exchange(items_, {});
}

}  // namespace plug
