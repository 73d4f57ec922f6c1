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
// Timeouts. A std::chrono duration carries its unit: 5s and 5000ms mean five seconds in every call.
// A plain number has Python's unit, which is seconds in select() and in Epoll, and milliseconds in
// Poll.
//
// Forms. In the form with a std::error_code&, parameters that have a default may be left out too,
// the last ones first: select({sock}, error), poll.poll(error).
//
// Python: https://docs.python.org/3/library/select.html

#include <plug/detail/forward.hpp>
#include <plug/error.hpp>
#include <plug/select/constants.hpp>
#include <plug/select/file_object.hpp>
#include <plug/socket.hpp>
#include <plug/timeout.hpp>

#include <chrono>
#include <concepts>
#include <memory>
#include <optional>
#include <ratio>
#include <system_error>
#include <vector>

#pragma GCC visibility push(default)

namespace plug {

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

  [[nodiscard]] bool is_negative() const noexcept { return negative_; }

  /// Returns the timeout; zero if it is negative.
  [[nodiscard]] const Timeout& limit() const noexcept { return limit_; }

 private:
  bool negative_ = false;
  Timeout limit_;
};

/// The timeout of Epoll and selectors: a plain number is in seconds. 1.5, 1500ms and 1.5s are
/// equal.
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
  [[nodiscard]] bool empty() const noexcept {
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
[[nodiscard]] Selected select(const FileObjects& rlist, const FileObjects& wlist = {},
                              const FileObjects& xlist = {}, Timeout timeout = std::nullopt);
[[nodiscard]] Selected select(const FileObjects& rlist, const FileObjects& wlist,
                              const FileObjects& xlist, Timeout timeout, std::error_code& error);
[[nodiscard]] inline Selected select(const FileObjects& rlist, const FileObjects& wlist,
                                     const FileObjects& xlist, std::error_code& error) {
  return select(rlist, wlist, xlist, std::nullopt, error);
}
[[nodiscard]] inline Selected select(const FileObjects& rlist, const FileObjects& wlist,
                                     std::error_code& error) {
  return select(rlist, wlist, {}, std::nullopt, error);
}
[[nodiscard]] inline Selected select(const FileObjects& rlist, std::error_code& error) {
  return select(rlist, {}, {}, std::nullopt, error);
}

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
  void register_(const FileObject& object, std::error_code& error) {
    register_(object, kDefault, error);
  }

  /// Replaces the events. Throws OSError ENOENT if `object` is not registered.
  void modify(const FileObject& object, POLL events);
  void modify(const FileObject& object, POLL events, std::error_code& error);

  /// Stops watching `object`. Throws KeyError if it is not registered.
  void unregister(const FileObject& object);
  void unregister(const FileObject& object, std::error_code& error);

  /// Waits for events. Returns the descriptors that have any, and nothing after a timeout. A plain
  /// number is in MILLISECONDS, as in Python: poll(5) waits for 5 ms, poll(5s) for five seconds.
  /// Without a timeout, or with a negative one, waits without limit.
  [[nodiscard]] std::vector<PollEvent> poll(Milliseconds timeout = std::nullopt);
  [[nodiscard]] std::vector<PollEvent> poll(Milliseconds timeout, std::error_code& error);
  [[nodiscard]] std::vector<PollEvent> poll(std::error_code& error) {
    return poll(std::nullopt, error);
  }

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
  Epoll(int sizehint, std::error_code& error) : Epoll(sizehint, EPOLL{}, error) {}
  explicit Epoll(std::error_code& error) : Epoll(-1, EPOLL{}, error) {}

  /// Takes over the descriptor of an epoll. Throws ValueError if it is negative.
  [[nodiscard]] static Epoll fromfd(int fileno);

  Epoll(Epoll&& other) noexcept;
  Epoll& operator=(Epoll&& other) noexcept;
  ~Epoll();

  /// Closes the epoll. Calling it again has no effect; every other call except closed() then throws
  /// ValueError. Throws OSError if the system reports an error; the descriptor is closed even then.
  void close();
  void close(std::error_code& error);
  [[nodiscard]] bool closed() const noexcept;

  /// Returns the epoll's own descriptor, which is readable when an event is ready. Throws
  /// ValueError if it is closed.
  [[nodiscard]] int fileno() const;

  static constexpr EPOLL kDefault = EPOLL::IN | EPOLL::PRI | EPOLL::OUT;

  /// Watches `object` for `events`. Throws ValueError if it is closed, OSError EEXIST if it is
  /// registered already, EPERM if it cannot be waited for (a regular file), EBADF if the descriptor
  /// is not open.
  void register_(const FileObject& object, EPOLL events = kDefault);
  void register_(const FileObject& object, EPOLL events, std::error_code& error);
  void register_(const FileObject& object, std::error_code& error) {
    register_(object, kDefault, error);
  }

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
  [[nodiscard]] std::vector<EpollEvent> poll(Seconds timeout = std::nullopt, int maxevents = -1);
  [[nodiscard]] std::vector<EpollEvent> poll(Seconds timeout, int maxevents,
                                             std::error_code& error);
  [[nodiscard]] std::vector<EpollEvent> poll(Seconds timeout, std::error_code& error) {
    return poll(timeout, -1, error);
  }
  [[nodiscard]] std::vector<EpollEvent> poll(std::error_code& error) {
    return poll(std::nullopt, -1, error);
  }

 private:
  Epoll(std::nullopt_t, int fd);

  std::shared_ptr<detail::wait::Descriptor> descriptor_;
};

}  // namespace plug

#pragma GCC visibility pop
