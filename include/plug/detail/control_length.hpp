#pragma once

// The lengths of control messages: the internal part of plug/ancillary.hpp.

#include <cstddef>
#include <cstdint>
#include <limits>

#pragma GCC visibility push(default)

namespace plug::detail {

inline constexpr std::size_t kControlHeader = sizeof(std::size_t) + 2 * sizeof(int);
inline constexpr std::int64_t kLargestControl = std::numeric_limits<int>::max();

constexpr std::int64_t control_aligned(std::int64_t length) noexcept {
  constexpr auto kUnit = static_cast<std::int64_t>(sizeof(std::size_t));
  return (length + kUnit - 1) / kUnit * kUnit;
}
[[noreturn]] void throw_control_length(const char* call, std::int64_t length);

}  // namespace plug::detail

#pragma GCC visibility pop
