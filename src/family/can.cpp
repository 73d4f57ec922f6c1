#include <plug/error.hpp>
#include <plug/family/can.hpp>

#include <charconv>
#include <cstring>

#include "address/access.hpp"
#include "layout/structs.hpp"

namespace plug {

namespace {

using detail::address::bytes_repr;
using detail::layout::bytes_of;
using detail::layout::layout_in;
namespace layout = detail::layout;

constexpr auto kExtended = static_cast<std::uint32_t>(CAN::EFF_FLAG);
constexpr auto kRemote = static_cast<std::uint32_t>(CAN::RTR_FLAG);
constexpr auto kError = static_cast<std::uint32_t>(CAN::ERR_FLAG);
constexpr std::size_t kMostFrames = 256;  // MAX_NFRAMES of the kernel's net/can/bcm.c

std::string hex(std::uint32_t number, std::size_t digits = 0) {
  static constexpr char kDigits[] = "0123456789ABCDEF";
  std::string text;
  for (; number != 0 || text.size() < digits; number >>= 4)
    text.insert(text.begin(), kDigits[number & 15]);
  return text;
}

bool is_fd_size(std::size_t size) noexcept {
  return size <= 8 || (size <= 24 && size % 4 == 0) || size == 32 || size == 48 || size == 64;
}

void check(const CanFrame& frame) {
  const bool extended = (frame.id & kExtended) != 0;
  const std::uint32_t number = frame.id & ~(kExtended | kRemote | kError);
  // The bits of an error message describe the error.
  if (!extended && (frame.id & kError) == 0 && number > static_cast<std::uint32_t>(CAN::SFF_MASK))
    throw ValueError("a CAN identifier without EFF_FLAG is 0-0x7FF, not 0x" + hex(number));
  const bool remote = (frame.id & kRemote) != 0;
  if (frame.fd ? !is_fd_size(frame.data.size()) : frame.data.size() > 8)
    throw ValueError(std::string(frame.fd ? "a CAN FD frame has 0-8, 12, 16, 20, 24, 32, 48 or 64"
                                          : "a CAN frame has up to 8") +
                     " bytes, not " + std::to_string(frame.data.size()));
  if (remote && (frame.fd || !frame.data.empty() || frame.remote_size > 8))
    throw ValueError(frame.fd ? "a CAN FD frame is no remote request: " + to_string(frame)
                              : "a remote request has no data and asks for up to 8 bytes, not " +
                                    std::to_string(frame.remote_size) + ": " + to_string(frame));
}

template <class Layout>
Layout whole(BytesView raw, const char* what) {
  if (raw.size() != sizeof(Layout))
    throw ValueError(std::string(what) + " has " + std::to_string(sizeof(Layout)) + " bytes, not " +
                     std::to_string(raw.size()) + ": " + bytes_repr(raw));
  return layout_in<Layout>(raw);
}

template <class Layout, class Filter, class Convert>
Bytes packed(const detail::ListOf<Filter>& filters, std::size_t most, Convert convert) {
  if (filters.size() > most)
    throw ValueError("at most " + std::to_string(most) + " filters, not " +
                     std::to_string(filters.size()));
  Bytes all;
  for (const Filter& filter : filters) all += bytes_of<Layout>(convert(filter));
  return all;
}

// --- text ---

[[noreturn]] void refuse(std::string_view text) {
  throw ValueError("no CAN frame: " + detail::address::str_repr(text));
}

int digit(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

Bytes read_data(std::string_view digits, std::string_view text) {
  Bytes data;
  while (!digits.empty()) {
    if (digits.front() == '.') {
      digits.remove_prefix(1);
      continue;
    }
    const int high = digit(digits[0]);
    const int low = digits.size() > 1 ? digit(digits[1]) : -1;
    if (high < 0 || low < 0) refuse(text);
    data += static_cast<char>(high * 16 + low);
    digits.remove_prefix(2);
  }
  return data;
}

}  // namespace

// --- frames ---

Bytes CanFrame::to_bytes() const {
  check(*this);
  const bool remote = (id & kRemote) != 0;
  layout::CanFrameLayout layout{};
  layout.id = id;
  layout.length = remote ? remote_size : static_cast<std::uint8_t>(data.size());
  layout.flags = fd ? flags : std::uint8_t{0};
  std::memcpy(layout.data, data.data(), data.size());
  Bytes raw = bytes_of(layout);
  if (!fd) raw.resize(layout::kCanSize);
  return raw;
}

CanFrame CanFrame::from_bytes(BytesView raw) {
  if (raw.size() != layout::kCanSize && raw.size() != layout::kCanFdSize)
    throw ValueError("a CAN frame has 16 or 72 bytes, not " + std::to_string(raw.size()) + ": " +
                     bytes_repr(raw));
  layout::CanFrameLayout layout{};
  std::memcpy(&layout, raw.data(), raw.size());
  CanFrame frame{.id = layout.id, .fd = raw.size() == layout::kCanFdSize};
  if (layout.length > raw.size() - layout::kCanHeader)
    throw ValueError("a CAN frame of " + std::to_string(raw.size()) + " bytes cannot hold " +
                     std::to_string(layout.length) + ": " + bytes_repr(raw));
  if (frame.fd) frame.flags = layout.flags;
  if (!frame.fd && (frame.id & kRemote) != 0)
    frame.remote_size = layout.length;
  else
    frame.data = raw.subspan(layout::kCanHeader, layout.length);
  return frame;
}

CanFrame CanFrame::parse(std::string_view text) {
  const std::size_t mark = text.find('#');
  if (mark != 3 && mark != 8) refuse(text);
  CanFrame frame;
  for (const char c : text.substr(0, mark)) {
    if (digit(c) < 0) refuse(text);
    frame.id = frame.id << 4 | static_cast<std::uint32_t>(digit(c));
  }
  if (mark == 8 && (frame.id & kError) == 0) {
    if (frame.id > static_cast<std::uint32_t>(CAN::EFF_MASK)) refuse(text);
    frame.id |= kExtended;
  }
  std::string_view rest = text.substr(mark + 1);
  if (rest.starts_with('#')) {
    frame.fd = true;
    if (rest.size() < 2 || digit(rest[1]) < 0) refuse(text);
    frame.flags = static_cast<std::uint8_t>(digit(rest[1]));
    rest.remove_prefix(2);
  } else if (rest.starts_with('R') || rest.starts_with('r')) {
    frame.id |= kRemote;
    rest.remove_prefix(1);
    if (rest.size() > 1 || (rest.size() == 1 && (rest[0] < '0' || rest[0] > '8'))) refuse(text);
    if (!rest.empty()) frame.remote_size = static_cast<std::uint8_t>(digit(rest[0]));
    check(frame);
    return frame;
  }
  frame.data = read_data(rest, text);
  if (frame.fd ? !is_fd_size(frame.data.size()) : frame.data.size() > 8) refuse(text);
  check(frame);
  return frame;
}

std::string to_string(const CanFrame& frame) {
  const bool extended = (frame.id & kExtended) != 0;
  const bool error = (frame.id & kError) != 0;
  // In an error message all bits count, as parse() reads them.
  const std::uint32_t number =
      error ? frame.id : frame.id & static_cast<std::uint32_t>(CAN::EFF_MASK);
  std::string text = hex(number, extended || error ? 8 : 3) + "#";
  if (frame.fd) text += "#" + hex(frame.flags & 15, 1);
  if (!frame.fd && (frame.id & kRemote) != 0) {
    text += "R";
    return frame.remote_size == 0 ? text : text + std::to_string(frame.remote_size);
  }
  for (const char byte : frame.data) text += hex(static_cast<unsigned char>(byte), 2);
  return text;
}

Bytes can_filters(const detail::ListOf<CanFilter>& filters) {
  return packed<layout::CanFilterLayout>(filters, static_cast<std::size_t>(CAN::RAW_FILTER_MAX),
                                         [](const CanFilter& filter) {
                                           return layout::CanFilterLayout{filter.id, filter.mask};
                                         });
}

// --- the broadcast manager ---

namespace {

layout::BcmTime bcm_time(std::chrono::microseconds time) {
  if (time.count() < 0)
    throw ValueError("an interval below zero: " + std::to_string(time.count()) + " us");
  return {static_cast<long>(time.count() / 1'000'000), static_cast<long>(time.count() % 1'000'000)};
}

/// Returns a negative value if the time is not a valid interval.
std::chrono::microseconds time_of(const layout::BcmTime& time) {
  constexpr long kMost =
      std::chrono::duration_cast<std::chrono::seconds>(std::chrono::microseconds::max()).count() -
      1;
  constexpr long kSecond = 1'000'000;
  if (time.seconds < 0 || time.seconds > kMost || time.microseconds < 0 ||
      time.microseconds > kSecond)
    return std::chrono::microseconds(-1);
  return std::chrono::seconds(time.seconds) + std::chrono::microseconds(time.microseconds);
}

bool has_fd_frames(std::uint32_t flags) { return (flags & CAN::BCM_CAN_FD_FRAME) != 0; }

}  // namespace

Bytes BcmMessage::to_bytes() const {
  if (frames.size() > kMostFrames)
    throw ValueError("a message of CAN_BCM has up to 256 frames, not " +
                     std::to_string(frames.size()));
  layout::BcmLayout layout{};
  layout.opcode = static_cast<std::uint32_t>(opcode);
  layout.flags = flags;
  layout.count = count;
  layout.interval1 = bcm_time(interval1);
  layout.interval2 = bcm_time(interval2);
  layout.can_id = can_id;
  layout.frames = static_cast<std::uint32_t>(frames.size());
  Bytes raw = bytes_of(layout);
  for (const CanFrame& frame : frames) {
    if (frame.fd != has_fd_frames(flags))
      throw ValueError("a message of CAN_BCM " + std::string(frame.fd ? "without" : "with") +
                       " BCM_CAN_FD_FRAME cannot hold " + to_string(frame));
    raw += frame.to_bytes();
  }
  return raw;
}

BcmMessage BcmMessage::from_bytes(BytesView raw) {
  const auto refuse_bytes = [&raw] {
    throw ValueError("no message of CAN_BCM: " + bytes_repr(raw));
  };
  if (raw.size() < sizeof(layout::BcmLayout)) refuse_bytes();
  const auto layout = layout_in<layout::BcmLayout>(raw);
  BcmMessage message{.opcode = CAN{layout.opcode},
                     .flags = layout.flags,
                     .count = layout.count,
                     .interval1 = time_of(layout.interval1),
                     .interval2 = time_of(layout.interval2),
                     .can_id = layout.can_id};
  if (message.interval1.count() < 0 || message.interval2.count() < 0) refuse_bytes();
  const std::size_t size = has_fd_frames(layout.flags) ? layout::kCanFdSize : layout::kCanSize;
  BytesView rest = raw.subspan(sizeof layout);
  if (rest.size() % size != 0 || rest.size() / size != layout.frames) refuse_bytes();
  for (; !rest.empty(); rest = rest.subspan(size))
    message.frames.push_back(CanFrame::from_bytes(rest.first(size)));
  return message;
}

// --- options ---

Bytes IsotpOptions::to_bytes() const {
  return bytes_of(layout::IsotpLayout{flags, frame_txtime, ext_address, txpad_content,
                                      rxpad_content, rx_ext_address});
}
IsotpOptions IsotpOptions::from_bytes(BytesView raw) {
  const auto layout = whole<layout::IsotpLayout>(raw, "the value of CAN_ISOTP_OPTS");
  return {layout.flags,         layout.frame_txtime,  layout.ext_address,
          layout.txpad_content, layout.rxpad_content, layout.rx_ext_address};
}

Bytes IsotpFlowControl::to_bytes() const {
  return bytes_of(layout::IsotpFlowLayout{block_size, stmin, wftmax});
}
IsotpFlowControl IsotpFlowControl::from_bytes(BytesView raw) {
  const auto layout = whole<layout::IsotpFlowLayout>(raw, "the value of CAN_ISOTP_RECV_FC");
  return {layout.block_size, layout.stmin, layout.wftmax};
}

Bytes IsotpLinkLayer::to_bytes() const {
  return bytes_of(layout::IsotpLinkLayout{mtu, tx_dl, tx_flags});
}
IsotpLinkLayer IsotpLinkLayer::from_bytes(BytesView raw) {
  const auto layout = whole<layout::IsotpLinkLayout>(raw, "the value of CAN_ISOTP_LL_OPTS");
  return {layout.mtu, layout.tx_dl, layout.tx_flags};
}

Bytes j1939_filters(const detail::ListOf<J1939Filter>& filters) {
  return packed<layout::J1939FilterLayout>(
      filters, static_cast<std::size_t>(J1939::FILTER_MAX), [](const J1939Filter& filter) {
        return layout::J1939FilterLayout{filter.name, filter.name_mask, filter.pgn, filter.pgn_mask,
                                         filter.addr, filter.addr_mask, {}};
      });
}

}  // namespace plug
