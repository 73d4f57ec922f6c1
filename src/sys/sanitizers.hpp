#pragma once

// What sanitizers have to be told.
//
// Switches of stacks are announced to the sanitizer that the program was built with, also where
// this library was built without it. The rest is for the thread sanitizer that the library was
// built with. It watches the calls of libc, and takes what one thread has written before it sends
// for seen by who receives. What the kernel does by itself it does not see.

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

// Of the sanitizers' own libraries: null where the program has none.
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

/// Whether there is one to which switches are announced: the same for all of a process.
inline bool hears_of_switches() noexcept {
  return __sanitizer_start_switch_fiber != nullptr || __tsan_switch_to_fiber != nullptr;
}

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
