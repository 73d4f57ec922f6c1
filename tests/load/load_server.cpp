// The servers that are loaded: lines come back. Says where it listens; ends on SIGTERM, orderly.
//
//   load_server threading
//   load_server pool WORKERS PER_ADDRESS IDLE_SECONDS LIFETIME_SECONDS

#include <plug/socketserver.hpp>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <utility>

namespace {

plug::BaseServer* running = nullptr;

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
  // Clients that are slow or go away are what this is about.
  void handle_error(plug::Request&, const plug::Address&) override {}
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
  std::fputs("usage: load_server threading|pool ...\n", stderr);
  return 2;
}
