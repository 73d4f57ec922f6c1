// The servers under load: they send lines back. Prints the port. SIGTERM ends the serving. SIGUSR1
// makes the allocator return free memory.
//
//   load_server threading
//   load_server fiber          in fibers, if plug was built with them
//   load_server first_byte     the same; handlers begin with the first byte of a connection
//   load_server pool WORKERS PER_ADDRESS IDLE_SECONDS LIFETIME_SECONDS

#include <plug/socketserver.hpp>
#ifdef PLUG_HAS_FIBERS
#include <plug/fiber/server.hpp>
#endif

#include <malloc.h>

#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <utility>

namespace {

plug::BaseServer* running = nullptr;
std::atomic<bool> give_back{false};

struct Lines : plug::StreamRequestHandler {
  void handle() override {
    for (const plug::Bytes& line : rfile) wfile.write(line);
  }
};

template <class Base>
class Loaded : public Base {
 public:
  Loaded(plug::ServerAddress address, plug::HandlerFactory factory)
      : Base(std::move(address), std::move(factory), false) {
    this->request_queue_size = 1024;
  }
  // Slow clients, and clients that leave, are expected here.
  void handle_error(plug::Request&, const plug::Address&) override {}
  void service_actions() override {
    Base::service_actions();
    if (give_back.exchange(false)) malloc_trim(0);
  }
};

struct Pool : Loaded<plug::ThreadPoolTCPServer> {
  Pool(plug::ServerAddress address, plug::HandlerFactory factory, char** numbers)
      : Loaded(std::move(address), std::move(factory)) {
    max_workers = std::atoi(numbers[0]);
    max_connections_per_address = std::atoi(numbers[1]);
    connection_timeout = std::atof(numbers[2]);
    connection_lifetime = std::atof(numbers[3]);
  }
};

int serve(plug::BaseServer& server) {
  running = &server;
  std::signal(SIGTERM, [](int) { running->stop_serving(); });
  std::signal(SIGUSR1, [](int) { give_back = true; });
  std::printf("%d\n", server.server_address.port());
  std::fflush(stdout);
  server.serve_forever();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view kind = argc > 1 ? argv[1] : "";
  if (kind == "threading" && argc == 2) {
    plug::Server<Loaded<plug::ThreadingTCPServer>> server({"", 0}, plug::handler<Lines>);
    return serve(server);
  }
  if (kind == "pool" && argc == 6) {
    plug::Server<Pool> server({"", 0}, plug::handler<Lines>, argv + 2);
    return serve(server);
  }
#ifdef PLUG_HAS_FIBERS
  if ((kind == "fiber" || kind == "first_byte") && argc == 2) {
    plug::Server<Loaded<plug::FiberTCPServer>> server({"", 0}, plug::handler<Lines>);
    server.defer_until_readable = kind == "first_byte";
    return serve(server);
  }
#endif
  std::fputs("usage: load_server threading|fiber|first_byte|pool ...\n", stderr);
  return 2;
}
