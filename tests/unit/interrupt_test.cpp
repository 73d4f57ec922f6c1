// Tests signals that arrive during a call (PEP 475).

#include <plug/selectors.hpp>
#include <plug/socket.hpp>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <pthread.h>
#include <signal.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <fstream>
#include <functional>
#include <map>
#include <string>
#include <thread>
#include <tuple>

#include "support/blocked_thread.hpp"
#include "support/errors.hpp"
#include "support/sockets.hpp"
#include "support/temporary_directory.hpp"

namespace plug {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

std::atomic<int> handled{0};

/// Interrupts system calls with SIGUSR1: its handler has no SA_RESTART.
class Interrupt : public testing::Test {
 protected:
  void SetUp() override {
    struct sigaction action {};
    action.sa_handler = [](int) { ++handled; };
    ASSERT_EQ(sigaction(SIGUSR1, &action, &before_), 0);
    handled = 0;
  }
  void TearDown() override {
    set_interrupt_hook(nullptr);
    EXPECT_EQ(sigaction(SIGUSR1, &before_, nullptr), 0);
  }

 private:
  struct sigaction before_ {};
};

/// A thread that makes one call and that can receive signals.
class SignalledThread {
 public:
  template <class Call>
  explicit SignalledThread(Call call)
      : thread_([this, call] {
          self_ = pthread_self();
          known_ = true;
          call();
        }) {}

  bool wait_until_blocked() { return thread_.wait_until_blocked(); }
  void join() { thread_.join(); }

  /// Sends a signal and returns when its handler has run.
  void interrupt() {
    const int before = handled;
    ASSERT_TRUE(known_);
    ASSERT_EQ(pthread_kill(self_, SIGUSR1), 0);
    while (handled == before) std::this_thread::yield();
  }

 private:
  pthread_t self_{};
  std::atomic<bool> known_{false};
  BlockedThread thread_;
};

TEST_F(Interrupt, DoesNotEndABlockingCall) {
  auto [sock, peer] = socketpair();
  Bytes received;
  SignalledThread thread([&, &sock = sock] { received = sock.recv(10); });
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(thread.wait_until_blocked());
    thread.interrupt();
  }
  peer.sendall("hello");
  thread.join();
  EXPECT_EQ(received, "hello");
  EXPECT_EQ(handled, 5);
}

TEST_F(Interrupt, DoesNotEndAMessageAndItsDescriptors) {
  for (const Timeout timeout : {Timeout(), Timeout(30)}) {
    auto [sock, peer] = socketpair();
    sock.settimeout(timeout);
    ReceivedFds received;
    SignalledThread thread([&, &sock = sock] { received = recv_fds(sock, 10, 1); });
    for (int i = 0; i < 3; ++i) {
      ASSERT_TRUE(thread.wait_until_blocked());
      thread.interrupt();
    }
    send_fds(peer, {"hel", "lo"}, {0});
    thread.join();
    EXPECT_EQ(received.data, "hello");
    EXPECT_EQ(received.fds.size(), 1u);
  }
}

