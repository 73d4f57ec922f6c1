#pragma once

// The system calls of readiness beside poll(), as syscalls.hpp has the others.

#include <cstdint>

#include "sys/for_fiber.hpp"
#include "sys/syscalls.hpp"

namespace plug::detail::sys {

// The bits that select(2) counts as readable and writable beside kIn and kOut.
inline constexpr short kReadNormal = 0x040, kReadBand = 0x080, kWriteNormal = 0x100,
                       kWriteBand = 0x200;
inline constexpr short kNotOpen = 0x020, kReadHangUp = 0x2000;

/// A ready descriptor of an epoll; laid out as the system's epoll_event.
#ifdef __x86_64__
struct [[gnu::packed]] EpollEvent {
#else
struct EpollEvent {
#endif
  std::uint32_t events;
  std::uint64_t data;
};

/// A close-on-exec epoll.
PLUG_FOR_FIBER Result epoll_create() noexcept;
/// Watch for `events`, which then come with `data`; watch for others; watch no more.
PLUG_FOR_FIBER Result epoll_add(int epoll, int fd, std::uint32_t events,
                                std::uint64_t data) noexcept;
PLUG_FOR_FIBER Result epoll_modify(int epoll, int fd, std::uint32_t events,
                                   std::uint64_t data) noexcept;
PLUG_FOR_FIBER Result epoll_remove(int epoll, int fd) noexcept;

/// Waits as poll() does: for `nanoseconds` at most, or less by up to a millisecond; for ever when
/// negative. The count of events written, at most `most`.
PLUG_FOR_FIBER Result epoll_wait(int epoll, EpollEvent* events, int most,
                                 std::int64_t nanoseconds) noexcept;

/// A close-on-exec, non-blocking descriptor that becomes ready `nanoseconds` after it is set. A
/// failure to set one that there is cannot be.
PLUG_FOR_FIBER Result timer() noexcept;
PLUG_FOR_FIBER void timer_set(int timer, std::int64_t nanoseconds) noexcept;

/// Makes `to` another descriptor of the file behind `from`, close-on-exec; what it was is closed.
Result duplicate_over(int from, int to) noexcept;

}  // namespace plug::detail::sys
