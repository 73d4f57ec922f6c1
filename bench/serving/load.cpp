// Loads servers on 127.0.0.1, one after the other, in system calls alone; bench/servers runs it.
//
//   load echo CONNECTIONS SIZE SECONDS TURNS ROUNDS PID:PORT...
//     Opens that many connections to each server. In each round each server has so many turns, in
//     the order given and then backwards, again and again. In a turn every connection sends SIZE
//     bytes, waits for them to come back, and does so again until SECONDS have passed.
//   load echo_count CONNECTIONS SIZE REQUESTS PID:PORT
//     One turn, of that many requests.
//   load accept AT_ONCE SECONDS TURNS ROUNDS PID:PORT...
//     In its turn, a server is connected to AT_ONCE times, and then it has to have closed each of
//     these connections; again until SECONDS have passed.
//   load accept_count AT_ONCE CONNECTIONS PID:PORT
//     One turn, of that many connections.
//
// For each round and server it prints a line, with the sums of its turns: the round, the number of
// the server, requests or connections, nanoseconds, and nanoseconds of CPU time that the process
// PID took meanwhile.

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <limits>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

namespace {

using Count = std::int64_t;
constexpr Count kNoEnd = std::numeric_limits<Count>::max();

template <class T>
T checked(T result, const char* call) {
  if (result < 0) throw std::system_error(errno, std::system_category(), call);
  return result;
}

Count nanoseconds(clockid_t clock) {
  timespec now{};
  checked(clock_gettime(clock, &now), "clock_gettime");
  return Count{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

/// A server and the clock of its CPU time.
struct Server {
  explicit Server(const std::string& text) {
    const std::size_t colon = text.find(':');
    if (colon == std::string::npos) throw std::invalid_argument(text);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<std::uint16_t>(std::stoi(text.substr(colon + 1))));
    errno = clock_getcpuclockid(std::stoi(text), &clock);
    checked(-errno, "clock_getcpuclockid");
  }

  int connect() const {
    const int fd = checked(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
    const auto* const name = reinterpret_cast<const sockaddr*>(&address);
    checked(::connect(fd, name, sizeof address), "connect");
    return fd;
  }

  sockaddr_in address{};
  clockid_t clock{};
};

/// What a turn ends with: a moment, or a count.
struct Limit {
  Count time = kNoEnd;
  Count count = kNoEnd;
};

// --- echo ---

class Echo {
 public:
  Echo(const Server& server, int connections, std::size_t size) : message_(size, 'x') {
    for (int i = 0; i < connections; ++i) {
      seats_.push_back(std::make_unique<Seat>(Seat{server.connect(), 0}));
      const int on = 1;
      checked(setsockopt(seats_.back()->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on), "NODELAY");
      epoll_event event{};
      event.events = EPOLLIN;
      event.data.ptr = seats_.back().get();
      checked(epoll_ctl(epoll_, EPOLL_CTL_ADD, seats_.back()->fd, &event), "epoll_ctl");
    }
  }

  Count turn(const Limit& limit) {
    Count sent = 0;
    for (; sent < static_cast<Count>(seats_.size()) && sent < limit.count; ++sent)
      send(*seats_[static_cast<std::size_t>(sent)]);
    bool over = false;
    epoll_event events[256];
    for (Count received = 0; received < sent;) {
      const int count = checked(epoll_wait(epoll_, events, 256, -1), "epoll_wait");
      over = over || nanoseconds(CLOCK_MONOTONIC) >= limit.time;
      for (int i = 0; i < count; ++i) {
        Seat& seat = *static_cast<Seat*>(events[i].data.ptr);
        if (!receive(seat)) continue;
        ++received;
        if (over || sent >= limit.count) continue;
        send(seat);
        ++sent;
      }
    }
    return sent;
  }

 private:
  struct Seat {
    int fd;
    std::size_t got;
  };

  void send(const Seat& seat) const {
    const ssize_t sent = ::send(seat.fd, message_.data(), message_.size(), MSG_NOSIGNAL);
    if (checked(sent, "send") != static_cast<ssize_t>(message_.size()))
      throw std::runtime_error("a message that the kernel does not take at once");
  }

  /// Whether that was all of an answer.
  bool receive(Seat& seat) {
    char buffer[65536];
    const ssize_t got = checked(recv(seat.fd, buffer, sizeof buffer, 0), "recv");
    if (got == 0) throw std::runtime_error("a server has closed a connection");
    seat.got += static_cast<std::size_t>(got);
    if (seat.got < message_.size()) return false;
    seat.got = 0;
    return true;
  }

  const std::string message_;
  const int epoll_ = checked(epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
  std::vector<std::unique_ptr<Seat>> seats_;
};

// --- accept ---

class Accept {
 public:
  Accept(const Server& server, std::size_t at_once) : server_(server), fds_(at_once) {}

  Count turn(const Limit& limit) {
    Count done = 0;
    while (done < limit.count && nanoseconds(CLOCK_MONOTONIC) < limit.time) {
      for (int& fd : fds_) fd = server_.connect();
      for (const int fd : fds_) {
        char byte;
        if (checked(recv(fd, &byte, 1, 0), "recv") != 0) throw std::runtime_error("an answer");
        // Nothing stays behind in TIME_WAIT.
        const linger reset{1, 0};
        checked(setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset), "SO_LINGER");
        close(fd);
      }
      done += static_cast<Count>(fds_.size());
    }
    return done;
  }

 private:
  const Server& server_;
  std::vector<int> fds_;
};

// --- turns ---

struct Sums {
  Count done = 0;
  Count time = 0;
  Count cpu = 0;
};

template <class Load>
void take_turn(Load& load, const Server& server, Limit limit, Sums& sums) {
  const Count begin = nanoseconds(CLOCK_MONOTONIC);
  const Count cpu = nanoseconds(server.clock);
  if (limit.time != kNoEnd) limit.time += begin;
  sums.done += load.turn(limit);
  sums.time += nanoseconds(CLOCK_MONOTONIC) - begin;
  sums.cpu += nanoseconds(server.clock) - cpu;
}

/// `how` is what the load is made from, beside its server.
template <class Load, class... How>
void run(const std::vector<std::string>& targets, int rounds, int turns, const Limit& limit,
         How... how) {
  std::vector<std::unique_ptr<Server>> servers;
  std::vector<std::unique_ptr<Load>> loads;
  for (const std::string& target : targets) {
    servers.push_back(std::make_unique<Server>(target));
    loads.push_back(std::make_unique<Load>(*servers.back(), how...));
  }
  for (int round = 0; round < rounds; ++round) {
    std::vector<Sums> sums(loads.size());
    for (int turn = 0; turn < turns; ++turn) {
      for (std::size_t i = 0; i < loads.size(); ++i) {
        const std::size_t number = turn % 2 == 0 ? i : loads.size() - 1 - i;
        take_turn(*loads[number], *servers[number], limit, sums[number]);
      }
    }
    for (std::size_t i = 0; i < loads.size(); ++i)
      std::printf("%d %zu %jd %jd %jd\n", round, i, std::intmax_t{sums[i].done},
                  std::intmax_t{sums[i].time}, std::intmax_t{sums[i].cpu});
    std::fflush(stdout);
  }
}

int usage() {
  std::fputs("usage: load echo|echo_count|accept|accept_count ..., as load.cpp says\n", stderr);
  return 2;
}

}  // namespace

int main(int argc, char** argv) {
  rlimit descriptors{};
  getrlimit(RLIMIT_NOFILE, &descriptors);
  descriptors.rlim_cur = descriptors.rlim_max;
  setrlimit(RLIMIT_NOFILE, &descriptors);

  const std::vector<std::string> arguments(argv + 1, argv + argc);
  const std::string_view what = arguments.empty() ? "" : std::string_view(arguments[0]);
  const bool echoes = what == "echo" || what == "echo_count";
  const std::size_t how = echoes ? 2 : 1;  // numbers that say how the load is
  const bool counts = what == "echo_count" || what == "accept_count";
  const std::size_t numbers = how + (counts ? 1 : 3);
  if (arguments.size() < numbers + 2) return usage();
  const auto number = [&](std::size_t i) { return std::stoi(arguments[i]); };
  const std::vector<std::string> targets(
      arguments.begin() + static_cast<std::ptrdiff_t>(numbers) + 1, arguments.end());
  const Limit limit = counts
                          ? Limit{.count = number(how + 1)}
                          : Limit{.time = static_cast<Count>(std::stod(arguments[how + 1]) * 1e9)};
  const int turns = counts ? 1 : number(how + 2);
  const int rounds = counts ? 1 : number(how + 3);
  if (echoes)
    run<Echo>(targets, rounds, turns, limit, number(1), static_cast<std::size_t>(number(2)));
  else if (what == "accept" || what == "accept_count")
    run<Accept>(targets, rounds, turns, limit, static_cast<std::size_t>(number(1)));
  else
    return usage();
  return 0;
}
