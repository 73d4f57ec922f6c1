#pragma once

// What to_string() prints, for {fmt} and for std::format: addresses, sockets, time-outs, errors.
//
//   #include <plug/format.hpp>
//
//   fmt::print("{:<30} connected\n", peer);
//   std::format("{}", error);  // of an OSError: its what()
//
// The specifications are those of strings: fill, alignment, width, precision. {fmt} is served where
// <fmt/format.h> can be found, std::format where the standard library has it. This header is not
// part of plug.hpp. It serves every type of plug that has a to_string(); include that type's
// header.

#include <plug/plug.hpp>

#include <concepts>
#include <string>
#include <string_view>

#if __has_include(<fmt/format.h>)
#include <fmt/format.h>
#endif
#if __has_include(<version>)
#include <version>
#endif
#ifdef __cpp_lib_format
#include <format>
#endif

#pragma GCC visibility push(default)

namespace plug::detail::format {

/// The types that plug::to_string() is for, and not those that convert to one of them.
template <class T>
concept Printable = requires {
  static_cast<std::string (*)(const T&)>(&plug::to_string);
};

template <class T>
concept Formattable = Printable<T> || std::derived_from<T, OSError>;

template <Formattable T>
std::string text_of(const T& value) {
  if constexpr (Printable<T>)
    return plug::to_string(value);
  else
    return value.what();
}

}  // namespace plug::detail::format

#if __has_include(<fmt/format.h>)
template <plug::detail::format::Formattable T>
struct fmt::formatter<T, char> : fmt::formatter<fmt::string_view, char> {
  template <class Context>
  auto format(const T& value, Context& context) const {
    return fmt::formatter<fmt::string_view, char>::format(plug::detail::format::text_of(value),
                                                          context);
  }
};
#endif

#ifdef __cpp_lib_format
template <plug::detail::format::Formattable T>
struct std::formatter<T, char> : std::formatter<std::string_view, char> {
  template <class Context>
  auto format(const T& value, Context& context) const {
    return std::formatter<std::string_view, char>::format(plug::detail::format::text_of(value),
                                                          context);
  }
};
#endif

#pragma GCC visibility pop
