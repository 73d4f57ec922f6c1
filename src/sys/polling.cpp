#include "sys/polling.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <climits>
#include <cstddef>
#include <limits>

#include <plug/select/constants.hpp>

#include "sys/transfer.hpp"

#define PLUG_SAME(ours, systems) \
  static_assert(static_cast<long long>(ours) == static_cast<long long>(systems))

namespace plug {

PLUG_SAME(POLL::IN, POLLIN);
PLUG_SAME(POLL::PRI, POLLPRI);
PLUG_SAME(POLL::OUT, POLLOUT);
PLUG_SAME(POLL::ERR_, POLLERR);
PLUG_SAME(POLL::HUP, POLLHUP);
PLUG_SAME(POLL::NVAL, POLLNVAL);
PLUG_SAME(POLL::RDNORM, POLLRDNORM);
PLUG_SAME(POLL::RDBAND, POLLRDBAND);
PLUG_SAME(POLL::WRNORM, POLLWRNORM);
PLUG_SAME(POLL::WRBAND, POLLWRBAND);
PLUG_SAME(POLL::MSG, POLLMSG);
PLUG_SAME(POLL::RDHUP, POLLRDHUP);
PLUG_SAME(EPOLL::IN, EPOLLIN);
PLUG_SAME(EPOLL::PRI, EPOLLPRI);
PLUG_SAME(EPOLL::OUT, EPOLLOUT);
PLUG_SAME(EPOLL::ERR_, EPOLLERR);
PLUG_SAME(EPOLL::HUP, EPOLLHUP);
PLUG_SAME(EPOLL::RDNORM, EPOLLRDNORM);
PLUG_SAME(EPOLL::RDBAND, EPOLLRDBAND);
PLUG_SAME(EPOLL::WRNORM, EPOLLWRNORM);
PLUG_SAME(EPOLL::WRBAND, EPOLLWRBAND);
PLUG_SAME(EPOLL::MSG, EPOLLMSG);
PLUG_SAME(EPOLL::RDHUP, EPOLLRDHUP);
PLUG_SAME(EPOLL::EXCLUSIVE, EPOLLEXCLUSIVE);
PLUG_SAME(EPOLL::WAKEUP, EPOLLWAKEUP);
PLUG_SAME(EPOLL::ONESHOT, EPOLLONESHOT);
PLUG_SAME(EPOLL::ET, EPOLLET);
PLUG_SAME(EPOLL::CLOEXEC, EPOLL_CLOEXEC);
PLUG_SAME(PIPE_BUF_, PIPE_BUF);

namespace detail::sys {

namespace {

static_assert(kReadNormal == POLLRDNORM && kReadBand == POLLRDBAND && kWriteNormal == POLLWRNORM &&
              kWriteBand == POLLWRBAND && kNotOpen == POLLNVAL && kReadHangUp == POLLRDHUP);
static_assert(sizeof(RawEpollEvent) == sizeof(epoll_event));
static_assert(offsetof(RawEpollEvent, events) == offsetof(epoll_event, events));
static_assert(offsetof(RawEpollEvent, data) == offsetof(epoll_event, data));

constexpr std::int64_t kMillisecond = 1'000'000;

Result control(int epoll, int operation, int fd, std::uint32_t events,
               std::uint64_t data) noexcept {
  epoll_event event{};
  event.events = events;
  event.data.u64 = data;
  return result(::epoll_ctl(epoll, operation, fd, &event));
}

/// Waits less than a millisecond; or a whole one if the kernel (before 5.11) or the C library has
/// no epoll_pwait2().
Result wait_briefly(int epoll, epoll_event* list, int most, std::int64_t nanoseconds) noexcept {
#if defined(__GLIBC_PREREQ)
#if __GLIBC_PREREQ(2, 35)
  // Tried only once, because valgrind prints a warning each time.
  static std::atomic<bool> is_there{true};
  if (is_there.load(std::memory_order_relaxed)) {
    const timespec limit{0, nanoseconds};
    const Result ready = result(::epoll_pwait2(epoll, list, most, &limit, nullptr));
    if (ready != -ENOSYS && ready != -EPERM) return ready;
    is_there.store(false, std::memory_order_relaxed);
  }
#endif
#endif
  return result(::epoll_wait(epoll, list, most, nanoseconds > 0 ? 1 : 0));
}

}  // namespace

Result epoll_create() noexcept { return result(::epoll_create1(EPOLL_CLOEXEC)); }

Result epoll_add(int epoll, int fd, std::uint32_t events, std::uint64_t data) noexcept {
  return control(epoll, EPOLL_CTL_ADD, fd, events, data);
}

Result epoll_modify(int epoll, int fd, std::uint32_t events, std::uint64_t data) noexcept {
  return control(epoll, EPOLL_CTL_MOD, fd, events, data);
}

Result epoll_remove(int epoll, int fd) noexcept { return control(epoll, EPOLL_CTL_DEL, fd, 0, 0); }

Result epoll_wait(int epoll, RawEpollEvent* events, int most, std::int64_t nanoseconds) noexcept {
  auto* const list = reinterpret_cast<epoll_event*>(events);
  if (nanoseconds > 0 && nanoseconds < kMillisecond)
    return wait_briefly(epoll, list, most, nanoseconds);
  constexpr std::int64_t kMost = std::numeric_limits<int>::max();
  const std::int64_t limit = nanoseconds < 0 ? -1 : std::min(nanoseconds / kMillisecond, kMost);
  return result(::epoll_wait(epoll, list, most, static_cast<int>(limit)));
}

Result timer() noexcept {
  return result(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
}

void timer_set(int timer, std::int64_t nanoseconds) noexcept {
  constexpr std::int64_t kSecond = 1'000'000'000;
  const itimerspec once{{}, {nanoseconds / kSecond, nanoseconds % kSecond}};
  ::timerfd_settime(timer, 0, &once, nullptr);
}

Result duplicate_over(int from, int to) noexcept { return result(::dup3(from, to, O_CLOEXEC)); }

}  // namespace detail::sys

}  // namespace plug