// The functions that wait for several descriptors, each for at most half a minute until `fd` is
// readable.
const std::map<std::string, std::function<bool(int)>>& waits() {
  static const auto by_selector = [](BaseSelector&& selector, int fd) {
    selector.register_(fd, EVENT::READ);
    return !selector.select(30).empty();
  };
  static const std::map<std::string, std::function<bool(int)>> table = {
      {"select", [](int fd) { return !select({fd}, {}, {}, 30).empty(); }},
      {"Poll",
       [](int fd) {
         Poll poll;
         poll.register_(fd, POLL::IN);
         return !poll.poll(30'000).empty();
       }},
      {"Epoll",
       [](int fd) {
         Epoll epoll;
         epoll.register_(fd, EPOLL::IN);
         return !epoll.poll(30).empty();
       }},
      {"SelectSelector", [](int fd) { return by_selector(SelectSelector(), fd); }},
      {"PollSelector", [](int fd) { return by_selector(PollSelector(), fd); }},
      {"EpollSelector", [](int fd) { return by_selector(EpollSelector(), fd); }}};
  return table;
}

TEST_F(Interrupt, DoesNotEndAWaitForSeveral) {
  for (const auto& wait : waits()) {
    SCOPED_TRACE(wait.first);
    auto [sock, peer] = socketpair();
    bool readable = false;
    SignalledThread thread([&, fd = sock.fileno()] { readable = wait.second(fd); });
    bool blocked = true;
    for (int i = 0; i < 3; ++i) {
      blocked = blocked && thread.wait_until_blocked();
      thread.interrupt();
    }
    peer.sendall("x");
    thread.join();
    EXPECT_TRUE(blocked);
    EXPECT_TRUE(readable);
  }
}

TEST_F(Interrupt, EndsAWaitForSeveralWhenTheHookSaysSo) {
  for (const auto& wait : waits()) {
    SCOPED_TRACE(wait.first);
    set_interrupt_hook([] { return std::errc::operation_canceled; });
    auto [sock, peer] = socketpair();
    int number = 0;
    SignalledThread thread(
        [&, fd = sock.fileno()] { number = number_of_error([&] { wait.second(fd); }); });
    EXPECT_TRUE(thread.wait_until_blocked());
    thread.interrupt();
    thread.join();
    EXPECT_EQ(number, ECANCELED);
  }
}

TEST_F(Interrupt, DoesNotEndAnAccept) {
  Socket listener = create_server({"127.0.0.1", 0});
  Address peer;
  SignalledThread thread([&] { peer = listener.accept().second; });
  ASSERT_TRUE(thread.wait_until_blocked());
  thread.interrupt();
  ASSERT_TRUE(thread.wait_until_blocked());
  const Socket client = create_connection({"127.0.0.1", listener.getsockname().port()});
  thread.join();
  EXPECT_EQ(peer, client.getsockname());
}

TEST_F(Interrupt, LeavesATimedCallTheTimeThatIsLeft) {
  auto [sock, peer] = socketpair();
  sock.settimeout(0.3);
  std::error_code error;
  milliseconds taken{};
  SignalledThread thread([&, &sock = sock] {
    const auto begun = Clock::now();
    sock.recv(10, error);
    taken = std::chrono::duration_cast<milliseconds>(Clock::now() - begun);
  });
  // Sends signals all the time: if each restarted the timeout, the call would not end.
  while (thread.wait_until_blocked()) thread.interrupt();
  thread.join();
  EXPECT_EQ(error, timed_out());
  EXPECT_GE(taken, milliseconds(300));
  EXPECT_LT(taken, milliseconds(5000));
  EXPECT_GT(handled, 0);
}

TEST_F(Interrupt, DoesNotLoseWhatSendallHasSent) {
  auto [sock, peer] = socketpair();
  const std::string data = [] {
    std::string text;
    while (text.size() < (8u << 20)) text += std::to_string(text.size()) + ' ';
    return text;
  }();
  SignalledThread thread([&, &sock = sock] { sock.sendall(data); });
  std::string received;
  while (received.size() < data.size()) {
    if (thread.wait_until_blocked()) thread.interrupt();
    received += peer.recv(1 << 20);
  }
  thread.join();
  EXPECT_EQ(received, data);
  EXPECT_GT(handled, 3);
}

TEST_F(Interrupt, EndsTheCallWhenTheHookSaysSo) {
  set_interrupt_hook([] { return std::errc::operation_canceled; });
  for (const Timeout timeout : {Timeout(), Timeout(30)}) {
    auto [sock, peer] = socketpair();
    sock.settimeout(timeout);
    std::error_code error;
    SignalledThread thread([&, &sock = sock] { sock.recv(10, error); });
    ASSERT_TRUE(thread.wait_until_blocked());
    thread.interrupt();
    thread.join();
    EXPECT_EQ(error, std::make_error_code(std::errc::operation_canceled)) << timeout;
  }
}

// After the signal the system returns the number of bytes that it has sent, not EINTR.
TEST_F(Interrupt, EndsACallOfWhichAPartWasSentWhenTheHookSaysSo) {
  set_interrupt_hook([] { return std::errc::operation_canceled; });
  const std::string data(8u << 20, 'x');
  const TemporaryDirectory directory;
  std::ofstream(directory / "data") << data;
  const OwnedFd file(::open((directory / "data").c_str(), O_RDONLY | O_CLOEXEC));
  ASSERT_TRUE(file);
  const std::map<std::string, std::function<void(Socket&, std::error_code&)>> calls = {
      {"sendall", [&](Socket& sock, std::error_code& error) { sock.sendall(data, error); }},
      {"sendfile",
       [&](Socket& sock, std::error_code& error) { sock.sendfile(file.fileno(), 0, {}, error); }}};
  for (const auto& call : calls) {
    SCOPED_TRACE(call.first);
    auto [sock, peer] = socketpair();
    std::error_code error;
    SignalledThread thread([&, &sock = sock] { call.second(sock, error); });
    EXPECT_TRUE(thread.wait_until_blocked());
    thread.interrupt();
    EXPECT_FALSE(thread.wait_until_blocked());
    peer.close();  // ends a call that would continue
    thread.join();
    EXPECT_EQ(error, std::make_error_code(std::errc::operation_canceled));
  }
}

TEST_F(Interrupt, LetsAnExceptionOfTheHookLeaveTheCallAndTheSocketUsable) {
  set_interrupt_hook([]() -> std::errc { throw std::string("from the hook"); });
  for (const Timeout timeout : {Timeout(), Timeout(30)}) {
    auto [sock, peer] = socketpair();
    sock.settimeout(timeout);
    std::string caught;
    SignalledThread thread([&, &sock = sock] {
      try {
        sock.recv(10);
      } catch (const std::string& text) {
        caught = text;
      }
    });
    ASSERT_TRUE(thread.wait_until_blocked());
    thread.interrupt();
    thread.join();
    EXPECT_EQ(caught, "from the hook") << timeout;
    peer.sendall("still fine");
    EXPECT_EQ(sock.recv(100), "still fine");
  }
}

TEST_F(Interrupt, HookIsAskedOnceForEachInterruption) {
  static std::atomic<int> asked{0};
  asked = 0;
  set_interrupt_hook([] {
    ++asked;
    return std::errc{};
  });
  auto [sock, peer] = socketpair();
  SignalledThread thread([&, &sock = sock] { sock.recv(10); });
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(thread.wait_until_blocked());
    thread.interrupt();
    while (asked <= i) std::this_thread::yield();
  }
  peer.sendall("x");
  thread.join();
  EXPECT_EQ(asked, 3);
}

