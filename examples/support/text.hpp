#pragma once

// UTF-8 from a stream: it arrives in pieces and is not always valid.

#include <cstddef>
#include <string>
#include <string_view>

namespace lesson {

/// The first character of a UTF-8 text.
struct Utf8Start {
  enum Kind { whole, incomplete, invalid } kind;
  std::size_t size;    ///< bytes of the character, of an incomplete one too; 1 if invalid
  char32_t character;  ///< if whole
};

/// Examines the first character of `text`, which must not be empty. The result is `incomplete` if
/// the text is only the beginning of a character, whose rest may still arrive. Source: RFC 3629.
Utf8Start utf8_start(std::string_view text) noexcept;

/// Appends a character, which must be valid in UTF-8.
void append_utf8(std::string& text, char32_t character);

/// Returns the text as one line for any terminal: control characters and bytes that are not UTF-8
/// become escapes (\n, \x1b).
std::string one_line(std::string_view text);

}  // namespace lesson
