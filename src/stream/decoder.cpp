#include "stream/text.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "stream/characters.hpp"

namespace plug::detail::stream {

namespace {

/// Appends a code point that is not a surrogate.
void append_utf8(std::string& text, std::uint32_t value) {
  const auto rest = [&](unsigned shift) {
    text += static_cast<char>(0x80 | ((value >> shift) & 0x3FU));
  };
  if (value < 0x80) {
    text += static_cast<char>(value);
  } else if (value < 0x800) {
    text += static_cast<char>(0xC0 | (value >> 6));
    rest(0);
  } else if (value < 0x10000) {
    text += static_cast<char>(0xE0 | (value >> 12));
    rest(6);
    rest(0);
  } else {
    text += static_cast<char>(0xF0 | (value >> 18));
    rest(12);
    rest(6);
    rest(0);
  }
}

/// Returns the code unit of `size` bytes at `p`.
std::uint32_t unit_at(const char* p, std::size_t size, bool big_endian) noexcept {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < size; ++i) {
    const auto byte = static_cast<unsigned char>(p[big_endian ? i : size - 1 - i]);
    value = value << 8 | byte;
  }
  return value;
}

bool is_surrogate(std::uint32_t value) noexcept { return value >= 0xD800 && value < 0xE000; }

}  // namespace

Decoder::Decoder(Encoding encoding, OnError on_error)
    : encoding_(std::move(encoding)), on_error_(on_error) {
  if (encoding_.codec == Codec::other) converter_ = sys::Converter("UTF-8", encoding_.iconv_name);
}

std::size_t Decoder::most(std::size_t bytes) const noexcept {
  switch (encoding_.codec) {
    case Codec::other:
      return 4 * bytes + 16;  // and the bytes that the converter holds back
    case Codec::latin1:
      return 2 * bytes;
    case Codec::utf16:
    case Codec::utf32:
    case Codec::charmap:
      return 3 * bytes;
    case Codec::utf8:
    case Codec::ascii:
      break;
  }
  return on_error_ == OnError::replace ? 3 * bytes : bytes;  // U+FFFD
}

std::size_t Decoder::decode(std::string_view bytes, bool final, std::string& text,
                            Malformed& malformed) {
  malformed = {};
  switch (encoding_.codec) {
    case Codec::utf8:
    case Codec::utf16:
    case Codec::utf32: {
      std::string_view rest = bytes;
      if (encoding_.marked && !skip_mark(rest, final, malformed)) return bytes.size() - rest.size();
      const std::size_t used = encoding_.codec == Codec::utf8
                                   ? decode_utf8(rest, final, text, malformed)
                                   : decode_units(rest, final, text, malformed);
      return bytes.size() - rest.size() + used;
    }
    case Codec::ascii:
      return decode_ascii(bytes, text, malformed);
    case Codec::charmap:
      return decode_map(bytes, text, malformed);
    case Codec::other:
      return decode_other(bytes, final, text, malformed);
    case Codec::latin1:
      break;
  }
  for (const char c : bytes) append_utf8(text, static_cast<unsigned char>(c));
  return bytes.size();
}

/// Removes the byte order mark at the beginning of `bytes`. Returns false if more bytes are needed,
/// or if a required mark is missing.
bool Decoder::skip_mark(std::string_view& bytes, bool final, Malformed& malformed) {
  if (encoding_.codec == Codec::utf8) {
    constexpr std::string_view mark = "\xEF\xBB\xBF";
    if (mark.starts_with(bytes.substr(0, mark.size())) && bytes.size() < mark.size()) {
      if (final) bytes = {};  // as Python does
      return false;
    }
    if (bytes.starts_with(mark)) bytes.remove_prefix(mark.size());
    encoding_.marked = false;
    encoding_.name = "utf-8";
    return true;
  }
  const std::size_t unit = encoding_.unit;
  if (bytes.size() < unit) {
    if (final) encoding_.name = encoding_.codec == Codec::utf16 ? "utf-16-le" : "utf-32-le";
    return final;
  }
  for (const bool big_endian : {false, true}) {
    if (unit_at(bytes.data(), unit, big_endian) != kMark) continue;
    bytes.remove_prefix(unit);
    encoding_.marked = false;
    encoding_.big_endian = big_endian;
    encoding_.name = std::string(encoding_.codec == Codec::utf16 ? "utf-16" : "utf-32") +
                     (big_endian ? "-be" : "-le");
    return true;
  }
  malformed = {unit, encoding_.codec == Codec::utf16 ? "UTF-16 stream does not start with BOM"
                                                     : "UTF-32 stream does not start with BOM"};
  return false;
}

