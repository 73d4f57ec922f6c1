// Tests the waits of calls and their ends: options of the socket, urgent data, the error queue,
// ancillary data, and changes that others make to the descriptor.

#include <plug/plug.hpp>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/errqueue.h>
#include <linux/net_tstamp.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <stop_token>
#include <string>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

#include "support/deadlines.hpp"
#include "support/errors.hpp"
#include "support/process.hpp"
#include "support/sockets.hpp"
#include "support/temporary_directory.hpp"
#include "wait/descriptor.hpp"

namespace plug {
namespace {

using namespace std::chrono_literals;

constexpr auto kSoon = 100ms;
/// A call that takes longer hangs.
constexpr auto kLate = 5s;

/// Calls `act` after a while in another thread.
template <class Act>
std::jthread soon(Act act) {
  return std::jthread([act] {
    std::this_thread::sleep_for(kSoon);
    act();
  });
}

void set_time(Socket& sock, SO name, std::chrono::milliseconds time) {
  const timeval value{0, std::chrono::microseconds(time).count()};
  sock.setsockopt(SOL::SOCKET, name, BytesView(&value, sizeof value));
}

// --- options of the socket ---

/// Closes the peer if a call hangs.
std::jthread rescue_from(Socket& peer) {
  return std::jthread([&peer](const std::stop_token& stop) {
    std::mutex mutex;
    std::condition_variable_any ended;
    std::unique_lock lock(mutex);
    ended.wait_for(lock, stop, kLate, [] { return false; });
    if (!stop.stop_requested()) peer.close();
  });
}

/// Expects that a receive without data ends after SO_RCVTIMEO.
void expect_timed_receive(Socket& sock, Socket& peer) {
  const std::jthread rescue = rescue_from(peer);
  const auto taken =
      time_of([&] { EXPECT_EQ(number_of_error<BlockingIOError>([&] { sock.recv(1); }), EAGAIN); });
  EXPECT_GE(taken, kSoon);
}

/// Expects that a send without room ends after SO_SNDTIMEO.
void expect_timed_send(Socket& sock, Socket& peer) {
  const std::jthread rescue = rescue_from(peer);
  const std::string much(64 << 20, 'x');
  EXPECT_EQ(number_of_error<BlockingIOError>([&] {
              for (;;) sock.sendall(much);
            }),
            EAGAIN);
}

struct TimeOption {
  SO name;
  void (*expect_timed)(Socket& sock, Socket& peer);
};
constexpr TimeOption kTimeOptions[] = {{SO::RCVTIMEO, expect_timed_receive},
                                       {SO::SNDTIMEO, expect_timed_send}};

TEST(TimeOptions, CountOnADuplicate) {
  for (const TimeOption& option : kTimeOptions) {
    auto [sock, peer] = tcp_pair();
    set_time(sock, option.name, kSoon);
    Socket copy = sock.dup();
    option.expect_timed(copy, peer);
  }
}

TEST(TimeOptions, CountOnWhatAListenerAccepts) {
  for (const TimeOption& option : kTimeOptions) {
    Socket listener = tcp_listener();
    set_time(listener, option.name, kSoon);
    Socket client = create_connection(HostPort{"127.0.0.1", listener.getsockname().port()});
    auto [sock, peer] = listener.accept();
    option.expect_timed(sock, client);
  }
}

TEST(TimeOptions, CountOnAnAdoptedDescriptor) {
  for (const TimeOption& option : kTimeOptions) {
    auto [sock, peer] = tcp_pair();
    set_time(sock, option.name, kSoon);
    Socket adopted(Fileno{sock.detach()});
    option.expect_timed(adopted, peer);
  }
}

TEST(TimeOptions, CountOnACopyFromADescriptor) {
  auto [sock, peer] = tcp_pair();
  set_time(sock, SO::RCVTIMEO, kSoon);
  Socket copy = fromfd(sock.fileno(), sock.family(), sock.type());
  expect_timed_receive(copy, peer);
}

TEST(TimeOptions, MayBeLongerThanNanosecondsCount) {
  auto [sock, peer] = tcp_pair();
  // In nanoseconds this overflows 64 bits, and leaves one millisecond.
  const timeval value{std::int64_t{1} << 55, 1'000};
  sock.setsockopt(SOL::SOCKET, SO::RCVTIMEO, BytesView(&value, sizeof value));
  const auto data = soon([&peer = peer] { peer.sendall("abc"); });
  EXPECT_EQ(sock.recv(8), "abc");
}

TEST(LowWaterMark, IsWaitedForWithATimeout) {
  auto [sock, peer] = tcp_pair();
  sock.setsockopt(SOL::SOCKET, SO::RCVLOWAT, 5);
  sock.settimeout(20);
  peer.sendall("abc");
  const auto more = soon([&peer = peer] { peer.sendall("defg"); });
  EXPECT_EQ(sock.recv(100), "abcdefg");
}

TEST(LowWaterMark, IsWaitedForOnDuplicatesAndWhatIsAcceptedOrAdopted) {
  Socket listener = tcp_listener();
  listener.setsockopt(SOL::SOCKET, SO::RCVLOWAT, 5);
  Socket peer = create_connection(HostPort{"127.0.0.1", listener.getsockname().port()});
  Socket accepted = listener.accept().first;
  Socket copy = accepted.dup();
  Socket adopted(Fileno{accepted.dup().detach()});
  for (Socket* const sock : {&accepted, &copy, &adopted}) {
    sock->settimeout(20);
    peer.sendall("abc");
    const auto more = soon([&] { peer.sendall("defg"); });
    EXPECT_EQ(sock->recv(100), "abcdefg");
  }
}

TEST(LowWaterMark, IsWaitedForWithoutATimeout) {
  for (const bool tcp : {true, false}) {
    auto [sock, peer] = tcp ? tcp_pair() : socketpair();
    sock.setsockopt(SOL::SOCKET, SO::RCVLOWAT, 5);
    peer.sendall("abc");
    // TCP wakes nobody for less data than the mark, even if some data has been received before.
    const auto more = soon([&peer = peer] { peer.sendall("defghi"); });
    EXPECT_EQ(sock.recv(100), "abcdefghi");
  }
}

TEST(LowWaterMark, DoesNotKeepASmallerReceiveFromWhatIsThere) {
  auto [sock, peer] = tcp_pair();
  sock.setsockopt(SOL::SOCKET, SO::RCVLOWAT, 5);
  peer.sendall("abcdefgh");
  EXPECT_EQ(sock.recv(6), "abcdef");
  EXPECT_EQ(sock.recv(2), "gh");
}

TEST(LowWaterMark, IsIgnoredAtTheEndOfTheStream) {
  auto [sock, peer] = tcp_pair();
  sock.setsockopt(SOL::SOCKET, SO::RCVLOWAT, 5);
  peer.sendall("abc");
  const auto end = soon([&peer = peer] { peer.shutdown(SHUT::WR); });
  EXPECT_EQ(sock.recv(100), "abc");
  EXPECT_EQ(sock.recv(100), "");
}

// --- urgent data ---

TEST(UrgentByte, IsWaitedForWithATimeout) {
  for (const bool with_data : {false, true}) {
    auto [sock, peer] = tcp_pair();
    if (with_data) peer.sendall("abc");
    sock.settimeout(20);
    const auto more = soon([&peer = peer] { peer.sendall("!", MSG::OOB); });
    EXPECT_EQ(sock.recv(1, MSG::OOB), "!");
    if (!with_data) continue;
    EXPECT_EQ(sock.recv(100), "abc");
  }
}

TEST(UrgentByte, IsWaitedForUntilTheTimeoutOrTheEnd) {
  auto [sock, peer] = tcp_pair();
  sock.settimeout(kSoon);
  EXPECT_THROW(sock.recv(1, MSG::OOB), TimeoutError);
  sock.settimeout(20);
  const auto end = soon([&peer = peer] { peer.close(); });
  EXPECT_EQ(number_of_error([&sock = sock] { sock.recv(1, MSG::OOB); }), EINVAL);
}

TEST(UrgentByte, IsNoticedBySelect) {
  auto [sock, peer] = tcp_pair();
  const auto more = soon([&peer = peer] { peer.sendall("!", MSG::OOB); });
  EXPECT_EQ(select({}, {}, {sock}, 20).exceptional.size(), 1u);
}

TEST(UrgentByte, IsNotWaitedForWithoutATimeout) {
  auto [sock, peer] = tcp_pair();
  EXPECT_EQ(number_of_error([&sock = sock] { sock.recv(1, MSG::OOB); }), EINVAL);
}

// --- the error queue ---

void fill_error_queue(Socket& sock) {
  sock.setsockopt(
      SOL::SOCKET, OptionName(SO_TIMESTAMPING),
      SOF_TIMESTAMPING_TX_SOFTWARE | SOF_TIMESTAMPING_SOFTWARE | SOF_TIMESTAMPING_OPT_TSONLY);
  sock.sendall("x");
  pollfd entry{sock.fileno(), 0, 0};
  ASSERT_EQ(::poll(&entry, 1, 10'000), 1);
}

TEST(ErrorQueue, TakesNothingFromTheReceivesAfterIt) {
  auto [sock, peer] = tcp_pair();
  peer.sendall("abc");
  sock.settimeout(kSoon);
  EXPECT_THROW(sock.recv(100, MSG::ERRQUEUE), TimeoutError);
  sock.settimeout(20);
  EXPECT_EQ(sock.recv(100), "abc");
}

TEST(ErrorQueue, IsReadWhateverTheReceivesBeforeItHaveFound) {
  auto [sock, peer] = tcp_pair();
  fill_error_queue(sock);
  sock.settimeout(kSoon);
  EXPECT_THROW(sock.recv(100), TimeoutError);
  sock.settimeout(20);
  EXPECT_FALSE(sock.recvmsg(100, 200, MSG::ERRQUEUE).ancdata.empty());
}

TEST(ErrorQueue, LetsDataThroughAtOnceWhileItIsUnread) {
  for (const std::ptrdiff_t size : {100, 100'000}) {
    auto [sock, peer] = tcp_pair();
    fill_error_queue(sock);
    sock.settimeout(20);
    const auto more = soon([&peer = peer] { peer.sendall("abc"); });
    EXPECT_EQ(sock.recv(size), "abc");
  }
}

// --- peeking ---

/// Sends five bytes together with a descriptor.
void send_with_descriptor(Socket& sock) { send_fds(sock, {"abcde"}, {sock.fileno()}); }

TEST(PeekingAll, StopsAtADescriptorAsTheSystemDoes) {
  auto [sock, peer] = socketpair();
  send_with_descriptor(peer);
  EXPECT_EQ(sock.recv(10, MSG::PEEK | MSG::WAITALL), "abcde");
  peer.sendall("fghij");
  EXPECT_EQ(sock.recv(10, MSG::PEEK | MSG::WAITALL), "abcde");
}

TEST(PeekingAll, TakesOneDescriptorForEachThatItGives) {
  auto [sock, peer] = socketpair();
  peer.sendall("01234");
  send_with_descriptor(peer);
  const int before = settled_descriptors();
  {
    ReceivedMessage peeked = sock.recvmsg(20, 100, MSG::PEEK | MSG::WAITALL);
    EXPECT_EQ(peeked.data, "01234abcde");
    EXPECT_EQ(peeked.ancdata.take_fds().size(), 1u);
  }
  EXPECT_EQ(settled_descriptors(), before);
}

TEST(PeekingAll, OfAUnixSocketFindsWhatThereIsAsTheSystemDoes) {
  auto [sock, peer] = socketpair();
  const auto data = soon([&peer = peer] { peer.sendall("abc"); });
  EXPECT_EQ(sock.recv(8, MSG::PEEK | MSG::WAITALL), "abc");
}

TEST(PeekingAll, OfTcpWaitsForAllThatIsToCome) {
  auto [sock, peer] = tcp_pair();
  peer.sendall("abc");
  const auto more = soon([&peer = peer] { peer.sendall("defgh"); });
  EXPECT_EQ(sock.recv(8, MSG::PEEK | MSG::WAITALL), "abcdefgh");
  EXPECT_EQ(sock.recv(8), "abcdefgh");
}

TEST(PeekingAll, EndsWithTheStreamOrBeforeUrgentData) {
  auto [sock, peer] = tcp_pair();
  peer.sendall("abc");
  const auto urgent = soon([&peer = peer] { peer.sendall("!", MSG::OOB); });
  EXPECT_EQ(sock.recv(8, MSG::PEEK | MSG::WAITALL), "abc");
  auto [other, its_peer] = tcp_pair();
  its_peer.sendall("abc");
  const auto end = soon([&its_peer = its_peer] { its_peer.shutdown(SHUT::WR); });
  EXPECT_EQ(other.recv(8, MSG::PEEK | MSG::WAITALL), "abc");
}

// --- connecting and accepting ---

TEST(Connecting, ToAFullUnixQueueWaitsForRoomAsLongAsItMay) {
  const TemporaryDirectory directory;
  Socket listener(AF::UNIX);
  listener.bind(UnixAddress(directory / "l"));
  listener.listen(0);
  std::vector<Socket> queued;
  for (std::error_code error; !error;) {
    queued.emplace_back(AF::UNIX);
    queued.back().setblocking(false);
    queued.back().connect(listener.getsockname(), error);
  }
  Socket sock(AF::UNIX);
  sock.settimeout(0);
  EXPECT_EQ(number_of_error<BlockingIOError>([&] { sock.connect(listener.getsockname()); }),
            EAGAIN);
  sock.settimeout(kSoon);
  const auto taken =
      time_of([&] { EXPECT_THROW(sock.connect(listener.getsockname()), TimeoutError); });
  EXPECT_GE(taken, kSoon);
  sock.settimeout(20);
  const auto room = soon([fd = listener.fileno()] { ::close(::accept(fd, nullptr, nullptr)); });
  sock.connect(listener.getsockname());
  EXPECT_EQ(sock.getpeername(), listener.getsockname());
}

TEST(Connecting, KeepsItsTimeoutWhenADuplicateHasMadeTheDescriptorBlocking) {
  const FullListener full;
  Socket sock;
  sock.settimeout(200ms);
  Socket copy = sock.dup();
  copy.setblocking(true);
  const auto taken = time_of([&] { EXPECT_THROW(sock.connect(full.address()), TimeoutError); });
  EXPECT_LT(taken, 2s);
}

TEST(Sendfile, SendsWhatAnEventfdHasCounted) {
  auto [sock, peer] = tcp_pair();
  const OwnedFd counter(::eventfd(21, EFD_CLOEXEC));
  sock.settimeout(kSoon);
  EXPECT_THROW(sock.sendfile(counter.fileno()), TimeoutError);
  const std::uint64_t count = 21;
  peer.settimeout(kLate);
  EXPECT_EQ(receive_exactly(peer, sizeof count), std::string(BytesView(&count, sizeof count)));
}

// --- changes by others to the descriptor ---

TEST(Number, IsWaitedForAgainAfterDup2ReplacedItsFile) {
  for (const std::ptrdiff_t size : {100, 100'000}) {
    auto [sock, peer] = tcp_pair();
    sock.settimeout(kSoon);
    EXPECT_THROW(sock.recv(size), TimeoutError);
    auto [other, its_peer] = tcp_pair();
    ASSERT_EQ(::dup2(other.fileno(), sock.fileno()), sock.fileno());
    sock.settimeout(20);
    const auto more = soon([&its_peer = its_peer] { its_peer.sendall("abc"); });
    EXPECT_EQ(sock.recv(size), "abc");
  }
}

// --- signals ---

std::atomic<detail::wait::Descriptor*> to_close{nullptr};

TEST(Close, InASignalHandlerIsNotLostOnAnOperation) {
  const int status = run_in_child([] {
    struct sigaction action {};
    action.sa_handler = [](int) {
      if (detail::wait::Descriptor* const it = to_close.exchange(nullptr)) it->close();
    };
    ::sigaction(SIGALRM, &action, nullptr);
    constexpr int kTimes = 6'000;
    int lost = 0;
    for (int i = 0; i < kTimes; ++i) {
      detail::wait::Descriptor descriptor(::eventfd(0, EFD_CLOEXEC));
      const int number = descriptor.fd();
      to_close = &descriptor;
      const itimerval time{{}, {0, 20 + i % 20}};
      ::setitimer(ITIMER_REAL, &time, nullptr);
      for (int fd = 0; fd >= 0;) fd = detail::wait::Descriptor::InFlight(descriptor, false).fd();
      if (!descriptor.closed() || ::fcntl(number, F_GETFD) >= 0) ++lost;
    }
    return std::min(lost, 100);
  });
  EXPECT_EQ(status, 0);
}

}  // namespace
}  // namespace plug
