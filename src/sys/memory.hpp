#pragma once

// Memory from the system for stacks.

#include <cstddef>

#include "sys/for_fiber.hpp"
#include "sys/syscalls.hpp"

namespace plug::detail::sys {

PLUG_FOR_FIBER std::size_t page_size() noexcept;

/// Maps zeroed address space, which takes real memory only where it is touched. Returns 0 with
/// `memory` set, or -errno.
PLUG_FOR_FIBER Result map(std::size_t size, void*& memory) noexcept;
PLUG_FOR_FIBER void unmap(void* memory, std::size_t size) noexcept;

// Two ways to make pages inaccessible.

/// By a mark (MADV_GUARD_INSTALL), in any number. Returns -EINVAL before Linux 6.13.
PLUG_FOR_FIBER Result guard_by_mark(void* memory, std::size_t size) noexcept;
/// By mprotect(2), which makes a mapping for the guard. A process may have 65,530 mappings.
PLUG_FOR_FIBER Result guard_by_mapping(void* memory, std::size_t size) noexcept;

/// Returns the number of bytes at the beginning that have never been touched, in whole pages.
PLUG_FOR_FIBER std::size_t untouched(void* memory, std::size_t size) noexcept;

/// Returns the real memory of pages to the system; they read as zero afterwards. Guards stay.
PLUG_FOR_FIBER void forget(void* memory, std::size_t size) noexcept;

}  // namespace plug::detail::sys
