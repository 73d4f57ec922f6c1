// Tests the features of servers that Python lacks: a pool of workers, and limits on connections.

#include <plug/fiber/server.hpp>
#include <plug/socketserver.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <type_traits>
#include <vector>

#include "support/drip.hpp"
#include "support/errors.hpp"
#include "support/process.hpp"
#include "support/serving.hpp"
#include "support/sockets.hpp"

namespace plug {
namespace {

const ServerAddress kAnyPort{"127.0.0.1", 0};

/// Returns true if the server closes the connection without an answer, within the client's timeout.
bool is_refused(Socket& client) {
  std::error_code error;
  return client.recv(1, error).empty() && (!error || error.value() == ECONNRESET);
}

/// Returns true if the server sends nothing for a while.
bool is_waiting(Socket& client) {
  client.settimeout(0.05);
  std::error_code error;
  client.recv(1, error);
  client.settimeout(30);
  return error == timed_out();
}

// --- the pool ---

TEST(AThreadPoolServer, HandlesRequestsInNoMoreThreadsThanItMay) {
  std::mutex mutex;
  std::set<std::thread::id> threads;
  std::atomic<int> begun{0};
  ThreadPoolTCPServer server(kAnyPort, [&](Request& request, const Address&, BaseServer&) {
    for (++begun; begun < 3;) std::this_thread::yield();  // three of them at the same time
    const Bytes data = request->recv(100);
    request->sendall(data);
    const std::lock_guard lock(mutex);
    threads.insert(std::this_thread::get_id());
  });
  server.max_workers = 3;
  server.socket.listen(100);
  {
    const Serving serving(server);
    std::vector<Socket> clients;
    for (int i = 0; i < 50; ++i) clients.push_back(client_of(server.server_address));
    for (Socket& client : clients) client.sendall("x");
    for (Socket& client : clients) EXPECT_EQ(client.recv(10), "x");
  }
  server.server_close();
  EXPECT_EQ(threads.size(), 3U);
}

TEST(AThreadPoolServer, StartsNoWorkerThatItDoesNotNeed) {
  std::mutex mutex;
  std::set<std::thread::id> threads;
  ThreadPoolTCPServer server(kAnyPort, [&](Request&, const Address&, BaseServer&) {
    const std::lock_guard lock(mutex);
    threads.insert(std::this_thread::get_id());
  });
  server.max_workers = 1000;
  for (int i = 0; i < 3; ++i) {
    Socket client = client_of(server.server_address);
    server.handle_request();
    EXPECT_EQ(client.recv(1), "");
  }
  server.server_close();
  EXPECT_LE(threads.size(), 3U);
}

TEST(AThreadPoolServer, AnswersDatagrams) {
  ThreadPoolUDPServer server(kAnyPort, [&](Request& request, const Address& from, BaseServer&) {
    request->sendto(request.data(), from);
  });
  const Serving serving(server);
  Socket client = datagram_client(AF::INET);
  for (int i = 0; i < 20; ++i) {
    client.sendto(std::to_string(i), server.server_address);
    EXPECT_EQ(client.recv(10), std::to_string(i));
  }
}

class FullPool : public testing::TestWithParam<FullQueue> {};

TEST_P(FullPool, RefusesClosesOrDelaysRequestsAsWhenFullSays) {
  ThreadPoolTCPServer server(kAnyPort, &echo);
  server.max_workers = 1;
  server.max_queue = 1;
  server.when_full = GetParam();
  const Serving serving(server);
  Socket busy = client_of(server.server_address);
  EXPECT_EQ(busy.recv(1), "!");
  Socket queued = client_of(server.server_address);
  Socket extra = client_of(server.server_address);
  if (GetParam() == FullQueue::refuse) {
    EXPECT_TRUE(is_refused(extra));
    EXPECT_TRUE(is_waiting(queued));
  } else if (GetParam() == FullQueue::close_oldest) {
    EXPECT_TRUE(is_refused(queued));
    EXPECT_TRUE(is_waiting(extra));
  } else {
    EXPECT_TRUE(is_waiting(queued));
    EXPECT_TRUE(is_waiting(extra));
  }
  busy.shutdown(SHUT::WR);
  if (GetParam() != FullQueue::close_oldest) {
    EXPECT_EQ(queued.recv(1), "!");
    queued.shutdown(SHUT::WR);
  }
  if (GetParam() != FullQueue::refuse) {
    EXPECT_EQ(extra.recv(1), "!");
    extra.shutdown(SHUT::WR);
  }
}

INSTANTIATE_TEST_SUITE_P(Each, FullPool,
                         testing::Values(FullQueue::wait, FullQueue::refuse,
                                         FullQueue::close_oldest));

TEST(AThreadPoolServer, EndsAtShutdownWhileItWaitsForRoom) {
  ThreadPoolTCPServer server(kAnyPort, &echo);
  server.max_workers = 1;
  server.max_queue = 0;
  Socket busy = client_of(server.server_address);
  Socket extra = client_of(server.server_address);
  {
    const Serving serving(server, std::nullopt);
    EXPECT_EQ(busy.recv(1), "!");
    EXPECT_TRUE(is_waiting(extra));
  }
  busy.shutdown(SHUT::WR);
}

TEST(AThreadPoolServer, HandlesWhatIsInTheQueueBeforeItCloses) {
  std::atomic<int> handled{0};
  ThreadPoolTCPServer server(kAnyPort, [&](Request& request, const Address&, BaseServer&) {
    request->recv(1);
    ++handled;
  });
  server.max_workers = 2;
  std::vector<Socket> clients;
  for (int i = 0; i < 10; ++i) {
    clients.push_back(client_of(server.server_address));
    server.handle_request();
  }
  for (Socket& client : clients) client.shutdown(SHUT::WR);
  server.server_close();
  EXPECT_EQ(handled, 10);
}

TEST(AThreadPoolServer, ReportsWhatItsHandlersThrowAndGoesOn) {
  ThreadPoolTCPServer server(kAnyPort, [&](Request& request, const Address&, BaseServer&) {
    const Bytes what = request->recv(1);
    if (what == "i") throw 42;
    if (what == "b") throw BaseException();
    throw ValueError("a value");
  });
  server.max_workers = 1;
  testing::internal::CaptureStderr();
  {
    const Serving serving(server);
    for (const std::string what : {"i", "b", "v"}) EXPECT_EQ(ask(server.server_address, what), "");
  }
  const std::string text = testing::internal::GetCapturedStderr();
  EXPECT_THAT(text, testing::HasSubstr("\nint\n"));
  EXPECT_THAT(text, testing::HasSubstr("\nplug::ValueError: a value\n"));
  EXPECT_THAT(text, testing::Not(testing::HasSubstr("BaseException")));
}

template <class Threaded>
int status_of_child_that_destroys() {
  auto server = std::make_unique<Threaded>(kAnyPort, &echo);
  server->daemon_threads = true;
  Socket client = client_of(server->server_address);
  server->handle_request();
  EXPECT_EQ(client.recv(1), "!");
  const int status = run_in_child([&] {
    server.reset();
    return 7;
  });
  client.shutdown(SHUT::WR);
  return status;
}

struct PoolWithDaemons : ThreadPoolTCPServer {
  using ThreadPoolTCPServer::ThreadPoolTCPServer;
  void server_close() override {}
  bool daemon_threads = false;
};

TEST(AServerWithThreads, IsDestroyedInAForkedChildWithoutThem) {
  EXPECT_EQ(status_of_child_that_destroys<ThreadingTCPServer>(), 7);
  EXPECT_EQ(status_of_child_that_destroys<Server<PoolWithDaemons>>(), 7);
}

TEST(AThreadPoolServer, ThatIsClosedByOneOfItsWorkersSaysSo) {
  ThreadPoolTCPServer server(kAnyPort, [&](Request& request, const Address&, BaseServer& by) {
    request->sendall(text_of_error<RuntimeError>([&] { by.server_close(); }));
  });
  Socket client = client_of(server.server_address);
  server.handle_request();
  EXPECT_EQ(client.makefile("rb").read(), "cannot join current thread");
}

// --- limits ---

template <class Server>
class ALimit : public testing::Test {};
using Limited =
    testing::Types<ThreadingTCPServer, ThreadPoolTCPServer, ForkingTCPServer, FiberTCPServer>;
TYPED_TEST_SUITE(ALimit, Limited);

TYPED_TEST(ALimit, OfConnectionsLetsClientsWaitUntilOneHasEnded) {
  TypeParam server(kAnyPort, &echo);
  server.max_connections = 2;
  const Serving serving(server, std::is_same_v<TypeParam, ForkingTCPServer> ? 0.01 : 30);
  std::vector<Socket> clients;
  for (int i = 0; i < 4; ++i) clients.push_back(client_of(server.server_address));
  EXPECT_EQ(clients[0].recv(1), "!");
  EXPECT_EQ(clients[1].recv(1), "!");
  EXPECT_TRUE(is_waiting(clients[2]));
  clients[0].shutdown(SHUT::WR);
  EXPECT_EQ(clients[2].recv(1), "!");
  EXPECT_TRUE(is_waiting(clients[3]));
  clients[2].shutdown(SHUT::WR);
  EXPECT_EQ(clients[3].recv(1), "!");
  clients[1].shutdown(SHUT::WR);
  clients[3].shutdown(SHUT::WR);
}

TYPED_TEST(ALimit, OfConnectionsAnAddressRefusesMoreFromItAndNotFromOthers) {
  TypeParam server({"", 0}, &echo);
  server.max_connections_per_address = 2;
  const Serving serving(server, std::is_same_v<TypeParam, ForkingTCPServer> ? 0.01 : 30);
  const int port = server.server_address.port();
  const auto from = [&](const std::string& host) {
    Socket client(AF::INET);
    client.settimeout(30);
    client.bind({host, 0});
    client.connect({"127.0.0.1", port});
    return client;
  };
  Socket first = from("127.0.0.2");
  Socket second = from("127.0.0.2");
  EXPECT_EQ(first.recv(1), "!");
  EXPECT_EQ(second.recv(1), "!");
  Socket third = from("127.0.0.2");
  EXPECT_TRUE(is_refused(third));
  Socket other = from("127.0.0.3");
  EXPECT_EQ(other.recv(1), "!");
  first.shutdown(SHUT::WR);
  for (bool served = false; !served;) {
    Socket again = from("127.0.0.2");
    served = !is_refused(again);
    std::error_code ignored;
    again.shutdown(SHUT::WR, ignored);
  }
  second.shutdown(SHUT::WR);
  other.shutdown(SHUT::WR);
}

/// A server for which a test chooses the address of each client. The addresses need not exist.
class OfNamedClients : public TCPServer {
 public:
  OfNamedClients(ServerAddress address, HandlerFactory handler, bool bind_and_activate)
      : TCPServer(std::move(address), std::move(handler), bind_and_activate) {
    max_connections_per_address = 1;
  }
  /// Returns true if the server accepts another client, in addition to the earlier ones.
  bool lets_in(const Address& client) {
    next_ = client;
    const std::size_t before = kept_.size();
    Socket connection = client_of(server_address);
    handle_request();
    return kept_.size() > before;
  }
  bool lets_in(const std::string& host) { return lets_in(Address::parse(host)); }

