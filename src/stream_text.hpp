#pragma once

// Text between an encoding and UTF-8, piece by piece.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "sys/iconv.hpp"

namespace plug::detail {

/// The encodings that are built in, and all others, which iconv(3) knows.
enum class Codec : std::uint8_t { utf8, ascii, latin1, other };

struct Encoding {
  /// Throws ValueError for a name that nobody knows.
  explicit Encoding(const std::string& given);

  Codec codec;
  std::string name;        // as error messages say it
  std::string iconv_name;  // of Codec::other
  std::size_t unit = 1;    // bytes of a code unit
};

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
  Decoder(const Encoding& encoding, OnError on_error);

  /// The most that so many bytes can become. A text with room for it is decoded into whole, or, for
  /// lack of memory, not at all.
  std::size_t most(std::size_t bytes) const noexcept;

  /// Appends to `text` what `bytes` say and returns how many of them that took. Bytes remain when
  /// they are the beginning of a character, unless `final`, or when `malformed` is set (strict
  /// only), and then it is about the first of them.
  std::size_t decode(std::string_view bytes, bool final, std::string& text, Malformed& malformed);

 private:
  std::size_t decode_utf8(std::string_view bytes, bool final, std::string& text,
                          Malformed& malformed) const;
  std::size_t decode_ascii(std::string_view bytes, std::string& text, Malformed& malformed) const;
  std::size_t decode_other(std::string_view bytes, bool final, std::string& text,
                           Malformed& malformed);

  Codec codec_;
  OnError on_error_;
  std::size_t unit_;
  sys::Converter converter_;
};

class Encoder {
 public:
  /// `newline` is what "\n" becomes.
  Encoder(const Encoding& encoding, OnError on_error, std::string newline);

  struct Encoded {
    std::string_view bytes;  // of `text`, or until the next call
    std::size_t characters = 0;
  };

  /// All of `text` (UTF-8), or, when `problem` is set (strict only), nothing; `problem` is then
  /// what UnicodeEncodeError says.
  Encoded encode(std::string_view text, std::string& problem);

 private:
  bool repair(std::string_view& text, Encoded& result, std::string& problem);
  bool encode_narrow(std::string_view text, std::string& problem);
  bool encode_other(std::string_view text, std::string& problem);
  bool append_converted(std::string_view& text);
  std::string describe(std::string_view text, std::size_t at, std::size_t characters,
                       const char* reason) const;

  Codec codec_;
  OnError on_error_;
  std::string name_;
  std::string newline_;
  bool stateful_;
  sys::Converter converter_;
  std::string repaired_, translated_, encoded_;  // kept for their memory
};

}  // namespace plug::detail
