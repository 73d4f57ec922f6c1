// Compares selectors with raw epoll: one select() with 10,000 registered descriptors of which 10
// are ready, and an echo server with 1,000 connections.
//
// Each scenario runs both sides in one thread, in short slices, in the order raw plug plug raw. The
// descriptors stay registered with both sides. `ratio` is the CPU time of plug divided by that of
// raw. The clients of the echo server run in the same thread, but their time does not count: they
// send, then the server runs until it has answered all of them, which is timed, then they receive.
// The null scenarios pair the raw side with itself.
//
// `select_bench count raw|plug TURNS` only calls select() TURNS times, for a tool that counts
// instructions (valgrind --tool=callgrind).

#include <plug/selectors.hpp>
#include <plug/socket.hpp>

#include <benchmark/benchmark.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <ctime>
#include <functional>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace {

constexpr std::size_t kRegistered = 10'000;
constexpr std::size_t kReady = 10;
constexpr std::size_t kTurns = 200;  // in a slice
constexpr std::size_t kConnections = 1'000;
constexpr std::size_t kAtOnce = 100;  // connections that send before the server's turn
constexpr std::size_t kMessage = 64;

int checked(long result) {
  if (result < 0) plug::throw_if({errno, std::system_category()}, "select_bench");
  return static_cast<int>(result);
}

std::int64_t cpu_nanoseconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

/// Returns the descriptors that each side registers: eventfds, of which every thousandth is ready.
std::vector<plug::OwnedFd> descriptors() {
  std::vector<plug::OwnedFd> result;
  for (std::size_t i = 0; i < kRegistered; ++i)
    result.emplace_back(checked(eventfd(i % (kRegistered / kReady) == 0 ? 1 : 0, EFD_CLOEXEC)));
  return result;
}

struct Connection {
  plug::Socket sock;
  std::uint64_t served = 0;
};

// --- the two sides: add descriptors, and take turns ---

class Raw {
 public:
  void add(int fd, std::uint64_t* served) {
    seats_.push_back(std::make_unique<Seat>(Seat{fd, served}));
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.ptr = seats_.back().get();
    checked(epoll_ctl(epoll_.fileno(), EPOLL_CTL_ADD, fd, &event));
    events_.resize(seats_.size());
  }
  void add(Connection& connection) { add(connection.sock.fileno(), &connection.served); }

  std::size_t turn() {
    const int count = wait(0);
    for (int i = 0; i < count; ++i) ++*seat(i).served;
    return static_cast<std::size_t>(count);
  }

  std::size_t serve(char* buffer, std::size_t size) {
    const int count = wait(-1);
    for (int i = 0; i < count; ++i) {
      const ssize_t got = recv(seat(i).fd, buffer, size, 0);
      checked(got);
      for (ssize_t sent = 0; sent < got;) {
        const ssize_t more =
            send(seat(i).fd, buffer + sent, static_cast<std::size_t>(got - sent), MSG_NOSIGNAL);
        sent += checked(more);
      }
      ++*seat(i).served;
    }
    return static_cast<std::size_t>(count);
  }

 private:
  struct Seat {
    int fd;
    std::uint64_t* served;
  };

  int wait(int limit) {
    return checked(
        epoll_wait(epoll_.fileno(), events_.data(), static_cast<int>(events_.size()), limit));
  }
  Seat& seat(int i) { return *static_cast<Seat*>(events_[static_cast<std::size_t>(i)].data.ptr); }

  plug::OwnedFd epoll_{checked(epoll_create1(EPOLL_CLOEXEC))};
  std::vector<epoll_event> events_;
  std::vector<std::unique_ptr<Seat>> seats_;
};

class Plug {
 public:
  void add(int fd, std::uint64_t* served) { selector_.register_(fd, plug::EVENT::READ, served); }
  void add(Connection& connection) {
    selector_.register_(connection.sock, plug::EVENT::READ, &connection);
  }

  std::size_t turn() {
    std::size_t count = 0;
    for (const auto& [key, events] : selector_.select(0)) {
      ++*key.data.get<std::uint64_t*>();
      ++count;
    }
    return count;
  }

  std::size_t serve(char* buffer, std::size_t size) {
    std::size_t count = 0;
    for (const auto& [key, events] : selector_.select()) {
      Connection& connection = *key.data.get<Connection*>();
      const std::size_t got = connection.sock.recv_into({buffer, size});
      connection.sock.sendall(plug::BytesView(buffer, got));
      ++connection.served;
      ++count;
    }
    return count;
  }

