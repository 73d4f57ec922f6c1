// Tests the end of a server whose waits end early: by a timeout, a cancelled fiber, an interrupt
// hook, or a thread that ends itself.

#include <plug/fiber.hpp>
#include <plug/fiber/group.hpp>
#include <plug/fiber/server.hpp>
#include <plug/fiber/sync.hpp>
#include <plug/server/group.hpp>
#include <plug/socketserver.hpp>

#include <gtest/gtest.h>

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "server/pause.hpp"
#include "support/blocked_thread.hpp"
#include "support/engines.hpp"
#include "support/errors.hpp"
#include "support/gate.hpp"
#include "support/process.hpp"
#include "support/serving.hpp"
#include "support/sockets.hpp"
#include "wait/io_driver.hpp"

extern "C" std::uint64_t plug_census();

namespace plug {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

const ServerAddress kAnyPort{"127.0.0.1", 0};
constexpr seconds kTooLong{30};

/// Socket pairs with the lowest free descriptor numbers. Nobody may write to them.
class FreshDescriptors {
 public:
  FreshDescriptors() {
    for (int i = 0; i < 8; ++i) {
      auto [one, other] = socketpair(AF::UNIX, SOCK::STREAM);
      all_.push_back(std::move(one));
      all_.push_back(std::move(other));
    }
  }
  /// Returns the number of bytes that have arrived on any of the sockets.
  std::size_t received() {
    std::size_t count = 0;
    for (Socket& one : all_) {
      std::error_code nothing;
      count += one.recv(100, nothing, MSG::DONTWAIT).size();
    }
    return count;
  }

 private:
  std::vector<Socket> all_;
};

struct Interrupted : BaseException {};

std::atomic<bool> interrupting{false};
std::atomic<int> thrown{0};  // by the interrupt hook

/// Makes the interrupt hook throw while `interrupting`. SIGUSR1 interrupts system calls.
class ThrowingHook {
 public:
  ThrowingHook() {
    interrupting = false;
    thrown = 0;
    struct sigaction action {};
    action.sa_handler = [](int) {};
    EXPECT_EQ(sigaction(SIGUSR1, &action, &before_), 0);
    set_interrupt_hook([]() -> std::errc {
      if (!interrupting) return {};
      ++thrown;
      throw Interrupted();
    });
  }
  ThrowingHook(const ThrowingHook&) = delete;
  ThrowingHook& operator=(const ThrowingHook&) = delete;
  ~ThrowingHook() {
    set_interrupt_hook(nullptr);
    EXPECT_EQ(sigaction(SIGUSR1, &before_, nullptr), 0);
  }

 private:
  struct sigaction before_ {};
};

/// Sends SIGUSR1 every five milliseconds to the thread that has created it, until its destructor.
class Signals {
 public:
  Signals()
      : thread_([this, target = pthread_self()](const std::stop_token& over) {
          while (!over.stop_requested()) {
            std::this_thread::sleep_for(milliseconds(5));
            pthread_kill(target, SIGUSR1);
            ++sent_;
          }
        }) {}
  int sent() const { return sent_; }

