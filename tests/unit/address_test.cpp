#include <plug/address.hpp>
#include <plug/ancillary.hpp>
#include <plug/error.hpp>
#include <plug/socket.hpp>
#include <plug/socket/batch.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <unordered_set>
#include <vector>

#include "resolve/resolver.hpp"
#include "support/errors.hpp"
#include "support/temporary_directory.hpp"

namespace plug {
namespace {

using ::testing::HasSubstr;

Address v4(std::string_view host, int port) {
  return Address::parse(std::string(host) + ":" + std::to_string(port));
}

Address unix_address(std::string_view path) { return UnixAddress(path); }

static_assert(std::is_nothrow_default_constructible_v<Address>);
static_assert(std::is_trivially_copyable_v<Address>);
static_assert(!std::is_convertible_v<BytesView, Address>);
static_assert(!std::is_convertible_v<Address, bool> && std::is_constructible_v<bool, Address>);
static_assert(std::is_convertible_v<UnixAddress, Address>);
static_assert(!std::is_convertible_v<HostPort, Address>);
static_assert(std::is_convertible_v<Address, AddressLike>);
static_assert(std::is_convertible_v<HostPort, AddressLike>);
static_assert(std::is_convertible_v<UnixAddress, AddressLike>);
static_assert(!std::is_convertible_v<std::string, AddressLike>);
static_assert(!std::is_convertible_v<const char*, AddressLike>);

TEST(Address, ThatIsNotThereIsNone) {
  const Address none;
  EXPECT_FALSE(none);
  EXPECT_EQ(none.family(), AF::UNSPEC);
  EXPECT_TRUE(none.bytes().empty());
  EXPECT_EQ(to_string(none), "None");
  EXPECT_EQ(none, Address());
}

TEST(AddressParse, ReadsNumericIpv4) {
  const Address address = Address::parse("127.0.0.1:80");
  EXPECT_TRUE(address);
  EXPECT_EQ(address.family(), AF::INET);
  EXPECT_EQ(address.host(), "127.0.0.1");
  EXPECT_EQ(address.port(), 80);
  EXPECT_EQ(to_string(address), "('127.0.0.1', 80)");
  EXPECT_EQ(address.bytes().size(), 16u);
}

TEST(AddressParse, ReadsNumericIpv6WithAndWithoutScope) {
  const Address address = Address::parse("[::1]:8000");
  EXPECT_EQ(address.family(), AF::INET6);
  EXPECT_EQ(address.host(), "::1");
  EXPECT_EQ(address.port(), 8000);
  EXPECT_EQ(address.flowinfo(), 0u);
  EXPECT_EQ(address.scope_id(), 0u);
  EXPECT_EQ(to_string(address), "('::1', 8000, 0, 0)");

  EXPECT_EQ(to_string(Address::parse("[fe80::1%2]:80")), "('fe80::1', 80, 0, 2)");
  EXPECT_EQ(Address::parse("[fe80::1%lo]:80").scope_id(), 1u);
  EXPECT_EQ(Address::parse("[fe80::1%0]:80").scope_id(), 0u);
  EXPECT_EQ(Address::parse("[fe80::1%4294967295]:80").scope_id(), 0xffffffffu);
}

TEST(AddressParse, GivesBackWhatTheFieldsSpell) {
  for (const std::string text :
       {"0.0.0.0:0", "127.0.0.1:1", "255.255.255.255:65535", "[::]:0", "[::1]:443",
        "[2001:db8::ff00:42:8329]:65535", "[::ffff:127.0.0.1]:80", "[1:2:3:4:5:6:7:8]:9"}) {
    const Address address = Address::parse(text);
    const std::string host = address.host();
    const bool bracket = address.family() == AF::INET6;
    EXPECT_EQ((bracket ? "[" + host + "]" : host) + ":" + std::to_string(address.port()), text);
    EXPECT_EQ(Address::from_bytes(address.bytes()), address);
  }
}

TEST(AddressParse, ReadsEveryPort) {
  for (int port = 0; port <= 65535; port += 257) EXPECT_EQ(v4("10.0.0.1", port).port(), port);
  EXPECT_EQ(Address::parse("10.0.0.1:00080").port(), 80);
}

TEST(AddressParse, RefusesWhatIsNoNumericAddressAndNamesIt) {
  for (const std::string text : {"",
                                 ":",
                                 ":80",
                                 "127.0.0.1",
                                 "127.0.0.1:",
                                 "127.0.0.1:http",
                                 "127.0.0.1:-1",
                                 "127.0.0.1:+1",
                                 "127.0.0.1: 80",
                                 "127.0.0.1:80 ",
                                 " 127.0.0.1:80",
                                 "127.0.0.1:0x50",
                                 "localhost:80",
                                 "127.1:80",
                                 "127.0.0.256:80",
                                 "1.2.3.4.5:80",
                                 "0x7f.0.0.1:80",
                                 "::1:80",
                                 "[::1]",
                                 "[::1]80",
                                 "[::1:80",
                                 "::1]:80",
                                 "[]:80",
                                 "[127.0.0.1]:80",
                                 "[::1%]:80",
                                 "[::1%no-such-if]:80",
                                 "[::1%-1]:80",
                                 "[::g]:80",
                                 "[1:2]:80",
                                 "[[::1]]:80",
                                 "[::1]x:80",
                                 "(127.0.0.1, 80)"}) {
    EXPECT_THAT(text_of_error<ValueError>([&] { Address::parse(text); }), HasSubstr("'" + text))
        << text;
  }
  const std::string_view nul("127.0.0.1\0:80", 13);
  EXPECT_THAT(text_of_error<ValueError>([&] { Address::parse(nul); }), HasSubstr("\\x00"));
  EXPECT_THROW(Address::parse(std::string_view("[::1%lo\0]:80", 12)), ValueError);
}

TEST(AddressParse, RefusesPortsOutOfRangeAndNamesThem) {
  for (const std::string port : {"65536", "99999", "4294967296", "99999999999999999999"}) {
    EXPECT_THAT(text_of_error<OverflowError>([&] { Address::parse("127.0.0.1:" + port); }),
                HasSubstr(port));
    EXPECT_THROW(Address::parse("[::1]:" + port), OverflowError);
  }
}

TEST(AddressFields, ExistOnlyWhereTheFamilyHasThem) {
  const Address inet = v4("1.2.3.4", 5);
  const Address local = unix_address("/tmp/x");
  const Address none;
  EXPECT_THROW(inet.flowinfo(), ValueError);
  EXPECT_THROW(inet.scope_id(), ValueError);
  EXPECT_THROW(inet.path(), ValueError);
  EXPECT_THROW(local.host(), ValueError);
  EXPECT_THROW(local.port(), ValueError);
  EXPECT_THROW(local.flowinfo(), ValueError);
  EXPECT_THROW(none.host(), ValueError);
  EXPECT_THROW(none.port(), ValueError);
  EXPECT_THROW(none.path(), ValueError);
  EXPECT_THAT(text_of_error<ValueError>([&] { local.port(); }), HasSubstr("/tmp/x"));
}

TEST(AddressFromBytes, TakesWhatHoldsAFamilyAndFits) {
  const std::array<char, 129> zeros{};
  EXPECT_THROW(Address::from_bytes(BytesView()), ValueError);
  EXPECT_THROW(Address::from_bytes(BytesView(zeros).subspan(128)), ValueError);
  EXPECT_THAT(text_of_error<ValueError>([&] { Address::from_bytes(zeros); }), HasSubstr("129"));
  EXPECT_EQ(Address::from_bytes(BytesView(zeros).subspan(1)).bytes().size(), 128u);
  EXPECT_EQ(Address::from_bytes(BytesView(zeros).subspan(127)).bytes().size(), 2u);
  EXPECT_TRUE(Address::from_bytes(BytesView(zeros).subspan(127)));
}

TEST(AddressFromBytes, OfATruncatedFormKeepsTheBytesAndHasNoFields) {
  const Address whole = v4("1.2.3.4", 5);
  const Address cut = Address::from_bytes({whole.bytes().data(), 8});
  EXPECT_EQ(cut.family(), AF::INET);
  EXPECT_THROW(cut.host(), ValueError);
  EXPECT_EQ(to_string(cut), "(2, b'\\x00\\x05\\x01\\x02\\x03\\x04')");
  const Address six = Address::from_bytes({Address::parse("[::1]:80").bytes().data(), 16});
  EXPECT_THROW(six.port(), ValueError);
}

TEST(AddressText, OfAnUnknownFamilyIsItsNumberAndItsBytes) {
  const Address unknown = Address::from_bytes("\x63\0a'\\\n\xff\0");
  EXPECT_EQ(to_string(unknown), "(99, b\"a'\\\\\\n\\xff\\x00\")");
  EXPECT_EQ(to_string(Address::from_bytes("\x63\0")), "(99, b'')");
  EXPECT_EQ(to_string(Address::from_bytes("\x63\0\x1f \x7e\x7f")), "(99, b'\\x1f ~\\x7f')");
}

TEST(AddressText, OfAUnixAddressIsThePathAsItIs) {
  EXPECT_EQ(to_string(unix_address("/tmp/a b")), "/tmp/a b");
  EXPECT_EQ(to_string(unix_address("")), "");
  EXPECT_EQ(to_string(unix_address({"\0ab\xff'", 5})), "b\"\\x00ab\\xff'\"");
  EXPECT_EQ(to_string(unix_address({"\0a\0", 3})), "b'\\x00a\\x00'");
}

TEST(AddressText, StreamsAsItPrints) {
  std::ostringstream out;
  out << v4("1.2.3.4", 5) << " " << Address() << " " << HostPort("h", 6);
  EXPECT_EQ(out.str(), "('1.2.3.4', 5) None ('h', 6)");
}

TEST(UnixAddressPath, ComesBackWhole) {
  const std::string nul("\0name\0more", 10);
  for (const std::string& path : {std::string("/tmp/x"), std::string("relative"), std::string(),
                                  nul, std::string(107, 'p'), std::string("\0", 1)}) {
    EXPECT_EQ(unix_address(path).path(), path);
    EXPECT_EQ(UnixAddress(unix_address(path)).path, path);
    EXPECT_EQ(unix_address(path).family(), AF::UNIX);
  }
}

TEST(UnixAddressPath, OfTheKernelIsCutAtItsNul) {
  std::string raw("\1\0/tmp/x\0rest", 13);
  EXPECT_EQ(Address::from_bytes(raw).path(), "/tmp/x");
  EXPECT_EQ(Address::from_bytes(std::string(1, '\1') + '\0' + std::string(108, 'p')).path(),
            std::string(108, 'p'));
}

TEST(UnixAddressPath, EndsAt107BytesAndAbstractNamesAt108) {
  EXPECT_NO_THROW(UnixAddress(std::string(107, 'p')));
  EXPECT_NO_THROW(UnixAddress(std::string(108, '\0')));
  for (const std::string& path :
       {std::string(108, 'p'), std::string(109, '\0'), std::string(5000, 'p')}) {
    try {
      const UnixAddress address(path);
      ADD_FAILURE() << path.size() << " bytes were taken";
    } catch (const OSError& error) {
      EXPECT_THAT(error.what(), HasSubstr("AF_UNIX path too long: " + std::to_string(path.size())));
      EXPECT_EQ(error.number(), 0);
      EXPECT_EQ(error.code(), Errc::address_too_long);
    }
  }
}

TEST(UnixAddressPath, WithANulInsideIsRefused) {
  EXPECT_THAT(text_of_error<ValueError>([] { UnixAddress(std::string_view("/tmp\0x", 6)); }),
              HasSubstr("/tmp\\x00x"));
}

TEST(UnixAddressPath, IsCheckedAgainWhenItWasChangedSince) {
  UnixAddress address("/tmp/x");
  address.path = std::string(200, 'p');
  EXPECT_THROW(static_cast<void>(Address(address)), OSError);
  address.path = std::string("/tmp\0x", 6);
  EXPECT_THROW(static_cast<void>(Address(address)), ValueError);
  EXPECT_THROW(UnixAddress(v4("1.2.3.4", 5)), ValueError);
}

TEST(UnixAddressPath, OfTheLongestNamesCanBeBound) {
  const TemporaryDirectory directory;
  std::string path = directory / "";
  path.append(107 - path.size(), 'p');
  Socket sock(AF::UNIX, SOCK::DGRAM);
  sock.bind(UnixAddress(path));
  EXPECT_EQ(sock.getsockname().path(), path);

  std::string name(1, '\0');
  name += directory.path();
  name.append(108 - name.size(), 'n');
  Socket abstract(AF::UNIX, SOCK::DGRAM);
  abstract.bind(UnixAddress(name));
  EXPECT_EQ(abstract.getsockname().path(), name);
  EXPECT_EQ(abstract.getsockname(), unix_address(name));
}

TEST(HostPortLimits, AreCheckedWhereItIsMadeAndNamed) {
  EXPECT_THAT(text_of_error<OverflowError>([] { HostPort("h", 65536); }), HasSubstr("65536"));
  EXPECT_THAT(text_of_error<OverflowError>([] { HostPort("h", -1); }), HasSubstr("-1"));
  EXPECT_THAT(text_of_error<OverflowError>([] { HostPort("h", 1, 0x100000); }),
              HasSubstr("1048576"));
  EXPECT_THAT(text_of_error<ValueError>([] { HostPort(std::string_view("a\0b", 3), 1); }),
              HasSubstr("a\\x00b"));
  EXPECT_NO_THROW(HostPort("", 0));
  EXPECT_NO_THROW(HostPort("h", 65535, 0xfffff, 0xffffffff));
}

TEST(HostPortLimits, AreTheSameForABracedPair) {
  Socket sock(AF::INET, SOCK::DGRAM);
  std::error_code error;
  EXPECT_THROW(sock.bind({"127.0.0.1", 65536}), OverflowError);
  EXPECT_THROW(sock.bind({"127.0.0.1", -1}), OverflowError);
  EXPECT_THROW(sock.bind({std::string_view("127.0.0.1\0", 10), 1}), ValueError);
  EXPECT_THROW(sock.connect({"127.0.0.1", 65536}), OverflowError);
  EXPECT_THROW(std::ignore = sock.connect_ex({"127.0.0.1", 65536}), OverflowError);
  EXPECT_THROW(sock.sendto("x", {"127.0.0.1", 65536}), OverflowError);
  EXPECT_THROW(sock.sendto("x", {"::1", 1, 0x100000}), OverflowError);
  EXPECT_THROW(std::ignore = create_connection({"127.0.0.1", 65536}), OverflowError);
  EXPECT_THROW(std::ignore = create_server({"127.0.0.1", -1}), OverflowError);
  EXPECT_THROW(sock.bind({"127.0.0.1", 65536}, error), OverflowError);
}

TEST(HostPortLimits, AreCheckedAgainWhenAFieldWasChangedSince) {
  // 65616 cut to 16 bits would be port 80, and the name would end at its NUL.
  HostPort port("127.0.0.1", 80);
  port.port = 65616;
  HostPort host("127.0.0.1", 80);
  host.host = std::string("127.0.0.1\0.example.org", 22);
  HostPort flow("::1", 80);
  flow.flowinfo = 0x100000;
  Socket sock(AF::INET, SOCK::DGRAM);
  std::error_code error;
  EXPECT_THROW(sock.connect(port), OverflowError);
  EXPECT_THROW(sock.connect(host), ValueError);
  EXPECT_THROW(sock.connect(flow), OverflowError);
  EXPECT_THROW(sock.sendto("x", port), OverflowError);
  EXPECT_THROW(std::ignore = create_connection(port, 1), OverflowError);
  EXPECT_THROW(std::ignore = create_connection({"127.0.0.1", 80}, {.source = port}), OverflowError);
  EXPECT_THROW(std::ignore = create_connection(port, error), OverflowError);
  EXPECT_THROW(std::ignore = create_server(port), OverflowError);
}

TEST(HostPortFields, ReachTheKernelsFormInNetworkOrder) {
  const HostPort pair("fe80::1", 80, 0x12345, 7);
  Address found;
  std::error_code error;
  const Address* address =
      detail::resolve::resolve(AddressLike(pair), AF::INET6, Deadline::none(), found, error);
  ASSERT_FALSE(error);
  EXPECT_EQ(std::string_view(address->bytes()).substr(2, 6),
            std::string_view("\0\x50\0\1\x23\x45", 6));
  EXPECT_EQ(to_string(*address), "('fe80::1', 80, 74565, 7)");
}

TEST(HostPortText, IsThePairAsPythonPrintsIt) {
  EXPECT_EQ(to_string(HostPort("localhost", 80)), "('localhost', 80)");
  EXPECT_EQ(to_string(HostPort("", 0)), "('', 0)");
  EXPECT_EQ(to_string(HostPort("it's", 1)), "(\"it's\", 1)");
  EXPECT_EQ(to_string(HostPort("b\xc3\xbc"
                               "cher",
                               1)),
            "('b\xc3\xbc"
            "cher', 1)");
}

TEST(AddressLikeText, IsThatOfWhatItWasMadeFrom) {
  const Address address = v4("1.2.3.4", 5);
  EXPECT_EQ(to_string(AddressLike(address)), "('1.2.3.4', 5)");
  EXPECT_EQ(to_string(AddressLike("h", 6)), "('h', 6)");
  const HostPort pair("i", 7);
  EXPECT_EQ(to_string(AddressLike(pair)), "('i', 7)");
  EXPECT_EQ(to_string(AddressLike(UnixAddress("/x"))), "/x");
}

TEST(AddressValue, ComparesByItsBytes) {
  const Address a = v4("10.0.0.1", 80);
  EXPECT_EQ(a, v4("10.0.0.1", 80));
  EXPECT_NE(a, v4("10.0.0.1", 81));
  EXPECT_NE(a, v4("10.0.0.2", 80));
  EXPECT_NE(a, Address());
  EXPECT_NE(Address::parse("[::1]:80"), Address::parse("[::1%1]:80"));
  EXPECT_LT(v4("10.0.0.1", 80), v4("10.0.0.2", 80));
  EXPECT_GT(v4("10.0.0.200", 80), v4("10.0.0.2", 80));
  EXPECT_LT(Address(), a);
}

TEST(AddressValue, IsAKeyOfMapsAndSets) {
  std::unordered_set<Address> hashed;
  std::set<Address> ordered;
  for (int round = 0; round < 2; ++round) {
    for (int port = 0; port < 1000; ++port) {
      hashed.insert(v4("10.0.0.1", port));
      ordered.insert(v4("10.0.0.1", port));
    }
  }
  EXPECT_EQ(hashed.size(), 1000u);
  EXPECT_EQ(ordered.size(), 1000u);
  EXPECT_EQ(std::hash<Address>{}(v4("10.0.0.1", 1)), std::hash<Address>{}(v4("10.0.0.1", 1)));
}

TEST(AddressValue, OfTheKernelEqualsTheOneMadeHere) {
  Socket sock(AF::INET, SOCK::DGRAM);
  sock.bind({"127.0.0.1", 0});
  const Address name = sock.getsockname();
  EXPECT_EQ(name, v4("127.0.0.1", name.port()));
  Socket six(AF::INET6, SOCK::DGRAM);
  six.bind({"::1", 0});
  EXPECT_EQ(six.getsockname(), Address::parse("[::1]:" + std::to_string(six.getsockname().port())));
  const TemporaryDirectory directory;
  Socket local(AF::UNIX, SOCK::DGRAM);
  local.bind(UnixAddress(directory / "s"));
  EXPECT_EQ(local.getsockname(), unix_address(directory / "s"));
}

TEST(Address, OfAnotherFamilyThanTheSocketsIsRefusedWithBothNamed) {
  const Address unix_path = UnixAddress("/nowhere");
  const Address inet = Address::parse("127.0.0.1:9");
  const struct {
    AF family;
    const Address& address;
    const char* text;
  } kCases[] = {{AF::INET, unix_path, "/nowhere is of AF_UNIX, the socket of AF_INET"},
                {AF::UNIX, inet, "('127.0.0.1', 9) is of AF_INET, the socket of AF_UNIX"}};
  for (const auto& [family, address, text] : kCases) {
    Socket sock(family, SOCK::DGRAM);
    const auto& to = address;
    EXPECT_THAT(text_of_error<OSError>([&] { sock.bind(to); }), HasSubstr(text));
    EXPECT_THAT(text_of_error<OSError>([&] { sock.connect(to); }), HasSubstr(text));
    EXPECT_THAT(text_of_error<OSError>([&] { std::ignore = sock.connect_ex(to); }),
                HasSubstr(text));
    EXPECT_THAT(text_of_error<OSError>([&] { sock.sendto("x", to); }), HasSubstr(text));
    EXPECT_THAT(text_of_error<OSError>([&] { sock.sendmsg({"x"}, {}, to); }), HasSubstr(text));
    const auto expect_family = [](const std::error_code& error) {
      EXPECT_EQ(error, Errc::address_family);
      EXPECT_EQ(error, std::errc::address_family_not_supported);
    };
    std::error_code error;
    sock.bind(address, error);
    expect_family(error);
    sock.connect(address, error);
    expect_family(error);
    sock.sendto("x", address, error);
    expect_family(error);
    sock.sendmsg({"x"}, {}, address, error);
    expect_family(error);
    DatagramBatch batch;
    batch.add("x", address);
    send_batch(sock, batch, error);
    expect_family(error);
  }
  Socket sock(AF::UNIX, SOCK::STREAM);
  EXPECT_THAT(text_of_error<OSError>([&] {
                sock.connect({"localhost", 9});
              }),
              HasSubstr("('localhost', 9) is a host and a port, of AF_INET or AF_INET6, "
                        "the socket of AF_UNIX"));
  EXPECT_THAT(text_of_error<OSError>([&] { std::ignore = create_server(unix_path); }),
              HasSubstr("/nowhere is of AF_UNIX, the socket of AF_INET"));
}

TEST(AddressParse, RefusesAScopeBeyond32BitsAsANumberTooLarge) {
  EXPECT_EQ(Address::parse("[::1%4294967295]:1").scope_id(), 4294967295u);
  EXPECT_THAT(text_of_error<OverflowError>([] { Address::parse("[::1%4294967296]:1"); }),
              HasSubstr("4294967296"));
}

TEST(HostPort, PrintsItsFlowAndScopeWhereItHasAny) {
  EXPECT_EQ(to_string(HostPort("::1", 80)), "('::1', 80)");
  EXPECT_EQ(to_string(HostPort("fe80::1", 80, 0, 2)), "('fe80::1', 80, 0, 2)");
}

}  // namespace
}  // namespace plug
