#include <plug/error.hpp>
#include <plug/text.hpp>

#include <algorithm>
#include <string_view>

namespace plug {

namespace {

constexpr std::string_view kWhitespace = " \t\n\r\v\f";

/// Returns a copy with `shift` added to the letters from `first` to `last`.
Bytes shifted(std::string_view data, char first, char last, int shift) {
  Bytes result(data);
  for (char& c : result)
    if (c >= first && c <= last) c = static_cast<char>(c + shift);
  return result;
}

std::string_view without_start(std::string_view data, std::string_view chars) {
  return data.substr(std::min(data.find_first_not_of(chars), data.size()));
}

std::string_view without_end(std::string_view data, std::string_view chars) {
  return data.substr(0, data.find_last_not_of(chars) + 1);
}

void check_separator(BytesView separator) {
  if (separator.empty()) throw ValueError("empty separator");
}

}  // namespace

Bytes upper(BytesView data) { return shifted(data, 'a', 'z', 'A' - 'a'); }

Bytes lower(BytesView data) { return shifted(data, 'A', 'Z', 'a' - 'A'); }

Bytes strip(BytesView data) { return strip(data, kWhitespace); }

Bytes strip(BytesView data, BytesView chars) {
  return Bytes(without_end(without_start(data, chars), chars));
}

Bytes lstrip(BytesView data) { return lstrip(data, kWhitespace); }

Bytes lstrip(BytesView data, BytesView chars) { return Bytes(without_start(data, chars)); }

Bytes rstrip(BytesView data) { return rstrip(data, kWhitespace); }

Bytes rstrip(BytesView data, BytesView chars) { return Bytes(without_end(data, chars)); }

std::vector<Bytes> split(BytesView data) {
  std::vector<Bytes> words;
  for (std::string_view rest = without_start(data, kWhitespace); !rest.empty();
       rest = without_start(rest, kWhitespace)) {
    const std::size_t size = std::min(rest.find_first_of(kWhitespace), rest.size());
    words.emplace_back(rest.substr(0, size));
    rest.remove_prefix(size);
  }
  return words;
}

std::vector<Bytes> split(BytesView data, BytesView separator, std::ptrdiff_t maxsplit) {
  check_separator(separator);
  std::vector<Bytes> parts;
  std::string_view rest = data;
  for (; maxsplit != 0; maxsplit -= maxsplit > 0 ? 1 : 0) {
    const std::size_t at = rest.find(separator);
    if (at == rest.npos) break;
    parts.emplace_back(rest.substr(0, at));
    rest.remove_prefix(at + separator.size());
  }
  parts.emplace_back(rest);
  return parts;
}

Partition partition(BytesView data, BytesView separator) {
  check_separator(separator);
  const std::string_view all = data;
  const std::size_t at = all.find(separator);
  if (at == all.npos) return {Bytes(all), {}, {}};
  return {Bytes(all.substr(0, at)), Bytes(separator), Bytes(all.substr(at + separator.size()))};
}

Partition rpartition(BytesView data, BytesView separator) {
  check_separator(separator);
  const std::string_view all = data;
  const std::size_t at = all.rfind(separator);
  if (at == all.npos) return {{}, {}, Bytes(all)};
  return {Bytes(all.substr(0, at)), Bytes(separator), Bytes(all.substr(at + separator.size()))};
}

}  // namespace plug
