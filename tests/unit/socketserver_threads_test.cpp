// Tests servers with a thread for each request: closing, ending, and releasing resources.

#include <plug/socketserver.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <future>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include "support/errors.hpp"
#include "support/exhaustion.hpp"
#include "support/gate.hpp"
#include "support/process.hpp"
#include "support/serving.hpp"
#include "support/sockets.hpp"

namespace plug {
namespace {

using testing::HasSubstr;

const ServerAddress kAnyPort{"127.0.0.1", 0};

/// Reduces the number of rounds under a sanitizer, which slows everything down.
constexpr int rounds(int count) {
#if defined(__SANITIZE_THREAD__)
  return count / 10;
#elif defined(__SANITIZE_ADDRESS__)
  return count / 4;
#else
  return count;
#endif
}

struct Echo : StreamRequestHandler {
  void handle() override {
    for (Bytes& line : rfile) wfile.write(line);
  }
};

/// A server whose threads use its members and call its hooks until they end.
class Counting : public ThreadingTCPServer {
 public:
  Counting(ServerAddress address, HandlerFactory factory, bool open, std::vector<std::string>& out)
      : ThreadingTCPServer(std::move(address), std::move(factory), open), out_(out) {}
  ~Counting() override {
    for (const auto& [name, count] : counts_) out_.push_back(name + std::to_string(count));
  }

  void count(const std::string& name) {
    const std::lock_guard lock(mutex_);
    ++counts_[name];
  }
  void server_bind() override {
    count("bind");
    ThreadingTCPServer::server_bind();
  }
  void shutdown_request(Request& request) override {
    count("shutdown");
    ThreadingTCPServer::shutdown_request(request);
  }
  void server_close() override {
    count("close");
    ThreadingTCPServer::server_close();
    count("closed");
  }

