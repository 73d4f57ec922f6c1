// Performs one operation COUNT times, with raw system calls or with plug, so that another program
// can count its cost:
//
//   one_call raw|plug OPERATION COUNT
//
// bench/count_calls runs it.
//
// The preparation does not depend on COUNT, so the difference between two runs is the cost of the
// operations alone. All data arrives before the first operation, unless OPERATION ends in "_wait":
// then each message is sent only after the kernel has put the calling thread to sleep. If OPERATION
// contains "_timeout", the socket has a timeout.
//
// Prints how often the operations have allocated memory.

#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <plug/socket.hpp>

#include <array>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <fstream>
#include <iostream>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <tuple>

extern "C" void* __libc_malloc(std::size_t size);

namespace {
thread_local long allocations = 0;
}

/// Replaces the C library's malloc(). operator new calls it too.
extern "C" void* malloc(std::size_t size) {
  ++allocations;
  return __libc_malloc(size);
}

namespace {

constexpr int kMost = 200;
constexpr std::size_t kSize = 64;
constexpr int kTimeoutSeconds = 5;
using Message = std::array<char, kSize>;

template <class T>
T checked(T result, const char* call) {
  if (result < 0) throw std::system_error(errno, std::system_category(), call);
  return result;
}

struct Ends {
  int near;
  int far;
};

Ends stream_ends() {
  int ends[2];
  checked(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends), "socketpair");
  return {ends[0], ends[1]};
}

sockaddr_in name_of(int fd) {
  sockaddr_in name{};
  socklen_t size = sizeof name;
  checked(::getsockname(fd, reinterpret_cast<sockaddr*>(&name), &size), "getsockname");
  return name;
}

/// Returns two datagram sockets. The far one is connected to the near one.
Ends datagram_ends() {
  Ends ends{};
  for (int* const end : {&ends.near, &ends.far}) {
    *end = checked(::socket(AF_INET, SOCK_DGRAM, 0), "socket");
    sockaddr_in name{};
    name.sin_family = AF_INET;
    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    checked(::bind(*end, reinterpret_cast<sockaddr*>(&name), sizeof name), "bind");
  }
  const sockaddr_in near = name_of(ends.near);
  checked(::connect(ends.far, reinterpret_cast<const sockaddr*>(&near), sizeof near), "connect");
  return ends;
}

/// Sends a message each time the thread that created the Waker has called ask() and fallen asleep.
class Waker {
 public:
  Waker(int fd, int count)
      : status_("/proc/self/task/" + std::to_string(::gettid()) + "/stat"),
        thread_([this, fd, count] {
          const Message message{};
          for (int done = 0; done < count; ++done) {
            while (asked_ == done || !asleep()) std::this_thread::yield();
            checked(::write(fd, message.data(), kSize), "write");
          }
        }) {}
  ~Waker() { thread_.join(); }

  void ask() noexcept { ++asked_; }

 private:
  bool asleep() const {
    std::string line;
    std::getline(std::ifstream(status_) >> std::ws, line);
    return line.find(") S ") != std::string::npos;
  }

  const std::string status_;
  std::atomic<int> asked_{0};
  std::thread thread_;
};

/// The raw system calls, with the checks that any program needs.
class Raw {
 public:
  Raw(Ends ends, bool timed, bool datagrams) : fd_(ends.near), timed_(timed) {
    if (timed) checked(::fcntl(fd_, F_SETFL, O_NONBLOCK), "fcntl");
    if (datagrams) peer_ = name_of(ends.far);
  }

  void recv_into() {
    for (;;) {
      if (::recv(fd_, message_.data(), kSize, 0) >= 0) return;
      wait_or_throw(POLLIN, "recv");
    }
  }
  void recv() { recv_into(); }

  void recvfrom_into() {
    sockaddr_storage sender;
    socklen_t size = sizeof sender;
    checked(::recvfrom(fd_, message_.data(), kSize, 0, reinterpret_cast<sockaddr*>(&sender), &size),
            "recvfrom");
  }

  void send() { checked(::send(fd_, message_.data(), kSize, MSG_NOSIGNAL), "send"); }

