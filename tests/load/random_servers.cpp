// A random program: servers of every kind, their clients, callbacks that block, throw, cancel and
// close, and every way to end a server. Run it under a sanitizer. No round may hang. After each
// round the process has as many file descriptors as before, and has used none after closing it
// (counted by tests/faults/census.cpp, which is linked into this program).
//
//   random_servers SECONDS [SEED]    runs rounds until the time is over; a seed gives the same
//                                    plans, though the threads may run in a different order
//   random_servers - SEED            runs the one round of that seed and prints what it does
//
// Prints the seed of a round that fails.

#include <plug/fiber.hpp>
#include <plug/fiber/group.hpp>
#include <plug/fiber/server.hpp>
#include <plug/fiber/sync.hpp>
#include <plug/server/group.hpp>
#include <plug/socketserver.hpp>

#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <functional>
#include <iterator>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <system_error>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

extern "C" std::uint64_t plug_census();

#ifdef __SANITIZE_THREAD__
/// Forked children do more than call exec().
extern "C" const char* __tsan_default_options() { return "die_after_fork=0"; }
#endif

namespace {

using namespace plug;
using Clock = std::chrono::steady_clock;

constexpr unsigned kHangsAfter = 60;  // seconds

// --- chance ---

std::uint64_t mix(std::uint64_t z) {
  z += 0x9e3779b97f4a7c15U;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
  return z ^ (z >> 31);
}

/// Random numbers. Each part of a round has its own, so that its actions depend on its seed alone.
class Chance {
 public:
  explicit Chance(std::uint64_t seed) : state_(mix(seed)) {}
  std::uint64_t next() { return state_ = mix(state_); }
  std::uint64_t below(std::uint64_t limit) { return next() % limit; }
  bool one_in(std::uint64_t n) { return below(n) == 0; }
  Timeout milliseconds(std::uint64_t most) { return std::chrono::milliseconds(below(most + 1)); }

 private:
  std::uint64_t state_;
};

/// The state from which the callbacks of a round draw random numbers, in any thread.
std::atomic<std::uint64_t> draws{0};
std::atomic<std::uint64_t> round_seed{0};
Chance chance() { return Chance(round_seed + ++draws); }

/// The percentage of callbacks that misbehave in this round.
std::atomic<unsigned> unruly{0};
bool misbehaves() { return chance().below(100) < unruly; }

// --- intended faults ---

struct Left : BaseException {};
struct Wrong : std::exception {
  const char* what() const noexcept override { return "by intention"; }
};

void wait_a_little(std::uint64_t most = 2) { fiber::sleep(chance().milliseconds(most)); }

/// Sometimes waits or throws, as a user's callback may.
void be_unruly() {
  if (!misbehaves()) return;
  switch (chance().below(8)) {
    case 0:
      throw Wrong();
    case 1:
      throw 42;
    case 2:
      throw OSError(std::make_error_code(std::errc::io_error));
    case 3:
      if (chance().one_in(4)) throw Left();
      break;
    case 4:
      fiber::yield();
      break;
    default:
      wait_a_little();
  }
}

std::atomic<bool> interrupting{false};
std::errc interrupt_hook() {
  if (!interrupting || !chance().one_in(3)) return {};
  if (chance().one_in(2)) throw Left();
  return std::errc::operation_canceled;
}

// --- the servers ---

const pid_t parent = getpid();

/// Requests that handlers have kept.
class Kept {
 public:
  void keep(Request request) {
    const std::lock_guard lock(mutex_);
    all_.push_back(std::move(request));
  }
  void clear() {
    std::vector<Request> all;
    {
      const std::lock_guard lock(mutex_);
      all.swap(all_);
    }
  }

