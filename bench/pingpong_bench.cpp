// A 64-byte ping-pong: measures the cost of plug on top of its system calls.
//
// One side sends 64 bytes and waits until they come back. The other side, a thread of this process,
// sends them back. Both sides run the same implementation. A round is two sends and two receives
// that wait; its cost is the CPU time of the whole process.
//
// SCENARIO/raw and SCENARIO/plug time one implementation. SCENARIO/paired runs both in short
// slices, in the order raw plug plug raw, on two connections that stay open, so that other programs
// on the machine disturb both alike. Its counters are nanoseconds of CPU per round, and the ratio
// plug / raw. TRANSPORT/null pairs the raw calls with themselves and shows how large a difference
// can be by chance.
//
// bench/compare runs this on one CPU, several times. docs/performance.md has the figures.

#include <benchmark/benchmark.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <plug/socket.hpp>

#include <array>
#include <cerrno>
#include <cstdint>
#include <ctime>
#include <string>
#include <system_error>
#include <thread>
#include <utility>

namespace {

constexpr std::size_t kSize = 64;
constexpr int kTimeoutSeconds = 5;
using Message = std::array<char, kSize>;

template <class T>
T checked(T result, const char* call) {
  if (result < 0) throw std::system_error(errno, std::system_category(), call);
  return result;
}

// --- connections, made in the same way for both implementations ---

using Ends = std::pair<int, int>;

struct Unix {
  static Ends open() {
    int ends[2];
    checked(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), "socketpair");
    return {ends[0], ends[1]};
  }
};

struct Tcp {
  static Ends open() {
    const int listener = checked(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* const name = reinterpret_cast<sockaddr*>(&address);
    checked(::bind(listener, name, size), "bind");
    checked(::listen(listener, 1), "listen");
    checked(::getsockname(listener, name, &size), "getsockname");
    const int near = checked(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
    checked(::connect(near, name, size), "connect");
    const int far = checked(::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC), "accept4");
    ::close(listener);
    for (const int end : {near, far}) {
      const int on = 1;
      checked(::setsockopt(end, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on), "setsockopt");
    }
    return {near, far};
  }
};

// --- the implementations: receive at most one message, send all of it ---

/// The system calls, as a careful C programmer writes them.
template <bool timed>
class Raw {
 public:
  explicit Raw(int fd) : fd_(fd) {
    if (timed) checked(::fcntl(fd, F_SETFL, O_NONBLOCK), "fcntl");
  }
  Raw(const Raw&) = delete;
  Raw& operator=(const Raw&) = delete;
  ~Raw() { ::close(fd_); }

  std::size_t receive(Message& message) {
    for (;;) {
      const ssize_t count = ::recv(fd_, message.data(), message.size(), 0);
      if (count >= 0) return static_cast<std::size_t>(count);
      wait_or_throw(POLLIN, "recv");
    }
  }

  void send(const char* data, std::size_t size) {
    while (size > 0) {
      const ssize_t count = ::send(fd_, data, size, MSG_NOSIGNAL);
      if (count < 0) {
        wait_or_throw(POLLOUT, "send");
        continue;
      }
      data += count;
      size -= static_cast<std::size_t>(count);
    }
  }

  void shutdown() { ::shutdown(fd_, SHUT_RDWR); }

 private:
  void wait_or_throw(short events, const char* call) {
    if (errno == EINTR) return;
    if (!timed || errno != EAGAIN) throw std::system_error(errno, std::system_category(), call);
    pollfd entry{fd_, events, 0};
    if (checked(::poll(&entry, 1, kTimeoutSeconds * 1000), "poll") == 0)
      throw std::system_error(ETIMEDOUT, std::system_category(), call);
  }

  int fd_;
};

template <bool timed>
class PlugInto {
 public:
  explicit PlugInto(int fd) : socket_(plug::Fileno{fd}) {
    if (timed) socket_.settimeout(kTimeoutSeconds);
  }

