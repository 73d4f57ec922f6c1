// Loads servers on 127.0.0.1, one at a time, with raw system calls. bench/servers and bench/race
// run it.
//
//   load WHAT HOW... SECONDS TURNS ROUNDS PID:PORT...
//     In each round each server has TURNS turns of SECONDS each. The servers take their turns in
//     the given order, then backwards, and so on. For each round and server the program prints a
//     line with the sums over its turns: the round, the number of the server, the number of
//     operations, nanoseconds, and nanoseconds of CPU time of the process PID.
//   load WHAT_count HOW... COUNT PID:PORT
//     A single turn with COUNT operations.
//
//   WHAT HOW...                        an operation is
//   echo CONNECTIONS SIZE              a request: SIZE bytes are sent and come back, on one of the
//                                      connections, which stay open
//   pipe CONNECTIONS SIZE IN_FLIGHT    the same, with IN_FLIGHT requests at a time per connection
//   accept AT_ONCE                     a connection that the server closes; AT_ONCE connections are
//                                      made at a time
//   once AT_ONCE SIZE                  a connection on which SIZE bytes are sent and come back;
//                                      AT_ONCE connections are made at a time
//   bulk                               a KiB sent on one connection; at its end the server answers
//                                      with the number of bytes
//   udp SOCKETS SIZE                   a datagram that comes back
//
//   load memory CONNECTIONS PID:PORT
//     Prints by how many bytes the server has grown for each connection: when all connections are
//     open, and when 64 bytes have come back on each.

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <fstream>
#include <limits>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
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

/// A server, and the clock that measures its CPU time.
struct Server {
  explicit Server(const std::string& text) {
    const std::size_t colon = text.find(':');
    if (colon == std::string::npos) throw std::invalid_argument(text);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<std::uint16_t>(std::stoi(text.substr(colon + 1))));
    errno = clock_getcpuclockid(std::stoi(text), &clock);
    checked(-errno, "clock_getcpuclockid");
    process = std::stoi(text);
  }

  int connect(int type = SOCK_STREAM) const {
    const int fd = checked(socket(AF_INET, type | SOCK_CLOEXEC, 0), "socket");
    const auto* const name = reinterpret_cast<const sockaddr*>(&address);
    checked(::connect(fd, name, sizeof address), "connect");
    return fd;
  }

  sockaddr_in address{};
  clockid_t clock{};
  int process = 0;
};

void send_whole(int fd, const char* data, std::size_t size) {
  while (size > 0) {
    const ssize_t sent = checked(::send(fd, data, size, MSG_NOSIGNAL), "send");
    data += sent;
    size -= static_cast<std::size_t>(sent);
  }
}

/// Receives until the end of the stream or until `size` bytes have arrived. Returns their number.
std::size_t receive_whole(int fd, char* data, std::size_t size) {
  std::size_t got = 0;
  while (got < size) {
    const ssize_t part = checked(recv(fd, data + got, size - got, 0), "recv");
    if (part == 0) break;
    got += static_cast<std::size_t>(part);
  }
  return got;
}

/// The end of a turn: a time or a number of operations.
struct Limit {
  Count time = kNoEnd;
  Count count = kNoEnd;
};

// --- echo ---

