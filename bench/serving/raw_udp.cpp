// Sends datagrams back, with raw system calls: one thread and epoll. Prints its port.
//
//   raw_udp          recvmmsg() and sendmmsg(), up to 64 datagrams at once
//   raw_udp single   recvfrom() and sendto()

#include <netinet/in.h>
#include <sys/epoll.h>

#include <cerrno>
#include <cstring>

#include "raw.hpp"

namespace {

constexpr unsigned kBatch = 64;
constexpr std::size_t kSize = 2048;

void echo_batches(int fd) {
  static char memory[kBatch][kSize];
  static sockaddr_in addresses[kBatch];
  static iovec pieces[kBatch];
  static mmsghdr messages[kBatch];
  for (;;) {
    for (unsigned i = 0; i < kBatch; ++i) {
      pieces[i] = {memory[i], kSize};
      messages[i] = {};
      messages[i].msg_hdr.msg_name = &addresses[i];
      messages[i].msg_hdr.msg_namelen = sizeof addresses[i];
      messages[i].msg_hdr.msg_iov = &pieces[i];
      messages[i].msg_hdr.msg_iovlen = 1;
    }
    const int got = recvmmsg(fd, messages, kBatch, MSG_DONTWAIT, nullptr);
    if (got <= 0) return;
    for (int i = 0; i < got; ++i) pieces[i].iov_len = messages[i].msg_len;
    for (int sent = 0; sent < got;) {
      const int now = sendmmsg(fd, messages + sent, static_cast<unsigned>(got - sent), 0);
      if (now <= 0) break;
      sent += now;
    }
    if (static_cast<unsigned>(got) < kBatch) return;
  }
}

void echo_singles(int fd) {
  char buffer[kSize];
  for (;;) {
    sockaddr_in address;
    socklen_t size = sizeof address;
    auto* const name = reinterpret_cast<sockaddr*>(&address);
    const ssize_t got = recvfrom(fd, buffer, sizeof buffer, MSG_DONTWAIT, name, &size);
    if (got < 0) return;
    sendto(fd, buffer, static_cast<std::size_t>(got), 0, name, size);
  }
}

}  // namespace

int main(int argc, char** argv) {
  const bool single = argc > 1 && std::strcmp(argv[1], "single") == 0;
  const int fd = raw::bound(SOCK_DGRAM);
  const int epoll = raw::check(epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
  epoll_event event{};
  event.events = EPOLLIN;
  raw::check(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event), "epoll_ctl");
  for (;;) {
    raw::check(epoll_wait(epoll, &event, 1, -1), "epoll_wait");
    single ? echo_singles(fd) : echo_batches(fd);
  }
}
