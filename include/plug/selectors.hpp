#pragma once

// Selectors: which of many objects are ready, and the data that belong to them. Python's selectors.
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
// DefaultSelector is EpollSelector: a turn costs what is ready, not what is registered.
//
// register_ ends in an underscore because `register` is a word of the language.
//
// Threads: one selector is used by one thread at a time; that includes close(), which does not end
// another thread's select(). To end that, register an eventfd or one end of a socketpair() and
// write to the other. select() in two threads or fibers at once is RuntimeError.
//
// Fibers: while one waits in select(), another of its thread may do everything else. What it
// registers, modifies and unregisters counts from the next select() on, with EpollSelector at once;
// a key that has been unregistered is not given. close() and the selector's end end the wait with
// ValueError; a selector that is moved goes on waiting.
//
// What is registered stays the user's. It must not move or end before it is unregistered, unless it
// was given as a number. Unregister before you close: the system may give the number to another
// file at once. EpollSelector never reports what happens to one file under the key of another,
// neither when the number is in use again nor when a duplicate of a closed descriptor lives on; the
// others know descriptors by their numbers alone.
//
// Python: https://docs.python.org/3/library/selectors.html

#include <plug/error.hpp>
#include <plug/select.hpp>
#include <plug/select_constants.hpp>

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

/// A value of any type that can be moved, or none. It owns the value, in memory of its own: a
/// reference that get() gave stays good for as long as the value is held here, or where this is
/// moved to. As a pointer does, a const one gives a value that can be changed.
class UserData {
 public:
  UserData() noexcept = default;

  template <class T>
  requires detail::IsUserData<std::decay_t<T>> UserData(T&& value)
      : held_(std::make_unique<Held<std::decay_t<T>>>(std::forward<T>(value))) {}

  bool has_value() const noexcept { return held_ != nullptr; }
  explicit operator bool() const noexcept { return has_value(); }

  /// The value. Throws TypeError, naming both types, unless it is a T.
  template <class T>
  T& get() const {
    if (T* const value = get_if<T>()) return *value;
    detail::throw_other_type(type_name(), detail::type_name<T>());
  }

  /// The value if it is a T; null otherwise.
  template <class T>
  T* get_if() const noexcept {
    if (!held_ || held_->type() != typeid(T)) return nullptr;
    return &static_cast<Held<std::remove_const_t<T>>&>(*held_).value;
  }

  /// The type of the value, as the compiler writes it; empty without one.
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

/// One registration.
struct SelectorKey {
  FileObject fileobj;  ///< as it was given
  int fd;              ///< its descriptor when it was registered
  EVENT events;        ///< what it is watched for
  UserData data;
};

/// A key and what has happened: EVENT::READ, EVENT::WRITE, or both.
struct Ready {
  const SelectorKey& key;
  EVENT events;
};

/// What select() gives: a list that lies in the selector and lasts until its next select().
/// Whoever walks it may register, modify and unregister: a key that has been unregistered is not
/// given any more, and one that is in the hand stays valid, without its data.
class ReadyKeys {
  struct Entry {
    const SelectorKey* key;
    EVENT events;  // none: unregistered meanwhile
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

/// What is registered, as it is now: walks over the keys, in no order. Ends with its selector.
/// Registering and unregistering end a walk.
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

  /// The key of an object; null when it is not registered. One that is closed is looked for by
  /// identity. Throws ValueError for one that is closed and not registered.
  const SelectorKey* find(const FileObject& object) const;
  bool contains(const FileObject& object) const { return find(object) != nullptr; }

  /// The key of an object. Throws KeyError when it is not registered.
  const SelectorKey& at(const FileObject& object) const;
  const SelectorKey& operator[](const FileObject& object) const { return at(object); }

 private:
  friend class detail::SelectorImpl;
  explicit SelectorMap(const detail::SelectorImpl& impl) noexcept : impl_(impl) {}