 private:
  std::mutex mutex_;
  std::vector<Request> all_;
} kept;

template <class Base>
class Unruly : public Base {
 public:
  using Base::Base;
  bool verify_request(Request&, const Address&) override {
    be_unruly();
    return !misbehaves();
  }
  void process_request(Request& request, const Address& client_address) override {
    be_unruly();
    Base::process_request(request, client_address);
  }
  void shutdown_request(Request& request) override {
    be_unruly();
    Base::shutdown_request(request);
  }
  void close_request(Request& request) override {
    be_unruly();
    Base::close_request(request);
  }
  void service_actions() override {
    if (misbehaves() && chance().one_in(8)) be_unruly();
    Base::service_actions();
  }
  void handle_timeout() override {
    be_unruly();
    Base::handle_timeout();
  }
  // Prints nothing.
  void handle_error(Request&, const Address&) override { be_unruly(); }
  void server_close() override {
    if (misbehaves() && chance().one_in(4)) wait_a_little();
    Base::server_close();
  }
};

template <class Kind>
constexpr bool kForks = std::is_base_of_v<ForkingTCPServer, Kind>;
template <class Kind>
constexpr bool kInThreads = std::is_base_of_v<ThreadingTCPServer, Kind> ||
                            std::is_base_of_v<ThreadingUnixStreamServer, Kind> ||
                            std::is_base_of_v<ThreadPoolTCPServer, Kind>;

void wait_to_be_told(Request& request) {
  std::optional<std::stop_callback<std::function<void()>>> telling;
  if (fiber::inside())
    telling.emplace(fiber::get_stop_token(), [] {
      try {
        be_unruly();
        wait_a_little();
      } catch (...) {
        // A stop callback must not throw.
      }
    });
  request->recv(1);
}

/// Does what the first byte of a request asks for.
void act(char what, Request& request, BaseServer& server, bool ends_threads) {
  switch (what) {
    case 'a':
      throw Wrong();
    case 'b':
      throw Left();
    case 'c':
      request->close();
      break;
    case 'd':
      wait_to_be_told(request);
      break;
    case 'e':
      server.stop_serving();
      break;
    case 'f':
      kept.keep(std::move(request));
      return;
    case 'g':
      if (fiber::inside()) fiber::timeout(chance().milliseconds(3), [&] { request->recv(1); });
      break;
    case 'h':
      if (fiber::inside()) {
        fiber::TaskGroup group;
        group.spawn([] { wait_a_little(); });
        group.spawn([&] { request->recv(1); });
        if (chance().one_in(2)) group.cancel();
        group.wait();
      }
      break;
    case 'i':
      if (fiber::inside() && chance().one_in(4)) fiber::offload([] { return 1; });
      break;
    case 'j':
      if (ends_threads && !fiber::inside()) pthread_exit(nullptr);
      break;
    default:
      wait_a_little();
  }
  request->sendall("!");
}
constexpr std::string_view kActions = "abcdefghijkkkkkk";

/// A handler for streams. Its constructor, destructor and hooks misbehave too.
class Handler : public StreamRequestHandler {
 public:
  explicit Handler(bool ends_threads) : ends_threads_(ends_threads) {
    if (getpid() != parent) alarm(kHangsAfter);
    be_unruly();
  }
  ~Handler() override {
    try {
      if (misbehaves()) wait_a_little();
    } catch (...) {
      // A destructor must not throw.
    }
  }
  void setup() override {
    be_unruly();
    StreamRequestHandler::setup();
  }
  void handle() override {
    for (int i = 0; i < 3; ++i) {
      const Bytes what = rfile.read(1);
      if (what.empty()) return;
      act(what[0], request, server(), ends_threads_);
    }
  }
  void finish() override {
    be_unruly();
    StreamRequestHandler::finish();
  }

 private:
  const bool ends_threads_;
};

template <class Kind>
HandlerFactory make_factory() {
  return [](Request& request, const Address& client_address, BaseServer& server) {
    if (request.is_datagram()) {
      be_unruly();
      std::error_code gone;
      request->sendto(request.data(), client_address, gone);
    } else {
      Handler(kInThreads<Kind>).run(request, client_address, server);
    }
  };
}

// --- the clients ---

void talk(const Address& address, SOCK type, Chance& its, const std::stop_token& over) {
  std::error_code error;
  Socket client(address.family(), type);
  client.settimeout(std::chrono::milliseconds(1 + its.below(100)));
  if (type == SOCK::DGRAM && address.family() == AF::UNIX)
    client.bind(UnixAddress(""), error);
  else if (type == SOCK::DGRAM)
    client.bind({"127.0.0.1", 0}, error);
  if (!error) client.connect(address, error);
  for (std::uint64_t i = its.below(4); !error && i > 0 && !over.stop_requested(); --i) {
    client.sendall(std::string(1, kActions[its.below(kActions.size())]), error);
    if (!error && its.one_in(2)) client.recv(1, error);
  }
  // Forked children have this descriptor too, so closing it would not end the connection.
  client.shutdown(SHUT::RDWR, error);
}

void wait_quietly() {
  try {
    fiber::sleep(0.002);
  } catch (const std::exception&) {
    // Thrown by the interrupt hook, like Left.
  } catch (const Left&) {
  }
}

/// Joins a task, even if the interrupt hook throws.
void join(fiber::Task<void>& task) {
  while (!task.done()) {
    try {
      return task.join();
    } catch (const CancelledError&) {
      return;
    } catch (const std::exception&) {
      // Thrown by the interrupt hook, like Left.
    } catch (const Left&) {
    }
  }
}

/// Talks to a server, in a thread or in several fibers of a thread, until `over` is requested.
void run_client(const Address& address, SOCK type, std::uint64_t seed,
                const std::stop_token& over) {
  Chance its(seed);
  const auto talk_on = [&](Chance mine) {
    while (!over.stop_requested()) {
      try {
        talk(address, type, mine, over);
      } catch (const CancelledError&) {
        return;
      } catch (const std::exception&) {
        // The server may end at any time.
        wait_quietly();
      } catch (const Left&) {
        // Thrown by the interrupt hook.
      }
    }
  };
  if (its.one_in(2)) return talk_on(its);
  fiber::run(
      [&] {
        std::vector<fiber::Task<void>> tasks;
        for (std::uint64_t i = 1 + its.below(4); i > 0; --i)
          tasks.push_back(fiber::spawn([&talk_on, mine = Chance(its.next())] { talk_on(mine); }));
        if (its.one_in(2)) {
          wait_quietly();
          tasks.front().cancel();
        }
        for (auto& task : tasks) join(task);
      },
      {.engine = its.one_in(2) ? fiber::Engine::uring : fiber::Engine::epoll});
}

// --- a round ---

bool talkative = false;

void say(const std::string& text) {
  if (talkative) std::printf("  %s\n", text.c_str());
}

/// Calls `call` and reports its exceptions with say(): callbacks throw, and a server may end at any
/// time.
template <class F>
void attempt(const char* what, F call) {
  try {
    call();
  } catch (const std::exception& error) {
    say(std::string(what) + ": " + error.what());
  } catch (const BaseException&) {
    say(std::string(what) + ": BaseException");
  } catch (...) {
    say(std::string(what) + ": something else");
  }
}

fiber::Engine some_engine(Chance& its) {
  return its.one_in(2) ? fiber::Engine::uring : fiber::Engine::epoll;
}

template <class Server>
class Round {
 public:
  Round(Server& server, Chance& its) : server_(server), its_(its) {}

  /// Serves in a random way, until the serving is ended.
  void serve() {
    const Timeout poll = its_.one_in(2) ? Timeout(std::nullopt) : its_.milliseconds(10);
    const std::uint64_t way = its_.below(7);
    const Timeout length = its_.milliseconds(15);
    say("serving " + std::to_string(way));
    const auto forever = [&] { server_.serve_forever(poll); };
    switch (way) {
      case 0:
        return attempt("serve_forever", forever);
      case 1:
        return attempt("serve_until_signal", [&] {
          server_.serve_until_signal(
              {.drain = its_.milliseconds(5), .poll_interval = poll, .signals = {}});
        });
      case 2:
        return in_fibers([&] { attempt("serve_forever", forever); });
      case 3:
        return in_fibers(
            [&] { attempt("fiber::timeout", [&] { fiber::timeout(length, forever); }); });
      case 4:
        return in_fibers([&] {
          auto task = fiber::spawn(forever);
          fiber::sleep(length);
          task.cancel();
          attempt("task", [&] { task.join(); });
        });
      case 5:
        return in_fibers([&] {
          auto task = fiber::spawn([&] {
            server_.serve_until_signal(
                {.drain = chance().milliseconds(5), .poll_interval = poll, .signals = {}});
          });
          fiber::sleep(length);
          if (chance().one_in(2)) server_.stop_serving();
          attempt("task", [&] { task.join(length); });
          task.cancel();
          attempt("task", [&] { task.join(); });
        });
      default:
        return with_token(forever, length);
    }
  }

