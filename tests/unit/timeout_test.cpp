#include <plug/error.hpp>
#include <plug/socket.hpp>
#include <plug/timeout.hpp>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <sstream>
#include <string>
#include <type_traits>
#include <vector>

#include "support/errors.hpp"
#include "support/sockets.hpp"

namespace plug {
namespace {

using namespace std::chrono_literals;
using std::chrono::duration;
using ::testing::HasSubstr;

std::int64_t nanoseconds(Timeout timeout) { return timeout.duration().count(); }

static_assert(std::is_nothrow_default_constructible_v<Timeout>);
static_assert(std::is_convertible_v<int, Timeout> && std::is_convertible_v<double, Timeout>);
static_assert(std::is_convertible_v<std::chrono::hours, Timeout>);
static_assert(std::is_convertible_v<std::nullopt_t, Timeout>);
static_assert(!std::is_constructible_v<Timeout, const char*>);
static_assert(!std::is_constructible_v<Timeout, std::string>);

TEST(Timeout, OfNulloptIsNone) {
  for (const Timeout none : {Timeout(), Timeout(std::nullopt), Timeout(std::optional<double>())}) {
    EXPECT_TRUE(none.is_none());
    EXPECT_FALSE(none.is_zero());
    EXPECT_EQ(none.seconds(), std::nullopt);
  }
}

TEST(Timeout, OfZeroIsZeroInEveryLayout) {
  for (const Timeout zero : {Timeout(0), Timeout(0u), Timeout(0.0), Timeout(-0.0), Timeout(0.0f),
                             Timeout(0s), Timeout(0ns), Timeout(duration<double>(0))}) {
    EXPECT_TRUE(zero.is_zero());
    EXPECT_FALSE(zero.is_none());
    EXPECT_EQ(zero.seconds(), 0.0);
  }
}

TEST(Timeout, CountsSecondsInNumbersOfEveryType) {
  EXPECT_EQ(nanoseconds(2), 2'000'000'000);
  EXPECT_EQ(nanoseconds(2u), 2'000'000'000);
  EXPECT_EQ(nanoseconds(std::int8_t{2}), 2'000'000'000);
  EXPECT_EQ(nanoseconds(std::uint64_t{2}), 2'000'000'000);
  EXPECT_EQ(nanoseconds(2.5), 2'500'000'000);
  EXPECT_EQ(nanoseconds(2.5f), 2'500'000'000);
  EXPECT_EQ(nanoseconds(2.5L), 2'500'000'000);
  EXPECT_EQ(nanoseconds(std::optional<double>(0.25)), 250'000'000);
  EXPECT_EQ(Timeout(2.5).seconds(), 2.5);
}

TEST(Timeout, RoundsUpSoThatNoPositiveValueIsZero) {
  EXPECT_EQ(nanoseconds(1e-9), 1);
  EXPECT_EQ(nanoseconds(1e-10), 1);
  EXPECT_EQ(nanoseconds(std::numeric_limits<double>::denorm_min()), 1);
  EXPECT_EQ(nanoseconds(std::numeric_limits<long double>::min()), 1);
  EXPECT_EQ(nanoseconds(1.5e-9), 2);
  EXPECT_EQ(nanoseconds(duration<int, std::pico>(1)), 1);
  EXPECT_EQ(nanoseconds(duration<int, std::pico>(1000)), 1);
  EXPECT_EQ(nanoseconds(duration<int, std::pico>(1001)), 2);
  EXPECT_EQ(nanoseconds(duration<double, std::nano>(0.25)), 1);
  EXPECT_EQ(nanoseconds(duration<double, std::nano>(1e-320)), 1);
}

TEST(Timeout, TakesDurationsOfEveryUnitAndRepresentation) {
  EXPECT_EQ(nanoseconds(7ns), 7);
  EXPECT_EQ(nanoseconds(7us), 7'000);
  EXPECT_EQ(nanoseconds(7ms), 7'000'000);
  EXPECT_EQ(nanoseconds(7min), 420'000'000'000);
  EXPECT_EQ(nanoseconds(2h), 7'200'000'000'000);
  EXPECT_EQ(nanoseconds(duration<float>(0.5f)), 500'000'000);
  EXPECT_EQ(nanoseconds(duration<double, std::ratio<60>>(0.5)), 30'000'000'000);
  EXPECT_EQ(nanoseconds(duration<unsigned, std::milli>(4'000'000'000u)), 4'000'000'000'000'000);
  EXPECT_EQ(nanoseconds(duration<int, std::ratio<1, 3>>(1)), 333'333'334);
  // A century of video frames. Their common unit with nanoseconds is finer than both.
  EXPECT_EQ(nanoseconds(duration<std::int64_t, std::ratio<1, 60>>(4'000'000'000 * 60)),
            4'000'000'000'000'000'000);
}

TEST(Timeout, BelowZeroIsAValueErrorThatNamesTheValue) {
  EXPECT_THAT(text_of_error<ValueError>([] { Timeout(-1); }), HasSubstr("-1"));
  EXPECT_THAT(text_of_error<ValueError>([] { Timeout(-2.5); }), HasSubstr("-2.5"));
  EXPECT_THAT(text_of_error<ValueError>([] { Timeout(-1e-12); }), HasSubstr("-1e-12"));
  EXPECT_THAT(text_of_error<ValueError>([] { Timeout(-3s); }), HasSubstr("-3"));
  EXPECT_THAT(text_of_error<ValueError>([] { Timeout(-1ns); }), HasSubstr("-1e-09"));
  EXPECT_THAT(text_of_error<ValueError>([] { Timeout(std::optional<double>(-1)); }),
              HasSubstr("-1"));
  EXPECT_THAT(text_of_error<ValueError>([] { Timeout{std::chrono::hours::min()}; }),
              HasSubstr("Timeout value out of range"));
}

TEST(Timeout, OfNanIsAValueError) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_THAT(text_of_error<ValueError>([=] { Timeout{nan}; }), HasSubstr("NaN"));
  EXPECT_THAT(text_of_error<ValueError>([=] { Timeout(duration<double>(nan)); }), HasSubstr("NaN"));
}

TEST(Timeout, BeyondTheClockIsAnOverflowErrorThatNamesTheValue) {
  EXPECT_THAT(text_of_error<OverflowError>([] { Timeout(1e10); }), HasSubstr("10000000000.0"));
  EXPECT_THAT(text_of_error<OverflowError>([] { Timeout(10'000'000'000); }),
              HasSubstr("10000000000.0"));
  EXPECT_THROW(Timeout(1e300), OverflowError);
  EXPECT_THROW(Timeout{std::numeric_limits<double>::infinity()}, OverflowError);
  EXPECT_THROW(Timeout{std::numeric_limits<long double>::max()}, OverflowError);
  EXPECT_THROW(Timeout{std::numeric_limits<std::int64_t>::max()}, OverflowError);
  EXPECT_THROW(Timeout{std::numeric_limits<std::uint64_t>::max()}, OverflowError);
  EXPECT_THROW(Timeout(std::uint64_t{1} << 63), OverflowError);
  EXPECT_THROW(Timeout{std::chrono::hours::max()}, OverflowError);
  EXPECT_THROW(Timeout(duration<double>(1e30)), OverflowError);
  EXPECT_THROW(Timeout(std::chrono::years(300)), OverflowError);
}

TEST(Timeout, KeepsTheLongestSpanThatNanosecondsHold) {
  EXPECT_EQ(nanoseconds(9'223'372'036), 9'223'372'036'000'000'000);
  EXPECT_THROW(Timeout(9'223'372'037), OverflowError);
  EXPECT_THROW(Timeout(9223372036.854775808), OverflowError);
  EXPECT_EQ(nanoseconds(std::chrono::years(290)), 290 * 31'556'952'000'000'000);
  EXPECT_EQ(nanoseconds(std::chrono::nanoseconds::max()), std::numeric_limits<std::int64_t>::max());
  // A socket can wait with it, too.
  auto [sock, peer] = socketpair();
  sock.settimeout(9'223'372'036);
  peer.sendall("x");
  EXPECT_EQ(sock.recv(1), "x");
}

TEST(Timeout, PrintsAsPythonPrintsTheSeconds) {
  const std::pair<Timeout, std::string> cases[] = {
      {std::nullopt, "None"}, {0, "0.0"},
      {2.5, "2.5"},           {3, "3.0"},
      {0.1, "0.1"},           {1e-9, "1e-09"},
      {2.5e-7, "2.5e-07"},    {0.0001, "0.0001"},
      {0.00001, "1e-05"},     {100, "100.0"},
      {3600, "3600.0"},       {100000, "100000.0"},
      {1000000, "1000000.0"}, {9'000'000'000, "9000000000.0"},
  };
  for (const auto& [timeout, expected] : cases) {
    EXPECT_EQ(to_string(timeout), expected);
    std::ostringstream out;
    out << timeout;
    EXPECT_EQ(out.str(), expected);
  }
}

TEST(Timeout, ComparesByValue) {
  EXPECT_EQ(Timeout(1), Timeout(1000ms));
  EXPECT_NE(Timeout(1), Timeout(2));
  EXPECT_NE(Timeout(0), Timeout(std::nullopt));
}

/// Restores the default timeout.
class DefaultTimeout : public ::testing::Test {
 protected:
  ~DefaultTimeout() override { setdefaulttimeout(before_); }

  /// Returns true if the descriptor itself is in non-blocking mode.
  static bool nonblocking(const Socket& sock) {
    return (::fcntl(sock.fileno(), F_GETFL) & O_NONBLOCK) != 0;
  }

 private:
  Timeout before_ = getdefaulttimeout();
};

TEST_F(DefaultTimeout, IsNoneAtFirst) {
  EXPECT_TRUE(getdefaulttimeout().is_none());
  EXPECT_TRUE(Socket().gettimeout().is_none());
  EXPECT_FALSE(nonblocking(Socket()));
}

TEST_F(DefaultTimeout, IsReadBack) {
  setdefaulttimeout(1.5);
  EXPECT_EQ(getdefaulttimeout(), Timeout(1.5));
  setdefaulttimeout(0);
  EXPECT_TRUE(getdefaulttimeout().is_zero());
  setdefaulttimeout(std::nullopt);
  EXPECT_TRUE(getdefaulttimeout().is_none());
}

TEST_F(DefaultTimeout, ReachesEverySocketHoweverMade) {
  Socket listener = tcp_listener();
  Socket client = create_connection({"127.0.0.1", listener.getsockname().port()}, 20);
  std::error_code error;
  for (const Timeout timeout : {Timeout(7.5), Timeout(0)}) {
    setdefaulttimeout(timeout);
    std::vector<std::pair<std::string, Socket>> made;
    made.emplace_back("constructor", Socket());
    made.emplace_back("constructor, error_code", Socket(AF::INET, SOCK::DGRAM, 0, error));
    made.emplace_back("fromfd", fromfd(client.fileno(), AF::INET, SOCK::STREAM));
    made.emplace_back("fileno", Socket(Fileno{client.dup().detach()}));
    auto pair = socketpair();
    made.emplace_back("socketpair, first", std::move(pair.first));
    made.emplace_back("socketpair, second", std::move(pair.second));
    Socket again = create_connection({"127.0.0.1", listener.getsockname().port()}, 20);
    made.emplace_back("accept", listener.accept().first);
    made.emplace_back("create_server", create_server({"127.0.0.1", 0}));
    for (const auto& [way, sock] : made) {
      EXPECT_EQ(sock.gettimeout(), timeout) << way;
      EXPECT_TRUE(nonblocking(sock)) << way;
    }
    setdefaulttimeout(std::nullopt);
    client = std::move(again);
  }
}

TEST_F(DefaultTimeout, IsThatOfCreateConnectionUnlessOneIsGiven) {
  Socket listener = tcp_listener();
  const HostPort address("127.0.0.1", listener.getsockname().port());
  setdefaulttimeout(7.5);
  EXPECT_EQ(create_connection(address).gettimeout(), Timeout(7.5));
  EXPECT_EQ(create_connection(address, 3).gettimeout(), Timeout(3));
  const Socket blocking = create_connection(address, std::nullopt);
  EXPECT_TRUE(blocking.gettimeout().is_none());
  EXPECT_FALSE(nonblocking(blocking));
}

TEST_F(DefaultTimeout, DoesNotReachADuplicateWhichCopiesItsSource) {
  Socket blocking;
  Socket timed;
  timed.settimeout(3);
  setdefaulttimeout(7.5);
  EXPECT_TRUE(blocking.dup().gettimeout().is_none());
  EXPECT_EQ(timed.dup().gettimeout(), Timeout(3));
}

TEST_F(DefaultTimeout, GivesWayToNonblockInTheType) {
  setdefaulttimeout(7.5);
  const Socket sock(AF::INET, SOCK::STREAM | SOCK::NONBLOCK);
  EXPECT_TRUE(sock.gettimeout().is_zero());
  EXPECT_TRUE(nonblocking(sock));
  const auto [first, second] = socketpair(AF::UNIX, SOCK::STREAM | SOCK::NONBLOCK);
  EXPECT_TRUE(first.gettimeout().is_zero() && second.gettimeout().is_zero());
}

TEST_F(DefaultTimeout, IsUsedByTheNewSocketsCalls) {
  setdefaulttimeout(0.01);
  auto [sock, peer] = socketpair();
  EXPECT_THROW(sock.recv(1), TimeoutError);
  setdefaulttimeout(0);
  auto [polling, other] = socketpair();
  EXPECT_THROW(polling.recv(1), BlockingIOError);
}

TEST_F(DefaultTimeout, RefusesWhatATimeoutCannotBe) {
  EXPECT_THROW(setdefaulttimeout(-1), ValueError);
  EXPECT_TRUE(getdefaulttimeout().is_none());
}

}  // namespace
}  // namespace plug
