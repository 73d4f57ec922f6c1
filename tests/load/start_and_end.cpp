// Starts a server and ends it, again and again, while clients connect: every kind of server, and
// every way to end it. Fails if file descriptors, threads, child processes or memory are left at
// the end, or if a round hangs.
//
//   start_and_end ROUNDS    rounds for each kind; forking servers run a tenth of them

#include <plug/server/group.hpp>
#include <plug/socketserver.hpp>
#ifdef PLUG_HAS_FIBERS
#include <plug/fiber/server.hpp>
#endif

#include <malloc.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <iterator>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <type_traits>
#include <vector>

namespace {

using namespace plug;

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
constexpr bool kSanitized = true;  // sanitizers have allocators of their own and find leaks
#else
constexpr bool kSanitized = false;
#endif
constexpr unsigned kHangsAfter = 60;                // seconds
constexpr std::ptrdiff_t kMemorySlack = 256 << 10;  // bytes

struct Echo : StreamRequestHandler {
  void handle() override {
    try {
      for (const Bytes& line : rfile) wfile.write(line);
    } catch (const OSError&) {
      // The server has ended the connection.
    }
  }
};

/// The resources of the process that may leak.
struct Held {
  std::ptrdiff_t descriptors, threads, memory;
  static std::ptrdiff_t count(const char* folder) {
    return std::distance(std::filesystem::directory_iterator(folder), {});
  }
  static Held now() {
    return {count("/proc/self/fd"), count("/proc/self/task"),
            static_cast<std::ptrdiff_t>(mallinfo2().uordblks)};
  }
};

/// Threads that connect to the current address and send a line, which a server may answer.
class Clients {
 public:
  explicit Clients(int count) {
    for (int i = 0; i < count; ++i) threads_.emplace_back([this] { run(); });
  }
  Clients(const Clients&) = delete;
  Clients& operator=(const Clients&) = delete;
  ~Clients() {
    over_ = true;
    for (std::thread& thread : threads_) thread.join();
  }
  void go_to(const Address& address) {
    const std::lock_guard lock(mutex_);
    address_ = address;
  }
  int answered() const { return answered_; }

 private:
  void run() {
    while (!over_) {
      std::optional<Address> address;
      {
        const std::lock_guard lock(mutex_);
        address = address_;
      }
      if (!address) continue;
      Socket client(AF::INET);
      client.settimeout(kHangsAfter / 2);
      std::error_code error;  // the server may end at any time
      client.connect(*address, error);
      if (!error) client.sendall("x\n", error);
      // Forked children have this descriptor too, so closing it would not end the connection.
      if (!error) client.shutdown(SHUT::WR, error);
      if (!error && client.recv(10, error) == "x\n") ++answered_;
      if (error == timed_out()) {
        std::fprintf(stderr, "a client has no answer\n");
        std::abort();
      }
    }
  }

  std::atomic<bool> over_{false};
  std::atomic<int> answered_{0};
  std::mutex mutex_;
  std::optional<Address> address_;
  std::vector<std::thread> threads_;
};

/// Runs a server once; `round` determines how it ends.
template <class Server>
void live(Server& server, const Address& address, Clients& clients, int round) {
  std::thread serving([&] {
    if (round % 2 == 0)
      server.serve_forever(std::nullopt);
    else
      server.serve_until_signal(
          {.drain = round % 4 == 1 ? 0.001 : 0, .poll_interval = std::nullopt, .signals = {}});
  });
  clients.go_to(address);
  // Some servers end before they serve anybody; most end once they have answered a client.
  if (round % 8 != 7) {
    const int before = clients.answered();
    while (clients.answered() == before) std::this_thread::yield();
  }
  if (round % 3 == 0)
    server.stop_serving();
  else
    server.shutdown();
  serving.join();
}

template <class Kind>
void live_once(Clients& clients, int round) {
  if constexpr (std::is_same_v<Kind, BaseServerGroup>) {
    ServerGroup<ThreadingTCPServer> servers(2, {"127.0.0.1", 0}, handler<Echo>);
    live(servers, servers.server_address(), clients, round);
  } else {
    Kind server({"127.0.0.1", 0}, handler<Echo>);
    live(server, server.server_address, clients, round);
  }
}

bool has_children() { return waitpid(-1, nullptr, WNOHANG) >= 0 || errno != ECHILD; }

template <class Kind>
bool rounds(const char* name, int count) {
  const int warm = count / 10 + 1;
  int answered = 0;
  Held before{};
  Held after{};
  for (const int part : {warm, count}) {
    {
      Clients clients(2);
      for (int round = 0; round < part; ++round) {
        alarm(kHangsAfter);
        live_once<Kind>(clients, round);
      }
      answered = clients.answered();
    }
    before = after;
    after = Held::now();
  }
  const bool kept = after.descriptors == before.descriptors && after.threads <= before.threads &&
                    (kSanitized || after.memory <= before.memory + kMemorySlack) && !has_children();
  std::printf(
      "%-10s %6d rounds, %7d answers; %td descriptors (%td before), %td threads (%td), "
      "%td bytes (%td)%s\n",
      name, count, answered, after.descriptors, before.descriptors, after.threads, before.threads,
      after.memory, before.memory, kept ? "" : ": LEFT BEHIND");
  std::fflush(stdout);
  return kept;
}

}  // namespace

int main(int argc, char** argv) {
  const int count = argc == 2 ? std::atoi(argv[1]) : 0;
  if (count < 1) {
    std::fputs("usage: start_and_end ROUNDS\n", stderr);
    return 2;
  }
  bool kept = rounds<TCPServer>("plain", count);
  kept &= rounds<ThreadingTCPServer>("threading", count);
  kept &= rounds<ThreadPoolTCPServer>("pool", count);
#ifdef PLUG_HAS_FIBERS
  kept &= rounds<FiberTCPServer>("fiber", count);
#endif
  kept &= rounds<BaseServerGroup>("group", count);
  kept &= rounds<ForkingTCPServer>("forking", count / 10 + 1);
  return kept ? 0 : 1;
}
