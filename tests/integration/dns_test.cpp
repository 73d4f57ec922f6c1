// Tests name lookup with a real name server, in network and mount namespaces of the test.

#include <plug/plug.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include "support/blocked_thread.hpp"
#include "support/dns.hpp"
#include "support/errors.hpp"
#include "support/namespaces.hpp"
#include "support/parity_names.hpp"
#include "support/process.hpp"
#include "support/sockets.hpp"

namespace plug {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

/// libc gives up a server that does not answer after 30 seconds. A test that waits for libc to look
/// up three names there exceeds its time limit.
const std::map<std::string, std::string> kFiles = {
    {"/etc/resolv.conf", "nameserver 127.0.0.1\noptions timeout:30 attempts:1\n"},
    {"/etc/nsswitch.conf", "hosts: files dns\n"},
    {"/etc/hosts", "127.0.0.1 localhost\n"}};

/// Runs `body` with these files in place of the system's, and with the loopback interface as
/// network.
void in_own_network(const std::function<void()>& body) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root may have a name server of its own";
  const int status = run_in_namespaces(kFiles, true, [&] {
    body();
    return ::testing::Test::HasFailure() ? 1 : 0;
  });
  if (status == kNoNamespaces) GTEST_SKIP() << "no name spaces here";
  EXPECT_EQ(status, 0);
}

/// Names of all kinds.
const std::vector<std::string> kRecords = {
    "--host-record=one.test,127.0.0.11",
    "--host-record=several.test,127.0.0.21",
    "--host-record=several.test,127.0.0.22",
    "--host-record=several.test,127.0.0.23",
    "--host-record=six.test,::1",
    "--host-record=dual.test,127.0.0.1,::1",
    "--cname=alias.test,one.test",
    "--cname=second.test,alias.test",
    "--txt-record=empty.test,nothing but text",
    "--host-record=xn--bcher-kva.test,127.0.0.31",
    "--host-record=fass.test,127.0.0.32",
    "--host-record=xn--r8jz45g.test,127.0.0.33",
    "--ptr-record=41.0.0.127.in-addr.arpa,reverse.test",
    "--ptr-record=42.0.0.127.in-addr.arpa,nodots",
};

// --- a server that answers ---

TEST(Dns, AnswersOfEveryKindAreThoseOfPython) {
  in_own_network([] {
    const DnsServer server(kRecords);
    std::vector<parity::Case> cases;
    const std::vector<std::string> names = {
        "one.test",     "several.test", "six.test",          "dual.test", "alias.test",
        "second.test",  "empty.test",   "no-such.test",      "ONE.test",  "one.test.",
        "localhost",    "bücher.test",  "BÜCHER.test",       "faß.test",  "例え.test",
        "b\u00fc.test", "reverse.test", "xn--bcher-kva.test"};
    for (const std::string& name : names) {
      for (const std::string operation : {"getaddrinfo", "getaddrinfo in time"})
        for (const std::string family : {"0", "2", "10"})
          for (const std::string flags : {"0", "2", "4", "8", "0x18", "0x20", "0x22"})
            cases.push_back({operation, name, "#80", family, "1", "0", flags});
      for (const std::string operation :
           {"gethostbyname", "gethostbyname_ex", "gethostbyaddr", "getfqdn"})
        cases.push_back({operation, name});
    }
    for (const std::string address :
         {"127.0.0.11", "127.0.0.21", "127.0.0.41", "127.0.0.42", "127.0.0.99", "::1", "::2"}) {
      for (const std::string operation : {"gethostbyaddr", "getfqdn"})
        cases.push_back({operation, address});
      for (const std::string flags : {"0", "2", "4", "8"})
        cases.push_back({"getnameinfo", flags, address, "80"});
    }
    parity::expect_parity(parity::name_operations(), "parity_resolver.py", cases, 800);
  });
}

TEST(Dns, OfANameThatIsNotThereOrHasNoAddressIsAGaierror) {
  in_own_network([] {
    const DnsServer server(kRecords);
    for (const Timeout timeout : {Timeout(std::nullopt), Timeout(20)}) {
      const auto number = [&](const std::string& name) {
        return number_of_error<gaierror>(
            [&] { getaddrinfo(name, 80, AF{}, SOCK{}, 0, AI{}, timeout); });
      };
      EXPECT_EQ(number("no-such.test"), static_cast<int>(EAI::NONAME));
      EXPECT_EQ(number("empty.test"), static_cast<int>(EAI::NODATA));
      EXPECT_THAT(text_of_error<gaierror>([&] {
                    std::ignore = create_connection({"empty.test", 80}, timeout);
                  }),
                  HasSubstr("('empty.test', 80)"));
    }
    EXPECT_THAT(text_of_error<herror>([] { gethostbyaddr("127.0.0.99"); }),
                StartsWith("[Errno 1] Unknown host: '127.0.0.99'"));
  });
}

