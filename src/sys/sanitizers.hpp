#pragma once

// Information for sanitizers.
//
// Stack switches are announced to the sanitizer that the program was built with, even if this
// library was built without it. The rest is for the thread sanitizer that the library was built
// with. It watches the calls of libc, where a send happens before the receive of its data. It does
// not see the kernel's own actions.

#include <cstddef>

#include "sys/syscalls.hpp"

#if defined(__SANITIZE_THREAD__)
#define PLUG_THREAD_SANITIZER
#endif
#if defined(__has_feature)
#if __has_feature(thread_sanitizer) && !defined(PLUG_THREAD_SANITIZER)
#define PLUG_THREAD_SANITIZER
#endif
#endif

// From the sanitizers' libraries: null if the program has none.
// NOLINTBEGIN(bugprone-reserved-identifier)
extern "C" {
#define PLUG_OF_SANITIZER __attribute__((weak, visibility("default")))
PLUG_OF_SANITIZER void __sanitizer_start_switch_fiber(void** fake_stack, const void* bottom,
                                                      std::size_t size);
PLUG_OF_SANITIZER void __sanitizer_finish_switch_fiber(void* fake_stack, const void** bottom,
                                                       std::size_t* size);
PLUG_OF_SANITIZER void __asan_unpoison_memory_region(const volatile void* memory, std::size_t size);
PLUG_OF_SANITIZER void* __tsan_get_current_fiber();
PLUG_OF_SANITIZER void* __tsan_create_fiber(unsigned flags);
PLUG_OF_SANITIZER void __tsan_destroy_fiber(void* fiber);
PLUG_OF_SANITIZER void __tsan_switch_to_fiber(void* fiber, unsigned flags);
#undef PLUG_OF_SANITIZER
}
// NOLINTEND(bugprone-reserved-identifier)

namespace plug::detail::sys {

/// Returns true if a sanitizer wants to know of stack switches. The same in the whole process.
inline bool hears_of_switches() noexcept {
  return __sanitizer_start_switch_fiber != nullptr || __tsan_switch_to_fiber != nullptr;
}

#ifdef PLUG_THREAD_SANITIZER

/// Everything before tell_released() happens before everything after tell_acquired(), on any
/// thread.
void tell_released(const void* what) noexcept;
void tell_acquired(const void* what) noexcept;

/// Tells that the kernel has read, or has written, this memory.
void tell_read(const void* memory, std::size_t size) noexcept;
void tell_written(void* memory, std::size_t size) noexcept;

/// Tells that the calling thread, or the kernel, is about to connect.
void tell_connecting() noexcept;
void tell_connecting(int fd) noexcept;
/// Tells that the kernel is about to send data, or has received data.
void tell_sending(int fd) noexcept;
void tell_received(int fd) noexcept;

/// Tells that the kernel has accepted a connection. Returns the number to use for it from now on,
/// which is a new one.
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
