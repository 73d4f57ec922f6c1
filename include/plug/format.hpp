#pragma once

// Formatters for {fmt} and std::format. They print the to_string() of addresses, sockets, timeouts
// and all other types of plug that have one, and the what() of an OSError.
//
//   #include <plug/format.hpp>
//
//   fmt::print("{:<30} connected\n", peer);
//   std::format("{}", error);  // an OSError
//
// The format specifications are those of strings: fill, alignment, width, precision. The formatters
// for {fmt} require <fmt/format.h>, those for std::format a standard library that has it. plug.hpp
// does not include this header.

#include <plug/detail/format.hpp>
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
