#pragma once

// Functions on the bytes and characters of a text that decoding and encoding share.

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <span>

#include "stream/encoding.hpp"

namespace plug::detail::stream {

inline constexpr const char* kReplacement = "\xEF\xBF\xBD";  // U+FFFD

inline constexpr std::uint32_t kMark = 0xFEFF;  // the byte order mark

inline bool is_continuation(char c) noexcept {
  return (static_cast<unsigned char>(c) & 0xC0) == 0x80;
}

/// Returns the first byte at or after `p` that is not ASCII.
inline const char* skip_ascii(const char* p, const char* end) noexcept {
  while (end - p >= 32) {
    std::uint64_t words[4];
    std::memcpy(words, p, sizeof words);
    if (((words[0] | words[1] | words[2] | words[3]) & 0x8080808080808080U) != 0) break;
    p += sizeof words;
  }
  while (p != end && static_cast<unsigned char>(*p) < 0x80) ++p;
  return p;
}

/// Returns the row for a value, or null if there is none. The rows are sorted.
inline const Deviation* find_row(std::span<const Deviation> rows, std::uint32_t value) noexcept {
  const auto row = std::ranges::lower_bound(rows, value, {}, &Deviation::last);
  return row != rows.end() && row->first <= value ? &*row : nullptr;
}

}  // namespace plug::detail::stream

namespace plug::detail {

/// Returns the row's result for the value.
inline std::uint32_t result_of(const stream::Deviation& row, std::uint32_t value) noexcept {
  return row.result == stream::Deviation::kRefused ? row.result : row.result + (value - row.first);
}

}  // namespace plug::detail
