#pragma once

// The system calls that plug makes, one function each. A result >= 0 is a count, 0, or a
// descriptor; a negative result is -errno. Callers never read errno. No function here retries an
// interrupted call, except eventfd_add().
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

Result socket(int family, int type, int protocol) noexcept;  // adds SOCK_CLOEXEC
Result socketpair(int family, int type, int protocol, int (&descriptors)[2]) noexcept;
Result bind(int fd, const void* address, std::size_t size) noexcept;
Result listen(int fd, int backlog) noexcept;
/// `size` is the room for the address on entry and its length on return. Close-on-exec.
PLUG_FOR_FIBER Result accept(int fd, void* address, std::size_t& size) noexcept;
PLUG_FOR_FIBER Result connect(int fd, const void* address, std::size_t size) noexcept;
Result shutdown(int fd, int how) noexcept;
/// Must not be retried: even an error leaves the descriptor closed.
PLUG_FOR_FIBER Result close(int fd) noexcept;
/// Makes a close-on-exec duplicate.
Result dup(int fd) noexcept;

// recv, recvfrom, recvmsg, send, sendto and sendmsg are in sys/transfer.hpp.
inline constexpr int kDontWait = 0x40;  // MSG_DONTWAIT

/// One buffer of a message; laid out as the system's iovec. Only receiving writes to it.
struct IoVec {
  void* data;
  std::size_t size;
};

/// The argument of sendmsg() and recvmsg(); laid out as the system's msghdr. Receiving replaces the
/// sizes of the address and of the control data, and the flags.
struct Message {
  void* address = nullptr;
  std::uint32_t address_size = 0;
  IoVec* pieces = nullptr;
  std::size_t count = 0;
  void* control = nullptr;
  std::size_t control_size = 0;
  int flags = 0;
};

/// One of several messages; laid out as the system's mmsghdr. `size` is the number of bytes moved.
struct MMsgHdr {
  Message message;
  unsigned size = 0;
};

/// Receives at least one and as many of these messages as there are, or sends them. Returns their
/// number, or an error if the first one fails. SIGPIPE is not raised.
PLUG_FOR_FIBER Result recvmmsg(int fd, MMsgHdr* messages, std::size_t count, int flags) noexcept;
PLUG_FOR_FIBER Result sendmmsg(int fd, MMsgHdr* messages, std::size_t count, int flags) noexcept;

/// Sends up to `size` bytes of a file, from `offset` on, and adds their number to `offset`.
PLUG_FOR_FIBER Result sendfile(int fd, int file, std::int64_t& offset, std::size_t size) noexcept;
/// Moves up to `size` bytes from a pipe to a socket, without waiting for the pipe. Returns -EAGAIN
/// if the pipe is empty or the socket would block, -EINVAL if `pipe` is not a pipe.
PLUG_FOR_FIBER Result splice(int fd, int pipe, std::size_t size) noexcept;
Result read(int file, void* data, std::size_t size) noexcept;
Result pread(int file, void* data, std::size_t size, std::int64_t offset) noexcept;
/// Returns 1 if a byte at `offset` of a file can be read without waiting for a disk, 0 at the end,
/// -EAGAIN if it is not in memory, -EOPNOTSUPP if the system cannot tell.
Result in_memory(int file, std::int64_t offset) noexcept;
/// Reads, as pread(), only data that needs no waiting for a disk; -EAGAIN if there is none.
Result pread_now(int file, void* data, std::size_t size, std::int64_t offset) noexcept;
/// Returns or sets the position of a file; -ESPIPE if it has none.
Result tell(int file) noexcept;
Result seek(int file, std::int64_t offset) noexcept;

Result getsockname(int fd, void* address, std::size_t& size) noexcept;
Result getpeername(int fd, void* address, std::size_t& size) noexcept;
/// Returns true if the socket is connected.
bool has_peer(int fd) noexcept;
PLUG_FOR_FIBER Result getsockopt(int fd, int level, int name, void* value,
                                 std::size_t& size) noexcept;
