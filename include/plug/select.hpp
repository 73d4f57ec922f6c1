#pragma once

// select(), Poll and Epoll: wait for several file descriptors at once. Python's select module.
//
//   auto [readable, writable, exceptional] = select({server, conn}, {}, {}, 2.5);
//
// Most programs should use selectors.hpp instead, which also keeps data with each object.
//
// These functions take a FileObject: a file descriptor, or an object with a fileno().
//
// A signal does not end a wait: the wait continues with the remaining time (PEP 475,
// set_interrupt_hook()).
//
// Python: https://docs.python.org/3/library/select.html

#include <plug/bytes.hpp>
#include <plug/error.hpp>
#include <plug/select/constants.hpp>
#include <plug/socket.hpp>
#include <plug/timeout.hpp>

#include <chrono>
#include <concepts>
#include <cstddef>
#include <iosfwd>
#include <memory>
#include <optional>
#include <ratio>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <typeinfo>
#include <utility>
#include <vector>

namespace plug::detail {

struct FileAccess;

}  // namespace plug::detail

#pragma GCC visibility push(default)

namespace plug {

class FileObject;

namespace detail {

class Descriptor;

template <class T>
concept HasFileno =
    std::is_class_v<T> && !std::same_as<std::remove_cv_t<T>, FileObject> && requires(T & object) {
  { object.fileno() } -> std::convertible_to<int>;
};

/// Returns the name of a type as the compiler spells it.
template <class T>
constexpr auto type_name() noexcept {
  const std::string_view text = __PRETTY_FUNCTION__;
  const std::size_t begin = text.find("T = ") + 4;
  return text.substr(begin, text.size() - begin - 1);
}

/// Type information about the object of a FileObject.
struct FileKind {
  int (*fileno)(const void* object);
  const Socket* (*socket)(const void* object);
  const std::type_info& type;
  bool constant;
  std::string_view name;
};

template <class T>
inline constexpr FileKind kFileKind = {
    [](const void* object) -> int { return static_cast<T*>(const_cast<void*>(object))->fileno(); },
    [](const void* object) -> const Socket* {
      if constexpr (std::is_convertible_v<T*, const Socket*>)
        return static_cast<const T*>(object);
      else
        return nullptr;
    },
    typeid(T), std::is_const_v<T>, type_name<std::remove_const_t<T>>()};

}  // namespace detail

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

  /// Returns the descriptor, or the object's current fileno(), which is -1 for a closed Socket.
  int fileno() const { return kind_ == nullptr ? number_ : kind_->fileno(object_); }

  /// Returns whether this refers to that very object (Python's `is`).
  template <detail::HasFileno T>
  bool is(const T& object) const noexcept {
    return object_ == std::addressof(object);
  }
  bool is(int fileno) const noexcept { return kind_ == nullptr && number_ == fileno; }

  /// Returns the object if it was given as a T (as a const T if it was const); otherwise null.
  template <class T>
  T* get() const noexcept {
    if (kind_ == nullptr || kind_->type != typeid(T)) return nullptr;
    if (kind_->constant && !std::is_const_v<T>) return nullptr;
    return static_cast<T*>(const_cast<void*>(object_));
  }

  /// Returns true for the same object, or the same descriptor.
  friend bool operator==(const FileObject& a, const FileObject& b) noexcept {
    return a.object_ == b.object_ && (a.object_ != nullptr || a.number_ == b.number_);
  }

 private:
  friend struct detail::FileAccess;

  const void* object_ = nullptr;
  const detail::FileKind* kind_ = nullptr;
  int number_ = -1;
};

/// Returns "5", or "5 (plug::Socket)".
std::string to_string(const FileObject& object);
std::ostream& operator<<(std::ostream& out, const FileObject& object);

/// A braced list, or any contiguous range of elements that convert to FileObject: {server, conn}, a
/// std::vector<Socket>, a std::vector<FileObject>. Use it as a parameter only; do not store it.
using FileObjects = detail::ListOf<FileObject>;

// --- timeouts ---

