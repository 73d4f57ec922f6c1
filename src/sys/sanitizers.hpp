#pragma once

// Which sanitizers there are, and what the thread sanitizer has to be told. It watches the calls of
// libc, and takes what one thread has written before it sends for seen by who receives. What the
// kernel does by itself it does not see.

#include <cstddef>

#include "sys/syscalls.hpp"

#if defined(__SANITIZE_ADDRESS__)
#define PLUG_ADDRESS_SANITIZER
#endif
#if defined(__SANITIZE_THREAD__)
#define PLUG_THREAD_SANITIZER
#endif
#if defined(__has_feature)
#if __has_feature(address_sanitizer) && !defined(PLUG_ADDRESS_SANITIZER)
#define PLUG_ADDRESS_SANITIZER
#endif
#if __has_feature(thread_sanitizer) && !defined(PLUG_THREAD_SANITIZER)
#define PLUG_THREAD_SANITIZER
#endif
#endif

namespace plug::detail::sys {

#ifdef PLUG_THREAD_SANITIZER

/// What comes before this comes before what follows tell_acquired(), of any thread.
void tell_released(const void* what) noexcept;
void tell_acquired(const void* what) noexcept;

/// The kernel has read this memory, and has written to this.
void tell_read(const void* memory, std::size_t size) noexcept;
void tell_written(void* memory, std::size_t size) noexcept;

/// Somebody is about to connect; the kernel is.
void tell_connecting() noexcept;
void tell_connecting(int fd) noexcept;
/// The kernel is about to send something; it has received something.
void tell_sending(int fd) noexcept;
void tell_received(int fd) noexcept;

/// The kernel has accepted a connection, which is known from here on: its descriptor, another one.
int tell_accepted(int fd) noexcept;

#else

inline void tell_released(const void*) noexcept {}
inline void tell_acquired(const void*) noexcept {}
inline void tell_read(const void*, std::size_t) noexcept {}
inline void tell_written(void*, std::size_t) noexcept {}
inline void tell_connecting() noexcept {}
inline void tell_connecting(int) noexcept {}
inline void tell_sending(int) noexcept {}
inline void tell_received(int) noexcept {}
inline int tell_accepted(int fd) noexcept { return fd; }

#endif

}  // namespace plug::detail::sys