Result setsockopt(int fd, int level, int name, const void* value, std::size_t size) noexcept;
/// Gets the error pending on a socket (SO_ERROR) and thereby clears it.
PLUG_FOR_FIBER Result socket_error(int fd, int& error) noexcept;
/// Returns true if the socket listens (SO_ACCEPTCONN), or if the system cannot tell.
bool is_listening(int fd) noexcept;
/// Returns true if send() on a socket of this family fails with MSG_NOSIGNAL. No such family raises
/// SIGPIPE.
PLUG_FOR_FIBER bool refuses_nosignal(int fd) noexcept;
/// Returns the number of bytes of a stream that can be received without waiting.
PLUG_FOR_FIBER Result readable_bytes(int fd) noexcept;
Result set_nonblocking(int fd, bool on) noexcept;
Result get_nonblocking(int fd) noexcept;
Result get_inheritable(int fd) noexcept;
Result set_inheritable(int fd, bool on) noexcept;

/// A descriptor to poll; laid out as the system's pollfd.
struct PollEntry {
  int fd;
  short events;
  short revents;
};
inline constexpr short kIn = 0x001, kPriority = 0x002, kOut = 0x004, kError = 0x008,
                       kHangUp = 0x010;

/// Waits for at most `nanoseconds`, or up to a millisecond less; without limit if negative. Returns
/// the number of ready entries. 0 means that none is ready: the caller checks its deadline.
PLUG_FOR_FIBER Result poll(PollEntry* entries, std::size_t count,
                           std::int64_t nanoseconds) noexcept;

/// Makes a close-on-exec, non-blocking eventfd.
PLUG_FOR_FIBER Result eventfd() noexcept;

/// Sleeps while `word` is `value`, until futex_wake(); for at most `nanoseconds`, or less; without
/// limit if negative. Returns 0, -EAGAIN if the word has another value, -ETIMEDOUT, or -EINTR after
/// a signal, even if its handler was installed with SA_RESTART.
Result futex_wait(const std::atomic<std::uint32_t>& word, std::uint32_t value,
                  std::int64_t nanoseconds) noexcept;
/// Wakes one thread that waits. The word may be gone already.
void futex_wake(const std::atomic<std::uint32_t>* word) noexcept;

/// Keeps the shared library that contains this code in memory until the process ends, even if the
/// program unloads it (dlclose(3)). The caller must not hold a lock that code needs which runs
/// while libraries are loaded.
void keep_loaded() noexcept;

/// Starts a detached thread named "plug-helper" that blocks all signals except faults. Returns 0 or
/// -errno.
Result start_thread(void (*main)(void* argument) noexcept, void* argument) noexcept;

/// Starts a thread that must be joined, and stores it in `thread` before returning. Returns 0 or
/// -errno.
Result start_joined_thread(void* (*main)(void* argument), void* argument,
                           unsigned long& thread) noexcept;
/// Joins a thread. Without `wait`, returns -EBUSY if it still runs.
Result join_thread(unsigned long thread, bool wait) noexcept;

/// Returns true if the C library knows that the calling thread is the only one of the process. No
/// other thread can then see its actions, until it starts one.
inline bool is_single_threaded() noexcept {
#ifdef PLUG_KNOWS_SINGLE_THREADED
  return __libc_single_threaded != 0;
#else
  return false;
#endif
}

inline std::atomic<std::uint32_t> fork_count{0};

/// Increases in the child of every fork. Counts of another generation belong to another process.
inline std::uint32_t fork_generation() noexcept {
  return fork_count.load(std::memory_order_relaxed);
}

/// Registers a function that the forking thread calls in the child of every fork. Returns 0 or
/// -errno.
PLUG_FOR_FIBER int call_in_forked_child(void (*function)()) noexcept;

/// A descriptor that closes itself and ignores errors of close().
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

/// Makes an eventfd ready, or not ready. Takes the owner instead of a number, because a number
/// could outlive the eventfd, and the write would then go to the file that gets the number next.
PLUG_FOR_FIBER void eventfd_add(const OwnFd& event) noexcept;
PLUG_FOR_FIBER void eventfd_drain(const OwnFd& event) noexcept;

}  // namespace plug::detail::sys
