#pragma once

// Processes, and what the C++ runtime knows of exceptions.

#include <cxxabi.h>

#include <cstddef>
#include <string>
#include <typeinfo>

#include "sys/for_fiber.hpp"
#include "sys/syscalls.hpp"

namespace plug::detail::sys {

/// This process's number.
int process_number() noexcept;
/// The child's number; 0 in the child.
Result fork() noexcept;
/// Ends the process at once: nothing is flushed and no destructor runs.
[[noreturn]] void exit_now(int status) noexcept;
/// The number of a child that has ended, which is thereby forgotten; 0 while it runs.
Result reap(int child) noexcept;
/// reap(), with `code` set to what the child has ended with: its exit status, or the negative
/// number of the signal that has ended it.
PLUG_FOR_FIBER Result reap(int child, int& code) noexcept;
/// A close-on-exec descriptor that is ready to be read from once the process has ended.
PLUG_FOR_FIBER Result pidfd(int process) noexcept;

/// Writes to the standard error output, all of it in one call where the kernel takes that.
PLUG_FOR_FIBER void write_error(const char* text, std::size_t size) noexcept;

/// What unwinds a thread that is being cancelled. It must be thrown on.
using ForcedUnwind = abi::__forced_unwind;

/// The name of a type as it is written in C++.
std::string type_name(const std::type_info& type);
/// The type of the exception that is being handled; null when there is none, or it is not C++'s.
const std::type_info* current_exception_type() noexcept;

}  // namespace plug::detail::sys
