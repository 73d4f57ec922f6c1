// A library to preload (LD_PRELOAD) that makes one allocation of a program fail: the functions of
// the C library return a null pointer, and operator new throws std::bad_alloc.
//
//   PLUG_FAIL_ALLOCATION=N[,FILE]   fails the Nth allocation after main() has begun. Writes the
//                                   callers to FILE: a line "object offset" each, innermost first
//
// All threads count together. A forked child counts on its own; with a FILE, which must not exist
// yet, the allocation fails in one process only. Programs that the process starts do not count, nor
// do allocations by OpenSSL.

#include <dlfcn.h>
#include <execinfo.h>
#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

extern "C" {
void* __libc_malloc(std::size_t size);
void* __libc_calloc(std::size_t count, std::size_t size);
void* __libc_realloc(void* memory, std::size_t size);
void* __libc_memalign(std::size_t alignment, std::size_t size);
}

namespace {

using Main = int (*)(int, char**, char**);

Main program = nullptr;
const char* mark = nullptr;
std::atomic<long> left{0};  // no allocation fails if this is 0 or less

/// Writes the callers to the file. Returns false if another process has already done so.
bool tell_callers() {
  const int file = open(mark, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
  if (file < 0) return errno != EEXIST;
  void* callers[64];
  const int count = backtrace(callers, 64);
  for (int i = 0; i < count; ++i) {
    Dl_info info;
    if (dladdr(callers[i], &info) == 0) continue;
    const auto offset = reinterpret_cast<std::uintptr_t>(callers[i]) -
                        reinterpret_cast<std::uintptr_t>(info.dli_fbase);
    dprintf(file, "%s %#zx\n", info.dli_fname, static_cast<std::size_t>(offset - 1));
  }
  close(file);
  return true;
}

/// OpenSSL allocates thousands of times when it starts, and crashes if one of these fails.
bool is_for_openssl(const void* caller) {
  Dl_info info;
  return dladdr(caller, &info) != 0 && std::strstr(info.dli_fname, "libcrypto") != nullptr;
}

bool fails(const void* caller) {
  if (left.load(std::memory_order_relaxed) <= 0 || is_for_openssl(caller) || --left != 0)
    return false;
  if (mark != nullptr && !tell_callers()) return false;
  errno = ENOMEM;
  return true;
}

int counted_main(int argc, char** argv, char** environment) {
  if (const char* text = std::getenv("PLUG_FAIL_ALLOCATION")) {
    char* end = nullptr;
    const long number = std::strtol(text, &end, 10);
    if (*end == ',') mark = end + 1;
    void* caller = nullptr;
    backtrace(&caller, 1);  // allocates when it is first called
    left = number;
  }
  unsetenv("LD_PRELOAD");
  return program(argc, argv, environment);
}

}  // namespace

extern "C" {

void* malloc(std::size_t size) {
  return fails(__builtin_return_address(0)) ? nullptr : __libc_malloc(size);
}

void* calloc(std::size_t count, std::size_t size) {
  return fails(__builtin_return_address(0)) ? nullptr : __libc_calloc(count, size);
}

void* realloc(void* memory, std::size_t size) {
  return fails(__builtin_return_address(0)) ? nullptr : __libc_realloc(memory, size);
}

void* memalign(std::size_t alignment, std::size_t size) {
  return fails(__builtin_return_address(0)) ? nullptr : __libc_memalign(alignment, size);
}

void* aligned_alloc(std::size_t alignment, std::size_t size) {
  return fails(__builtin_return_address(0)) ? nullptr : __libc_memalign(alignment, size);
}

int posix_memalign(void** memory, std::size_t alignment, std::size_t size) {
  if (fails(__builtin_return_address(0))) return ENOMEM;
  void* const made = __libc_memalign(alignment, size);
  if (made == nullptr) return ENOMEM;
  *memory = made;
  return 0;
}

/// Starts a program: calls counted_main() in place of main().
int __libc_start_main(Main main, int argc, char** argv, void (*init)(), void (*fini)(),
                      void (*loader_fini)(), void* stack_end) {
  using Start = int(Main, int, char**, void (*)(), void (*)(), void (*)(), void*);
  program = main;
  auto* const start = reinterpret_cast<Start*>(dlsym(RTLD_NEXT, "__libc_start_main"));
  return start(counted_main, argc, argv, init, fini, loader_fini, stack_end);
}
}