  std::size_t receive(Message& message) { return socket_.recv_into(message); }
  void send(const char* data, std::size_t size) { socket_.sendall({data, size}); }
  void shutdown() { socket_.shutdown(plug::SHUT::RDWR); }

 protected:
  plug::Socket socket_;
};

/// Uses recv(), which returns the data in a new Bytes object.
template <bool timed>
class PlugBytes : public PlugInto<timed> {
 public:
  using PlugInto<timed>::PlugInto;

  std::size_t receive(Message& message) {
    const plug::Bytes data = this->socket_.recv(kSize);
    data.copy(message.data(), message.size());
    return data.size();
  }
};

// --- the ping-pong ---

template <class Transport, class Side>
class Conversation {
 public:
  Conversation() : Conversation(Transport::open()) {}
  ~Conversation() {
    near_.shutdown();
    echo_.join();
  }

  void round() {
    near_.send(message_.data(), kSize);
    for (std::size_t got = 0; got < kSize;) {
      const std::size_t count = near_.receive(message_);
      if (count == 0) throw std::runtime_error("the echo has ended");
      got += count;
    }
  }

 private:
  explicit Conversation(Ends ends) : near_(ends.first), far_(ends.second) {
    echo_ = std::thread([this] {
      Message message;
      while (const std::size_t count = far_.receive(message)) far_.send(message.data(), count);
    });
    round();
  }

  Side near_;
  Side far_;
  Message message_{};
  std::thread echo_;
};

std::int64_t process_nanoseconds() {
  timespec now{};
  checked(::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now), "clock_gettime");
  return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

template <class Transport, class Side>
void alone(benchmark::State& state) {
  Conversation<Transport, Side> conversation;
  for (auto _ : state) conversation.round();
}

template <class C>
std::int64_t slice(C& conversation) {
  constexpr int kRounds = 200;
  const std::int64_t begin = process_nanoseconds();
  for (int i = 0; i < kRounds; ++i) conversation.round();
  return (process_nanoseconds() - begin) / kRounds;
}

template <class Transport, class First, class Second>
void paired(benchmark::State& state) {
  Conversation<Transport, First> first;
  Conversation<Transport, Second> second;
  std::int64_t first_time = 0;
  std::int64_t second_time = 0;
  for (auto _ : state) {
    first_time += slice(first);
    second_time += slice(second);
    second_time += slice(second);
    first_time += slice(first);
  }
  const auto slices = 2.0 * static_cast<double>(state.iterations());
  state.counters["raw_ns"] = static_cast<double>(first_time) / slices;
  state.counters["plug_ns"] = static_cast<double>(second_time) / slices;
  state.counters["ratio"] = static_cast<double>(second_time) / static_cast<double>(first_time);
}

template <class Function>
void add(const std::string& name, Function function) {
  benchmark::RegisterBenchmark(name.c_str(), function)->MeasureProcessCPUTime();
}

template <class Transport, class R, class P>
void add_scenario(const std::string& name) {
  add(name + "/raw", alone<Transport, R>);
  add(name + "/plug", alone<Transport, P>);
  add(name + "/paired", paired<Transport, R, P>);
}

template <class Transport>
void add_transport(const std::string& name) {
  add(name + "/null/paired", paired<Transport, Raw<false>, Raw<false>>);
  add_scenario<Transport, Raw<false>, PlugInto<false>>(name + "/recv_into");
  add_scenario<Transport, Raw<false>, PlugBytes<false>>(name + "/recv");
  add_scenario<Transport, Raw<true>, PlugInto<true>>(name + "/recv_into_timeout");
  add_scenario<Transport, Raw<true>, PlugBytes<true>>(name + "/recv_timeout");
}

}  // namespace

int main(int argc, char** argv) {
  add_transport<Tcp>("tcp");
  add_transport<Unix>("unix");
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
