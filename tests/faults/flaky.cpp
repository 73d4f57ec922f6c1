// A library to preload (LD_PRELOAD) that makes system calls as inconvenient as the system may: they
// transfer only a part, are interrupted, or find that the descriptor is not ready after all. A
// correct program works nevertheless.
//
//   PLUG_FLAKY=PERCENT[,SEED]   how many of a hundred calls are changed; the seed defaults to 1
//
// Only stream sockets and pipes above descriptor 2 transfer parts, because a part of a datagram
// would be a different datagram. A descriptor that is registered with EPOLLET never reports EAGAIN,
// and receives as much as there is, because the kernel reports no further event until more data
// arrives.
// At its end the process writes "flaky: N calls hit" to standard error if PLUG_FLAKY_COUNT is set,
// so that a run can prove that it has changed some calls.

#include <dlfcn.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

namespace {

int percent = 0;
std::uint64_t seed = 1;
std::atomic<std::uint64_t> hits{0};

[[gnu::constructor]] void read_settings() {
  if (const char* text = std::getenv("PLUG_FLAKY")) {
    unsigned long long given_seed = 1;
    if (std::sscanf(text, "%d,%llu", &percent, &given_seed) == 2) seed = given_seed;
  }
}

[[gnu::destructor]] void report() {
  if (std::getenv("PLUG_FLAKY_COUNT") != nullptr)
    dprintf(2, "flaky: %llu calls hit\n", static_cast<unsigned long long>(hits.load()));
}

/// Returns a number below `limit` (splitmix64; each thread has its own sequence).
std::uint64_t below(std::uint64_t limit) {
  static std::atomic<std::uint64_t> threads{0};
  thread_local std::uint64_t state = seed + 0x9e3779b97f4a7c15u * ++threads;
  std::uint64_t z = state += 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return (z ^ (z >> 31)) % limit;
}

bool hit() {
  if (percent <= 0 || below(100) >= static_cast<std::uint64_t>(percent)) return false;
  ++hits;
  return true;
}

/// The descriptors that are registered with EPOLLET.
class Edges {
 public:
  bool has(int fd) const { return is_within(fd) && fds_[fd]; }
  void set(int fd, bool value) {
    if (is_within(fd)) fds_[fd] = value;
  }

 private:
  static constexpr int kMost = 4096;
  static bool is_within(int fd) { return fd >= 0 && fd < kMost; }
  std::atomic<bool> fds_[kMost]{};
} edges;

bool is_stream(int fd) {
  if (fd <= 2) return false;
  int type = 0;
  socklen_t size = sizeof type;
  if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0) return type == SOCK_STREAM;
  struct stat status {};
  return fstat(fd, &status) == 0 && S_ISFIFO(status.st_mode);
}

bool may_not_wait(int fd, int flags) {
  return (flags & MSG_DONTWAIT) != 0 || (fcntl(fd, F_GETFL) & O_NONBLOCK) != 0;
}

/// Returns true, with errno set, if the call is to fail: with EINTR, or with EAGAIN if it is
/// non-blocking.
bool fails(int fd, int flags) {
  if (fd <= 2 || !hit()) return false;
  errno = may_not_wait(fd, flags) && !edges.has(fd) && below(2) == 0 ? EAGAIN : EINTR;
  return true;
}

std::size_t part_of(int fd, std::size_t size) {
  if (size < 2 || !is_stream(fd) || !hit()) return size;
  return below(4) == 0 ? 1 : 1 + below(size - 1);
}

/// Returns how much of `size` a receive may return.
std::size_t part_of_rest(int fd, std::size_t size) {
  return edges.has(fd) ? size : part_of(fd, size);
}

template <class Function>
Function* real(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

}  // namespace

#define REAL(name) static auto* const real_##name = real<decltype(::name)>(#name)

