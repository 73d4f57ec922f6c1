#pragma once

// The constants of Python's select and selectors modules, as scoped enums. plug/constants.hpp
// describes the spelling, and how flags are combined and tested. POLLIN and its like have no
// underscore; the name follows POLL or EPOLL: POLL::IN, EPOLL::OUT. POLL::ERR_ and EPOLL::ERR_ end
// in an underscore because <curses.h> has a macro ERR.
//
// src/sys/polling.cpp checks every value against the system's headers.

#include <plug/constants.hpp>
#include <plug/detail/constant_roles.hpp>

#include <cstddef>
#include <cstdint>

#pragma GCC visibility push(default)

namespace plug {

/// Events of a selector; or-able. Python: selectors.EVENT_READ, EVENT_WRITE.
enum class EVENT : int {
  READ = 1,
  WRITE = 2,
};

/// Events of a Poll; or-able. ERR_, HUP and NVAL are always reported. Python: select.POLL*,
/// poll(2).
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
  RDHUP = 0x2000,  ///< the peer has shut down its sending half
};

/// Events of an Epoll; or-able. ERR_ and HUP are always reported. CLOEXEC is a flag of the
/// constructor. Python: select.EPOLL*, epoll_ctl(2).
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
  EXCLUSIVE = 0x10000000,  ///< wake only one of several Epolls that watch the descriptor
  WAKEUP = 0x20000000,     ///< keep the system awake until the event has been handled
  ONESHOT = 0x40000000,    ///< report one event, then none until modify()
  ET = 0x80000000,         ///< edge-triggered
  CLOEXEC = 0x80000,
};

/// The number of bytes that a pipe takes without blocking once it is reported as writable.
inline constexpr std::size_t PIPE_BUF_ = 4096;

}  // namespace plug

#pragma GCC visibility pop