 private:
  std::vector<std::string>& out_;
  std::mutex mutex_;
  std::map<std::string, int> counts_;
};

struct CountUntilTheEnd : BaseRequestHandler {
  void handle() override {
    request->sendall("!");
    auto& counting = server_as<Counting>();
    while (!request->recv(1).empty()) counting.count("byte");
    for (int i = 0; i < 1000; ++i) counting.count("late");
  }
};

TEST(AThreadingServer, IsWholeUntilItsThreadsHaveEnded) {
  std::vector<std::string> counted;
  std::vector<Socket> clients;
  {
    Server<Counting> server(kAnyPort, handler<CountUntilTheEnd>, true, counted);
    const Serving serving(server);
    for (int i = 0; i < 8; ++i) {
      clients.push_back(client_of(server.server_address));
      EXPECT_EQ(clients.back().recv(1), "!");
      clients.back().sendall("x");
      clients.back().shutdown(SHUT::WR);
    }
  }
  EXPECT_THAT(counted,
              testing::ElementsAre("bind1", "byte8", "close1", "closed1", "late8000", "shutdown8"));
}

TEST(AThreadingServer, ServesSeveralClientsAtOnce) {
  Gate gate;
  ThreadingTCPServer server(kAnyPort, [&](Request& request, const Address&, BaseServer&) {
    gate.wait();
    request->sendall("done");
  });
  const Serving serving(server);
  Socket first = client_of(server.server_address);
  Socket second = client_of(server.server_address);
  gate.wait_for(2);
  gate.open();
  EXPECT_EQ(first.recv(10), "done");
  EXPECT_EQ(second.recv(10), "done");
}

TEST(AThreadingServer, WaitsForItsThreadsWhenItCloses) {
  Gate gate;
  std::atomic<bool> ended{false};
  ThreadingTCPServer server(kAnyPort, [&](Request&, const Address&, BaseServer&) {
    gate.wait();
    ended = true;
  });
  const Socket client = client_of(server.server_address);
  server.handle_request();
  gate.wait_for(1);
  auto closed = std::async(std::launch::async, [&] { server.server_close(); });
  EXPECT_EQ(closed.wait_for(std::chrono::milliseconds(20)), std::future_status::timeout);
  gate.open();
  closed.get();
  EXPECT_TRUE(ended);
}

TEST(AThreadingServer, DoesNotWaitInClosingForDaemonThreadsAndThoseNotBlockedOn) {
  for (const bool daemon : {true, false}) {
    Gate gate;
    std::atomic<int> ended{0};
    ThreadingTCPServer server(kAnyPort, [&](Request&, const Address&, BaseServer&) {
      gate.wait();
      ++ended;
    });
    server.daemon_threads = daemon;
    server.block_on_close = daemon;
    const Socket client = client_of(server.server_address);
    server.handle_request();
    gate.wait_for(1);
    server.server_close();
    EXPECT_EQ(ended, 0);
    gate.open();
  }
}

template <class Server>
class AHandlerThatNeverReturns : public testing::Test {};
using Apart = testing::Types<ThreadingTCPServer, ThreadPoolTCPServer, ForkingTCPServer>;
TYPED_TEST_SUITE(AHandlerThatNeverReturns, Apart);

TYPED_TEST(AHandlerThatNeverReturns, HoldsUpNeitherTheServingNorItsEnd) {
  const int status = run_in_child([] {
    TypeParam server(kAnyPort, [](Request& request, const Address&, BaseServer&) {
      request->sendall("!");
      for (;;) pause();
    });
    if constexpr (requires { server.daemon_threads; }) server.daemon_threads = true;
    if constexpr (std::is_same_v<TypeParam, ForkingTCPServer>) server.block_on_close = false;
    {
      const Serving serving(server, std::nullopt);
      Socket first = client_of(server.server_address);
      Socket second = client_of(server.server_address);
      if (first.recv(1) != "!" || second.recv(1) != "!") return 1;
    }
    // A pool would wait for its workers.
    if constexpr (!std::is_same_v<TypeParam, ThreadPoolTCPServer>) server.server_close();
    if constexpr (std::is_same_v<TypeParam, ForkingTCPServer>)
      for (const int child : server.active_children) kill(child, SIGKILL);
    std::_Exit(7);
  });
  EXPECT_EQ(status, 7);
}

/// Passes requests on that it has made itself.
struct Wrapping : ThreadingTCPServer {
  using ThreadingTCPServer::ThreadingTCPServer;
  void process_request(Request& request, const Address& from) override {
    Request own(std::move(request.socket()));
    ThreadingTCPServer::process_request(own, from);
  }
};

template <class Type>
class AServerWithDaemonThreads : public testing::Test {};
using WithDaemonThreads = testing::Types<ThreadingTCPServer, Wrapping>;
TYPED_TEST_SUITE(AServerWithDaemonThreads, WithDaemonThreads);

TYPED_TEST(AServerWithDaemonThreads, EndsTheirConnectionsBeforeItIsDestroyed) {
  std::string got = "nothing";
  std::promise<void> begun;
  Socket client(AF::INET);
  {
    Server<TypeParam> server(kAnyPort, [&](Request& request, const Address&, BaseServer&) {
      begun.set_value();
      got = request->recv(1);
    });
    server.daemon_threads = true;
    client.connect(server.server_address);
    server.handle_request();
    begun.get_future().wait();
    server.server_close();
  }
  EXPECT_EQ(got, "");
}

TEST(AThreadingServer, ThatIsClosedByOneOfItsThreadsSaysSo) {
  ThreadingTCPServer server(kAnyPort, [&](Request& request, const Address&, BaseServer& by) {
    request->sendall(text_of_error<RuntimeError>([&] { by.server_close(); }));
  });
  Socket client = client_of(server.server_address);
  server.handle_request();
  EXPECT_EQ(client.makefile("rb").read(), "cannot join current thread");
}

TEST(AThreadingServer, ReportsWhatItsHandlersThrowAndGoesOn) {
  ThreadingTCPServer server(kAnyPort, [&](Request& request, const Address&, BaseServer&) {
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

TEST(AThreadingServer, SurvivesAHandleErrorThatThrows) {
  struct Worse : ThreadingTCPServer {
    using ThreadingTCPServer::ThreadingTCPServer;
    void handle_error(Request&, const Address&) override { throw ValueError("worse"); }
  };
  Server<Worse> server(kAnyPort, [&](Request&, const Address&, BaseServer&) { throw 42; });
  testing::internal::CaptureStderr();
  {
    const Serving serving(server);
    EXPECT_EQ(ask(server.server_address, ""), "");
    EXPECT_EQ(ask(server.server_address, ""), "");
  }
  server.server_close();  // joins the threads, whose last action is the report
  EXPECT_THAT(testing::internal::GetCapturedStderr(),
              HasSubstr("Exception in the thread of the request from ('127.0.0.1', "));
}

TEST(AThreadingServer, GivesBackThreadsAndDescriptors) {
  const int before = settled_descriptors();
  {
    ThreadingTCPServer server(kAnyPort, handler<Echo>);
    const Serving serving(server);
    for (int i = 0; i < rounds(2000); ++i) EXPECT_EQ(ask(server.server_address, "x\n"), "x\n");
    // The server releases the resources of ended threads while it serves, not only when it closes.
    EXPECT_LT(count_descriptors(), before + 20);
  }
  EXPECT_EQ(count_descriptors(), before);
}

TEST(AThreadingServer, StartsAndEndsWhileClientsArrive) {
  const int before = settled_descriptors();
  std::mutex mutex;
  std::optional<Address> address;
  std::vector<std::jthread> clients;
  for (int i = 0; i < 2; ++i)
    clients.emplace_back([&](const std::stop_token& over) {
      while (!over.stop_requested()) {
        std::optional<Address> now;
        {
          const std::lock_guard lock(mutex);
          now = address;
        }
        if (!now) continue;
        Socket client(AF::INET);
        client.settimeout(30);
        std::error_code ended;  // the server may end at any time
        client.connect(*now, ended);
        if (!ended) client.sendall("x\n", ended);
        if (!ended) client.recv(10, ended);
      }
    });
  for (int i = 0; i < rounds(1000); ++i) {
    ThreadingTCPServer server(kAnyPort, handler<Echo>, false);
    server.allow_reuse_address = true;
    server.server_bind();
    server.server_activate();
    const Serving serving(server);
    const std::lock_guard lock(mutex);
    address = server.server_address;
  }
  clients.clear();
  EXPECT_EQ(count_descriptors(), before);
}

#ifndef PLUG_SANITIZED  // sanitizers need descriptors themselves
TEST(AThreadingServer, OutlivesARunOnDescriptors) {
  EXPECT_EQ(outlives_a_run_on_descriptors<ThreadingTCPServer>(&std::this_thread::yield), 0);
}
#endif

}  // namespace
}  // namespace plug