 private:
  std::atomic<int> sent_{0};
  std::jthread thread_;
};

/// Checks that nobody has used a file descriptor after closing it. tests/faults/census.cpp, which
/// is linked into this program, counts such calls.
class Counted : public testing::Environment {
  void TearDown() override { EXPECT_EQ(plug_census(), 0U); }
};
[[maybe_unused]] const auto* const counted = testing::AddGlobalTestEnvironment(new Counted);

template <class Kind>
class AServerWithHandlersApart : public testing::Test {};
using Apart = testing::Types<ThreadingTCPServer, ThreadPoolTCPServer>;
TYPED_TEST_SUITE(AServerWithHandlersApart, Apart);

// --- closing that ends early ---

/// Starts three handlers and lets `close` interrupt the closing of their server. Expects that the
/// handlers, which end later, write to no descriptor that another socket has taken.
template <class Kind, class Close>
void expect_no_writes_after(Close close) {
  Gate gate;
  auto server =
      std::make_unique<Kind>(kAnyPort, [&](Request&, const Address&, BaseServer&) { gate.wait(); });
  std::vector<Socket> clients;
  for (int i = 0; i < 3; ++i) {
    clients.push_back(client_of(server->server_address));
    server->handle_request();
  }
  gate.wait_for(3);
  close(*server);
  FreshDescriptors fresh;
  gate.open();
  for (Socket& client : clients) EXPECT_EQ(client.recv(1), "");
  server.reset();
  EXPECT_EQ(fresh.received(), 0U);
}

TYPED_TEST(AServerWithHandlersApart, WritesNowhereOnceItsClosingInAFiberHasTimedOut) {
  expect_no_writes_after<TypeParam>([](TypeParam& server) {
    fiber::run(
        [&] { EXPECT_THROW(fiber::timeout(0.02, [&] { server.server_close(); }), TimeoutError); });
  });
}

TYPED_TEST(AServerWithHandlersApart, WritesNowhereOnceTheHookHasEndedItsClosing) {
  const ThrowingHook hook;
  expect_no_writes_after<TypeParam>([](TypeParam& server) {
    interrupting = true;
    {
      const Signals signals;
      EXPECT_THROW(server.server_close(), Interrupted);
    }
    interrupting = false;
  });
}

TYPED_TEST(AServerWithHandlersApart, ServesAgainAfterAClosingThatTimedOut) {
  Gate gate;
  std::atomic<int> handled{0};
  TypeParam server(kAnyPort, [&](Request& request, const Address&, BaseServer&) {
    if (++handled == 1) gate.wait();
    request->sendall("done");
  });
  const Address address = server.server_address;
  Socket first = client_of(address);
  server.handle_request();
  gate.wait_for(1);
  fiber::run(
      [&] { EXPECT_THROW(fiber::timeout(0.02, [&] { server.server_close(); }), TimeoutError); });
  server.server_address = Address();  // another port: the first client still uses this one
  server.server_bind();
  server.server_activate();
  for (int i = 0; i < 3; ++i) {
    Socket client = client_of(server.server_address);
    server.handle_request();
    EXPECT_EQ(client.recv(10), "done");
  }
  gate.open();
  EXPECT_EQ(first.recv(10), "done");
}

TYPED_TEST(AServerWithHandlersApart, MayBeClosedByTwoThreadsAtOnce) {
  Gate gate;
  TypeParam server(kAnyPort, [&](Request&, const Address&, BaseServer&) { gate.wait(); });
  std::vector<Socket> clients;
  for (int i = 0; i < 3; ++i) {
    clients.push_back(client_of(server.server_address));
    server.handle_request();
  }
  gate.wait_for(3);
  {
    BlockedThread one([&] { server.server_close(); });
    BlockedThread other([&] { server.server_close(); });
    EXPECT_TRUE(one.wait_until_blocked());
    EXPECT_TRUE(other.wait_until_blocked());
    gate.open();
    alarm(30);  // a closer that nobody wakes would block forever
  }
  alarm(0);
}

TYPED_TEST(AServerWithHandlersApart, IsDestroyedWhateverTheInterruptHookThrows) {
  const ThrowingHook hook;
  Gate gate;
  std::atomic<bool> ended{false};
  auto server = std::make_unique<TypeParam>(kAnyPort, [&](Request&, const Address&, BaseServer&) {
    gate.wait();
    ended = true;
  });
  const Socket client = client_of(server->server_address);
  server->handle_request();
  gate.wait_for(1);
  interrupting = true;
  const Signals signals;
  const std::jthread opening([&] {
    while (signals.sent() < 20) std::this_thread::yield();
    gate.open();
  });
  server.reset();
  interrupting = false;
  EXPECT_TRUE(ended);
  EXPECT_GT(thrown, 0);
}

// --- a worker that ends itself ---

TYPED_TEST(AServerWithHandlersApart, GoesOnWhenAHandlerEndsItsThread) {
  TypeParam server(kAnyPort, [](Request& request, const Address&, BaseServer&) {
    if (request->recv(1) == "x") pthread_exit(nullptr);
    request->sendall("done");
  });
  if constexpr (requires { server.max_workers; }) server.max_workers = 1;
  alarm(30);
  {
    const Serving serving(server);
    for (int i = 0; i < 3; ++i) {
      Socket ending = client_of(server.server_address);
      Socket next = client_of(server.server_address);
      ending.sendall("x");
      next.sendall("y");
      EXPECT_EQ(ending.recv(10), "");
      EXPECT_EQ(next.recv(10), "done");
    }
  }
  server.server_close();
  alarm(0);
}

struct EndsItsThread : StreamRequestHandler {
  void handle() override { pthread_exit(nullptr); }
  void finish() override {
    StreamRequestHandler::finish();
    throw ValueError("in finish()");
  }
};

TYPED_TEST(AServerWithHandlersApart, LetsAThreadEndWhateverItsHandlersFinishThrows) {
  const int status = run_in_child([] {
    TypeParam server(kAnyPort, handler<EndsItsThread>);
    Socket client = client_of(server.server_address);
    server.handle_request();
    return client.recv(10).empty() ? 7 : 1;
  });
  EXPECT_EQ(status, 7);
}

// --- waiting for room in a pool ---

/// A pool with one worker, which is busy until the gate opens.
class FullPool {
 public:
  FullPool()
      : server_(kAnyPort, [this](Request& request, const Address&, BaseServer&) {
          gate_.wait();
          request->sendall("done");
        }) {
    server_.max_workers = 1;
    server_.max_queue = 0;
    first_ = client_of(server_.server_address);
    server_.handle_request();
    gate_.wait_for(1);
    second_ = client_of(server_.server_address);
  }

