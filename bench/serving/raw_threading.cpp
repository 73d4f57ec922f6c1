// An echo server in raw system calls: a blocking thread for each connection. Prints its port.
//
//   raw_threading          sends back the data that it receives
//   raw_threading close    closes each connection at once, in its thread

#include <pthread.h>
#include <unistd.h>

#include <cstdint>
#include <cstring>

#include "raw.hpp"

namespace {

bool echoes = true;

void* serve(void* argument) {
  const int fd = static_cast<int>(reinterpret_cast<std::intptr_t>(argument));
  char buffer[4096];
  while (echoes) {
    const ssize_t got = recv(fd, buffer, sizeof buffer, 0);
    if (got <= 0 || !raw::send_all(fd, buffer, static_cast<size_t>(got))) break;
  }
  close(fd);
  return nullptr;
}

}  // namespace

int main(int argc, char** argv) {
  echoes = argc < 2 || std::strcmp(argv[1], "close") != 0;
  const int listener = raw::listener();
  for (;;) {
    const int fd = raw::check(accept4(listener, nullptr, nullptr, SOCK_CLOEXEC), "accept4");
    pthread_t thread;
    void* const argument = reinterpret_cast<void*>(std::intptr_t{fd});
    if (pthread_create(&thread, nullptr, serve, argument) != 0) return 1;
    pthread_detach(thread);
  }
}