extern "C" {

ssize_t read(int fd, void* data, size_t size) {
  REAL(read);
  if (is_stream(fd) && fails(fd, 0)) return -1;
  return real_read(fd, data, part_of_rest(fd, size));
}

ssize_t write(int fd, const void* data, size_t size) {
  REAL(write);
  if (is_stream(fd) && fails(fd, 0)) return -1;
  return real_write(fd, data, part_of(fd, size));
}

ssize_t recv(int fd, void* data, size_t size, int flags) {
  REAL(recv);
  if (fails(fd, flags)) return -1;
  const bool whole = (flags & (MSG_PEEK | MSG_WAITALL)) != 0;
  return real_recv(fd, data, whole ? size : part_of_rest(fd, size), flags);
}

ssize_t recvfrom(int fd, void* __restrict data, size_t size, int flags,
                 sockaddr* __restrict address, socklen_t* __restrict length) {
  REAL(recvfrom);
  if (fails(fd, flags)) return -1;
  return real_recvfrom(fd, data, size, flags, address, length);
}

ssize_t send(int fd, const void* data, size_t size, int flags) {
  REAL(send);
  if (fails(fd, flags)) return -1;
  return real_send(fd, data, part_of(fd, size), flags);
}

ssize_t sendto(int fd, const void* data, size_t size, int flags, const sockaddr* address,
               socklen_t length) {
  REAL(sendto);
  if (fails(fd, flags)) return -1;
  return real_sendto(fd, data, size, flags, address, length);
}

ssize_t sendmsg(int fd, const msghdr* message, int flags) {
  REAL(sendmsg);
  if (fails(fd, flags)) return -1;
  // Send the first buffer alone, or a part of it.
  msghdr part = *message;
  iovec first{};
  if (message->msg_iovlen > 0 && is_stream(fd) && hit()) {
    first = message->msg_iov[0];
    first.iov_len = part_of(fd, first.iov_len);
    part.msg_iov = &first;
    part.msg_iovlen = 1;
  }
  return real_sendmsg(fd, &part, flags);
}

ssize_t recvmsg(int fd, msghdr* message, int flags) {
  REAL(recvmsg);
  if (fails(fd, flags)) return -1;
  const bool whole = (flags & (MSG_PEEK | MSG_WAITALL)) != 0;
  if (whole || message->msg_iovlen == 0 || !is_stream(fd) || !hit())
    return real_recvmsg(fd, message, flags);
  // Receive into a part of the first buffer.
  msghdr part = *message;
  iovec first = message->msg_iov[0];
  first.iov_len = part_of(fd, first.iov_len);
  part.msg_iov = &first;
  part.msg_iovlen = 1;
  const ssize_t count = real_recvmsg(fd, &part, flags);
  message->msg_namelen = part.msg_namelen;
  message->msg_controllen = part.msg_controllen;
  message->msg_flags = part.msg_flags;
  return count;
}

ssize_t sendfile(int to, int from, off_t* offset, size_t size) {
  REAL(sendfile);
  if (fails(to, 0)) return -1;
  return real_sendfile(to, from, offset, part_of(to, size));
}

ssize_t splice(int from, off64_t* from_offset, int to, off64_t* to_offset, size_t size,
               unsigned flags) {
  REAL(splice);
  if (fails(to, 0)) return -1;
  return real_splice(from, from_offset, to, to_offset, part_of(to, size), flags);
}

/// Reports EINTR after it has connected, as when a signal arrives: the connection exists all the
/// same.
int connect(int fd, const sockaddr* address, socklen_t length) {
  REAL(connect);
  const int result = real_connect(fd, address, length);
  if (result == 0 && !may_not_wait(fd, 0) && hit()) {
    errno = EINTR;
    return -1;
  }
  return result;
}

int accept4(int fd, sockaddr* __restrict address, socklen_t* __restrict length, int flags) {
  REAL(accept4);
  if (fails(fd, 0)) return -1;
  return real_accept4(fd, address, length, flags);
}

int poll(pollfd* entries, nfds_t count, int limit) {
  REAL(poll);
  if (hit()) {
    errno = EINTR;
    return -1;
  }
  return real_poll(entries, count, limit);
}

int ppoll(pollfd* entries, nfds_t count, const timespec* limit, const sigset_t* mask) {
  REAL(ppoll);
  if (hit()) {
    errno = EINTR;
    return -1;
  }
  return real_ppoll(entries, count, limit, mask);
}

int epoll_ctl(int epoll, int operation, int fd, epoll_event* event) {
  REAL(epoll_ctl);
  if (event != nullptr) edges.set(fd, (event->events & EPOLLET) != 0);
  return real_epoll_ctl(epoll, operation, fd, event);
}

int close(int fd) {
  REAL(close);
  edges.set(fd, false);
  return real_close(fd);
}
}
