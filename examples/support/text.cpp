#include "support/text.hpp"

#include <algorithm>

namespace lesson {
namespace {

std::string escape(unsigned char byte) {
  switch (byte) {
    case '\n':
      return "\\n";
    case '\r':
      return "\\r";
    case '\t':
      return "\\t";
    default:
      constexpr char digits[] = "0123456789abcdef";
      return std::string("\\x") + digits[byte >> 4] + digits[byte & 15];
  }
}

bool is_control(char32_t character) {
  // U+2028 and U+2029 end a line. The last two ranges change the direction of the text that
  // follows.
  return character < 0x20 || (character >= 0x7f && character < 0xa0) || character == 0x2028 ||
         character == 0x2029 || (character >= 0x202a && character <= 0x202e) ||
         (character >= 0x2066 && character <= 0x2069);
}

}  // namespace

Utf8Start utf8_start(std::string_view text) noexcept {
  constexpr Utf8Start invalid{Utf8Start::invalid, 1, 0};
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(0);
  if (first < 0x80) return {Utf8Start::whole, 1, first};
  if (first < 0xc2 || first > 0xf4) return invalid;

  const std::size_t size = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  char32_t character = first & (0x7fu >> size);
  for (std::size_t i = 1; i < std::min(size, text.size()); ++i) {
    // The range of the second byte excludes overlong forms, surrogates and values above U+10FFFF.
    const unsigned char low = i > 1 ? 0x80 : first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
    const unsigned char high = i > 1 ? 0xbf : first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
    if (byte(i) < low || byte(i) > high) return invalid;
    character = character << 6 | (byte(i) & 0x3fu);
  }
  if (text.size() < size) return {Utf8Start::incomplete, text.size(), 0};
  return {Utf8Start::whole, size, character};
}

void append_utf8(std::string& text, char32_t character) {
  if (character < 0x80) {
    text += static_cast<char>(character);
    return;
  }
  const int more = character < 0x800 ? 1 : character < 0x10000 ? 2 : 3;
  // The first byte has as many leading one bits as the character has bytes.
  const char32_t lead = (0xf00u >> (more + 1)) & 0xffu;
  text += static_cast<char>(lead | character >> (6 * more));
  for (int i = more - 1; i >= 0; --i)
    text += static_cast<char>(0x80u | (character >> (6 * i) & 0x3fu));
}

std::string one_line(std::string_view text) {
  std::string line;
  while (!text.empty()) {
    const Utf8Start start = utf8_start(text);
    const std::string_view piece = text.substr(0, start.size);
    if (start.kind == Utf8Start::whole && !is_control(start.character)) {
      line += piece;
    } else {
      for (const char byte : piece) line += escape(static_cast<unsigned char>(byte));
    }
    text.remove_prefix(start.size);
  }
  return line;
}

}  // namespace lesson
