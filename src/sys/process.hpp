#pragma once

// Processes, and the C++ runtime's knowledge of exceptions.

#include <cxxabi.h>

#include <cstddef>
#include <string>
#include <typeinfo>

#include "sys/for_fiber.hpp"
#include "sys/syscalls.hpp"

namespace plug::detail::sys {

/// Returns this process's number.
int process_number() noexcept;
/// Returns the child's number; 0 in the child.
Result fork() noexcept;
/// Ends the process at once: it flushes nothing and runs no destructor.
[[noreturn]] void exit_now(int status) noexcept;
/// Reaps a child that has ended (waitpid(2)) and returns its number; 0 while it runs.
Result reap(int child) noexcept;
/// Also sets `code`: the child's exit status, or the negated number of the signal that ended it.
PLUG_FOR_FIBER Result reap(int child, int& code) noexcept;
/// Opens a close-on-exec descriptor that becomes readable once the process has ended.
PLUG_FOR_FIBER Result pidfd(int process) noexcept;

/// Writes to standard error, in one call if the kernel takes all of it.
PLUG_FOR_FIBER void write_error(const char* text, std::size_t size) noexcept;

/// The exception that unwinds a thread that is being cancelled. A handler must rethrow it.
using ForcedUnwind = abi::__forced_unwind;

/// Returns the name of a type as it is written in C++.
std::string type_name(const std::type_info& type);
/// Returns the type of the exception that is being handled; null if there is none, or if it is not
/// a C++ exception.
const std::type_info* current_exception_type() noexcept;

}  // namespace plug::detail::sys
