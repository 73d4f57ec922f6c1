#include <plug/error.hpp>
#include <plug/resolve.hpp>
#include <plug/socket.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <unistd.h>

#include <cerrno>
#include <concepts>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "support/errors.hpp"
#include "support/process.hpp"
#include "support/sockets.hpp"

namespace plug {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

// The space in the name keeps it away from name servers.
constexpr std::string_view kNoSuchHost = "no such host";
const std::string kNul("a\0b", 3);
const Bytes kLoopback6("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1", 16);

TEST(Getaddrinfo, OfANumberIsThatNumberForEveryType) {
  const auto answers = getaddrinfo("127.0.0.1", 80);
  ASSERT_EQ(answers.size(), 3u);
  EXPECT_EQ(answers[0].type, SOCK::STREAM);
  EXPECT_EQ(answers[0].proto, 6);
  EXPECT_EQ(answers[1].type, SOCK::DGRAM);
  EXPECT_EQ(answers[1].proto, 17);
  EXPECT_EQ(answers[2].type, SOCK::RAW);
  for (const AddrInfo& answer : answers) {
    EXPECT_EQ(answer.family, AF::INET);
    EXPECT_EQ(to_string(answer.sockaddr), "('127.0.0.1', 80)");
    EXPECT_EQ(answer.canonname, "");
  }
}

TEST(Getaddrinfo, KeepsToTheFamilyTypeAndProtocolAskedFor) {
  const auto six = getaddrinfo("::1", 80, AF::INET6, SOCK::DGRAM);
  ASSERT_EQ(six.size(), 1u);
  EXPECT_EQ(to_string(six[0].sockaddr), "('::1', 80, 0, 0)");
  EXPECT_EQ(six[0].type, SOCK::DGRAM);
  const auto tcp = getaddrinfo("127.0.0.1", 80, AF::UNSPEC, SOCK{}, IPPROTO::TCP);
  ASSERT_EQ(tcp.size(), 1u);
  EXPECT_EQ(tcp[0].type, SOCK::STREAM);
}

TEST(Getaddrinfo, TakesAServiceByNameByNumberOrNone) {
  const auto port = [](const Service& service) {
    return getaddrinfo("127.0.0.1", service, AF::INET, SOCK::STREAM).at(0).sockaddr.port();
  };
  EXPECT_EQ(port("http"), 80);
  EXPECT_EQ(port(std::string("http")), 80);
  EXPECT_EQ(port(std::string_view("http")), 80);
  EXPECT_EQ(port("8080"), 8080);
  EXPECT_EQ(port(8080), 8080);
  EXPECT_EQ(port(std::nullopt), 0);
}

TEST(Getaddrinfo, WithoutAHostIsThisHostOrEveryInterface) {
  const auto host = [](AF family, AI flags) {
    return getaddrinfo(std::nullopt, 80, family, SOCK::STREAM, 0, flags).at(0).sockaddr.host();
  };
  EXPECT_EQ(host(AF::INET, AI{}), "127.0.0.1");
  EXPECT_EQ(host(AF::INET, AI::PASSIVE), "0.0.0.0");
  EXPECT_EQ(host(AF::INET6, AI{}), "::1");
  EXPECT_EQ(host(AF::INET6, AI::PASSIVE), "::");
}

TEST(Getaddrinfo, GivesTheCanonicalNameInTheFirstAnswerAlone) {
  const auto answers = getaddrinfo("localhost", 80, AF::INET, SOCK{}, 0, AI::CANONNAME);
  ASSERT_GT(answers.size(), 1u);
  EXPECT_EQ(answers[0].canonname, "localhost");
  EXPECT_EQ(answers[1].canonname, "");
}

TEST(Getaddrinfo, OfANameThatIsNotFoundIsAGaierrorNamingHostAndPort) {
  const auto look_up = [] { getaddrinfo(kNoSuchHost, 80); };
  EXPECT_THAT(text_of_error<gaierror>(look_up),
              AllOf(StartsWith("[Errno -"), HasSubstr("'no such host'"), HasSubstr("80")));
  EXPECT_LT(number_of_error<gaierror>(look_up), 0);
}

TEST(Getaddrinfo, KeepsTheResolversNumbers) {
  const auto number = [](std::optional<std::string_view> host, const Service& service, AF family,
                         SOCK type, AI flags) {
    return number_of_error<gaierror>([&] { getaddrinfo(host, service, family, type, 0, flags); });
  };
  EXPECT_EQ(number("localhost", 80, AF::INET, SOCK{}, AI::NUMERICHOST),
            static_cast<int>(EAI::NONAME));
  EXPECT_EQ(number(std::nullopt, std::nullopt, AF::INET, SOCK{}, AI{}),
            static_cast<int>(EAI::NONAME));
  EXPECT_EQ(number("127.0.0.1", "no-such-service", AF::INET, SOCK::STREAM, AI{}),
            static_cast<int>(EAI::SERVICE));
  EXPECT_EQ(number("127.0.0.1", 80, AF{12345}, SOCK{}, AI{}), static_cast<int>(EAI::FAMILY));
  EXPECT_EQ(number("127.0.0.1", 80, AF::INET, SOCK{99}, AI{}), static_cast<int>(EAI::SOCKTYPE));
  EXPECT_EQ(number("127.0.0.1", 80, AF::INET, SOCK{}, AI{0x40000000}),
            static_cast<int>(EAI::BADFLAGS));
  EXPECT_EQ(number("127.0.0.1", 80, AF::INET6, SOCK{}, AI{}), static_cast<int>(EAI::ADDRFAMILY));
}

TEST(Getaddrinfo, RefusesANulInAName) {
  EXPECT_THAT(text_of_error<ValueError>([] { getaddrinfo(kNul, 80); }), HasSubstr("a\\x00b"));
  EXPECT_THAT(text_of_error<ValueError>([] { getaddrinfo("127.0.0.1", kNul); }),
              HasSubstr("a\\x00b"));
}

TEST(Getaddrinfo, WithAnErrorCodeStoresAndClearsIt) {
  std::error_code error;
  EXPECT_TRUE(getaddrinfo(kNoSuchHost, 80, AF::UNSPEC, SOCK{}, 0, AI{}, error).empty());
  EXPECT_EQ(error.category(), gai_category());
  EXPECT_TRUE(getaddrinfo(kNul, 80, AF::UNSPEC, SOCK{}, 0, AI{}, error).empty());
  EXPECT_EQ(error, Errc::embedded_nul);
  EXPECT_EQ(getaddrinfo("127.0.0.1", 80, AF::INET, SOCK::STREAM, 0, AI{}, error).size(), 1u);
  EXPECT_FALSE(error);
}

TEST(Gethostbyname, KnowsTheEmptyNameBroadcastAndNumbers) {
  EXPECT_EQ(gethostbyname(""), "0.0.0.0");
  EXPECT_EQ(gethostbyname("<broadcast>"), "255.255.255.255");
  EXPECT_EQ(gethostbyname("10.1.2.3"), "10.1.2.3");
  EXPECT_EQ(gethostbyname("127.1"), "127.0.0.1");
  EXPECT_EQ(gethostbyname("localhost"), "127.0.0.1");
}

TEST(Gethostbyname, OfANameThatIsNotFoundIsAGaierrorNamingIt) {
  EXPECT_THAT(text_of_error<gaierror>([] { gethostbyname(kNoSuchHost); }),
              HasSubstr("'no such host'"));
  EXPECT_THROW(gethostbyname("::1"), gaierror);
  EXPECT_THROW(gethostbyname(kNul), ValueError);
  EXPECT_THROW(gethostbyname(std::string_view("127.0.0.1\0", 10)), ValueError);
}

TEST(Gethostname, IsTheNameOfThisMachine) {
  EXPECT_FALSE(gethostname().empty());
  EXPECT_EQ(gethostname().find('\0'), std::string::npos);
}

TEST(Getaddrinfo, NamesTheHintsThatItWasGiven) {
  EXPECT_THAT(text_of_error<gaierror>(
                  [] { getaddrinfo("localhost", "80", AF{12345}, SOCK{7}, 8, AI{0x40000000}); }),
              HasSubstr("host 'localhost', port '80', family 12345, type 7, proto 8, flags "
                        "1073741824"));
  EXPECT_THAT(text_of_error<gaierror>([] { getaddrinfo(std::nullopt, std::nullopt); }),
              HasSubstr("host None, port None"));
}

TEST(Getaddrinfo, PassesHugePortsOnAsPythonDoes) {
  EXPECT_EQ(getaddrinfo("127.0.0.1", 65536 + 80, AF::INET, SOCK::STREAM).at(0).sockaddr.port(), 80);
  EXPECT_EQ(number_of_error<gaierror>([] { getaddrinfo("127.0.0.1", -1); }),
            static_cast<int>(EAI::SERVICE));
  EXPECT_EQ(getaddrinfo("127.0.0.1", std::uint64_t{1} << 33).at(0).sockaddr.port(), 0);
}

TEST(Getaddrinfo, OfANameThatCannotBeEncodedIsAGaierror) {
  const int number = number_of_error<gaierror>([] { getaddrinfo("\xff.test", 80); });
  EXPECT_EQ(number, -105);
  EXPECT_EQ(number_of_error<gaierror>([] { gethostbyname_ex("\xc3\xbc\xff"); }), -105);
}

TEST(GetaddrinfoInTime, AnswersNumbersAndNames) {
  for (const Timeout timeout : {Timeout(std::nullopt), Timeout(20)}) {
    const auto local = getaddrinfo("localhost", 80, AF::INET, SOCK::STREAM, 0, AI{}, timeout);
    ASSERT_EQ(local.size(), 1u);
    EXPECT_EQ(to_string(local[0].sockaddr), "('127.0.0.1', 80)");
    EXPECT_EQ(
        getaddrinfo("::1", "http", AF{}, SOCK::STREAM, 0, AI{}, timeout).at(0).sockaddr.port(), 80);
    EXPECT_EQ(number_of_error<gaierror>(
                  [=] { getaddrinfo(kNoSuchHost, 80, AF{}, SOCK{}, 0, AI{}, timeout); }),
              static_cast<int>(EAI::NONAME));
    EXPECT_EQ(number_of_error<gaierror>(
                  [=] { getaddrinfo("localhost", 80, AF{12345}, SOCK{}, 0, AI{}, timeout); }),
              static_cast<int>(EAI::FAMILY));
    EXPECT_THROW(getaddrinfo(kNul, 80, AF{}, SOCK{}, 0, AI{}, timeout), ValueError);
  }
}

TEST(GetaddrinfoInTime, OfZeroAnswersNumbersAlone) {
  EXPECT_EQ(getaddrinfo("127.0.0.1", 80, AF{}, SOCK::STREAM, 0, AI{}, 0).size(), 1u);
  EXPECT_THAT(
      text_of_error<TimeoutError>([] { getaddrinfo("localhost", 80, AF{}, SOCK{}, 0, AI{}, 0); }),
      StartsWith("timed out: host 'localhost', port '80'"));
}

TEST(GetaddrinfoInTime, TakesNoThreadForNumbersAndOneForNamesInTurn) {
  const int before = count_helpers();
  getaddrinfo("127.0.0.1", 80, AF{}, SOCK{}, 0, AI{}, 20);
  getaddrinfo("fe80::1%1", 80, AF{}, SOCK{}, 0, AI{}, 20);
  getaddrinfo(std::nullopt, 80, AF{}, SOCK{}, 0, AI{}, 20);
  Socket timed;
  timed.settimeout(20);
  timed.bind({"127.0.0.1", 0});
  EXPECT_EQ(count_helpers(), before);
  for (int i = 0; i < 3; ++i) getaddrinfo("localhost", 80, AF{}, SOCK{}, 0, AI{}, 20);
  EXPECT_EQ(count_helpers(), 1);
}

TEST(Getaddrinfo, TakesNoThreadWithoutATimeout) {
  if (std::getenv("PLUG_TEST_IN") != nullptr)
    GTEST_SKIP() << "it does in a fiber, which must not block";
  const int before = count_helpers();
  getaddrinfo("localhost", 80);
  gethostbyname_ex("localhost");
  getfqdn();
  EXPECT_EQ(count_helpers(), before);
}

TEST(Getnameinfo, GivesHostAndServiceAsNumbersOrNames) {
  const NI numeric = NI::NUMERICHOST | NI::NUMERICSERV;
  const auto [host, service] = getnameinfo({"127.0.0.1", 80}, numeric);
  EXPECT_EQ(host, "127.0.0.1");
  EXPECT_EQ(service, "80");
  EXPECT_EQ(getnameinfo(Address::parse("[::1]:53"), numeric).first, "::1");
  EXPECT_EQ(getnameinfo(Address::parse("127.0.0.1:53"), NI::NUMERICHOST | NI::DGRAM).second,
            "domain");
  EXPECT_EQ(getnameinfo({"127.0.0.1", 80}).first, "localhost");
}

TEST(Getnameinfo, NamesTheInterfaceOfALinkLocalAddress) {
  EXPECT_EQ(getnameinfo({"fe80::1", 80, 0, 1}, NI::NUMERICHOST).first,
            "fe80::1%" + if_indextoname(1));
  EXPECT_EQ(getnameinfo(Address::parse("[fe80::1%1]:80"), NI::NUMERICHOST).first,
            "fe80::1%" + if_indextoname(1));
}

TEST(Getnameinfo, RefusesWhatIsNoNumericAddressAndNamesIt) {
  EXPECT_THAT(text_of_error<gaierror>([] {
                getnameinfo({"localhost", 80});
              }),
              AllOf(StartsWith("[Errno -2]"), HasSubstr("('localhost', 80)")));
  EXPECT_THROW(getnameinfo({"", 80}), gaierror);
  EXPECT_THAT(text_of_error<OSError>([] {
                getnameinfo({"127.0.0.1", 80, 0, 1});
              }),
              HasSubstr("('127.0.0.1', 80, 0, 1)"));
  EXPECT_THROW(getnameinfo({"::1", 80, 0x100000}), OverflowError);
  EXPECT_THROW(getnameinfo({"127.0.0.1", 80}, NI{0x40000000}), gaierror);
  EXPECT_EQ(number_of_error<gaierror>([] { getnameinfo(Address()); }),
            static_cast<int>(EAI::FAMILY));
  std::error_code error;
  EXPECT_EQ(getnameinfo(HostPort("localhost", 80), NI{}, error).first, "");
  EXPECT_EQ(error, std::error_code(static_cast<int>(EAI::NONAME), gai_category()));
  HostPort changed("127.0.0.1", 80);
  changed.port = -1;
  EXPECT_THROW(getnameinfo(changed, NI{}, error), OverflowError);
}

TEST(GethostbynameEx, GivesNameAliasesAndAddresses) {
  const auto [hostname, aliaslist, ipaddrlist] = gethostbyname_ex("127.0.0.9");
  EXPECT_EQ(hostname, "127.0.0.9");
  EXPECT_TRUE(aliaslist.empty());
  EXPECT_THAT(ipaddrlist, ::testing::ElementsAre("127.0.0.9"));
  EXPECT_THAT(gethostbyname_ex("localhost").ipaddrlist, ::testing::Contains("127.0.0.1"));
}

TEST(GethostbynameEx, OfWhatHasNoAddressIsAGaierrorOrHerrorThatNamesIt) {
  EXPECT_THAT(text_of_error<gaierror>([] { gethostbyname_ex(kNoSuchHost); }),
              HasSubstr("'no such host'"));
  EXPECT_THAT(text_of_error<gaierror>([] { gethostbyname_ex("::1"); }), HasSubstr("'::1'"));
  EXPECT_THAT(text_of_error<herror>([] { gethostbyname_ex(""); }), HasSubstr("''"));
  EXPECT_THROW(gethostbyname_ex(kNul), ValueError);
  std::error_code error;
  EXPECT_TRUE(gethostbyname_ex("", error).ipaddrlist.empty());
  EXPECT_EQ(error.category(), herror_category());
}

TEST(Gethostbyaddr, FindsTheNameOfAnAddress) {
  const auto [hostname, aliaslist, ipaddrlist] = gethostbyaddr("127.0.0.1");
  EXPECT_EQ(hostname, "localhost");
  EXPECT_THAT(ipaddrlist, ::testing::ElementsAre("127.0.0.1"));
  EXPECT_EQ(gethostbyaddr("localhost").hostname, "localhost");
}

TEST(Gethostbyaddr, RefusesWhatIsNoOneAddress) {
  EXPECT_THAT(text_of_error<gaierror>([] { gethostbyaddr(kNoSuchHost); }),
              HasSubstr("'no such host'"));
  EXPECT_EQ(text_of_error<OSError>([] { gethostbyaddr(""); }),
            "wildcard resolved to multiple address: ''");
  EXPECT_THROW(gethostbyaddr(kNul), ValueError);
}

TEST(Getfqdn, IsTheNameItselfWhereThereIsNoBetter) {
  EXPECT_EQ(getfqdn("no such host"), "no such host");
  EXPECT_EQ(getfqdn(" \t127.0.0.1\n"), "localhost");
  EXPECT_EQ(getfqdn(), getfqdn(gethostname()));
  EXPECT_EQ(getfqdn("0.0.0.0"), getfqdn());
  EXPECT_EQ(getfqdn("::"), getfqdn());
  EXPECT_THROW(getfqdn(kNul), ValueError);
}

TEST(Sethostname, NamesThisMachineWithTheRightAndIsRefusedWithout) {
  const int status = run_in_child([] {
    // In a UTS namespace, so that the machine keeps its name.
    if (::unshare(CLONE_NEWUSER | CLONE_NEWUTS) != 0) return 77;
    sethostname("plug-test");
    if (gethostname() != "plug-test") return 1;
    sethostname("");
    if (!gethostname().empty()) return 2;
    try {
      sethostname(std::string(65, 'x'));
      return 3;
    } catch (const OSError& error) {
      if (error.number() != EINVAL) return 4;
    }
    return 0;
  });
  if (status == 77) GTEST_SKIP() << "no name spaces here";
  EXPECT_EQ(status, 0);
  const int refused = run_in_child([] {
    // The right to create a namespace does not include the right to rename this one.
    if (::unshare(CLONE_NEWUTS) != 0 && ::geteuid() == 0) return 77;
    if (::geteuid() == 0 && ::unshare(CLONE_NEWUSER) != 0) return 77;
    try {
      sethostname("plug-test");
      return 1;
    } catch (const PermissionError& error) {
      return std::string(error.what()).find("'plug-test'") != std::string::npos ? 0 : 2;
    }
  });
  if (refused == 77) GTEST_SKIP() << "no name spaces here";
  EXPECT_EQ(refused, 0);
}

TEST(Getservbyport, KnowsTheServicesOfTheInternet) {
  EXPECT_EQ(getservbyport(80), "http");
  EXPECT_EQ(getservbyport(53, "udp"), "domain");
  EXPECT_EQ(text_of_error<OSError>([] { getservbyport(80, "no-such"); }),
            "port/proto not found: 80/'no-such'");
  EXPECT_THROW(getservbyport(0), OSError);
  EXPECT_THROW(getservbyport(80, kNul), ValueError);
  for (const int port : {-1, 65536})
    EXPECT_THAT(text_of_error<OverflowError>([=] { getservbyport(port); }),
                HasSubstr(std::to_string(port)));
}

TEST(Getprotobyname, KnowsTheProtocolsOfTheInternet) {
  EXPECT_EQ(getprotobyname("tcp"), 6);
  EXPECT_EQ(getprotobyname("udp"), 17);
  EXPECT_EQ(getprotobyname("ICMP"), 1);
  EXPECT_EQ(text_of_error<OSError>([] { getprotobyname("no-such"); }),
            "protocol not found: 'no-such'");
  EXPECT_THROW(getprotobyname(kNul), ValueError);
}

TEST(Interfaces, HaveANameAndAnIndexEach) {
  const auto interfaces = if_nameindex();
  ASSERT_FALSE(interfaces.empty());
  for (const auto& [index, name] : interfaces) {
    EXPECT_EQ(if_nametoindex(name), index);
    EXPECT_EQ(if_indextoname(index), name);
  }
  EXPECT_GT(if_nametoindex("lo"), 0);
}

TEST(Interfaces, ThatAreNotThereAreNamed) {
  EXPECT_EQ(text_of_error<OSError>([] { if_nametoindex("no-such-if"); }),
            "no interface with this name: 'no-such-if'");
  EXPECT_THROW(if_nametoindex(""), OSError);
  EXPECT_THROW(if_nametoindex(std::string(500, 'x')), OSError);
  EXPECT_THROW(if_nametoindex(kNul), ValueError);
  try {
    if_indextoname(1 << 30);
    ADD_FAILURE();
  } catch (const OSError& error) {
    EXPECT_EQ(error.number(), ENXIO);
    EXPECT_THAT(error.what(), HasSubstr(std::to_string(1 << 30)));
  }
  for (const std::int64_t index : {std::int64_t{-1}, std::int64_t{1} << 32})
    EXPECT_THAT(text_of_error<OverflowError>([=] { if_indextoname(index); }),
                HasSubstr(std::to_string(index)));
}

TEST(Getservbyname, KnowsTheServicesOfTheInternet) {
  EXPECT_EQ(getservbyname("http"), 80);
  EXPECT_EQ(getservbyname("http", "tcp"), 80);
  EXPECT_EQ(getservbyname("domain", "udp"), 53);
  EXPECT_EQ(getservbyname("telnet", "tcp"), 23);
}

TEST(Getservbyname, OfWhatIsNotKnownIsAnOSErrorWithoutNumberThatNamesIt) {
  try {
    getservbyname("no-such-service", "tcp");
    ADD_FAILURE() << "found";
  } catch (const OSError& error) {
    EXPECT_STREQ(error.what(), "service/proto not found: 'no-such-service'/'tcp'");
    EXPECT_EQ(error.number(), 0);
    EXPECT_EQ(error.code(), Errc::no_such_name);
  }
  EXPECT_THROW(getservbyname("http", "no-such-protocol"), OSError);
  EXPECT_THROW(getservbyname(""), OSError);
  EXPECT_THROW(getservbyname(std::string_view("http\0", 5)), ValueError);
  EXPECT_THROW(getservbyname("http", std::string_view("tcp\0x", 5)), ValueError);
}

// hton() and ntoh() accept integers of 16 and 32 bits, but no int.
template <class T>
constexpr bool kOrders = requires(T value) {
  hton(value);
};
static_assert(kOrders<std::uint16_t> && kOrders<std::uint32_t>);
static_assert(!kOrders<int> && !kOrders<std::uint64_t> && !kOrders<long> && !kOrders<double>);
static_assert(std::same_as<decltype(hton(std::uint16_t{1})), std::uint16_t>);
static_assert(std::same_as<decltype(ntoh(std::uint32_t{1})), std::uint32_t>);

TEST(ByteOrder, ConvertsNumbersToNetworkOrderAndBack) {
  EXPECT_EQ(inet_ntoa(BytesView(std::string("\x7f\0\0\1", 4))), "127.0.0.1");
  const std::uint32_t loopback = hton(std::uint32_t{0x7f000001});
  EXPECT_EQ(inet_ntoa(BytesView(&loopback, sizeof loopback)), "127.0.0.1");
  const std::uint16_t port = hton(std::uint16_t{0x1234});
  EXPECT_EQ(std::string_view(BytesView(&port, 2)), "\x12\x34");
  for (std::uint32_t value : {0u, 1u, 0x80u, 0xffffu, 0x12345678u, 0xffffffffu}) {
    EXPECT_EQ(ntoh(hton(value)), value);
    EXPECT_EQ(ntohl_(htonl_(value)), value);
    const auto half = static_cast<std::uint16_t>(value);
    EXPECT_EQ(ntoh(hton(half)), half);
    EXPECT_EQ(ntohs_(htons_(half)), half);
    EXPECT_EQ(htons_(half), hton(half));
    EXPECT_EQ(htonl_(value), hton(value));
  }
}

TEST(ByteOrder, OfNumbersThatDoNotFitIsAnOverflowErrorThatNamesThem) {
  constexpr std::int64_t kLeast = std::numeric_limits<std::int64_t>::min();
  for (const std::int64_t value : {std::int64_t{-1}, std::int64_t{65536}, kLeast}) {
    EXPECT_THAT(text_of_error<OverflowError>([=] { htons_(value); }),
                HasSubstr(std::to_string(value)));
    EXPECT_THROW(ntohs_(value), OverflowError);
  }
  for (const std::int64_t value : {std::int64_t{-1}, std::int64_t{1} << 32, kLeast}) {
    EXPECT_THAT(text_of_error<OverflowError>([=] { htonl_(value); }),
                HasSubstr(std::to_string(value)));
    EXPECT_THROW(ntohl_(value), OverflowError);
  }
}

TEST(InetAton, ReadsTheDottedFormsShortOnesToo) {
  const std::pair<std::string, std::string> table[] = {
      {"127.0.0.1", {"\x7f\0\0\1", 4}},
      {"127.1", {"\x7f\0\0\1", 4}},
      {"127.0.1", {"\x7f\0\0\1", 4}},
      {"1.2.772", {"\1\2\3\4", 4}},
      {"0x7f.1", {"\x7f\0\0\1", 4}},
      {"0177.0.0.1", {"\x7f\0\0\1", 4}},
      {"2130706433", {"\x7f\0\0\1", 4}},
      {"255.255.255.255", {"\xff\xff\xff\xff", 4}},
      {"0", {"\0\0\0\0", 4}},
  };
  for (const auto& [text, packed] : table) EXPECT_EQ(inet_aton(text), packed) << text;
}

TEST(InetAton, OfOtherTextIsAnOSErrorWithoutNumberThatNamesIt) {
  for (const std::string text : {"", "x", "1.2.3.4.5", "256.0.0.1", "1..2", "::1", "localhost"}) {
    try {
      inet_aton(text);
      ADD_FAILURE() << text;
    } catch (const OSError& error) {
      EXPECT_THAT(error.what(), HasSubstr("'" + text + "'"));
      EXPECT_EQ(error.number(), 0);
    }
  }
  EXPECT_THROW(inet_aton(std::string_view("127.0.0.1\0", 10)), OSError);
}

TEST(InetNtoa, TakesFourBytesAndNoOtherNumber) {
  EXPECT_EQ(inet_ntoa("\xff\0\0\1"), "255.0.0.1");
  EXPECT_THAT(text_of_error<OSError>([] { inet_ntoa("abc"); }), HasSubstr("3 bytes"));
  EXPECT_THROW(inet_ntoa("abcde"), OSError);
  EXPECT_THROW(inet_ntoa(""), OSError);
}

TEST(InetPton, ReadsBothFamiliesStrictly) {
  EXPECT_EQ(inet_pton(AF::INET, "127.0.0.1"), Bytes("\x7f\0\0\1", 4));
  EXPECT_EQ(inet_pton(AF::INET6, "::1"), kLoopback6);
  EXPECT_EQ(inet_pton(AF::INET6, "::ffff:1.2.3.4"), Bytes(10, '\0') + Bytes("\xff\xff\1\2\3\4", 6));
  for (const std::string text : {"", "127.1", "127.0.0.1 ", "256.0.0.1", "::1", "0x7f.0.0.1"}) {
    EXPECT_THAT(text_of_error<OSError>([&] { inet_pton(AF::INET, text); }),
                HasSubstr("'" + text + "'"));
  }
  for (const std::string text : {"", "1::2::3", "::1%lo", "127.0.0.1", "12345::", "[::1]"})
    EXPECT_THROW(inet_pton(AF::INET6, text), OSError) << text;
  EXPECT_THROW(inet_pton(AF::INET, std::string_view("127.0.0.1\0", 10)), OSError);
}

TEST(InetPton, OfAnotherFamilyIsEafnosupport) {
  try {
    inet_pton(AF::UNIX, "127.0.0.1");
    ADD_FAILURE();
  } catch (const OSError& error) {
    EXPECT_EQ(error.number(), EAFNOSUPPORT);
    EXPECT_THAT(error.what(), HasSubstr("family 1"));
  }
}

TEST(InetNtop, PrintsBothFamiliesAndRefusesOtherLengths) {
  EXPECT_EQ(inet_ntop(AF::INET, "\x7f\0\0\1"), "127.0.0.1");
  EXPECT_EQ(inet_ntop(AF::INET6, kLoopback6), "::1");
  EXPECT_THAT(text_of_error<ValueError>([] { inet_ntop(AF::INET, "abc"); }),
              AllOf(StartsWith("invalid length of packed IP address string"), HasSubstr("3")));
  EXPECT_THROW(inet_ntop(AF::INET6, "abcd"), ValueError);
  EXPECT_THAT(text_of_error<ValueError>([] { inet_ntop(AF::UNIX, "abcd"); }),
              HasSubstr("unknown address family 1"));
}

TEST(Resolving, LeavesNoDescriptorBehind) {
  gethostbyname("localhost");
  const int before = settled_descriptors();
  for (int round = 0; round < 3; ++round) {
    getaddrinfo("localhost", "http");
    EXPECT_THROW(gethostbyname(kNoSuchHost), gaierror);
    EXPECT_THROW(getservbyname("no-such-service"), OSError);
  }
  EXPECT_EQ(settled_descriptors(), before);
}

}  // namespace
}  // namespace plug