  std::optional<std::pair<Request, Address>> try_get_request() override {
    auto got = TCPServer::try_get_request();
    if (got) got->second = next_;
    return got;
  }
  void process_request(Request& request, const Address&) override {
    kept_.push_back(std::move(request));
  }

 private:
  Address next_;
  std::vector<Request> kept_;
};

TEST(ALimitOfAnAddress, CountsARequestThatIsHandedOutAgainOnce) {
  struct HandsOutAgain : TCPServer {
    using TCPServer::TCPServer;
    std::optional<std::pair<Request, Address>> try_get_request() override {
      return kept ? std::exchange(kept, std::nullopt) : TCPServer::try_get_request();
    }
    void process_request(Request& request, const Address& from) override {
      ++processed;
      kept.emplace(std::move(request), from);
    }
    std::optional<std::pair<Request, Address>> kept;
    int processed = 0;
  };
  Server<HandsOutAgain> server(kAnyPort, &echo);
  server.max_connections_per_address = 1;
  const Socket client = client_of(server.server_address);
  server.handle_request();
  const Socket waiting = client_of(server.server_address);
  server.handle_request();
  EXPECT_EQ(server.processed, 2);
}

TEST(ALimitOfAnAddress, IsThatOfItsNetworkForIpv6) {
  Server<OfNamedClients> server(kAnyPort, &echo);
  EXPECT_TRUE(server.lets_in("[2001:db8:0:1::1]:1"));
  EXPECT_FALSE(server.lets_in("[2001:db8:0:1::1]:2"));
  EXPECT_FALSE(server.lets_in("[2001:db8:0:1:ffff:ffff:ffff:ffff]:1"));
  EXPECT_TRUE(server.lets_in("[2001:db8:0:2::1]:1"));
  EXPECT_TRUE(server.lets_in("192.0.2.1:1"));
  EXPECT_TRUE(server.lets_in("192.0.2.2:1"));
}

TEST(ALimitOfAnAddress, IsThatOfThePrefixThatIsSet) {
  Server<OfNamedClients> server(kAnyPort, &echo);
  server.ipv4_prefix_length = 23;
  server.ipv6_prefix_length = 128;
  EXPECT_TRUE(server.lets_in("[2001:db8::1]:1"));
  EXPECT_TRUE(server.lets_in("[2001:db8::2]:1"));
  EXPECT_FALSE(server.lets_in("[2001:db8::2]:1"));
  EXPECT_TRUE(server.lets_in("192.0.2.1:1"));
  EXPECT_FALSE(server.lets_in("192.0.3.1:1"));
  EXPECT_TRUE(server.lets_in("192.0.4.1:1"));
  server.ipv6_prefix_length = 0;
  EXPECT_TRUE(server.lets_in("[2001:db8::1]:1"));
  EXPECT_FALSE(server.lets_in("[2001:db9::1]:1"));
  server.ipv6_prefix_length = -1;
  EXPECT_TRUE(server.lets_in("[2001:db8::3]:1"));
  EXPECT_TRUE(server.lets_in("[2001:db8::4]:1"));
}

TEST(ALimitOfAnAddress, IsTheSameForIpv4InBothForms) {
  Server<OfNamedClients> server(kAnyPort, &echo);
  EXPECT_TRUE(server.lets_in("[::ffff:192.0.2.1]:1"));
  EXPECT_FALSE(server.lets_in("192.0.2.1:1"));
  EXPECT_TRUE(server.lets_in("[::ffff:192.0.2.2]:1"));
}

TEST(ALimitOfAnAddress, KeepsTheLinksOfTwoInterfacesApart) {
  Server<OfNamedClients> server(kAnyPort, &echo);
  EXPECT_TRUE(server.lets_in("[fe80::1%1]:1"));
  EXPECT_TRUE(server.lets_in("[fe80::1%2]:1"));
  EXPECT_TRUE(server.lets_in("[fe80::2%1]:1"));
  EXPECT_FALSE(server.lets_in("[fe80::1%1]:2"));
  EXPECT_FALSE(server.lets_in("[fe80::1%2]:2"));
}

TEST(AConnection, EndsWhenItsClientIsSilentForTooLong) {
  std::string ended;
  ThreadingTCPServer server(kAnyPort, [&](Request& request, const Address& from, BaseServer& by) {
    ended = text_of_error<TimeoutError>([&] { echo(request, from, by); });
  });
  server.connection_timeout = 0.05;
  Socket client = client_of(server.server_address);
  server.handle_request();
  EXPECT_EQ(client.recv(1), "!");
  EXPECT_EQ(client.recv(1), "");
  server.server_close();
  EXPECT_EQ(ended, "timed out: recv(100)");
}

/// A client that sends a byte now and then.
class DrippingClient {
 public:
  explicit DrippingClient(const BaseServer& server) : client_(client_of(server.server_address)) {}

