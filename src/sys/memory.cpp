#include "sys/memory.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
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
  // A huge page would be real memory for many stacks that use only a few bytes.
  ::madvise(made, size, MADV_NOHUGEPAGE);
  memory = made;
  return 0;
}

void unmap(void* memory, std::size_t size) noexcept { ::munmap(memory, size); }

Result guard_by_mark(void* memory, std::size_t size) noexcept {
  constexpr int kGuardInstall = 102;  // MADV_GUARD_INSTALL
  return result(::madvise(memory, size, kGuardInstall));
}

Result guard_by_mapping(void* memory, std::size_t size) noexcept {
  return result(::mprotect(memory, size, PROT_NONE));
}

std::size_t untouched(void* memory, std::size_t size) noexcept {
  constexpr std::size_t kAtOnce = 64;
  const std::size_t pages = size / page_size();
  std::array<unsigned char, kAtOnce> there{};
  for (std::size_t page = 0; page < pages; page += kAtOnce) {
    const std::size_t count = std::min(kAtOnce, pages - page);
    char* const begin = static_cast<char*>(memory) + page * page_size();
    if (::mincore(begin, count * page_size(), there.data()) != 0) return page * page_size();
    for (std::size_t i = 0; i < count; ++i)
      if ((there[i] & 1) != 0) return (page + i) * page_size();
  }
  return pages * page_size();
}

void forget(void* memory, std::size_t size) noexcept { ::madvise(memory, size, MADV_DONTNEED); }

}  // namespace plug::detail::sys
