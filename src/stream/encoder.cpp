#include "stream/text.hpp"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <utility>

#include "stream/characters.hpp"

namespace plug::detail::stream {

namespace {

/// Scratch strings above this size release their memory.
constexpr std::size_t kKept = std::size_t{1} << 16;

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

void start_over(std::string& scratch) {
  if (scratch.capacity() > kKept) scratch = {};
  scratch.clear();
}

}  // namespace

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

}  // namespace plug::detail::stream
