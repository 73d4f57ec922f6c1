// Sends over TCP, with copying or with MSG_ZEROCOPY, in raw system calls. bench/zerocopy runs it.
//
//   zerocopy receive HOST            prints the port that it listens on, and takes one connection
//   zerocopy send HOST PORT SIZE TOTAL copy|zerocopy
//
// Each prints at the end its CPU time in nanoseconds. The sender also prints the number of its
// calls, and how many of them the kernel copied after all. The sender reads every completion. It
// has at most 16 calls open, as in a program that reuses its buffers.

#include <arpa/inet.h>
#include <linux/errqueue.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <string>
#include <system_error>
#include <vector>

namespace {

template <class T>
T checked(T result, const char* call) {
  if (result < 0) throw std::system_error(errno, std::system_category(), call);
  return result;
}

std::int64_t cpu_nanoseconds() {
  timespec now{};
  checked(::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now), "clock_gettime");
  return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

sockaddr_in address_of(const char* host, int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  if (::inet_pton(AF_INET, host, &address.sin_addr) != 1) throw std::invalid_argument(host);
  return address;
}

void receive(const char* host) {
  const int listener = checked(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
  sockaddr_in address = address_of(host, 0);
  socklen_t size = sizeof address;
  auto* const name = reinterpret_cast<sockaddr*>(&address);
  checked(::bind(listener, name, size), "bind");
  checked(::listen(listener, 1), "listen");
  checked(::getsockname(listener, name, &size), "getsockname");
  std::printf("%d\n", ntohs(address.sin_port));
  std::fflush(stdout);
  const int sock = checked(::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC), "accept4");
  std::vector<char> room(1 << 20);
  const std::int64_t begin = cpu_nanoseconds();
  while (checked(::recv(sock, room.data(), room.size(), 0), "recv") > 0) continue;
  std::printf("%lld\n", static_cast<long long>(cpu_nanoseconds() - begin));
}

/// Counts the calls that have not been completed, from the reports in the socket's error queue.
class Completions {
 public:
  explicit Completions(int sock) : sock_(sock) {}

  void begun() { ++open_; }
  long copied() const { return copied_; }

  /// Waits until at most `most` calls are open.
  void wait(long most) {
    while (open_ > most) {
      char control[128];
      msghdr message{};
      message.msg_control = control;
      message.msg_controllen = sizeof control;
      if (::recvmsg(sock_, &message, MSG_ERRQUEUE) < 0) {
        if (errno != EAGAIN) throw std::system_error(errno, std::system_category(), "recvmsg");
        pollfd entry{sock_, 0, 0};
        checked(::poll(&entry, 1, 10'000), "poll");
        continue;
      }
      sock_extended_err report{};
      std::memcpy(&report, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof report);
      const long count = static_cast<long>(report.ee_data - report.ee_info) + 1;
      open_ -= count;
      if ((report.ee_code & SO_EE_CODE_ZEROCOPY_COPIED) != 0) copied_ += count;
    }
  }

 private:
  int sock_;
  long open_ = 0;
  long copied_ = 0;
};

void send(const char* host, int port, std::size_t size, std::int64_t total, bool zerocopy) {
  const int sock = checked(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
  const sockaddr_in address = address_of(host, port);
  checked(::connect(sock, reinterpret_cast<const sockaddr*>(&address), sizeof address), "connect");
  const int on = 1;
  if (zerocopy) checked(::setsockopt(sock, SOL_SOCKET, SO_ZEROCOPY, &on, sizeof on), "setsockopt");
  const std::string data(size, 'x');
  Completions completions(sock);
  long calls = 0;
  const std::int64_t begin = cpu_nanoseconds();
  for (std::int64_t sent = 0; sent < total;) {
    const int flags = MSG_NOSIGNAL | (zerocopy ? MSG_ZEROCOPY : 0);
    const ssize_t count = ::send(sock, data.data(), data.size(), flags);
    if (count < 0 && errno == ENOBUFS && zerocopy) {
      completions.wait(0);
      continue;
    }
    sent += checked(count, "send");
    ++calls;
    if (!zerocopy) continue;
    completions.begun();
    completions.wait(16);
  }
  completions.wait(0);
  std::printf("%lld %ld %ld\n", static_cast<long long>(cpu_nanoseconds() - begin), calls,
              completions.copied());
}

}  // namespace

int main(int argc, char** argv) {
  const std::string mode = argc > 1 ? argv[1] : "";
  if (mode == "receive" && argc == 3) {
    receive(argv[2]);
  } else if (mode == "send" && argc == 7) {
    send(argv[2], std::atoi(argv[3]), static_cast<std::size_t>(std::atol(argv[4])),
         std::atoll(argv[5]), std::strcmp(argv[6], "zerocopy") == 0);
  } else {
    std::fprintf(stderr, "see the top of bench/zerocopy.cpp\n");
    return 2;
  }
  return 0;
}
