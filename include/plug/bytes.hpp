#pragma once

// Types for data that is sent and received. Bytes owns its data. BytesView and MutableBytes are
// parameter types: they point to the caller's memory during a call and are never stored.

#include <plug/detail/byte_range.hpp>
#include <plug/detail/list_of.hpp>

#include <concepts>
#include <cstddef>
#include <initializer_list>
#include <memory>
#include <new>
#include <string>
#include <string_view>
#include <type_traits>

#pragma GCC visibility push(default)

namespace plug {

/// Received data. It may contain any byte, including NUL.
using Bytes = std::string;

/// A view of bytes to send: a pointer and a size.
///
/// Converts from any contiguous range of byte-sized elements (std::string, std::string_view,
/// std::vector<unsigned char>, std::span<const std::byte>, std::array, arrays of unsigned char or
/// std::byte) and from a string literal, without its terminating NUL.
///
/// Other arrays of char, and plain pointers, do not compile, because their length is not known.
/// Pass a std::string_view of the part to send instead.
///
/// Converts to std::string_view and to std::span<const std::byte>. As with std::span, an index or a
/// part that is out of range is undefined behaviour; the standard library's assertions check it
/// (_GLIBCXX_ASSERTIONS).
class BytesView {
 public:
  constexpr BytesView() noexcept = default;

  BytesView(const void* data, std::size_t size) noexcept
      : data_(static_cast<const char*>(data)), size_(size) {}

  template <std::size_t N>
  consteval BytesView(const char (&literal)[N]) : data_(literal), size_(N - 1) {
    if (literal[N - 1] != '\0') throw "no literal: a constant array of char that ends without NUL";
  }

  template <std::size_t N>
  BytesView(char (&array)[N]) = delete;

  template <detail::ByteSized T, std::size_t N>
  requires(!detail::CharacterLike<T>) BytesView(T (&array)[N])
  noexcept : BytesView(static_cast<const void*>(array), N) {}

  template <class R>
  requires detail::ByteRange<R> BytesView(R&& range)
  noexcept(noexcept(range.data()))
      : BytesView(static_cast<const void*>(range.data()), static_cast<std::size_t>(range.size())) {}

  constexpr const char* data() const noexcept { return data_; }
  constexpr std::size_t size() const noexcept { return size_; }
  constexpr bool empty() const noexcept { return size_ == 0; }
  constexpr const char* begin() const noexcept { return data_; }
  constexpr const char* end() const noexcept { return data_ + size_; }

  /// Returns the byte at `index`, which must be less than size().
  constexpr const char& operator[](std::size_t index) const noexcept {
    detail::check_part({data_, size_}, index, 1);
    return data_[index];
  }

  /// Returns the first `count` bytes. `count` must not exceed size().
  [[nodiscard]] constexpr BytesView first(std::size_t count) const noexcept {
    return subspan(0, count);
  }

  /// Returns the last `count` bytes. `count` must not exceed size().
  [[nodiscard]] constexpr BytesView last(std::size_t count) const noexcept {
    return subspan(size_ - count, count);
  }

  /// Returns the bytes from `offset` on. `offset` must not exceed size().
  [[nodiscard]] constexpr BytesView subspan(std::size_t offset) const noexcept {
    return subspan(offset, size_ - offset);
  }

  /// Returns `count` bytes from `offset` on. `offset + count` must not exceed size().
  [[nodiscard]] constexpr BytesView subspan(std::size_t offset, std::size_t count) const noexcept {
    detail::check_part({data_, size_}, offset, count);
    BytesView part;
    part.data_ = data_ + offset;
    part.size_ = count;
    return part;
  }

  constexpr operator std::string_view() const noexcept { return {data_, size_}; }

  template <class S>
  requires detail::SpanOf<S, const std::byte>
  operator S() const noexcept { return S(reinterpret_cast<const std::byte*>(data_), size_); }

