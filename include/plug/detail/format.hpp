#pragma once

// The types that plug/format.hpp formats.

#include <plug/plug.hpp>

#include <concepts>
#include <string>

#pragma GCC visibility push(default)

namespace plug::detail::format {

/// Types with a plug::to_string() of exactly this type; types that convert to one are excluded.
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

#pragma GCC visibility pop