 private:
  plug::DefaultSelector selector_;
};

// --- scenarios ---

/// Runs the slices of two sides alternately. Each side returns the time of its slice, which handles
/// `size` descriptors or messages.
template <class First, class Second>
void alternate(benchmark::State& state, First first, Second second, std::size_t size) {
  std::int64_t times[2] = {0, 0};
  for (auto _ : state) {
    const std::int64_t a = first();
    const std::int64_t b = second() + second();
    const std::int64_t c = first();
    times[0] += a + c;
    times[1] += b;
    state.SetIterationTime(static_cast<double>(a + b + c) / 1e9);
  }
  const double slices = 2.0 * static_cast<double>(state.iterations()) * static_cast<double>(size);
  state.counters["raw_ns"] = static_cast<double>(times[0]) / slices;
  state.counters["plug_ns"] = static_cast<double>(times[1]) / slices;
  state.counters["ratio"] = static_cast<double>(times[1]) / static_cast<double>(times[0]);
}

template <class Side>
class Turns {
 public:
  explicit Turns(const std::vector<plug::OwnedFd>& fds) {
    for (const plug::OwnedFd& fd : fds) side_.add(fd.fileno(), &served_);
  }
  std::int64_t operator()(std::size_t turns = kTurns) {
    const std::int64_t begin = cpu_nanoseconds();
    for (std::size_t i = 0; i < turns; ++i)
      if (side_.turn() != kReady) throw std::runtime_error("not what is ready");
    return cpu_nanoseconds() - begin;
  }

 private:
  Side side_;
  std::uint64_t served_ = 0;
};

template <class First, class Second>
void turns(benchmark::State& state) {
  const auto fds = descriptors();
  Turns<First> first(fds);
  Turns<Second> second(fds);
  alternate(state, std::ref(first), std::ref(second), kTurns);
}

template <class Side>
class Echo {
 public:
  Echo() {
    plug::Socket listener = plug::create_server({"127.0.0.1", 0});
    for (std::size_t i = 0; i < kConnections; ++i) {
      clients_.push_back(
          plug::create_connection({"127.0.0.1", listener.getsockname().port()}, std::nullopt));
      connections_.push_back(std::make_unique<Connection>(Connection{listener.accept().first}));
      for (plug::Socket* end : {&clients_.back(), &connections_.back()->sock})
        end->setsockopt(plug::IPPROTO::TCP, plug::TCP::NODELAY, 1);
      connections_.back()->sock.setblocking(false);
      side_.add(*connections_.back());
    }
  }

  /// Sends and receives for the clients; returns the CPU time of the server.
  std::int64_t operator()() {
    char message[kMessage] = {};
    char answer[kMessage];
    const std::size_t begin = random_() % (kConnections - kAtOnce);
    for (std::size_t i = 0; i < kAtOnce; ++i)
      clients_[begin + i].sendall(plug::BytesView(message, sizeof message));
    const std::int64_t before = cpu_nanoseconds();
    for (std::size_t served = 0; served < kAtOnce;) served += side_.serve(buffer_, sizeof buffer_);
    const std::int64_t took = cpu_nanoseconds() - before;
    for (std::size_t i = 0; i < kAtOnce; ++i)
      if (clients_[begin + i].recv_into(answer) != kMessage) throw std::runtime_error("cut");
    return took;
  }

 private:
  Side side_;
  std::vector<plug::Socket> clients_;
  std::vector<std::unique_ptr<Connection>> connections_;
  std::mt19937 random_{1};
  char buffer_[4096];
};

template <class First, class Second>
void echo(benchmark::State& state) {
  Echo<First> first;
  Echo<Second> second;
  alternate(state, std::ref(first), std::ref(second), kAtOnce);
}

void add(const char* name, void (*scenario)(benchmark::State&)) {
  benchmark::RegisterBenchmark(name, scenario)->UseManualTime();
}

int count(std::string_view side, std::size_t turns) {
  const auto fds = descriptors();
  if (side == "raw")
    Turns<Raw>{fds}(turns);
  else
    Turns<Plug>{fds}(turns);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  if (argc == 4 && std::string_view(argv[1]) == "count") return count(argv[2], std::stoul(argv[3]));
  add("turn_of_10_in_10000/paired", turns<Raw, Plug>);
  add("turn_of_10_in_10000_null/paired", turns<Raw, Raw>);
  add("echo_1000/paired", echo<Raw, Plug>);
  add("echo_1000_null/paired", echo<Raw, Raw>);
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