 private:
  const char* data_ = "";
  std::size_t size_ = 0;
};

/// A view of memory to receive into: a pointer and a size.
///
/// Converts from any contiguous range of writable byte-sized elements and from arrays of them. The
/// range keeps its size: receiving into a std::string overwrites its bytes and never grows it.
///
/// Converts to BytesView, std::span<std::byte> and std::span<const std::byte>. An index or a part
/// that is out of range is undefined behaviour, as for BytesView.
class MutableBytes {
 public:
  constexpr MutableBytes() noexcept = default;

  MutableBytes(void* data, std::size_t size) noexcept
      : data_(static_cast<char*>(data)), size_(size) {}

  template <detail::ByteSized T, std::size_t N>
  requires(!std::is_const_v<T>) MutableBytes(T (&array)[N])
  noexcept : MutableBytes(static_cast<void*>(array), N) {}

  template <class R>
  requires detail::WritableByteRange<R> MutableBytes(R&& range)
  noexcept(noexcept(range.data()))
      : MutableBytes(static_cast<void*>(range.data()), static_cast<std::size_t>(range.size())) {}

  constexpr char* data() const noexcept { return data_; }
  constexpr std::size_t size() const noexcept { return size_; }
  constexpr bool empty() const noexcept { return size_ == 0; }
  constexpr char* begin() const noexcept { return data_; }
  constexpr char* end() const noexcept { return data_ + size_; }

  /// Returns the byte at `index`, which must be less than size().
  constexpr char& operator[](std::size_t index) const noexcept {
    detail::check_part({data_, size_}, index, 1);
    return data_[index];
  }

  /// Returns the first `count` bytes. `count` must not exceed size().
  [[nodiscard]] constexpr MutableBytes first(std::size_t count) const noexcept {
    return subspan(0, count);
  }

  /// Returns the last `count` bytes. `count` must not exceed size().
  [[nodiscard]] constexpr MutableBytes last(std::size_t count) const noexcept {
    return subspan(size_ - count, count);
  }

  /// Returns the bytes from `offset` on. `offset` must not exceed size().
  [[nodiscard]] constexpr MutableBytes subspan(std::size_t offset) const noexcept {
    return subspan(offset, size_ - offset);
  }

  /// Returns `count` bytes from `offset` on. `offset + count` must not exceed size().
  [[nodiscard]] constexpr MutableBytes subspan(std::size_t offset,
                                               std::size_t count) const noexcept {
    detail::check_part({data_, size_}, offset, count);
    MutableBytes part;
    part.data_ = data_ + offset;
    part.size_ = count;
    return part;
  }

  template <class S>
  requires detail::SpanOf<S, std::byte>
  operator S() const noexcept { return S(reinterpret_cast<std::byte*>(data_), size_); }

  template <class S>
  requires detail::SpanOf<S, const std::byte>
  operator S() const noexcept { return S(reinterpret_cast<const std::byte*>(data_), size_); }

 private:
  char* data_ = nullptr;
  std::size_t size_ = 0;
};

/// A number of bytes to receive: any integer. The calls that take it refuse a negative one, and one
/// above 2^63 - 1, with the error that they document.
class ByteCount {
 public:
  template <std::integral T>
  requires(!std::same_as<std::remove_cv_t<T>, bool>) constexpr ByteCount(T count) noexcept
      : value_(static_cast<std::ptrdiff_t>(count)) {}

  constexpr std::ptrdiff_t value() const noexcept { return value_; }

 private:
  std::ptrdiff_t value_;
};

/// Buffers to send, one after another: {"head", body, tail}, or a range of elements that convert to
/// BytesView. A range of other elements than BytesView allocates if it has more than 16.
using Buffers = detail::ListOf<BytesView>;

/// Buffers to receive into, filled one after another. Converts from the same arguments as Buffers.
using MutableBuffers = detail::ListOf<MutableBytes>;

}  // namespace plug

#pragma GCC visibility pop
