#include "support/serve.hpp"

#include <csignal>
#include <map>
#include <optional>

#include <pthread.h>
#include <CLI/CLI.hpp>

#ifdef PLUG_HAS_FIBERS
#include <plug/fiber/server.hpp>
#endif

namespace lesson {
namespace {

/// Blocks SIGINT and SIGTERM for the calling thread. serve_until_signal() then also receives a
/// signal that arrives before it is called.
void hold_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
}

template <class Base>
void serve_with(const Endpoint& endpoint, const plug::AddrInfo& address,
                const plug::HandlerFactory& handler) {
  plug::Server<Attending<Base>> server(address, handler, endpoint.once);
  serve_until_signal(server, endpoint);
}

}  // namespace

void add_server_type(CLI::App& app, Endpoint& endpoint) {
  std::map<std::string, ServerType> types{{"plain", ServerType::plain},
                                          {"tcp", ServerType::tcp},
                                          {"threading", ServerType::threading},
                                          {"forking", ServerType::forking},
                                          {"pool", ServerType::pool}};
#ifdef PLUG_HAS_FIBERS
  types.emplace("fiber", ServerType::fiber);
#endif
  app.add_option("--server", endpoint.server, "what serves: a loop of its own, or a server class")
      ->transform(CLI::CheckedTransformer(types))
      ->default_str("plain");
  app.add_option("--drain", endpoint.drain,
                 "seconds that clients of a server class may go on after a signal")
      ->check(CLI::Range(0.0, 1e6))
      ->capture_default_str();
}

Endpoint server_type_arguments(int argc, char** argv, const std::string& description) {
  Endpoint endpoint;
  CLI::App app(description);
  add_endpoint(app, endpoint);
  add_server_type(app, endpoint);
  add_once(app, endpoint);
  parse(app, argc, argv);
  return endpoint;
}

void serve(const Endpoint& endpoint, const plug::HandlerFactory& handler) {
  serve(endpoint, look_up(endpoint, plug::SOCK::STREAM), handler);
}

void serve(const Endpoint& endpoint, const plug::AddrInfo& address,
           const plug::HandlerFactory& handler) {
  hold_signals();
  switch (endpoint.server) {
    case ServerType::plain:
      throw plug::ValueError("a plain server has a loop of its own");
    case ServerType::tcp:
      return serve_with<plug::TCPServer>(endpoint, address, handler);
    case ServerType::threading:
      return serve_with<plug::ThreadingTCPServer>(endpoint, address, handler);
    case ServerType::forking:
      return serve_with<plug::ForkingTCPServer>(endpoint, address, handler);
    case ServerType::pool:
      return serve_with<plug::ThreadPoolTCPServer>(endpoint, address, handler);
    case ServerType::fiber:
#ifdef PLUG_HAS_FIBERS
      return serve_with<plug::FiberTCPServer>(endpoint, address, handler);
#else
      throw plug::ValueError("this program has been built without fibers");
#endif
  }
}

void serve_until_signal(plug::TCPServer& server, const Endpoint& endpoint) {
  hold_signals();
  announce(server.socket);
  // With --once, service_actions() has to look often whether the child process has ended.
  server.serve_until_signal({.drain = endpoint.drain, .poll_interval = endpoint.once ? 0.02 : 0.5});
  server.server_close();
}

}  // namespace lesson
