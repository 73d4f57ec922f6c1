// Tests several servers on one address.

#include <plug/fiber/server.hpp>
#include <plug/server/group.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <csignal>
#include <future>
#include <mutex>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "support/errors.hpp"
#include "support/process.hpp"
#include "support/serving.hpp"
#include "support/sockets.hpp"
#include "sys/processors.hpp"

namespace plug {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

const ServerAddress kAnyPort{"127.0.0.1", 0};

void echo(Request& request, const Address& from, BaseServer&) {
  if (request.is_datagram()) {
    request->sendto(request.data(), from);
    return;
  }
  for (Bytes data = request->recv(100); !data.empty(); data = request->recv(100))
    request->sendall(data);
}

bool answers(const Address& address) { return ask(address, "x") == "x"; }

/// Runs serve_forever() in a thread, without a limit to its waits.
std::future<void> serve(BaseServerGroup& servers) {
  return std::async(std::launch::async, [&servers] { servers.serve_forever(std::nullopt); });
}

template <class Server>
class AGroup : public testing::Test {};
using Servers = testing::Types<TCPServer, ThreadingTCPServer, ForkingTCPServer, ThreadPoolTCPServer,
                               FiberTCPServer>;
TYPED_TEST_SUITE(AGroup, Servers);

TYPED_TEST(AGroup, ServesAndShutsDownAsOne) {
  const int before = settled_descriptors();
  {
    ServerGroup<TypeParam> servers(3, kAnyPort, &echo);
    EXPECT_EQ(servers.size(), 3U);
    for (std::size_t i = 0; i < 3; ++i) {
      EXPECT_EQ(servers[i].server_address, servers.server_address());
      EXPECT_EQ(servers[i].socket.getsockname(), servers.server_address());
      EXPECT_EQ(servers[i].socket.getsockopt(SOL::SOCKET, SO::REUSEPORT), 1);
    }
    for (int round = 0; round < 3; ++round) {
      auto ended = serve(servers);
      for (int i = 0; i < 10; ++i) EXPECT_TRUE(answers(servers.server_address()));
      servers.shutdown();
      ended.get();
    }
    servers.server_close();
    EXPECT_THROW(client_of(servers.server_address()), ConnectionRefusedError);
  }
  EXPECT_EQ(count_descriptors(), before);
}

TYPED_TEST(AGroup, EndsOnASignal) {
  ServerGroup<TypeParam> servers(3, kAnyPort, &echo);
  auto ended = std::async(std::launch::async, [&] { return servers.serve_until_signal(); });
  EXPECT_TRUE(answers(servers.server_address()));
  std::raise(SIGTERM);
  EXPECT_EQ(ended.get(), SIGTERM);
  EXPECT_THROW(client_of(servers.server_address()), ConnectionRefusedError);
}

TEST(AGroupOfForkingServers, GivesItsAddressBackThoughAHandlerGoesOn) {
  // Waits for a byte and not for the end of the stream, because the child has the client's end too.
  const auto says_and_waits = [](Request& request, const Address&, BaseServer&) {
    request->settimeout(30);
    request->sendall("!");
    request->recv(1);
  };
  ServerGroup<ForkingTCPServer> servers(3, kAnyPort, says_and_waits);
  auto ended = serve(servers);
  Socket client = client_of(servers.server_address());
  EXPECT_EQ(client.recv(1), "!");
  for (std::size_t i = 0; i < servers.size(); ++i) servers[i].block_on_close = false;
  servers.shutdown();
  ended.get();
  servers.server_close();
  EXPECT_THROW(client_of(servers.server_address()), ConnectionRefusedError);
  client.sendall("x");
}

/// Counts its requests in a member variable.
struct Counting : TCPServer {
  using TCPServer::TCPServer;
  bool verify_request(Request& request, const Address& from) override {
    ++requests;
    return TCPServer::verify_request(request, from);
  }
  std::atomic<int> requests{0};
};

TEST(AServerGroup, SpreadsConnectionsOverItsWorkers) {
  ServerGroup<Counting> servers(4, kAnyPort, &echo);
  auto ended = serve(servers);
  int asked = 0;
  const auto all_have_some = [&] {
    for (std::size_t i = 0; i < 4; ++i)
      if (servers[i].requests == 0) return false;
    return true;
  };
  for (; asked < 1000 && !all_have_some(); ++asked) EXPECT_TRUE(answers(servers.server_address()));
  EXPECT_TRUE(all_have_some());
  servers.shutdown();
  ended.get();
  EXPECT_EQ(servers[0].requests + servers[1].requests + servers[2].requests + servers[3].requests,
            asked);
}

TEST(AServerGroup, SpreadsDatagramsOverItsWorkers) {
  std::set<const BaseServer*> workers;
  std::mutex mutex;
  ServerGroup<UDPServer> servers(2, kAnyPort,
                                 [&](Request& request, const Address& from, BaseServer& by) {
                                   const std::lock_guard lock(mutex);
                                   workers.insert(&by);
                                   request->sendto(request.data(), from);
                                 });
  auto ended = serve(servers);
  const auto count = [&] {
    const std::lock_guard lock(mutex);
    return workers.size();
  };
  for (int asked = 0; asked < 1000 && count() < 2; ++asked) {
    Socket client = datagram_client(AF::INET);
    client.sendto("x", servers.server_address());
    EXPECT_EQ(client.recv(10), "x");
  }
  EXPECT_EQ(count(), 2U);
  servers.shutdown();
  ended.get();
}

TEST(AServerGroup, ServesWithASingleWorker) {
  ServerGroup<TCPServer> servers(1, kAnyPort, &echo);
  EXPECT_EQ(servers[0].socket.getsockopt(SOL::SOCKET, SO::REUSEPORT), 0);
  auto ended = serve(servers);
  EXPECT_TRUE(answers(servers.server_address()));
  servers.shutdown();
  ended.get();
}

TEST(AServerGroup, HasAWorkerForEachProcessorUnlessToldHowMany) {
  const ServerGroup<TCPServer> servers(0, kAnyPort, &echo);
  EXPECT_EQ(servers.size(), detail::sys::usable_processors());
  EXPECT_EQ(text_of_error<ValueError>([] { ServerGroup<TCPServer>(-1, kAnyPort, &echo); }),
            "a group of servers needs workers, not -1");
}

TEST(AServerGroup, IsOpenedByItsOwnerOnRequest) {
  struct Greeting : ThreadPoolTCPServer {
    Greeting(ServerAddress address, HandlerFactory factory, bool open, std::string text)
        : ThreadPoolTCPServer(std::move(address), std::move(factory), open),
          greeting(std::move(text)) {}
    std::string greeting;
  };
  ServerGroup<Greeting> servers(2, kAnyPort, &echo, false, "hello");
  EXPECT_FALSE(servers.server_address());
  for (std::size_t i = 0; i < servers.size(); ++i) {
    EXPECT_EQ(servers[i].greeting, "hello");
    servers[i].request_queue_size = 50;
    servers[i].max_workers = 2;
  }
  servers.server_bind();
  EXPECT_THROW(client_of(servers.server_address()), ConnectionRefusedError);
  servers.server_activate();
  auto ended = serve(servers);
  EXPECT_TRUE(answers(servers.server_address()));
  servers.shutdown();
  ended.get();
}

// --- failing ---

TEST(AServerGroup, FailsOnATakenPortAndLeavesNothing) {
  const Socket taken = tcp_listener();
  const int before = settled_descriptors();
  EXPECT_THAT(
      text_of_error<OSError>([&] { ServerGroup<TCPServer>(3, taken.getsockname(), &echo); }),
      StartsWith("[Errno 98] Address already in use: ('127.0.0.1', "));
  EXPECT_EQ(count_descriptors(), before);
}

/// A server that fails the third time it is created: in server_bind(), or in server_activate().
template <bool bind>
struct Third : TCPServer {
  using TCPServer::TCPServer;
  void server_bind() override {
    TCPServer::server_bind();
    bound_to = server_address;
    if (bind && ++made == 3) throw std::runtime_error("the third");
  }
  void server_activate() override {
    if (!bind && ++made == 3) throw std::runtime_error("the third");
    TCPServer::server_activate();
  }
  inline static int made = 0;
  inline static Address bound_to;
};

template <class Server>
class AGroupThatFails : public testing::Test {};
using Failing = testing::Types<Third<true>, Third<false>>;
TYPED_TEST_SUITE(AGroupThatFails, Failing);

TYPED_TEST(AGroupThatFails, HalfWayLeavesNothingOpen) {
  const int before = settled_descriptors();
  TypeParam::made = 0;
  EXPECT_EQ(text_of_error<std::runtime_error>([] { ServerGroup<TypeParam>(4, kAnyPort, &echo); }),
            "the third");
  EXPECT_EQ(count_descriptors(), before);
  EXPECT_THROW(client_of(TypeParam::bound_to), ConnectionRefusedError);
  // The same if the owner calls these functions.
  TypeParam::made = 0;
  ServerGroup<TypeParam> servers(4, kAnyPort, &echo, false);
  EXPECT_THROW(
      {
        servers.server_bind();
        servers.server_activate();
      },
      std::runtime_error);
  for (std::size_t i = 0; i < servers.size(); ++i) EXPECT_EQ(servers[i].fileno(), -1);
}

TEST(AServerGroup, EndsWithWhatOneOfItsWorkersThrows) {
  struct Bad : TCPServer {
    using TCPServer::TCPServer;
    bool verify_request(Request&, const Address&) override { throw std::runtime_error("verify"); }
  };
  ServerGroup<Bad> servers(3, kAnyPort, &echo);
  auto ended = serve(servers);
  Socket client = client_of(servers.server_address());
  EXPECT_EQ(text_of_error<std::runtime_error>([&] { ended.get(); }), "verify");
  EXPECT_EQ(client.recv(1), "");
}

// --- ending ---

TEST(AServerGroup, EndsWhenOneOfItsWorkersDoes) {
  ServerGroup<TCPServer> servers(3, kAnyPort, [](Request& request, const Address&, BaseServer& by) {
    request->sendall("bye");
    by.stop_serving();
  });
  for (int round = 0; round < 3; ++round) {
    auto ended = serve(servers);
    EXPECT_EQ(ask(servers.server_address(), ""), "bye");
    ended.get();
  }
}

TEST(AServerGroup, EndsItsNextServingWhenItIsShutDownBefore) {
  ServerGroup<TCPServer> servers(3, kAnyPort, &echo);
  servers.shutdown();
  servers.serve_forever(std::nullopt);
  auto ended = serve(servers);
  EXPECT_TRUE(answers(servers.server_address()));
  servers.stop_serving();
  ended.get();
}

TEST(AServerGroup, RefusesShutdownFromAServingThread) {
  BaseServerGroup* group = nullptr;
  ServerGroup<TCPServer> servers(3, kAnyPort, [&](Request& request, const Address&, BaseServer&) {
    request->sendall(text_of_error<RuntimeError>([&] { group->shutdown(); }));
  });
  group = &servers;
  auto ended = serve(servers);
  EXPECT_THAT(ask(servers.server_address(), ""), HasSubstr("would wait for itself"));
  EXPECT_THAT(ask(servers.server_address(), ""), HasSubstr("would wait for itself"));
  servers.shutdown();
  ended.get();
}

TEST(AServerGroup, WaitsForTheRequestsOfAllItsWorkersWhenItCloses) {
  std::atomic<int> handled{0};
  ServerGroup<ThreadingTCPServer> servers(
      3, kAnyPort, [&](Request& request, const Address& from, BaseServer& by) {
        request->sendall("!");
        echo(request, from, by);
        ++handled;
      });
  auto ended = serve(servers);
  std::vector<Socket> clients;
  for (int i = 0; i < 20; ++i) {
    clients.push_back(client_of(servers.server_address()));
    EXPECT_EQ(clients.back().recv(1), "!");
  }
  servers.shutdown();
  ended.get();
  EXPECT_EQ(handled, 0);
  for (Socket& client : clients) client.shutdown(SHUT::WR);
  servers.server_close();
  EXPECT_EQ(handled, 20);
}

}  // namespace
}  // namespace plug
