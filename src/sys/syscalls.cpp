#include "sys/syscalls.hpp"

#include <dlfcn.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/magic.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <ctime>
#include <limits>
#include <new>

#include "sys/control.hpp"
#include "sys/sanitizers.hpp"
#include "sys/signals.hpp"
#include "sys/transfer.hpp"

namespace plug::detail::sys {

namespace {

static_assert(sizeof(PollEntry) == sizeof(pollfd));
static_assert(offsetof(PollEntry, events) == offsetof(pollfd, events));
static_assert(offsetof(PollEntry, revents) == offsetof(pollfd, revents));
static_assert(kIn == POLLIN && kPriority == POLLPRI && kOut == POLLOUT && kError == POLLERR &&
              kHangUp == POLLHUP);

static_assert(kDontWait == MSG_DONTWAIT);

static_assert(sizeof(MMsgHdr) == sizeof(mmsghdr));
static_assert(offsetof(MMsgHdr, size) == offsetof(mmsghdr, msg_len));
static_assert(sizeof(IoVec) == sizeof(iovec));
static_assert(offsetof(IoVec, data) == offsetof(iovec, iov_base));
static_assert(offsetof(IoVec, size) == offsetof(iovec, iov_len));
static_assert(sizeof(Message) == sizeof(msghdr));
static_assert(offsetof(Message, address) == offsetof(msghdr, msg_name));
static_assert(offsetof(Message, address_size) == offsetof(msghdr, msg_namelen));
static_assert(offsetof(Message, pieces) == offsetof(msghdr, msg_iov));
static_assert(offsetof(Message, count) == offsetof(msghdr, msg_iovlen));
static_assert(offsetof(Message, control) == offsetof(msghdr, msg_control));
static_assert(offsetof(Message, control_size) == offsetof(msghdr, msg_controllen));
static_assert(offsetof(Message, flags) == offsetof(msghdr, msg_flags));

static_assert(sizeof(ControlHeader) == sizeof(cmsghdr));
static_assert(alignof(ControlHeader) == alignof(cmsghdr));
static_assert(offsetof(ControlHeader, size) == offsetof(cmsghdr, cmsg_len));
static_assert(offsetof(ControlHeader, level) == offsetof(cmsghdr, cmsg_level));
static_assert(offsetof(ControlHeader, type) == offsetof(cmsghdr, cmsg_type));
static_assert(sizeof(ControlHeader) == CMSG_LEN(0) && control_padded(1) == CMSG_ALIGN(1));
static_assert(sizeof(UserCredentials) == sizeof(ucred));
static_assert(offsetof(UserCredentials, pid) == offsetof(ucred, pid));
static_assert(offsetof(UserCredentials, uid) == offsetof(ucred, uid));
static_assert(offsetof(UserCredentials, gid) == offsetof(ucred, gid));
static_assert(sizeof(PacketInfo4) == sizeof(in_pktinfo));
static_assert(offsetof(PacketInfo4, interface_index) == offsetof(in_pktinfo, ipi_ifindex));
static_assert(offsetof(PacketInfo4, local) == offsetof(in_pktinfo, ipi_spec_dst));
static_assert(offsetof(PacketInfo4, destination) == offsetof(in_pktinfo, ipi_addr));
static_assert(sizeof(PacketInfo6) == sizeof(in6_pktinfo));
static_assert(offsetof(PacketInfo6, local) == offsetof(in6_pktinfo, ipi6_addr));
static_assert(offsetof(PacketInfo6, interface_index) == offsetof(in6_pktinfo, ipi6_ifindex));
static_assert(sizeof(TimePair) == sizeof(timespec) && sizeof(TimePair) == sizeof(timeval));

/// Suppresses SIGPIPE while it lives, for calls that have no flag for that: blocks the signal in
/// the thread and consumes the one that the call has raised.
class WithoutSigpipe {
 public:
  WithoutSigpipe() noexcept {
    sigemptyset(&pipe_);
    sigaddset(&pipe_, SIGPIPE);
    sigset_t pending;
    blocked_ =
        pthread_sigmask(SIG_BLOCK, &pipe_, &before_) != 0 || sigismember(&before_, SIGPIPE) == 1;
    pending_ = blocked_ && sigpending(&pending) == 0 && sigismember(&pending, SIGPIPE) == 1;
  }
  WithoutSigpipe(const WithoutSigpipe&) = delete;
  WithoutSigpipe& operator=(const WithoutSigpipe&) = delete;
  ~WithoutSigpipe() {
    if (!blocked_) pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }

  /// Returns `result`. A call that has sent all of `size` has raised no signal.
  Result ended(Result result, std::size_t size) noexcept {
    const bool complete = result >= 0 && static_cast<std::size_t>(result) == size;
    const timespec now{};
    while (!complete && !pending_ && sigtimedwait(&pipe_, nullptr, &now) < 0 && errno == EINTR) {
    }
    return result;
  }

