#pragma once

// Selectors: wait until objects are ready, and keep data with each object. Python's selectors
// module.
//
//   DefaultSelector selector;
//   selector.register_(server, EVENT::READ);
//   for (;;) {
//     for (auto [key, events] : selector.select()) {
//       if (key.fileobj.is(server))
//         selector.register_(conn, EVENT::READ, Session{...});
//       else
//         key.data.get<Session>().serve(events);
//     }
//   }
//
// DefaultSelector is EpollSelector: the cost of select() depends on the ready objects, not on the
// registered ones. register_() ends in an underscore because `register` is a C++ keyword.
//
// Thread safety. Use a selector in one thread at a time. That includes close(), which does not end
// a select() in another thread; to end that, register an eventfd or one end of a socketpair() and
// write to the other. A second concurrent select() throws RuntimeError.
//
// Fibers. While one fiber waits in select(), another fiber of the thread may make any other call. A
// registration or change applies from the next select() on; with EpollSelector it applies at once.
// An unregistered key is not returned. Closing or destroying the selector ends the wait with
// ValueError. Moving it does not end the wait.
//
// Lifetime. The selector does not own the objects. Unless it is registered as a number, an object
// must not be moved or destroyed before it is unregistered. Unregister an object before you close
// it, because the system may give its number to another file at once. EpollSelector never reports
// events of one file under the key of another, even if the number has been reused or a duplicate of
// a closed descriptor is still open. The other selectors know descriptors only by number.
//
// Python: https://docs.python.org/3/library/selectors.html

#include <plug/error.hpp>
#include <plug/select.hpp>
#include <plug/select/constants.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <typeinfo>
#include <utility>
#include <vector>

namespace plug::detail {

class SelectorImpl;

}  // namespace plug::detail

#pragma GCC visibility push(default)

namespace plug {

class UserData;

namespace detail {
template <class T>
concept IsUserData =
    !std::same_as<T, UserData> && !std::same_as<T, std::error_code> && std::move_constructible<T>;

[[noreturn]] void throw_other_type(std::string_view is, std::string_view wanted);
}  // namespace detail

/// A value of any movable type, or none. It owns the value and stores it on the heap, so a
/// reference from get() remains valid when the UserData is moved. As with a pointer, the value of a
/// const UserData can be modified.
class UserData {
 public:
  UserData() noexcept = default;

  template <class T>
  requires detail::IsUserData<std::decay_t<T>> UserData(T&& value)
      : held_(std::make_unique<Held<std::decay_t<T>>>(std::forward<T>(value))) {}

  bool has_value() const noexcept { return held_ != nullptr; }
  explicit operator bool() const noexcept { return has_value(); }

  /// Returns the value. Throws TypeError, naming both types, if it is not a T.
  template <class T>
  T& get() const {
    if (T* const value = get_if<T>()) return *value;
    detail::throw_other_type(type_name(), detail::type_name<T>());
  }

  /// Returns the value if it is a T, otherwise null.
  template <class T>
  T* get_if() const noexcept {
    if (!held_ || held_->type() != typeid(T)) return nullptr;
    return &static_cast<Held<std::remove_const_t<T>>&>(*held_).value;
  }

  /// Returns the type of the value as the compiler spells it; empty without a value.
  std::string_view type_name() const noexcept { return held_ ? held_->name() : std::string_view(); }

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

/// A registered object.
struct SelectorKey {
  FileObject fileobj;  ///< the argument of register_()
  int fd;              ///< its descriptor when it was registered
  EVENT events;        ///< the events to watch for
  UserData data;
};

/// A key and its events: EVENT::READ, EVENT::WRITE, or both.
struct Ready {
  const SelectorKey& key;
  EVENT events;
};

/// The result of select(): a list that the selector owns, valid until the next select() or close().
/// Registering, modifying and unregistering are allowed during an iteration. The iteration skips
/// keys that have been unregistered; the current key remains valid, but without its data.
class ReadyKeys {
  struct Entry {
    const SelectorKey* key;
    EVENT events;  // none: unregistered since
  };

 public:
  class iterator {
   public:
    using value_type = Ready;
    using difference_type = std::ptrdiff_t;

    iterator() noexcept = default;
    Ready operator*() const noexcept { return {*at_->key, at_->events}; }
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
    iterator(const Entry* at, const Entry* end) noexcept : at_(at), end_(end) { skip(); }
    void skip() noexcept {
      while (at_ != end_ && at_->events == EVENT{}) ++at_;
    }

    const Entry* at_ = nullptr;
    const Entry* end_ = nullptr;
  };

  ReadyKeys() noexcept = default;

  iterator begin() const noexcept { return {data_, data_ + size_}; }
  iterator end() const noexcept { return {data_ + size_, data_ + size_}; }
  bool empty() const noexcept { return begin() == end(); }
  std::size_t size() const noexcept {
    return static_cast<std::size_t>(std::distance(begin(), end()));
  }

 private:
  friend class detail::SelectorImpl;
  ReadyKeys(const Entry* data, std::size_t size) noexcept : data_(data), size_(size) {}

  const Entry* data_ = nullptr;
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
    iterator(const detail::SelectorImpl* impl, std::size_t slot) noexcept;

    const detail::SelectorImpl* impl_ = nullptr;
    std::size_t slot_ = 0;
  };

