#pragma once

// Functions on received bytes that Python's bytes has as methods: upper(), strip(), split() ...
//
//   auto [verb, space, rest] = partition(strip(line), " ");
//   if (upper(verb) == "MAIL") ...
//
// As in Python, letters and whitespace are those of ASCII and do not depend on the locale. Other
// bytes, such as those of UTF-8, stay as they are. Whitespace is " \t\n\r\v\f". Each result owns
// its bytes and the argument does not change. Bytes itself, a std::string, has startswith, endswith
// and find as starts_with(), ends_with() and find().
//
// All functions are thread-safe.
//
// Python: https://docs.python.org/3/library/stdtypes.html#bytes-and-bytearray-operations

#include <plug/bytes.hpp>

#include <cstddef>
#include <vector>

#pragma GCC visibility push(default)

namespace plug {

/// Returns a copy in upper case.
[[nodiscard]] Bytes upper(BytesView data);

/// Returns a copy in lower case.
[[nodiscard]] Bytes lower(BytesView data);

/// Returns a copy without the whitespace at both ends, or without the bytes there that are one of
/// `chars`. lstrip() looks at the beginning only, rstrip() at the end.
[[nodiscard]] Bytes strip(BytesView data);
[[nodiscard]] Bytes strip(BytesView data, BytesView chars);
[[nodiscard]] Bytes lstrip(BytesView data);
[[nodiscard]] Bytes lstrip(BytesView data, BytesView chars);
[[nodiscard]] Bytes rstrip(BytesView data);
[[nodiscard]] Bytes rstrip(BytesView data, BytesView chars);

/// Returns the words of `data`, which whitespace separates; none if there is only whitespace.
[[nodiscard]] std::vector<Bytes> split(BytesView data);

/// Returns the parts of `data` between the separators, empty ones too, at least one. With
/// `maxsplit` >= 0, splits at the first `maxsplit` separators only. Throws ValueError if the
/// separator is empty.
[[nodiscard]] std::vector<Bytes> split(BytesView data, BytesView separator,
                                       std::ptrdiff_t maxsplit = -1);

/// The three parts of partition().
struct Partition {
  Bytes before;
  Bytes separator;
  Bytes after;
};

/// Splits at the first separator, or, as rpartition(), at the last one. Without a separator,
/// partition() returns {data, "", ""} and rpartition() {"", "", data}. Throws ValueError if the
/// separator is empty.
[[nodiscard]] Partition partition(BytesView data, BytesView separator);
[[nodiscard]] Partition rpartition(BytesView data, BytesView separator);

}  // namespace plug

#pragma GCC visibility pop
