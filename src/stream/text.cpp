#include "stream/text.hpp"

#include <plug/error.hpp>

#include <algorithm>

#include "stream/characters.hpp"

namespace plug::detail::stream {

OnError error_handler(const std::string& name) {
  if (name == "strict") return OnError::strict;
  if (name == "replace") return OnError::replace;
  if (name == "ignore") return OnError::ignore;
  throw ValueError("unknown error handler name '" + name + "'");
}

void extend(Extent& extent, std::string_view text, std::size_t most) noexcept {
  const char* const begin = text.data();
  const char* const end = begin + text.size();
  const char* p = begin + extent.bytes;
  while (p != end && extent.characters < most) {
    if (static_cast<unsigned char>(*p) < 0x80) {
      const auto room = std::min(static_cast<std::size_t>(end - p), most - extent.characters);
      const char* const stop = skip_ascii(p, p + room);
      extent.characters += static_cast<std::size_t>(stop - p);
      p = stop;
    } else {
      do ++p;
      while (p != end && is_continuation(*p));
      ++extent.characters;
    }
  }
  extent.bytes = static_cast<std::size_t>(p - begin);
}

std::size_t count_characters(std::string_view text) noexcept {
  return text.size() -
         static_cast<std::size_t>(std::count_if(text.begin(), text.end(), is_continuation));
}

Utf8Scan scan_utf8(std::string_view bytes) noexcept {
  const char* const begin = bytes.data();
  const char* const end = begin + bytes.size();
  const char* p = begin;
  const auto stop = [&](std::size_t size, const char* reason, bool incomplete) {
    return Utf8Scan{static_cast<std::size_t>(p - begin), {size, reason}, incomplete};
  };
  for (;;) {
    p = skip_ascii(p, end);
    if (p == end) return stop(0, nullptr, false);
    const auto lead = static_cast<unsigned char>(*p);
    // The Unicode Standard, table 3-7: the first byte limits the second.
    std::size_t length = 2;
    unsigned char low = 0x80, high = 0xBF;
    if (lead < 0xC2 || lead > 0xF4) return stop(1, "invalid start byte", false);
    if (lead >= 0xF0) {
      length = 4;
      if (lead == 0xF0) low = 0x90;
      if (lead == 0xF4) high = 0x8F;
    } else if (lead >= 0xE0) {
      length = 3;
      if (lead == 0xE0) low = 0xA0;
      if (lead == 0xED) high = 0x9F;
    }
    for (std::size_t i = 1; i < length; ++i) {
      if (p + i == end) return stop(i, "unexpected end of data", true);
      const auto byte = static_cast<unsigned char>(p[i]);
      if (byte < low || byte > high) return stop(i, "invalid continuation byte", false);
      low = 0x80;
      high = 0xBF;
    }
    p += length;
  }
}

}  // namespace plug::detail::stream
