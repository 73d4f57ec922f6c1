// Waits of servers: for requests, for a free worker, for handlers, and for the end of the serving.

#include <plug/fiber.hpp>
#include <plug/fiber/server.hpp>
#include <plug/fiber/sync.hpp>
#include <plug/server/group.hpp>
#include <plug/socketserver.hpp>

#include <gtest/gtest.h>

#include <memory>
#include <system_error>
#include <vector>

#include "support/serving.hpp"
#include "support/waits.hpp"

namespace waits {

namespace fiber = plug::fiber;
using plug::Address;
using plug::BaseServer;
using plug::Request;
using plug::SHUT;
using plug::Socket;
using plug::Timeout;

namespace {

const plug::ServerAddress kAnyPort{"127.0.0.1", 0};

/// A server whose hooks pass timeouts and errors on to the caller of handle_request().
template <class T>
class Telling : public T {
 public:
  using T::T;
  void handle_timeout() override {
    T::handle_timeout();
    expect_in_time(false);
  }
  void handle_error(Request&, const Address&) override { throw; }
};

/// A gate at which each handler waits until it opens.
struct Gate {
  fiber::Event open;
  fiber::Semaphore inside{0};

  void pass() {
    inside.release();
    open.wait();
  }
};

/// A server, its clients, and the gate at which its handlers wait.
template <class T>
struct Served {
  Gate gate;
  std::optional<plug::Server<Telling<T>>> server{
      std::in_place, kAnyPort, [this](Request&, const Address&, BaseServer&) { gate.pass(); }};
  std::vector<Socket> clients;

  Served() = default;
  Served(const Served&) = delete;
  Served& operator=(const Served&) = delete;
  ~Served() { gate.open.set(); }