  ThreadPoolTCPServer& server() { return server_; }
  Gate& gate() { return gate_; }
  Socket& second() { return second_; }

 private:
  Gate gate_;
  ThreadPoolTCPServer server_;
  Socket first_{AF::INET};
  Socket second_{AF::INET};
};

TEST(APoolsWaitForRoom, EndsWithTheTimeOfAFiber) {
  FullPool pool;
  fiber::run([&] {
    EXPECT_THROW(fiber::timeout(0.02, [&] { pool.server().handle_request(); }), TimeoutError);
  });
  FreshDescriptors fresh;
  EXPECT_EQ(pool.second().recv(10), "");
  pool.gate().open();
  pool.server().server_close();
  EXPECT_EQ(fresh.received(), 0U);
}

TEST(APoolsWaitForRoom, EndsWithACancelledFiber) {
  FullPool pool;
  fiber::run([&] {
    auto serving = fiber::spawn([&] { pool.server().serve_forever(); });
    fiber::sleep(0.02);
    serving.cancel();
    EXPECT_THROW(serving.join(kTooLong), CancelledError);
  });
  FreshDescriptors fresh;
  pool.gate().open();
  pool.server().server_close();
  EXPECT_EQ(fresh.received(), 0U);
}

TEST(APoolsWaitForRoom, EndsWithWhatTheInterruptHookThrows) {
  const ThrowingHook hook;
  FullPool pool;
  interrupting = true;
  {
    const Signals signals;
    EXPECT_THROW(pool.server().handle_request(), Interrupted);
  }
  interrupting = false;
  FreshDescriptors fresh;
  EXPECT_EQ(pool.second().recv(10), "");
  pool.gate().open();
  pool.server().server_close();
  EXPECT_EQ(fresh.received(), 0U);
}

// --- cancellations are not lost ---

class Shielding : public OnEngine {};
PLUG_ON_EACH_ENGINE(Shielding);

TEST_P(Shielding, KeepsACancelForTheNextWaitOutside) {
  run([] {
    auto task = fiber::spawn([] {
      {
        const detail::wait::Shield shield(detail::wait::OnCancel::keep);
        EXPECT_THROW(fiber::sleep(60), CancelledError);
        EXPECT_THROW(fiber::sleep(60), CancelledError);
        EXPECT_THROW(fiber::yield(), CancelledError);
        auto [one, other] = socketpair();
        EXPECT_THROW(one.recv(1), CancelledError);
      }
      EXPECT_THROW(fiber::sleep(60), CancelledError);
      fiber::sleep(0.001);
    });
    task.cancel();
    task.join(kTooLong);
  });
}

TEST_P(Shielding, KeepsATimeLimitForTheNextWaitOutside) {
  run([] {
    EXPECT_THROW(fiber::timeout(0.01,
                                [] {
                                  {
                                    const detail::wait::Shield shield(detail::wait::OnCancel::keep);
                                    EXPECT_THROW(fiber::sleep(60), CancelledError);
                                  }
                                  fiber::sleep(60);
                                }),
                 TimeoutError);
  });
}

TEST_P(Shielding, LetsWaitsGoOnDespiteCancels) {
  run([] {
    auto task = fiber::spawn([] {
      {
        const detail::wait::Shield shield(detail::wait::OnCancel::ignore);
        const detail::wait::Shield weaker(detail::wait::OnCancel::keep);
        fiber::sleep(0.002);
        auto [one, other] = socketpair();
        other.settimeout(0.002);
        EXPECT_THROW(other.recv(1), TimeoutError);
        one.sendall("x");
        EXPECT_EQ(other.recv(1), "x");
        fiber::yield();
      }
      EXPECT_THROW(fiber::sleep(60), CancelledError);
    });
    task.cancel();
    task.join(kTooLong);
  });
}

/// A server with a request whose handler waits until the gate opens.
template <class Kind>
class Busy {
 public:
  explicit Busy(Gate& gate)
      : server_(std::make_unique<Kind>(
            kAnyPort, [&gate](Request&, const Address&, BaseServer&) { gate.wait(); })),
        client_(client_of(server_->server_address)) {
    server_->handle_request();
    gate.wait_for(1);
  }
  void destroy() { server_.reset(); }

