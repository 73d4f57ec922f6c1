#include "framing/codec.hpp"

#include <plug/error.hpp>

#include <algorithm>
#include <bitset>
#include <cstring>

#include "address/access.hpp"

namespace plug::detail::framing {

std::string bytes_text(std::uint64_t count) {
  return std::to_string(count) + (count == 1 ? " byte" : " bytes");
}

void check_framing(const Framing& framing) {
  if (const auto* prefix = std::get_if<LengthPrefix>(&framing)) {
    const int width = prefix->width;
    if (width != 1 && width != 2 && width != 4 && width != 8)
      throw ValueError("a length prefix has 1, 2, 4 or 8 bytes, not " + std::to_string(width));
  } else if (const auto* delimiter = std::get_if<Delimiter>(&framing)) {
    if (delimiter->delimiters.empty()) throw ValueError("no delimiter");
    for (const std::string& one : delimiter->delimiters)
      if (one.empty()) throw ValueError("an empty delimiter");
  } else if (const auto* fixed = std::get_if<FixedSize>(&framing)) {
    if (fixed->size == 0) throw ValueError("a fixed size of 0 bytes");
  }
}

Head encode_length(std::uint64_t size, const LengthPrefix& prefix) {
  if (prefix.width < 8 && size >> (8 * prefix.width) != 0) {
    throw ValueError("message of " + bytes_text(size) + ": a prefix of " +
                     bytes_text(static_cast<std::uint64_t>(prefix.width)) + " can say " +
                     std::to_string((std::uint64_t{1} << (8 * prefix.width)) - 1) + " at most");
  }
  Head head;
  head.size = static_cast<std::size_t>(prefix.width);
  for (std::size_t i = 0; i < head.size; ++i) {
    const std::size_t at = prefix.order == ByteOrder::big ? head.size - 1 - i : i;
    head.bytes[at] = static_cast<char>(size >> (8 * i) & 0xff);
  }
  return head;
}

Head encode_varint(std::uint64_t size) noexcept {
  Head head;
  for (; size >= 0x80; size >>= 7)
    head.bytes[head.size++] = static_cast<char>(0x80 | (size & 0x7f));
  head.bytes[head.size++] = static_cast<char>(size);
  return head;
}

Varint decode_varint(std::string_view bytes) noexcept {
  Varint varint;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const auto byte = static_cast<unsigned char>(bytes[i]);
    // The tenth byte holds the 64th bit and no other.
    if (i == kMaxVarint - 1 && byte > 1) {
      varint.malformed = true;
      break;
    }
    varint.value |= static_cast<std::uint64_t>(byte & 0x7f) << (7 * i);
    if ((byte & 0x80) == 0) {
      varint.size = i + 1;
      break;
    }
  }
  return varint;
}

std::size_t longest(const std::vector<std::string>& delimiters) noexcept {
  std::size_t size = 0;
  for (const std::string& one : delimiters) size = std::max(size, one.size());
  return size;
}

std::optional<Match> find_any_delimiter(std::string_view bytes, std::size_t from,
                                        const std::vector<std::string>& delimiters) noexcept {
  const auto ending_at = [&](std::size_t end) {
    std::size_t size = 0;
    for (const std::string& one : delimiters) {
      const std::size_t rest = one.size() - 1;
      if (one.size() > size && one.size() <= end && one[rest] == bytes[end - 1] &&
          (rest == 0 || std::memcmp(bytes.data() + (end - one.size()), one.data(), rest) == 0))
        size = one.size();
    }
    return size;
  };

  const char last = delimiters.front().back();
  if (std::all_of(delimiters.begin(), delimiters.end(),
                  [&](const std::string& one) { return one.back() == last; })) {
    for (std::size_t at = bytes.find(last, from); at != bytes.npos; at = bytes.find(last, at + 1))
      if (const std::size_t size = ending_at(at + 1)) return Match{at + 1 - size, at + 1};
    return std::nullopt;
  }
  std::bitset<256> lasts;
  for (const std::string& one : delimiters) lasts.set(static_cast<unsigned char>(one.back()));
  for (std::size_t at = from; at < bytes.size(); ++at) {
    if (!lasts[static_cast<unsigned char>(bytes[at])]) continue;
    if (const std::size_t size = ending_at(at + 1)) return Match{at + 1 - size, at + 1};
  }
  return std::nullopt;
}

void check_delimited(std::string_view message, const std::vector<std::string>& delimiters) {
  if (const auto inside = find_delimiter(message, 0, delimiters)) {
    throw ValueError(
        "message of " + bytes_text(message.size()) + " holds the delimiter " +
        address::bytes_repr(message.substr(inside->begin, inside->end - inside->begin)) + " at " +
        std::to_string(inside->begin));
  }
  // The end of the message may form a delimiter with the beginning of the appended one.
  const std::string& mark = delimiters.front();
  const std::size_t overlap = std::min(message.size(), longest(delimiters) - 1);
  std::string seam(message.substr(message.size() - overlap));
  seam += mark;
  const auto match = find_delimiter(seam, overlap, delimiters);
  if (!match || match->begin != overlap || match->end != seam.size()) {
    throw ValueError("message of " + bytes_text(message.size()) + " and its delimiter " +
                     address::bytes_repr(mark) + " hold a delimiter where they meet");
  }
}

}  // namespace plug::detail::framing