/// A timeout in which a plain number counts units of Period. It also converts from a
/// std::chrono::duration, a Timeout, and std::nullopt (no limit). Each call says how it treats a
/// negative number. Stored in nanoseconds, rounded up. Throws ValueError for NaN, OverflowError if
/// the time is too long.
template <class Period>
class WaitTime {
 public:
  WaitTime(std::nullopt_t = std::nullopt) noexcept {}

  template <class T>
  requires((std::integral<T> && !std::same_as<T, bool>) || std::floating_point<T>) WaitTime(T count)
      : WaitTime(std::chrono::duration<T, Period>(count)) {}

  template <class Rep, class Unit>
  WaitTime(std::chrono::duration<Rep, Unit> time)
      : negative_(time < time.zero()), limit_(negative_ ? Timeout(0) : Timeout(time)) {}

  WaitTime(Timeout limit) noexcept : limit_(limit) {}

  bool is_negative() const noexcept { return negative_; }

  /// Returns the timeout; zero if it is negative.
  const Timeout& limit() const noexcept { return limit_; }

 private:
  bool negative_ = false;
  Timeout limit_;
};

/// The timeout of Epoll and selectors: a plain number is in seconds.
using Seconds = WaitTime<std::ratio<1>>;

/// The timeout of Poll: a plain number is in milliseconds, as in Python. 1500, 1500ms and 1.5s are
/// equal.
using Milliseconds = WaitTime<std::milli>;

// --- select ---

/// The result of select(): the ready objects of each list, in the order of the list.
struct Selected {
  std::vector<FileObject> readable;
  std::vector<FileObject> writable;
  std::vector<FileObject> exceptional;

  /// Returns true if no object is ready, which means that select() timed out.
  bool empty() const noexcept {
    return readable.empty() && writable.empty() && exceptional.empty();
  }
};

/// Waits until at least one object is ready, for at most `timeout`. Objects in `rlist` are ready if
/// they can be read (data, a connection to accept, end of stream, an error), objects in `wlist` if
/// they can be written (space, or an error), objects in `xlist` if they have an exceptional
/// condition (urgent data). Returns empty lists after a timeout. A timeout of zero does not wait.
///
/// Unlike with select(2), descriptors may have any value, not only values below 1024. An object may
/// be in several lists, and more than once in each. A socket with a layer that holds decoded bytes
/// is readable. The lists are copied first, so they may change during the wait.
///
/// Throws ValueError if an object is closed, naming it, or if the timeout is negative, and OSError
/// EBADF if a descriptor is not open. select(2).
Selected select(const FileObjects& rlist, const FileObjects& wlist = {},
                const FileObjects& xlist = {}, Timeout timeout = std::nullopt);
Selected select(const FileObjects& rlist, const FileObjects& wlist, const FileObjects& xlist,
                Timeout timeout, std::error_code& error);

// --- poll ---

/// A descriptor and the events that occurred on it.
struct PollEvent {
  int fd;
  POLL events;
};

/// A set of descriptors to wait for, each with its own events. Python: select.poll().
///
/// A Poll stores descriptors as numbers: unregister() an object before you close it. Use a Poll in
/// one thread at a time. While one fiber waits in poll(), another fiber of the thread may change
/// the set; the change applies from the next poll() on. Moving or destroying the Poll does not end
/// the wait. A second concurrent poll() throws RuntimeError. A moved-from Poll throws ValueError.
class Poll {
 public:
  Poll();
  Poll(Poll&& other) noexcept;
  Poll& operator=(Poll&& other) noexcept;
  ~Poll();

  static constexpr POLL kDefault = POLL::IN | POLL::PRI | POLL::OUT;

  /// Watches `object` for `events`, which replace those of an earlier registration. Throws
  /// ValueError if it is closed. If the descriptor is not open, poll() reports POLL::NVAL.
  void register_(const FileObject& object, POLL events = kDefault);
  void register_(const FileObject& object, POLL events, std::error_code& error);

  /// Replaces the events. Throws OSError ENOENT if `object` is not registered.
  void modify(const FileObject& object, POLL events);
  void modify(const FileObject& object, POLL events, std::error_code& error);

