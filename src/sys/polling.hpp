#pragma once

// The system calls for readiness other than poll(); syscalls.hpp has that.

#include <cstdint>

#include "sys/for_fiber.hpp"
#include "sys/syscalls.hpp"

namespace plug::detail::sys {

// The events that select(2) counts as readable and writable in addition to kIn and kOut.
inline constexpr short kReadNormal = 0x040, kReadBand = 0x080, kWriteNormal = 0x100,
                       kWriteBand = 0x200;
inline constexpr short kNotOpen = 0x020, kReadHangUp = 0x2000;

/// An event of an epoll; laid out as the system's epoll_event.
#ifdef __x86_64__
struct [[gnu::packed]] RawEpollEvent {
#else
struct RawEpollEvent {
#endif
  std::uint32_t events;
  std::uint64_t data;
};

/// Makes a close-on-exec epoll.
PLUG_FOR_FIBER Result epoll_create() noexcept;
/// Add a descriptor with the `events` to watch, which epoll_wait() returns together with `data`;
/// change both; remove the descriptor.
PLUG_FOR_FIBER Result epoll_add(int epoll, int fd, std::uint32_t events,
                                std::uint64_t data) noexcept;
PLUG_FOR_FIBER Result epoll_modify(int epoll, int fd, std::uint32_t events,
                                   std::uint64_t data) noexcept;
PLUG_FOR_FIBER Result epoll_remove(int epoll, int fd) noexcept;

/// Waits for at most `nanoseconds`, or up to a millisecond less; without limit if negative. Without
/// epoll_pwait2(2), a limit below a millisecond becomes a whole one. Returns the number of events
/// written, at most `most`.
PLUG_FOR_FIBER Result epoll_wait(int epoll, RawEpollEvent* events, int most,
                                 std::int64_t nanoseconds) noexcept;

/// Makes a close-on-exec, non-blocking descriptor that becomes ready `nanoseconds` after
/// timer_set(), which cannot fail.
PLUG_FOR_FIBER Result timer() noexcept;
PLUG_FOR_FIBER void timer_set(int timer, std::int64_t nanoseconds) noexcept;

/// Makes `to` a close-on-exec duplicate of `from`, and closes the file that `to` was before.
Result duplicate_over(int from, int to) noexcept;

}  // namespace plug::detail::sys
