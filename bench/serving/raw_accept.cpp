// Accepts connections and closes them, with raw system calls. Prints its port.
//
//   raw_accept             accept4(), close()
//   raw_accept shutdown    accept4(), shutdown(SHUT_WR), close()

#include <unistd.h>

#include <cstring>

#include "raw.hpp"

int main(int argc, char** argv) {
  const bool shuts_down = argc > 1 && std::strcmp(argv[1], "shutdown") == 0;
  const int listener = raw::listener();
  for (;;) {
    const int fd = raw::check(accept4(listener, nullptr, nullptr, SOCK_CLOEXEC), "accept4");
    if (shuts_down) shutdown(fd, SHUT_WR);
    close(fd);
  }
}
