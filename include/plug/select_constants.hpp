#pragma once

// The constants of Python's select and selectors, as scoped enums (constants.hpp says how they are
// spelled). POLLIN and its like have no underscore; what follows POLL and EPOLL is the name:
// POLL::IN, EPOLL::OUT. POLL::ERR_ and EPOLL::ERR_, since ERR is a macro of <curses.h>.
//
// Every value is held equal to the system's by src/sys/polling.cpp.

#include <plug/constants.hpp>

#include <cstddef>
#include <cstdint>

#pragma GCC visibility push(default)

namespace plug {

/// What a selector watches for and reports; or-able. Python: selectors.EVENT_READ, EVENT_WRITE.
enum class EVENT : int {
  READ = 1,
  WRITE = 2,
};

/// What a Poll watches for and reports; or-able. ERR_, HUP and NVAL are reported whether asked for
/// or not. Python: select.POLL*, poll(2).
enum class POLL : std::uint16_t {
  IN = 0x001,
  PRI = 0x002,
  OUT = 0x004,
  ERR_ = 0x008,
  HUP = 0x010,
  NVAL = 0x020,  ///< the descriptor is not open
  RDNORM = 0x040,
  RDBAND = 0x080,
  WRNORM = 0x100,
  WRBAND = 0x200,
  MSG = 0x400,
  RDHUP = 0x2000,  ///< the peer has shut down its writing half
};

/// What an Epoll watches for and reports; or-able. ERR_ and HUP are reported whether asked for or
/// not. CLOEXEC is for making one. Python: select.EPOLL*, epoll_ctl(2).
enum class EPOLL : std::uint32_t {
  IN = 0x001,
  PRI = 0x002,
  OUT = 0x004,
  ERR_ = 0x008,
  HUP = 0x010,
  RDNORM = 0x040,
  RDBAND = 0x080,
  WRNORM = 0x100,
  WRBAND = 0x200,
  MSG = 0x400,
  RDHUP = 0x2000,
  EXCLUSIVE = 0x10000000,  ///< wake one of several Epolls that watch the same descriptor
  WAKEUP = 0x20000000,     ///< keep the machine awake until the event has been handled
  ONESHOT = 0x40000000,    ///< report once, then nothing until modify()
  ET = 0x80000000,         ///< report changes, not states
  CLOEXEC = 0x80000,
};

/// How much can be written to a pipe without waiting once it is reported as writable.
inline constexpr std::size_t PIPE_BUF_ = 4096;

namespace detail {
template <>
inline constexpr unsigned kRoles<EVENT> = kFlags;
template <>
inline constexpr unsigned kRoles<POLL> = kFlags;
template <>
inline constexpr unsigned kRoles<EPOLL> = kFlags;
}  // namespace detail

}  // namespace plug

#pragma GCC visibility pop
