#pragma once

// Functions that the servers in raw system calls share.

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>

namespace raw {

/// Ends the program if a system call has failed.
inline int check(int result, const char* call) {
  if (result >= 0) return result;
  std::perror(call);
  std::exit(1);
}

/// Returns a socket that is bound to a free port of 127.0.0.1. A stream socket listens. Prints the
/// port.
inline int bound(int type) {
  const int fd = check(socket(AF_INET, type | SOCK_CLOEXEC, 0), "socket");
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* const name = reinterpret_cast<sockaddr*>(&address);
  check(bind(fd, name, size), "bind");
  if ((type & SOCK_STREAM) != 0) check(listen(fd, 4096), "listen");
  check(getsockname(fd, name, &size), "getsockname");
  std::printf("%d\n", ntohs(address.sin_port));
  std::fflush(stdout);
  return fd;
}

/// Listens on a free port of 127.0.0.1 and prints the port.
inline int listener(int type = SOCK_STREAM) { return bound(type); }

/// Sends all data. Returns false if the client has gone.
inline bool send_all(int fd, const char* data, size_t size) {
  while (size > 0) {
    const ssize_t sent = send(fd, data, size, MSG_NOSIGNAL);
    if (sent < 0 && errno == EAGAIN) {
      pollfd writable{fd, POLLOUT, 0};
      poll(&writable, 1, -1);
      continue;
    }
    if (sent < 0) return false;
    data += sent;
    size -= static_cast<size_t>(sent);
  }
  return true;
}

}  // namespace raw
