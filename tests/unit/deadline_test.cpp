// One deadline a call, however slowly the peer goes on.

#include <plug/socket.hpp>

#include <gtest/gtest.h>

#include <cerrno>
#include <chrono>
#include <string>

#include "support/drip.hpp"
#include "wait/io_driver.hpp"

namespace plug {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr auto kTimeout = milliseconds(150);
// A loaded machine may wake a thread late; it never may be early.
constexpr auto kSlack = milliseconds(2000);

template <class Call>
void expect_time_out(Call call) {
  const auto begun = Clock::now();
  EXPECT_THROW(call(), TimeoutError);
  const auto taken = Clock::now() - begun;
  EXPECT_GE(taken, kTimeout);
  EXPECT_LT(taken, kTimeout + kSlack);
}

TEST(Deadline, EndsEveryWaitingCallAtTheTimeoutAndNotBefore) {
  auto [sock, peer] = socketpair();
  sock.settimeout(kTimeout);
  expect_time_out([&, &sock = sock] { sock.recv(1); });
  char buffer[8];
  expect_time_out([&, &sock = sock] { sock.recv_into(buffer); });
  expect_time_out([&, &sock = sock] { sock.recvfrom(1); });
  expect_time_out([&, &sock = sock] { sock.recvfrom_into(buffer); });
  expect_time_out([&, &sock = sock] { sock.recvmsg(1, 100); });
  expect_time_out([&, &sock = sock] { sock.recvmsg_into({buffer}); });
  expect_time_out([&, &sock = sock] { recv_fds(sock, 1, 1); });
  const std::string large(16 << 20, 'x');
  expect_time_out([&, &sock = sock] { sock.sendall(large); });
  expect_time_out([&, &sock = sock] { sock.sendmsg({large}); });
  expect_time_out([&, &sock = sock] { send_fds(sock, {large}, {0}); });
  expect_time_out([&, &sock = sock] { sock.send("more"); });
  Socket listener = create_server({"127.0.0.1", 0});
  listener.settimeout(kTimeout);
  expect_time_out([&] { listener.accept(); });
}

TEST(Deadline, OfSendallIsOneForTheWholeCallWhileThePeerReadsByteByByte) {
  auto [sock, peer] = socketpair();
  sock.settimeout(kTimeout);
  sock.setsockopt(SOL::SOCKET, SO::SNDBUF, 4096);
  const Drip drip([&peer = peer] {
    std::error_code ignored;
    peer.recv(4096, MSG::DONTWAIT, ignored);
  });
  const std::string large(64 << 20, 'x');
  expect_time_out([&, &sock = sock] { sock.sendall(large); });
}

TEST(Deadline, OfSendallReportsWhatWasSent) {
  auto [sock, peer] = socketpair();
  sock.settimeout(0.05);
  std::error_code error;
  const std::string large(16 << 20, 'x');
  const std::size_t sent = sock.sendall(large, MSG{}, error);
  EXPECT_EQ(error, timed_out());
  peer.settimeout(0);
  std::size_t arrived = 0;
  for (;;) {
    const Bytes piece = peer.recv(1 << 20, MSG{}, error);
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
  const auto begun = Clock::now();
  EXPECT_LT(sock.recv_into(buffer), sizeof buffer);
  EXPECT_LT(Clock::now() - begun, kSlack);
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
  expect_time_out([&, &sock = sock] { sock.recv(1, MSG::DONTWAIT); });
}

TEST(Deadline, HoldsWhenADuplicateHasMadeTheDescriptorBlocking) {
  auto [sock, peer] = socketpair();
  sock.settimeout(kTimeout);
  Socket duplicate = sock.dup();
  duplicate.setblocking(true);
  expect_time_out([&, &sock = sock] { sock.recv(1); });
}

TEST(Deadline, OfWaitAnyGivesZeroWhenItPasses) {
  auto [sock, peer] = socketpair();
  detail::sys::PollEntry entries[] = {{sock.fileno(), detail::sys::kIn, 0},
                                      {peer.fileno(), detail::sys::kIn, 0}};
  const auto begun = Clock::now();
  EXPECT_EQ(detail::wait_any(entries, detail::Deadline::after(20'000'000)), 0);
  EXPECT_GE(Clock::now() - begun, milliseconds(20));
  EXPECT_EQ(detail::wait_any(entries, detail::Deadline::immediate()), 0);
  sock.sendall("x");
  EXPECT_EQ(detail::wait_any(entries, detail::Deadline::none()), 1);
  EXPECT_EQ(entries[0].revents, 0);
  EXPECT_EQ(entries[1].revents, detail::sys::kIn);
}

}  // namespace
}  // namespace plug
