// A server in raw system calls: one thread and level-triggered epoll. Prints its port.
//
//   raw_epoll         sends back the data that it receives
//   raw_epoll sink    counts the bytes, and answers with their number at the end of the stream
//   raw_epoll spin    sends the data back, and polls instead of sleeping

#include <sys/epoll.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>

#include "raw.hpp"

namespace {

struct Connection {
  int fd;
  std::uint64_t total = 0;
};

char buffer[64 * 1024];

void add(int epoll, int fd, void* data) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.ptr = data;
  raw::check(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event), "epoll_ctl");
}

void end(Connection* connection) {
  close(connection->fd);
  delete connection;
}

void echo(Connection* connection) {
  const ssize_t got = recv(connection->fd, buffer, sizeof buffer, 0);
  if (got > 0 && raw::send_all(connection->fd, buffer, static_cast<size_t>(got))) return;
  if (got < 0 && errno == EAGAIN) return;
  end(connection);
}

void sink(Connection* connection) {
  const ssize_t got = recv(connection->fd, buffer, sizeof buffer, 0);
  if (got > 0) {
    connection->total += static_cast<std::uint64_t>(got);
    return;
  }
  if (got < 0 && errno == EAGAIN) return;
  char answer[8];
  std::memcpy(answer, &connection->total, sizeof answer);
  raw::send_all(connection->fd, answer, sizeof answer);
  end(connection);
}

}  // namespace

int main(int argc, char** argv) {
  const auto serve = argc > 1 && std::strcmp(argv[1], "sink") == 0 ? &sink : &echo;
  const int patience = argc > 1 && std::strcmp(argv[1], "spin") == 0 ? 0 : -1;
  const int listener = raw::listener(SOCK_STREAM | SOCK_NONBLOCK);
  const int epoll = raw::check(epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
  add(epoll, listener, nullptr);
  epoll_event events[1024];
  for (;;) {
    const int count = raw::check(epoll_wait(epoll, events, 1024, patience), "epoll_wait");
    for (int i = 0; i < count; ++i) {
      if (events[i].data.ptr != nullptr) {
        serve(static_cast<Connection*>(events[i].data.ptr));
      } else {
        const int fd = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd >= 0) add(epoll, fd, new Connection{fd});
      }
    }
  }
}