  void connect() { clients.push_back(client_of(server->server_address)); }
  /// Handles one request. Returns once its handler waits at the gate.
  void handle_one() {
    connect();
    server->handle_request();
    gate.inside.acquire();
  }
};

template <class T>
std::shared_ptr<Served<T>> make_served() {
  return std::make_shared<Served<T>>();
}

// --- serving ---

template <class T, class F>
Wait serving(F serve) {
  auto served = make_served<T>();
  Wait wait{.call = [served, serve] { serve(*served->server); },
            .let_go = [served] { served->server->stop_serving(); }};
  // If the handlers do not run in the serving thread, any thread may close the server.
  if constexpr (!std::is_same_v<T, plug::TCPServer>)
    wait.close = [served] { served->server->server_close(); };
  return wait;
}

template <class T>
Scenario of_serving(std::string_view name) {
  return {name, "ready", "server/base_server.cpp", 0, [](Timeout) {
            return serving<T>([](auto& server) { server.serve_forever(std::nullopt); });
          }};
}

template <class T>
Scenario of_serving_until_signal(std::string_view name) {
  return {name, "ready", "server/graceful_shutdown.cpp", kMayBeginLate, [](Timeout) {
            return serving<T>([](auto& server) {
              server.serve_until_signal({.drain = std::nullopt, .poll_interval = std::nullopt});
            });
          }};
}

template <class T>
Wait handling_one(Timeout timeout) {
  auto served = make_served<T>();
  served->gate.open.set();
  served->server->timeout = timeout;
  return {.call = [served] { served->server->handle_request(); },
          .let_go =
              [served] {
                served->connect();
                served->connect();
              },
          .close = [served] { served->server->server_close(); }};
}

/// Waits in shutdown() until the server has handled its current request.
Wait shutting_down(Timeout) {
  struct Busy : Served<plug::TCPServer> {
    Beside serving{[this] { server->serve_forever(std::nullopt); }};
    ~Busy() {
      gate.open.set();
      server->stop_serving();
    }
  };
  auto busy = std::make_shared<Busy>();
  busy->connect();
  busy->gate.inside.acquire();
  return {.call = [busy] { busy->server->shutdown(); },
          .let_go = [busy] { busy->gate.open.set(); }};
}

/// Waits in serve_until_signal() for the handlers, with the listener closed. A later call opens it
/// again.
template <class T>
Wait draining(Timeout) {
  auto served = make_served<T>();
  served->handle_one();
  return {.call =
              [served] {
                if (served->server->fileno() < 0) {
                  served->server->server_bind();
                  served->server->server_activate();
                }
                served->server->stop_serving();
                served->server->serve_until_signal(
                    {.drain = std::nullopt, .poll_interval = std::nullopt});
              },
          .let_go = [served] { served->gate.open.set(); }};
}

// --- handlers ---

template <class T>
Wait closing(Timeout) {
  auto served = make_served<T>();
  served->handle_one();
  return {.call = [served] { served->server->server_close(); },
          .let_go = [served] { served->gate.open.set(); }};
}

template <class T>
Wait destroying(Timeout) {
  auto served = make_served<T>();
  served->handle_one();
  return {.call = [served] { served->server.reset(); },
          .let_go = [served] { served->gate.open.set(); }};
}

/// Waits in handle_request() for a free worker of a pool.
Wait for_worker(Timeout) {
  auto served = make_served<plug::ThreadPoolTCPServer>();
  served->server->max_workers = 1;
  served->server->max_queue = 0;
  served->handle_one();
  served->connect();
  return {.call = [served] { served->server->handle_request(); },
          .let_go =
              [served] {
                served->gate.open.set();
                served->connect();
              }};
}

/// Waits in server_close() for the handlers of a server that serves in another thread or fiber.
Wait closing_fibers(Timeout) {
  struct Busy : Served<plug::FiberTCPServer> {
    Beside serving{[this] {
      // server_close() ends the serving.
      EXPECT_THROW(server->serve_forever(std::nullopt), plug::OSError);
    }};
    ~Busy() {
      gate.open.set();
      server->server_close();
    }
  };
  auto busy = std::make_shared<Busy>();
  busy->connect();
  busy->gate.inside.acquire();
  return {.call = [busy] { busy->server->server_close(); },
          .let_go = [busy] { busy->gate.open.set(); }};
}

/// Called by a plain thread. Waits in serve_forever() for the handlers after stop_serving().
Wait outlasting_handlers(Timeout) {
  struct Stopping {
    Gate gate;
    plug::FiberTCPServer server{kAnyPort, [this](Request&, const Address&, BaseServer& its) {
                                  its.stop_serving();
                                  gate.pass();
                                }};
    std::vector<Socket> clients;
    void connect() { clients.push_back(client_of(server.server_address)); }
  };
  auto stopping = std::make_shared<Stopping>();
  stopping->connect();
  return {.call = [stopping] { stopping->server.serve_forever(std::nullopt); },
          .let_go =
              [stopping] {
                stopping->gate.open.set();
                stopping->connect();
              }};
}

// --- children ---

/// A server whose child process handles a request and waits for the end of the stream.
template <class F>
Wait for_children(F wait) {
  struct Forking {
    plug::ForkingTCPServer server{kAnyPort, [](Request& request, const Address&, BaseServer&) {
                                    ::alarm(60);  // in case the test ends earlier
                                    request->recv(1);
                                  }};
    std::vector<Socket> clients;
    ~Forking() { end_clients(); }
    void end_clients() {
      std::error_code gone;
      for (Socket& client : clients) client.shutdown(SHUT::RDWR, gone);
    }
  };
  auto forking = std::make_shared<Forking>();
  forking->server.max_children = 1;
  forking->clients.push_back(client_of(forking->server.server_address));
  forking->server.handle_request();
  return {.call = [forking, wait] { wait(forking->server); },
          .let_go = [forking] { forking->end_clients(); }};
}

// --- groups ---

Wait serving_in_group(Timeout) {
  auto group = std::make_shared<plug::ServerGroup<plug::ThreadingTCPServer>>(
      2, kAnyPort, [](Request&, const Address&, BaseServer&) {});
  return {.call = [group] { group->serve_forever(std::nullopt); },
          .let_go = [group] { group->stop_serving(); },
          .close = [group] { group->server_close(); }};
}

/// A group that a handler of its second worker stops.
struct BusyGroup {
  Gate gate;
  plug::ServerGroup<plug::TCPServer> servers{2, kAnyPort,
                                             [this](Request&, const Address&, BaseServer&) {
                                               servers.stop_serving();
                                               gate.pass();
                                             },
                                             false};
  std::vector<Socket> clients;

