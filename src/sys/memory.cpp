#include "sys/memory.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>

#include "sys/transfer.hpp"

namespace plug::detail::sys {

std::size_t page_size() noexcept {
  static const auto size = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  return size;
}

Result map(std::size_t size, void*& memory) noexcept {
  void* const made = ::mmap(nullptr, size, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
  if (made == MAP_FAILED) return -errno;
  // A huge page would be real memory for many stacks of which few bytes are used.
  ::madvise(made, size, MADV_NOHUGEPAGE);
  memory = made;
  return 0;
}

void unmap(void* memory, std::size_t size) noexcept { ::munmap(memory, size); }

Result guard(void* memory, std::size_t size) noexcept {
  constexpr int kGuardInstall = 102;  // MADV_GUARD_INSTALL
  if (::madvise(memory, size, kGuardInstall) == 0) return 0;
  return result(::mprotect(memory, size, PROT_NONE));
}

void forget(void* memory, std::size_t size) noexcept { ::madvise(memory, size, MADV_DONTNEED); }

}  // namespace plug::detail::sys
