#pragma once

// Tells valgrind about stacks that it does not know: it searches a stack's calls in the memory
// above the frames, and knows nothing of guards by marks. A request to valgrind is a few
// instructions that do nothing otherwise (see valgrind.h).

#include <cstddef>
#include <cstdint>

namespace plug::detail::sys {

#if defined(__x86_64__) || defined(__aarch64__)

inline std::uintptr_t ask_valgrind(std::uintptr_t request, std::uintptr_t first = 0,
                                   std::uintptr_t second = 0) noexcept {
  const volatile std::uintptr_t call[] = {request, first, second, 0, 0, 0};
  std::uintptr_t answer = 0;
#ifdef __x86_64__
  __asm__ volatile(
      "rolq $3, %%rdi; rolq $13, %%rdi; rolq $61, %%rdi; rolq $51, %%rdi; xchgq %%rbx, %%rbx"
      : "+d"(answer)
      : "a"(&call[0])
      : "cc", "memory");
#else
  __asm__ volatile(
      "mov x3, %0; mov x4, %1; ror x12, x12, #3; ror x12, x12, #13; ror x12, x12, #51; "
      "ror x12, x12, #61; orr x10, x10, x10; mov %0, x3"
      : "+r"(answer)
      : "r"(&call[0])
      : "cc", "memory", "x3", "x4");
#endif
  return answer;
}

#else

inline std::uintptr_t ask_valgrind(std::uintptr_t, std::uintptr_t = 0,
                                   std::uintptr_t = 0) noexcept {
  return 0;
}

#endif

inline bool runs_on_valgrind() noexcept { return ask_valgrind(0x1001) != 0; }

/// Tells valgrind that this memory holds call stacks. Returns a number for forget_stack().
inline std::uintptr_t register_stack(const char* memory, std::size_t size) noexcept {
  const auto begin = reinterpret_cast<std::uintptr_t>(memory);
  return ask_valgrind(0x1501, begin, begin + size - 1);
}
inline void forget_stack(std::uintptr_t number) noexcept { ask_valgrind(0x1502, number); }

/// Tells valgrind that memory which held frames is free for any use.
inline void tell_unused(const char* memory, std::size_t size) noexcept {
  ask_valgrind(0x4d430001, reinterpret_cast<std::uintptr_t>(memory), size);
}

}  // namespace plug::detail::sys