 private:
  sigset_t pipe_;
  sigset_t before_;
  bool blocked_;
  bool pending_;
};

[[maybe_unused]] const int registered =
    pthread_atfork(nullptr, nullptr, [] { fork_count.fetch_add(1, std::memory_order_relaxed); });

}  // namespace

int call_in_forked_child(void (*function)()) noexcept {
  return -pthread_atfork(nullptr, nullptr, function);
}

Result socket(int family, int type, int protocol) noexcept {
  return result(::socket(family, type | SOCK_CLOEXEC, protocol));
}

Result socketpair(int family, int type, int protocol, int (&descriptors)[2]) noexcept {
  return result(::socketpair(family, type | SOCK_CLOEXEC, protocol, descriptors));
}

Result bind(int fd, const void* address, std::size_t size) noexcept {
  return result(::bind(fd, as_sockaddr(address), static_cast<socklen_t>(size)));
}

Result listen(int fd, int backlog) noexcept { return result(::listen(fd, backlog)); }

Result accept(int fd, void* address, std::size_t& size) noexcept {
  auto length = static_cast<socklen_t>(size);
  const Result accepted = result(::accept4(fd, as_sockaddr(address), &length, SOCK_CLOEXEC));
  size = length;
  return accepted;
}

Result connect(int fd, const void* address, std::size_t size) noexcept {
  tell_connecting();
  return result(::connect(fd, as_sockaddr(address), static_cast<socklen_t>(size)));
}

Result shutdown(int fd, int how) noexcept { return result(::shutdown(fd, how)); }

Result close(int fd) noexcept { return result(::close(fd)); }

Result dup(int fd) noexcept { return result(::fcntl(fd, F_DUPFD_CLOEXEC, 0)); }

Result recvmmsg(int fd, MMsgHdr* messages, std::size_t count, int flags) noexcept {
  return result(::recvmmsg(fd, reinterpret_cast<mmsghdr*>(messages), static_cast<unsigned>(count),
                           flags | MSG_WAITFORONE, nullptr));
}

Result sendmmsg(int fd, MMsgHdr* messages, std::size_t count, int flags) noexcept {
  return quietly(fd, flags, [=](int all) {
    return ::sendmmsg(fd, reinterpret_cast<mmsghdr*>(messages), static_cast<unsigned>(count), all);
  });
}

Result sendfile(int fd, int file, std::int64_t& offset, std::size_t size) noexcept {
  static_assert(sizeof offset == sizeof(off_t));
  WithoutSigpipe guard;
  return guard.ended(result(::sendfile(fd, file, reinterpret_cast<off_t*>(&offset), size)), size);
}

Result splice(int fd, int pipe, std::size_t size) noexcept {
  WithoutSigpipe guard;
  return guard.ended(result(::splice(pipe, nullptr, fd, nullptr, size, SPLICE_F_NONBLOCK)), size);
}

Result read(int file, void* data, std::size_t size) noexcept {
  return result(::read(file, data, size));
}

Result pread(int file, void* data, std::size_t size, std::int64_t offset) noexcept {
  return result(::pread(file, data, size, offset));
}

Result in_memory(int file, std::int64_t offset) noexcept {
  char byte = 0;
  const iovec piece{&byte, 1};
  const Result got = result(::preadv2(file, &piece, 1, offset, RWF_NOWAIT));
  struct statfs system {};
  // tmpfs, which is always in memory, does not report that.
  if (got == -EOPNOTSUPP && ::fstatfs(file, &system) == 0 && system.f_type == TMPFS_MAGIC) return 1;
  return got;
}

Result tell(int file) noexcept {
  const Result position = result(::lseek(file, 0, SEEK_CUR));
  struct stat status {};
  // An anonymous kernel object such as an eventfd has no position, but reports 0.
  if (position == 0 && ::fstat(file, &status) == 0 && (status.st_mode & S_IFMT) == 0)
    return -ESPIPE;
  return position;
}

Result pread_now(int file, void* data, std::size_t size, std::int64_t offset) noexcept {
  const iovec piece{data, size};
  return result(::preadv2(file, &piece, 1, offset, RWF_NOWAIT));
}

Result seek(int file, std::int64_t offset) noexcept {
  return result(::lseek(file, offset, SEEK_SET));
}

Result getsockname(int fd, void* address, std::size_t& size) noexcept {
  auto length = static_cast<socklen_t>(size);
  const Result got = result(::getsockname(fd, as_sockaddr(address), &length));
  size = length;
  return got;
}

Result getpeername(int fd, void* address, std::size_t& size) noexcept {
  auto length = static_cast<socklen_t>(size);
  const Result got = result(::getpeername(fd, as_sockaddr(address), &length));
  size = length;
  return got;
}

bool has_peer(int fd) noexcept {
  sockaddr_storage address;
  socklen_t length = sizeof address;
  return ::getpeername(fd, as_sockaddr(&address), &length) == 0;
}

Result getsockopt(int fd, int level, int name, void* value, std::size_t& size) noexcept {
  auto length = static_cast<socklen_t>(size);
  const Result got = result(::getsockopt(fd, level, name, value, &length));
  size = length;
  return got;
}

Result setsockopt(int fd, int level, int name, const void* value, std::size_t size) noexcept {
  return result(::setsockopt(fd, level, name, value, static_cast<socklen_t>(size)));
}

Result socket_error(int fd, int& error) noexcept {
  std::size_t size = sizeof error;
  return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, size);
}

bool is_listening(int fd) noexcept {
  int listening = 1;
  std::size_t size = sizeof listening;
  return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, size) < 0 || listening != 0;
}

bool refuses_nosignal(int fd) noexcept {
  int family = 0;
  std::size_t size = sizeof family;
  return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, size) >= 0 &&
         (family == AF_RDS || family == AF_QIPCRTR || family == AF_MCTP);
}

Result readable_bytes(int fd) noexcept {
  int count = 0;
  const Result asked = result(::ioctl(fd, FIONREAD, &count));
  return asked < 0 ? asked : count;
}

Result set_nonblocking(int fd, bool on) noexcept {
  int value = on ? 1 : 0;
  return result(::ioctl(fd, FIONBIO, &value));
}

Result get_nonblocking(int fd) noexcept {
  const Result flags = result(::fcntl(fd, F_GETFL));
  return flags < 0 ? flags : (flags & O_NONBLOCK) != 0;
}

Result get_inheritable(int fd) noexcept {
  const Result flags = result(::fcntl(fd, F_GETFD));
  return flags < 0 ? flags : (flags & FD_CLOEXEC) == 0;
}

Result set_inheritable(int fd, bool on) noexcept {
  return result(::ioctl(fd, on ? FIONCLEX : FIOCLEX));
}

Result poll(PollEntry* entries, std::size_t count, std::int64_t nanoseconds) noexcept {
  constexpr std::int64_t kMillisecond = 1'000'000;
  auto* const list = reinterpret_cast<pollfd*>(entries);
  // poll() does not write back the remaining time, which makes it far cheaper; ppoll() waits for
  // the last part of a millisecond.
  if (nanoseconds < 0) return result(::poll(list, count, -1));
  if (nanoseconds >= kMillisecond) {
    constexpr std::int64_t kMost = std::numeric_limits<int>::max();
    return result(
        ::poll(list, count, static_cast<int>(std::min(nanoseconds / kMillisecond, kMost))));
  }
  const timespec limit{0, nanoseconds};
  return result(::ppoll(list, count, &limit, nullptr));
}

Result eventfd() noexcept { return result(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)); }

void eventfd_add(const OwnFd& event) noexcept {
  const std::uint64_t one = 1;
  // The only other failure is a full counter, which is ready already.
  while (::write(event.get(), &one, sizeof one) < 0 && errno == EINTR) continue;
}

void eventfd_drain(const OwnFd& event) noexcept {
  std::uint64_t count = 0;
  // The only failure is an empty counter, which is drained already.
  [[maybe_unused]] const auto got = ::read(event.get(), &count, sizeof count);
}

Result futex_wait(const std::atomic<std::uint32_t>& word, std::uint32_t value,
                  std::int64_t nanoseconds) noexcept {
  static_assert(sizeof word == sizeof(std::uint32_t));
  constexpr std::int64_t kSecond = 1'000'000'000, kMost = 1'000'000 * kSecond;
  // A limit, because the system would restart a wait without one after a signal.
  const std::int64_t most = nanoseconds < 0 ? kMost : std::min(nanoseconds, kMost);
  const timespec limit{most / kSecond, most % kSecond};
  return result(::syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, value, &limit, nullptr, 0));
}

void futex_wake(const std::atomic<std::uint32_t>* word) noexcept {
  ::syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0);
}

void keep_loaded() noexcept {
  Dl_info info{};
  // For code in the program itself this finds nothing, and there is nothing to keep.
  if (::dladdr(reinterpret_cast<void*>(&keep_loaded), &info) != 0 && info.dli_fname != nullptr)
    ::dlopen(info.dli_fname, RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE);
}

Result start_thread(void (*main)(void*) noexcept, void* argument) noexcept {
  struct Start {
    void (*main)(void*) noexcept;
    void* argument;
  };
  auto* const start = new (std::nothrow) Start{main, argument};
  if (start == nullptr) return -ENOMEM;
  const auto run = [](void* given) -> void* {
    const Start begin = *static_cast<Start*>(given);
    delete static_cast<Start*>(given);
    ::pthread_setname_np(::pthread_self(), "plug-helper");
    begin.main(begin.argument);
    return nullptr;
  };
  // The new thread inherits this thread's signal mask.
  pthread_t thread{};
  int failed = 0;
  {
    const SignalMask none;
    failed = ::pthread_create(&thread, nullptr, run, start);
  }
  if (failed != 0) {
    delete start;
    return -failed;
  }
  ::pthread_detach(thread);
  return 0;
}

Result start_joined_thread(void* (*main)(void*), void* argument, unsigned long& thread) noexcept {
  return -::pthread_create(&thread, nullptr, main, argument);
}

Result join_thread(unsigned long thread, bool wait) noexcept {
  return -(wait ? ::pthread_join(thread, nullptr) : ::pthread_tryjoin_np(thread, nullptr));
}

}  // namespace plug::detail::sys
