// A server for benchmarks. It uses only plug's public API, as a user would.
//
//   plug_bench_server [--server=fiber|threading|tcp] [--engine=auto|epoll|uring] [--busy-poll]
//                     [--batch] [PORT]
//
// Listens on 127.0.0.1, at a free port if PORT is 0 or missing. Prints its address on standard
// output, and serves until SIGINT or SIGTERM. The environment variable BENCH_MODE chooses the
// service:
//
//   echo   sends back the data that it receives (the default)
//   sink   reads to the end of the stream, answers with the number of bytes (8 bytes,
//          little-endian), and closes
//   udp    sends datagrams back to their senders; in a fiber with --server=fiber, otherwise in a
//          plain thread
//
// --engine and --busy-poll apply to fibers. With --batch the server receives and sends several
// datagrams with one call.

#include <plug/fiber/server.hpp>
#include <plug/socket.hpp>
#include <plug/socket/batch.hpp>
#include <plug/socketserver.hpp>

#include <array>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

struct Settings {
  std::string server = "fiber";
  std::string mode = "echo";
  plug::fiber::RunOptions fibers;
  bool batch = false;
  int port = 0;
};

void say_where(const plug::Socket& sock) {
  std::printf("listening on %s\n", sock.getsockname().text().c_str());
  std::fflush(stdout);
}

// --- handlers ---

struct Echo : plug::BaseRequestHandler {
  void handle() override {
    // Most messages fit into a small buffer.
    char few[1024];
    for (;;) {
      const std::size_t got = request->recv_into(few);
      if (got == 0) return;
      request->sendall(plug::BytesView(few, got));
      if (got == sizeof few) break;
    }
    for (;;) {
      const plug::Bytes many = request->recv(64 * 1024);
      if (many.empty()) return;
      request->sendall(many);
    }
  }
};

struct Sink : plug::BaseRequestHandler {
  void handle() override {
    std::vector<char> buffer(std::size_t{64} * 1024);
    std::uint64_t total = 0;
    while (const std::size_t got = request->recv_into(buffer)) total += got;
    std::array<unsigned char, 8> answer{};
    for (unsigned char& byte : answer) {
      byte = static_cast<unsigned char>(total & 0xff);
      total >>= 8;
    }
    request->sendall(answer);
  }
};

// --- servers ---

template <class Base>
class BenchServer : public Base {
 public:
  BenchServer(plug::ServerAddress address, plug::HandlerFactory handler, bool bind_and_activate)
      : Base(std::move(address), std::move(handler), bind_and_activate) {
    this->request_queue_size = 4096;
    this->allow_reuse_address = true;
  }
  // A client may reset its connection, which is no error here.
  void handle_error(plug::Request&, const plug::Address&) override {}
};

class FiberServer : public BenchServer<plug::FiberTCPServer> {
 public:
  FiberServer(plug::ServerAddress address, plug::HandlerFactory handler, bool bind_and_activate,
              const plug::fiber::RunOptions& options)
      : BenchServer(std::move(address), std::move(handler), bind_and_activate) {
    run_options = options;
    defer_until_readable = true;
  }
};

void serve_connections(const Settings& settings) {
  const plug::ServerAddress address("127.0.0.1", settings.port);
  const plug::HandlerFactory factory =
      settings.mode == "sink" ? plug::handler<Sink> : plug::handler<Echo>;
  const auto serve = [](auto&& server) {
    say_where(server.socket);
    server.serve_until_signal({.drain = 1});
  };
  if (settings.server == "fiber")
    serve(plug::Server<FiberServer>(address, factory, true, settings.fibers));
  else if (settings.server == "threading")
    serve(plug::Server<BenchServer<plug::ThreadingTCPServer>>(address, factory));
  else
    serve(plug::Server<BenchServer<plug::TCPServer>>(address, factory));
}

// --- datagrams ---

void echo_datagrams(plug::Socket& sock) {
  char buffer[2048];
  for (;;) {
    const auto [got, sender] = sock.recvfrom_into(buffer);
    sock.sendto(plug::BytesView(buffer, got), sender);
  }
}

void echo_batches(plug::Socket& sock) {
  plug::DatagramBatch batch;
  for (;;) {
    plug::recv_batch(sock, batch);
    plug::send_batch(sock, batch);
  }
}

void serve_datagrams(const Settings& settings) {
  plug::Socket sock(plug::AF::INET, plug::SOCK::DGRAM);
  sock.bind({"127.0.0.1", settings.port});
  say_where(sock);
  const auto serve = [&] { settings.batch ? echo_batches(sock) : echo_datagrams(sock); };
  if (settings.server == "fiber")
    plug::fiber::run(serve, settings.fibers);
  else
    serve();
}

// --- the command line ---

[[noreturn]] void misused(std::string_view what) {
  throw std::invalid_argument(std::string(what) +
                              ": plug_bench_server [--server=fiber|threading|tcp] "
                              "[--engine=auto|epoll|uring] [--busy-poll] [--batch] [PORT]");
}

plug::fiber::Engine engine_of(std::string_view name) {
  if (name == "auto") return plug::fiber::Engine::auto_;
  if (name == "epoll") return plug::fiber::Engine::epoll;
  if (name == "uring") return plug::fiber::Engine::uring;
  misused(name);
}

Settings settings_of(const std::vector<std::string_view>& arguments) {
  Settings settings;
  if (const char* const mode = std::getenv("BENCH_MODE"); mode != nullptr && *mode != '\0')
    settings.mode = mode;
  if (settings.mode != "echo" && settings.mode != "sink" && settings.mode != "udp")
    misused("BENCH_MODE=" + settings.mode);
  for (const std::string_view argument : arguments) {
    const auto is = [&](std::string_view name) { return argument.starts_with(name); };
    if (is("--server=")) {
      settings.server = argument.substr(argument.find('=') + 1);
      if (settings.server != "fiber" && settings.server != "threading" && settings.server != "tcp")
        misused(argument);
    } else if (is("--engine=")) {
      settings.fibers.engine = engine_of(argument.substr(argument.find('=') + 1));
    } else if (argument == "--busy-poll") {
      settings.fibers.busy_poll = std::chrono::microseconds(100);
    } else if (argument == "--batch") {
      settings.batch = true;
    } else {
      const char* const end = argument.data() + argument.size();
      const auto [stop, error] = std::from_chars(argument.data(), end, settings.port);
      if (error != std::errc() || stop != end) misused(argument);
    }
  }
  return settings;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const Settings settings = settings_of({argv + 1, argv + argc});
    if (settings.mode == "udp")
      serve_datagrams(settings);
    else
      serve_connections(settings);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "plug_bench_server: %s\n", error.what());
    return 2;
  }
  return 0;
}
