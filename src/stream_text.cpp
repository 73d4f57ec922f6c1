#include "stream_text.hpp"

#include <plug/error.hpp>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <utility>

namespace plug::detail {

namespace {

constexpr const char* kReplacement = "\xEF\xBF\xBD";  // U+FFFD

/// Scratch strings above this size give their memory back.
constexpr std::size_t kKept = std::size_t{1} << 16;

std::string lower_case(std::string text) {
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return text;
}

std::string without_separators(std::string text) {
  std::erase_if(text, [](char c) { return c == '-' || c == '_' || c == ' '; });
  return text;
}

/// The name under which iconv knows an encoding that Python may spell differently
/// ("utf_16", "utf-16-le", "euc_jp"); empty when it knows none.
std::string find_iconv_name(const std::string& name) {
  // A slash would be an option of iconv's, and an empty name is the locale's encoding.
  if (name.empty() || name.find_first_of(std::string_view("/\0", 2)) != std::string::npos)
    return {};
  std::string dashes = name;
  std::replace(dashes.begin(), dashes.end(), '_', '-');
  for (const std::string& candidate : {name, dashes, without_separators(name)}) {
    if (sys::Converter("UTF-8", candidate).is_open() &&
        sys::Converter(candidate, "UTF-8").is_open())
      return candidate;
  }
  return {};
}

bool is_continuation(char c) noexcept { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; }

/// The first byte at or behind `p` that is not ASCII.
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

/// The code point at the beginning of valid UTF-8, which is made shorter by it.
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

Encoding::Encoding(const std::string& given) : codec(Codec::other), name(given) {
  const std::string plain = lower_case(without_separators(given));
  const auto is_one_of = [&plain](std::initializer_list<std::string_view> names) {
    return std::find(names.begin(), names.end(), plain) != names.end();
  };
  if (is_one_of({"utf8", "u8", "utf", "cp65001"})) {
    codec = Codec::utf8;
    name = "utf-8";
  } else if (is_one_of({"ascii", "usascii", "646"})) {
    codec = Codec::ascii;
    name = "ascii";
  } else if (is_one_of({"latin1", "latin", "l1", "iso88591", "8859", "cp819"})) {
    codec = Codec::latin1;
    name = "latin-1";
  } else {
    iconv_name = find_iconv_name(given);
    if (iconv_name.empty()) throw ValueError("unknown encoding: " + given);
    if (plain.starts_with("utf16") || plain.starts_with("ucs2")) unit = 2;
    if (plain.starts_with("utf32") || plain.starts_with("ucs4")) unit = 4;
  }
}

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
    // The Unicode Standard, table 3-7: what the second byte may be depends on the first.
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

Decoder::Decoder(const Encoding& encoding, OnError on_error)
    : codec_(encoding.codec), on_error_(on_error), unit_(encoding.unit) {
  if (codec_ == Codec::other) converter_ = sys::Converter("UTF-8", encoding.iconv_name);
}

std::size_t Decoder::most(std::size_t bytes) const noexcept {
  if (codec_ == Codec::other) return 4 * bytes;
  if (codec_ == Codec::latin1) return 2 * bytes;
  return on_error_ == OnError::replace ? 3 * bytes : bytes;  // U+FFFD
}

std::size_t Decoder::decode(std::string_view bytes, bool final, std::string& text,
                            Malformed& malformed) {
  malformed = {};
  switch (codec_) {
    case Codec::utf8:
      return decode_utf8(bytes, final, text, malformed);
    case Codec::ascii:
      return decode_ascii(bytes, text, malformed);
    case Codec::other:
      return decode_other(bytes, final, text, malformed);
    case Codec::latin1:
      break;
  }
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x80) {
      text += c;
    } else {
      text += static_cast<char>(0xC0 | (byte >> 6));
      text += static_cast<char>(0x80 | (byte & 0x3F));
    }
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
  std::size_t used = 0;
  for (;;) {
    char piece[1024];
    const auto step =
        converter_.convert(bytes.data() + used, bytes.size() - used, piece, sizeof piece);
    text.append(piece, step.written);
    used += step.read;
    if (step.stop == Stop::full) continue;
    if (step.stop == Stop::done || (step.stop == Stop::incomplete && !final)) return used;
    const std::size_t left = bytes.size() - used;
    const Malformed found = step.stop == Stop::incomplete
                                ? Malformed{left, "incomplete multibyte sequence"}
                                : Malformed{std::min(left, unit_), "illegal multibyte sequence"};
    if (on_error_ == OnError::strict) {
      malformed = found;
      return used;
    }
    if (on_error_ == OnError::replace) text += kReplacement;
    used += found.size;
  }
}

Encoder::Encoder(const Encoding& encoding, OnError on_error, std::string newline)
    : codec_(encoding.codec),
      on_error_(on_error),
      name_(encoding.name),
      newline_(std::move(newline)),
      // Those with wide units have no shift states, but a mark that a reset would write again.
      stateful_(encoding.unit == 1) {
  if (codec_ == Codec::other) converter_ = sys::Converter(encoding.iconv_name, "UTF-8");
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
  if (codec_ == Codec::utf8) {
    result.bytes = text;
    return result;
  }
  const bool whole =
      codec_ == Codec::other ? encode_other(text, problem) : encode_narrow(text, problem);
  if (!whole) return {};
  result.bytes = encoded_;
  return result;
}

/// Makes `text` valid UTF-8 and counts it.
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

/// ASCII and Latin-1: a byte a character.
bool Encoder::encode_narrow(std::string_view text, std::string& problem) {
  const std::uint32_t limit = codec_ == Codec::ascii ? 0x80 : 0x100;
  for (std::string_view rest = text; !rest.empty();) {
    const std::string_view here = rest;
    const std::uint32_t character = next_character(rest);
    if (character < limit) {
      encoded_ += static_cast<char>(character);
    } else if (on_error_ == OnError::strict) {
      std::size_t run = 1;
      while (!rest.empty() && next_character(rest) >= limit) ++run;
      problem = describe(
          text, static_cast<std::size_t>(here.data() - text.data()), run,
          codec_ == Codec::ascii ? "ordinal not in range(128)" : "ordinal not in range(256)");
      return false;
    } else if (on_error_ == OnError::replace) {
      encoded_ += '?';
    }
  }
  return true;
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
  // What has been written ends in the initial state, where a later failure can go back to.
  if (stateful_) encoded_.append(initial, converter_.reset(initial, sizeof initial));
  return true;
}

/// Converts the beginning of `text` and takes it off; false at a character that the encoding does
/// not have.
bool Encoder::append_converted(std::string_view& text) {
  using Stop = sys::Converter::Stop;
  for (;;) {
    char piece[1024];
    const auto step = converter_.convert(text.data(), text.size(), piece, sizeof piece);
    encoded_.append(piece, step.written);
    text.remove_prefix(step.read);
    if (step.stop != Stop::full) return step.stop == Stop::done;
  }
}

/// Python's message about `characters` characters at byte `at` of `text`.
std::string Encoder::describe(std::string_view text, std::size_t at, std::size_t characters,
                              const char* reason) const {
  const std::size_t position = count_characters(text.substr(0, at));
  std::string message = "'" + name_ + "' codec can't encode character";
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
