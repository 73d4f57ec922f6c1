// Tests the constructors of servers: named options, the family of an address, and sockets that the
// caller has created.

#include <plug/fiber/server.hpp>
#include <plug/server/group.hpp>
#include <plug/socketserver.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <concepts>
#include <string>
#include <utility>

#include "support/errors.hpp"
#include "support/serving.hpp"
#include "support/sockets.hpp"
#include "support/temporary_directory.hpp"

namespace plug {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

const ServerAddress kAnyPort{"127.0.0.1", 0};

/// Sends each datagram back.
void send_back(Request& request, const Address& client_address, BaseServer&) {
  request->sendto(request.data(), client_address);
}

template <class Server>
class EachServer : public testing::Test {};
using Servers = testing::Types<TCPServer, ThreadingTCPServer, ForkingTCPServer, ThreadPoolTCPServer,
                               FiberTCPServer, UDPServer, ThreadingUDPServer, ForkingUDPServer,
                               ThreadPoolUDPServer, FiberUDPServer>;
TYPED_TEST_SUITE(EachServer, Servers);

TYPED_TEST(EachServer, SetsTheAttributesThatOptionsName) {
  const TypeParam server(kAnyPort, &echo,
                         {.timeout = 2s,
                          .request_queue_size = 5,
                          .allow_reuse_address = false,
                          .allow_reuse_port = true,
                          .max_connections = 6,
                          .max_connections_per_address = 7,
                          .ipv4_prefix_length = 8,
                          .ipv6_prefix_length = 9,
                          .connection_timeout = 10,
                          .connection_lifetime = 11ms});
  EXPECT_EQ(server.timeout, Timeout(2));
  EXPECT_EQ(server.request_queue_size, 5);
  EXPECT_FALSE(server.allow_reuse_address);
  EXPECT_TRUE(server.allow_reuse_port);
  EXPECT_EQ(server.max_connections, 6);
  EXPECT_EQ(server.max_connections_per_address, 7);
  EXPECT_EQ(server.ipv4_prefix_length, 8);
  EXPECT_EQ(server.ipv6_prefix_length, 9);
  EXPECT_EQ(server.connection_timeout, Timeout(10));
  EXPECT_EQ(server.connection_lifetime, Timeout(0.011));
}

TYPED_TEST(EachServer, TakesOptionsBeforeItBinds) {
  const TypeParam server(kAnyPort, &echo, {.allow_reuse_address = false, .allow_reuse_port = true});
  EXPECT_EQ(server.socket.getsockopt(SOL::SOCKET, SO::REUSEADDR), 0);
  EXPECT_EQ(server.socket.getsockopt(SOL::SOCKET, SO::REUSEPORT), 1);
  EXPECT_GT(server.server_address.port(), 0);
}

TYPED_TEST(EachServer, KeepsAttributesThatNoOptionNames) {
  const TypeParam plain(kAnyPort, &echo);
  const TypeParam server(kAnyPort, &echo, {.max_connections = 1});
  EXPECT_EQ(server.timeout, plain.timeout);
  EXPECT_EQ(server.request_queue_size, plain.request_queue_size);
  EXPECT_EQ(server.allow_reuse_address, plain.allow_reuse_address);
  EXPECT_EQ(server.ipv6_prefix_length, plain.ipv6_prefix_length);
}

TYPED_TEST(EachServer, IsOpenedByTheCallerIfAnOptionSaysSo) {
  TypeParam server(kAnyPort, &echo, {.bind_and_activate = false});
  EXPECT_FALSE(server.server_address);
  server.server_bind();
  server.server_activate();
  EXPECT_TRUE(server.server_address);
}

TEST(Options, OfMixInsSetTheirOwnAttributes) {
  const ThreadingTCPServer threads(kAnyPort, &echo,
                                   {.daemon_threads = true, .block_on_close = false});
  EXPECT_TRUE(threads.daemon_threads);
  EXPECT_FALSE(threads.block_on_close);
  const ThreadPoolUDPServer pool(
      kAnyPort, &echo, {.max_workers = 2, .max_queue = 3, .when_full = FullQueue::refuse});
  EXPECT_EQ(pool.max_workers, 2);
  EXPECT_EQ(pool.max_queue, 3);
  EXPECT_EQ(pool.when_full, FullQueue::refuse);
  const ForkingTCPServer forks(kAnyPort, &echo, {.max_children = 2, .block_on_close = false});
  EXPECT_EQ(forks.max_children, 2);
  EXPECT_FALSE(forks.block_on_close);
  const FiberTCPServer fibers(kAnyPort, &echo,
                              {.daemon_threads = true,
                               .block_on_close = false,
                               .defer_until_readable = true,
                               .run_options = fiber::RunOptions{.stack_size = 65536}});
  EXPECT_TRUE(fibers.daemon_threads);
  EXPECT_FALSE(fibers.block_on_close);
  EXPECT_TRUE(fibers.defer_until_readable);
  EXPECT_EQ(fibers.run_options.stack_size, 65536u);
}

TEST(Options, TakeNoneForATimeoutThatHasADefault) {
  EXPECT_EQ(ForkingTCPServer(kAnyPort, &echo, {.max_children = 1}).timeout, Timeout(300));
  EXPECT_EQ(ForkingTCPServer(kAnyPort, &echo, {.timeout = 2}).timeout, Timeout(2));
  EXPECT_TRUE(ForkingTCPServer(kAnyPort, &echo, {.timeout = std::nullopt}).timeout.is_none());
}

TEST(Options, LimitThePacketsOfDatagramServersOnly) {
  UDPServer server(kAnyPort, &send_back, {.max_packet_size = 3});
  {
    const Serving serving(server);
    Socket client = datagram_client(AF::INET);
    client.sendto("abcdef", server.server_address);
    EXPECT_EQ(client.recv(100), "abc");
  }
  EXPECT_EQ(FiberUDPServer(kAnyPort, &send_back, {.max_packet_size = 4}).max_packet_size, 4);
  EXPECT_EQ(text_of_error<ValueError>(
                [] { ThreadingTCPServer(kAnyPort, &echo, {.max_packet_size = 3}); }),
            "max_packet_size: this server receives no datagrams");
}

TEST(Options, ChooseTheFamilyOfTheWildcard) {
  const TCPServer server({"", 0}, &echo, {.address_family = AF::INET6});
  EXPECT_EQ(server.server_address.host(), "::");
}

TEST(Options, OverrideWhatASubclassHasSetAndKeepTheRest) {
  struct Mine : ThreadPoolTCPServer {
    Mine(ServerAddress address, HandlerFactory factory, bool open, std::string text)
        : ThreadPoolTCPServer(std::move(address), std::move(factory), open), name(std::move(text)) {
      request_queue_size = 7;
      max_workers = 8;
    }
    std::string name;
  };
  const Server<Mine> server(kAnyPort, &echo, {.max_workers = 2}, "name");
  EXPECT_EQ(server.max_workers, 2);
  EXPECT_EQ(server.request_queue_size, 7);
  EXPECT_EQ(server.name, "name");
  EXPECT_TRUE(server.server_address);
}

TEST(Options, GoToAServerWhoseClassPassesTheFlagItself) {
  struct Mine : TCPServer {
    Mine(ServerAddress address, HandlerFactory factory, int number)
        : TCPServer(std::move(address), std::move(factory), false), given(number) {}
    int given;
  };
  const Server<Mine> server(kAnyPort, &echo, {.request_queue_size = 2}, 3);
  EXPECT_EQ(server.request_queue_size, 2);
  EXPECT_EQ(server.given, 3);
}

TEST(Options, InAVariableGoToAWrappedServerToo) {
  struct Mine : ThreadingTCPServer {
    using ThreadingTCPServer::ThreadingTCPServer;
  };
  ThreadingOptions options{.daemon_threads = true, .request_queue_size = 3};
  const Server<Mine> server(kAnyPort, &echo, options);
  EXPECT_EQ(server.request_queue_size, 3);
  EXPECT_TRUE(server.daemon_threads);
}

TEST(Options, MayBeASubclassesOwn) {
  struct MyOptions {
    std::string text = "default";
    bool bind_and_activate = true;
  };
  struct Mine : TCPServer {
    using Options = MyOptions;
    using TCPServer::TCPServer;
    std::string text;

   protected:
    void set_attributes(const MyOptions& options) { text = options.text; }
  };
  EXPECT_EQ((Server<Mine>(kAnyPort, &echo, {.text = "mine"})).text, "mine");
  EXPECT_FALSE((Server<Mine>(kAnyPort, &echo, {.bind_and_activate = false})).server_address);
}

TEST(Options, OfAGroupGoToEachWorker) {
  ServerGroup<ThreadPoolTCPServer> servers(3, kAnyPort, &echo,
                                           {.max_workers = 2, .request_queue_size = 3});
  EXPECT_TRUE(servers.server_address());
  for (std::size_t n = 0; n < servers.size(); ++n) {
    EXPECT_EQ(servers[n].max_workers, 2);
    EXPECT_EQ(servers[n].request_queue_size, 3);
  }
}

// --- the family of an address ---

TYPED_TEST(EachServer, TakesTheFamilyOfANumericHost) {
  for (const ServerAddress& address : {ServerAddress("::1", 0), ServerAddress("::1", 0, 0, 0),
                                       ServerAddress(Address::parse("[::1]:0"))}) {
    const TypeParam server(address, &echo);
    EXPECT_EQ(server.address_family, AF::INET6);
    EXPECT_EQ(server.server_address.host(), "::1");
  }
  EXPECT_EQ(TypeParam({"localhost", 0}, &echo).address_family, AF::INET);
  EXPECT_EQ(TypeParam({"", 0}, &echo).server_address.host(), "0.0.0.0");
}

TEST(AnIpv6Server, AnswersItsClients) {
  FiberTCPServer server({"::1", 0}, &echo);
  const Serving serving(server);
  EXPECT_EQ(ask(server.server_address, "x"), "!x");
}

TEST(AGroup, TakesTheFamilyOfANumericHost) {
  const ServerGroup<ThreadingTCPServer> servers(2, {"::1", 0}, &echo);
  EXPECT_EQ(servers.server_address().host(), "::1");
}

// --- sockets made elsewhere ---

Socket bound(SOCK type) {
  Socket socket(AF::INET, type);
  socket.bind({"127.0.0.1", 0});
  return socket;
}

template <class Server>
class EachStreamServer : public testing::Test {};
using StreamServers = testing::Types<TCPServer, ThreadingTCPServer, ForkingTCPServer,
                                     ThreadPoolTCPServer, FiberTCPServer>;
TYPED_TEST_SUITE(EachStreamServer, StreamServers);

TYPED_TEST(EachStreamServer, ServesASocketThatIsBound) {
  Socket socket = bound(SOCK::STREAM);
  const Address address = socket.getsockname();
  const int number = socket.fileno();
  TypeParam server(std::move(socket), &echo);
  EXPECT_EQ(server.fileno(), number);
  EXPECT_EQ(server.server_address, address);
  const Serving serving(server);
  EXPECT_EQ(ask(address, "x"), "!x");
}

TYPED_TEST(EachStreamServer, ServesASocketThatListens) {
  Socket socket = create_server({"127.0.0.1", 0});
  const Address address = socket.getsockname();
  Socket early = client_of(address);
  TypeParam server(std::move(socket), &echo, {.max_connections = 2});
  EXPECT_EQ(server.max_connections, 2);
  const Serving serving(server);
  EXPECT_EQ(early.recv(1), "!");
  early.shutdown(SHUT::RDWR);  // a forked child has this socket too
}

TEST(AGivenSocket, GoesToAWrappedServer) {
  struct Mine : ThreadingTCPServer {
    using ThreadingTCPServer::ThreadingTCPServer;
  };
  Server<Mine> server(create_server({"127.0.0.1", 0}), &echo);
  const Serving serving(server);
  EXPECT_EQ(ask(server.server_address, "x"), "!x");
}

TEST(AGivenSocket, MayBeOfUdpOrUnixOrIpv6) {
  {
    FiberUDPServer server(bound(SOCK::DGRAM), &send_back);
    const Serving serving(server);
    Socket client = datagram_client(AF::INET);
    client.sendto("x", server.server_address);
    EXPECT_EQ(client.recv(100), "x");
  }
  {
    const TemporaryDirectory directory;
    Socket socket(AF::UNIX);
    socket.bind(UnixAddress{directory / "socket"});
    ThreadingUnixStreamServer server(std::move(socket), &echo);
    const Serving serving(server);
    EXPECT_EQ(ask(server.server_address, "x"), "!x");
  }
  const TCPServer server(create_server({"::1", 0}, {.family = AF::INET6}), &echo);
  EXPECT_EQ(server.address_family, AF::INET6);
}

TEST(AGivenSocket, IsReplacedAtItsAddressWhenItIsClosed) {
  TCPServer server(create_server({"127.0.0.1", 0}), &echo);
  const Address address = server.server_address;
  server.server_close();
  server.server_bind();
  server.server_activate();
  EXPECT_EQ(server.server_address, address);
  const Serving serving(server);
  EXPECT_EQ(ask(address, "x"), "!x");
}

TEST(AGivenSocket, IsRefusedUnlessBoundAndOfTheServersKind) {
  const int before = settled_descriptors();
  const auto text = [](auto make) { return text_of_error<ValueError>(make); };
  EXPECT_THAT(text([] { TCPServer(Socket(AF::INET), &echo); }), HasSubstr("is not bound"));
  EXPECT_THAT(text([] { UnixStreamServer(Socket(AF::UNIX), &echo); }), HasSubstr("is not bound"));
  EXPECT_THAT(text([] { ThreadingTCPServer(bound(SOCK::DGRAM), &echo); }),
              HasSubstr("not the kind of socket for this server"));
  EXPECT_THAT(text([] { FiberUDPServer(bound(SOCK::STREAM), &echo); }),
              HasSubstr("not the kind of socket for this server"));
  EXPECT_THAT(text([] { UnixStreamServer(bound(SOCK::STREAM), &echo); }),
              HasSubstr("not the kind of socket for this server"));
  EXPECT_THAT(text([] {
                Socket closed = bound(SOCK::STREAM);
                closed.close();
                TCPServer(std::move(closed), &echo);
              }),
              HasSubstr("is closed"));
  EXPECT_EQ(settled_descriptors(), before);
}

TEST(AGivenSocket, BelongsToTheFirstServer) {
  const ServerAddress given = create_server({"127.0.0.1", 0});
  const TCPServer server(given, &echo);
  EXPECT_THROW(TCPServer(given, &echo), ValueError);
  const ServerAddress other = create_server({"127.0.0.1", 0});
  EXPECT_THROW((ServerGroup<TCPServer>(2, other, &echo)), ValueError);
}

}  // namespace
}  // namespace plug
