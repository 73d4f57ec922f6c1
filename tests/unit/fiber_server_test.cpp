// Tests servers whose handlers run in fibers: their differences from threads.

#include <plug/fiber.hpp>
#include <plug/fiber/server.hpp>
#include <plug/server/group.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <future>
#include <iterator>
#include <memory>
#include <set>
#include <stop_token>
#include <string>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

#include "support/errors.hpp"
#include "support/exhaustion.hpp"
#include "support/fibers.hpp"
#include "support/process.hpp"
#include "support/serving.hpp"
#include "support/sockets.hpp"

namespace plug {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;

const ServerAddress kAnyPort{"127.0.0.1", 0};

std::future<void> serve(BaseServer& server) {
  return std::async(std::launch::async, [&server] { server.serve_forever(std::nullopt); });
}

bool is_ready(const std::future<void>& ended, int patience) {
  return ended.wait_for(milliseconds(patience)) == std::future_status::ready;
}

/// A handler that sends "!" and then waits until let_go(), even if its client leaves.
struct Held {
  Held() { std::tie(teller, told) = socketpair(); }
  HandlerFactory handler() {
    return [this](Request& request, const Address&, BaseServer&) {
      request->sendall("!");
      told.recv(1);
      ++ended;
    };
  }
  void let_go() { teller.sendall("x"); }