 private:
  std::unique_ptr<Kind> server_;
  Socket client_;
};

TYPED_TEST(AServerWithHandlersApart, IsDestroyedWithoutLosingACancel) {
  Gate gate;
  Busy<TypeParam> busy(gate);
  bool told = false;
  fiber::run([&] {
    auto destroying = fiber::spawn([&] {
      busy.destroy();
      try {
        fiber::sleep(60);
      } catch (const CancelledError&) {
        told = true;
      }
    });
    fiber::sleep(0.01);
    destroying.cancel();
    fiber::sleep(0.01);
    gate.open();
    destroying.join(kTooLong);
  });
  EXPECT_TRUE(told);
}

TYPED_TEST(AServerWithHandlersApart, IsDestroyedWithoutLosingATimeLimit) {
  Gate gate;
  Busy<TypeParam> busy(gate);
  fiber::run([&] {
    auto opening = fiber::spawn([&] {
      fiber::sleep(0.03);
      gate.open();
    });
    EXPECT_THROW(fiber::timeout(0.01,
                                [&] {
                                  busy.destroy();
                                  fiber::sleep(60);
                                }),
                 TimeoutError);
    opening.join();
  });
}

TEST(AServerGroup, WaitsForItsWorkersWithoutLosingACancel) {
  Gate gate;
  const auto first = std::this_thread::get_id();
  ServerGroup<TCPServer> servers(2, kAnyPort, [&](Request& request, const Address&, BaseServer&) {
    if (std::this_thread::get_id() == first) return;
    request->sendall("!");
    gate.wait();
  });
  bool told = false;
  fiber::run([&] {
    auto serving = fiber::spawn([&] {
      servers.serve_forever();
      try {
        fiber::sleep(60);
      } catch (const CancelledError&) {
        told = true;
      }
    });
    std::vector<Socket> clients;
    do {
      clients.push_back(client_of(servers.server_address()));
    } while (clients.back().recv(1) != "!");
    servers.stop_serving();
    fiber::sleep(0.01);
    serving.cancel();
    fiber::sleep(0.01);
    gate.open();
    serving.join(kTooLong);
  });
  EXPECT_TRUE(told);
}

TEST(AServersPause, EndsWithACancelledFiber) {
  fiber::run([] {
    auto resting = fiber::spawn([] { return detail::server::AcceptPause::rest(); });
    resting.cancel();
    EXPECT_EQ(resting.join(kTooLong), detail::base::kCancelled);
  });
}

TEST(AServersPause, EndsWithWhatTheInterruptHookThrows) {
  const ThrowingHook hook;
  interrupting = true;
  const Signals signals;
  EXPECT_THROW(static_cast<void>(detail::server::AcceptPause::rest()), Interrupted);
}

TEST(AFiberServer, TellsOfACancelThatComesWithTheEndOfItsHandlers) {
  fiber::Event go;
  FiberTCPServer server(kAnyPort, [&](Request&, const Address&, BaseServer&) { go.wait(); });
  bool told = false;
  fiber::run([&] {
    const Socket client = client_of(server.server_address);
    server.handle_request();
    auto closing = fiber::spawn([&] {
      try {
        server.server_close();
        fiber::sleep(60);
      } catch (const CancelledError&) {
        told = true;
      }
    });
    fiber::sleep(0.01);
    go.set();
    fiber::yield();  // the handler ends and wakes the closing fiber, which does not run yet
    closing.cancel();
    closing.join(kTooLong);
  });
  EXPECT_TRUE(told);
}

TEST(AFiberServer, ClosesTheSilentClientsOfACallThatItsClosingEnds) {
  FiberTCPServer server(kAnyPort, [](Request&, const Address&, BaseServer&) {});
  server.defer_until_readable = true;
  Socket client = client_of(server.server_address);
  client.settimeout(5);
  BlockedThread handling([&] { EXPECT_THROW(server.handle_request(), OSError); });
  EXPECT_TRUE(handling.wait_until_blocked());
  server.server_close();
  EXPECT_EQ(client.recv(1), "");
}

TEST(AFiberServer, ClosesTheSilentClientsOfAServingThatEndsAfterItsClosing) {
  FiberTCPServer server(kAnyPort, [](Request&, const Address&, BaseServer&) {});
  server.defer_until_readable = true;
  server.daemon_threads = true;  // server_close() does not wait for them
  Socket client = client_of(server.server_address);
  client.settimeout(5);
  BlockedThread handling([&] { EXPECT_THROW(server.handle_request(), OSError); });
  EXPECT_TRUE(handling.wait_until_blocked());
  server.server_close();
  EXPECT_EQ(client.recv(1), "");
}

// --- callbacks that block ---

class HandlersWithStopCallbacks : public OnEngine {
 protected:
  /// Serves as `serve_as` does, until `stop` ends the serving. The stop callbacks of the handlers
  /// block. Returns the number of callbacks that were called.
  template <class Serve, class Stop>
  int serve(Serve serve_as, Stop stop, bool daemons = false) {
    std::atomic<int> begun{0};
    std::atomic<int> told{0};
    FiberTCPServer server(kAnyPort, [&](Request& request, const Address&, BaseServer&) {
      const std::stop_callback telling(fiber::get_stop_token(), [&] {
        ++told;
        fiber::sleep(0.01);
      });
      ++begun;
      request->sendall("!");
      request->recv(1);
    });
    server.daemon_threads = daemons;
    serve_clients(server, 4, serve_as, stop);
    return told;
  }

