// libevent: bufferevents on one event_base, like the echo server in its manual. Prints its port.
//
//   libevent [echo|sink|udp]

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdint>
#include <cstdio>
#include <cstring>

namespace {

bool sinks = false;

void echo(bufferevent* connection, void*) {
  evbuffer* const input = bufferevent_get_input(connection);
  if (!sinks) {
    evbuffer_add_buffer(bufferevent_get_output(connection), input);
    return;
  }
  auto* total = static_cast<std::uint64_t*>(nullptr);
  bufferevent_getcb(connection, nullptr, nullptr, nullptr, reinterpret_cast<void**>(&total));
  *total += evbuffer_get_length(input);
  evbuffer_drain(input, evbuffer_get_length(input));
}

void answered(bufferevent* connection, void* total) {
  delete static_cast<std::uint64_t*>(total);
  bufferevent_free(connection);
}

void failed(bufferevent* connection, short, void* total) { answered(connection, total); }

void ended(bufferevent* connection, short what, void* total) {
  if (!sinks || (what & BEV_EVENT_EOF) == 0) return answered(connection, total);
  bufferevent_setcb(connection, nullptr, &answered, &failed, total);
  bufferevent_write(connection, total, 8);
}

void accept(evconnlistener* listener, int fd, sockaddr*, int, void*) {
  bufferevent* const connection =
      bufferevent_socket_new(evconnlistener_get_base(listener), fd, BEV_OPT_CLOSE_ON_FREE);
  auto* const total = sinks ? new std::uint64_t(0) : nullptr;
  // The default is at most 16 KiB for each read.
  bufferevent_set_max_single_read(connection, 64 * 1024);
  bufferevent_set_max_single_write(connection, 64 * 1024);
  bufferevent_setcb(connection, &echo, nullptr, &ended, total);
  bufferevent_enable(connection, EV_READ | EV_WRITE);
}

void echo_datagrams(int fd, short, void*) {
  char buffer[2048];
  for (;;) {
    sockaddr_in from{};
    socklen_t size = sizeof from;
    auto* const name = reinterpret_cast<sockaddr*>(&from);
    const ssize_t got = recvfrom(fd, buffer, sizeof buffer, 0, name, &size);
    if (got < 0) return;
    sendto(fd, buffer, static_cast<std::size_t>(got), 0, name, size);
  }
}

int print_port(int fd) {
  sockaddr_in name{};
  socklen_t size = sizeof name;
  getsockname(fd, reinterpret_cast<sockaddr*>(&name), &size);
  std::printf("%d\n", ntohs(name.sin_port));
  return std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  const char* const what = argc > 1 ? argv[1] : "echo";
  sinks = std::strcmp(what, "sink") == 0;
  event_base* const base = event_base_new();
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  auto* const name = reinterpret_cast<sockaddr*>(&address);
  if (std::strcmp(what, "udp") == 0) {
    const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, name, sizeof address) < 0) return 1;
    print_port(fd);
    event_add(event_new(base, fd, EV_READ | EV_PERSIST, &echo_datagrams, nullptr), nullptr);
  } else {
    evconnlistener* const listener = evconnlistener_new_bind(
        base, &accept, nullptr, LEV_OPT_CLOSE_ON_FREE, 4096, name, sizeof address);
    if (listener == nullptr) return 1;
    print_port(evconnlistener_get_fd(listener));
  }
  return event_base_dispatch(base);
}
