// Servers that lose nobody: clients that have been accepted, datagrams, answers.

#include <plug/fiber.hpp>
#include <plug/fiber_group.hpp>
#include <plug/fiber_server.hpp>
#include <plug/plug.hpp>

#include <gtest/gtest.h>

#include <fcntl.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <future>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "support/fibers.hpp"
#include "support/serving.hpp"
#include "support/sockets.hpp"
#include "support/temporary_directory.hpp"

namespace plug {
namespace {

const ServerAddress kAnyPort{"127.0.0.1", 0};

// --- clients that have been accepted ahead ---

/// Accepts a client ahead while it handles another one, and then fails once.
struct FailingOnce : FiberTCPServer {
  using FiberTCPServer::FiberTCPServer;
  void service_actions() override {
    if (!std::exchange(failed, true)) throw ValueError("once");
  }
  bool failed = false;
};

/// A client that gives up soon.
Socket hasty_client(const BaseServer& server) {
  Socket client = client_of(server.server_address);
  client.settimeout(10);
  return client;
}

TEST(AClientThatIsAcceptedAhead, IsHandledWhenServingGoesOnAfterAnException) {
  in_fiber([] {
    Server<FailingOnce> server(kAnyPort, &echo);
    Socket first = hasty_client(server);
    Socket second = hasty_client(server);
    EXPECT_THROW(server.serve_forever(), ValueError);
    auto serving = fiber::spawn([&] { server.serve_forever(std::nullopt); });
    EXPECT_EQ(first.recv(1), "!");
    EXPECT_EQ(second.recv(1), "!");
    first.close();
    second.close();
    server.shutdown();
    serving.join(10);
  });
}

TEST(AClientThatIsAcceptedAhead, IsTheOneOfHandleRequest) {
  in_fiber([] {
    Server<FailingOnce> server(kAnyPort, &echo);
    Socket first = hasty_client(server);
    Socket second = hasty_client(server);
    EXPECT_THROW(server.serve_forever(), ValueError);
    server.timeout = 10;
    server.handle_request();
    EXPECT_EQ(second.recv(1), "!");
    first.close();
    second.close();
  });
}

TEST(AClientThatIsAcceptedAhead, IsClosedWithTheServer) {
  in_fiber([] {
    Server<FailingOnce> server(kAnyPort, &echo);
    Socket first = hasty_client(server);
    Socket second = hasty_client(server);
    EXPECT_THROW(server.serve_forever(), ValueError);
    first.shutdown(SHUT::WR);
    server.server_close();
    EXPECT_EQ(second.recv(1), "");
  });
}

}  // namespace
}  // namespace plug
