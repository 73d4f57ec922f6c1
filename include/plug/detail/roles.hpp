#pragma once

// The roles of an enum of constants: how its values may be used. constants.hpp and the other
// headers of constants specialize kRoles for their enums.

#include <plug/detail/cpp20.hpp>

#include <concepts>

#pragma GCC visibility push(default)

namespace plug::detail {

inline constexpr unsigned kFlags = 1;     // or-able
inline constexpr unsigned kProtocol = 2;  // the protocol of a socket
inline constexpr unsigned kLevel = 4;     // the level of an option
inline constexpr unsigned kOption = 8;    // the name of an option
inline constexpr unsigned kControl = 16;  // the type of a control message; options are also types

/// The roles of an enum, combined with |. Enums without a specialization have none.
template <class E>
inline constexpr unsigned kRoles = 0;

template <class E>
concept FlagEnum = (kRoles<E> & kFlags) != 0;

template <FlagEnum E>
constexpr E flags_in_either(E a, E b) noexcept {
  return static_cast<E>(static_cast<int>(a) | static_cast<int>(b));
}
template <FlagEnum E>
constexpr E flags_not_in(E a) noexcept {
  return static_cast<E>(~static_cast<int>(a));
}

/// The flags that two values have in common: the result of `a & b`. Converts to the enum wherever
/// one is expected, and explicitly to a number; true in a condition if there is any such flag.
template <FlagEnum E>
class CommonFlags {
 public:
  constexpr CommonFlags(E a, E b) noexcept
      : flags_(static_cast<E>(static_cast<int>(a) & static_cast<int>(b))) {}

  constexpr operator E() const noexcept { return flags_; }

  template <std::integral T>  // bool included
  constexpr explicit operator T() const noexcept {
    return static_cast<T>(flags_);
  }

  // The templates for the enum deduce nothing from this class.
  friend constexpr E operator|(E a, E b) noexcept { return flags_in_either(a, b); }
  friend constexpr CommonFlags operator&(E a, E b) noexcept { return {a, b}; }
  friend constexpr E operator~(E a) noexcept { return flags_not_in(a); }

 private:
  E flags_;
};

/// An int that also converts from the enums with a certain role.
template <unsigned Role>
class IntOr {
 public:
  constexpr IntOr(int value = 0) noexcept : value_(value) {}

  template <std::floating_point T>
  IntOr(T) = delete;

  template <class E>
  requires((kRoles<E> & Role) != 0) constexpr IntOr(E value) noexcept
      : value_(static_cast<int>(value)) {}

  constexpr operator int() const noexcept { return value_; }

 private:
  int value_;
};

}  // namespace plug::detail

#pragma GCC visibility pop
