#pragma once

// The internal part of UserData (plug/select/keys.hpp).

#include <concepts>
#include <string_view>
#include <system_error>

#pragma GCC visibility push(default)

namespace plug {

class UserData;

}  // namespace plug

namespace plug::detail {

template <class T>
concept IsUserData =
    !std::same_as<T, UserData> && !std::same_as<T, std::error_code> && std::move_constructible<T>;

[[noreturn]] void throw_other_type(std::string_view is, std::string_view wanted);

}  // namespace plug::detail

#pragma GCC visibility pop
