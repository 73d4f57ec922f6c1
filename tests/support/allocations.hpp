#pragma once

// Counts the allocations that a thread makes with operator new, and makes one of them fail. Only
// one source file of a program may include this, because it defines operator new.

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <new>

/// The allocations of this thread since the last reset.
struct Allocations {
  std::size_t count = 0;
  std::size_t bytes = 0;
  std::size_t largest = 0;
  std::size_t failing = 0;  ///< the one that throws std::bad_alloc, counted from 1; 0: none
};
inline thread_local Allocations allocations;

// Not inlined, because the compiler would warn that a pointer from one of these is passed to the
// other. The array forms are replaced too, because a sanitizer's do not call these.
[[gnu::noinline]] void* operator new(std::size_t size) {
  if (++allocations.count == allocations.failing) throw std::bad_alloc();
  allocations.bytes += size;
  allocations.largest = std::max(allocations.largest, size);
  if (void* memory = std::malloc(size > 0 ? size : 1)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void* operator new[](std::size_t size) { return operator new(size); }
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete[](void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }
