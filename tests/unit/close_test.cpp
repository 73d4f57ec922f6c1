// Tests the effect of close() on calls of other threads.

#include <plug/socket.hpp>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <functional>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include "support/blocked_thread.hpp"
#include "support/sockets.hpp"
#include "wait/descriptor.hpp"

namespace plug {
namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kLong = std::chrono::seconds(30);
constexpr auto kPrompt = std::chrono::seconds(10);

/// A blocking call, and the socket that it is made on.
struct Waiting {
  std::string name;
  std::function<void(Socket&, std::error_code&)> call;
  std::function<std::pair<Socket, Socket>()> make;  // the socket, and one that makes it wait
};

void receive(Socket& sock, std::error_code& error) { sock.recv(100, error); }
void receive_message(Socket& sock, std::error_code& error) { sock.recvmsg(9, 99, error); }
void receive_into(Socket& sock, std::error_code& error) {
  char room[9];
  sock.recvmsg_into({room}, 0, error);
}
void send_messages(Socket& sock, std::error_code& error) {
  const std::string megabyte(1 << 20, 'x');
  for (error.clear(); !error;) sock.sendmsg({megabyte, megabyte}, {}, error);
}
void accept_one(Socket& sock, std::error_code& error) { std::ignore = sock.accept(error); }
void send_much(Socket& sock, std::error_code& error) {
  const std::string megabytes(64 << 20, 'x');
  sock.sendall(megabytes, error);
}

std::vector<Waiting> waiting_calls() {
  return {
      {"TcpRecv", receive, [] { return tcp_pair(); }},
      {"TcpSendall", send_much, [] { return tcp_pair(); }},
      {"TcpRecvmsg", receive_message, [] { return tcp_pair(); }},
      {"TcpSendmsg", send_messages, [] { return tcp_pair(); }},
      {"UnixStreamRecvmsgInto", receive_into, [] { return socketpair(); }},
      {"UnixDatagramRecvmsg", receive_message, [] { return socketpair(AF::UNIX, SOCK::DGRAM); }},
      {"UnixStreamSendmsg", send_messages, [] { return socketpair(); }},
      {"TcpAccept", accept_one,
       [] {
         return std::pair(create_server({"127.0.0.1", 0}), Socket(AF::INET));
       }},
      {"Ipv6Accept", accept_one,
       [] {
         return std::pair(create_server({"::1", 0}, {.family = AF::INET6}), Socket(AF::INET));
       }},
      {"UdpRecv", receive,
       [] {
         Socket sock(AF::INET, SOCK::DGRAM);
         sock.bind({"127.0.0.1", 0});
         return std::pair(std::move(sock), Socket(AF::INET));
       }},
      {"UnixStreamRecv", receive, [] { return socketpair(); }},
      {"UnixStreamSendall", send_much, [] { return socketpair(); }},
      {"UnixSeqpacketRecv", receive, [] { return socketpair(AF::UNIX, SOCK::SEQPACKET); }},
      {"UnixDatagramRecv", receive, [] { return socketpair(AF::UNIX, SOCK::DGRAM); }},
      {"UnixAccept", accept_one,
       [] {
         Socket sock(AF::UNIX);
         sock.bind(UnixAddress{""});
         sock.listen();
         return std::pair(std::move(sock), Socket(AF::INET));
       }},
  };
}

class ClosingWakes : public testing::TestWithParam<std::tuple<Waiting, bool>> {};

TEST_P(ClosingWakes, TheCallEndsWithEbadfPromptly) {
  const auto& [waiting, timed] = GetParam();
  auto [sock, other] = waiting.make();
  if (timed) sock.settimeout(kLong);
  std::error_code error;
  BlockedThread thread([&, &waiting = waiting, &sock = sock] { waiting.call(sock, error); });
  ASSERT_TRUE(thread.wait_until_blocked());
  const auto closed = Clock::now();
  sock.close();
  EXPECT_EQ(sock.fileno(), -1);
  thread.join();
  EXPECT_LT(Clock::now() - closed, kPrompt);
  EXPECT_EQ(error, std::error_code(EBADF, std::system_category()));
}

INSTANTIATE_TEST_SUITE_P(Calls, ClosingWakes,
                         testing::Combine(testing::ValuesIn(waiting_calls()), testing::Bool()),
                         [](const auto& test) {
                           return std::get<0>(test.param).name +
                                  (std::get<1>(test.param) ? "Timed" : "Untimed");
                         });

TEST(Close, WakesAConnectThatWaits) {
  const FullListener listener;
  for (const Timeout timeout : {Timeout(), Timeout(kLong)}) {
    Socket sock(AF::INET);
    sock.settimeout(timeout);
    std::error_code error;
    BlockedThread thread([&] { sock.connect(listener.address(), error); });
    ASSERT_TRUE(thread.wait_until_blocked());
    sock.close();
    thread.join();
    EXPECT_EQ(error, std::error_code(EBADF, std::system_category())) << timeout;
  }
}

TEST(Close, LeavesADuplicateConnectedWhenNothingIsInFlight) {
  auto [sock, peer] = tcp_pair();
  Socket duplicate = sock.dup();
  sock.close();
  duplicate.sendall("still here");
  EXPECT_EQ(peer.recv(100), "still here");
}

TEST(Close, LeavesADuplicateConnectedWhenOnlyTimedCallsAreInFlight) {
  auto [sock, peer] = tcp_pair();
  Socket duplicate = sock.dup();
  sock.settimeout(kLong);
  std::error_code error;
  {
    BlockedThread thread([&, &sock = sock] { sock.recv(10, error); });
    ASSERT_TRUE(thread.wait_until_blocked());
    sock.close();
  }
  EXPECT_EQ(error.value(), EBADF);
  duplicate.setblocking(true);
  duplicate.sendall("still here");
  EXPECT_EQ(peer.recv(100), "still here");
}

TEST(Close, WakesATimedCallOfAThreadThatGotNoDescriptorToBeWokenBy) {
  auto [sock, peer] = tcp_pair();
  sock.settimeout(kLong);
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  rlimit few = before;
  few.rlim_cur = 64;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
  std::error_code error;
  BlockedThread thread([&, &sock = sock] {
    std::vector<int> fillers;
    for (int fd = ::dup(0); fd >= 0; fd = ::dup(0)) fillers.push_back(fd);
    sock.recv(10, error);
    for (const int fd : fillers) ::close(fd);
  });
  const bool blocked = thread.wait_until_blocked();
  const auto closed = Clock::now();
  sock.close();
  thread.join();
  EXPECT_LT(Clock::now() - closed, kPrompt);
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  ASSERT_TRUE(blocked);
  EXPECT_EQ(error.value(), EBADF);
}

TEST(Close, InAForkedChildLeavesTheParentsCallsAndConnectionAlone) {
  auto [sock, peer] = tcp_pair();
  Bytes received;
  BlockedThread thread([&, &sock = sock] { received = sock.recv(100); });
  ASSERT_TRUE(thread.wait_until_blocked());
  const pid_t child = fork();
  if (child == 0) {
    // The call in progress belongs to the parent process: close() here shuts nothing down, and
    // frees the number at once.
    const int fd = sock.fileno();
    sock.close();
    _exit(fcntl(fd, F_GETFD) == -1 && errno == EBADF ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  peer.sendall("for the parent");
  thread.join();
  EXPECT_EQ(received, "for the parent");
}

TEST(Close, KeepsTheNumberTakenUntilTheLastOperationHasLeft) {
  Socket sock(AF::INET, SOCK::DGRAM);
  const int fd = sock.detach();
  detail::wait::Descriptor descriptor(fd);
  {
    const detail::wait::Descriptor::InFlight first(descriptor, false);
    {
      const detail::wait::Descriptor::InFlight second(descriptor, false);
      EXPECT_EQ(descriptor.close(), 0);
      EXPECT_NE(fcntl(fd, F_GETFD), -1);
      EXPECT_EQ(detail::wait::Descriptor::InFlight(descriptor, false).fd(), -1);
    }
    EXPECT_NE(fcntl(fd, F_GETFD), -1);
  }
  EXPECT_EQ(fcntl(fd, F_GETFD), -1);
  EXPECT_EQ(errno, EBADF);
}

TEST(Close, IsSafeAgainstCallsThatBeginAtTheSameMoment) {
  for (int round = 0; round < 300; ++round) {
    auto [sock, peer] = socketpair();
    if (round % 2 == 0) sock.settimeout(kLong);
    std::atomic<int> ended_with_ebadf{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < 3; ++i)
      threads.emplace_back([&, &sock = sock] {
        std::error_code error;
        sock.recv(10, error);
        if (error == std::error_code(EBADF, std::system_category())) ++ended_with_ebadf;
      });
    sock.close();
    for (std::thread& thread : threads) thread.join();
    ASSERT_EQ(ended_with_ebadf, 3) << round;
  }
}

TEST(Close, ByTwoThreadsAtOnceClosesOnce) {
  for (int round = 0; round < 300; ++round) {
    Socket sock(AF::INET, SOCK::DGRAM);
    const int fd = sock.fileno();
    std::thread other([&] { sock.close(); });
    sock.close();
    other.join();
    // The socket that gets the number next stays open.
    const Socket next(AF::INET, SOCK::DGRAM);
    ASSERT_EQ(next.fileno(), fd);
    ASSERT_NE(fcntl(fd, F_GETFD), -1);
  }
}

TEST(Close, LetsTheThreadThatWasWokenWaitAgainElsewhere) {
  auto [first, first_peer] = socketpair();
  auto [second, second_peer] = socketpair();
  first.settimeout(kLong);
  second.settimeout(0.5);
  std::error_code error;
  std::error_code second_error;
  rusage before{}, after{};
  BlockedThread thread([&, &first = first, &second = second] {
    first.recv(10, error);
    getrusage(RUSAGE_THREAD, &before);
    second.recv(10, second_error);
    getrusage(RUSAGE_THREAD, &after);
  });
  ASSERT_TRUE(thread.wait_until_blocked());
  first.close();
  thread.join();
  EXPECT_EQ(error.value(), EBADF);
  EXPECT_EQ(second_error, timed_out());
  // The thread slept: a wake-up that is left over would make it spin.
  const auto microseconds = [](const timeval& time) {
    return time.tv_sec * 1'000'000 + time.tv_usec;
  };
  EXPECT_LT(microseconds(after.ru_utime) + microseconds(after.ru_stime) -
                microseconds(before.ru_utime) - microseconds(before.ru_stime),
            100'000);
}

}  // namespace
}  // namespace plug
