#pragma once

// The kernel's structures for the addresses of <plug/family/addresses.hpp>, without its headers.
// sockaddrs_check.cpp compares the two.

#include <cstddef>
#include <cstdint>

namespace plug::detail::layout {

inline constexpr std::size_t kInterfaceCapacity = 16;        // with the NUL
inline constexpr std::size_t kAlgTypeCapacity = 14;          // with the NUL
inline constexpr std::size_t kAlgNameCapacity = 64;          // with the NUL
inline constexpr std::size_t kHardwareAddressCapacity = 32;  // of any kind of hardware

// A name in comments is the kernel's. Numbers that go over the air or the wire are marked.

/// sockaddr_can. The protocol selects the member of the union; CAN::RAW and CAN::BCM use none.
struct CanSockaddr {
  struct Isotp {
    std::uint32_t rx_id;
    std::uint32_t tx_id;
  };
  struct J1939 {
    std::uint64_t name;
    std::uint32_t pgn;
    std::uint8_t addr;
  };

  std::uint16_t family;
  std::int32_t interface_index;
  union {
    Isotp isotp;
    J1939 j1939;
  };
};

/// sockaddr_ll. A long hardware address goes on behind the structure.
struct PacketSockaddr {
  std::uint16_t family;
  std::uint16_t protocol;  // big-endian
  std::int32_t interface_index;
  std::uint16_t hardware_type;
  std::uint8_t packet_type;
  std::uint8_t hardware_size;
  std::uint8_t hardware[8];
};

/// sockaddr_nl
struct NetlinkSockaddr {
  std::uint16_t family;
  std::uint16_t padding;
  std::uint32_t pid;
  std::uint32_t groups;
};

/// sockaddr_vm
struct VsockSockaddr {
  std::uint16_t family;
  std::uint16_t reserved;
  std::uint32_t port;
  std::uint32_t cid;
  std::uint8_t flags;
  std::uint8_t zero[3];
};

/// sockaddr_tipc. `type` selects the member of the union.
struct TipcSockaddr {
  struct Id {
    std::uint32_t reference;
    std::uint32_t node;
  };
  struct Range {
    std::uint32_t type;
    std::uint32_t lower;
    std::uint32_t upper;
  };
  struct Name {
    std::uint32_t type;
    std::uint32_t instance;
    std::uint32_t domain;
  };

  std::uint16_t family;
  std::uint8_t type;
  std::int8_t scope;
  union {
    Id id;
    Range range;
    Name name;
  };
};

/// sockaddr_alg
struct AlgSockaddr {
  std::uint16_t family;
  unsigned char type[kAlgTypeCapacity];
  std::uint32_t features;
  std::uint32_t mask;
  unsigned char name[kAlgNameCapacity];
};

/// sockaddr_qrtr
struct QrtrSockaddr {
  std::uint16_t family;
  std::uint32_t node;
  std::uint32_t port;
};

// The kernel's headers have no structures for Bluetooth; those of BlueZ (<bluetooth/l2cap.h> and
// others) have. They are not compared.

/// A Bluetooth address in the kernel's byte order, which is the reverse of the text's.
struct BluetoothDevice {
  unsigned char bytes[6] = {};
};

/// sockaddr_l2
struct L2capSockaddr {
  std::uint16_t family;
  std::uint16_t psm;  // little-endian
  BluetoothDevice device;
  std::uint16_t cid;  // little-endian
  std::uint8_t device_type;
};

/// sockaddr_rc
struct RfcommSockaddr {
  std::uint16_t family;
  BluetoothDevice device;
  std::uint8_t channel;
};

/// sockaddr_sco
struct ScoSockaddr {
  std::uint16_t family;
  BluetoothDevice device;
};

/// sockaddr_hci
struct HciSockaddr {
  std::uint16_t family;
  std::uint16_t device;
  std::uint16_t channel;
};

}  // namespace plug::detail::layout
