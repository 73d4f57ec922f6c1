#pragma once

// The types that convert to BytesView and MutableBytes.

#include <plug/detail/cpp20.hpp>

#include <concepts>
#include <cstddef>
#include <string_view>
#include <type_traits>
#include <utility>

#pragma GCC visibility push(default)

namespace plug::detail {

template <class T>
concept ByteSized = sizeof(T) == 1 && std::is_trivially_copyable_v<T> &&
                    !std::same_as<std::remove_cv_t<T>, bool>;

template <class R>
concept ByteRange = !std::is_array_v<std::remove_reference_t<R>> && requires(R & range) {
  { range.size() } -> std::convertible_to<std::size_t>;
  requires ByteSized<std::remove_pointer_t<decltype(range.data())>>;
};

template <class T>
concept CharacterLike = std::same_as < std::remove_cv_t<T>,
char > || std::same_as<std::remove_cv_t<T>, char8_t>;

template <class R>
concept WritableByteRange =
    ByteRange<R> && !std::is_const_v<std::remove_pointer_t<decltype(std::declval<R&>().data())>>;

/// std::span<Byte>, or a class like it. Found by its members, because <span> is expensive to
/// include.
template <class S, class Byte>
concept SpanOf = std::same_as<typename S::element_type, Byte> &&
                     S::extent == static_cast<std::size_t>(-1) &&
                 std::constructible_from<S, Byte*, std::size_t>;

/// Checks that `all` has `count` bytes from `offset` on, where the standard library checks its own
/// preconditions: with libstdc++, if _GLIBCXX_ASSERTIONS is defined.
constexpr void check_part(std::string_view all, std::size_t offset, std::size_t count) noexcept {
  all.remove_prefix(offset);
  all.remove_prefix(count);
}

}  // namespace plug::detail

#pragma GCC visibility pop
