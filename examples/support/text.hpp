#pragma once

// UTF-8 as it comes off a stream: in pieces, and not always valid.

#include <cstddef>
#include <string>
#include <string_view>

namespace lesson {

/// How a text in UTF-8 begins.
struct Utf8Start {
  enum Kind { whole, incomplete, invalid } kind;
  std::size_t size;    ///< of the character; of an incomplete text, all of it; 1 when invalid
  char32_t character;  ///< only when it is one
};

/// Looks at the first character of `text`, which is not empty. `incomplete` is a text that is only
/// the beginning of a character, whose rest may still come. Source: RFC 3629.
Utf8Start utf8_start(std::string_view text) noexcept;

/// Appends a character, which is one that utf8_start() may give.
void append_utf8(std::string& text, char32_t character);

/// The text with control characters and bytes that are not UTF-8 written as escapes (\n, \x1b), so
/// that it is one line on any terminal.
std::string one_line(std::string_view text);

}  // namespace lesson
