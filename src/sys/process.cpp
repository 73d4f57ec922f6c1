#include "sys/process.hpp"

#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "sys/transfer.hpp"

namespace plug::detail::sys {

int process_number() noexcept { return ::getpid(); }

Result fork() noexcept { return result(::fork()); }

void exit_now(int status) noexcept { ::_exit(status); }

Result reap(int child) noexcept {
  int code = 0;
  return reap(child, code);
}

Result reap(int child, int& code) noexcept {
  int status = 0;
  const Result reaped = result(::waitpid(child, &status, WNOHANG));
  if (reaped > 0) code = WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
  return reaped;
}

Result pidfd(int process) noexcept { return result(::syscall(SYS_pidfd_open, process, 0)); }

void write_error(const char* text, std::size_t size) noexcept {
  while (size > 0) {
    const ssize_t count = ::write(STDERR_FILENO, text, size);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return;
    text += count;
    size -= static_cast<std::size_t>(count);
  }
}

std::string type_name(const std::type_info& type) {
  int status = 0;
  char* const name = abi::__cxa_demangle(type.name(), nullptr, nullptr, &status);
  std::string text = name == nullptr ? type.name() : name;
  std::free(name);
  return text;
}

const std::type_info* current_exception_type() noexcept {
  return abi::__cxa_current_exception_type();
}

}  // namespace plug::detail::sys
