#pragma once

// The kernel's structures for the options and messages of single families, without its headers.
// structs_check.cpp compares the two. Padding has a name, so that all bytes are defined.

#include <plug/bytes.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

namespace plug::detail::layout {

template <class Layout>
Bytes bytes_of(const Layout& layout) {
  static_assert(std::has_unique_object_representations_v<Layout>);
  return Bytes(reinterpret_cast<const char*>(&layout), sizeof layout);
}

/// Copies the first bytes of `raw`, which must have as many as the form.
template <class Layout>
Layout layout_in(BytesView raw) noexcept {
  static_assert(std::is_trivially_copyable_v<Layout>);
  Layout layout;
  std::memcpy(&layout, raw.data(), sizeof layout);
  return layout;
}

// --- CAN ---

struct CanFrameLayout {
  std::uint32_t id;
  std::uint8_t length;
  std::uint8_t flags;
  std::uint8_t reserved[2];
  std::uint8_t data[64];  // 8 in a classic frame
};
inline constexpr std::size_t kCanHeader = offsetof(CanFrameLayout, data);
inline constexpr std::size_t kCanSize = kCanHeader + 8;
inline constexpr std::size_t kCanFdSize = sizeof(CanFrameLayout);

struct CanFilterLayout {
  std::uint32_t id;
  std::uint32_t mask;
};

struct BcmTime {
  long seconds;
  long microseconds;
};
struct BcmLayout {
  std::uint32_t opcode;
  std::uint32_t flags;
  std::uint32_t count;
#if __SIZEOF_LONG__ == 8
  std::uint32_t reserved;
#endif
  BcmTime interval1;
  BcmTime interval2;
  std::uint32_t can_id;
  std::uint32_t frames;
#if __SIZEOF_LONG__ == 4
  std::uint32_t reserved;
#endif
};

struct IsotpLayout {
  std::uint32_t flags;
  std::uint32_t frame_txtime;
  std::uint8_t ext_address;
  std::uint8_t txpad_content;
  std::uint8_t rxpad_content;
  std::uint8_t rx_ext_address;
};
struct IsotpFlowLayout {
  std::uint8_t block_size;
  std::uint8_t stmin;
  std::uint8_t wftmax;
};
struct IsotpLinkLayout {
  std::uint8_t mtu;
  std::uint8_t tx_dl;
  std::uint8_t tx_flags;
};

struct J1939FilterLayout {
  std::uint64_t name;
  std::uint64_t name_mask;
  std::uint32_t pgn;
  std::uint32_t pgn_mask;
  std::uint8_t addr;
  std::uint8_t addr_mask;
  std::uint8_t reserved[6];
};

// --- TIPC ---

struct TipcSubscriptionLayout {
  std::uint32_t type;
  std::uint32_t lower;
  std::uint32_t upper;
  std::uint32_t timeout;
  std::uint32_t filter;
  char handle[8];
};
struct TipcEventLayout {
  std::uint32_t event;
  std::uint32_t found_lower;
  std::uint32_t found_upper;
  std::uint32_t reference;
  std::uint32_t node;
  TipcSubscriptionLayout subscription;
};
struct TipcGroupLayout {
  std::uint32_t type;
  std::uint32_t instance;
  std::uint32_t scope;
  std::uint32_t flags;
};

// --- SCTP ---

struct SctpInitLayout {
  std::uint16_t out_streams;
  std::uint16_t in_streams;
  std::uint16_t attempts;
  std::uint16_t timeout;
};
struct SctpSendLayout {
  std::uint16_t stream;
  std::uint16_t flags;
  std::uint32_t ppid;
  std::uint32_t context;
  std::int32_t association;
};
struct SctpReceiveLayout {
  std::uint16_t stream;
  std::uint16_t sequence;
  std::uint16_t flags;
  std::uint16_t reserved;
  std::uint32_t ppid;
  std::uint32_t tsn;
  std::uint32_t cumulative_tsn;
  std::uint32_t context;
  std::int32_t association;
};
struct SctpEventLayout {
  std::int32_t association;
  std::uint16_t type;
  std::uint8_t on;
  std::uint8_t reserved;
};
struct SctpChangeLayout {
  std::uint16_t type;
  std::uint16_t flags;
  std::uint32_t length;
  std::uint16_t state;
  std::uint16_t error;
  std::uint16_t out_streams;
  std::uint16_t in_streams;
  std::int32_t association;
};
struct SctpPeelLayout {
  std::int32_t association;
  int fileno;
  std::uint32_t flags;
};

// --- netlink ---

struct NetlinkHeaderLayout {
  std::uint32_t length;
  std::uint16_t type;
  std::uint16_t flags;
  std::uint32_t sequence;
  std::uint32_t pid;
};
struct NetlinkAttributeLayout {
  std::uint16_t length;
  std::uint16_t type;
};

// --- packet ---

struct PacketMembershipLayout {
  std::int32_t interface_index;
  std::uint16_t type;
  std::uint16_t length;
  std::uint8_t address[8];
};

// --- multicast ---

struct GroupLayout {
  std::uint32_t interface_index;
#if __SIZEOF_LONG__ == 8
  std::uint32_t reserved;
#endif
  char group[128];
};
struct SourceLayout {
  GroupLayout group;
  char source[128];
};
struct InterfaceLayout {
  std::uint32_t group;
  std::uint32_t address;
  std::int32_t interface_index;
};

}  // namespace plug::detail::layout
