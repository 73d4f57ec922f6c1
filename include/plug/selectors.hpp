#pragma once

// Selectors: wait until objects are ready, and keep data with each object. Python's selectors
// module.
//
//   DefaultSelector selector;
//   selector.register_(server, EVENT::READ);
//   for (;;) {
//     for (auto& [key, mask] : selector.select()) {
//       if (key.fileobj.is(server))
//         selector.register_(server.accept().first, EVENT::READ, Session{...});
//       else if (mask & EVENT::READ)
//         key.data.get<Session>().read_from(key.fileobj.get<Socket>());
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
// Lifetime. The selector owns an object that is moved into it: register_(std::move(sock), ...).
// close() and the destructor then destroy the object, and unregister() returns it in the key. Any
// other object belongs to the caller. Unless it is registered as a number, it must not be moved or
// destroyed before it is unregistered. Unregister an object before you close it, because the system
// may give its number to another file at once. EpollSelector never reports events of one file under
// the key of another, even if the number has been reused or a duplicate of a closed descriptor is
// still open. The other selectors know descriptors only by number.
//
// Python: https://docs.python.org/3/library/selectors.html

#include <plug/detail/file_kind.hpp>
#include <plug/error.hpp>
#include <plug/select.hpp>
#include <plug/select/constants.hpp>
#include <plug/select/keys.hpp>

#include <cstddef>
#include <memory>
#include <system_error>
#include <utility>

#pragma GCC visibility push(default)

namespace plug {

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
  /// it (EpollSelector: EPERM for a regular file, EBADF). The forms with an error code return null
  /// after a failure.
  const SelectorKey& register_(const FileObject& object, EVENT events, UserData data = {});
  const SelectorKey* register_(const FileObject& object, EVENT events, UserData data,
                               std::error_code& error);
  const SelectorKey* register_(const FileObject& object, EVENT events, std::error_code& error) {
    return register_(object, events, {}, error);
  }

  /// Like register_(), but takes over the object, such as a Socket: register_(std::move(sock),
  /// ...). The key refers to it in its new place: key.fileobj.get<Socket>(). If registering fails,
  /// with or without an exception, the object stays with the caller. Requires that moving a T does
  /// not throw.
  template <detail::Ownable T>
  const SelectorKey& register_(T&& object, EVENT events, UserData data = {}) {
    detail::Room<T> room;
    const SelectorKey& key = register_(FileObject(object), events, std::move(data));
    own(key, room.fill(std::move(object)));
    return key;
  }
  template <detail::Ownable T>
  const SelectorKey* register_(T&& object, EVENT events, UserData data, std::error_code& error) {
    detail::Room<T> room;
    const SelectorKey* const key = register_(FileObject(object), events, std::move(data), error);
    if (key != nullptr) own(*key, room.fill(std::move(object)));
    return key;
  }
  template <detail::Ownable T>
  const SelectorKey* register_(T&& object, EVENT events, std::error_code& error) {
    return register_(std::move(object), events, {}, error);
  }

  /// Stops watching `object` and returns its key with the data. An object that the selector owned
  /// ends with that key; to keep it, move it out of there:
  ///
  ///   Socket sock = std::move(selector.unregister(key.fileobj).fileobj.get<Socket>());
  ///
  /// A closed object is found by identity. Throws KeyError if the object is not registered,
  /// ValueError if it is closed and not registered. The form with an error code then returns a key
  /// whose fd is -1.
  SelectorKey unregister(const FileObject& object);
  SelectorKey unregister(const FileObject& object, std::error_code& error);

  /// Replaces the events and the data. As in Python, the data is removed if none is given;
  /// kKeepData keeps it. Makes a system call only if the events change. Throws as register_() and
  /// unregister() do; if the system refuses, the object is unregistered, and ends at the next
  /// select() or close() if the selector owned it.
  const SelectorKey& modify(const FileObject& object, EVENT events, UserData data = {});
  const SelectorKey* modify(const FileObject& object, EVENT events, UserData data,
                            std::error_code& error);
  const SelectorKey* modify(const FileObject& object, EVENT events, std::error_code& error) {
    return modify(object, events, UserData(), error);
  }
  const SelectorKey& modify(const FileObject& object, EVENT events, KeepData);
  const SelectorKey* modify(const FileObject& object, EVENT events, KeepData,
                            std::error_code& error);

  /// Waits until objects are ready, for at most `timeout`: seconds as a plain number, or a
  /// std::chrono duration. Returns an empty list after a timeout. Zero or less does not wait;
  /// without a timeout there is no limit. An error or hang-up counts as READ and WRITE, as far as
  /// the object is watched for them. A socket with a layer that holds decoded bytes is ready to
  /// read.
  [[nodiscard]] ReadyKeys select(Seconds timeout = std::nullopt);
  [[nodiscard]] ReadyKeys select(Seconds timeout, std::error_code& error);
  [[nodiscard]] ReadyKeys select(std::error_code& error) { return select(std::nullopt, error); }

  /// Removes all keys with their data, and the objects that the selector owns. Calling it again has
  /// no effect.
  void close();

  /// Returns the key of an object. Throws KeyError if it is not registered, RuntimeError after
  /// close().
  [[nodiscard]] const SelectorKey& get_key(const FileObject& object) const;

  /// Returns the registered keys; null after close().
  [[nodiscard]] const SelectorMap* get_map() const noexcept;

 protected:
  explicit BaseSelector(std::shared_ptr<detail::select::SelectorImpl> impl) noexcept;
  BaseSelector(BaseSelector&& other) noexcept;
  BaseSelector& operator=(BaseSelector&& other) noexcept;

  /// Null if moved-from.
  detail::select::SelectorImpl* impl() const noexcept { return impl_.get(); }

 private:
  bool is_moved_from(std::error_code& error) const noexcept {
    if (impl_) [[likely]]
      return false;
    error = Errc::closed_poller;
    return true;
  }

  /// Makes the key the owner of its object, which has been moved to a Room.
  static void own(const SelectorKey& key, const FileObject& object) noexcept;

  std::shared_ptr<detail::select::SelectorImpl> impl_;
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
  [[nodiscard]] int fileno() const;
};

/// The most efficient selector of Linux.
using DefaultSelector = EpollSelector;

}  // namespace plug

#pragma GCC visibility pop
