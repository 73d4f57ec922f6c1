#include <plug/error.hpp>
#include <plug/socket.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "support/errors.hpp"
#include "support/sockets.hpp"

namespace plug {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

Bytes raw(int value) { return Bytes(reinterpret_cast<const char*>(&value), sizeof value); }

TEST(IntegerOption, IsSetAndReadBackInEveryFamily) {
  Socket tcp;
  tcp.setsockopt(SOL::SOCKET, SO::REUSEADDR, 1);
  EXPECT_EQ(tcp.getsockopt(SOL::SOCKET, SO::REUSEADDR), 1);
  tcp.setsockopt(SOL::SOCKET, SO::REUSEADDR, 0);
  EXPECT_EQ(tcp.getsockopt(SOL::SOCKET, SO::REUSEADDR), 0);
  tcp.setsockopt(SOL::SOCKET, SO::KEEPALIVE, true);
  EXPECT_EQ(tcp.getsockopt(SOL::SOCKET, SO::KEEPALIVE), 1);
  tcp.setsockopt(IPPROTO::TCP, TCP::NODELAY, 1);
  EXPECT_NE(tcp.getsockopt(IPPROTO::TCP, TCP::NODELAY), 0);
  tcp.setsockopt(IPPROTO::TCP, TCP::KEEPIDLE, 321);
  EXPECT_EQ(tcp.getsockopt(IPPROTO::TCP, TCP::KEEPIDLE), 321);
  tcp.setsockopt(IPPROTO::IP_, IP_::TTL, 33);
  EXPECT_EQ(tcp.getsockopt(SOL::IP_, IP_::TTL), 33);

  Socket six(AF::INET6);
  six.setsockopt(IPPROTO::IPV6, IPV6::V6ONLY, 1);
  EXPECT_EQ(six.getsockopt(IPPROTO::IPV6, IPV6::V6ONLY), 1);
  six.setsockopt(IPPROTO::IPV6, IPV6::UNICAST_HOPS, -1);
  EXPECT_EQ(Socket().getsockopt(IPPROTO::IP_, IP_::TTL), 64);

  Socket local(AF::UNIX);
  local.setsockopt(SOL::SOCKET, SO::PASSCRED, 1);
  EXPECT_EQ(local.getsockopt(SOL::SOCKET, SO::PASSCRED), 1);
}

TEST(IntegerOption, TakesRawNumbersForLevelAndName) {
  Socket sock;
  sock.setsockopt(1, 2, 1);
  EXPECT_EQ(sock.getsockopt(1, 2), 1);
  EXPECT_EQ(sock.getsockopt(SOL_SOCKET, SO_REUSEADDR), 1);
}

TEST(IntegerOption, OfABufferSizeReadsBackDoubled) {
  Socket sock;
  sock.setsockopt(SOL::SOCKET, SO::SNDBUF, 8192);
  EXPECT_EQ(sock.getsockopt(SOL::SOCKET, SO::SNDBUF), 16384);
  sock.setsockopt(SOL::SOCKET, SO::RCVBUF, 8192);
  EXPECT_EQ(sock.getsockopt(SOL::SOCKET, SO::RCVBUF), 16384);
}

TEST(IntegerOption, ThatACIntCannotHoldIsAnOverflowErrorThatNamesIt) {
  Socket sock;
  const auto set = [&](auto value) { sock.setsockopt(SOL::SOCKET, SO::KEEPALIVE, value); };
  EXPECT_THAT(text_of_error<OverflowError>([&] { set(std::int64_t{1} << 31); }),
              AllOf(HasSubstr("2147483648"), HasSubstr("option 9")));
  EXPECT_THROW(set(-(std::int64_t{1} << 31) - 1), OverflowError);
  EXPECT_THROW(set(std::uint32_t{1} << 31), OverflowError);
  EXPECT_THROW(set(std::numeric_limits<std::int64_t>::min()), OverflowError);
  EXPECT_THROW(set(std::uint64_t{1} << 63), OverflowError);
  EXPECT_THAT(text_of_error<OverflowError>([&] { set(std::numeric_limits<std::uint64_t>::max()); }),
              HasSubstr("18446744073709551615"));
  EXPECT_EQ(sock.getsockopt(SOL::SOCKET, SO::KEEPALIVE), 0);
  EXPECT_NO_THROW(set(std::numeric_limits<int>::max()));
  EXPECT_NO_THROW(set(std::numeric_limits<int>::min()));
  EXPECT_NO_THROW(set(std::uint64_t{1}));
}

TEST(BytesOption, IsSetAndReadBackAsItIs) {
  Socket sock;
  const int on_for_five[2] = {1, 5};
  const Bytes linger(reinterpret_cast<const char*>(on_for_five), sizeof on_for_five);
  sock.setsockopt(SOL::SOCKET, SO::LINGER, linger);
  EXPECT_EQ(sock.getsockopt(SOL::SOCKET, SO::LINGER, 8), linger);
  EXPECT_EQ(sock.getsockopt(SOL::SOCKET, SO::LINGER, 100), linger);
  EXPECT_EQ(sock.getsockopt(SOL::SOCKET, SO::LINGER, 4), raw(1));
  sock.setsockopt(SOL::SOCKET, SO::KEEPALIVE, raw(1));
  EXPECT_EQ(sock.getsockopt(SOL::SOCKET, SO::KEEPALIVE), 1);
}

TEST(BytesOption, TakesTextAndReturnsItsBytes) {
  Socket sock;
  sock.setsockopt(SOL::SOCKET, SO::BINDTODEVICE, "lo");
  EXPECT_EQ(sock.getsockopt(SOL::SOCKET, SO::BINDTODEVICE, 16), Bytes("lo\0", 3));
  EXPECT_THAT(sock.getsockopt(IPPROTO::TCP, TCP::CONGESTION, 16), ::testing::Not(""));
  EXPECT_THAT(
      text_of_error<OSError>([&] { sock.setsockopt(SOL::SOCKET, SO::BINDTODEVICE, "no-such-if"); }),
      AllOf(HasSubstr("[Errno 19]"), HasSubstr("option 25, 10 bytes")));
}

TEST(NoneOption, IsALengthWithoutAValue) {
  Socket sock;
  sock.setsockopt(SOL::SOCKET, SO::BINDTODEVICE, "lo");
  sock.setsockopt(SOL::SOCKET, SO::BINDTODEVICE, std::nullopt, 0);
  EXPECT_EQ(sock.getsockopt(SOL::SOCKET, SO::BINDTODEVICE, 16), "");
  EXPECT_THAT(
      text_of_error<OSError>([&] { sock.setsockopt(SOL::SOCKET, SO::REUSEADDR, std::nullopt, 4); }),
      HasSubstr("[Errno 14] Bad address"));
}

TEST(OptionErrors, NameLevelOptionAndValue) {
  Socket sock;
  EXPECT_THAT(text_of_error<OSError>([&] { sock.setsockopt(SOL::SOCKET, OptionName(9999), 7); }),
              AllOf(HasSubstr("[Errno 92]"), HasSubstr("level 1, option 9999 = 7")));
  EXPECT_THAT(text_of_error<OSError>([&] { sock.getsockopt(12345, 1); }),
              AllOf(HasSubstr("[Errno 95]"), HasSubstr("level 12345, option 1")));
  EXPECT_THAT(text_of_error<OSError>([&] { sock.setsockopt(IPPROTO::IP_, IP_::TTL, 256); }),
              HasSubstr("option 2 = 256"));
}

TEST(OptionErrors, OfValuesOfTheWrongSizeAreEinval) {
  Socket sock;
  for (const std::string value : {"", "1", "12", "123"}) {
    EXPECT_THAT(text_of_error<OSError>([&] { sock.setsockopt(SOL::SOCKET, SO::KEEPALIVE, value); }),
                AllOf(HasSubstr("[Errno 22]"), HasSubstr(std::to_string(value.size()) + " bytes")));
  }
  EXPECT_THROW(sock.setsockopt(SOL::SOCKET, SO::LINGER, raw(1)), OSError);
  EXPECT_THROW(sock.setsockopt(SOL::SOCKET, SO::LINGER, 1), OSError);
}

TEST(OptionErrors, OfLengthsOutside1To1024HaveNoNumber) {
  Socket sock;
  for (const std::ptrdiff_t length :
       {std::ptrdiff_t{0}, std::ptrdiff_t{-1}, std::ptrdiff_t{1025},
        std::numeric_limits<std::ptrdiff_t>::max(), std::numeric_limits<std::ptrdiff_t>::min()}) {
    try {
      sock.getsockopt(SOL::SOCKET, SO::TYPE, length);
      ADD_FAILURE() << length;
    } catch (const OSError& error) {
      EXPECT_THAT(error.what(), AllOf(HasSubstr("getsockopt buflen out of range"),
                                      HasSubstr(std::to_string(length) + " bytes")));
      EXPECT_EQ(error.number(), 0);
    }
  }
  EXPECT_EQ(sock.getsockopt(SOL::SOCKET, SO::TYPE, 1024), raw(SOCK_STREAM));
  EXPECT_EQ(sock.getsockopt(SOL::SOCKET, SO::TYPE, 1), Bytes("\1"));
}

TEST(ErrorOption, GivesThePendingErrorOnce) {
  Socket refusing = refusing_socket();
  Socket sock(AF::INET, SOCK::DGRAM);
  sock.connect(refusing.getsockname());
  EXPECT_EQ(sock.getsockopt(SOL::SOCKET, SO::ERROR_), 0);
  Socket closed(AF::INET, SOCK::DGRAM);
  closed.bind({"127.0.0.1", 0});
  sock.connect(closed.getsockname());
  closed.close();
  sock.sendall("x");
  EXPECT_EQ(sock.getsockopt(SOL::SOCKET, SO::ERROR_), ECONNREFUSED);
  EXPECT_EQ(sock.getsockopt(SOL::SOCKET, SO::ERROR_), 0);
}

TEST(ReceiveTimeoutOption, IsIndependentOfTheTimeout) {
  auto [sock, peer] = socketpair();
  const struct { long seconds = 0, microseconds = 1000; } millisecond;
  sock.setsockopt(SOL::SOCKET, SO::RCVTIMEO, BytesView(&millisecond, sizeof millisecond));
  EXPECT_TRUE(sock.gettimeout().is_none());
  EXPECT_THROW(sock.recv(1), BlockingIOError);
}

}  // namespace
}  // namespace plug