  /// Ends the serving from another thread, in a random way.
  void end(Chance mine) {
    fiber::sleep(mine.milliseconds(20));
    const std::uint64_t way = mine.below(4);
    say("ending " + std::to_string(way));
    if (way == 0) return server_.stop_serving();
    attempt("shutdown", [&] { server_.shutdown(); });
    if (way > 1) close_by(mine);
  }

 private:
  void in_fibers(const std::function<void()>& body) {
    attempt("fiber::run", [&] { fiber::run(body, {.engine = some_engine(its_)}); });
  }

  template <class Forever>
  void with_token(Forever forever, const Timeout& length) {
    std::stop_source stop;
    if constexpr (requires { server_.run_options; })
      server_.run_options = {.engine = some_engine(its_), .stop = stop.get_token()};
    const std::jthread stopping([&] {
      fiber::sleep(length);
      stop.request_stop();
      server_.stop_serving();
    });
    attempt("serve_forever", forever);
  }

  /// Closes the server in a fiber with a short timeout, or in a thread, or in two threads at once.
  void close_by(Chance& mine) {
    const auto close = [&] { attempt("server_close", [&] { server_.server_close(); }); };
    if (mine.one_in(2))
      return attempt("fiber::run", [&] {
        fiber::run([&] {
          attempt("fiber::timeout",
                  [&] { fiber::timeout(mine.milliseconds(3), [&] { server_.server_close(); }); });
        });
      });
    std::optional<std::jthread> other;
    if constexpr (!std::is_base_of_v<BaseServerGroup, Server> && !kForks<Server>)
      if (mine.one_in(2)) other.emplace(close);
    close();
  }

