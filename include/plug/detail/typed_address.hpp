#pragma once

// Types that convert to Address: the internal part of plug/address.hpp.

#include <concepts>
#include <string>
#include <system_error>

#pragma GCC visibility push(default)

namespace plug {

class Address;

}  // namespace plug

namespace plug::detail {

/// The base class of plug's typed addresses.
struct TypedAddress {};

/// A type that converts to Address without being one. If the conversion needs a system call, the
/// type also has to_address(std::error_code&), which does not throw.
template <class T>
concept ConvertsToAddress =
    std::convertible_to<const T&, Address> && !std::derived_from<T, Address>;

/// Functions that convert and print a typed address.
struct TypedFunctions {
  Address (*address)(const void* typed, std::error_code& error);
  std::string (*text)(const void* typed);
};

/// The functions of T. `Result` is Address, which is not complete here.
template <ConvertsToAddress T, class Result = Address>
inline constexpr TypedFunctions kTypedFunctions{
    [](const void* typed, std::error_code& error) -> Result {
      const T& address = *static_cast<const T*>(typed);
      if constexpr (requires { address.to_address(error); })
        return address.to_address(error);
      else
        return address;
    },
    [](const void* typed) {
      const T& address = *static_cast<const T*>(typed);
      if constexpr (std::derived_from<T, TypedAddress>)
        return to_string(address);
      else
        return to_string(static_cast<Result>(address));
    }};

}  // namespace plug::detail

#pragma GCC visibility pop
