// Tests servers with a process for each request.

#include <plug/fiber.hpp>
#include <plug/socketserver.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <vector>

#include "support/errors.hpp"
#include "support/fibers.hpp"
#include "support/process.hpp"
#include "support/serving.hpp"
#include "support/sockets.hpp"

namespace plug {
namespace {

using testing::HasSubstr;

const ServerAddress kAnyPort{"127.0.0.1", 0};

/// Returns true if this process has a child process, even one that has ended.
bool has_children() {
  siginfo_t ended{};
  return waitid(P_ALL, 0, &ended, WEXITED | WNOHANG | WNOWAIT) == 0 || errno != ECHILD;
}

struct WhoAmI : BaseRequestHandler {
  void handle() override { request->sendall(std::to_string(getpid())); }
};

TEST(AForkingServer, HandlesEachRequestInAProcessOfItsOwn) {
  ForkingTCPServer server(kAnyPort, handler<WhoAmI>);
  const Serving serving(server);
  const std::string first = ask(server.server_address, "");
  const std::string second = ask(server.server_address, "");
  EXPECT_NE(first, std::to_string(getpid()));
  EXPECT_NE(first, second);
}

TEST(AForkingServer, HasPythonsDefaults) {
  const ForkingTCPServer server(kAnyPort, handler<WhoAmI>);
  EXPECT_EQ(server.timeout, Timeout(300));
  EXPECT_EQ(server.max_children, 40);
  EXPECT_TRUE(server.block_on_close);
}

TEST(AForkingServer, LeavesNoZombieOfAThousandRequests) {
  const int before = settled_descriptors();
  {
    ForkingTCPServer server(kAnyPort, handler<WhoAmI>);
    {
      const Serving serving(server);
      for (int i = 0; i < 1000; ++i) EXPECT_NE(ask(server.server_address, ""), "");
    }
    EXPECT_LT(server.active_children.size(), 41U);
    server.server_close();
    EXPECT_TRUE(server.active_children.empty());
    EXPECT_FALSE(has_children());
  }
  EXPECT_EQ(count_descriptors(), before);
}

/// A handler that sends "!" and waits for the end of the stream. A client must call shutdown():
/// close() alone does not end the stream, because the children have copies of this process's
/// descriptors.
struct Waiting : BaseRequestHandler {
  void handle() override {
    request->sendall("!");
    while (!request->recv(1).empty()) {
    }
  }
};

/// Serves six clients in turn. Each connects as soon as the one before has an answer.
void expect_all_served(BaseServer& server) {
  for (int i = 0; i < 6; ++i) {
    Socket client = client_of(server.server_address);
    client.settimeout(10);
    std::error_code error;
    EXPECT_NE(client.recv(20, error), "") << i << ": " << error.message();
    // The stream ends before the child does.
    EXPECT_EQ(client.recv(1, error), "") << i;
  }
}

TEST(AForkingServer, CountsNoChildThatIsDoneForTheLimits) {
  for (const bool per_address : {true, false}) {
    ForkingTCPServer server(kAnyPort, handler<WhoAmI>);
    (per_address ? server.max_connections_per_address : server.max_connections) = 1;
    const Serving serving(server, std::nullopt);
    expect_all_served(server);
  }
}

TEST(AForkingServer, CountsNoChildThatIsDoneWhereItServesInAFiber) {
  for (const bool per_address : {true, false}) {
    in_fiber([&] {
      ForkingTCPServer server(kAnyPort, handler<WhoAmI>);
      (per_address ? server.max_connections_per_address : server.max_connections) = 1;
      auto serving = fiber::spawn([&] { server.serve_forever(std::nullopt); });
      expect_all_served(server);
      server.shutdown();
      serving.join(10);
    });
  }
}

TEST(AForkingServer, CountsNoChildThatIsKilled) {
  ForkingTCPServer server(kAnyPort, [](Request& request, const Address&, BaseServer&) {
    request->sendall("x");
    kill(getpid(), SIGKILL);
  });
  server.max_connections = 1;
  const Serving serving(server, std::nullopt);
  std::vector<Socket> clients;
  for (int i = 0; i < 6; ++i) clients.push_back(client_of(server.server_address));
  for (Socket& client : clients) {
    client.settimeout(10);
    std::error_code error;
    EXPECT_EQ(client.recv(20, error), "x") << error.message();
  }
}

TEST(AForkingServer, ReapsAChildWhenItEnds) {
  ForkingTCPServer server(kAnyPort, handler<WhoAmI>);
  const Serving serving(server, std::nullopt);
  ask(server.server_address, "");
  for (int i = 0; i < 1000 && has_children(); ++i) usleep(10'000);
  EXPECT_FALSE(has_children());
}

TEST(AForkingServer, WaitsForAChildWhenThereAreTooMany) {
  ForkingTCPServer server(kAnyPort, handler<Waiting>);
  server.max_children = 2;
  const Serving serving(server);
  Socket first = client_of(server.server_address);
  Socket second = client_of(server.server_address);
  Socket third = client_of(server.server_address);
  EXPECT_EQ(first.recv(1), "!");
  EXPECT_EQ(second.recv(1), "!");
  third.settimeout(0.05);
  EXPECT_THROW(third.recv(1), TimeoutError);
  first.shutdown(SHUT::WR);
  third.settimeout(20);
  EXPECT_EQ(third.recv(1), "!");
  second.shutdown(SHUT::WR);
  third.shutdown(SHUT::WR);
}

TEST(AForkingServer, EndsAtShutdownWhileItWaitsForAChild) {
  ForkingTCPServer server(kAnyPort, handler<Waiting>);
  server.max_children = 1;
  Socket client = client_of(server.server_address);
  {
    const Serving serving(server);
    EXPECT_EQ(client.recv(1), "!");
  }
  EXPECT_EQ(server.active_children.size(), 1U);
  client.shutdown(SHUT::WR);
}

TEST(AForkingServer, WaitsForItsChildrenWhenItClosesUnlessToldNotTo) {
  ForkingTCPServer server(kAnyPort, handler<Waiting>);
  server.block_on_close = false;
  Socket client = client_of(server.server_address);
  server.handle_request();
  EXPECT_EQ(client.recv(1), "!");
  server.server_close();
  EXPECT_EQ(server.active_children.size(), 1U);
  server.block_on_close = true;
  client.shutdown(SHUT::WR);
  server.server_close();
  EXPECT_TRUE(server.active_children.empty());
  EXPECT_FALSE(has_children());
}

TEST(AForkingServer, ReapsOnlyItsOwnChildren) {
  const pid_t other = fork();
  if (other == 0) _exit(7);
  siginfo_t ended{};
  ASSERT_EQ(waitid(P_PID, static_cast<id_t>(other), &ended, WEXITED | WNOWAIT), 0);
  {
    ForkingTCPServer server(kAnyPort, handler<WhoAmI>);
    server.max_children = 1;
    const Serving serving(server);
    for (int i = 0; i < 5; ++i) ask(server.server_address, "");
  }
  int status = 0;
  EXPECT_EQ(waitpid(other, &status, 0), other);
  EXPECT_EQ(WEXITSTATUS(status), 7);
}

TEST(AForkingServer, TellsByTheStatusWhetherHandlingThrew) {
  for (const std::string what : {"fine", "value", "int", "base"}) {
    ForkingTCPServer server(kAnyPort, [&](Request&, const Address&, BaseServer&) {
      if (what == "value") throw ValueError("in the child");
      if (what == "int") throw 42;
      if (what == "base") throw BaseException();
    });
    Socket client = client_of(server.server_address);
    testing::internal::CaptureStderr();
    server.handle_request();
    ASSERT_EQ(server.active_children.size(), 1U);
    int status = 0;
    ASSERT_EQ(waitpid(server.active_children[0], &status, 0), server.active_children[0]);
    EXPECT_EQ(status, W_EXITCODE(what == "fine" ? 0 : 1, 0)) << what;
    EXPECT_EQ(client.recv(1), "");
    const std::string text = testing::internal::GetCapturedStderr();
    EXPECT_EQ(text.empty(), what == "fine" || what == "base") << text;
    if (what == "value") {
      EXPECT_THAT(text, HasSubstr("\nplug::ValueError: in the child\n"));
    }
    // This process has reaped the child already; the server accepts that.
    server.server_close();
    EXPECT_TRUE(server.active_children.empty());
  }
}

TEST(AForkingServer, ClosesTheListenerInTheChild) {
  Address address;
  Socket client(AF::INET);
  {
    ForkingTCPServer server(kAnyPort, handler<Waiting>);
    server.block_on_close = false;
    address = server.server_address;
    client.connect(address);
    server.handle_request();
    EXPECT_EQ(client.recv(1), "!");
  }
  EXPECT_THROW(client_of(address), ConnectionRefusedError);
  client.shutdown(SHUT::WR);
  while (waitpid(-1, nullptr, 0) > 0) {
  }
}

TEST(AForkingServer, RefusesShutdownInTheChild) {
  ForkingTCPServer server(kAnyPort, [](Request& request, const Address&, BaseServer& by) {
    by.stop_serving();
    request->sendall(text_of_error<RuntimeError>([&] { by.shutdown(); }));
  });
  const Serving serving(server);
  EXPECT_THAT(ask(server.server_address, ""), HasSubstr("a child process"));
  EXPECT_THAT(ask(server.server_address, ""), HasSubstr("a child process"));
}

}  // namespace
}  // namespace plug