  /// Calls `serve_as`. Meanwhile `count` clients connect and receive a greeting; then `stop` ends
  /// the serving.
  template <class Serve, class Stop>
  void serve_clients(FiberTCPServer& server, int count, Serve serve_as, Stop stop) {
    std::stop_source stopping;
    server.run_options = {.engine = GetParam(), .stop = stopping.get_token()};
    alarm(30);
    {
      const std::jthread clients([&] {
        std::vector<Socket> all;
        for (int i = 0; i < count; ++i) {
          all.push_back(client_of(server.server_address));
          EXPECT_EQ(all.back().recv(1), "!");
        }
        stop(server, stopping);
        for (Socket& one : all) EXPECT_EQ(one.recv(1), "");
      });
      serve_as(server);
    }
    alarm(0);
  }
};
PLUG_ON_EACH_ENGINE(HandlersWithStopCallbacks);

TEST_P(HandlersWithStopCallbacks, AreAllToldWhenASignalEndsTheServing) {
  const int told = serve([](auto& server) { server.serve_until_signal({.drain = 0.01}); },
                         [](auto&, auto&) { kill(getpid(), SIGTERM); });
  EXPECT_EQ(told, 4);
}

TEST_P(HandlersWithStopCallbacks, AreAllToldWhenAStopTokenEndsTheServing) {
  const int told = serve([](auto& server) { EXPECT_THROW(server.serve_forever(), CancelledError); },
                         [](auto&, auto& stopping) { stopping.request_stop(); });
  EXPECT_EQ(told, 4);
}

TEST_P(HandlersWithStopCallbacks, AreAllToldWhenTheyAreDaemons) {
  const int told = serve([](auto& server) { server.serve_forever(); },
                         [](auto& server, auto&) { server.stop_serving(); }, true);
  EXPECT_EQ(told, 4);
}

TEST_P(HandlersWithStopCallbacks, AreToldOnceThoughTheServingIsEndedTwice) {
  std::atomic<bool> stopped{false};
  std::atomic<bool> spoken{false};
  FiberTCPServer server(kAnyPort, [&](Request& request, const Address&, BaseServer&) {
    request->sendall("!");
    try {
      request->recv(1);
    } catch (const CancelledError&) {
      request->sendall("?");
      while (!stopped) fiber::sleep(0.001);
      fiber::sleep(0.02);
      spoken = true;
      throw;
    }
  });
  std::stop_source stopping;
  server.run_options = {.engine = GetParam(), .stop = stopping.get_token()};
  alarm(30);
  {
    std::jthread client([&] {
      Socket sock = client_of(server.server_address);
      EXPECT_EQ(sock.recv(1), "!");
      kill(getpid(), SIGTERM);
      EXPECT_EQ(sock.recv(1), "?");
      stopping.request_stop();
      stopped = true;
      EXPECT_EQ(sock.recv(1), "");
    });
    EXPECT_THROW(server.serve_until_signal({.drain = 0.01}), CancelledError);
  }
  alarm(0);
  EXPECT_TRUE(spoken);
}

/// Allocates memory that has just been freed, and overwrites it.
void write_to_free_memory() {
  std::vector<std::string> blocks;
  for (std::size_t size = 16; size <= 1024; size += 16)
    for (int i = 0; i < 32; ++i) blocks.emplace_back(size, '\xff');
}

/// The first stop callback ends all handlers, so the server finds the others gone when it would
/// stop them.
TEST_P(HandlersWithStopCallbacks, MayEndEachOther) {
  const std::pair<std::function<void(FiberTCPServer&)>,
                  std::function<void(FiberTCPServer&, std::stop_source&)>>
      ways[] = {{[](auto& server) { server.serve_until_signal({.drain = 0.01}); },
                 [](auto&, auto&) { kill(getpid(), SIGTERM); }},
                {[](auto& server) { EXPECT_THROW(server.serve_forever(), CancelledError); },
                 [](auto&, auto& stopping) { stopping.request_stop(); }},
                {[](auto& server) { server.serve_forever(); },
                 [](auto& server, auto&) { server.stop_serving(); }}};
  for (const auto& [serve_as, stop] : ways) {
    std::vector<Socket*> handled;
    std::atomic<int> told{0};
    FiberTCPServer server(kAnyPort, [&](Request& request, const Address&, BaseServer&) {
      const std::stop_callback telling(fiber::get_stop_token(), [&] {
        if (++told > 1) return;
        // A handler does not wait for this callback, because both run in one thread. The
        // lambda's captures are destroyed with the handler, so the callback keeps its own
        // reference.
        std::vector<Socket*>& left = handled;
        // Its own connection first: this handler was the last to start.
        std::error_code ended;
        for (auto it = left.rbegin(); it != left.rend(); ++it) (*it)->shutdown(SHUT::RDWR, ended);
        while (!left.empty()) fiber::sleep(0.001);
        fiber::sleep(0.01);
        write_to_free_memory();
      });
      handled.push_back(&request.socket());
      request->sendall("!");
      request->recv(1);
      std::erase(handled, &request.socket());
    });
    server.daemon_threads = true;
    serve_clients(server, 8, serve_as, stop);
    EXPECT_EQ(told, 1);
  }
}

}  // namespace
}  // namespace plug