  Socket teller = Socket(AF::INET);
  Socket told = Socket(AF::INET);
  std::atomic<int> ended{0};
};

Socket greeted_client(const BaseServer& server) {
  Socket client = client_of(server.server_address);
  EXPECT_EQ(client.recv(1), "!");
  return client;
}

// --- by a plain thread ---

TEST(AFiberServer, HandlesManyRequestsAtOnceInTheThreadThatServes) {
  std::set<std::thread::id> threads;
  int most = 0, now = 0;
  FiberTCPServer server(kAnyPort, [&](Request& request, const Address& from, BaseServer& by) {
    threads.insert(std::this_thread::get_id());
    most = std::max(most, ++now);
    echo(request, from, by);
    --now;
  });
  server.socket.listen(100);
  {
    const Serving serving(server);
    std::vector<Socket> clients;
    for (int i = 0; i < 50; ++i) clients.push_back(greeted_client(server));
    for (Socket& client : clients) client.sendall("x");
    for (Socket& client : clients) EXPECT_EQ(client.recv(10), "x");
  }
  EXPECT_EQ(threads.size(), 1U);
  EXPECT_EQ(most, 50);
  EXPECT_EQ(now, 0);
}

TEST(AFiberServer, ReturnsFromServingWhenItsHandlersHaveEndedAndFromShutdownBefore) {
  Held held;
  FiberTCPServer server(kAnyPort, held.handler());
  auto ended = serve(server);
  const Socket client = greeted_client(server);
  server.shutdown();
  EXPECT_FALSE(is_ready(ended, 20));
  EXPECT_EQ(held.ended, 0);
  held.let_go();
  ended.get();
  EXPECT_EQ(held.ended, 1);
}

TEST(AFiberServer, ReturnsFromHandlingOneRequestWhenItHasBeenHandled) {
  bool handled = false;
  FiberTCPServer server(kAnyPort, [&](Request& request, const Address&, BaseServer&) {
    request->sendall("a");
    fiber::sleep(0.01);
    request->sendall("b");
    handled = true;
  });
  Socket client = client_of(server.server_address);
  std::thread([&] { server.handle_request(); }).join();
  EXPECT_TRUE(handled);
  EXPECT_EQ(client.makefile("rb").read(), "ab");
}

TEST(AFiberServer, CallsHandleTimeoutWhenNoRequestComes) {
  struct Late : FiberTCPServer {
    using FiberTCPServer::FiberTCPServer;
    void handle_timeout() override { ++timeouts; }
    int timeouts = 0;
  };
  Server<Late> server(kAnyPort, &echo);
  server.timeout = 0.01;
  std::thread([&] { server.handle_request(); }).join();
  EXPECT_EQ(server.timeouts, 1);
}

TEST(AFiberServer, ServesAgainInOtherThreads) {
  const int before = settled_descriptors();
  {
    FiberTCPServer server(kAnyPort, &echo);
    for (int round = 0; round < 20; ++round) {
      const Serving serving(server);
      EXPECT_EQ(ask(server.server_address, "x"), "!x");
    }
  }
  EXPECT_EQ(count_descriptors(), before);
}

/// Notes how it ends, and sends a last message.
struct LastWords : StreamRequestHandler {
  void handle() override {
    wfile.write("!");
    try {
      fiber::sleep(std::nullopt);
    } catch (const CancelledError&) {
      ++cancelled;
      throw;
    }
  }
  void finish() override {
    wfile.write("bye");
    StreamRequestHandler::finish();
  }
  static inline std::atomic<int> cancelled{0};
};

TEST(AFiberServer, CancelsDaemonsWhenTheServingEndsAndTheyMaySpeakALastTime) {
  for (const bool daemon : {true, false}) {
    LastWords::cancelled = 0;
    FiberTCPServer server(kAnyPort, handler<LastWords>);
    server.daemon_threads = daemon;
    server.block_on_close = daemon;
    auto ended = serve(server);
    Socket client = greeted_client(server);
    server.shutdown();
    ended.get();
    EXPECT_EQ(LastWords::cancelled, 1);
    EXPECT_EQ(client.makefile("rb").read(), "bye");
  }
}

TEST(AFiberServer, CancelsItsHandlersWhenTheTimeAfterASignalIsOver) {
  LastWords::cancelled = 0;
  FiberTCPServer server(kAnyPort, handler<LastWords>);
  auto ended =
      std::async(std::launch::async, [&] { return server.serve_until_signal({.drain = 0.02}); });
  Socket client = greeted_client(server);
  std::raise(SIGTERM);
  EXPECT_EQ(ended.get(), SIGTERM);
  EXPECT_EQ(LastWords::cancelled, 1);
  EXPECT_EQ(client.makefile("rb").read(), "bye");
}

TEST(AFiberServer, NeedsNoThreadToEndByASignal) {
  // Each system call costs more in a process with another thread.
  const int status = run_in_child([] {
    const auto threads = [] {
      std::filesystem::directory_iterator all("/proc/self/task");
      return std::distance(begin(all), end(all));
    };
    std::ptrdiff_t seen = 0;
    FiberTCPServer server(kAnyPort, [&](Request&, const Address&, BaseServer&) {
      seen = threads();
      std::raise(SIGTERM);
    });
    const auto before = threads();
    Socket client(AF::INET, SOCK::STREAM);
    client.setblocking(false);
    std::ignore = client.connect_ex(server.server_address);
    if (server.serve_until_signal({.drain = 10}) != SIGTERM) return 1;
    return seen == before ? 0 : 2;
  });
  EXPECT_EQ(status, 0);
}

#ifndef __SANITIZE_THREAD__  // the thread sanitizer delays signals in a forked child
TEST(AFiberServer, EndsTheProgramByTheThirdSignalWhenAHandlerHoldsItUp) {
  const int status = run_in_child([] {
    FiberTCPServer server(kAnyPort, [&](Request&, const Address&, BaseServer&) {
      std::raise(SIGTERM);
      std::raise(SIGTERM);
      std::raise(SIGTERM);
    });
    Socket client(AF::INET, SOCK::STREAM);
    client.setblocking(false);
    std::ignore = client.connect_ex(server.server_address);
    server.serve_until_signal({.drain = 10});
    return 0;
  });
  EXPECT_EQ(status, 1000 + SIGTERM);
}
#endif

TEST(AFiberServer, IsCancelledWithItsHandlersByAStopToken) {
  for (const bool draining : {false, true}) {
    LastWords::cancelled = 0;
    std::stop_source source;
    FiberTCPServer server(kAnyPort, handler<LastWords>);
    server.run_options.stop = source.get_token();
    auto ended = serve(server);
    Socket client = greeted_client(server);
    if (draining) server.shutdown();
    source.request_stop();
    EXPECT_THROW(ended.get(), CancelledError);
    EXPECT_EQ(LastWords::cancelled, 1);
    EXPECT_EQ(client.makefile("rb").read(), "bye");
  }
}

TEST(AFiberServer, EndsThoughAClientDoesNotTakeItsLastWords) {
  std::string after;
  FiberTCPServer server(kAnyPort, [&](Request& request, const Address&, BaseServer&) {
    const std::string much(32 << 20, 'x');
    request->sendall("!");
    try {
      request->sendall(much);
    } catch (const CancelledError&) {
      after = text_of_error<TimeoutError>([&] { request->sendall(much); });
      throw;
    }
  });
  auto ended =
      std::async(std::launch::async, [&] { return server.serve_until_signal({.drain = 0.02}); });
  Socket client = greeted_client(server);
  std::raise(SIGTERM);
  EXPECT_EQ(ended.get(), SIGTERM);
  EXPECT_THAT(after, HasSubstr("timed out"));
}

TEST(AFiberServer, WaitsForItsHandlersWhenAnotherThreadClosesIt) {
  Held held;
  FiberTCPServer server(kAnyPort, held.handler());
  auto ended = serve(server);
  const Socket client = greeted_client(server);
  server.shutdown();
  auto closed = std::async(std::launch::async, [&] { server.server_close(); });
  EXPECT_FALSE(is_ready(closed, 20));
  held.let_go();
  closed.get();
  EXPECT_EQ(held.ended, 1);
  ended.get();
}

TEST(AFiberServer, EndsWithAnErrorWhenItIsClosedMeanwhileAndHandlesWhatItHas) {
  Held held;
  FiberTCPServer server(kAnyPort, held.handler());
  auto ended = serve(server);
  const Socket client = greeted_client(server);
  auto closed = std::async(std::launch::async, [&] { server.server_close(); });
  EXPECT_FALSE(is_ready(ended, 20));
  held.let_go();
  closed.get();
  EXPECT_EQ(number_of_error([&] { ended.get(); }), EBADF);
  EXPECT_EQ(held.ended, 1);
}

TEST(AFiberServer, MayBeEndedByItsHandlers) {
  std::string own;
  FiberTCPServer server(kAnyPort, [&](Request& request, const Address&, BaseServer& by) {
    own = text_of_error<RuntimeError>([&] { by.server_close(); });
    by.shutdown();
    request->sendall("has ended");
  });
  // The address is copied because the socket is closed later.
  const Address address = server.server_address;
  auto ended = serve(server);
  EXPECT_EQ(ask(address, ""), "has ended");
  try {
    ended.get();
  } catch (const OSError& error) {
    EXPECT_EQ(error.number(), EBADF);
  }
  EXPECT_EQ(own, "cannot join current fiber");
}

TEST(AFiberServer, IsStoppedByASignalHandler) {
  static BaseServer* stopped = nullptr;
  FiberTCPServer server(kAnyPort, &echo);
  stopped = &server;
  const auto before = std::signal(SIGUSR1, [](int) { stopped->stop_serving(); });
  for (int round = 0; round < 20; ++round) {
    auto ended = serve(server);
    EXPECT_EQ(ask(server.server_address, "x"), "!x");
    std::raise(SIGUSR1);
    ended.get();
  }
  std::signal(SIGUSR1, before);
}

TEST(AFiberServer, CallsServiceActionsForEachRequestAndInBetween) {
  struct Counting : FiberTCPServer {
    using FiberTCPServer::FiberTCPServer;
    void service_actions() override {
      FiberTCPServer::service_actions();
      if (++turns == 5) stop_serving();
    }
    int turns = 0;
  };
  Server<Counting> idle(kAnyPort, &echo);
  std::thread([&] { idle.serve_forever(0.001); }).join();
  EXPECT_EQ(idle.turns, 5);
  Server<Counting> asked(kAnyPort, &echo);
  std::vector<Socket> clients;
  for (int i = 0; i < 5; ++i) {
    clients.push_back(client_of(asked.server_address));
    clients.back().shutdown(SHUT::WR);
  }
  std::thread([&] { asked.serve_forever(std::nullopt); }).join();
  EXPECT_EQ(asked.turns, 5);
}

TEST(AFiberServer, NamesTheFiberOfARequestByItsClient) {
  std::vector<std::string> names;
  FiberTCPServer server(kAnyPort, [&](Request& request, const Address&, BaseServer&) {
    for (const fiber::Info& info : fiber::list())
      if (info.name.starts_with("request")) names.push_back(info.name);
    request->sendall("!");
  });
  const Serving serving(server);
  const Socket client = greeted_client(server);
  EXPECT_EQ(names, std::vector{"request from " + to_string(client.getsockname())});
}

TEST(AFiberServer, ReportsWhatItsHandlersThrowAndGoesOn) {
  FiberTCPServer server(kAnyPort, [&](Request& request, const Address&, BaseServer&) {
    const Bytes what = request->recv(1);
    if (what == "i") throw 42;
    if (what == "b") throw BaseException();
    throw ValueError("a value");
  });
  testing::internal::CaptureStderr();
  {
    const Serving serving(server);
    for (const std::string what : {"i", "b", "v"}) EXPECT_EQ(ask(server.server_address, what), "");
  }
  const std::string text = testing::internal::GetCapturedStderr();
  EXPECT_THAT(text, HasSubstr("\nint\n"));
  EXPECT_THAT(text, HasSubstr("\nplug::ValueError: a value\n"));
  EXPECT_THAT(text, testing::Not(HasSubstr("BaseException")));
}

TEST(AFiberServer, SurvivesAHandleErrorThatThrows) {
  struct Worse : FiberTCPServer {
    using FiberTCPServer::FiberTCPServer;
    void handle_error(Request&, const Address&) override { throw ValueError("worse"); }
  };
  Server<Worse> server(kAnyPort, [&](Request&, const Address&, BaseServer&) { throw 42; });
  testing::internal::CaptureStderr();
  {
    const Serving serving(server);
    EXPECT_EQ(ask(server.server_address, ""), "");
    EXPECT_EQ(ask(server.server_address, ""), "");
  }
  EXPECT_THAT(testing::internal::GetCapturedStderr(),
              HasSubstr("Exception in the fiber of the request from ('127.0.0.1', "));
}

TEST(AFiberServer, OutlivesClientsThatReset) {
  FiberTCPServer server(kAnyPort, &echo);
  testing::internal::CaptureStderr();
  {
    const Serving serving(server);
    for (int i = 0; i < 20; ++i) {
      Socket client = greeted_client(server);
      const int now[] = {1, 0};
      client.setsockopt(SOL::SOCKET, SO::LINGER,
                        BytesView(static_cast<const void*>(now), sizeof now));
    }
    EXPECT_EQ(ask(server.server_address, "x"), "!x");
  }
  EXPECT_THAT(testing::internal::GetCapturedStderr(), HasSubstr("ConnectionResetError"));
}

TEST(AFiberServer, HasHandlersThatStartFibersOfTheirOwn) {
  FiberTCPServer server(kAnyPort, [](Request& request, const Address&, BaseServer&) {
    std::vector<fiber::Task<Bytes>> parts;
    for (const char* const part : {"a", "b", "c"})
      parts.push_back(fiber::spawn([part] {
        fiber::sleep(0.001);
        return Bytes(part);
      }));
    for (auto& part : parts) request->sendall(part.join());
  });
  const Serving serving(server);
  EXPECT_EQ(ask(server.server_address, ""), "abc");
}

TEST(AFiberServer, HandlesWhatItIsGivenInAFiberOnly) {
  FiberTCPServer server(kAnyPort, &echo);
  std::string text;
  std::thread([&] {
    Request request;
    text = text_of_error<RuntimeError>(
        [&] { server.process_request(request, server.server_address); });
  }).join();
  EXPECT_EQ(text, "process_request: not in a fiber");
}

TEST(AFiberServer, IsDestroyedInAForkedChildWithoutItsFibers) {
  Held held;
  auto server = std::make_unique<FiberTCPServer>(kAnyPort, held.handler());
  auto ended = serve(*server);
  const Socket client = greeted_client(*server);
  EXPECT_EQ(run_in_child([&] {
              server.reset();
              return 7;
            }),
            7);
  server->shutdown();
  held.let_go();
  ended.get();
}

#ifndef PLUG_SANITIZED  // sanitizers need descriptors themselves
TEST(AFiberServer, OutlivesARunOnDescriptors) {
  EXPECT_EQ(outlives_a_run_on_descriptors<FiberTCPServer>(&fiber::yield), 0);
}
#endif

// --- in a fiber ---

TEST(AFiberServerInAFiber, IsOneFiberAmongOthers) {
  in_fiber([] {
    FiberTCPServer server(kAnyPort, &echo);
    server.socket.listen(100);
    auto serving = fiber::spawn("serving", [&] { server.serve_forever(std::nullopt); });
    std::vector<fiber::Task<void>> clients;
    for (int i = 0; i < 20; ++i)
      clients.push_back(
          fiber::spawn([&] { EXPECT_EQ(ask(server.server_address, "text"), "!text"); }));
    for (auto& client : clients) client.join();
    server.shutdown();
    serving.join(10);
  });
}

TEST(AFiberServerInAFiber, LeavesItsHandlersToThemselvesAndWaitsForThemInClosing) {
  in_fiber([] {
    FiberTCPServer server(kAnyPort, &echo);
    auto serving = fiber::spawn([&] { server.serve_forever(std::nullopt); });
    Socket client = greeted_client(server);
    server.shutdown();
    serving.join(10);
    EXPECT_EQ(fibers_of_requests(), 1U);
    auto closing = fiber::spawn([&] { server.server_close(); });
    client.sendall("x");
    EXPECT_EQ(client.recv(1), "x");
    EXPECT_FALSE(closing.done());
    client.close();
    closing.join(10);
    EXPECT_EQ(fibers_of_requests(), 0U);
  });
}

TEST(AFiberServerInAFiber, ReturnsFromOneRequestWhileThatIsBeingHandled) {
  in_fiber([] {
    FiberTCPServer server(kAnyPort, &echo);
    Socket client = client_of(server.server_address);
    server.handle_request();
    EXPECT_EQ(client.recv(1), "!");
    client.close();
    server.server_close();
    EXPECT_EQ(fibers_of_requests(), 0U);
  });
}

TEST(AFiberServerInAFiber, CancelsItsDaemonsWhenItIsDestroyed) {
  in_fiber([] {
    LastWords::cancelled = 0;
    Socket client(AF::INET);
    {
      FiberTCPServer server(kAnyPort, handler<LastWords>);
      server.daemon_threads = true;
      client.connect(server.server_address);
      server.handle_request();
      EXPECT_EQ(client.recv(1), "!");
      server.server_close();
      EXPECT_EQ(fibers_of_requests(), 1U);
    }
    EXPECT_EQ(LastWords::cancelled, 1);
    EXPECT_EQ(client.makefile("rb").read(), "bye");
  });
}

TEST(AFiberServerInAFiber, LeavesACancellationToWhoeverDestroysIt) {
  in_fiber([] {
    auto [teller, told] = socketpair();
    auto destroying = fiber::spawn("destroying", [&told = told] {
      {
        FiberTCPServer server(kAnyPort, [&](Request& request, const Address&, BaseServer&) {
          request->sendall("!");
          EXPECT_THROW(told.recv(1), CancelledError);
          told.recv(1);
        });
        server.daemon_threads = true;
        Socket client = client_of(server.server_address);
        server.handle_request();
        EXPECT_EQ(client.recv(1), "!");
      }
      fiber::sleep(10);
    });
    const auto waits = [] {
      for (const fiber::Info& info : fiber::list())
        if (info.name == "destroying") return info.waits_in == "handlers";
      return false;
    };
    while (!waits()) fiber::yield();
    destroying.cancel();
    fiber::yield();
    EXPECT_FALSE(destroying.done());
    teller.sendall("x");
    EXPECT_THROW(destroying.join(5), CancelledError);
  });
}

TEST(AFiberServerInAFiber, CanBeCancelledAndServeAgain) {
  in_fiber([] {
    FiberTCPServer server(kAnyPort, &echo);
    for (int round = 0; round < 3; ++round) {
      auto serving = fiber::spawn([&] { server.serve_forever(std::nullopt); });
      EXPECT_EQ(ask(server.server_address, "x"), "!x");
      serving.cancel();
      EXPECT_THROW(serving.join(10), CancelledError);
    }
  });
}

TEST(AFiberServerInAFiber, RefusesToShutDownFromTheFiberThatServes) {
  in_fiber([] {
    struct Refusing : FiberTCPServer {
      using FiberTCPServer::FiberTCPServer;
      void service_actions() override {
        text = text_of_error<RuntimeError>([&] { shutdown(); });
        stop_serving();
      }
      std::string text;
    };
    Server<Refusing> server(kAnyPort, &echo);
    server.serve_forever(0.001);
    EXPECT_THAT(server.text, HasSubstr("would wait for itself"));
  });
}

TEST(AServerWithoutFibersInAFiber, DoesNotHoldUpTheOthersWhileItWaits) {
  in_fiber([] {
    TCPServer server(kAnyPort, &echo);
    ThreadingTCPServer threading(kAnyPort, &echo);
    auto serving = fiber::spawn([&] { server.serve_forever(std::nullopt); });
    auto other = fiber::spawn([&] { threading.serve_forever(std::nullopt); });
    for (int i = 0; i < 3; ++i) {
      EXPECT_EQ(ask(server.server_address, "x"), "!x");
      EXPECT_EQ(ask(threading.server_address, "y"), "!y");
    }
    // The handler's thread ends only when its client, in another fiber, closes.
    Socket client = greeted_client(threading);
    server.shutdown();
    threading.shutdown();
    auto closing = fiber::spawn([&] { threading.server_close(); });
    fiber::yield();
    client.close();
    closing.join(10);
    serving.join(10);
    other.join(10);
  });
}

TEST(AGroupInAFiber, DoesNotHoldUpTheOthersWhileItEnds) {
  in_fiber([] {
    ServerGroup<FiberTCPServer> servers(3, kAnyPort, &echo);
    auto serving = fiber::spawn([&] { servers.serve_forever(std::nullopt); });
    // Each of the threads handles some of them.
    std::vector<Socket> clients;
    for (int i = 0; i < 20; ++i) {
      clients.push_back(client_of(servers.server_address()));
      EXPECT_EQ(clients.back().recv(1), "!");
    }
    servers.shutdown();
    EXPECT_FALSE(serving.done());
    for (Socket& client : clients) client.close();
    serving.join(10);
  });
}

TEST(AGroupOfFiberServers, HasASchedulerInEachOfItsThreads) {
  std::mutex mutex;
  std::set<std::thread::id> threads;
  ServerGroup<FiberTCPServer> servers(3, kAnyPort,
                                      [&](Request& request, const Address& from, BaseServer& by) {
                                        {
                                          const std::lock_guard lock(mutex);
                                          threads.insert(std::this_thread::get_id());
                                        }
                                        echo(request, from, by);
                                      });
  auto ended = std::async(std::launch::async, [&] { servers.serve_forever(std::nullopt); });
  const auto count = [&] {
    const std::lock_guard lock(mutex);
    return threads.size();
  };
  for (int asked = 0; asked < 1000 && count() < 3; ++asked)
    EXPECT_EQ(ask(servers.server_address(), "x"), "!x");
  EXPECT_EQ(count(), 3U);
  servers.shutdown();
  ended.get();
}

}  // namespace
}  // namespace plug
