// Tests binding, listening, connecting and accepting, and the helpers that do all of it.

#include <plug/socket.hpp>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <functional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "support/namespaces.hpp"
#include "support/process.hpp"
#include "support/sockets.hpp"
#include "support/temporary_directory.hpp"

namespace plug {
namespace {

using ::testing::HasSubstr;

bool nonblocking(const Socket& sock) { return (::fcntl(sock.fileno(), F_GETFL) & O_NONBLOCK) != 0; }

struct Failure {
  int number = -1;
  std::string text = "no error";
};

template <class Body>
Failure failure_of(Body body) {
  try {
    body();
  } catch (const OSError& error) {
    return {error.number(), error.what()};
  }
  return {};
}

/// A family of stream-like sockets.
struct Family {
  std::string name;
  AF family;
  SOCK type;
};

class EveryFamily : public ::testing::TestWithParam<Family> {
 protected:
  /// Returns an address that can be bound; a free one if there is a choice.
  Address free_address() {
    if (GetParam().name == "UnixAbstract")
      return UnixAddress(std::string(1, '\0') + directory_.path());
    if (GetParam().family == AF::UNIX) return UnixAddress(directory_ / "socket");
    return Address::parse(GetParam().family == AF::INET ? "127.0.0.1:0" : "[::1]:0");
  }

