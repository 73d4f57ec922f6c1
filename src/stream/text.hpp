#pragma once

// Conversion of text between an encoding and UTF-8, piece by piece.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "stream/encoding.hpp"
#include "sys/iconv.hpp"

namespace plug::detail::stream {

/// The treatment of text that an encoding does not have.
enum class OnError : std::uint8_t { strict, replace, ignore };

/// Returns the error handler of that name. Throws ValueError if there is none.
OnError error_handler(const std::string& name);

/// A prefix of a UTF-8 text: its size in bytes and in characters (code points).
struct Extent {
  std::size_t bytes = 0;
  std::size_t characters = 0;
};

/// Extends `extent`, a prefix of `text`, as far as possible up to `most` characters.
void extend(Extent& extent, std::string_view text, std::size_t most) noexcept;

std::size_t count_characters(std::string_view text) noexcept;

/// The reason why a decoder stopped. `reason` is Python's text; null if nothing is wrong.
struct Malformed {
  std::size_t size = 0;
  const char* reason = nullptr;
};

/// The extent to which some bytes are UTF-8.
struct Utf8Scan {
  std::size_t valid;    // bytes
  Malformed malformed;  // after them: the longest part that could begin a character, or one byte
  bool incomplete;      // the bytes are valid, but end inside a character
};
Utf8Scan scan_utf8(std::string_view bytes) noexcept;

class Decoder {
 public:
  Decoder(Encoding encoding, OnError on_error);

  /// Returns the encoding's name for error messages; after a byte order mark, the name that it
  /// implies.
  const std::string& name() const noexcept { return encoding_.name; }

  /// Returns the most bytes that so many bytes can become. The caller reserves this room in `text`,
  /// so that decode() cannot run out of memory halfway.
  std::size_t most(std::size_t bytes) const noexcept;

  /// Decodes `bytes`, appends the result to `text` and returns how many of them it used. Bytes
  /// remain if they are the beginning of a character, unless `final`, or if `malformed` is set,
  /// which then describes the first of them. `malformed` is set in strict mode, and in any mode if
  /// a required byte order mark is missing.
  std::size_t decode(std::string_view bytes, bool final, std::string& text, Malformed& malformed);

 private:
  std::size_t decode_utf8(std::string_view bytes, bool final, std::string& text,
                          Malformed& malformed) const;
  std::size_t decode_ascii(std::string_view bytes, std::string& text, Malformed& malformed) const;
  std::size_t decode_map(std::string_view bytes, std::string& text, Malformed& malformed) const;
  std::size_t decode_units(std::string_view bytes, bool final, std::string& text,
                           Malformed& malformed);
  std::size_t decode_other(std::string_view bytes, bool final, std::string& text,
                           Malformed& malformed);
  bool skip_mark(std::string_view& bytes, bool final, Malformed& malformed);
  sys::Converter::Step convert(std::string_view bytes, std::string& text);

  Encoding encoding_;
  OnError on_error_;
  sys::Converter converter_;
};

class Encoder {
 public:
  /// `newline` replaces each "\n".
  Encoder(Encoding encoding, OnError on_error, std::string newline);

  struct Encoded {
    std::string_view bytes;  // part of `text`, or valid until the next call
    std::size_t characters = 0;
  };

  /// Encodes all of `text` (UTF-8). In strict mode an error encodes nothing and sets `problem` to
  /// the text of UnicodeEncodeError. A byte order mark comes first, until taken() has been called.
  Encoded encode(std::string_view text, std::string& problem);

  /// Records that the result of encode() has been written.
  void taken() noexcept { encoding_.marked = false; }

 private:
  bool repair(std::string_view& text, Encoded& result, std::string& problem);
  bool encode_narrow(std::string_view text, std::string& problem);
  void encode_units(std::string_view text);
  bool encode_other(std::string_view text, std::string& problem);
  bool append_converted(std::string_view& text);
  void append_sequence(std::uint32_t sequence);
  void append_unit(std::uint32_t value);
  std::optional<unsigned char> to_byte(std::uint32_t character) const noexcept;
  std::string describe(std::string_view text, std::size_t at, std::size_t characters,
                       const char* reason) const;

  Encoding encoding_;
  OnError on_error_;
  std::string newline_;
  sys::Converter converter_;
  std::string repaired_, translated_, encoded_;  // kept for their memory
};

}  // namespace plug::detail::stream
