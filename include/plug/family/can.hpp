#pragma once

// Values for sockets of AF::CAN: frames, filters, messages of the broadcast manager, and the
// options of ISO-TP and J1939. Each converts to the kernel's format.
//
//   Socket bus(AF::CAN, SOCK::RAW, CAN::RAW);
//   bus.setsockopt(SOL::CAN_RAW_, CAN::RAW_FILTER, can_filters({{0x123, 0x7ff}}));
//   bus.bind(CanAddress{"can0"});
//   bus.sendall(CanFrame{.id = 0x123, .data = "\xde\xad"}.to_bytes());
//   std::cout << to_string(CanFrame::from_bytes(bus.recv(kLargestCanFrame)));    // 123#DEAD
//
// The addresses are in family/addresses.hpp, the constants in family/constants.hpp. The kernel's
// formats use host byte order.
//
// Source: https://docs.kernel.org/networking/can.html; <linux/can/*.h> for ISO-TP and J1939.

#include <plug/bytes.hpp>
#include <plug/family/constants.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#pragma GCC visibility push(default)

namespace plug {

/// The size of the largest frame in the kernel's format, in bytes, for receiving (CANFD::MTU).
inline constexpr std::ptrdiff_t kLargestCanFrame = 72;

/// A frame: classic with up to 8 bytes, or CAN FD with 0-8, 12, 16, 20, 24, 32, 48 or 64. A socket
/// sends and receives FD frames once CAN::RAW_FD_FRAMES is set.
struct CanFrame {
  std::uint32_t id = 0;  ///< with CAN::EFF_FLAG (29 bits), CAN::RTR_FLAG, CAN::ERR_FLAG
  Bytes data{};
  bool fd = false;
  std::uint8_t flags = 0;        ///< FD frames only: CANFD::BRS, CANFD::ESI; newer kernels add FDF
  std::uint8_t remote_size = 0;  ///< remote requests only, which have no data: the requested size

  /// Returns the kernel's format: 16 bytes, or 72 for an FD frame. Throws ValueError, naming the
  /// value, if the identifier is above 0x7ff without CAN::EFF_FLAG or CAN::ERR_FLAG, if no frame
  /// has this size, or if a remote request is an FD frame, has data or asks for more than 8 bytes.
  Bytes to_bytes() const;
  /// Throws ValueError if `raw` has neither size, or if its length field is too large.
  static CanFrame from_bytes(BytesView raw);

  /// Parses the text format of can-utils: "123#DEADBEEF", "12345678#00.11" (29 bits; dots are
  /// ignored), "123#R" and "123#R4" (remote requests), "123##1DEADBEEF" (FD, with one digit of
  /// flags). Throws ValueError, naming the text, if it is not a frame.
  static CanFrame parse(std::string_view text);

  friend bool operator==(const CanFrame&, const CanFrame&) = default;
};

/// Returns the text that CanFrame::parse() reads.
std::string to_string(const CanFrame& frame);

/// Matches frames whose identifier equals `id` in the bits of `mask`. With CAN::INV_FILTER in `id`,
/// matches all others.
struct CanFilter {
  std::uint32_t id = 0;
  std::uint32_t mask = 0;
};

/// Returns the value of CAN::RAW_FILTER. A socket receives the frames that any filter matches, and
/// none if there are no filters. Throws ValueError for more than 512 (CAN::RAW_FILTER_MAX).
Bytes can_filters(const detail::ListOf<CanFilter>& filters);

/// A message to or from the broadcast manager (CAN::BCM), which sends frames periodically and
/// reports changes of received ones.
struct BcmMessage {
  CAN opcode{};             ///< CAN::BCM_TX_SETUP ...
  std::uint32_t flags = 0;  ///< CAN::BCM_SETTIMER ..., or-ed as numbers
  std::uint32_t count = 0;  ///< frames to send every `interval1`; `interval2` applies after them
  std::chrono::microseconds interval1{0};
  std::chrono::microseconds interval2{0};
  std::uint32_t can_id = 0;
  std::vector<CanFrame> frames{};  ///< FD frames if `flags` has CAN::BCM_CAN_FD_FRAME

  /// Throws ValueError for more than 256 frames, a negative interval, a frame that is not of the
  /// kind that `flags` says, or a frame for which CanFrame::to_bytes() throws.
  Bytes to_bytes() const;
  /// Throws ValueError if `raw` is not such a message.
  static BcmMessage from_bytes(BytesView raw);
};

/// The value of CAN::ISOTP_OPTS. Set it before bind().
struct IsotpOptions {
  std::uint32_t flags = 0;         ///< CAN::ISOTP_LISTEN_MODE ..., or-ed as numbers
  std::uint32_t frame_txtime = 0;  ///< ns between frames; 0: as the receiver requests
  std::uint8_t ext_address = 0;
  std::uint8_t txpad_content = 0xcc;
  std::uint8_t rxpad_content = 0xcc;
  std::uint8_t rx_ext_address = 0;

  Bytes to_bytes() const;
  /// Throws ValueError unless `raw` has 12 bytes.
  static IsotpOptions from_bytes(BytesView raw);
};

/// The value of CAN::ISOTP_RECV_FC: requests of the receiver to the sender.
struct IsotpFlowControl {
  std::uint8_t block_size = 0;  ///< frames between two answers of the receiver; 0: all
  std::uint8_t stmin = 0;       ///< minimum gap between frames: 0-0x7f ms, 0xf1-0xf9: 100-900 us
  std::uint8_t wftmax = 0;      ///< how many times the receiver may ask the sender to wait

  Bytes to_bytes() const;
  /// Throws ValueError unless `raw` has 3 bytes.
  static IsotpFlowControl from_bytes(BytesView raw);
};

/// The value of CAN::ISOTP_LL_OPTS: the frames that carry the messages.
struct IsotpLinkLayer {
  std::uint8_t mtu = 16;      ///< CAN::MTU or CANFD::MTU
  std::uint8_t tx_dl = 8;     ///< data bytes in a frame: 8, 12, 16, 20, 24, 32, 48, 64
  std::uint8_t tx_flags = 0;  ///< flags of FD frames

  Bytes to_bytes() const;
  /// Throws ValueError unless `raw` has 3 bytes.
  static IsotpLinkLayer from_bytes(BytesView raw);
};

/// Matches J1939 messages whose fields equal these values in the bits of the masks.
struct J1939Filter {
  std::uint64_t name = 0;
  std::uint64_t name_mask = 0;
  std::uint32_t pgn = 0;
  std::uint32_t pgn_mask = 0;
  std::uint8_t addr = 0;
  std::uint8_t addr_mask = 0;
};

/// Returns the value of SO::J1939_FILTER, level SOL::CAN_J1939_. Throws ValueError for more than
/// 512 (J1939::FILTER_MAX).
Bytes j1939_filters(const detail::ListOf<J1939Filter>& filters);

}  // namespace plug

#pragma GCC visibility pop
