#pragma once

// The kernel's structures for the options and messages of single families, without its headers.
// structs_check.cpp compares the two. Padding has a name, so that all bytes are defined.

#include <plug/bytes.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

namespace plug::detail::sys {

template <class Form>
Bytes bytes_of(const Form& form) {
  static_assert(std::has_unique_object_representations_v<Form>);
  return Bytes(reinterpret_cast<const char*>(&form), sizeof form);
}

/// Copies the first bytes of `raw`, which must have as many as the form.
template <class Form>
Form form_in(BytesView raw) noexcept {
  static_assert(std::is_trivially_copyable_v<Form>);
  Form form;
  std::memcpy(&form, raw.data(), sizeof form);
  return form;
}

// --- CAN ---

struct CanForm {
  std::uint32_t id;
  std::uint8_t length;
  std::uint8_t flags;
  std::uint8_t reserved[2];
  std::uint8_t data[64];  // 8 in a classic frame
};
inline constexpr std::size_t kCanHeader = offsetof(CanForm, data);
inline constexpr std::size_t kCanSize = kCanHeader + 8;
inline constexpr std::size_t kCanFdSize = sizeof(CanForm);

struct CanFilterForm {
  std::uint32_t id;
  std::uint32_t mask;
};

struct BcmTime {
  long seconds;
  long microseconds;
};
struct BcmForm {
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

struct IsotpForm {
  std::uint32_t flags;
  std::uint32_t frame_txtime;
  std::uint8_t ext_address;
  std::uint8_t txpad_content;
  std::uint8_t rxpad_content;
  std::uint8_t rx_ext_address;
};
struct IsotpFlowForm {
  std::uint8_t block_size;
  std::uint8_t stmin;
  std::uint8_t wftmax;
};
struct IsotpLinkForm {
  std::uint8_t mtu;
  std::uint8_t tx_dl;
  std::uint8_t tx_flags;
};

struct J1939FilterForm {
  std::uint64_t name;
  std::uint64_t name_mask;
  std::uint32_t pgn;
  std::uint32_t pgn_mask;
  std::uint8_t addr;
  std::uint8_t addr_mask;
  std::uint8_t reserved[6];
};

// --- TIPC ---

struct TipcSubscriptionForm {
  std::uint32_t type;
  std::uint32_t lower;
  std::uint32_t upper;
  std::uint32_t timeout;
  std::uint32_t filter;
  char handle[8];
};
struct TipcEventForm {
  std::uint32_t event;
  std::uint32_t found_lower;
  std::uint32_t found_upper;
  std::uint32_t reference;
  std::uint32_t node;
  TipcSubscriptionForm subscription;
};
struct TipcGroupForm {
  std::uint32_t type;
  std::uint32_t instance;
  std::uint32_t scope;
  std::uint32_t flags;
};

// --- SCTP ---

struct SctpInitForm {
  std::uint16_t out_streams;
  std::uint16_t in_streams;
  std::uint16_t attempts;
  std::uint16_t timeout;
};
struct SctpSendForm {
  std::uint16_t stream;
  std::uint16_t flags;
  std::uint32_t ppid;
  std::uint32_t context;
  std::int32_t association;
};
struct SctpReceiveForm {
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
struct SctpEventForm {
  std::int32_t association;
  std::uint16_t type;
  std::uint8_t on;
  std::uint8_t reserved;
};
struct SctpChangeForm {
  std::uint16_t type;
  std::uint16_t flags;
  std::uint32_t length;
  std::uint16_t state;
  std::uint16_t error;
  std::uint16_t out_streams;
  std::uint16_t in_streams;
  std::int32_t association;
};
struct SctpPeelForm {
  std::int32_t association;
  int fileno;
  std::uint32_t flags;
};

// --- netlink ---

struct NetlinkForm {
  std::uint32_t length;
  std::uint16_t type;
  std::uint16_t flags;
  std::uint32_t sequence;
  std::uint32_t pid;
};
struct NetlinkAttributeForm {
  std::uint16_t length;
  std::uint16_t type;
};

// --- packet ---

struct PacketMembershipForm {
  std::int32_t interface_index;
  std::uint16_t type;
  std::uint16_t length;
  std::uint8_t address[8];
};

// --- multicast ---

struct GroupForm {
  std::uint32_t interface_index;
#if __SIZEOF_LONG__ == 8
  std::uint32_t reserved;
#endif
  char group[128];
};
struct SourceForm {
  GroupForm group;
  char source[128];
};
struct InterfaceForm {
  std::uint32_t group;
  std::uint32_t address;
  std::int32_t interface_index;
};

}  // namespace plug::detail::sys
