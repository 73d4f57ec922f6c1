#pragma once

// The kinds of object that a FileObject can refer to, each with its functions.

#include <plug/detail/cpp20.hpp>

#include <concepts>
#include <cstddef>
#include <memory>
#include <string_view>
#include <type_traits>
#include <typeinfo>
#include <utility>

#pragma GCC visibility push(default)

namespace plug {

class FileObject;
class Socket;

namespace detail {

template <class T>
concept HasFileno =
    std::is_class_v<T> && !std::is_base_of_v<FileObject, T> && requires(T & object) {
  { object.fileno() } -> std::convertible_to<int>;
};

/// Holds for the type of an rvalue that can be moved to another owner.
template <class T>
concept Ownable = HasFileno<T> && !std::is_const_v<T> && std::is_nothrow_move_constructible_v<T>;

/// Memory on the heap for an object that is moved there later.
template <class T>
class Room {
 public:
  Room() : place_(std::allocator<T>().allocate(1)) {}
  Room(const Room&) = delete;
  Room& operator=(const Room&) = delete;
  ~Room() {
    if (place_ != nullptr) std::allocator<T>().deallocate(place_, 1);
  }

  /// Returns the object in its new place. The caller must vacate() it.
  T& fill(T&& object) noexcept {
    return *std::construct_at(std::exchange(place_, nullptr), std::move(object));
  }

  static void vacate(void* object) noexcept {
    T* const place = static_cast<T*>(object);
    std::destroy_at(place);
    std::allocator<T>().deallocate(place, 1);
  }

 private:
  T* place_;
};

/// Returns the name of a type as the compiler spells it.
template <class T>
constexpr auto type_name() noexcept {
  const std::string_view text = __PRETTY_FUNCTION__;
  const std::size_t begin = text.find("T = ") + 4;
  return text.substr(begin, text.size() - begin - 1);
}

struct FileKind {
  int (*fileno)(const void* object);
  const Socket* (*socket)(const void* object);
  void (*vacate)(void* object) noexcept;  ///< of a Room; null if the type is not Ownable
  const std::type_info& type;
  bool constant;
  std::string_view name;
};

template <class T>
constexpr auto vacate_of() noexcept -> void (*)(void*) noexcept {
  if constexpr (Ownable<T>)
    return Room<T>::vacate;
  else
    return nullptr;
}

template <class T>
inline constexpr FileKind kFileKind = {
    [](const void* object) -> int { return static_cast<T*>(const_cast<void*>(object))->fileno(); },
    [](const void* object) -> const Socket* {
      if constexpr (std::is_convertible_v<T*, const Socket*>)
        return static_cast<const T*>(object);
      else
        return nullptr;
    },
    vacate_of<T>(),
    typeid(T),
    std::is_const_v<T>,
    type_name<std::remove_const_t<T>>()};

}  // namespace detail

}  // namespace plug

#pragma GCC visibility pop
