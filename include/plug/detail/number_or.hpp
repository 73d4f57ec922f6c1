#pragma once

// Numbers in the addresses of families (plug/family/addresses.hpp).

#include <concepts>
#include <cstdint>
#include <type_traits>

#pragma GCC visibility push(default)

namespace plug::detail {

/// An integer of any type, or a constant of one of the enums, for a field that checks its range.
template <class... Enums>
class NumberOr {
 public:
  template <class T>
  requires(std::integral<T> || (std::is_enum_v<T> &&
                                std::is_convertible_v<T, int>)) constexpr NumberOr(T value) noexcept
      : value_(static_cast<std::uint64_t>(value)), negative_(value < T{}) {}

  template <class E>
  requires(std::same_as<E, Enums> || ...) constexpr NumberOr(E value) noexcept
      : NumberOr(static_cast<std::underlying_type_t<E>>(value)) {}

  template <std::floating_point T>
  NumberOr(T) = delete;

  /// Returns the value in two's complement.
  constexpr std::uint64_t value() const noexcept { return value_; }
  constexpr bool is_negative() const noexcept { return negative_; }

 private:
  std::uint64_t value_;
  bool negative_;
};

}  // namespace plug::detail

#pragma GCC visibility pop
