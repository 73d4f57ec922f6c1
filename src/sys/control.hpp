#pragma once

// Control messages (cmsg(3)) as bytes. Reading does not trust the sizes in them: it never goes
// beyond the bytes that the kernel has written.

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace plug::detail::sys {

/// Laid out as the system's cmsghdr. The data follows, padded to the alignment of the header.
struct ControlHeader {
  std::size_t size;
  int level;
  int type;
};

// Structures with the system's layout.
struct UserCredentials {  // ucred
  int pid;
  std::uint32_t uid;
  std::uint32_t gid;
};
struct PacketInfo4 {  // in_pktinfo
  int interface_index;
  unsigned char local[4];
  unsigned char destination[4];
};
struct PacketInfo6 {  // in6_pktinfo
  unsigned char local[16];
  int interface_index;
};
struct TimePair {  // timeval, timespec
  std::int64_t seconds;
  std::int64_t fraction;
};

constexpr std::size_t control_padded(std::size_t size) noexcept {
  return (size + alignof(ControlHeader) - 1) / alignof(ControlHeader) * alignof(ControlHeader);
}

/// Adds the space of an item to `total`. Returns false if that is more than the system can take.
constexpr bool add_control_space(std::size_t& total, std::size_t data_size) noexcept {
  constexpr std::size_t kMost = 0x7fffffff;
  if (data_size > kMost) return false;
  total += sizeof(ControlHeader) + control_padded(data_size);
  return total <= kMost;
}

/// Writes an item and its padding. Returns the position of the next one.
inline char* write_control(char* out, int level, int type, const void* data,
                           std::size_t size) noexcept {
  const ControlHeader header{sizeof header + size, level, type};
  std::memcpy(out, &header, sizeof header);
  out += sizeof header;
  if (size > 0) std::memcpy(out, data, size);
  std::memset(out + size, 0, control_padded(size) - size);
  return out + control_padded(size);
}

/// Calls found(level, type, data, size) for each item. A truncated item is the last one, with as
/// much of its data as there is.
template <class Found>
void read_control(const char* control, std::size_t size, Found found) {
  ControlHeader header;
  while (size >= sizeof header) {
    std::memcpy(&header, control, sizeof header);
    if (header.size < sizeof header) return;
    const bool cut = header.size > size;
    found(header.level, header.type, control + sizeof header,
          (cut ? size : header.size) - sizeof header);
    if (cut || control_padded(header.size) >= size) return;
    size -= control_padded(header.size);
    control += control_padded(header.size);
  }
}

}  // namespace plug::detail::sys
