#pragma once

// The system calls that move data; syscalls.hpp has the others. They are inline, so that the system
// call returns straight into its caller; see perform() in wait/io_driver.hpp. Sending never raises
// SIGPIPE.

#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "sys/syscalls.hpp"

namespace plug::detail::sys {

inline Result result(long value) noexcept { return value < 0 ? -errno : value; }

inline sockaddr* as_sockaddr(void* address) noexcept { return static_cast<sockaddr*>(address); }
inline const sockaddr* as_sockaddr(const void* address) noexcept {
  return static_cast<const sockaddr*>(address);
}

/// Sends with MSG_NOSIGNAL, or without it if the socket's family refuses that flag.
template <class Send>
inline Result quietly(int fd, int flags, Send send) noexcept {
  const Result sent = result(send(flags | MSG_NOSIGNAL));
  if ((sent == -EINVAL || sent == -EOPNOTSUPP) && refuses_nosignal(fd)) [[unlikely]]
    return result(send(flags));
  return sent;
}

inline Result recv(int fd, void* data, std::size_t size, int flags) noexcept {
  return result(::recv(fd, data, size, flags));
}

inline Result recvfrom(int fd, void* data, std::size_t size, int flags, void* address,
                       std::size_t& address_size) noexcept {
  auto length = static_cast<socklen_t>(address_size);
  const Result received = result(::recvfrom(fd, data, size, flags, as_sockaddr(address), &length));
  address_size = length;
  return received;
}

inline Result send(int fd, const void* data, std::size_t size, int flags) noexcept {
  return quietly(fd, flags, [=](int all) { return ::send(fd, data, size, all); });
}

inline Result sendto(int fd, const void* data, std::size_t size, int flags, const void* address,
                     std::size_t address_size) noexcept {
  return quietly(fd, flags, [=](int all) {
    return ::sendto(fd, data, size, all, as_sockaddr(address),
                    static_cast<socklen_t>(address_size));
  });
}

// The same calls, which never block, even on a blocking descriptor. They bypass the C library: each
// of its calls is a cancellation point, which costs as many instructions as everything else here
// and is useless where nothing waits. With a sanitizer they use the C library, whose calls it has
// to see.

/// Makes a system call with the six arguments of sendto() and recvfrom(), without an address.
inline Result call_now(long number, int fd, const void* data, std::size_t size,
                       int flags) noexcept {
  return result(::syscall(number, fd, data, size, flags, nullptr, std::size_t{0}));
}

inline Result recv_now(int fd, void* data, std::size_t size) noexcept {
#ifdef PLUG_SANITIZED
  return recv(fd, data, size, kDontWait);
#else
  return call_now(SYS_recvfrom, fd, data, size, MSG_DONTWAIT);
#endif
}

inline Result send_now(int fd, const void* data, std::size_t size) noexcept {
#ifdef PLUG_SANITIZED
  return send(fd, data, size, kDontWait);
#else
  const Result sent = call_now(SYS_sendto, fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL);
  if ((sent == -EINVAL || sent == -EOPNOTSUPP) && refuses_nosignal(fd)) [[unlikely]]
    return call_now(SYS_sendto, fd, data, size, MSG_DONTWAIT);
  return sent;
#endif
}

inline Result recvmsg(int fd, Message& message, int flags) noexcept {
  return result(::recvmsg(fd, reinterpret_cast<msghdr*>(&message), flags));
}

inline Result sendmsg(int fd, const Message& message, int flags) noexcept {
  return quietly(fd, flags, [&message, fd](int all) {
    return ::sendmsg(fd, reinterpret_cast<const msghdr*>(&message), all);
  });
}

}  // namespace plug::detail::sys
