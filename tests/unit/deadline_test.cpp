// Tests that a call has one deadline, even if its peer sends slowly.

#include <plug/select.hpp>
#include <plug/socket.hpp>

#include <gtest/gtest.h>

#include <cerrno>
#include <chrono>
#include <string>
#include <tuple>

#include "support/deadlines.hpp"
#include "support/drip.hpp"
#include "support/sockets.hpp"
#include "wait/io_driver.hpp"

namespace plug {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

TEST(Deadline, EndsEveryWaitingCallAtTheTimeoutAndNotBefore) {
  auto [sock, peer] = socketpair();
  sock.settimeout(kTimeout);
  expect_timeout([&, &sock = sock] { sock.recv(1); });
  char buffer[8];
  expect_timeout([&, &sock = sock] { sock.recv_into(buffer); });
  expect_timeout([&, &sock = sock] { sock.recvfrom(1); });
  expect_timeout([&, &sock = sock] { sock.recvfrom_into(buffer); });
  expect_timeout([&, &sock = sock] { sock.recvmsg(1, 100); });
  expect_timeout([&, &sock = sock] { sock.recvmsg_into({buffer}); });
  expect_timeout([&, &sock = sock] { std::ignore = recv_fds(sock, 1, 1); });
  const std::string large(16 << 20, 'x');
  expect_timeout([&, &sock = sock] { sock.sendall(large); });
  expect_timeout([&, &sock = sock] { sock.sendmsg({large}); });
  expect_timeout([&, &sock = sock] { send_fds(sock, {large}, {0}); });
  expect_timeout([&, &sock = sock] { std::ignore = sock.send("more"); });
  Socket listener = create_server({"127.0.0.1", 0});
  listener.settimeout(kTimeout);
  expect_timeout([&] { std::ignore = listener.accept(); });
}

TEST(Deadline, OfSendallIsOneForTheWholeCallWhileThePeerReadsByteByByte) {
  auto [sock, peer] = socketpair();
  sock.settimeout(kTimeout);
  sock.setsockopt(SOL::SOCKET, SO::SNDBUF, 4096);
  const Drip drip([&peer = peer] {
    std::error_code ignored;
    peer.recv(4096, ignored, MSG::DONTWAIT);
  });
  const std::string large(64 << 20, 'x');
  expect_timeout([&, &sock = sock] { sock.sendall(large); });
}

TEST(Deadline, OfSendallReportsWhatWasSent) {
  auto [sock, peer] = socketpair();
  sock.settimeout(0.05);
  std::error_code error;
  const std::string large(16 << 20, 'x');
  const std::size_t sent = sock.sendall(large, error);
  EXPECT_EQ(error, timed_out());
  peer.settimeout(0);
  std::size_t arrived = 0;
  for (;;) {
    const Bytes piece = peer.recv(1 << 20, error);
    if (error) break;
    arrived += piece.size();
  }
  EXPECT_EQ(arrived, sent);
  EXPECT_LT(sent, large.size());
}

TEST(Deadline, OfRecvIntoEndsWithTheFirstByteThatDrips) {
  auto [sock, peer] = socketpair();
  sock.settimeout(kSlack);
  const Drip drip([&peer = peer] { peer.sendall("x"); });
  char buffer[1000];
  const auto taken =
      time_of([&, &sock = sock] { EXPECT_LT(sock.recv_into(buffer), sizeof buffer); });
  EXPECT_LT(taken, kSlack);
}

TEST(Deadline, TurnsATinyTimeoutIntoAWaitAndNotIntoNonBlocking) {
  auto [sock, peer] = socketpair();
  sock.settimeout(1e-10);
  EXPECT_EQ(sock.gettimeout(), Timeout(std::chrono::nanoseconds(1)));
  EXPECT_THROW(sock.recv(1), TimeoutError);
  sock.settimeout(0);
  EXPECT_THROW(sock.recv(1), BlockingIOError);
}

TEST(Deadline, IsKeptByDontwaitCallsToo) {
  auto [sock, peer] = socketpair();
  sock.settimeout(kTimeout);
  expect_timeout([&, &sock = sock] { sock.recv(1, MSG::DONTWAIT); });
}

TEST(Deadline, HoldsWhenADuplicateHasMadeTheDescriptorBlocking) {
  auto [sock, peer] = socketpair();
  sock.settimeout(kTimeout);
  Socket duplicate = sock.dup();
  duplicate.setblocking(true);
  expect_timeout([&, &sock = sock] { sock.recv(1); });
}

TEST(Deadline, OfWaitAnyGivesZeroWhenItPasses) {
  auto [sock, peer] = socketpair();
  detail::sys::PollEntry entries[] = {{sock.fileno(), detail::sys::kIn, 0},
                                      {peer.fileno(), detail::sys::kIn, 0}};
  const auto wait = [&] {
    return detail::wait::wait_any(entries, detail::base::deadline_after(20'000'000));
  };
  EXPECT_GE(time_of([&] { EXPECT_EQ(wait(), 0); }), milliseconds(20));
  EXPECT_EQ(detail::wait::wait_any(entries, Deadline::immediate()), 0);
  sock.sendall("x");
  EXPECT_EQ(detail::wait::wait_any(entries, Deadline::none()), 1);
  EXPECT_EQ(entries[0].revents, 0);
  EXPECT_EQ(entries[1].revents, detail::sys::kIn);
}

TEST(Deadline, OfATimeoutIsOneForAllCalls) {
  auto [sock, peer] = socketpair();
  const auto begun = Clock::now();
  sock.settimeout(Deadline::after(kTimeout));
  EXPECT_TRUE(sock.gettimeout().is_deadline());
  EXPECT_LE(sock.gettimeout().duration(), kTimeout);
  peer.sendall("abc");
  EXPECT_EQ(sock.recv(1), "a");
  EXPECT_EQ(sock.recv(10), "bc");
  EXPECT_THROW(sock.recv(1), TimeoutError);
  EXPECT_GE(Clock::now() - begun, kTimeout);
  // The deadline has passed: calls no longer wait, but do not throw BlockingIOError either.
  peer.sendall("d");
  EXPECT_EQ(sock.recv(1), "d");
  EXPECT_THROW(sock.recv(1), TimeoutError);
  EXPECT_EQ(sock.gettimeout().seconds(), 0.0);
  EXPECT_FALSE(sock.gettimeout().is_zero());
  EXPECT_LT(Clock::now() - begun, kTimeout + kSlack);
  sock.settimeout(std::nullopt);
  peer.sendall("e");
  EXPECT_EQ(sock.recv(1), "e");
}

TEST(Deadline, ConvertsToTheTimeoutOfOneCall) {
  const Deadline past = Deadline::at(Clock::now() - milliseconds(1));
  auto [sock, peer] = socketpair();
  EXPECT_TRUE(select({sock}, {}, {}, past).empty());
  const FullListener full;  // a connection to it would block
  EXPECT_THROW(std::ignore = create_connection({"127.0.0.1", full.address().port()}, past),
               TimeoutError);
  setdefaulttimeout(past);
  Socket late;
  setdefaulttimeout(std::nullopt);
  EXPECT_TRUE(late.gettimeout().is_deadline());
}

TEST(Deadline, KnowsWhetherItHasPassedAndWhatIsLeft) {
  EXPECT_FALSE(Deadline::none().passed());
  EXPECT_TRUE(Deadline::none().remaining().is_none());
  EXPECT_TRUE(Deadline::immediate().passed());
  EXPECT_TRUE(Deadline::immediate().remaining().is_zero());
  EXPECT_TRUE(Deadline::at(Clock::now() - milliseconds(1)).passed());
  EXPECT_TRUE(Deadline::at(Clock::now() - milliseconds(1)).remaining().is_zero());
  const Deadline far = Deadline::after(std::chrono::hours(1));
  EXPECT_FALSE(far.passed());
  EXPECT_LE(far.remaining().duration(), std::chrono::hours(1));
  EXPECT_GT(far.remaining().duration(), std::chrono::minutes(59));
}

TEST(Deadline, SurvivesTheWayThroughATimeout) {
  const Deadline time = Deadline::after(std::chrono::minutes(5));
  EXPECT_EQ(Deadline::after(Timeout(time)), time);
  EXPECT_EQ(Deadline::after(Timeout(Deadline::none())), Deadline::none());
  EXPECT_EQ(Deadline::after(Timeout(Deadline::immediate())), Deadline::immediate());
  EXPECT_EQ(Timeout(Deadline::none()), Timeout());
  EXPECT_EQ(Timeout(Deadline::immediate()), Timeout(0));
  EXPECT_TRUE(Deadline::after(std::chrono::nanoseconds::max()) < Deadline::none());
  EXPECT_LT(Deadline::immediate(), time);
  // A time before the epoch of the clock has passed, too.
  EXPECT_TRUE(Deadline::after(Timeout(Deadline::at(Clock::time_point(milliseconds(-5))))).passed());
}

}  // namespace
}  // namespace plug
