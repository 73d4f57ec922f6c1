#pragma once

// select(), Poll and Epoll: waiting for several descriptors at once. Python's select.
//
//   auto [readable, writable, exceptional] = select({server, conn}, {}, {}, 2.5);
//
// selectors.hpp has the same with objects and data that belong to them, and is what most programs
// want.
//
// What is waited for is a FileObject: a descriptor's number, or an object with a fileno().
//
// A signal does not end a wait: it goes on with the time that is left (PEP 475,
// set_interrupt_hook()).
//
// Python: https://docs.python.org/3/library/select.html

#include <plug/bytes.hpp>
#include <plug/error.hpp>
#include <plug/select_constants.hpp>
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

/// A type's name, as the compiler writes it.
template <class T>
constexpr auto type_name() noexcept {
  const std::string_view text = __PRETTY_FUNCTION__;
  const std::size_t begin = text.find("T = ") + 4;
  return text.substr(begin, text.size() - begin - 1);
}

/// What a FileObject knows of its object's type.
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

/// What to wait for: a descriptor's number, or an object with `int fileno()`: a Socket, a File, an
/// OwnedFd, a class of the user's. It is a reference to that object and no more: who keeps it (a
/// selector does) needs the object to stay where it is. For objects that move or end meanwhile,
/// give the number instead. Python: a file object, or its descriptor.
class FileObject {
 public:
  template <std::same_as<int> T>
  FileObject(T fileno) noexcept : number_(fileno) {}

  template <detail::HasFileno T>
  FileObject(T& object) noexcept : object_(std::addressof(object)), kind_(&detail::kFileKind<T>) {}

  /// The number, or what the object says now: -1 once it is closed.
  int fileno() const { return kind_ == nullptr ? number_ : kind_->fileno(object_); }

  /// Whether it is this very object (Python's `is`).
  template <detail::HasFileno T>
  bool is(const T& object) const noexcept {
    return object_ == std::addressof(object);
  }
  bool is(int fileno) const noexcept { return kind_ == nullptr && number_ == fileno; }

  /// The object, when it was given as a T (const T for what was const); null otherwise.
  template <class T>
  T* get() const noexcept {
    if (kind_ == nullptr || kind_->type != typeid(T)) return nullptr;
    if (kind_->constant && !std::is_const_v<T>) return nullptr;
    return static_cast<T*>(const_cast<void*>(object_));
  }

  /// The same object, or the same number.
  friend bool operator==(const FileObject& a, const FileObject& b) noexcept {
    return a.object_ == b.object_ && (a.object_ != nullptr || a.number_ == b.number_);
  }

 private:
  friend struct detail::FileAccess;

  const void* object_ = nullptr;
  const detail::FileKind* kind_ = nullptr;
  int number_ = -1;
};

/// "5", or "5 (plug::Socket)".
std::string to_string(const FileObject& object);
std::ostream& operator<<(std::ostream& out, const FileObject& object);

/// A list in braces, or any contiguous range of what converts to FileObject: {server, conn}, a
/// std::vector<Socket>, a std::vector<FileObject> of all sorts. A parameter type, never stored.
using FileObjects = detail::ListOf<FileObject>;

// --- how long to wait ---

/// How long to wait, where a plain number counts a Period, and one below zero means what the call
/// says. A std::chrono::duration means itself, a Timeout too, std::nullopt no limit. Kept in
/// nanoseconds, rounded up. Throws ValueError for what is not a number, OverflowError when too
/// large.
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

  /// Zero when negative.
  const Timeout& limit() const noexcept { return limit_; }

 private:
  bool negative_ = false;
  Timeout limit_;
};

/// What Epoll and selectors take: a plain number counts seconds.
using Seconds = WaitTime<std::ratio<1>>;

/// What Poll takes, as in Python: a plain number counts milliseconds. 1500, 1.5s and 1500ms are the
/// same.
using Milliseconds = WaitTime<std::milli>;

// --- select ---

/// What select() gives: for each list those of its objects that are ready, in its order.
struct Selected {
  std::vector<FileObject> readable;
  std::vector<FileObject> writable;
  std::vector<FileObject> exceptional;

  /// Whether the time ran out.
  bool empty() const noexcept {
    return readable.empty() && writable.empty() && exceptional.empty();
  }
};

/// Waits until at least one of the objects is ready, for `timeout` at most: in `rlist` for reading
/// (data, a connection to accept, the end of the stream, an error), in `wlist` for writing (room,
/// or an error), in `xlist` for an exceptional condition (urgent data). Nothing is ready when the
/// time runs out; with a time-out of zero it does not wait.
///
/// Any number of descriptors, and of any size: the limit of 1024 is not there. An object may be in
/// several lists, and several times in one. A socket whose layer holds decoded bytes is readable.
/// The lists are read before it waits: they may change meanwhile.
///
/// Throws ValueError for an object that is closed, naming it, and (by Timeout) for a negative
/// time-out; OSError EBADF for a number that is not open. select(2).
Selected select(const FileObjects& rlist, const FileObjects& wlist = {},
                const FileObjects& xlist = {}, Timeout timeout = std::nullopt);
