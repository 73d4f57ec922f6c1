// An echo server in system calls: one thread and epoll, level-triggered. Prints its port.

#include <sys/epoll.h>
#include <unistd.h>

#include <cerrno>

#include "raw.hpp"

namespace {

struct Connection {
  int fd;
};

void add(int epoll, int fd, void* data) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.ptr = data;
  raw::check(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event), "epoll_ctl");
}

void echo(Connection* connection) {
  char buffer[4096];
  const ssize_t got = recv(connection->fd, buffer, sizeof buffer, 0);
  if (got > 0 && raw::send_all(connection->fd, buffer, static_cast<size_t>(got))) return;
  if (got < 0 && errno == EAGAIN) return;
  close(connection->fd);
  delete connection;
}

}  // namespace

int main() {
  const int listener = raw::listener(SOCK_STREAM | SOCK_NONBLOCK);
  const int epoll = raw::check(epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
  add(epoll, listener, nullptr);
  epoll_event events[1024];
  for (;;) {
    const int count = raw::check(epoll_wait(epoll, events, 1024, -1), "epoll_wait");
    for (int i = 0; i < count; ++i) {
      if (events[i].data.ptr != nullptr) {
        echo(static_cast<Connection*>(events[i].data.ptr));
      } else {
        const int fd = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd >= 0) add(epoll, fd, new Connection{fd});
      }
    }
  }
}