  void sendall() {
    for (std::size_t sent = 0; sent < kSize;) {
      const ssize_t count = ::send(fd_, message_.data() + sent, kSize - sent, MSG_NOSIGNAL);
      if (count >= 0)
        sent += static_cast<std::size_t>(count);
      else
        wait_or_throw(POLLOUT, "send");
    }
  }

  void sendto() {
    checked(::sendto(fd_, message_.data(), kSize, MSG_NOSIGNAL,
                     reinterpret_cast<const sockaddr*>(&peer_), sizeof peer_),
            "sendto");
  }

 private:
  void wait_or_throw(short events, const char* call) {
    if (errno == EINTR) return;
    if (!timed_ || errno != EAGAIN) throw std::system_error(errno, std::system_category(), call);
    pollfd entry{fd_, events, 0};
    if (checked(::poll(&entry, 1, kTimeoutSeconds * 1000), "poll") == 0)
      throw std::system_error(ETIMEDOUT, std::system_category(), call);
  }

  int fd_;
  bool timed_;
  Message message_{};
  sockaddr_in peer_{};
};

class Plug {
 public:
  Plug(Ends ends, bool timed, bool datagrams) : socket_(plug::Fileno{ends.near}) {
    if (timed) socket_.settimeout(kTimeoutSeconds);
    if (!datagrams) return;
    const sockaddr_in name = name_of(ends.far);
    peer_ = plug::Address::from_bytes({&name, sizeof name});
  }

  void recv_into() { socket_.recv_into(message_); }
  void recv() { socket_.recv(kSize); }
  void recvfrom_into() { socket_.recvfrom_into(message_); }
  void send() { std::ignore = socket_.send(message_); }
  void sendall() { socket_.sendall(message_); }
  void sendto() { socket_.sendto(message_, peer_); }

 private:
  plug::Socket socket_;
  Message message_{};
  plug::Address peer_;
};

template <class Side>
void run(std::string_view operation, int count) {
  const auto ends_with = [&operation](std::string_view suffix) {
    const bool found = operation.ends_with(suffix);
    if (found) operation.remove_suffix(suffix.size());
    return found;
  };
  const bool waits = ends_with("_wait");
  const bool timed = ends_with("_timeout");
  const bool datagrams = operation == "sendto" || operation == "recvfrom_into";

  void (Side::*call)() = operation == "recv_into"       ? &Side::recv_into
                         : operation == "recv"          ? &Side::recv
                         : operation == "recvfrom_into" ? &Side::recvfrom_into
                         : operation == "send"          ? &Side::send
                         : operation == "sendall"       ? &Side::sendall
                         : operation == "sendto"        ? &Side::sendto
                                                        : nullptr;
  if (call == nullptr) throw std::invalid_argument("no such operation");

  const Ends ends = datagrams ? datagram_ends() : stream_ends();
  Side side(ends, timed, datagrams);
  const Message message{};
  std::optional<Waker> waker;
  if (waits) {
    waker.emplace(ends.far, count);
  } else {
    for (int i = 0; i < kMost; ++i) checked(::write(ends.far, message.data(), kSize), "write");
  }

  const long before = allocations;
  for (int i = 0; i < count; ++i) {
    if (waker) waker->ask();
    (side.*call)();
  }
  std::cout << allocations - before << '\n';
}

}  // namespace

int main(int argc, char** argv) {
  try {
    int count = -1;
    const std::string_view arguments[] = {argc == 4 ? argv[1] : "", argc == 4 ? argv[2] : "",
                                          argc == 4 ? argv[3] : ""};
    const std::string_view number = arguments[2];
    std::from_chars(number.data(), number.data() + number.size(), count);
    const bool raw = arguments[0] == "raw";
    if (!(raw || arguments[0] == "plug") || count < 0 || count > kMost)
      throw std::invalid_argument("one_call raw|plug OPERATION 0.." + std::to_string(kMost));
    raw ? run<Raw>(arguments[1], count) : run<Plug>(arguments[1], count);
  } catch (const std::exception& error) {
    std::cerr << "one_call: " << error.what() << '\n';
    return 1;
  }
}