  /// Stops watching `object`. Throws KeyError if it is not registered.
  void unregister(const FileObject& object);
  void unregister(const FileObject& object, std::error_code& error);

  /// Waits for events. Returns the descriptors that have any, and nothing after a timeout. A plain
  /// number is in MILLISECONDS, as in Python. Without a timeout, or with a negative one, waits
  /// without limit.
  std::vector<PollEvent> poll(Milliseconds timeout = std::nullopt);
  std::vector<PollEvent> poll(Milliseconds timeout, std::error_code& error);

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

// --- epoll ---

/// A descriptor and the events that occurred on it.
struct EpollEvent {
  int fd;
  EPOLL events;
};

/// A set of descriptors to wait for, kept by the kernel: the cost of a wait depends on the ready
/// descriptors, not on the registered ones. Level-triggered unless EPOLL::ET is set. Python:
/// select.epoll(); epoll(7).
///
/// Several threads may use an Epoll at the same time, but closing, moving or destroying it must not
/// coincide with a poll() of another thread, and does not end it. To end a poll(), register an
/// eventfd or one end of a socketpair(). Fibers of one thread may make any call during a poll():
/// register_() applies at once, close() ends the poll() with ValueError, and a move lets it
/// continue.
///
/// A closed descriptor leaves the Epoll by itself, unless a duplicate of it is open: its events are
/// then still reported under the old number, which may belong to another file by then. Therefore
/// unregister() an object before you close it.
class Epoll {
 public:
  /// Creates a close-on-exec epoll. The kernel ignores `sizehint`; throws ValueError unless it is
  /// -1 or above zero. Throws OSError for flags other than EPOLL::CLOEXEC, and if the system
  /// refuses (EMFILE).
  explicit Epoll(int sizehint = -1, EPOLL flags = EPOLL{});
  Epoll(int sizehint, EPOLL flags, std::error_code& error);

  /// Takes over the descriptor of an epoll. Throws ValueError if it is negative.
  static Epoll fromfd(int fileno);

  Epoll(Epoll&& other) noexcept;
  Epoll& operator=(Epoll&& other) noexcept;
  ~Epoll();

  /// Closes the epoll. Calling it again has no effect; every other call except closed() then throws
  /// ValueError. Throws OSError if the system reports an error; the descriptor is closed even then.
  void close();
  void close(std::error_code& error);
  bool closed() const noexcept;

  /// Returns the epoll's own descriptor, which is readable when an event is ready. Throws
  /// ValueError if it is closed.
  int fileno() const;

  static constexpr EPOLL kDefault = EPOLL::IN | EPOLL::PRI | EPOLL::OUT;

  /// Watches `object` for `events`. Throws ValueError if it is closed, OSError EEXIST if it is
  /// registered already, EPERM if it cannot be waited for (a regular file), EBADF if the descriptor
  /// is not open.
  void register_(const FileObject& object, EPOLL events = kDefault);
  void register_(const FileObject& object, EPOLL events, std::error_code& error);

  /// modify() replaces the events, unregister() stops watching. Both throw OSError ENOENT if
  /// `object` is not registered.
  void modify(const FileObject& object, EPOLL events);
  void modify(const FileObject& object, EPOLL events, std::error_code& error);
  void unregister(const FileObject& object);
  void unregister(const FileObject& object, std::error_code& error);

  /// Waits for events. Returns at most `maxevents` descriptors that have any (1023 for -1), and
  /// nothing after a timeout. A plain number is in SECONDS, as in Python. Without a timeout, or
  /// with a negative one, waits without limit. Throws ValueError unless maxevents is -1 or above
  /// zero.
  std::vector<EpollEvent> poll(Seconds timeout = std::nullopt, int maxevents = -1);
  std::vector<EpollEvent> poll(Seconds timeout, int maxevents, std::error_code& error);

 private:
  Epoll(std::nullopt_t, int fd);

  std::shared_ptr<detail::Descriptor> descriptor_;
};

}  // namespace plug

#pragma GCC visibility pop