TEST(Dns, GivesTheCanonicalNameBehindAnAlias) {
  in_own_network([] {
    const DnsServer server(kRecords);
    EXPECT_EQ(
        getaddrinfo("second.test", 80, AF::INET, SOCK::STREAM, 0, AI::CANONNAME).at(0).canonname,
        "one.test");
    const auto [hostname, aliaslist, ipaddrlist] = gethostbyname_ex("second.test");
    EXPECT_EQ(hostname, "one.test");
    EXPECT_THAT(aliaslist, ::testing::Contains("second.test"));
    EXPECT_THAT(ipaddrlist, ::testing::ElementsAre("127.0.0.11"));
  });
}

TEST(Dns, ConnectionsPassAddressesThatRefuse) {
  in_own_network([] {
    const DnsServer server(kRecords);
    for (const std::string host : {"127.0.0.21", "127.0.0.22", "127.0.0.23"}) {
      Socket listener = tcp_listener(host);
      const HostPort address("several.test", listener.getsockname().port());
      EXPECT_EQ(create_connection(address).getpeername(), listener.getsockname());
      EXPECT_EQ(create_connection(address, 20).getpeername(), listener.getsockname());
      EXPECT_EQ(create_connection(address, {.happy_eyeballs_delay = 20}).getpeername(),
                listener.getsockname());
    }
    Socket refusing = refusing_socket("127.0.0.21");
    try {
      std::ignore =
          create_connection({"several.test", refusing.getsockname().port()}, {.all_errors = true});
      ADD_FAILURE();
    } catch (const ExceptionGroup& group) {
      EXPECT_EQ(group.exceptions().size(), 3u);
      for (const std::string host : {"127.0.0.21", "127.0.0.22", "127.0.0.23"})
        EXPECT_THAT(group.what(), HasSubstr(host));
    }
  });
}

TEST(Dns, SocketsTakeTheAddressOfTheirOwnFamily) {
  in_own_network([] {
    const DnsServer server(kRecords);
    for (const Timeout timeout : {Timeout(std::nullopt), Timeout(20), Timeout(0)}) {
      Socket four;
      four.settimeout(timeout);
      four.bind({"dual.test", 0});
      EXPECT_EQ(four.getsockname().host(), "127.0.0.1");
      Socket six(AF::INET6);
      six.settimeout(timeout);
      six.bind({"dual.test", 0});
      EXPECT_EQ(six.getsockname().host(), "::1");
      EXPECT_THROW(Socket().bind({"six.test", 0}), gaierror);
      EXPECT_THROW(Socket(AF::INET6).connect({"one.test", 80}), gaierror);
      Socket receiver(AF::INET, SOCK::DGRAM);
      receiver.bind({"127.0.0.11", 0});
      Socket sender(AF::INET, SOCK::DGRAM);
      sender.settimeout(timeout);
      sender.sendto("x", {"one.test", receiver.getsockname().port()});
      EXPECT_EQ(receiver.recv(10), "x");
    }
    Socket listener = tcp_listener("::1");
    EXPECT_EQ(create_connection({"six.test", listener.getsockname().port()}, 20).getpeername(),
              listener.getsockname());
  });
}

TEST(Dns, HappyEyeballsPassAnAddressThatDropsEverything) {
  in_own_network([] {
    const DnsServer server({"--host-record=hole.test,127.0.0.1,2001:db8::1"});
    // Packets to the address come back over the loopback interface, where nobody receives them. The
    // other address is a source address for this host, so that IPv6 comes first.
    int status = 0;
    run_program({"ip", "-6", "route", "add", "2001:db8::/64", "dev", "lo"}, status);
    ASSERT_EQ(status, 0);
    run_program({"ip", "-6", "address", "add", "2001:db8:1::1/128", "dev", "lo", "nodad"}, status);
    ASSERT_EQ(status, 0);
    Socket listener = tcp_listener();
    const HostPort address("hole.test", listener.getsockname().port());
    const auto targets = getaddrinfo(address.host, address.port, AF{}, SOCK::STREAM);
    ASSERT_EQ(targets.size(), 2u);
    ASSERT_EQ(targets[0].family, AF::INET6);

    const int before = settled_descriptors();
    // Without a timeout the first attempt takes the two minutes of the kernel; the second one does
    // not wait for it.
    Socket client = create_connection(
        address, {.timeout = std::nullopt, .happy_eyeballs_delay = kHappyEyeballsDelay});
    EXPECT_EQ(client.getpeername(), listener.getsockname());
    client.close();
    EXPECT_EQ(settled_descriptors(), before);

    // Without them the first address uses up its timeout, and the second one follows.
    Socket late = create_connection(address, 0.05);
    EXPECT_EQ(late.getpeername(), listener.getsockname());
    try {
      listener.close();
      std::ignore = create_connection(
          address, {.timeout = 0.05, .all_errors = true, .happy_eyeballs_delay = 20});
      ADD_FAILURE();
    } catch (const ExceptionGroup& group) {
      ASSERT_EQ(group.exceptions().size(), 2u);
      EXPECT_EQ(group.exceptions()[0].code(), timed_out());
      EXPECT_EQ(group.exceptions()[1].number(), ECONNREFUSED);
    }
  });
}

