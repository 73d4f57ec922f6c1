#pragma once

// A list of values as a parameter of a call.

#include <concepts>
#include <cstddef>
#include <initializer_list>
#include <iterator>
#include <memory>
#include <new>
#include <type_traits>

#pragma GCC visibility push(default)

namespace plug::detail {

template <class R, class T>
concept RangeOf = requires(R& range) {
  { range.size() } -> std::convertible_to<std::size_t>;
  requires std::same_as<std::remove_cvref_t<decltype(*range.data())>, T> ||
      (std::is_class_v<T> && std::is_convertible_v<decltype(*range.data()), T>);
};

/// A list of values for one call: a braced list, or any contiguous range of values or of elements
/// that convert to them. A parameter type: it points to its argument and must not be stored.
template <class T>
class ListOf {
 public:
  ListOf() noexcept = default;

  ListOf(std::initializer_list<T> list) noexcept { point_at(std::data(list), list.size()); }

  template <class R>
  requires RangeOf<R, T> ListOf(R&& range) {
    using Element = std::remove_cvref_t<decltype(*range.data())>;
    const auto count = static_cast<std::size_t>(range.size());
    if constexpr (std::same_as<Element, T>) {
      point_at(range.data(), count);
    } else {
      static_assert(std::is_trivially_destructible_v<T>);
      if (count > kFew) many_.reset(new unsigned char[count * sizeof(T)]);
      unsigned char* const room = many_ ? many_.get() : few_;
      for (std::size_t i = 0; i < count; ++i) ::new (room + i * sizeof(T)) T(range.data()[i]);
      point_at(std::launder(reinterpret_cast<const T*>(room)), count);
    }
  }

  ListOf(const ListOf&) = delete;
  ListOf& operator=(const ListOf&) = delete;

  const T* data() const noexcept { return data_; }
  std::size_t size() const noexcept { return size_; }
  bool empty() const noexcept { return size_ == 0; }
  const T* begin() const noexcept { return data_; }
  const T* end() const noexcept { return data_ + size_; }

 private:
  void point_at(const T* data, std::size_t size) noexcept {
    data_ = data;
    size_ = size;
  }

  static constexpr std::size_t kFew = 16;

  const T* data_ = nullptr;
  std::size_t size_ = 0;
  // The converted elements of a range.
  std::unique_ptr<unsigned char[]> many_;
  alignas(T) unsigned char few_[kFew * sizeof(T)];
};

}  // namespace plug::detail

#pragma GCC visibility pop
