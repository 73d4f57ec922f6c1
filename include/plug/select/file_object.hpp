#pragma once

// FileObject: an object to wait for.

#include <plug/bytes.hpp>
#include <plug/detail/file_kind.hpp>
#include <plug/detail/forward.hpp>

#include <concepts>
#include <iosfwd>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <typeinfo>

#pragma GCC visibility push(default)

namespace plug {

/// An object to wait for: a file descriptor, or an object with `int fileno()`, such as a Socket, a
/// File, an OwnedFd or an object of your own class. A FileObject is only a reference: while it is
/// in use, which in a selector means until it is unregistered, the object must neither move nor be
/// destroyed. To move or destroy it earlier, pass its descriptor instead. Python: a file object, or
/// its descriptor.
class FileObject {
 public:
  template <std::same_as<int> T>
  FileObject(T fileno) noexcept : number_(fileno) {}

  template <detail::HasFileno T>
  FileObject(T& object) noexcept : object_(std::addressof(object)), kind_(&detail::kFileKind<T>) {}

  /// Does not compile for a temporary object, which would end before the wait.
  template <detail::HasFileno T>
  FileObject(const T&& object) = delete;

  /// Returns the descriptor, or the object's current fileno(), which is -1 for a closed Socket.
  [[nodiscard]] int fileno() const { return kind_ == nullptr ? number_ : kind_->fileno(object_); }

  /// Returns true if this refers to that very object (Python's `is`).
  template <detail::HasFileno T>
  [[nodiscard]] bool is(const T& object) const noexcept {
    return object_ == std::addressof(object);
  }
  [[nodiscard]] bool is(int fileno) const noexcept { return kind_ == nullptr && number_ == fileno; }

  /// Returns the object. Throws TypeError, naming both types, if it was not given as a T (as a
  /// const T if it was const).
  template <class T>
  [[nodiscard]] T& get() const {
    if (T* const object = get_if<T>()) return *object;
    throw_other_type(detail::type_name<T>());
  }

  /// Returns the object if it was given as a T, otherwise null.
  template <class T>
  [[nodiscard]] T* get_if() const noexcept {
    if (kind_ == nullptr || kind_->type != typeid(T)) return nullptr;
    if (kind_->constant && !std::is_const_v<T>) return nullptr;
    return static_cast<T*>(const_cast<void*>(object_));
  }

  /// Returns true for the same object, or the same descriptor.
  friend bool operator==(const FileObject& a, const FileObject& b) noexcept {
    return a.object_ == b.object_ && (a.object_ != nullptr || a.number_ == b.number_);
  }

 private:
  friend struct detail::select::FileAccess;
  friend class KeyObject;

  [[noreturn]] void throw_other_type(std::string_view wanted) const;

  const void* object_ = nullptr;
  const detail::FileKind* kind_ = nullptr;
  int number_ = -1;
};

/// Returns "5", or "5 (plug::Socket)".
[[nodiscard]] std::string to_string(const FileObject& object);
std::ostream& operator<<(std::ostream& out, const FileObject& object);

/// A braced list, or any contiguous range of elements that convert to FileObject: {server, conn}, a
/// std::vector<Socket>, a std::vector<FileObject>. Use it as a parameter only; do not store it.
using FileObjects = detail::ListOf<FileObject>;

}  // namespace plug

#pragma GCC visibility pop
