#pragma once

// The encodings of text files by Python's names, and their character tables.

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace plug::detail::stream {

/// The way to convert an encoding: by code of this library, by a table of 256 characters, or, piece
/// by piece, by iconv(3).
enum class Codec : std::uint8_t { utf8, ascii, latin1, utf16, utf32, charmap, other };

/// The characters of a single-byte encoding, in both directions.
class CharacterMap {
 public:
  static constexpr char16_t kNone = 0xFFFE;

  /// Takes iconv(3)'s character for each byte, or Python's where the two differ.
  CharacterMap(std::string_view python_name, const std::string& iconv_name);

  /// Returns kNone for a byte without a meaning.
  char16_t character(unsigned char byte) const noexcept { return characters_[byte]; }
  std::optional<unsigned char> byte(std::uint32_t character) const noexcept;

 private:
  std::array<char16_t, 256> characters_;
  std::vector<std::pair<char16_t, unsigned char>> bytes_;  // sorted
};

/// Byte sequences, or characters, that Python converts differently from iconv(3): `first` becomes
/// `result`, the next one the next value, and so on up to `last`. Byte sequences are written as one
/// number.
struct Deviation {
  std::string_view encoding;
  std::uint32_t first, last;
  std::uint32_t result;  // kRefused: nothing
  static constexpr std::uint32_t kRefused = 0;
};

/// Return the rows of one encoding, by Python's name, sorted by value: the byte sequences that
/// decode differently, and the characters that encode differently.
std::span<const Deviation> decoding_deviations(std::string_view encoding);
std::span<const Deviation> encoding_deviations(std::string_view encoding);

struct Encoding {
  /// Throws ValueError for an unknown name.
  explicit Encoding(const std::string& given);

  /// Returns the number of bytes that Python waits for before it reports these as malformed.
  std::size_t least(std::string_view bytes) const noexcept;

  Codec codec = Codec::other;
  std::string name;         // for error messages
  std::string iconv_name;   // for Codec::other
  std::size_t unit = 1;     // bytes of a code unit
  bool marked = false;      // begins with a byte order mark
  bool big_endian = false;  // byte order of units without a mark
  bool pairs = false;       // Python looks at two or more bytes above ASCII before it refuses
  std::shared_ptr<const CharacterMap> characters;  // for Codec::charmap
  std::span<const Deviation> decoded, encoded;     // for Codec::other
};

}  // namespace plug::detail::stream
