#pragma once

// The keys of selectors: the registered object, the events, and the data of the user.

#include <plug/detail/forward.hpp>
#include <plug/detail/user_data.hpp>
#include <plug/select/constants.hpp>
#include <plug/select/file_object.hpp>

#include <concepts>
#include <cstddef>
#include <iterator>
#include <memory>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <typeinfo>
#include <utility>

#pragma GCC visibility push(default)

namespace plug {

class UserData;

/// A value of any movable type, or none. It owns the value and stores it on the heap, so a
/// reference from get() remains valid when the UserData is moved. As with a pointer, the value of a
/// const UserData can be modified.
class UserData {
 public:
  UserData() noexcept = default;

  template <class T>
  requires detail::IsUserData<std::decay_t<T>> UserData(T&& value)
      : held_(std::make_unique<Held<std::decay_t<T>>>(std::forward<T>(value))) {}

  [[nodiscard]] bool has_value() const noexcept { return held_ != nullptr; }
  explicit operator bool() const noexcept { return has_value(); }

  /// Returns the value. Throws TypeError, naming both types, if it is not a T.
  template <class T>
  [[nodiscard]] T& get() const {
    if (T* const value = get_if<T>()) return *value;
    detail::throw_other_type(type_name(), detail::type_name<T>());
  }

  /// Returns the value if it is a T, otherwise null.
  template <class T>
  [[nodiscard]] T* get_if() const noexcept {
    if (!held_ || held_->type() != typeid(T)) return nullptr;
    return &static_cast<Held<std::remove_const_t<T>>&>(*held_).value;
  }

  /// Returns the type of the value as the compiler spells it; empty without a value.
  [[nodiscard]] std::string_view type_name() const noexcept {
    return held_ ? held_->name() : std::string_view();
  }

 private:
  struct Holder {
    Holder() = default;
    Holder(const Holder&) = delete;
    Holder& operator=(const Holder&) = delete;
    virtual ~Holder() = default;
    virtual const std::type_info& type() const noexcept = 0;
    virtual std::string_view name() const noexcept = 0;
  };

  template <class T>
  struct Held final : Holder {
    template <class V>
    explicit Held(V&& given) : value(std::forward<V>(given)) {}
    const std::type_info& type() const noexcept override { return typeid(T); }
    std::string_view name() const noexcept override { return detail::type_name<T>(); }
    T value;
  };

  std::unique_ptr<Holder> held_;
};

/// The object of a key: a FileObject, as it was passed to register_(). If it was moved into the
/// selector, the key owns it and destroys it.
class KeyObject : public FileObject {
 public:
  KeyObject(const FileObject& object) noexcept : FileObject(object) {}

  /// Takes over the object if `other` owns it, and leaves the number of its descriptor there.
  KeyObject(KeyObject&& other) noexcept
      : FileObject(other), is_owned_(std::exchange(other.is_owned_, false)) {
    if (is_owned_) other.FileObject::operator=(number_);
  }
  KeyObject& operator=(KeyObject&& other) noexcept {
    KeyObject taken(std::move(other));
    std::swap<FileObject>(*this, taken);
    std::swap(is_owned_, taken.is_owned_);
    return *this;
  }
  ~KeyObject() {
    if (is_owned_) kind_->vacate(const_cast<void*>(object_));
  }

  /// Returns true if the key owns the object.
  [[nodiscard]] bool is_owned() const noexcept { return is_owned_; }

 private:
  friend class BaseSelector;

  /// Takes over an object in a detail::Room.
  KeyObject(const FileObject& object, int fileno) noexcept : FileObject(object), is_owned_(true) {
    number_ = fileno;
  }

