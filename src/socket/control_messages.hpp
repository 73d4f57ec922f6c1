#pragma once

// Control messages (SCM_RIGHTS and others) as the calls that send and receive messages see them.

#include <plug/ancillary.hpp>
#include <plug/constants.hpp>

#include <cstddef>
#include <cstring>
#include <utility>
#include <vector>

#include "sys/control.hpp"

namespace plug::detail::socket {

struct AncillaryAccess {
  static AncillaryData make(std::vector<ControlMessage> items) noexcept {
    AncillaryData made;
    made.items_ = std::move(items);
    return made;
  }
};

template <class T>
ControlMessage item_of(OptionLevel level, ControlType type, const T& value) {
  return {level, type, BytesView(&value, sizeof value)};
}

inline bool is_rights(int level, int type) noexcept {
  return level == static_cast<int>(SOL::SOCKET) && type == static_cast<int>(SCM::RIGHTS);
}

/// Calls found(number) for each descriptor in the data of an SCM_RIGHTS item.
template <class Found>
void each_descriptor(const char* data, std::size_t size, Found found) {
  int number = -1;
  for (; size >= sizeof number; size -= sizeof number, data += sizeof number) {
    std::memcpy(&number, data, sizeof number);
    found(number);
  }
}

inline void close_descriptors(const char* data, std::size_t size) noexcept {
  each_descriptor(data, size, [](int number) { sys::close(number); });
}

}  // namespace plug::detail::socket
