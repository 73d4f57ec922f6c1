// Tests that servers lose no clients, no datagrams and no answers.

#include <plug/fiber.hpp>
#include <plug/fiber/group.hpp>
#include <plug/fiber/server.hpp>
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

// --- clients in the queue ---

/// Fails once, after its first request.
struct FailingOnce : FiberTCPServer {
  using FiberTCPServer::FiberTCPServer;
  void service_actions() override {
    if (!std::exchange(failed, true)) throw ValueError("once");
  }
  bool failed = false;
};

/// Returns a client with a short timeout.
Socket hasty_client(const BaseServer& server) {
  Socket client = client_of(server.server_address);
  client.settimeout(10);
  return client;
}

TEST(AClientInTheQueue, IsHandledWhenServingGoesOnAfterAnException) {
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

TEST(AClientInTheQueue, IsTheOneOfHandleRequest) {
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

// --- datagrams ---

TEST(ADatagramServer, HandlesARequestAfterItHasBeenEndedByASignal) {
  UDPServer server(kAnyPort, [](Request& request, const Address& from, BaseServer&) {
    request->sendto(request.data(), from);
  });
  auto ended = std::async(std::launch::async, [&] { return server.serve_until_signal(); });
  Socket client = datagram_client(AF::INET);
  client.settimeout(10);
  client.sendto("before", server.server_address);
  EXPECT_EQ(client.recv(10), "before");
  std::raise(SIGTERM);
  EXPECT_EQ(ended.get(), SIGTERM);
  server.timeout = 10;
  for (const std::string text : {"one", "two"}) {
    client.sendto(text, server.server_address);
    server.handle_request();
    EXPECT_EQ(client.recv(10), text);
  }
}

template <class T>
class AUnixDatagramServer : public testing::Test {};
using UnixDatagramServers =
    testing::Types<UnixDatagramServer, ThreadingUnixDatagramServer, FiberUnixDatagramServer>;
TYPED_TEST_SUITE(AUnixDatagramServer, UnixDatagramServers);

TYPED_TEST(AUnixDatagramServer, LosesNoAnswerWhenItsClientReadsLate) {
  constexpr int kAnswers = 40;
  const TemporaryDirectory directory;
  std::atomic<int> sent{0};
  TypeParam server(UnixAddress{directory.path() + "/server"},
                   [&](Request& request, const Address& from, BaseServer&) {
                     for (int i = 0; i < kAnswers; ++i, ++sent)
                       request->sendto(std::to_string(i), from);
                   });
  const Serving serving(server);
  Socket client(AF::UNIX, SOCK::DGRAM);
  client.settimeout(10);
  client.bind(UnixAddress{directory.path() + "/client"});
  client.sendto("all", server.server_address);
  // Wait until the client's queue is full: `sent` then stays the same for a while.
  for (int before = -1; before != sent || sent == 0;) {
    before = sent;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  for (int i = 0; i < kAnswers; ++i) ASSERT_EQ(client.recv(10), std::to_string(i));
}

TEST(AHandlerOfADatagram, WaitsForTheNextOneOnTheServersSocket) {
  std::atomic<bool> begun{false};
  UDPServer server(kAnyPort, [&](Request& request, const Address& from, BaseServer&) {
    begun = true;
    request->sendto(request.data() + request->recv(10), from);
  });
  const Serving serving(server);
  Socket client = datagram_client(AF::INET);
  client.settimeout(10);
  client.sendto("one ", server.server_address);
  while (!begun) std::this_thread::yield();
  client.sendto("two", server.server_address);
  EXPECT_EQ(client.recv(10), "one two");
}

TEST(ADatagramServer, LeavesTheModeOfItsSocketAsItIs) {
  int flags = -1;
  UDPServer server(kAnyPort, [&](Request& request, const Address& from, BaseServer&) {
    flags = fcntl(request->fileno(), F_GETFL);
    request->sendto("seen", from);
  });
  const Serving serving(server);
  Socket client = datagram_client(AF::INET);
  client.sendto("x", server.server_address);
  EXPECT_EQ(client.recv(10), "seen");
  EXPECT_EQ(flags & O_NONBLOCK, 0);
}

TEST(AUnixReceiverWithoutRoom, GetsEachDatagramWholeOnceThereIsSome) {
  constexpr int kDatagrams = 40;
  in_fiber([] {
    for (const int way : {0, 1, 2, 3}) {
      const bool as_message = way % 2 != 0;
      auto [sender, receiver] = socketpair(AF::UNIX, SOCK::DGRAM);
      if (way < 2) sender.settimeout(10);
      receiver.settimeout(10);
      auto sending = fiber::spawn([&, &sender = sender] {
        for (int i = 0; i < kDatagrams; ++i) {
          const std::string text = std::to_string(i);
          if (as_message)
            sender.sendmsg({BytesView(text)});
          else
            sender.sendall(text);
        }
      });
      fiber::sleep(0.02);  // the receiver's queue is full by now
      for (int i = 0; i < kDatagrams; ++i) EXPECT_EQ(receiver.recv(10), std::to_string(i));
      sending.join(10);
    }
  });
}

// --- opening ---

TEST(AServerThatListens, LetsAsManyClientsWaitAsTheSystemAllows) {
  const TCPServer server(kAnyPort, &echo);
  std::vector<Socket> clients;
  for (int i = 0; i < 100; ++i) {
    clients.emplace_back(AF::INET);
    clients.back().settimeout(10);
    ASSERT_NO_THROW(clients.back().connect(server.server_address)) << i;
  }
}

TEST(AServerThatListens, BeginsAgainWhileConnectionsOfTheLastOneLinger) {
  Address address;
  {
    TCPServer server(kAnyPort, [](Request&, const Address&, BaseServer&) {});
    address = server.server_address;
    Socket client = client_of(address);
    server.handle_request();
    // The server closes its end first.
    EXPECT_EQ(client.recv(1), "");
  }
  EXPECT_NO_THROW(TCPServer(address, &echo));
}

TEST(AServer, ReusesAddressesOfTcpAlone) {
  const TemporaryDirectory directory;
  const TCPServer tcp(kAnyPort, &echo);
  const UDPServer udp(kAnyPort, &echo);
  const UnixStreamServer local(UnixAddress{directory / "x"}, &echo);
  EXPECT_TRUE(tcp.allow_reuse_address);
  EXPECT_EQ(tcp.socket.getsockopt(SOL::SOCKET, SO::REUSEADDR), 1);
  EXPECT_FALSE(udp.allow_reuse_address);
  EXPECT_EQ(udp.socket.getsockopt(SOL::SOCKET, SO::REUSEADDR), 0);
  EXPECT_FALSE(local.allow_reuse_address);
}

TEST(AServer, ReusesPortsWhereThereAreSome) {
  const TemporaryDirectory directory;
  UnixStreamServer local(UnixAddress{directory / "x"}, &echo, false);
  local.allow_reuse_port = true;
  EXPECT_NO_THROW(local.server_bind());
  EXPECT_EQ(local.socket.getsockopt(SOL::SOCKET, SO::REUSEPORT), 0);
}

// --- many clients at once ---

struct EchoOfLines : StreamRequestHandler {
  void handle() override {
    for (Bytes& line : rfile) wfile.write(line);
  }
};

TEST(AFiberServer, AnswersAThousandClientsThatComeAtOnce) {
  for (const int clients : {200, 1000}) {
    FiberTCPServer server(kAnyPort, handler<EchoOfLines>);
    const Serving serving(server);
    int answered = 0;
    in_fiber([&] {
      fiber::TaskGroup group;
      for (int i = 0; i < clients; ++i)
        group.spawn([&] {
          Socket client = client_of(server.server_address);
          client.sendall("hello\n");
          answered += client.recv(10) == "hello\n";
        });
      group.wait();
    });
    EXPECT_EQ(answered, clients);
  }
}

}  // namespace
}  // namespace plug