  bool is_owned_ = false;
};

/// A registered object.
struct SelectorKey {
  KeyObject fileobj;  ///< the argument of register_()
  int fd;             ///< its descriptor when it was registered
  EVENT events;       ///< the events to watch for
  UserData data;
};

/// A key and its events: EVENT::READ, EVENT::WRITE, or both. No events after the key has been
/// unregistered.
struct Ready {
  const SelectorKey& key;
  EVENT events;
};

/// The result of select(): a list that the selector owns, valid until the next select() or close().
/// Registering, modifying and unregistering are allowed during an iteration. The iteration skips
/// keys that have been unregistered. If the current key is unregistered, it stays valid, but
/// without its data; if the selector owned its object, the key has only the descriptor's number
/// left. A reference to the current element (auto&) then has no events, while a copy (auto) keeps
/// them.
class ReadyKeys {
 public:
  class iterator {
   public:
    using value_type = Ready;
    using difference_type = std::ptrdiff_t;

    iterator() noexcept = default;
    const Ready& operator*() const noexcept { return *at_; }
    const Ready* operator->() const noexcept { return at_; }
    iterator& operator++() noexcept {
      ++at_;
      skip();
      return *this;
    }
    iterator operator++(int) noexcept {
      iterator before = *this;
      ++*this;
      return before;
    }
    friend bool operator==(const iterator& a, const iterator& b) noexcept { return a.at_ == b.at_; }

   private:
    friend class ReadyKeys;
    iterator(const Ready* at, const Ready* end) noexcept : at_(at), end_(end) { skip(); }
    void skip() noexcept {
      while (at_ != end_ && at_->events == EVENT{}) ++at_;
    }

    const Ready* at_ = nullptr;
    const Ready* end_ = nullptr;
  };

  ReadyKeys() noexcept = default;

  [[nodiscard]] iterator begin() const noexcept { return {data_, data_ + size_}; }
  [[nodiscard]] iterator end() const noexcept { return {data_ + size_, data_ + size_}; }
  [[nodiscard]] bool empty() const noexcept { return begin() == end(); }
  [[nodiscard]] std::size_t size() const noexcept {
    return static_cast<std::size_t>(std::distance(begin(), end()));
  }

 private:
  friend class detail::select::SelectorImpl;
  ReadyKeys(const Ready* data, std::size_t size) noexcept : data_(data), size_(size) {}

  const Ready* data_ = nullptr;
  std::size_t size_ = 0;
};

/// The registered keys, in no particular order. Valid as long as the selector. Registering and
/// unregistering invalidate the iterators.
class SelectorMap {
 public:
  class iterator {
   public:
    using value_type = SelectorKey;
    using difference_type = std::ptrdiff_t;

    iterator() noexcept = default;
    const SelectorKey& operator*() const noexcept;
    const SelectorKey* operator->() const noexcept { return &**this; }
    iterator& operator++() noexcept;
    iterator operator++(int) noexcept {
      iterator before = *this;
      ++*this;
      return before;
    }
    friend bool operator==(const iterator&, const iterator&) noexcept = default;

   private:
    friend class SelectorMap;
    iterator(const detail::select::SelectorImpl* impl, std::size_t slot) noexcept;

    const detail::select::SelectorImpl* impl_ = nullptr;
    std::size_t slot_ = 0;
  };

  SelectorMap(const SelectorMap&) = delete;
  SelectorMap& operator=(const SelectorMap&) = delete;

  [[nodiscard]] std::size_t size() const noexcept;
  [[nodiscard]] bool empty() const noexcept { return size() == 0; }
  [[nodiscard]] iterator begin() const noexcept;
  [[nodiscard]] iterator end() const noexcept;

  /// Returns the key of an object; null if it is not registered. A closed object is found by
  /// identity. Throws ValueError if it is closed and not registered.
  [[nodiscard]] const SelectorKey* find(const FileObject& object) const;
  [[nodiscard]] bool contains(const FileObject& object) const { return find(object) != nullptr; }

  /// Returns the key of an object. Throws KeyError if it is not registered.
  [[nodiscard]] const SelectorKey& at(const FileObject& object) const;
  [[nodiscard]] const SelectorKey& operator[](const FileObject& object) const { return at(object); }

 private:
  friend class detail::select::SelectorImpl;
  explicit SelectorMap(const detail::select::SelectorImpl& impl) noexcept : impl_(impl) {}

  const detail::select::SelectorImpl& impl_;
};

}  // namespace plug

#pragma GCC visibility pop
