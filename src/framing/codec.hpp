#pragma once

// The framing of messages as bytes, without a socket and without state.

#include <plug/framing.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace plug::detail::framing {

inline constexpr std::size_t kMaxVarint = 10;

/// Returns "1 byte", "2 bytes" and so on.
std::string bytes_text(std::uint64_t count);

/// Throws ValueError for an invalid framing.
void check_framing(const Framing& framing);

/// The bytes before a message.
struct Head {
  std::array<char, kMaxVarint> bytes{};
  std::size_t size = 0;
};

/// Throws ValueError if the prefix is too narrow.
Head encode_length(std::uint64_t size, const LengthPrefix& prefix);
/// `bytes` must have the prefix's width.
inline std::uint64_t decode_length(const char* bytes, const LengthPrefix& prefix) noexcept {
  const auto decode = [&](auto width) {
    std::uint64_t size = 0;
    for (int i = 0; i < width; ++i) {
      const int at = prefix.order == ByteOrder::big ? i : width - 1 - i;
      size = size << 8 | static_cast<unsigned char>(bytes[at]);
    }
    return size;
  };
  // The compiler turns a loop of constant length into a single load.
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

/// A varint, which may be incomplete.
struct Varint {
  std::uint64_t value = 0;
  std::size_t size = 0;  ///< 0 if it continues beyond the bytes
  bool malformed = false;
};

Head encode_varint(std::uint64_t size) noexcept;
Varint decode_varint(std::string_view bytes) noexcept;

/// Returns the size of the longest delimiter.
std::size_t longest(const std::vector<std::string>& delimiters) noexcept;

/// The position of a delimiter.
struct Match {
  std::size_t begin;
  std::size_t end;
};

/// Returns the first position after `from` where a delimiter ends, and the longest delimiter that
/// ends there. Looks at each byte from there on once, and back from bytes that may end a delimiter.
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

/// Throws ValueError unless a reader of `message`, followed by the first delimiter, gets exactly
/// that message.
void check_delimited(std::string_view message, const std::vector<std::string>& delimiters);

}  // namespace plug::detail::framing
