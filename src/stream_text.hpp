#pragma once

// Text between an encoding and UTF-8, piece by piece.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "stream_encoding.hpp"
#include "sys/iconv.hpp"

namespace plug::detail {

/// What happens to text that an encoding does not have.
enum class OnError : std::uint8_t { strict, replace, ignore };

/// Throws ValueError.
OnError error_handler(const std::string& name);

/// The beginning of a UTF-8 text: its size in bytes and in characters (code points).
struct Extent {
  std::size_t bytes = 0;
  std::size_t characters = 0;
};

/// Extends `extent`, a beginning of `text`, by as much as there is up to `most` characters.
void extend(Extent& extent, std::string_view text, std::size_t most) noexcept;

std::size_t count_characters(std::string_view text) noexcept;

/// What stopped a decoder: `reason` is Python's, null when nothing is wrong.
struct Malformed {
  std::size_t size = 0;
  const char* reason = nullptr;
};

/// How far some bytes are UTF-8.
struct Utf8Scan {
  std::size_t valid;    // bytes
  Malformed malformed;  // behind them: the longest part that could begin a character, or one byte
  bool incomplete;      // nothing is wrong but that the text ends
};
Utf8Scan scan_utf8(std::string_view bytes) noexcept;

class Decoder {
 public:
  Decoder(Encoding encoding, OnError on_error);

  /// The encoding as error messages say it: of one with a byte order mark, what the mark said.
  const std::string& name() const noexcept { return encoding_.name; }

  /// The most that so many bytes can become. A text with room for it is decoded into whole, or, for
  /// lack of memory, not at all.
  std::size_t most(std::size_t bytes) const noexcept;

  /// Appends to `text` what `bytes` say and returns how many of them that took. Bytes remain when
  /// they are the beginning of a character, unless `final`, or when `malformed` is set, and then it
  /// is about the first of them. That is in strict mode, and in any for a mark that is missing.
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
  /// `newline` is what "\n" becomes.
  Encoder(Encoding encoding, OnError on_error, std::string newline);

  struct Encoded {
    std::string_view bytes;  // of `text`, or until the next call
    std::size_t characters = 0;
  };

  /// All of `text` (UTF-8), or, when `problem` is set (strict only), nothing; `problem` is then
  /// what UnicodeEncodeError says. A byte order mark comes first until one was taken().
  Encoded encode(std::string_view text, std::string& problem);

  /// Says that what encode() gave has been written.
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

}  // namespace plug::detail