  // The servers have different addresses, so that the clients connect to the second one.
  BusyGroup() {
    for (std::size_t i = 0; i < servers.size(); ++i) {
      servers[i].server_bind();
      servers[i].server_activate();
    }
    connect();
  }
  BusyGroup(const BusyGroup&) = delete;
  BusyGroup& operator=(const BusyGroup&) = delete;
  ~BusyGroup() { gate.open.set(); }
  void connect() { clients.push_back(client_of(servers[1].server_address)); }
};

/// The first worker has ended and waits for the second one.
Wait ending_group(Timeout) {
  auto group = std::make_shared<BusyGroup>();
  return {.call = [group] { group->servers.serve_forever(std::nullopt); },
          .let_go =
              [group] {
                group->gate.open.set();
                group->connect();
              }};
}

Wait shutting_down_group(Timeout) {
  struct Serving : BusyGroup {
    Beside serving{[this] { servers.serve_forever(std::nullopt); }};
    ~Serving() { gate.open.set(); }
  };
  auto group = std::make_shared<Serving>();
  group->gate.inside.acquire();
  return {.call = [group] { group->servers.shutdown(); },
          .let_go = [group] { group->gate.open.set(); }};
}

// --- silent clients ---

struct Silent : Served<plug::FiberTCPServer> {
  explicit Silent(Timeout timeout) {
    gate.open.set();
    server->defer_until_readable = true;
    server->timeout = timeout;
    connect();
  }
  void speak() {
    connect();
    std::error_code gone;
    for (Socket& client : clients) client.sendall("x", gone);
  }
};

Wait for_first_byte(Timeout timeout) {
  auto silent = std::make_shared<Silent>(timeout);
  return {.call = [silent] { silent->server->handle_request(); },
          .let_go = [silent] { silent->speak(); },
          .close = [silent] { silent->server->server_close(); }};
}

}  // namespace

std::vector<Scenario> of_servers() {
  using plug::FiberTCPServer;
  using plug::TCPServer;
  using plug::ThreadingTCPServer;
  using plug::ThreadPoolTCPServer;
  return {
      of_serving<TCPServer>("serve_forever"),
      of_serving<ThreadingTCPServer>("serve_forever with threads"),
      of_serving<FiberTCPServer>("serve_forever with fibers"),
      of_serving_until_signal<ThreadingTCPServer>("serve_until_signal"),
      of_serving_until_signal<FiberTCPServer>("serve_until_signal with fibers"),
      {"serve_until_signal for its handlers", "select", "server/loop.cpp", 0,
       draining<ThreadingTCPServer>},
      {"serve_until_signal for its fibers", "select", "server/loop.cpp", kInFibersOnly,
       draining<FiberTCPServer>},
      {"serve_forever for its fibers", "handlers", "fiber_server/server.cpp", kOnThreadsOnly,
       outlasting_handlers},
      {"handle_request", "select", "server/watch.cpp", kTimed, handling_one<ThreadingTCPServer>},
      {"handle_request for a worker", "select", "server/pool.cpp", 0, for_worker},
      {"handle_request for a first byte", "select", "fiber_server/deferred_connections.cpp", kTimed,
       for_first_byte, "deferred connections"},
      {"shutdown", "select", "server/serving.cpp", 0, shutting_down},
      {"server_close for threads", "select", "server/threads.cpp", 0, closing<ThreadingTCPServer>},
      {"server_close for a pool", "select", "server/pool.cpp", 0, closing<ThreadPoolTCPServer>},
      {"server_close for fibers", "handlers", "fiber_server/server.cpp", 0, closing_fibers},
      {"server_close for children", "select", "server/processes.cpp", 0,
       [](Timeout) { return for_children([](auto& server) { server.server_close(); }); }},
      {"collect_children", "select", "server/processes.cpp", 0,
       [](Timeout) { return for_children([](auto& server) { server.collect_children(); }); }},
      {"~ThreadingTCPServer", "select", "server/threads.cpp", kToldLater | kNoHookOnThreads,
       destroying<ThreadingTCPServer>},
      {"~ThreadPoolTCPServer", "select", "server/pool.cpp", kToldLater | kNoHookOnThreads,
       destroying<ThreadPoolTCPServer>},
      {"~FiberTCPServer", "handlers", "fiber_server/server.cpp", kToldLater | kInFibersOnly,
       destroying<FiberTCPServer>},
      {"ServerGroup::serve_forever", "ready", "server/group.cpp", kMayBeginLate, serving_in_group},
      {"ServerGroup::serve_forever for a worker", "select", "server/group.cpp",
       kToldLater | kNoHookOnThreads, ending_group},
      {"ServerGroup::shutdown", "select", "server/serving.cpp", 0, shutting_down_group},
  };
}

}  // namespace waits