/// Decodes UTF-16 and UTF-32.
std::size_t Decoder::decode_units(std::string_view bytes, bool final, std::string& text,
                                  Malformed& malformed) {
  const std::size_t unit = encoding_.unit;
  for (std::size_t used = 0;;) {
    const std::string_view rest = bytes.substr(used);
    if (rest.empty()) return used;
    Malformed found;
    std::uint32_t value = 0;
    std::size_t size = unit;
    if (rest.size() < unit) {
      if (!final) return used;
      found = {rest.size(), "truncated data"};
    } else {
      value = unit_at(rest.data(), unit, encoding_.big_endian);
      if (value > 0x10FFFF) {
        found = {unit, "code point not in range(0x110000)"};
      } else if (is_surrogate(value) && unit == 4) {
        found = {unit, "code point in surrogate code point range(0xd800, 0xe000)"};
      } else if (is_surrogate(value) && value >= 0xDC00) {
        found = {unit, "illegal encoding"};
      } else if (is_surrogate(value)) {
        size = 2 * unit;
        if (rest.size() < size) {
          if (!final) return used;
          found = {rest.size(), "unexpected end of data"};
        } else {
          const std::uint32_t low = unit_at(rest.data() + unit, unit, encoding_.big_endian);
          if (low < 0xDC00 || low > 0xDFFF) found = {unit, "illegal UTF-16 surrogate"};
          value = 0x10000 + ((value - 0xD800) << 10) + (low - 0xDC00);
        }
      }
    }
    if (found.reason == nullptr) {
      append_utf8(text, value);
      used += size;
      continue;
    }
    if (on_error_ == OnError::strict) {
      malformed = found;
      return used;
    }
    if (on_error_ == OnError::replace) text += kReplacement;
    used += found.size;
  }
}

std::size_t Decoder::decode_map(std::string_view bytes, std::string& text,
                                Malformed& malformed) const {
  for (std::size_t used = 0; used < bytes.size(); ++used) {
    const char16_t character =
        encoding_.characters->character(static_cast<unsigned char>(bytes[used]));
    if (character != CharacterMap::kNone) {
      append_utf8(text, character);
      continue;
    }
    if (on_error_ == OnError::strict) {
      malformed = {1, "character maps to <undefined>"};
      return used;
    }
    if (on_error_ == OnError::replace) text += kReplacement;
  }
  return bytes.size();
}

std::size_t Decoder::decode_utf8(std::string_view bytes, bool final, std::string& text,
                                 Malformed& malformed) const {
  std::size_t used = 0;
  for (;;) {
    const Utf8Scan scan = scan_utf8(bytes.substr(used));
    text.append(bytes, used, scan.valid);
    used += scan.valid;
    if (scan.malformed.reason == nullptr || (scan.incomplete && !final)) return used;
    if (on_error_ == OnError::strict) {
      malformed = scan.malformed;
      return used;
    }
    if (on_error_ == OnError::replace) text += kReplacement;
    used += scan.malformed.size;
  }
}

std::size_t Decoder::decode_ascii(std::string_view bytes, std::string& text,
                                  Malformed& malformed) const {
  const char* const end = bytes.data() + bytes.size();
  for (const char* p = bytes.data();; ++p) {
    const char* const stop = skip_ascii(p, end);
    text.append(p, stop);
    p = stop;
    if (p == end) return bytes.size();
    if (on_error_ == OnError::strict) {
      malformed = {1, "ordinal not in range(128)"};
      return static_cast<std::size_t>(p - bytes.data());
    }
    if (on_error_ == OnError::replace) text += kReplacement;
  }
}

std::size_t Decoder::decode_other(std::string_view bytes, bool final, std::string& text,
                                  Malformed& malformed) {
  using Stop = sys::Converter::Stop;
  for (std::size_t used = 0;;) {
    const auto step = convert(bytes.substr(used), text);
    used += step.read;
    const std::size_t left = bytes.size() - used;
    if (step.stop == Stop::full) continue;
    if (step.stop == Stop::done) {
      char held[16];
      if (final) text.append(held, converter_.reset(held, sizeof held));
      return used;
    }
    const bool incomplete =
        step.stop == Stop::incomplete || left < encoding_.least(bytes.substr(used));
    if (incomplete && !final) return used;
    const Malformed found =
        incomplete ? Malformed{left, "incomplete multibyte sequence"}
                   : Malformed{std::min(left, encoding_.unit), "illegal multibyte sequence"};
    if (on_error_ == OnError::strict) {
      malformed = found;
      return used;
    }
    if (on_error_ == OnError::replace) text += kReplacement;
    used += found.size;
  }
}

/// Converts the beginning of `bytes`, with iconv(3) or by the deviations from it.
sys::Converter::Step Decoder::convert(std::string_view bytes, std::string& text) {
  using Stop = sys::Converter::Stop;
  char piece[1024];
  if (encoding_.decoded.empty()) {
    const auto step = converter_.convert(bytes.data(), bytes.size(), piece, sizeof piece);
    text.append(piece, step.written);
    return step;
  }
  // Character by character, because deviations depend on where one begins.
  std::size_t read = 0;
  while (read < bytes.size()) {
    std::uint32_t sequence = 0;
    for (std::size_t size = 1;; ++size) {
      sequence = sequence << 8 | static_cast<unsigned char>(bytes[read + size - 1]);
      if (const Deviation* const row = find_row(encoding_.decoded, sequence)) {
        if (row->result == Deviation::kRefused) return {read, 0, Stop::malformed};
        append_utf8(text, result_of(*row, sequence));
        read += size;
        break;
      }
      if (encoding_.pairs && sequence < 0x80) {  // ASCII in these encodings
        text += bytes[read++];
        break;
      }
      const auto step = converter_.convert(bytes.data() + read, size, piece, sizeof piece);
      text.append(piece, step.written);
      if (step.stop == Stop::done) {
        read += size;
        break;
      }
      if (step.stop == Stop::malformed || read + size == bytes.size() || size == 4)
        return {read, 0, step.stop};
    }
  }
  return {read, 0, Stop::done};
}

}  // namespace plug::detail::stream
