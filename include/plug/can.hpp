#pragma once

// What travels over sockets of AF::CAN: frames, filters, the broadcast manager's messages, and the
// options of ISO-TP and J1939, each a value with the kernel's form beside it.
//
//   Socket bus(AF::CAN, SOCK::RAW, CAN::RAW);
//   bus.setsockopt(SOL::CAN_RAW_, CAN::RAW_FILTER, can_filters({{0x123, 0x7ff}}));
//   bus.bind(CanAddress{"can0"});
//   bus.send(CanFrame{.id = 0x123, .data = "\xde\xad"}.to_bytes());
//   std::cout << to_string(CanFrame::from_bytes(bus.recv(kLargestCanFrame)));    // 123#DEAD
//
// The addresses are in families.hpp, the constants in family_constants.hpp. These are values; the
// kernel's forms have the byte order of the host.
//
// https://docs.kernel.org/networking/can.html; what belongs to ISO-TP and J1939 in <linux/can/*.h>

#include <plug/bytes.hpp>
#include <plug/family_constants.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#pragma GCC visibility push(default)

namespace plug {

/// The bytes of the largest frame in the kernel's form, to receive into (CANFD::MTU).
inline constexpr std::ptrdiff_t kLargestCanFrame = 72;

/// A frame: classic with up to 8 bytes, or CAN FD with 0-8, 12, 16, 20, 24, 32, 48 or 64. A socket
/// takes and gives FD frames once CAN::RAW_FD_FRAMES is set.
struct CanFrame {
  std::uint32_t id = 0;  ///< with CAN::EFF_FLAG (29 bits), CAN::RTR_FLAG, CAN::ERR_FLAG
  Bytes data{};
  bool fd = false;
  std::uint8_t flags = 0;        ///< of an FD frame: CANFD::BRS, CANFD::ESI; newer kernels add FDF
  std::uint8_t remote_size = 0;  ///< of a remote request, which has no data: the size it asks for

  /// The kernel's form: 16 bytes, or 72 of an FD frame. Throws ValueError naming an identifier
  /// beyond 0x7ff, or with CAN::EFF_FLAG beyond 0x1fffffff, and a size that no frame has; an FD
  /// frame is no remote request.
  Bytes to_bytes() const;
  /// Throws ValueError for bytes that are neither size, or whose length field is too large.
  static CanFrame from_bytes(BytesView raw);

  /// The text of can-utils: "123#DEADBEEF", "12345678#00.11" (29 bits; dots are for the eye),
  /// "123#R" and "123#R4" (remote requests), "123##1DEADBEEF" (FD, with a digit of flags). Throws
  /// ValueError naming the text that is no frame.
  static CanFrame parse(std::string_view text);

  friend bool operator==(const CanFrame&, const CanFrame&) = default;
};

/// As CanFrame::parse() reads it.
std::string to_string(const CanFrame& frame);

/// Takes the frames whose identifier has the bits of `id` under `mask`; with CAN::INV_FILTER in
/// `id`, the others.
struct CanFilter {
  std::uint32_t id = 0;
  std::uint32_t mask = 0;
};

/// The value of CAN::RAW_FILTER: a frame is received when any filter takes it, and none is when
/// there is no filter. Throws ValueError above 512 (CAN::RAW_FILTER_MAX).
Bytes can_filters(const detail::ListOf<CanFilter>& filters);

/// A message to or from the broadcast manager (CAN::BCM), which sends frames in intervals and tells
/// when received ones change.
struct BcmMessage {
  CAN opcode{};             ///< CAN::BCM_TX_SETUP ...
  std::uint32_t flags = 0;  ///< CAN::BCM_SETTIMER ..., or-ed as numbers
  std::uint32_t count = 0;  ///< frames to send every `interval1`, before `interval2`
  std::chrono::microseconds interval1{0};
  std::chrono::microseconds interval2{0};
  std::uint32_t can_id = 0;
  std::vector<CanFrame> frames{};  ///< FD ones when `flags` have CAN::BCM_CAN_FD_FRAME

  /// Throws ValueError for more than 256 frames, an interval below zero, a frame that is not of the
  /// kind that `flags` say, or one that CanFrame::to_bytes() refuses.
  Bytes to_bytes() const;
  /// Throws ValueError for bytes that are no such message.
  static BcmMessage from_bytes(BytesView raw);
};

/// The value of CAN::ISOTP_OPTS, set before bind().
struct IsotpOptions {
  std::uint32_t flags = 0;         ///< CAN::ISOTP_LISTEN_MODE ..., or-ed as numbers
  std::uint32_t frame_txtime = 0;  ///< ns between frames; 0 is as the receiver asks
  std::uint8_t ext_address = 0;
  std::uint8_t txpad_content = 0xcc;
  std::uint8_t rxpad_content = 0xcc;
  std::uint8_t rx_ext_address = 0;

  Bytes to_bytes() const;
  /// Throws ValueError for another size than 12 bytes.
  static IsotpOptions from_bytes(BytesView raw);
};

/// The value of CAN::ISOTP_RECV_FC: what the receiver asks of the sender.
struct IsotpFlowControl {
  std::uint8_t block_size = 0;  ///< frames between two answers; 0 is all
  std::uint8_t stmin = 0;       ///< pause between frames: 0-0x7f ms, 0xf1-0xf9 100-900 us
  std::uint8_t wftmax = 0;      ///< how often the sender may be made to wait

  Bytes to_bytes() const;
  /// Throws ValueError for another size than 3 bytes.
  static IsotpFlowControl from_bytes(BytesView raw);
};

/// The value of CAN::ISOTP_LL_OPTS: the frames that carry the messages.
struct IsotpLinkLayer {
  std::uint8_t mtu = 16;      ///< CAN::MTU or CANFD::MTU
  std::uint8_t tx_dl = 8;     ///< bytes of data in a frame: 8, 12, 16, 20, 24, 32, 48, 64
  std::uint8_t tx_flags = 0;  ///< of FD frames

  Bytes to_bytes() const;
  /// Throws ValueError for another size than 3 bytes.
  static IsotpLinkLayer from_bytes(BytesView raw);
};

/// Takes the messages of J1939 whose fields have these bits under the masks.
struct J1939Filter {
  std::uint64_t name = 0;
  std::uint64_t name_mask = 0;
  std::uint32_t pgn = 0;
  std::uint32_t pgn_mask = 0;
  std::uint8_t addr = 0;
  std::uint8_t addr_mask = 0;
};

/// The value of SO::J1939_FILTER, level SOL::CAN_J1939_. Throws ValueError above 512
/// (J1939::FILTER_MAX).
Bytes j1939_filters(const detail::ListOf<J1939Filter>& filters);

}  // namespace plug

#pragma GCC visibility pop