 private:
  Socket client_;
  Drip drip_{[this] {
    std::error_code ignored;
    client_.sendall("x", ignored);
  }};
};

TEST(AConnection, EndsAfterItsLifetimeHoweverItsClientDrips) {
  std::string ended;
  int after = 0;
  ThreadingTCPServer server(kAnyPort, [&](Request& request, const Address&, BaseServer&) {
    ended = text_of_error<OSError>([&] { (void)request->makefile("rb").readline(); });
    after = number_of_error([&] { request->recv(1); });
  });
  server.connection_lifetime = 0.1;
  const DrippingClient client(server);
  server.handle_request();
  server.server_close();
  EXPECT_THAT(ended, testing::StartsWith("timed out: readline"));
  EXPECT_EQ(after, EBADF);
}

TEST(AConnection, EndsAfterItsLifetimeWithACallEach) {
  int received = 0;
  std::string ended;
  TCPServer server(kAnyPort, [&](Request& request, const Address&, BaseServer&) {
    ended = text_of_error<OSError>([&] {
      while (!request->recv(1).empty()) ++received;
    });
  });
  server.connection_lifetime = 0.1;
  const DrippingClient client(server);
  server.handle_request();
  EXPECT_GT(received, 0);
  EXPECT_THAT(ended,
              testing::AnyOf("timed out: recv(1)", "[Errno 9] Bad file descriptor: recv(1)"));
}

}  // namespace
}  // namespace plug