Selected select(const FileObjects& rlist, const FileObjects& wlist, const FileObjects& xlist,
                Timeout timeout, std::error_code& error);

// --- poll ---

/// A descriptor and what has happened to it.
struct PollEvent {
  int fd;
  POLL events;
};

/// Descriptors to wait for, each with events of its own. Python: select.poll().
///
/// It knows descriptors by their numbers: unregister() what you close. One thread at a time, of
/// whose fibers another may change it while one waits: that counts from the next poll() on, and
/// moving or ending the Poll does not end the wait. poll() in two threads or fibers at once is
/// RuntimeError. One that has been moved from is ValueError.
class Poll {
 public:
  Poll();
  Poll(Poll&& other) noexcept;
  Poll& operator=(Poll&& other) noexcept;
  ~Poll();

  static constexpr POLL kDefault = POLL::IN | POLL::PRI | POLL::OUT;

  /// Watches `object` for `events`, in place of those of before if there are any. Throws ValueError
  /// when it is closed. A number that is not open comes back from poll() as POLL::NVAL.
  void register_(const FileObject& object, POLL events = kDefault);
  void register_(const FileObject& object, POLL events, std::error_code& error);

  /// Changes the events. Throws OSError ENOENT for what is not registered.
  void modify(const FileObject& object, POLL events);
  void modify(const FileObject& object, POLL events, std::error_code& error);

  /// Throws KeyError for what is not registered.
  void unregister(const FileObject& object);
  void unregister(const FileObject& object, std::error_code& error);

  /// Waits until something has happened: the descriptors and what; nothing when the time ran out.
  /// A plain number is MILLISECONDS, as in Python; none, and below zero, waits without limit.
  std::vector<PollEvent> poll(Milliseconds timeout = std::nullopt);
  std::vector<PollEvent> poll(Milliseconds timeout, std::error_code& error);

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

// --- epoll ---

/// A descriptor and what has happened to it.
struct EpollEvent {
  int fd;
  EPOLL events;
};

/// Descriptors to wait for, kept by the kernel: a wait costs what is ready, not what is registered.
/// Level-triggered unless EPOLL::ET. Python: select.epoll(), epoll(7).
///
/// Several threads may use one Epoll at once, except for close(), moving and destroying it: those
/// neither end nor may meet another thread's poll(). To end that, register an eventfd or one end of
/// a socketpair(). Fibers of one thread may do all of it: what is registered during a poll() counts
/// at once, close() ends it with ValueError, moving lets it go on.
///
/// What is closed leaves the Epoll by itself, unless a duplicate is open: that goes on being
/// reported under the old number, which may be another file's by then. unregister() what you close.
class Epoll {
 public:
  /// Close-on-exec. `sizehint` means nothing to the kernel: ValueError unless -1 or above zero.
  /// OSError for flags other than EPOLL::CLOEXEC, and when there can be none (EMFILE).
  explicit Epoll(int sizehint = -1, EPOLL flags = EPOLL{});
  Epoll(int sizehint, EPOLL flags, std::error_code& error);

  /// Takes over the descriptor of an epoll. Throws ValueError below zero.
  static Epoll fromfd(int fileno);

  Epoll(Epoll&& other) noexcept;
  Epoll& operator=(Epoll&& other) noexcept;
  ~Epoll();

  /// Idempotent. Every other call is ValueError afterwards. Throws OSError when the system reports
  /// an error; the descriptor is gone all the same.
  void close();
  void close(std::error_code& error);
  bool closed() const noexcept;

  /// Its own descriptor, readable when something is ready. ValueError when closed.
  int fileno() const;

  static constexpr EPOLL kDefault = EPOLL::IN | EPOLL::PRI | EPOLL::OUT;

  /// Throws ValueError when `object` is closed, OSError EEXIST when it is registered already, EPERM
  /// for what cannot be waited for (a regular file), EBADF for a number that is not open.
  void register_(const FileObject& object, EPOLL events = kDefault);
  void register_(const FileObject& object, EPOLL events, std::error_code& error);

  /// Throws OSError ENOENT for what is not registered.
  void modify(const FileObject& object, EPOLL events);
  void modify(const FileObject& object, EPOLL events, std::error_code& error);
  void unregister(const FileObject& object);
  void unregister(const FileObject& object, std::error_code& error);

  /// Waits until something has happened: the descriptors and what, `maxevents` at most (-1: 1023);
  /// nothing when the time ran out. A plain number is SECONDS, as in Python; none, and below zero,
  /// waits without limit. Throws ValueError unless maxevents is -1 or above zero.
  std::vector<EpollEvent> poll(Seconds timeout = std::nullopt, int maxevents = -1);
  std::vector<EpollEvent> poll(Seconds timeout, int maxevents, std::error_code& error);

 private:
  Epoll(std::nullopt_t, int fd);

  std::shared_ptr<detail::Descriptor> descriptor_;
};

}  // namespace plug

#pragma GCC visibility pop
