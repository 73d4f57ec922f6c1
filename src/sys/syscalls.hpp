#pragma once

// The system calls that plug makes, one function each, without their traps: results are a count (or
// 0, or a descriptor) when >= 0 and a negative error number otherwise, never errno. Nothing here
// retries or waits of its own accord.
//
// The whole library reaches the system through this folder.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <utility>

#if __has_include(<sys/single_threaded.h>)
#include <sys/single_threaded.h>

#include "sys/for_fiber.hpp"
#define PLUG_KNOWS_SINGLE_THREADED
#endif

struct sockaddr;

namespace plug::detail::sys {

using Result = long;

Result socket(int family, int type, int protocol) noexcept;  // with SOCK_CLOEXEC
Result socketpair(int family, int type, int protocol, int (&descriptors)[2]) noexcept;
Result bind(int fd, const void* address, std::size_t size) noexcept;
Result listen(int fd, int backlog) noexcept;
/// `size` goes in as the room for the address and comes out as its length. Close-on-exec.
PLUG_FOR_FIBER Result accept(int fd, void* address, std::size_t& size) noexcept;
PLUG_FOR_FIBER Result connect(int fd, const void* address, std::size_t size) noexcept;
Result shutdown(int fd, int how) noexcept;
/// Not retried: the descriptor is gone whatever comes back.
PLUG_FOR_FIBER Result close(int fd) noexcept;
/// A close-on-exec duplicate.
Result dup(int fd) noexcept;

// recv, recvfrom, recvmsg, send, sendto and sendmsg are in sys/transfer.hpp.
inline constexpr int kDontWait = 0x40;  // MSG_DONTWAIT

/// One piece of memory of a message; laid out as the system's iovec. Only receiving writes to it.
struct Piece {
  void* data;
  std::size_t size;
};

/// What sendmsg() and recvmsg() take; laid out as the system's msghdr. Receiving replaces the sizes
/// of the address and of the control data, and the flags.
struct Message {
  void* address = nullptr;
  std::uint32_t address_size = 0;
  Piece* pieces = nullptr;
  std::size_t count = 0;
  void* control = nullptr;
  std::size_t control_size = 0;
  int flags = 0;
};

/// One of many messages; laid out as the system's mmsghdr. `size` is how much of it has moved.
struct OneOfMany {
  Message message;
  unsigned size = 0;
};

/// Receives as many of these messages as there are, one at least, or sends them: how many, unless
/// the first fails. SIGPIPE is not raised.
PLUG_FOR_FIBER Result recvmmsg(int fd, OneOfMany* messages, std::size_t count, int flags) noexcept;
PLUG_FOR_FIBER Result sendmmsg(int fd, OneOfMany* messages, std::size_t count, int flags) noexcept;

/// Sends up to `size` bytes of a file from `offset` on, which goes up by what was sent.
PLUG_FOR_FIBER Result sendfile(int fd, int file, std::int64_t& offset, std::size_t size) noexcept;
/// Moves up to `size` bytes from a pipe to a socket, without waiting for the pipe: -EAGAIN when
/// nothing is in it, or when the socket would block; -EINVAL when `pipe` is none.
PLUG_FOR_FIBER Result splice(int fd, int pipe, std::size_t size) noexcept;
Result read(int file, void* data, std::size_t size) noexcept;
Result pread(int file, void* data, std::size_t size, std::int64_t offset) noexcept;
/// Whether there is something at `offset` of a file that can be read without waiting for a disk: 1,
/// or 0 at the end; -EAGAIN when it is not in memory, -EOPNOTSUPP where that cannot be told.
Result in_memory(int file, std::int64_t offset) noexcept;
/// pread() of what can be read without waiting for a disk; -EAGAIN when nothing can.
Result pread_now(int file, void* data, std::size_t size, std::int64_t offset) noexcept;
/// The position of a file, or what sets it; -ESPIPE where there is none.
Result tell(int file) noexcept;
Result seek(int file, std::int64_t offset) noexcept;

Result getsockname(int fd, void* address, std::size_t& size) noexcept;
Result getpeername(int fd, void* address, std::size_t& size) noexcept;
/// Whether the socket is connected.
bool has_peer(int fd) noexcept;
PLUG_FOR_FIBER Result getsockopt(int fd, int level, int name, void* value,
                                 std::size_t& size) noexcept;
Result setsockopt(int fd, int level, int name, const void* value, std::size_t size) noexcept;
/// The error pending on a socket (SO_ERROR), which is thereby cleared.
PLUG_FOR_FIBER Result socket_error(int fd, int& error) noexcept;
/// Whether accept() would wait for a connection (SO_ACCEPTCONN); true where that cannot be told.
bool is_listening(int fd) noexcept;
/// Whether a socket is of a family whose send() fails when it is given MSG_NOSIGNAL. None of these
/// raises SIGPIPE.
PLUG_FOR_FIBER bool refuses_nosignal(int fd) noexcept;
/// How many bytes a stream has that can be received without waiting.
PLUG_FOR_FIBER Result readable_bytes(int fd) noexcept;
Result set_nonblocking(int fd, bool on) noexcept;
Result get_nonblocking(int fd) noexcept;
Result get_inheritable(int fd) noexcept;
Result set_inheritable(int fd, bool on) noexcept;

/// A descriptor to wait for; laid out as the system's pollfd.
struct PollEntry {
  int fd;
  short events;
  short revents;
};
inline constexpr short kIn = 0x001, kPriority = 0x002, kOut = 0x004, kError = 0x008,
                       kHangUp = 0x010;

/// Waits for `nanoseconds` at most, or less by up to a millisecond; for ever when negative. The
/// count of ready entries, 0 when none was ready: whoever has a deadline asks what is left of it.
PLUG_FOR_FIBER Result poll(PollEntry* entries, std::size_t count,
                           std::int64_t nanoseconds) noexcept;

/// A close-on-exec, non-blocking counter to poll.
PLUG_FOR_FIBER Result eventfd() noexcept;

/// Sleeps while `word` is `value`, until futex_wake(): for `nanoseconds` at most, or less, for ever
/// when negative. 0, -EAGAIN when it is not, -ETIMEDOUT; -EINTR after a signal, whatever its
/// handler has been told of restarting.
PLUG_FOR_FIBER Result futex_wait(const std::atomic<std::uint32_t>& word, std::uint32_t value,
                                 std::int64_t nanoseconds) noexcept;
/// Wakes one who sleeps there; the word may be gone by then.
PLUG_FOR_FIBER void futex_wake(const std::atomic<std::uint32_t>* word) noexcept;

/// Has the shared library that this is part of stay in memory until the process ends, should a
/// program unload it (dlclose(3)). Not with a lock held that code needs which runs while libraries
/// are loaded.
void keep_loaded() noexcept;

/// A detached thread that takes no signals, "plug-helper" to whoever lists threads. -errno when
/// there can be none.
Result start_thread(void (*main)(void* argument) noexcept, void* argument) noexcept;

/// A thread that has to be joined, known by `thread` once this has returned. -errno when there can
/// be none.
Result start_joined_thread(void* (*main)(void* argument), void* argument,
                           unsigned long& thread) noexcept;
/// Gives back what a thread has left that has ended; -EBUSY when it has not, unless that is waited
/// for.
Result join_thread(unsigned long thread, bool wait) noexcept;

/// Whether the calling thread is the process's only one, as far as the C library knows: what it
/// does until it starts another nobody else sees.
inline bool is_single_threaded() noexcept {
#ifdef PLUG_KNOWS_SINGLE_THREADED
  return __libc_single_threaded != 0;
#else
  return false;
#endif
}

PLUG_FOR_FIBER std::int64_t monotonic_nanoseconds() noexcept;

inline std::atomic<std::uint32_t> fork_count{0};

/// Goes up in the child of every fork: what was counted in another generation happened in another
/// process.
inline std::uint32_t fork_generation() noexcept {
  return fork_count.load(std::memory_order_relaxed);
}

/// Has a function called in the child of every fork, by the thread that forks. 0, or -errno.
PLUG_FOR_FIBER int call_in_forked_child(void (*function)()) noexcept;

/// A descriptor that closes itself. Errors of closing are dropped.
class OwnFd {
 public:
  explicit OwnFd(int fd = -1) noexcept : fd_(fd) {}
  OwnFd(OwnFd&& other) noexcept : fd_(other.release()) {}
  OwnFd& operator=(OwnFd&& other) noexcept {
    OwnFd old(std::exchange(fd_, other.release()));
    return *this;
  }
  ~OwnFd() {
    if (fd_ >= 0) close(fd_);
  }

  int get() const noexcept { return fd_; }
  int release() noexcept { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

/// Makes an eventfd ready, or not ready. By its owner: a number that is kept beside that would
/// outlive it, and what is written then goes to whatever has the number next.
PLUG_FOR_FIBER void eventfd_add(const OwnFd& event) noexcept;
PLUG_FOR_FIBER void eventfd_drain(const OwnFd& event) noexcept;

}  // namespace plug::detail::sys
