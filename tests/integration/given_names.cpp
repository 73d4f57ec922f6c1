// A library that parity_families.py preloads into Python. getsockname() returns an address that the
// test has given, and bind() records the address that Python passes. This makes both directions of
// Python's conversions visible, even for families that the kernel lacks.

#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstring>

namespace {

struct Name {
  char bytes[sizeof(sockaddr_storage)];
  std::size_t size;
};

Name given;
Name taken;

}  // namespace

extern "C" {

void give_name(const char* bytes, std::size_t size) {
  given.size = std::min(size, sizeof given.bytes);
  std::memcpy(given.bytes, bytes, given.size);
}

std::size_t taken_name(char* bytes) {
  std::memcpy(bytes, taken.bytes, taken.size);
  return taken.size;
}

int getsockname(int fd, sockaddr* name, socklen_t* size) noexcept {
  if (given.size == 0) return static_cast<int>(::syscall(SYS_getsockname, fd, name, size));
  std::memcpy(name, given.bytes, std::min<std::size_t>(*size, given.size));
  *size = static_cast<socklen_t>(given.size);
  return 0;
}

int bind(int, const sockaddr* name, socklen_t size) noexcept {
  taken.size = std::min<std::size_t>(size, sizeof taken.bytes);
  std::memcpy(taken.bytes, name, taken.size);
  return 0;
}
}