TEST_F(Interrupt, OfAConnectWaitsForItInsteadOfConnectingAgain) {
  FullListener listener;
  Socket sock(AF::INET);
  std::error_code error;
  SignalledThread thread([&] { sock.connect(listener.address(), error); });
  ASSERT_TRUE(thread.wait_until_blocked());
  thread.interrupt();
  ASSERT_TRUE(thread.wait_until_blocked());
  // There is room in the queue: the kernel's next attempt (after about a second) succeeds.
  listener.accept_all();
  thread.join();
  EXPECT_FALSE(error) << error.message();
  EXPECT_EQ(sock.getpeername(), listener.address());
}

// Connecting has not begun yet: the kernel first waits for room in the listener's queue.
TEST_F(Interrupt, OfAUnixConnectConnectsAgain) {
  Socket listener(AF::UNIX);
  listener.bind(UnixAddress(""));
  listener.listen(0);
  const Address address = listener.getsockname();
  Socket filler(AF::UNIX);
  filler.connect(address);
  Socket sock(AF::UNIX);
  std::error_code error;
  SignalledThread thread([&] { sock.connect(address, error); });
  ASSERT_TRUE(thread.wait_until_blocked());
  thread.interrupt();
  ASSERT_TRUE(thread.wait_until_blocked());
  std::ignore = listener.accept();
  thread.join();
  EXPECT_FALSE(error) << error.message();
  EXPECT_EQ(sock.getpeername(), address);
}

/// The hooks are plain functions, so their data is global.
Socket* outer = nullptr;
Socket* inner = nullptr;
double hook_seconds = 0;

double thread_seconds() {
  timespec time{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

TEST_F(Interrupt, LetsTheHookWaitWhenWhatItInterruptsIsClosed) {
  for (const Timeout timeout : {Timeout(20), Timeout()}) {
    auto [sock, peer] = socketpair();
    auto [other, its_peer] = socketpair();
    outer = &sock;
    inner = &other;
    sock.settimeout(timeout);
    other.settimeout(0.5);
    set_interrupt_hook([] {
      const double begin = thread_seconds();
      outer->close();
      EXPECT_THROW(inner->recv(1), TimeoutError);
      hook_seconds = thread_seconds() - begin;
      return std::errc{};
    });
    int number = 0;
    SignalledThread thread([&, &sock = sock] { number = number_of_error([&] { sock.recv(1); }); });
    ASSERT_TRUE(thread.wait_until_blocked());
    thread.interrupt();
    thread.join();
    EXPECT_EQ(number, EBADF);
    EXPECT_LT(hook_seconds, 0.25);
  }
}

}  // namespace
}  // namespace plug
