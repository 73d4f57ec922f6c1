#include "stream/text.hpp"

#include <plug/error.hpp>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <utility>

namespace plug::detail {

namespace {

constexpr const char* kReplacement = "\xEF\xBF\xBD";  // U+FFFD

/// Scratch strings above this size release their memory.
constexpr std::size_t kKept = std::size_t{1} << 16;

bool is_continuation(char c) noexcept { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; }

/// Returns the first byte at or after `p` that is not ASCII.
const char* skip_ascii(const char* p, const char* end) noexcept {
  while (end - p >= 32) {
    std::uint64_t words[4];
    std::memcpy(words, p, sizeof words);
    if (((words[0] | words[1] | words[2] | words[3]) & 0x8080808080808080U) != 0) break;
    p += sizeof words;
  }
  while (p != end && static_cast<unsigned char>(*p) < 0x80) ++p;
  return p;
}

/// Removes the first code point from valid UTF-8 and returns it.
std::uint32_t next_character(std::string_view& text) noexcept {
  const auto lead = static_cast<unsigned char>(text.front());
  std::uint32_t value = lead;
  if (lead >= 0xF0)
    value = lead & 0x07U;
  else if (lead >= 0xE0)
    value = lead & 0x0FU;
  else if (lead >= 0xC0)
    value = lead & 0x1FU;
  text.remove_prefix(1);
  while (!text.empty() && is_continuation(text.front())) {
    value = (value << 6) | (static_cast<unsigned char>(text.front()) & 0x3FU);
    text.remove_prefix(1);
  }
  return value;
}

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

constexpr std::uint32_t kMark = 0xFEFF;

bool is_surrogate(std::uint32_t value) noexcept { return value >= 0xD800 && value < 0xE000; }

/// Returns the row for a value, or null if there is none. The rows are sorted.
const Deviation* find_row(std::span<const Deviation> rows, std::uint32_t value) noexcept {
  const auto row = std::ranges::lower_bound(rows, value, {}, &Deviation::last);
  return row != rows.end() && row->first <= value ? &*row : nullptr;
}

/// Returns the row's result for the value.
std::uint32_t result_of(const Deviation& row, std::uint32_t value) noexcept {
  return row.result == Deviation::kRefused ? row.result : row.result + (value - row.first);
}

void start_over(std::string& scratch) {
  if (scratch.capacity() > kKept) scratch = {};
  scratch.clear();
}

}  // namespace

OnError error_handler(const std::string& name) {
  if (name == "strict") return OnError::strict;
  if (name == "replace") return OnError::replace;
  if (name == "ignore") return OnError::ignore;
  throw ValueError("unknown error handler name '" + name + "'");
}

void extend(Extent& extent, std::string_view text, std::size_t most) noexcept {
  const char* const begin = text.data();
  const char* const end = begin + text.size();
  const char* p = begin + extent.bytes;
  while (p != end && extent.characters < most) {
    if (static_cast<unsigned char>(*p) < 0x80) {
      const auto room = std::min(static_cast<std::size_t>(end - p), most - extent.characters);
      const char* const stop = skip_ascii(p, p + room);
      extent.characters += static_cast<std::size_t>(stop - p);
      p = stop;
    } else {
      do ++p;
      while (p != end && is_continuation(*p));
      ++extent.characters;
    }
  }
  extent.bytes = static_cast<std::size_t>(p - begin);
}

std::size_t count_characters(std::string_view text) noexcept {
  return text.size() -
         static_cast<std::size_t>(std::count_if(text.begin(), text.end(), is_continuation));
}

Utf8Scan scan_utf8(std::string_view bytes) noexcept {
  const char* const begin = bytes.data();
  const char* const end = begin + bytes.size();
  const char* p = begin;
  const auto stop = [&](std::size_t size, const char* reason, bool incomplete) {
    return Utf8Scan{static_cast<std::size_t>(p - begin), {size, reason}, incomplete};
  };
  for (;;) {
    p = skip_ascii(p, end);
    if (p == end) return stop(0, nullptr, false);
    const auto lead = static_cast<unsigned char>(*p);
    // The Unicode Standard, table 3-7: the first byte limits the second.
    std::size_t length = 2;
    unsigned char low = 0x80, high = 0xBF;
    if (lead < 0xC2 || lead > 0xF4) return stop(1, "invalid start byte", false);
    if (lead >= 0xF0) {
      length = 4;
      if (lead == 0xF0) low = 0x90;
      if (lead == 0xF4) high = 0x8F;
    } else if (lead >= 0xE0) {
      length = 3;
      if (lead == 0xE0) low = 0xA0;
      if (lead == 0xED) high = 0x9F;
    }
    for (std::size_t i = 1; i < length; ++i) {
      if (p + i == end) return stop(i, "unexpected end of data", true);
      const auto byte = static_cast<unsigned char>(p[i]);
      if (byte < low || byte > high) return stop(i, "invalid continuation byte", false);
      low = 0x80;
      high = 0xBF;
    }
    p += length;
  }
}

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

Encoder::Encoder(Encoding encoding, OnError on_error, std::string newline)
    : encoding_(std::move(encoding)), on_error_(on_error), newline_(std::move(newline)) {
  if (encoding_.codec == Codec::other) converter_ = sys::Converter(encoding_.iconv_name, "UTF-8");
}

Encoder::Encoded Encoder::encode(std::string_view text, std::string& problem) {
  Encoded result;
  problem.clear();
  start_over(encoded_);
  if (!repair(text, result, problem)) return {};
  if (newline_ != "\n" && text.find('\n') != std::string_view::npos) {
    start_over(translated_);
    for (const char c : text) {
      if (c == '\n')
        translated_ += newline_;
      else
        translated_ += c;
    }
    text = translated_;
  }
  if (encoding_.codec == Codec::utf8 && !encoding_.marked) {
    result.bytes = text;
    return result;
  }
  bool whole = true;
  switch (encoding_.codec) {
    case Codec::utf8:
    case Codec::utf16:
    case Codec::utf32:
      encode_units(text);
      break;
    case Codec::other:
      whole = encode_other(text, problem);
      break;
    case Codec::ascii:
    case Codec::latin1:
    case Codec::charmap:
      whole = encode_narrow(text, problem);
      break;
  }
  if (!whole) return {};
  result.bytes = encoded_;
  return result;
}

/// Makes `text` valid UTF-8 and counts its characters.
bool Encoder::repair(std::string_view& text, Encoded& result, std::string& problem) {
  Utf8Scan scan = scan_utf8(text);
  if (scan.malformed.reason == nullptr) {
    result.characters = count_characters(text);
    return true;
  }
  if (on_error_ == OnError::strict) {
    char byte[8];
    std::snprintf(byte, sizeof byte, "0x%02x", static_cast<unsigned char>(text[scan.valid]));
    problem = std::string("text to write is not UTF-8: byte ") + byte + " in position " +
              std::to_string(scan.valid) + ": " + scan.malformed.reason;
    return false;
  }
  start_over(repaired_);
  for (std::string_view rest = text;; scan = scan_utf8(rest)) {
    result.characters += count_characters(rest.substr(0, scan.valid));
    repaired_ += rest.substr(0, scan.valid);
    if (scan.malformed.reason == nullptr) break;
    ++result.characters;
    if (on_error_ == OnError::replace) repaired_ += '?';
    rest.remove_prefix(scan.valid + scan.malformed.size);
  }
  text = repaired_;
  return true;
}

/// Returns the byte of a character, in an encoding of single bytes.
std::optional<unsigned char> Encoder::to_byte(std::uint32_t character) const noexcept {
  if (encoding_.codec == Codec::charmap) return encoding_.characters->byte(character);
  if (character >= (encoding_.codec == Codec::ascii ? 0x80U : 0x100U)) return std::nullopt;
  return static_cast<unsigned char>(character);
}

bool Encoder::encode_narrow(std::string_view text, std::string& problem) {
  for (std::string_view rest = text; !rest.empty();) {
    const std::string_view here = rest;
    if (const auto byte = to_byte(next_character(rest))) {
      encoded_ += static_cast<char>(*byte);
    } else if (on_error_ == OnError::strict) {
      std::size_t run = 1;
      while (!rest.empty() && !to_byte(next_character(rest))) ++run;
      const char* reason = "character maps to <undefined>";
      if (encoding_.codec == Codec::ascii) reason = "ordinal not in range(128)";
      if (encoding_.codec == Codec::latin1) reason = "ordinal not in range(256)";
      problem = describe(text, static_cast<std::size_t>(here.data() - text.data()), run, reason);
      return false;
    } else if (on_error_ == OnError::replace) {
      if (const auto mark = to_byte('?')) encoded_ += static_cast<char>(*mark);
    }
  }
  return true;
}

/// Encodes UTF-16 and UTF-32, and UTF-8 with a byte order mark.
void Encoder::encode_units(std::string_view text) {
  if (encoding_.codec == Codec::utf8) {
    encoded_ = "\xEF\xBB\xBF";
    encoded_ += text;
    return;
  }
  if (encoding_.marked) append_unit(kMark);
  while (!text.empty()) {
    const std::uint32_t character = next_character(text);
    if (character >= 0x10000 && encoding_.unit == 2) {
      append_unit(0xD800 + ((character - 0x10000) >> 10));
      append_unit(0xDC00 + (character & 0x3FF));
    } else {
      append_unit(character);
    }
  }
}

void Encoder::append_unit(std::uint32_t value) {
  for (std::size_t i = 0; i < encoding_.unit; ++i) {
    const std::size_t place = encoding_.big_endian ? encoding_.unit - 1 - i : i;
    encoded_ += static_cast<char>(value >> (8 * place));
  }
}

bool Encoder::encode_other(std::string_view text, std::string& problem) {
  char initial[16];
  for (std::string_view rest = text; !append_converted(rest);) {
    if (on_error_ == OnError::strict) {
      problem = describe(text, text.size() - rest.size(), 1, "illegal multibyte sequence");
      converter_.reset(initial, sizeof initial);
      return false;
    }
    next_character(rest);
    std::string_view mark = "?";
    if (on_error_ == OnError::replace) append_converted(mark);
  }
  // The output ends in the initial state, to which a later failure can return. Encodings with wide
  // units have no shift state, and a reset would write their mark again.
  if (encoding_.unit == 1) encoded_.append(initial, converter_.reset(initial, sizeof initial));
  return true;
}

/// Converts the beginning of `text` and removes it. Returns false at a character that the encoding
/// does not have.
bool Encoder::append_converted(std::string_view& text) {
  using Stop = sys::Converter::Stop;
  while (!text.empty()) {
    std::size_t most = text.size();
    if (!encoding_.encoded.empty()) {
      std::string_view rest = text;
      const std::uint32_t character = next_character(rest);
      if (const Deviation* const row = find_row(encoding_.encoded, character)) {
        if (row->result == Deviation::kRefused) return false;
        append_sequence(result_of(*row, character));
        text = rest;
        continue;
      }
      if (encoding_.pairs && character < 0x80) {  // ASCII in these encodings
        encoded_ += static_cast<char>(character);
        text = rest;
        continue;
      }
      most = text.size() - rest.size();
    }
    char piece[1024];
    const auto step = converter_.convert(text.data(), most, piece, sizeof piece);
    encoded_.append(piece, step.written);
    text.remove_prefix(step.read);
    if (step.stop != Stop::full && step.stop != Stop::done) return false;
  }
  return true;
}

/// Appends a byte sequence that is written as one number.
void Encoder::append_sequence(std::uint32_t sequence) {
  for (unsigned shift = 32; shift > 0;) {
    shift -= 8;
    if (sequence >> shift != 0) encoded_ += static_cast<char>(sequence >> shift);
  }
}

/// Returns Python's message about `characters` characters at byte `at` of `text`.
std::string Encoder::describe(std::string_view text, std::size_t at, std::size_t characters,
                              const char* reason) const {
  const std::size_t position = count_characters(text.substr(0, at));
  std::string message = "'" + encoding_.name + "' codec can't encode character";
  if (characters == 1) {
    std::string_view rest = text.substr(at);
    const std::uint32_t character = next_character(rest);
    const char* format = " '\\U%08x' in position ";
    if (character < 0x100)
      format = " '\\x%02x' in position ";
    else if (character < 0x10000)
      format = " '\\u%04x' in position ";
    char where[40];
    std::snprintf(where, sizeof where, format, static_cast<unsigned>(character));
    message += where + std::to_string(position);
  } else {
    message += "s in position " + std::to_string(position) + "-" +
               std::to_string(position + characters - 1);
  }
  return message + ": " + reason;
}

}  // namespace plug::detail
