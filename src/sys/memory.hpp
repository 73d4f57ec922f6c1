#pragma once

// Memory from the system, for stacks.

#include <cstddef>

#include "sys/for_fiber.hpp"
#include "sys/syscalls.hpp"

namespace plug::detail::sys {

PLUG_FOR_FIBER std::size_t page_size() noexcept;

/// Zeroed address space that takes real memory only where it is touched. The system's -errno, or 0
/// with `memory` set.
PLUG_FOR_FIBER Result map(std::size_t size, void*& memory) noexcept;
PLUG_FOR_FIBER void unmap(void* memory, std::size_t size) noexcept;

// Two ways to make pages that nobody may touch.

/// By a mark, of which there may be any number; -EINVAL before Linux 6.13.
PLUG_FOR_FIBER Result guard_by_mark(void* memory, std::size_t size) noexcept;
/// By a mapping of its own, of which a process may have 65,530.
PLUG_FOR_FIBER Result guard_by_mapping(void* memory, std::size_t size) noexcept;

/// How many bytes at the beginning have never been touched, in whole pages.
PLUG_FOR_FIBER std::size_t untouched(void* memory, std::size_t size) noexcept;

/// Gives the real memory behind pages back; they are zero when touched again. Guards stay.
PLUG_FOR_FIBER void forget(void* memory, std::size_t size) noexcept;

}  // namespace plug::detail::sys