TEST(Dns, WithoutLibidn2NamesThatAreNotAsciiAreAGaierror) {
  std::map<std::string, std::string> files = kFiles;
  for (const auto& folder : std::filesystem::directory_iterator("/usr/lib"))
    if (const auto library = folder.path() / "libidn2.so.0"; std::filesystem::exists(library))
      files[library.string()] = "";
  const int status = run_in_namespaces(files, false, [] {
    EXPECT_THAT(text_of_error<gaierror>([] { getaddrinfo("bücher.test", 80); }),
                ::testing::AllOf(StartsWith("[Errno -105]"), HasSubstr("'bücher.test'")));
    EXPECT_EQ(gethostbyname("localhost"), "127.0.0.1");
    return ::testing::Test::HasFailure() ? 1 : 0;
  });
  if (status == kNoNamespaces) GTEST_SKIP() << "no name spaces here";
  EXPECT_EQ(status, 0);
}

// --- a server that does not answer ---

TEST(SilentDns, EveryCallEndsAtItsTimeoutAndNamesTheHost) {
  in_own_network([] {
    const SilentDnsServer server;
    const HostPort address("slow.test", 80);
    const auto expect_timeout = [](const std::function<void()>& call) {
      EXPECT_THAT(text_of_error<TimeoutError>(call),
                  ::testing::AllOf(StartsWith("timed out"), HasSubstr("slow.test")));
    };
    expect_timeout([&] { getaddrinfo("slow.test", 80, AF{}, SOCK{}, 0, AI{}, 0.02); });
    expect_timeout([&] { std::ignore = create_connection(address, 0.02); });
    expect_timeout(
        [&] { std::ignore = create_connection(address, {.timeout = 0.02, .all_errors = true}); });
    expect_timeout([&] {
      std::ignore = create_connection(
          address, {.timeout = 0.02, .happy_eyeballs_delay = kHappyEyeballsDelay});
    });
    Socket listener = tcp_listener();
    expect_timeout([&] {
      std::ignore = create_connection({"127.0.0.1", listener.getsockname().port()},
                                      {.timeout = 0.02, .source = HostPort("slow.test", 0)});
    });
    Socket sock;
    sock.settimeout(0.02);
    expect_timeout([&] { sock.connect(address); });
    expect_timeout([&] { sock.bind(address); });
    EXPECT_EQ(sock.connect_ex(address), EAGAIN);
    Socket datagrams(AF::INET, SOCK::DGRAM);
    datagrams.settimeout(0.02);
    expect_timeout([&] { datagrams.sendto("x", address); });
    std::error_code error;
    EXPECT_TRUE(getaddrinfo("slow.test", 80, AF{}, SOCK{}, 0, AI{}, 0.02, error).empty());
    EXPECT_EQ(error, timed_out());
  });
}

TEST(SilentDns, AnAnswerForACallerThatHasGoneIsDropped) {
  in_own_network([] {
    SilentDnsServer server;
    const int descriptors = settled_descriptors();
    EXPECT_THROW(getaddrinfo("slow.test", 80, AF::INET, SOCK{}, 0, AI{}, 0.02), TimeoutError);
    const auto query = server.next();
    // The lookup continues in its thread, which holds one descriptor for the query.
    EXPECT_EQ(settled_descriptors(), descriptors + 1);
    server.answer(query);
    while (settled_descriptors() != descriptors) std::this_thread::yield();
    // The same thread makes the next lookup.
    std::thread answering([&] { server.answer(server.next()); });
    const auto answers = getaddrinfo("next.test", 80, AF::INET, SOCK::STREAM, 0, AI{}, 20);
    answering.join();
    // If that thread was not quite ready yet, a second one took its place.
    EXPECT_LE(count_helpers(), 2);
    ASSERT_EQ(answers.size(), 1u);
    EXPECT_EQ(to_string(answers[0].sockaddr), "('127.0.0.1', 80)");
  });
}

