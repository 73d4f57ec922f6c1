#pragma once

// The encodings that text files know, by Python's names, and their tables of characters.

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

namespace plug::detail {

/// How an encoding is converted: by code of this library, by a table of 256 characters, or, piece
/// by piece, by iconv(3).
enum class Codec : std::uint8_t { utf8, ascii, latin1, utf16, utf32, charmap, other };

/// The characters of an encoding of single bytes, and the way back.
class CharacterMap {
 public:
  static constexpr char16_t kNone = 0xFFFE;

  /// What iconv(3) makes of each byte by itself, and where that is not what Python makes of it,
  /// Python's.
  CharacterMap(std::string_view python_name, const std::string& iconv_name);

  /// kNone for a byte that has no meaning.
  char16_t character(unsigned char byte) const noexcept { return characters_[byte]; }
  std::optional<unsigned char> byte(std::uint32_t character) const noexcept;

 private:
  std::array<char16_t, 256> characters_;
  std::vector<std::pair<char16_t, unsigned char>> bytes_;  // sorted
};

/// Sequences of bytes, or characters, that Python converts otherwise than iconv(3): `first` becomes
/// `result`, the next one the next, up to `last`. Bytes are written as one number.
struct Deviation {
  std::string_view encoding;
  std::uint32_t first, last;
  std::uint32_t result;  // kRefused: nothing
  static constexpr std::uint32_t kRefused = 0;
};

struct Encoding {
  /// Throws ValueError for a name that nobody knows.
  explicit Encoding(const std::string& given);

  /// How many bytes Python waits for before it says that these are malformed.
  std::size_t least(std::string_view bytes) const noexcept;

  Codec codec = Codec::other;
  std::string name;         // as error messages say it
  std::string iconv_name;   // of Codec::other
  std::size_t unit = 1;     // bytes of a code unit
  bool marked = false;      // begins with a byte order mark
  bool big_endian = false;  // of units without a mark
  bool pairs = false;       // Python looks at two bytes above ASCII, or more, before it refuses
  std::shared_ptr<const CharacterMap> characters;  // of Codec::charmap
  std::span<const Deviation> decoded, encoded;     // of Codec::other
};

}  // namespace plug::detail