class Echo {
 public:
  /// `in_flight`: the number of requests at a time on each connection.
  Echo(const Server& server, int connections, std::size_t size, std::size_t in_flight = 1)
      : size_(size), in_flight_(in_flight), messages_(size * in_flight, 'x') {
    for (int i = 0; i < connections; ++i) {
      seats_.push_back(std::make_unique<Seat>(Seat{server.connect(), 0, 0}));
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
    for (const auto& seat : seats_)
      if (sent < limit.count) sent += send(*seat, limit.count - sent);
    bool over = false;
    epoll_event events[256];
    for (Count received = 0; received < sent;) {
      const int count = checked(epoll_wait(epoll_, events, 256, kPatience), "epoll_wait");
      if (count == 0) throw std::runtime_error("a server does not answer");
      over = over || nanoseconds(CLOCK_MONOTONIC) >= limit.time;
      for (int i = 0; i < count; ++i) {
        Seat& seat = *static_cast<Seat*>(events[i].data.ptr);
        received += receive(seat);
        if (!over && sent < limit.count) sent += send(seat, limit.count - sent);
      }
    }
    return sent;
  }

 private:
  static constexpr int kPatience = 20'000;  // milliseconds

  struct Seat {
    int fd;
    std::size_t on_their_way;
    std::size_t got;  // bytes of the next answer
  };

  /// Sends as many requests as may be in flight. Returns their number.
  Count send(Seat& seat, Count most) const {
    const std::size_t count =
        std::min(in_flight_ - seat.on_their_way, static_cast<std::size_t>(most));
    if (count == 0) return 0;
    const std::size_t size = count * size_;
    const ssize_t sent = ::send(seat.fd, messages_.data(), size, MSG_NOSIGNAL);
    if (checked(sent, "send") != static_cast<ssize_t>(size))
      throw std::runtime_error("a message that the kernel does not take at once");
    seat.on_their_way += count;
    return static_cast<Count>(count);
  }

  /// Receives, and returns the number of answers that have become complete.
  Count receive(Seat& seat) {
    static char buffer[65536];
    const ssize_t got = checked(recv(seat.fd, buffer, sizeof buffer, 0), "recv");
    if (got == 0) throw std::runtime_error("a server has closed a connection");
    seat.got += static_cast<std::size_t>(got);
    const std::size_t whole = seat.got / size_;
    seat.got %= size_;
    if (whole > seat.on_their_way) throw std::runtime_error("more than has been sent");
    seat.on_their_way -= whole;
    return static_cast<Count>(whole);
  }

  const std::size_t size_;
  const std::size_t in_flight_;
  const std::string messages_;
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
        // A reset leaves nothing in TIME_WAIT.
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

// --- once ---

/// Makes a connection for each message. The connections come from many addresses of this host, so
/// that a port is always free.
class Once {
 public:
  Once(const Server& server, std::size_t at_once, std::size_t size)
      : server_(server), fds_(at_once), message_(size, 'x'), answer_(size, ' ') {}

  Count turn(const Limit& limit) {
    Count done = 0;
    while (done < limit.count && nanoseconds(CLOCK_MONOTONIC) < limit.time) {
      for (int& fd : fds_) {
        fd = connect();
        send_whole(fd, message_.data(), message_.size());
      }
      for (const int fd : fds_) {
        if (receive_whole(fd, answer_.data(), answer_.size()) != message_.size())
          throw std::runtime_error("a server has closed a connection");
        close(fd);
      }
      done += static_cast<Count>(fds_.size());
    }
    return done;
  }

 private:
  int connect() {
    const int fd = checked(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
    const int on = 1;
    checked(setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on), "NO_PORT");
    sockaddr_in own{};
    own.sin_family = AF_INET;
    own.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + next_++ % 200);
    checked(bind(fd, reinterpret_cast<const sockaddr*>(&own), sizeof own), "bind");
    const auto* const name = reinterpret_cast<const sockaddr*>(&server_.address);
    checked(::connect(fd, name, sizeof server_.address), "connect");
    return fd;
  }

  const Server& server_;
  std::vector<int> fds_;
  const std::string message_;
  std::string answer_;
  unsigned next_ = 0;
};

// --- bulk ---

class Bulk {
 public:
  explicit Bulk(const Server& server) : server_(server), data_(kPiece, 'x') {}

  Count turn(const Limit& limit) {
    const int fd = server_.connect();
    Count done = 0;
    while (done < limit.count && nanoseconds(CLOCK_MONOTONIC) < limit.time) {
      send_whole(fd, data_.data(), data_.size());
      done += Count{kPiece / 1024};
    }
    checked(shutdown(fd, SHUT_WR), "shutdown");
    unsigned char answer[8] = {};
    if (receive_whole(fd, reinterpret_cast<char*>(answer), sizeof answer) != sizeof answer)
      throw std::runtime_error("no count from a server");
    close(fd);
    std::uint64_t total = 0;
    for (int i = 7; i >= 0; --i) total = total << 8 | answer[i];
    if (total != static_cast<std::uint64_t>(done) * 1024)
      throw std::runtime_error("a wrong count from a server");
    return done;
  }

 private:
  static constexpr std::size_t kPiece = 256 * 1024;

  const Server& server_;
  const std::string data_;
};

// --- udp ---

class Udp {
 public:
  Udp(const Server& server, int sockets, std::size_t size) : message_(size, 'x') {
    for (int i = 0; i < sockets; ++i) {
      fds_.push_back(server.connect(SOCK_DGRAM));
      epoll_event event{};
      event.events = EPOLLIN;
      event.data.fd = fds_.back();
      checked(epoll_ctl(epoll_, EPOLL_CTL_ADD, fds_.back(), &event), "epoll_ctl");
    }
  }

