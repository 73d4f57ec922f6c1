// Counts the uses of file descriptors after they have been closed. Link it into a program, or
// preload it (LD_PRELOAD). System calls behave as they do without it.
//
// It counts, in this process and in the children that it forks:
//   closed    close() of a number that is not open (EBADF)
//   used      another call on a number that is not open
//   strayed   eight bytes written to, or read from, a descriptor that is not an eventfd. plug does
//             so only with eventfds, so another file has taken the number
//
// With PLUG_CENSUS in the environment the process writes the first few of them to standard error,
// with their numbers and callers, and at its end "census: N closed, N used, N strayed". A program
// that has this linked calls plug_census(), which returns the sum.

#include <dlfcn.h>
#include <execinfo.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

namespace {

constexpr int kMost = 65536;  // larger numbers are ignored
constexpr std::uint64_t kShown = 20;
constexpr int kCallers = 30;

enum Kind : int { closed, used, strayed, kKinds };
constexpr const char* kNames[kKinds] = {"closed", "used", "strayed"};

/// The counts of this process and its children.
struct Counts {
  std::atomic<std::uint64_t> of[kKinds];
};

Counts& counts() {
  static Counts* const shared = [] {
    void* const memory =
        ::mmap(nullptr, sizeof(Counts), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) std::abort();
    return new (memory) Counts{};
  }();
  return *shared;
}

/// True for each number that eventfd() has returned.
std::atomic<bool> is_event[kMost];

bool watched(int fd) { return fd >= 0 && fd < kMost; }

void forget(int fd) {
  if (watched(fd)) is_event[fd] = false;
}

void count(Kind kind, const char* call, int fd) {
  const int before = errno;
  if (++counts().of[kind] <= kShown && std::getenv("PLUG_CENSUS") != nullptr) {
    dprintf(2, "census: %s: %s(%d) in process %d, called from\n", kNames[kind], call, fd, getpid());
    void* callers[kCallers];
    backtrace_symbols_fd(callers, backtrace(callers, kCallers), 2);
  }
  errno = before;
}

/// Returns the result. Counts the call if it has failed with EBADF, unless the number is negative.
template <class T>
T looked_at(T result, const char* call, int fd) {
  if (result < 0 && errno == EBADF && fd >= 0) count(used, call, fd);
  return result;
}

void look_for_stray(const char* call, int fd, std::size_t size) {
  if (size != sizeof(std::uint64_t) || !watched(fd) || is_event[fd]) return;
  if (::fcntl(fd, F_GETFD) >= 0) count(strayed, call, fd);
}

template <class Function>
Function* real(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

[[gnu::destructor]] void report() {
  if (std::getenv("PLUG_CENSUS") == nullptr) return;
  dprintf(2, "census: %llu closed, %llu used, %llu strayed\n",
          static_cast<unsigned long long>(counts().of[closed]),
          static_cast<unsigned long long>(counts().of[used]),
          static_cast<unsigned long long>(counts().of[strayed]));
}

[[gnu::constructor]] void begin() { counts(); }

}  // namespace

#define REAL(name) static auto* const real_##name = real<decltype(::name)>(#name)

extern "C" {

std::uint64_t plug_census() {
  std::uint64_t sum = 0;
  for (const auto& one : counts().of) sum += one;
  return sum;
}

int eventfd(unsigned value, int flags) noexcept {
  REAL(eventfd);
  const int fd = real_eventfd(value, flags);
  if (watched(fd)) is_event[fd] = true;
  return fd;
}

int close(int fd) {
  REAL(close);
  forget(fd);
  const int result = real_close(fd);
  if (result < 0 && errno == EBADF && fd >= 0) count(closed, "close", fd);
  return result;
}

int dup2(int from, int to) noexcept {
  REAL(dup2);
  if (from != to) forget(to);
  return real_dup2(from, to);
}

int dup3(int from, int to, int flags) noexcept {
  REAL(dup3);
  forget(to);
  return real_dup3(from, to, flags);
}

ssize_t read(int fd, void* data, size_t size) {
  REAL(read);
  look_for_stray("read", fd, size);
  return looked_at(real_read(fd, data, size), "read", fd);
}

ssize_t write(int fd, const void* data, size_t size) {
  REAL(write);
  look_for_stray("write", fd, size);
  return looked_at(real_write(fd, data, size), "write", fd);
}

ssize_t recv(int fd, void* data, size_t size, int flags) {
  REAL(recv);
  return looked_at(real_recv(fd, data, size, flags), "recv", fd);
}

ssize_t recvfrom(int fd, void* __restrict data, size_t size, int flags,
                 sockaddr* __restrict address, socklen_t* __restrict length) {
  REAL(recvfrom);
  return looked_at(real_recvfrom(fd, data, size, flags, address, length), "recvfrom", fd);
}

ssize_t send(int fd, const void* data, size_t size, int flags) {
  REAL(send);
  return looked_at(real_send(fd, data, size, flags), "send", fd);
}

ssize_t sendto(int fd, const void* data, size_t size, int flags, const sockaddr* address,
               socklen_t length) {
  REAL(sendto);
  return looked_at(real_sendto(fd, data, size, flags, address, length), "sendto", fd);
}

ssize_t sendmsg(int fd, const msghdr* message, int flags) {
  REAL(sendmsg);
  return looked_at(real_sendmsg(fd, message, flags), "sendmsg", fd);
}

ssize_t recvmsg(int fd, msghdr* message, int flags) {
  REAL(recvmsg);
  return looked_at(real_recvmsg(fd, message, flags), "recvmsg", fd);
}

int shutdown(int fd, int how) noexcept {
  REAL(shutdown);
  return looked_at(real_shutdown(fd, how), "shutdown", fd);
}

int connect(int fd, const sockaddr* address, socklen_t length) {
  REAL(connect);
  return looked_at(real_connect(fd, address, length), "connect", fd);
}

int accept4(int fd, sockaddr* __restrict address, socklen_t* __restrict length, int flags) {
  REAL(accept4);
  return looked_at(real_accept4(fd, address, length, flags), "accept4", fd);
}

int setsockopt(int fd, int level, int name, const void* value, socklen_t size) noexcept {
  REAL(setsockopt);
  return looked_at(real_setsockopt(fd, level, name, value, size), "setsockopt", fd);
}

int getsockopt(int fd, int level, int name, void* __restrict value,
               socklen_t* __restrict size) noexcept {
  REAL(getsockopt);
  return looked_at(real_getsockopt(fd, level, name, value, size), "getsockopt", fd);
}

int getsockname(int fd, sockaddr* __restrict address, socklen_t* __restrict size) noexcept {
  REAL(getsockname);
  return looked_at(real_getsockname(fd, address, size), "getsockname", fd);
}

int epoll_ctl(int epoll, int operation, int fd, epoll_event* event) noexcept {
  REAL(epoll_ctl);
  return looked_at(real_epoll_ctl(epoll, operation, fd, event), "epoll_ctl", fd);
}

int ppoll(pollfd* entries, nfds_t size, const timespec* limit, const sigset_t* mask) {
  REAL(ppoll);
  const int result = real_ppoll(entries, size, limit, mask);
  for (nfds_t i = 0; result > 0 && i < size; ++i)
    if (entries[i].fd >= 0 && (entries[i].revents & POLLNVAL) != 0)
      count(used, "ppoll", entries[i].fd);
  return result;
}
}
