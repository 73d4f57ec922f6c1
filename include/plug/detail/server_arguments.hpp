#pragma once

// The constructor arguments that Server<T> passes to T.

#include <plug/server/base.hpp>
#include <plug/server/request_handler.hpp>

#include <concepts>
#include <type_traits>

#pragma GCC visibility push(default)

namespace plug::detail {

/// Converts to bool, with the value false, and to nothing else. A plain false converts to more
/// types.
struct DontBind {
  template <std::same_as<bool> T>
  operator T() const noexcept {
    return false;
  }
};

/// True if T can be constructed from (address, handler, bind_and_activate, more...).
template <class T, class... More>
inline constexpr bool takes_bind_flag =
    std::is_constructible_v<T, ServerAddress, HandlerFactory, DontBind, More...>;
/// True if the first of these is bind_and_activate.
template <class T, class... More>
inline constexpr bool begins_with_bind_flag = false;
template <class T, class... More>
inline constexpr bool begins_with_bind_flag<T, bool, More...> = takes_bind_flag<T, More...>;
/// True if the first of these is the options.
template <class T, class... More>
inline constexpr bool begins_with_options = false;
template <class T, class First, class... More>
inline constexpr bool begins_with_options<T, First, More...> =
    std::same_as<First, typename T::Options>;
/// True if these begin with an address and a handler.
template <class... Any>
inline constexpr bool begin_as_server_arguments = false;
template <class A, class H, class... More>
inline constexpr bool begin_as_server_arguments<A, H, More...> =
    std::convertible_to<A, ServerAddress>&& std::convertible_to<H, HandlerFactory>;
/// True if T can be constructed from (address, handler, more...), without bind_and_activate.
template <class T, class... More>
concept TakesNoBindFlag =
    !takes_bind_flag<T, More...> && !begins_with_bind_flag<T, std::remove_cvref_t<More>...> &&
    !begins_with_options<T, std::remove_cvref_t<More>...> &&
    std::is_constructible_v<T, ServerAddress, HandlerFactory, More...>;

}  // namespace plug::detail

#pragma GCC visibility pop