  const detail::SelectorImpl& impl_;
};

/// For modify(): leaves the data as they are.
struct KeepData {
  // Not from {}, which is no data.
  explicit constexpr KeepData(std::nullptr_t) noexcept {}
};
inline constexpr KeepData kKeepData{nullptr};

/// What all selectors do. Take a BaseSelector& to work with any of them; make one of those below.
///
/// A key stays where it is until it is unregistered.
///
/// register_(), modify() and select() are ValueError after close(). One that has been moved from
/// acts as a closed one.
class BaseSelector {
 public:
  BaseSelector(const BaseSelector&) = delete;
  BaseSelector& operator=(const BaseSelector&) = delete;
  /// close().
  virtual ~BaseSelector();

  /// Watches `object` for `events`: READ, WRITE, or both. Throws ValueError for other events and
  /// for a closed object, KeyError when its descriptor is registered already, OSError when the
  /// system refuses it (EpollSelector: EPERM for a regular file, EBADF). The form with an error
  /// code gives null when it fails.
  const SelectorKey& register_(const FileObject& object, EVENT events, UserData data = {});
  const SelectorKey* register_(const FileObject& object, EVENT events, UserData data,
                               std::error_code& error);

  /// Stops watching, and gives the key, with its data. An object that has been closed meanwhile is
  /// looked for by identity. Throws KeyError when it is not registered, ValueError when it is
  /// closed as well. The form with an error code then gives a key whose fd is -1.
  SelectorKey unregister(const FileObject& object);
  SelectorKey unregister(const FileObject& object, std::error_code& error);

  /// Changes the events and the data: as in Python, no data when none are given. With kKeepData
  /// the data stay. The system is asked only when the events change. Throws as register_() and
  /// unregister() do; when the system refuses, the object is no longer registered.
  const SelectorKey& modify(const FileObject& object, EVENT events, UserData data = {});
  const SelectorKey* modify(const FileObject& object, EVENT events, UserData data,
                            std::error_code& error);
  const SelectorKey& modify(const FileObject& object, EVENT events, KeepData);
  const SelectorKey* modify(const FileObject& object, EVENT events, KeepData,
                            std::error_code& error);

  /// Waits until something is ready, for `timeout` seconds at most; nothing when the time ran out.
  /// Zero and below do not wait, none is no limit. Errors and hang-ups are READ and WRITE, as far
  /// as the object is watched for them. A socket whose layer holds decoded bytes is ready to read.
  ReadyKeys select(Seconds timeout = std::nullopt);
  ReadyKeys select(Seconds timeout, std::error_code& error);

  /// Forgets everything that is registered, with its data. Idempotent.
  void close();

  /// The key of an object. Throws KeyError when it is not registered, RuntimeError after close().
  const SelectorKey& get_key(const FileObject& object) const;

  /// What is registered; null after close().
  const SelectorMap* get_map() const noexcept;

 protected:
  explicit BaseSelector(std::shared_ptr<detail::SelectorImpl> impl) noexcept;
  BaseSelector(BaseSelector&& other) noexcept;
  BaseSelector& operator=(BaseSelector&& other) noexcept;

  /// Null when it has been moved from.
  detail::SelectorImpl* impl() const noexcept { return impl_.get(); }

 private:
  bool is_moved_from(std::error_code& error) const noexcept;

  std::shared_ptr<detail::SelectorImpl> impl_;
};

/// With select()'s meaning of ready: a hang-up alone is not WRITE. select() is OSError EBADF when
/// something registered has been closed. Any number of descriptors; each turn costs all of them.
class SelectSelector final : public BaseSelector {
 public:
  SelectSelector();
};

/// With poll(2): each turn costs all that is registered. What has been closed is ready for
/// everything.
class PollSelector final : public BaseSelector {
 public:
  PollSelector();
};

/// With epoll(7): a turn costs what is ready. What has been closed is not reported.
class EpollSelector final : public BaseSelector {
 public:
  /// Throws OSError when there can be none (EMFILE).
  EpollSelector();
  explicit EpollSelector(std::error_code& error);

  /// The epoll's descriptor, readable when something is ready. ValueError after close().
  int fileno() const;
};

/// The best that Linux has.
using DefaultSelector = EpollSelector;

}  // namespace plug

#pragma GCC visibility pop