  Server& server_;
  Chance& its_;
};

/// Destroys the server in a plain thread, or in a fiber that is cancelled or times out.
template <class Server>
void destroy(std::unique_ptr<Server> server, Chance& its) {
  const std::uint64_t way = its.below(3);
  say("destroying " + std::to_string(way));
  if (way == 0) return server.reset();
  const bool cancels = way == 1;
  fiber::run(
      [&] {
        bool told = false;
        auto destroying = fiber::spawn([&] {
          try {
            if (cancels) {
              server.reset();
              fiber::sleep(60);
            } else {
              fiber::timeout(0.001, [&] {
                server.reset();
                fiber::sleep(60);
              });
            }
          } catch (const CancelledError&) {
            told = cancels;
          } catch (const TimeoutError&) {
            told = !cancels;
          } catch (const Left&) {
            told = true;  // thrown by the interrupt hook
          } catch (const OSError&) {
            told = interrupting;
          }
        });
        if (chance().one_in(2)) fiber::yield();
        if (cancels) destroying.cancel();
        join(destroying);
        if (!told) {
          std::fprintf(stderr, "a fiber that destroyed a server did not get its cancellation\n");
          std::abort();
        }
      },
      {.engine = some_engine(its)});
}

template <class Kind>
std::unique_ptr<Kind> make(const ServerAddress& address) {
  if constexpr (std::is_base_of_v<BaseServerGroup, Kind>)
    return std::make_unique<Kind>(2, address, make_factory<Kind>());
  else
    return std::make_unique<Kind>(address, make_factory<Kind>());
}

template <class Kind>
void set_attributes(Kind& server, Chance& its) {
  if (its.one_in(3)) server.max_connections = static_cast<int>(1 + its.below(4));
  if (its.one_in(4)) server.max_connections_per_address = static_cast<int>(1 + its.below(4));
  if (its.one_in(4)) server.connection_timeout = its.milliseconds(20);
  if (its.one_in(4)) server.connection_lifetime = its.milliseconds(20);
  if constexpr (requires { server.max_workers; }) {
    server.max_workers = static_cast<int>(1 + its.below(3));
    server.max_queue = static_cast<int>(its.below(3));
    server.when_full = static_cast<FullQueue>(its.below(3));
  }
  if constexpr (requires { server.max_children; })
    server.max_children = static_cast<int>(1 + its.below(4));
  if constexpr (requires { server.daemon_threads; }) server.daemon_threads = its.one_in(3);
  if constexpr (requires { server.defer_until_readable; }) {
    server.defer_until_readable = its.one_in(3);
    server.run_options.engine = some_engine(its);
  }
}

template <class Kind>
void play(std::uint64_t seed, const ServerAddress& place) {
  Chance its(seed);
  unruly = its.one_in(3) ? 0 : static_cast<unsigned>(its.below(30));
  const bool interrupts = its.one_in(4);
  auto server = make<Kind>(place);
  Address address;
  if constexpr (std::is_base_of_v<BaseServerGroup, Kind>) {
    address = server->server_address();
  } else {
    address = server->server_address;
    set_attributes(*server, its);
  }
  constexpr bool kDatagrams = std::is_base_of_v<UDPServer, Kind>;
  {
    std::vector<std::jthread> clients;
    for (std::uint64_t i = 1 + its.below(3); i > 0; --i)
      clients.emplace_back([address, mine = its.next()](const std::stop_token& over) {
        run_client(address, kDatagrams ? SOCK::DGRAM : SOCK::STREAM, mine, over);
      });
    interrupting = interrupts;
    std::optional<std::jthread> signals;
    if (interrupts)
      signals.emplace([target = pthread_self()](const std::stop_token& over) {
        while (!over.stop_requested()) {
          std::this_thread::sleep_for(std::chrono::milliseconds(3));
          pthread_kill(target, SIGUSR1);
        }
      });
    {
      Round<Kind> round(*server, its);
      const std::jthread ending([&round, mine = Chance(its.next())] { round.end(mine); });
      round.serve();
    }
    if (its.one_in(2)) {
      clients.clear();
      kept.clear();
    }
    destroy(std::move(server), its);
    interrupting = false;
  }
  kept.clear();
}

using RoundOf = void (*)(std::uint64_t seed, const ServerAddress& address);
struct KindOf {
  const char* name;
  RoundOf play;
  bool at_path;
};
constexpr KindOf kKinds[] = {
    {"TCPServer", play<Server<Unruly<TCPServer>>>, false},
    {"UDPServer", play<Server<Unruly<UDPServer>>>, false},
    {"UnixStreamServer", play<Server<Unruly<UnixStreamServer>>>, true},
    {"UnixDatagramServer", play<Server<Unruly<UnixDatagramServer>>>, true},
    {"ThreadingTCPServer", play<Server<Unruly<ThreadingTCPServer>>>, false},
    {"ThreadingUDPServer", play<Server<Unruly<ThreadingUDPServer>>>, false},
    {"ThreadingUnixStreamServer", play<Server<Unruly<ThreadingUnixStreamServer>>>, true},
    {"ThreadPoolTCPServer", play<Server<Unruly<ThreadPoolTCPServer>>>, false},
    {"ThreadPoolUDPServer", play<Server<Unruly<ThreadPoolUDPServer>>>, false},
    {"FiberTCPServer", play<Server<Unruly<FiberTCPServer>>>, false},
    {"FiberUDPServer", play<Server<Unruly<FiberUDPServer>>>, false},
    {"FiberUnixStreamServer", play<Server<Unruly<FiberUnixStreamServer>>>, true},
    {"ForkingTCPServer", play<Server<Unruly<ForkingTCPServer>>>, false},
    {"ServerGroup<ThreadingTCPServer>", play<ServerGroup<Unruly<ThreadingTCPServer>>>, false},
    {"ServerGroup<FiberTCPServer>", play<ServerGroup<Unruly<FiberTCPServer>>>, false},
};

// --- the program ---

std::ptrdiff_t count_descriptors() {
  return std::distance(std::filesystem::directory_iterator("/proc/self/fd"), {});
}

char doing[160];

void say_what_hangs(int) {
  // This runs in a signal handler.
  constexpr char kText[] = "random_servers: this round hangs: ";
  static_cast<void>(!write(2, kText, sizeof kText - 1));
  std::size_t size = 0;
  while (doing[size] != '\0') ++size;
  static_cast<void>(!write(2, doing, size));
  std::abort();
}

/// Runs one round. Returns true if it has used no descriptor after closing it.
bool play_one(std::uint64_t seed) {
  static const std::string folder = [] {
    char name[] = "/tmp/plug-random-XXXXXX";
    if (mkdtemp(name) == nullptr) std::abort();
    return std::string(name);
  }();
  const KindOf& kind = kKinds[mix(seed) % std::size(kKinds)];
  std::snprintf(doing, sizeof doing, "%s, seed %llu\n", kind.name,
                static_cast<unsigned long long>(seed));
  if (talkative) std::printf("%s", doing);
  round_seed = mix(seed + 1);
  draws = 0;
  alarm(kHangsAfter);
  const std::string path = folder + "/" + std::to_string(seed);
  // The rounds use many addresses in turn, so that each address has enough free ports.
  const std::string host = "127.0.0." + std::to_string(1 + seed % 250);
  kind.play(seed, kind.at_path ? ServerAddress(UnixAddress(path)) : ServerAddress(host, 0));
  alarm(0);
  std::error_code ignored;
  std::filesystem::remove(path, ignored);
  // The children whose server did not have to wait for them.
  for (int i = 0; i < 1000 && waitpid(-1, nullptr, 0) > 0; ++i) continue;
  if (plug_census() == 0) return true;
  std::fprintf(stderr, "random_servers: %llu descriptors used after they were closed: %s",
               static_cast<unsigned long long>(plug_census()), doing);
  return false;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view seconds = argc > 1 ? argv[1] : "";
  std::uint64_t seed = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1;
  talkative = seconds == "-";
  if (argc < 2 || (talkative && argc < 3) || (!talkative && std::atoi(argv[1]) < 1)) {
    std::fputs("usage: random_servers SECONDS [SEED]\n       random_servers - SEED\n", stderr);
    return 2;
  }
  signal(SIGPIPE, SIG_IGN);
  signal(SIGALRM, say_what_hangs);
  struct sigaction nothing {};
  nothing.sa_handler = [](int) {};
  sigaction(SIGUSR1, &nothing, nullptr);
  set_interrupt_hook(interrupt_hook);
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  if (talkative) return play_one(seed) ? 0 : 1;

  {
    // The first wait of a thread creates the descriptor that the thread waits with; it stays open.
    auto [one, other] = socketpair();
    one.settimeout(0.001);
    std::error_code timed_out_error;
    one.recv(1, timed_out_error);
  }
  const Clock::time_point end = Clock::now() + std::chrono::seconds(std::atoi(argv[1]));
  const std::uint64_t first = seed;
  std::ptrdiff_t before = -1;
  while (Clock::now() < end) {
    if (!play_one(seed++)) return 1;
    const std::ptrdiff_t now = count_descriptors();
    if (before >= 0 && now > before) {
      std::fprintf(stderr, "random_servers: %td descriptors, %td before: %s", now, before, doing);
      return 1;
    }
    before = now;
  }
  std::printf(
      "random_servers: %llu rounds from seed %llu on, %td descriptors, none used after its end\n",
      static_cast<unsigned long long>(seed - first), static_cast<unsigned long long>(first),
      before);
  return 0;
}
