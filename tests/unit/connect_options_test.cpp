// Tests create_connection() with its options, and the arguments that the helpers refuse.

#include <plug/socket.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <functional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "support/errors.hpp"
#include "support/namespaces.hpp"
#include "support/process.hpp"
#include "support/sockets.hpp"

namespace plug {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

HostPort loopback(const Socket& sock) { return {"127.0.0.1", sock.getsockname().port()}; }

/// Runs `body` in a child process whose /etc/hosts is `hosts`. Expects that it returns 0.
void expect_with_hosts(const std::string& hosts, const std::function<int()>& body) {
  const int status = run_in_namespaces({{"/etc/hosts", hosts}}, false, body);
  if (status == kNoNamespaces) GTEST_SKIP() << "no name spaces here";
  EXPECT_EQ(status, 0);
}

TEST(ConnectOptions, SetTimeoutAndSource) {
  Socket listener = tcp_listener();
  Socket client =
      create_connection(loopback(listener), {.timeout = 20, .source = HostPort("127.0.0.2", 0)});
  EXPECT_EQ(client.gettimeout(), Timeout(20));
  EXPECT_EQ(client.getsockname().host(), "127.0.0.2");
}

TEST(ConnectOptions, TakeTheDefaultTimeoutWhenNoneIsGiven) {
  Socket listener = tcp_listener();
  setdefaulttimeout(30);
  const ConnectOptions options;
  Socket client = create_connection(loopback(listener), options);
  Socket blocking = create_connection(loopback(listener), {.timeout = std::nullopt});
  setdefaulttimeout(std::nullopt);
  EXPECT_EQ(client.gettimeout(), Timeout(30));
  EXPECT_TRUE(blocking.gettimeout().is_none());
}

TEST(ConnectOptions, OfAllErrorsThrowWhatEachAttemptFailedWith) {
  Socket refusing = refusing_socket();
  const int before = settled_descriptors();
  try {
    std::ignore = create_connection(loopback(refusing), {.timeout = 20, .all_errors = true});
    ADD_FAILURE();
  } catch (const ExceptionGroup& group) {
    ASSERT_EQ(group.exceptions().size(), 1u);
    EXPECT_EQ(group.exceptions()[0].number(), ECONNREFUSED);
    EXPECT_EQ(group.exceptions()[0].what(),
              "[Errno 111] Connection refused: " + to_string(refusing.getsockname()));
    EXPECT_EQ(group.what(), std::string("create_connection failed (1 sub-exception): ") +
                                group.exceptions()[0].what());
  }
  EXPECT_EQ(settled_descriptors(), before);
}

TEST(ConnectOptions, OfAllErrorsThrowWhatTheLookupFailedWithAsItIs) {
  EXPECT_THROW(std::ignore = create_connection({"no such host", 80}, {.all_errors = true}),
               gaierror);
}

TEST(ConnectOptions, OfAllErrorsListTheAddressesInTheirOrder) {
  expect_with_hosts("127.0.0.1 two.test\n127.0.0.3 two.test\n", [] {
    Socket first = refusing_socket("127.0.0.1");
    const HostPort address("two.test", first.getsockname().port());
    const auto targets = getaddrinfo(address.host, address.port, AF{}, SOCK::STREAM);
    for (const Timeout delay : {Timeout(std::nullopt), Timeout(20)}) {
      try {
        std::ignore = create_connection(
            address, {.timeout = 20, .all_errors = true, .happy_eyeballs_delay = delay});
        return 1;
      } catch (const ExceptionGroup& group) {
        if (targets.size() != 2 || group.exceptions().size() != 2) return 2;
        for (std::size_t i = 0; i < 2; ++i) {
          const std::string text = group.exceptions()[i].what();
          if (text.find(to_string(targets[i].sockaddr)) == std::string::npos) return 3;
        }
        if (std::string(group.what()).find("(2 sub-exceptions): [Errno 111]") == std::string::npos)
          return 4;
      }
    }
    return 0;
  });
}

TEST(ConnectOptions, WithAnErrorCodeStoreTheLastErrorAndClearIt) {
  Socket refusing = refusing_socket();
  Socket listener = tcp_listener();
  std::error_code error;
  const ConnectOptions options{.timeout = 20, .all_errors = true};
  EXPECT_EQ(create_connection(loopback(refusing), options, error).fileno(), -1);
  EXPECT_EQ(error.value(), ECONNREFUSED);
  EXPECT_GE(create_connection(loopback(listener), options, error).fileno(), 0);
  EXPECT_FALSE(error);
}

TEST(ConnectOptions, LetTheFamiliesTakeTurns) {
  const std::string hosts =
      "127.0.0.1 many.test\n127.0.0.2 many.test\n127.0.0.3 many.test\n"
      "::1 many.test\n";
  const auto families = [](const ConnectOptions& options) {
    Socket refusing = refusing_socket("127.0.0.1");
    std::string text;
    try {
      std::ignore = create_connection({"many.test", refusing.getsockname().port()}, options);
    } catch (const ExceptionGroup& group) {
      for (const OSError& error : group.exceptions())
        text += std::string(error.what()).find("::1") != std::string::npos ? '6' : '4';
    }
    return text;
  };
  expect_with_hosts(hosts, [&] {
    // The system may put either family first.
    const auto is = [](const std::string& text, const std::string& six_first,
                       const std::string& four_first) {
      return text == six_first || text == four_first;
    };
    const Timeout delay = kHappyEyeballsDelay;
    if (!is(families({.all_errors = true}), "6444", "4446")) return 1;
    if (!is(families({.all_errors = true, .interleave = 1}), "6444", "4644")) return 2;
    if (!is(families({.all_errors = true, .interleave = 2}), "6444", "4464")) return 3;
    if (!is(families({.all_errors = true, .interleave = 9}), "6444", "4446")) return 4;
    if (!is(families({.all_errors = true, .happy_eyeballs_delay = delay}), "6444", "4644"))
      return 5;
    if (!is(families({.all_errors = true, .happy_eyeballs_delay = delay, .interleave = 0}), "6444",
            "4446"))
      return 6;
    return 0;
  });
}

TEST(ConnectOptions, RefuseANegativeTurn) {
  EXPECT_THAT(text_of_error<ValueError>([] {
                std::ignore = create_connection({"no such host", 80}, {.interleave = -1});
              }),
              HasSubstr("-1"));
}

TEST(HappyEyeballs, ConnectAndSetTheTimeout) {
  Socket listener = tcp_listener();
  for (const Timeout timeout : {Timeout(20), Timeout(std::nullopt)}) {
    Socket client = create_connection(
        loopback(listener), {.timeout = timeout, .happy_eyeballs_delay = kHappyEyeballsDelay});
    EXPECT_EQ(client.gettimeout(), timeout);
    EXPECT_EQ(client.getpeername(), listener.getsockname());
    client.sendall("x");
    EXPECT_EQ(listener.accept().first.recv(1), "x");
  }
}

TEST(HappyEyeballs, PassAnAddressThatDoesNotAnswer) {
  expect_with_hosts("127.0.0.1 two.test\n127.0.0.3 two.test\n::1 two.test\n", [] {
    // Only the last address answers; the queues of the others are full.
    FullListener full;
    const int port = full.address().port();
    Socket six = create_server({"::1", port}, {.family = AF::INET6});
    const int before = settled_descriptors();
    for (const double delay : {0.0, 0.01}) {
      Socket client = create_connection(
          {"two.test", port}, {.timeout = 20, .happy_eyeballs_delay = delay, .interleave = 9});
      // 127.0.0.3 refuses: nobody listens there.
      if (client.getpeername() != six.getsockname()) return 1;
      client.close();
      if (settled_descriptors() != before) return 2;
    }
    return 0;
  });
}

TEST(HappyEyeballs, BeginTheNextAttemptAtOnceWhenOneHasFailed) {
  // The first address does not answer, a hundred refuse, and the last one answers. If the delay
  // passed before each of them, the test would exceed its limit of a minute.
  std::string hosts = "127.0.0.1 many.test\n";
  for (int i = 1; i <= 100; ++i) hosts += "127.0.1." + std::to_string(i) + " many.test\n";
  expect_with_hosts(hosts + "127.0.2.1 many.test\n", [] {
    const FullListener full;
    const HostPort address("many.test", full.address().port());
    Socket listener = create_server({"127.0.2.1", address.port});
    const auto targets = getaddrinfo(address.host, address.port, AF::INET, SOCK::STREAM);
    if (targets.size() != 102 || targets.front().sockaddr != full.address() ||
        targets.back().sockaddr != listener.getsockname())
      return 1;
    Socket client =
        create_connection(address, {.timeout = std::nullopt, .happy_eyeballs_delay = 1});
    return client.getpeername() == listener.getsockname() ? 0 : 2;
  });
}

TEST(HappyEyeballs, RunOutOfTimeWhereNobodyAnswersAndLeaveNothingOpen) {
  const FullListener full;
  const int before = settled_descriptors();
  const HostPort address("127.0.0.1", full.address().port());
  EXPECT_EQ(text_of_error<TimeoutError>([&] {
              std::ignore =
                  create_connection(address, {.timeout = 0.05, .happy_eyeballs_delay = 0.01});
            }),
            "timed out: " + to_string(full.address()));
  EXPECT_EQ(settled_descriptors(), before);
}

TEST(HappyEyeballs, WithoutTimeToWaitDoNotWait) {
  const FullListener full;
  const HostPort address("127.0.0.1", full.address().port());
  EXPECT_THROW(
      std::ignore = create_connection(address, {.timeout = 0, .happy_eyeballs_delay = 0.01}),
      BlockingIOError);
}

TEST(HappyEyeballs, NameASourceThatCannotBeBound) {
  Socket listener = tcp_listener();
  EXPECT_EQ(text_of_error<OSError>([&] {
              std::ignore = create_connection(
                  loopback(listener),
                  {.source = HostPort("192.0.2.1", 0), .happy_eyeballs_delay = 0.01});
            }),
            "[Errno 99] Cannot assign requested address: ('192.0.2.1', 0)");
}

TEST(CreateConnection, NamesASourceThatCannotBeBound) {
  Socket listener = tcp_listener();
  EXPECT_EQ(text_of_error<OSError>([&] {
              std::ignore = create_connection(loopback(listener),
                                              {.timeout = 20, .source = HostPort("192.0.2.1", 0)});
            }),
            "[Errno 99] Cannot assign requested address: ('192.0.2.1', 0)");
}

TEST(CreateConnection, ChecksEveryArgumentBeforeItLooksAnythingUp) {
  HostPort source("127.0.0.1", 0);
  source.port = 70000;
  HostPort address("no such host", 80);
  std::error_code error;
  EXPECT_THROW(std::ignore = create_connection(address, {.source = source}, error), OverflowError);
  EXPECT_THROW(std::ignore = create_connection(address, {.source = source}), OverflowError);
  address.port = -1;
  EXPECT_THROW(std::ignore = create_connection(address), OverflowError);
  EXPECT_THROW(std::ignore = create_connection(address, 20), OverflowError);
  EXPECT_THROW(std::ignore = create_connection(address, ConnectOptions(), error), OverflowError);
  address.port = 80;
  address.host = std::string("a\0b", 3);
  EXPECT_THROW(std::ignore = create_connection(address), ValueError);
  EXPECT_THROW(
      std::ignore = create_connection({"no such host", 80}, {.source = HostPort("x", 70000)}),
      OverflowError);
}

TEST(CreateServer, OfTwoStacksNeedsIpv6) {
  EXPECT_TRUE(has_ipv6);
  EXPECT_TRUE(has_dualstack_ipv6());
  EXPECT_THAT(text_of_error<ValueError>([] {
                std::ignore = create_server({"127.0.0.1", 0}, {.dualstack_ipv6 = true});
              }),
              StartsWith("dualstack_ipv6 requires AF_INET6 family"));
}

TEST(Descriptors, OfNobodyAreDuplicatedAndClosed) {
  Socket sock;
  const int copy = dup(Fileno{sock.fileno()}).detach();
  EXPECT_FALSE(Socket(Fileno{dup(Fileno{copy}).detach()}).get_inheritable());
  const int before = count_descriptors();
  plug::close(Fileno{copy});
  EXPECT_EQ(count_descriptors(), before - 1);
  EXPECT_EQ(number_of_error([=] { plug::close(Fileno{copy}); }), EBADF);
  EXPECT_EQ(number_of_error([=] { std::ignore = dup(Fileno{copy}); }), EBADF);
  std::error_code error;
  EXPECT_FALSE(dup(Fileno{-1}, error));
  EXPECT_EQ(error.value(), EBADF);
}

// --- the default timeout of every way to make a socket ---

class WithDefaultTimeout : public ::testing::Test {
 protected:
  WithDefaultTimeout() { setdefaulttimeout(25); }
  ~WithDefaultTimeout() override { setdefaulttimeout(std::nullopt); }
};

TEST_F(WithDefaultTimeout, NewSocketsHaveIt) {
  EXPECT_EQ(Socket().gettimeout(), Timeout(25));
  EXPECT_EQ(Socket(AF::INET, SOCK::STREAM | SOCK::NONBLOCK).gettimeout(), Timeout(0));
}

TEST_F(WithDefaultTimeout, PairsCopiesOfDescriptorsAndAdoptedOnesHaveIt) {
  auto [first, second] = socketpair();
  EXPECT_EQ(first.gettimeout(), Timeout(25));
  EXPECT_EQ(second.gettimeout(), Timeout(25));
  first.settimeout(7);
  EXPECT_EQ(fromfd(first.fileno(), AF::UNIX, SOCK::STREAM).gettimeout(), Timeout(25));
  EXPECT_EQ(first.gettimeout(), Timeout(7));
  EXPECT_EQ(first.dup().gettimeout(), Timeout(7));
  EXPECT_EQ(Socket(Fileno{first.detach()}).gettimeout(), Timeout(25));
}

TEST_F(WithDefaultTimeout, ServersConnectionsAndWhatTheyAcceptHaveIt) {
  Socket server = create_server({"127.0.0.1", 0});
  EXPECT_EQ(server.gettimeout(), Timeout(25));
  Socket client = create_connection(loopback(server));
  EXPECT_EQ(client.gettimeout(), Timeout(25));
  server.settimeout(7);
  EXPECT_EQ(server.accept().first.gettimeout(), Timeout(25));
  EXPECT_EQ(create_connection(loopback(server), 7).gettimeout(), Timeout(7));
  EXPECT_TRUE(create_connection(loopback(server), std::nullopt).gettimeout().is_none());
}

}  // namespace
}  // namespace plug