 private:
  TemporaryDirectory directory_;
};

INSTANTIATE_TEST_SUITE_P(Socket, EveryFamily,
                         ::testing::Values(Family{"Ipv4", AF::INET, SOCK::STREAM},
                                           Family{"Ipv6", AF::INET6, SOCK::STREAM},
                                           Family{"UnixPath", AF::UNIX, SOCK::STREAM},
                                           Family{"UnixAbstract", AF::UNIX, SOCK::STREAM},
                                           Family{"UnixSeqpacket", AF::UNIX, SOCK::SEQPACKET}),
                         [](const auto& test) { return test.param.name; });

TEST_P(EveryFamily, BindsListensConnectsAndAccepts) {
  Socket listener(GetParam().family, GetParam().type);
  listener.bind(free_address());
  listener.listen();
  EXPECT_EQ(listener.getsockopt(SOL::SOCKET, SO::ACCEPTCONN), 1);
  Socket client(GetParam().family, GetParam().type);
  client.connect(listener.getsockname());
  auto [served, peer] = listener.accept();
  EXPECT_EQ(served.family(), GetParam().family);
  EXPECT_EQ(served.type(), GetParam().type);
  EXPECT_EQ(peer, client.getsockname());
  EXPECT_EQ(client.getpeername(), listener.getsockname());
  EXPECT_EQ(served.getsockname(), listener.getsockname());
  client.sendall("there");
  EXPECT_EQ(served.recv(100), "there");
  served.sendall("back");
  EXPECT_EQ(client.recv(100), "back");
}

TEST_P(EveryFamily, ConnectsInOrderOfArrival) {
  Socket listener(GetParam().family, GetParam().type);
  listener.bind(free_address());
  listener.listen(5);
  std::vector<Socket> clients;
  for (const std::string name : {"a", "b", "c"}) {
    clients.emplace_back(GetParam().family, GetParam().type);
    clients.back().connect(listener.getsockname());
    clients.back().sendall(name);
  }
  for (const std::string name : {"a", "b", "c"}) EXPECT_EQ(listener.accept().first.recv(9), name);
}

TEST_P(EveryFamily, BindingTwiceToOneAddressIsEaddrinuseAndNamesIt) {
  Socket first(GetParam().family, GetParam().type);
  first.bind(free_address());
  first.listen();
  Socket second(GetParam().family, GetParam().type);
  const Failure failure = failure_of([&] { second.bind(first.getsockname()); });
  EXPECT_EQ(failure.number, EADDRINUSE);
  EXPECT_EQ(failure.text, "[Errno 98] Address already in use: " + to_string(first.getsockname()));
}

TEST_P(EveryFamily, ConnectingWithATimeoutSucceedsAndKeepsIt) {
  Socket listener(GetParam().family, GetParam().type);
  listener.bind(free_address());
  listener.listen();
  Socket client(GetParam().family, GetParam().type);
  client.settimeout(20);
  client.connect(listener.getsockname());
  EXPECT_EQ(client.gettimeout(), Timeout(20));
  client.sendall("x");
  EXPECT_EQ(listener.accept().first.recv(1), "x");
}

TEST(Bind, OfAnAddressThatIsNotOursIsEaddrnotavailAndNamesIt) {
  Socket sock;
  const Failure failure = failure_of([&] { sock.bind({"192.0.2.1", 80}); });
  EXPECT_EQ(failure.number, EADDRNOTAVAIL);
  EXPECT_THAT(failure.text, HasSubstr("('192.0.2.1', 80)"));
}

TEST(Bind, TakesTheEmptyHostForEveryInterface) {
  Socket four;
  four.bind({"", 0});
  EXPECT_EQ(four.getsockname().host(), "0.0.0.0");
  Socket six(AF::INET6);
  six.bind({"", 0});
  EXPECT_EQ(six.getsockname().host(), "::");
}

TEST(Bind, LooksNamesUpInTheSocketsOwnFamily) {
  Socket sock;
  sock.bind({"localhost", 0});
  EXPECT_EQ(sock.getsockname().host(), "127.0.0.1");
  EXPECT_THROW(sock.bind({"no such host", 0}), gaierror);
  EXPECT_THROW(Socket(AF::INET6).bind({"127.0.0.1", 0}), gaierror);
  EXPECT_THROW(Socket(AF::INET).bind({"::1", 0}), gaierror);
}

TEST(Bind, RefusesAddressesThatTheFamilyCannotUse) {
  const Failure pair = failure_of([] { Socket(AF::UNIX).bind({"127.0.0.1", 0}); });
  EXPECT_EQ(pair.number, 0);
  EXPECT_EQ(pair.text,
            "address family mismatched: ('127.0.0.1', 0) is a host and a port, of AF_INET or "
            "AF_INET6, the socket of AF_UNIX");
  EXPECT_NE(failure_of([] { Socket(AF::INET).bind(UnixAddress("/tmp/x")); }).number, -1);
  EXPECT_NE(failure_of([] { Socket(AF::INET).bind(Address()); }).number, -1);
  EXPECT_NE(failure_of([] { Socket(AF::INET6).bind({"<broadcast>", 0}); }).number, -1);
  EXPECT_EQ(failure_of([] { Socket(AF::UNIX).bind(UnixAddress("/nonexistent/x")); }).number,
            ENOENT);
}

TEST(Bind, OfAUnixPathMakesTheFileAndAutobindAnAbstractName) {
  const TemporaryDirectory directory;
  Socket sock(AF::UNIX);
  sock.bind(UnixAddress(directory / "s"));
  EXPECT_EQ(::access((directory / "s").c_str(), F_OK), 0);
  Socket picked(AF::UNIX);
  picked.bind(UnixAddress(""));
  EXPECT_EQ(picked.getsockname().path().size(), 6u);
}

TEST(Listen, TakesABacklogBelowZeroForZero) {
  // A backlog of zero has room for one or two clients; an unlimited one has room for all.
  Socket listener;
  listener.bind({"127.0.0.1", 0});
  listener.listen(-1);
  std::vector<Socket> clients(5);
  int connected = 0;
  for (Socket& client : clients) {
    client.settimeout(0.05);
    if (client.connect_ex(listener.getsockname()) == 0) ++connected;
  }
  EXPECT_GE(connected, 1);
  EXPECT_LT(connected, 5);
  EXPECT_EQ(listener.accept().second, clients[0].getsockname());
}

TEST(Listen, TakesABacklogBeyondTheSystemsCap) {
  Socket listener;
  listener.bind({"127.0.0.1", 0});
  EXPECT_NO_THROW(listener.listen(1 << 30));
}

TEST(Listen, OnADatagramSocketIsEopnotsupp) {
  EXPECT_EQ(failure_of([] { Socket(AF::INET, SOCK::DGRAM).listen(); }).number, EOPNOTSUPP);
}

TEST(Accept, OnASocketThatDoesNotListenIsEinval) {
  EXPECT_EQ(failure_of([] { std::ignore = Socket().accept(); }).number, EINVAL);
}

TEST(Accept, WithoutAClientEndsAtTheTimeoutOrAtOnce) {
  Socket listener = tcp_listener();
  listener.settimeout(0.01);
  EXPECT_THROW(std::ignore = listener.accept(), TimeoutError);
  listener.settimeout(0);
  EXPECT_THROW(std::ignore = listener.accept(), BlockingIOError);
}

TEST(Accept, GivesABlockingSocketWhateverTheListenerIs) {
  for (const Timeout timeout : {Timeout(std::nullopt), Timeout(20), Timeout(0)}) {
    Socket listener = tcp_listener();
    listener.settimeout(timeout);
    Socket client = create_connection({"127.0.0.1", listener.getsockname().port()}, 20);
    auto [served, peer] = listener.accept();
    EXPECT_TRUE(served.gettimeout().is_none());
    EXPECT_FALSE(nonblocking(served));
  }
}

TEST(Connect, RefusedNamesTheAddress) {
  for (const std::string host : {"127.0.0.1", "::1"}) {
    Socket refusing = refusing_socket(host);
    const Address address = refusing.getsockname();
    for (const Timeout timeout : {Timeout(std::nullopt), Timeout(20)}) {
      Socket sock(refusing.family());
      sock.settimeout(timeout);
      const Failure failure = failure_of([&] { sock.connect(address); });
      EXPECT_EQ(failure.number, ECONNREFUSED);
      EXPECT_EQ(failure.text, "[Errno 111] Connection refused: " + to_string(address));
    }
    Socket sock(refusing.family());
    EXPECT_THROW(sock.connect({host, address.port()}), ConnectionRefusedError);
  }
}

TEST(Connect, LooksNamesUp) {
  Socket listener = tcp_listener();
  Socket client;
  client.connect({"localhost", listener.getsockname().port()});
  EXPECT_EQ(client.getpeername(), listener.getsockname());
  EXPECT_THROW(Socket().connect({"no such host", 80}), gaierror);
}

TEST(Connect, RunsOutOfTimeWhereNobodyAnswers) {
  const FullListener full;
  Socket sock;
  sock.settimeout(0.05);
  try {
    sock.connect(full.address());
    ADD_FAILURE();
  } catch (const TimeoutError& error) {
    EXPECT_EQ(error.number(), 0);
    EXPECT_EQ(error.what(), "timed out: " + to_string(full.address()));
  }
}

TEST(Connect, WithoutTimeToWaitIsUnderWay) {
  const FullListener full;
  Socket sock;
  sock.setblocking(false);
  const Failure failure = failure_of([&] { sock.connect(full.address()); });
  EXPECT_EQ(failure.number, EINPROGRESS);
  EXPECT_THAT(failure.text, HasSubstr("[Errno 115]"));
  EXPECT_THROW(sock.connect(full.address()), BlockingIOError);  // EALREADY
}

TEST(Connect, OfAConnectedSocketIsEisconn) {
  auto [sock, peer] = tcp_pair();
  Socket listener = tcp_listener();
  EXPECT_EQ(failure_of([&, &sock = sock] { sock.connect(listener.getsockname()); }).number,
            EISCONN);
}

TEST(Connect, OfAUnixPathThatIsNotThereOrNotListeningNamesIt) {
  const TemporaryDirectory directory;
  Socket bound(AF::UNIX);
  bound.bind(UnixAddress(directory / "s"));
  EXPECT_EQ(failure_of([&] { Socket(AF::UNIX).connect(UnixAddress(directory / "s")); }).number,
            ECONNREFUSED);
  const Failure missing =
      failure_of([&] { Socket(AF::UNIX).connect(UnixAddress(directory / "none")); });
  EXPECT_EQ(missing.number, ENOENT);
  EXPECT_THAT(missing.text, HasSubstr(directory / "none"));
}

TEST(Connect, OfADatagramSocketFixesThePeer) {
  Socket receiver(AF::INET, SOCK::DGRAM);
  receiver.bind({"127.0.0.1", 0});
  Socket sender(AF::INET, SOCK::DGRAM);
  sender.connect(receiver.getsockname());
  EXPECT_EQ(sender.getpeername(), receiver.getsockname());
  sender.sendall("x");
  EXPECT_EQ(receiver.recv(10), "x");
  sender.connect(receiver.getsockname());
  Socket stranger(AF::INET, SOCK::DGRAM);
  stranger.sendto("strange", sender.getsockname());
  receiver.sendto("known", sender.getsockname());
  EXPECT_EQ(sender.recv(100), "known");
}

TEST(ConnectEx, ReturnsTheNumberOfEveryOutcome) {
  Socket listener = tcp_listener();
  Socket refusing = refusing_socket();
  const FullListener full;
  EXPECT_EQ(Socket().connect_ex(listener.getsockname()), 0);
  EXPECT_EQ(Socket().connect_ex({"127.0.0.1", listener.getsockname().port()}), 0);
  EXPECT_EQ(Socket().connect_ex(refusing.getsockname()), ECONNREFUSED);
  Socket timed;
  timed.settimeout(20);
  EXPECT_EQ(timed.connect_ex(refusing.getsockname()), ECONNREFUSED);
  Socket late;
  late.settimeout(0.05);
  EXPECT_EQ(late.connect_ex(full.address()), EAGAIN);
  Socket polling;
  polling.setblocking(false);
  EXPECT_EQ(polling.connect_ex(full.address()), EINPROGRESS);
  EXPECT_EQ(polling.connect_ex(full.address()), EALREADY);
  EXPECT_EQ(Socket(AF::UNIX).connect_ex(UnixAddress("/nonexistent/x")), ENOENT);
  auto [connected, peer] = tcp_pair();
  EXPECT_EQ(connected.connect_ex(listener.getsockname()), EISCONN);
}

TEST(ConnectEx, StillThrowsWhatIsNoResultOfConnecting) {
  EXPECT_THROW(std::ignore = Socket().connect_ex({"no such host", 80}), gaierror);
  EXPECT_THROW(std::ignore = Socket(AF::UNIX).connect_ex({"127.0.0.1", 80}), OSError);
}

TEST(CreateConnection, ConnectsAStreamAndSetsItsTimeout) {
  for (const std::string host : {"127.0.0.1", "::1"}) {
    Socket listener = tcp_listener(host);
    Socket client = create_connection({host, listener.getsockname().port()}, 20);
    EXPECT_EQ(client.getpeername(), listener.getsockname());
    EXPECT_EQ(client.gettimeout(), Timeout(20));
    EXPECT_EQ(client.type(), SOCK::STREAM);
    EXPECT_EQ(client.proto(), 6);
  }
}

TEST(CreateConnection, LooksTheHostUpAndNamesItWhenItIsNotFound) {
  Socket listener = tcp_listener();
  EXPECT_EQ(create_connection({"localhost", listener.getsockname().port()}).getpeername(),
            listener.getsockname());
  try {
    std::ignore = create_connection({"no such host", 80});
    ADD_FAILURE();
  } catch (const gaierror& error) {
    EXPECT_THAT(error.what(), HasSubstr("('no such host', 80)"));
  }
}

TEST(CreateConnection, RefusedNamesTheAddressAndLeavesNothingOpen) {
  Socket refusing = refusing_socket();
  const int port = refusing.getsockname().port();
  const int before = settled_descriptors();
  const Failure failure = failure_of([=] {
    std::ignore = create_connection({"localhost", port}, 20);
  });
  EXPECT_EQ(failure.number, ECONNREFUSED);
  EXPECT_EQ(failure.text, "[Errno 111] Connection refused: " + to_string(refusing.getsockname()));
  EXPECT_EQ(settled_descriptors(), before);
}

TEST(CreateConnection, RunsOutOfTimeWhereNobodyAnswers) {
  const FullListener full;
  const int before = settled_descriptors();
  EXPECT_THROW(std::ignore = create_connection({"127.0.0.1", full.address().port()}, 0.05),
               TimeoutError);
  EXPECT_EQ(settled_descriptors(), before);
}

TEST(CreateConnection, BindsTheSourceFirst) {
  Socket listener = tcp_listener();
  const HostPort address("127.0.0.1", listener.getsockname().port());
  Socket client = create_connection(address, {.timeout = 20, .source = HostPort("127.0.0.2", 0)});
  EXPECT_EQ(client.getsockname().host(), "127.0.0.2");
  EXPECT_EQ(listener.accept().second.host(), "127.0.0.2");
  const int before = settled_descriptors();
  EXPECT_EQ(failure_of([&] {
              std::ignore =
                  create_connection(address, {.timeout = 20, .source = HostPort("192.0.2.1", 0)});
            }).number,
            EADDRNOTAVAIL);
  EXPECT_EQ(settled_descriptors(), before);
}

/// Runs `body` in a child process whose /etc/hosts is `hosts`.
int run_with_hosts(const std::string& hosts, const std::function<int()>& body) {
  return run_in_namespaces({{"/etc/hosts", hosts}}, false, body);
}

TEST(CreateConnection, TriesTheAddressesInTurnUntilOneAnswers) {
  const std::string hosts = "127.0.0.1 both.test\n::1 both.test\n127.0.0.3 both.test\n";
  for (const std::string host : {"127.0.0.1", "::1", "127.0.0.3"}) {
    const int status = run_with_hosts(hosts, [&] {
      Socket listener = tcp_listener(host);
      const int port = listener.getsockname().port();
      const int before = settled_descriptors();
      {
        const Socket client = create_connection({"both.test", port}, 20);
        if (client.getpeername() != listener.getsockname()) return 1;
        if (client.family() != listener.family()) return 2;
      }
      listener.close();
      return settled_descriptors() == before - 1 ? 0 : 3;
    });
    if (status == kNoNamespaces) GTEST_SKIP() << "no namespaces here";
    EXPECT_EQ(status, 0) << host;
  }
}

TEST(CreateConnection, ThrowsTheLastErrorWhenNoAddressAnswers) {
  const int status = run_with_hosts("127.0.0.1 two.test\n127.0.0.3 two.test\n", [] {
    Socket first = refusing_socket("127.0.0.1");
    const int port = first.getsockname().port();
    const auto answers = getaddrinfo("two.test", port, AF::UNSPEC, SOCK::STREAM);
    const int before = settled_descriptors();
    const Failure failure = failure_of([=] {
      std::ignore = create_connection({"two.test", port}, 20);
    });
    if (answers.size() != 2) return 1;
    if (failure.text != "[Errno 111] Connection refused: " + to_string(answers[1].sockaddr))
      return 2;
    return settled_descriptors() == before ? 0 : 3;
  });
  if (status == kNoNamespaces) GTEST_SKIP() << "no namespaces here";
  EXPECT_EQ(status, 0);
}

TEST(CreateServer, ListensOnTheAddress) {
  Socket server = create_server({"127.0.0.1", 0}, {.backlog = 1});
  EXPECT_EQ(server.getsockopt(SOL::SOCKET, SO::ACCEPTCONN), 1);
  EXPECT_EQ(server.getsockopt(SOL::SOCKET, SO::REUSEADDR), 1);
  EXPECT_EQ(server.getsockopt(SOL::SOCKET, SO::REUSEPORT), 0);
  const TemporaryDirectory directory;
  Socket local = create_server(UnixAddress(directory / "s"), {.family = AF::UNIX});
  Socket client(AF::UNIX);
  client.connect(local.getsockname());
  std::ignore = local.accept();
}

TEST(CreateServer, GetsItsPortBackAtOnceAfterItClosedAConnection) {
  Socket server = create_server({"127.0.0.1", 0});
  const Address address = server.getsockname();
  Socket client = create_connection({"127.0.0.1", address.port()});
  Socket served = server.accept().first;
  served.close();  // first, so that the server's side is in TIME_WAIT
  EXPECT_EQ(client.recv(1), "");
  client.close();
  server.close();
  Socket plain;
  EXPECT_EQ(failure_of([&] { plain.bind(address); }).number, EADDRINUSE);
  Socket again = create_server(address);
  EXPECT_EQ(again.getsockname(), address);
  std::ignore = create_connection({"127.0.0.1", address.port()});
}

TEST(CreateServer, DoesNotDisplaceALiveServerAndNamesTheAddress) {
  Socket server = create_server({"127.0.0.1", 0});
  const Address address = server.getsockname();
  const int before = count_descriptors();
  const Failure failure = failure_of([&] { std::ignore = create_server(address); });
  EXPECT_EQ(failure.number, EADDRINUSE);
  EXPECT_THAT(failure.text, HasSubstr(to_string(address)));
  EXPECT_EQ(count_descriptors(), before);
}

TEST(CreateServer, SharesItsPortOnRequest) {
  Socket first = create_server({"127.0.0.1", 0}, {.reuse_port = true});
  Socket second = create_server(first.getsockname(), {.reuse_port = true});
  EXPECT_EQ(second.getsockname(), first.getsockname());
  EXPECT_NE(second.getsockopt(SOL::SOCKET, SO::REUSEPORT), 0);
  EXPECT_THROW(std::ignore = create_server(first.getsockname()), OSError);
}

TEST(CreateServer, OfIpv6TakesIpv4OnlyWhenItIsDualStack) {
  Socket dual = create_server({"", 0}, {.family = AF::INET6, .dualstack_ipv6 = true});
  const int port = dual.getsockname().port();
  std::ignore = create_connection({"::1", port});
  std::ignore = create_connection({"127.0.0.1", port});
  EXPECT_EQ(dual.accept().second.host(), "::1");
  EXPECT_EQ(dual.accept().second.host(), "::ffff:127.0.0.1");

  // Nobody listens on the same port with IPv4, unless another program does.
  Socket four;
  Socket six;
  do {
    six = create_server({"", 0}, {.family = AF::INET6});
    four = Socket();
  } while (failure_of([&] { four.bind({"127.0.0.1", six.getsockname().port()}); }).number != -1);
  EXPECT_EQ(six.getsockopt(IPPROTO::IPV6, IPV6::V6ONLY), 1);
  EXPECT_THROW(std::ignore = create_connection({"127.0.0.1", six.getsockname().port()}),
               ConnectionRefusedError);
}

TEST(CreateServer, RefusesDualStackOfAnotherFamily) {
  const int before = count_descriptors();
  EXPECT_THROW(std::ignore = create_server({"127.0.0.1", 0}, {.dualstack_ipv6 = true}), ValueError);
  EXPECT_THROW(std::ignore = create_server({"no such host", 0}), gaierror);
  EXPECT_THROW(std::ignore = create_server({"192.0.2.1", 0}), OSError);
  EXPECT_EQ(count_descriptors(), before);
}

}  // namespace
}  // namespace plug