  Count turn(const Limit& limit) {
    Count sent = 0;
    for (const int fd : fds_) {
      if (sent >= limit.count) break;
      send(fd);
      ++sent;
    }
    bool over = false;
    epoll_event events[256];
    for (Count received = 0; received < sent;) {
      const int count = checked(epoll_wait(epoll_, events, 256, 5'000), "epoll_wait");
      if (count == 0) throw std::runtime_error("a datagram has been lost");
      over = over || nanoseconds(CLOCK_MONOTONIC) >= limit.time;
      for (int i = 0; i < count; ++i) {
        char buffer[65536];
        if (recv(events[i].data.fd, buffer, sizeof buffer, MSG_DONTWAIT) < 0) continue;
        ++received;
        if (over || sent >= limit.count) continue;
        send(events[i].data.fd);
        ++sent;
      }
    }
    return sent;
  }

 private:
  void send(int fd) const { checked(::send(fd, message_.data(), message_.size(), 0), "send"); }

  const std::string message_;
  const int epoll_ = checked(epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
  std::vector<int> fds_;
};

// --- memory ---

/// Returns the number of bytes of a process's private memory.
Count memory_of(int process) {
  std::ifstream file("/proc/" + std::to_string(process) + "/smaps_rollup");
  for (std::string word; file >> word;) {
    if (word != "Anonymous:") continue;
    Count kilobytes = 0;
    file >> kilobytes;
    return kilobytes * 1024;
  }
  throw std::runtime_error("the memory of process " + std::to_string(process) + " is not known");
}

void echo_once(int fd) {
  char data[64] = {};
  send_whole(fd, data, sizeof data);
  if (receive_whole(fd, data, sizeof data) != sizeof data)
    throw std::runtime_error("a server has closed a connection");
}

/// Makes a connection and waits for its echo. The server accepts it after all earlier connections.
void wait_until_accepted(const Server& server) {
  const int fd = server.connect();
  echo_once(fd);
  close(fd);
}

void measure_memory(const Server& server, int connections) {
  wait_until_accepted(server);
  const Count before = memory_of(server.process);
  std::vector<int> fds;
  for (int i = 0; i < connections; ++i) {
    fds.push_back(server.connect());
    if (i % 1000 == 999) wait_until_accepted(server);
  }
  wait_until_accepted(server);
  const Count open = memory_of(server.process);
  for (const int fd : fds) echo_once(fd);
  usleep(100'000);  // until the server waits for data again
  const Count spoken = memory_of(server.process);
  std::printf("%jd %jd\n", std::intmax_t{(open - before) / connections},
              std::intmax_t{(spoken - before) / connections});
}

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

/// Runs a load in a child process, because one process may not have enough file descriptors for all
/// loads.
class Loader {
 public:
  template <class Load, class... How>
  static Loader start(const std::string& target, const Limit& limit, How... how) {
    int ends[2];
    checked(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), "socketpair");
    const pid_t child = checked(fork(), "fork");
    if (child > 0) {
      close(ends[1]);
      return Loader(ends[0]);
    }
    try {
      // Close all other descriptors, so that each end of a socket pair is open in one process only.
      close_range(3, static_cast<unsigned>(ends[1]) - 1, 0);
      close_range(static_cast<unsigned>(ends[1]) + 1, ~0U, 0);
      const Server server(target);
      Load load(server, how...);
      char turn = 0;
      checked(::send(ends[1], &turn, 1, 0), "send");
      while (checked(recv(ends[1], &turn, 1, 0), "recv") > 0) {
        Sums sums;
        take_turn(load, server, limit, sums);
        checked(::send(ends[1], &sums, sizeof sums, 0), "send");
      }
      _exit(0);
    } catch (const std::exception& error) {
      std::fprintf(stderr, "load of %s: %s\n", target.c_str(), error.what());
      _exit(1);
    }
  }
  Loader(Loader&& other) noexcept : end_(std::exchange(other.end_, -1)) {}
  Loader& operator=(Loader&&) = delete;
  ~Loader() {
    if (end_ >= 0) close(end_);
  }

  void take_turn_for(Sums& sums) const {
    const char turn = 1;
    checked(::send(end_, &turn, 1, MSG_NOSIGNAL), "send");
    Sums of_turn;
    receive(&of_turn, sizeof of_turn);
    sums.done += of_turn.done;
    sums.time += of_turn.time;
    sums.cpu += of_turn.cpu;
  }

 private:
  explicit Loader(int end) : end_(end) {
    char ready = 0;
    receive(&ready, 1);
  }

  void receive(void* data, std::size_t size) const {
    if (checked(recv(end_, data, size, 0), "recv") != static_cast<ssize_t>(size))
      throw std::runtime_error("a load has ended");
  }

  int end_;
};

/// `how` are the arguments of the load, after its server.
template <class Load, class... How>
void run(const std::vector<std::string>& targets, int rounds, int turns, const Limit& limit,
         How... how) {
  std::vector<Loader> loads;
  for (const std::string& target : targets)
    loads.push_back(Loader::start<Load>(target, limit, how...));
  for (int round = 0; round < rounds; ++round) {
    std::vector<Sums> sums(loads.size());
    for (int turn = 0; turn < turns; ++turn) {
      for (std::size_t i = 0; i < loads.size(); ++i) {
        const std::size_t number = turn % 2 == 0 ? i : loads.size() - 1 - i;
        loads[number].take_turn_for(sums[number]);
      }
    }
    for (std::size_t i = 0; i < loads.size(); ++i)
      std::printf("%d %zu %jd %jd %jd\n", round, i, std::intmax_t{sums[i].done},
                  std::intmax_t{sums[i].time}, std::intmax_t{sums[i].cpu});
    std::fflush(stdout);
  }
}

int usage() {
  std::fputs("usage: load WHAT HOW..., as load.cpp says\n", stderr);
  return 2;
}

struct Kind {
  std::string_view name;
  std::size_t numbers;  // in HOW
};
constexpr Kind kKinds[] = {{"echo", 2}, {"pipe", 3}, {"accept", 1},
                           {"once", 2}, {"bulk", 0}, {"udp", 2}};

int load(const std::vector<std::string>& arguments) {
  std::string_view what = arguments.empty() ? "" : std::string_view(arguments[0]);
  const auto number = [&](std::size_t i) { return std::stoi(arguments[i]); };
  if (what == "memory" && arguments.size() == 3) {
    measure_memory(Server(arguments[2]), number(1));
    return 0;
  }
  const bool counts = what.ends_with("_count");
  if (counts) what.remove_suffix(std::string_view("_count").size());
  const auto* const kind = std::find_if(std::begin(kKinds), std::end(kKinds),
                                        [&](const Kind& each) { return each.name == what; });
  if (kind == std::end(kKinds)) return usage();
  const std::size_t numbers = kind->numbers + (counts ? 1 : 3);
  if (arguments.size() < numbers + 2) return usage();
  const std::vector<std::string> targets(
      arguments.begin() + static_cast<std::ptrdiff_t>(numbers) + 1, arguments.end());
  const std::string& first = arguments[kind->numbers + 1];
  const Limit limit = counts ? Limit{.count = std::stoi(first)}
                             : Limit{.time = static_cast<Count>(std::stod(first) * 1e9)};
  const int turns = counts ? 1 : number(kind->numbers + 2);
  const int rounds = counts ? 1 : number(kind->numbers + 3);
  const auto size = [&](std::size_t i) { return static_cast<std::size_t>(number(i)); };
  if (what == "echo")
    run<Echo>(targets, rounds, turns, limit, number(1), size(2));
  else if (what == "pipe")
    run<Echo>(targets, rounds, turns, limit, number(1), size(2), size(3));
  else if (what == "accept")
    run<Accept>(targets, rounds, turns, limit, size(1));
  else if (what == "once")
    run<Once>(targets, rounds, turns, limit, size(1), size(2));
  else if (what == "bulk")
    run<Bulk>(targets, rounds, turns, limit);
  else
    run<Udp>(targets, rounds, turns, limit, number(1), size(2));
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  rlimit descriptors{};
  getrlimit(RLIMIT_NOFILE, &descriptors);
  descriptors.rlim_cur = descriptors.rlim_max;
  setrlimit(RLIMIT_NOFILE, &descriptors);
  try {
    return load({argv + 1, argv + argc});
  } catch (const std::exception& error) {
    std::fprintf(stderr, "load: %s\n", error.what());
    return 1;
  }
}
