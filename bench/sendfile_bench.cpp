// Sends a file of 1 GiB over TCP (127.0.0.1): measures the cost of Socket::sendfile() on top of
// sendfile(2).
//
// A thread of this process receives the bytes and drops them. The cost is the CPU time of the whole
// process, because either thread may do the kernel's work for both. The file is in memory and
// consists of holes, so that only the sending is measured.
//
// SCENARIO/paired sends the file four times per iteration, in the order raw plug plug raw, on two
// connections that stay open. Its counters are nanoseconds of CPU per file, and the ratio plug /
// raw. null pairs the raw calls with themselves and shows how large a difference can be by chance.
//
// `bench/compare sendfile_bench` runs this on one CPU, several times. docs/performance.md has the
// figures.

#include <benchmark/benchmark.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>
#include <plug/ancillary.hpp>
#include <plug/socket.hpp>

#include <cerrno>
#include <cstdint>
#include <ctime>
#include <optional>
#include <string>
#include <system_error>
#include <thread>
#include <utility>

namespace {

constexpr std::int64_t kFile = std::int64_t{1} << 30;
constexpr std::size_t kPiece = std::size_t{1} << 16;
constexpr int kTimeoutSeconds = 5;

template <class T>
T checked(T result, const char* call) {
  if (result < 0) throw std::system_error(errno, std::system_category(), call);
  return result;
}

/// A connection whose other end receives all data and drops it.
class Drained {
 public:
  Drained() {
    plug::Socket listener = plug::create_server({"127.0.0.1", 0});
    near = plug::create_connection({"127.0.0.1", listener.getsockname().port()});
    thread_ = std::thread([far = listener.accept().first]() mutable {
      // With MSG_TRUNC, TCP drops the bytes instead of copying them.
      static thread_local char room[16 * kPiece];
      while (far.recv_into(room, plug::MSG::TRUNC) > 0) continue;
    });
  }
  Drained(const Drained&) = delete;
  Drained& operator=(const Drained&) = delete;
  ~Drained() {
    near.close();
    thread_.join();
  }

  plug::Socket near;

 private:
  std::thread thread_;
};

void wait_for(int fd, short events) {
  pollfd entry{fd, events, 0};
  if (checked(::poll(&entry, 1, kTimeoutSeconds * 1000), "poll") == 0)
    throw std::system_error(ETIMEDOUT, std::system_category(), "poll");
}

/// The system call, as a careful C programmer uses it.
template <bool timed>
struct Raw {
  explicit Raw(plug::Socket& sock) : fd(sock.fileno()) {
    if (timed) checked(::fcntl(fd, F_SETFL, O_NONBLOCK), "fcntl");
  }

  std::int64_t send(int file) const {
    off_t offset = 0;
    while (offset < kFile) {
      const auto left = static_cast<std::size_t>(kFile - offset);
      const ssize_t sent = ::sendfile(fd, file, &offset, left);
      if (sent == 0) break;
      if (sent > 0 || errno == EINTR) continue;
      if (!timed || errno != EAGAIN) throw std::system_error(errno, std::system_category(), "send");
      wait_for(fd, POLLOUT);
    }
    return offset;
  }

  int fd;
};

template <bool timed>
struct Plug {
  explicit Plug(plug::Socket& socket) : sock(socket) {
    if (timed) sock.settimeout(kTimeoutSeconds);
  }
  std::int64_t send(int file) const { return sock.sendfile(file); }

  plug::Socket& sock;
};

/// Reads the file and sends it: the work that sendfile() avoids.
struct Copied {
  explicit Copied(plug::Socket& socket) : sock(socket) {}
  std::int64_t send(int file) const {
    static char room[kPiece];
    std::int64_t sent = 0;
    while (sent < kFile) {
      const auto got =
          static_cast<std::size_t>(checked(::pread(file, room, kPiece, sent), "pread"));
      sock.sendall({room, got});
      sent += static_cast<std::int64_t>(got);
    }
    return sent;
  }

  plug::Socket& sock;
};

/// A pipe into which another thread writes as many bytes as the file has.
class FilledPipe {
 public:
  FilledPipe() {
    int ends[2];
    checked(::pipe2(ends, O_CLOEXEC), "pipe2");
    reading_ = plug::OwnedFd(ends[0]);
    thread_ = std::thread([writing = plug::OwnedFd(ends[1])] {
      static const std::string piece(kPiece, 'x');
      for (std::int64_t done = 0; done < kFile; done += static_cast<std::int64_t>(kPiece))
        checked(::write(writing.fileno(), piece.data(), piece.size()), "write");
    });
  }
  ~FilledPipe() { thread_.join(); }
  int fileno() const { return reading_.fileno(); }

 private:
  plug::OwnedFd reading_;
  std::thread thread_;
};

/// Sends from a pipe: with splice() by plug, or by reading and sending.
struct PipeSpliced {
  explicit PipeSpliced(plug::Socket& socket) : sock(socket) {}
  std::int64_t send(int) const {
    const FilledPipe pipe;
    return sock.sendfile(pipe.fileno());
  }

  plug::Socket& sock;
};

struct PipeCopied {
  explicit PipeCopied(plug::Socket& socket) : sock(socket) {}
  std::int64_t send(int) const {
    static char room[kPiece];
    const FilledPipe pipe;
    std::int64_t sent = 0;
    for (;;) {
      const auto got =
          static_cast<std::size_t>(checked(::read(pipe.fileno(), room, kPiece), "read"));
      if (got == 0) return sent;
      sock.sendall({room, got});
      sent += static_cast<std::int64_t>(got);
    }
  }

  plug::Socket& sock;
};

std::int64_t process_nanoseconds() {
  timespec now{};
  checked(::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now), "clock_gettime");
  return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

template <class Side>
std::int64_t slice(const Side& side, int file) {
  const std::int64_t begin = process_nanoseconds();
  if (side.send(file) != kFile) throw std::runtime_error("not all of the file was sent");
  return process_nanoseconds() - begin;
}

template <class First, class Second>
void paired(benchmark::State& state) {
  const plug::OwnedFd file(checked(::memfd_create("bench", MFD_CLOEXEC), "memfd_create"));
  checked(::ftruncate(file.fileno(), kFile), "ftruncate");
  Drained first_end;
  Drained second_end;
  const First first(first_end.near);
  const Second second(second_end.near);
  std::int64_t first_time = 0;
  std::int64_t second_time = 0;
  for (auto _ : state) {
    first_time += slice(first, file.fileno());
    second_time += slice(second, file.fileno());
    second_time += slice(second, file.fileno());
    first_time += slice(first, file.fileno());
  }
  const auto slices = 2.0 * static_cast<double>(state.iterations());
  state.counters["raw_ns"] = static_cast<double>(first_time) / slices;
  state.counters["plug_ns"] = static_cast<double>(second_time) / slices;
  state.counters["ratio"] = static_cast<double>(second_time) / static_cast<double>(first_time);
}

template <class First, class Second>
void add(const std::string& name) {
  benchmark::RegisterBenchmark((name + "/paired").c_str(), paired<First, Second>);
}

}  // namespace

int main(int argc, char** argv) {
  add<Raw<false>, Raw<false>>("null");
  add<Raw<false>, Plug<false>>("sendfile");
  add<Raw<true>, Plug<true>>("sendfile_timeout");
  add<Raw<false>, Copied>("read_and_send");
  add<PipeCopied, PipeSpliced>("pipe");
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
