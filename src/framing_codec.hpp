#pragma once

// How messages are framed, as bytes: no socket, no state.

#include <plug/framing.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace plug::detail {

inline constexpr std::size_t kMaxVarint = 10;

/// "1 byte", "2 bytes".
std::string bytes_text(std::uint64_t count);

/// Throws ValueError for a framing that cannot be.
void check_framing(const Framing& framing);

/// The bytes in front of a message.
struct Head {
  std::array<char, kMaxVarint> bytes{};
  std::size_t size = 0;
};

/// Throws ValueError when the prefix is too narrow.
Head encode_length(std::uint64_t size, const LengthPrefix& prefix);
/// `bytes` has the prefix's width.
inline std::uint64_t decode_length(const char* bytes, const LengthPrefix& prefix) noexcept {
  const auto decode = [&](auto width) {
    std::uint64_t size = 0;
    for (int i = 0; i < width; ++i) {
      const int at = prefix.order == ByteOrder::big ? i : width - 1 - i;
      size = size << 8 | static_cast<unsigned char>(bytes[at]);
    }
    return size;
  };
  // The compiler makes one load of a loop whose end it knows.
  switch (prefix.width) {
    case 1:
      return decode(std::integral_constant<int, 1>());
    case 2:
      return decode(std::integral_constant<int, 2>());
    case 4:
      return decode(std::integral_constant<int, 4>());
    default:
      return decode(std::integral_constant<int, 8>());
  }
}

/// A varint that may not be there entirely.
struct Varint {
  std::uint64_t value = 0;
  std::size_t size = 0;  ///< 0 when it goes on past what there is
  bool malformed = false;
};

Head encode_varint(std::uint64_t size) noexcept;
Varint decode_varint(std::string_view bytes) noexcept;

/// The size of the longest delimiter.
std::size_t longest(const std::vector<std::string>& delimiters) noexcept;

/// Where a delimiter is.
struct Match {
  std::size_t begin;
  std::size_t end;
};

/// The first place after `from` where a delimiter ends, and of those that end there the longest.
/// Looks at each byte from there on once, and back from those that may end a delimiter.
std::optional<Match> find_any_delimiter(std::string_view bytes, std::size_t from,
                                        const std::vector<std::string>& delimiters) noexcept;
inline std::optional<Match> find_delimiter(std::string_view bytes, std::size_t from,
                                           const std::vector<std::string>& delimiters) noexcept {
  if (delimiters.size() != 1 || delimiters[0].size() != 1)
    return find_any_delimiter(bytes, from, delimiters);
  const std::size_t at = bytes.find(delimiters[0][0], from);
  if (at == bytes.npos) return std::nullopt;
  return Match{at, at + 1};
}

/// Throws ValueError unless a reader takes `message`, followed by the first delimiter, for that
/// message and nothing more.
void check_delimited(std::string_view message, const std::vector<std::string>& delimiters);

}  // namespace plug::detail