  SelectorMap(const SelectorMap&) = delete;
  SelectorMap& operator=(const SelectorMap&) = delete;

  std::size_t size() const noexcept;
  bool empty() const noexcept { return size() == 0; }
  iterator begin() const noexcept;
  iterator end() const noexcept;

  /// Returns the key of an object; null if it is not registered. A closed object is found by
  /// identity. Throws ValueError if it is closed and not registered.
  const SelectorKey* find(const FileObject& object) const;
  bool contains(const FileObject& object) const { return find(object) != nullptr; }

  /// Returns the key of an object. Throws KeyError if it is not registered.
  const SelectorKey& at(const FileObject& object) const;
  const SelectorKey& operator[](const FileObject& object) const { return at(object); }

 private:
  friend class detail::SelectorImpl;
  explicit SelectorMap(const detail::SelectorImpl& impl) noexcept : impl_(impl) {}

  const detail::SelectorImpl& impl_;
};

/// An argument of modify() that keeps the data.
struct KeepData {
  // Does not convert from {}, which means no data.
  explicit constexpr KeepData(std::nullptr_t) noexcept {}
};
inline constexpr KeepData kKeepData{nullptr};

/// The interface of all selectors. Take a BaseSelector& to work with any of them.
///
/// A key does not move in memory until it is unregistered.
///
/// After close(), register_() and select() throw ValueError; modify() and unregister() throw
/// KeyError, because nothing is registered. On a moved-from selector all four throw ValueError.
class BaseSelector {
 public:
  BaseSelector(const BaseSelector&) = delete;
  BaseSelector& operator=(const BaseSelector&) = delete;
  /// Closes the selector.
  virtual ~BaseSelector();

  /// Watches `object` for `events`: READ, WRITE, or both. Throws ValueError for other events or a
  /// closed object, KeyError if its descriptor is already registered, OSError if the system refuses
  /// it (EpollSelector: EPERM for a regular file, EBADF). The form with an error code returns null
  /// after a failure.
  const SelectorKey& register_(const FileObject& object, EVENT events, UserData data = {});
  const SelectorKey* register_(const FileObject& object, EVENT events, UserData data,
                               std::error_code& error);

  /// Stops watching `object` and returns its key with the data. A closed object is found by
  /// identity. Throws KeyError if it is not registered, ValueError if it is closed and not
  /// registered. The form with an error code then returns a key whose fd is -1.
  SelectorKey unregister(const FileObject& object);
  SelectorKey unregister(const FileObject& object, std::error_code& error);

  /// Replaces the events and the data. As in Python, the data is removed if none is given;
  /// kKeepData keeps it. Makes a system call only if the events change. Throws as register_() and
  /// unregister() do; if the system refuses, the object is unregistered.
  const SelectorKey& modify(const FileObject& object, EVENT events, UserData data = {});
  const SelectorKey* modify(const FileObject& object, EVENT events, UserData data,
                            std::error_code& error);
  const SelectorKey& modify(const FileObject& object, EVENT events, KeepData);
  const SelectorKey* modify(const FileObject& object, EVENT events, KeepData,
                            std::error_code& error);

  /// Waits until objects are ready, for at most `timeout` seconds. Returns an empty list after a
  /// timeout. Zero or less does not wait; without a timeout there is no limit. An error or hang-up
  /// counts as READ and WRITE, as far as the object is watched for them. A socket with a layer that
  /// holds decoded bytes is ready to read.
  ReadyKeys select(Seconds timeout = std::nullopt);
  ReadyKeys select(Seconds timeout, std::error_code& error);

  /// Removes all keys with their data. Calling it again has no effect.
  void close();

  /// Returns the key of an object. Throws KeyError if it is not registered, RuntimeError after
  /// close().
  const SelectorKey& get_key(const FileObject& object) const;

  /// Returns the registered keys; null after close().
  const SelectorMap* get_map() const noexcept;

 protected:
  explicit BaseSelector(std::shared_ptr<detail::SelectorImpl> impl) noexcept;
  BaseSelector(BaseSelector&& other) noexcept;
  BaseSelector& operator=(BaseSelector&& other) noexcept;

  /// Null if moved-from.
  detail::SelectorImpl* impl() const noexcept { return impl_.get(); }

 private:
  bool is_moved_from(std::error_code& error) const noexcept;

  std::shared_ptr<detail::SelectorImpl> impl_;
};

/// A selector with the semantics of select(2): a hang-up alone is not WRITE. select() throws
/// OSError EBADF if a registered object has been closed. The number of descriptors is not limited;
/// the cost of select() depends on all of them.
class SelectSelector final : public BaseSelector {
 public:
  SelectSelector();
};

/// A selector with poll(2): the cost of select() depends on all registered objects. A closed object
/// is ready for all of its events.
class PollSelector final : public BaseSelector {
 public:
  PollSelector();
};

/// A selector with epoll(7): the cost of select() depends on the ready objects. A closed object is
/// not reported.
class EpollSelector final : public BaseSelector {
 public:
  /// Throws OSError if the system refuses an epoll (EMFILE).
  EpollSelector();
  explicit EpollSelector(std::error_code& error);

  /// Returns the epoll's descriptor, which is readable when an object is ready. Throws ValueError
  /// after close().
  int fileno() const;
};

/// The most efficient selector of Linux.
using DefaultSelector = EpollSelector;

}  // namespace plug

#pragma GCC visibility pop
