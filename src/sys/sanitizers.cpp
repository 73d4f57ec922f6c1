#include "sys/sanitizers.hpp"

#ifdef PLUG_THREAD_SANITIZER

#include <fcntl.h>
#include <sanitizer/tsan_interface.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

// Defined in the thread sanitizer's library, declared in no header.
extern "C" {
void __tsan_read_range(void* memory, unsigned long size);   // NOLINT(bugprone-reserved-identifier)
void __tsan_write_range(void* memory, unsigned long size);  // NOLINT(bugprone-reserved-identifier)
}

namespace plug::detail::sys {

namespace {

// Stands for the origin of connections, because nobody knows which thread has asked for one.
char connections;

}  // namespace

void tell_released(const void* what) noexcept { __tsan_release(const_cast<void*>(what)); }
void tell_acquired(const void* what) noexcept { __tsan_acquire(const_cast<void*>(what)); }

void tell_read(const void* memory, std::size_t size) noexcept {
  __tsan_read_range(const_cast<void*>(memory), size);
}
void tell_written(void* memory, std::size_t size) noexcept { __tsan_write_range(memory, size); }

void tell_connecting() noexcept { tell_released(&connections); }

// These calls do nothing, but the sanitizer treats them like any other on the descriptor.

void tell_connecting(int fd) noexcept {
  tell_connecting();
  ::connect(fd, nullptr, 0);
}
void tell_sending(int fd) noexcept { ::writev(fd, nullptr, 0); }
void tell_received(int fd) noexcept { ::readv(fd, nullptr, 0); }

int tell_accepted(int fd) noexcept {
  tell_acquired(&connections);
  // The connection replaces a socket that the sanitizer has seen, by system calls that it does not
  // see.
  const int known = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (known < 0) return fd;
  ::syscall(SYS_dup3, fd, known, O_CLOEXEC);
  ::syscall(SYS_close, fd);
  return known;
}

}  // namespace plug::detail::sys

#endif