TEST(SilentDns, BeyondSixteenLookupsWaitTheirTurn) {
  in_own_network([] {
    constexpr int kMost = 16, kCallers = 40;
    SilentDnsServer server;
    std::atomic<int> answered{0};
    std::vector<std::thread> callers;
    for (int i = 0; i < kCallers; ++i)
      callers.emplace_back([&, i] {
        std::error_code error;
        const auto answers = getaddrinfo("name" + std::to_string(i) + ".test", 80, AF::INET,
                                         SOCK::STREAM, 0, AI{}, 50, error);
        if (!error && answers.size() == 1) ++answered;
      });
    std::vector<SilentDnsServer::Query> queries;
    for (int i = 0; i < kMost; ++i) queries.push_back(server.next());
    EXPECT_THROW(server.next(0.1), TimeoutError);
    EXPECT_EQ(count_helpers(), kMost);
    // A lookup that waits for its turn times out, and is never sent to the server.
    EXPECT_THROW(getaddrinfo("gone.test", 80, AF::INET, SOCK{}, 0, AI{}, 0.02), TimeoutError);
    for (const auto& query : queries) server.answer(query);
    for (int i = kMost; i < kCallers; ++i) {
      const auto query = server.next();
      EXPECT_EQ(query.message.find("gone"), Bytes::npos);
      server.answer(query);
    }
    for (std::thread& caller : callers) caller.join();
    EXPECT_EQ(answered, kCallers);
    EXPECT_THROW(server.next(0.1), TimeoutError);
  });
}

/// The thread sanitizer allows no threads in the child of a process with threads.
constexpr bool kForksWithThreads =
#ifdef __SANITIZE_THREAD__
    false;
#elif defined(__has_feature)
    !__has_feature(thread_sanitizer);
#else
    true;
#endif

TEST(SilentDns, AForkedChildBeginsWithoutThreadsAndLooksUpOnItsOwn) {
  if (!kForksWithThreads) GTEST_SKIP() << "not with the thread sanitizer";
  in_own_network([] {
    SilentDnsServer server;
    // As many lookups as possible run at once, and the others wait for them to end.
    std::vector<std::unique_ptr<BlockedThread>> callers;
    for (int i = 0; i < 20; ++i)
      callers.push_back(std::make_unique<BlockedThread>([] {
        std::error_code error;
        getaddrinfo("parent.test", 80, AF::INET, SOCK::STREAM, 0, AI{}, 50, error);
        EXPECT_FALSE(error);
      }));
    std::vector<SilentDnsServer::Query> queries;
    for (int i = 0; i < 16; ++i) queries.push_back(server.next());
    // If a thread allocated during the fork, the address sanitizer would stay locked in the child.
    for (const auto& caller : callers) EXPECT_TRUE(caller->wait_until_blocked());
    const int status = run_in_child([] {
      if (count_helpers() != 0) return 1;
      for (int i = 0; i < 3; ++i)
        if (getaddrinfo("localhost", 80, AF::INET, SOCK::STREAM, 0, AI{}, 20).size() != 1) return 2;
      return count_helpers() == 1 ? 0 : 3;
    });
    EXPECT_EQ(status, 0);
    for (const auto& query : queries) server.answer(query);
    for (int i = 16; i < 20; ++i) server.answer(server.next());
    for (const auto& caller : callers) caller->join();
  });
}

TEST(SilentDns, AProcessEndsWhileALookupIsUnderWay) {
  in_own_network([] {
    const SilentDnsServer server;
    const int status = run_in_child([]() -> int {
      EXPECT_THROW(getaddrinfo("slow.test", 80, AF{}, SOCK{}, 0, AI{}, 0.02), TimeoutError);
      std::exit(::testing::Test::HasFailure() ? 1 : 0);  // destroys all static objects
    });
    EXPECT_EQ(status, 0);
  });
}

TEST(SilentDns, TheInterruptHookEndsALookup) {
  in_own_network([] {
    const SilentDnsServer server;
    set_interrupt_hook([] { return std::errc::operation_canceled; });
    struct sigaction action {};
    action.sa_handler = [](int) {};
    ::sigaction(SIGALRM, &action, nullptr);
    ::ualarm(20'000, 20'000);  // repeatedly, in case the first signal is too early
    EXPECT_EQ(number_of_error([] { getaddrinfo("slow.test", 80, AF::INET, SOCK{}, 0, AI{}, 20); }),
              ECANCELED);
    ::ualarm(0, 0);
    set_interrupt_hook(nullptr);
  });
}

}  // namespace
}  // namespace plug
