// Tests Socket::sendfile(): the data that arrives, the position of the file afterwards, and errors.

#include <plug/ancillary.hpp>
#include <plug/socket.hpp>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <future>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

#include "socket/state.hpp"
#include "support/blocked_thread.hpp"
#include "support/connected_pair.hpp"
#include "support/drip.hpp"
#include "support/fibers.hpp"
#include "support/process.hpp"
#include "support/sockets.hpp"
#include "wait/io_driver.hpp"

namespace plug {
namespace {

using Clock = std::chrono::steady_clock;
using testing::HasSubstr;
namespace sys = detail::sys;

/// Returns a text in which no two places look alike.
std::string pattern(std::size_t size) {
  std::string text;
  text.reserve(size + 16);
  while (text.size() < size) text += std::to_string(text.size()) + ' ';
  text.resize(size);
  return text;
}

/// Returns a file in memory with this content, positioned at its beginning.
OwnedFd file_of(const std::string& content) {
  OwnedFd file(::memfd_create("plug", MFD_CLOEXEC));
  EXPECT_EQ(::pwrite(file.fileno(), content.data(), content.size(), 0),
            static_cast<ssize_t>(content.size()));
  return file;
}

off_t position(const OwnedFd& file) { return ::lseek(file.fileno(), 0, SEEK_CUR); }

std::pair<OwnedFd, OwnedFd> make_pipe() {
  int ends[2];
  EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  return {OwnedFd(ends[0]), OwnedFd(ends[1])};
}

/// Receives until the end of the stream.
std::future<std::string> everything(Socket& peer) {
  return std::async(std::launch::async, [&peer] {
    std::string all;
    for (Bytes piece = peer.recv(1 << 20); !piece.empty(); piece = peer.recv(1 << 20)) all += piece;
    return all;
  });
}

/// A layer that inverts each byte, so that a test notices when the layer is bypassed.
struct Complement : detail::socket::Layer {
  long receive(detail::wait::Descriptor&, MutableBytes, int, Deadline) override { return -EINVAL; }
  long send(detail::wait::Descriptor& descriptor, BytesView data, int flags,
            Deadline deadline) override {
    std::string changed(data.data(), std::min<std::size_t>(data.size(), 1000));
    for (char& byte : changed) byte = static_cast<char>(~byte);
    detail::wait::Op op{.kind = detail::wait::Op::Kind::send,
                        .flags = flags,
                        .data = changed.data(),
                        .size = changed.size()};
    return detail::wait::perform(descriptor, op, deadline);
  }
  std::size_t pending() const noexcept override { return 0; }
};

enum class Over { tcp, unix_stream };
enum class From { file, pipe, socket };
enum class Mode { blocking, timed, timed_in_blocking_mode, blocking_in_other_mode };

/// All kinds of sockets, sources and modes.
class Sendfile : public testing::TestWithParam<std::tuple<Over, From, Mode>> {
 protected:
  Sendfile() {
    std::tie(sock, peer) = std::get<0>(GetParam()) == Over::tcp ? tcp_pair() : socketpair();
    const Mode mode = std::get<2>(GetParam());
    if (mode != Mode::blocking && mode != Mode::blocking_in_other_mode) sock.settimeout(30);
    duplicate = sock.dup();
    if (mode == Mode::timed_in_blocking_mode) duplicate.setblocking(true);
    if (mode == Mode::blocking_in_other_mode) duplicate.setblocking(false);
  }

  /// Returns a source with this content. If it may become full, another thread fills it.
  OwnedFd source(std::string content) {
    if (std::get<1>(GetParam()) == From::file) return file_of(content);
    if (std::get<1>(GetParam()) == From::pipe) {
      auto [reading, writing] = make_pipe();
      writer_ = std::thread([content = std::move(content), writing = std::move(writing)] {
        for (std::size_t done = 0; done < content.size();) {
          const ssize_t count = ::write(writing.fileno(), content.data() + done,
                                        std::min<std::size_t>(content.size() - done, 77'777));
          if (count < 0 && errno != EINTR) break;
          if (count > 0) done += static_cast<std::size_t>(count);
        }
      });
      return std::move(reading);
    }
    auto [reading, writing] = socketpair();
    writer_ = std::thread([content = std::move(content), writing = std::move(writing)]() mutable {
      std::error_code ignored;
      writing.sendall(content, ignored);
    });
    return OwnedFd(reading.detach());
  }
  bool has_position() const { return std::get<1>(GetParam()) == From::file; }

  ~Sendfile() override {
    if (writer_.joinable()) writer_.join();
  }

  Socket sock;
  Socket peer;
  Socket duplicate;

 private:
  std::thread writer_;
};

TEST_P(Sendfile, SendsAllOfItOnceInOrder) {
  const std::string content = pattern(5'000'001);
  OwnedFd file = source(content);
  std::future<std::string> arrived = everything(peer);
  EXPECT_EQ(sock.sendfile(file.fileno()), static_cast<std::int64_t>(content.size()));
  sock.shutdown(SHUT::WR);
  EXPECT_TRUE(arrived.get() == content);
  if (has_position()) {
    EXPECT_EQ(position(file), static_cast<off_t>(content.size()));
  }
}

TEST_P(Sendfile, SendsCountBytesAndLeavesTheRest) {
  const std::string content = pattern(1'000'000);
  OwnedFd file = source(content);
  std::future<std::string> arrived = everything(peer);
  EXPECT_EQ(sock.sendfile(file.fileno(), 0, 1), 1);
  if (has_position()) {
    EXPECT_EQ(position(file), 1);
  }
  const std::int64_t again = has_position() ? 1 : 0;
  EXPECT_EQ(sock.sendfile(file.fileno(), again, 300'000), 300'000);
  const std::int64_t rest = has_position() ? 300'001 : 0;
  EXPECT_EQ(sock.sendfile(file.fileno(), rest, 1'000'000'000'000), 699'999);
  sock.shutdown(SHUT::WR);
  EXPECT_TRUE(arrived.get() == content);
}

TEST_P(Sendfile, SendsNothingOfNothing) {
  OwnedFd file = source("");
  EXPECT_EQ(sock.sendfile(file.fileno()), 0);
  EXPECT_EQ(sock.sendfile(file.fileno(), 0, 5), 0);
}

std::string name_of(const testing::TestParamInfo<Sendfile::ParamType>& test) {
  constexpr const char* kOver[] = {"Tcp", "Unix"};
  constexpr const char* kFrom[] = {"File", "Pipe", "Socket"};
  constexpr const char* kMode[] = {"Blocking", "Timed", "TimedInBlockingMode",
                                   "BlockingInOtherMode"};
  const auto [over, from, mode] = test.param;
  return std::string(kOver[static_cast<int>(over)]) + kFrom[static_cast<int>(from)] +
         kMode[static_cast<int>(mode)];
}

INSTANTIATE_TEST_SUITE_P(Each, Sendfile,
                         testing::Combine(testing::Values(Over::tcp, Over::unix_stream),
                                          testing::Values(From::file, From::pipe, From::socket),
                                          testing::Values(Mode::blocking, Mode::timed,
                                                          Mode::timed_in_blocking_mode,
                                                          Mode::blocking_in_other_mode)),
                         name_of);

TEST(SendfilePosition, IsBehindWhatWasSentWhereverItWasBefore) {
  ConnectedPair pair;
  const OwnedFd file = file_of(pattern(1000));
  ASSERT_EQ(::lseek(file.fileno(), 123, SEEK_SET), 123);
  EXPECT_EQ(pair.sock.sendfile(file.fileno(), 500, 100), 100);
  EXPECT_EQ(position(file), 600);
  EXPECT_EQ(receive_exactly(pair.peer, 100), pattern(1000).substr(500, 100));
  // Nothing is sent, so the position does not change.
  EXPECT_EQ(pair.sock.sendfile(file.fileno(), 1000), 0);
  EXPECT_EQ(pair.sock.sendfile(file.fileno(), 5000), 0);
  EXPECT_EQ(position(file), 600);
}

TEST(SendfilePosition, IsBehindWhatWasSentAfterAnErrorToo) {
  auto [sock, peer] = socketpair();
  sock.settimeout(0.05);
  const OwnedFd file = file_of(pattern(8 << 20));
  std::error_code error;
  const std::int64_t sent = sock.sendfile(file.fileno(), 10, std::nullopt, error);
  EXPECT_EQ(error, timed_out());
  EXPECT_GT(sent, 0);
  EXPECT_EQ(position(file), 10 + sent);
  sock.shutdown(SHUT::WR);
  EXPECT_TRUE(everything(peer).get() ==
              pattern(8 << 20).substr(10, static_cast<std::size_t>(sent)));
}

TEST(SendfileTimeout, IsForEachWaitAndNotForTheWhole) {
  auto [sock, peer] = socketpair();
  sock.settimeout(0.4);
  sock.setsockopt(SOL::SOCKET, SO::SNDBUF, 4096);
  const OwnedFd file = file_of(pattern(600'000));
  const auto begun = Clock::now();
  std::size_t arrived = 0;
  {
    // Each takes about 5 ms, so that the whole takes longer than the timeout.
    const Drip drip([&peer = peer, &arrived] {
      std::error_code ignored;
      arrived += peer.recv(4096, ignored, MSG::DONTWAIT).size();
    });
    EXPECT_EQ(sock.sendfile(file.fileno()), 600'000);
  }
  EXPECT_GT(Clock::now() - begun, std::chrono::milliseconds(400));
  peer.settimeout(0);
  std::error_code error;
  while (!error) arrived += peer.recv(1 << 20, error).size();
  EXPECT_EQ(arrived, 600'000u);
}

TEST(SendfileTimeout, EndsTheWaitForAPeerThatDoesNotRead) {
  for (const bool from_pipe : {false, true}) {
    for (const bool blocking_mode : {false, true}) {
      auto [sock, peer] = tcp_pair();
      sock.settimeout(0.05);
      Socket duplicate = sock.dup();
      if (blocking_mode) duplicate.setblocking(true);
      const OwnedFd file = file_of(std::string(32 << 20, 'x'));
      auto [reading, writing] = make_pipe();
      std::thread writer;
      if (from_pipe) {
        writer = std::thread([&writing = writing] {
          // ends together with the reader
          sigset_t pipe;
          sigemptyset(&pipe);
          sigaddset(&pipe, SIGPIPE);
          pthread_sigmask(SIG_BLOCK, &pipe, nullptr);
          const std::string piece(1 << 16, 'x');
          while (::write(writing.fileno(), piece.data(), piece.size()) > 0) continue;
        });
      }
      std::error_code error;
      const int source = from_pipe ? reading.fileno() : file.fileno();
      EXPECT_GT(sock.sendfile(source, 0, std::nullopt, error), 0);
      EXPECT_EQ(error, timed_out()) << from_pipe << blocking_mode;
      reading.close();
      if (writer.joinable()) writer.join();
    }
  }
}

TEST(SendfileTimeout, EndsTheWaitForAPipeThatStaysEmpty) {
  for (const bool layered : {false, true}) {
    auto [sock, peer] = socketpair();
    sock.settimeout(0.05);
    if (layered)
      detail::socket::SocketAccess::state(sock)->set_layer(std::make_unique<Complement>());
    const auto [reading, writing] = make_pipe();
    ASSERT_EQ(::write(writing.fileno(), "abc", 3), 3);
    std::error_code error;
    EXPECT_EQ(sock.sendfile(reading.fileno(), 0, std::nullopt, error), 3);
    EXPECT_EQ(error, timed_out());
  }
}

TEST(SendfileClose, WakesACallThatWaitsForItsPeerOrItsPipe) {
  for (const Timeout timeout : {Timeout(), Timeout(30)}) {
    for (const bool for_pipe : {false, true}) {
      auto [sock, peer] = tcp_pair();
      sock.settimeout(timeout);
      const auto [reading, writing] = make_pipe();
      const OwnedFd file = file_of(std::string(64 << 20, 'x'));
      const int source = for_pipe ? reading.fileno() : file.fileno();
      std::error_code error;
      BlockedThread thread([&, &sock = sock] { sock.sendfile(source, 0, std::nullopt, error); });
      ASSERT_TRUE(thread.wait_until_blocked());
      sock.close();
      thread.join();
      EXPECT_EQ(error, std::error_code(EBADF, std::system_category())) << timeout << for_pipe;
    }
  }
}

TEST(SendfileLayer, TransformsTheBytesOfTheFile) {
  auto [sock, peer] = socketpair();
  detail::socket::SocketAccess::state(sock)->set_layer(std::make_unique<Complement>());
  std::string content = pattern(200'000);
  const OwnedFd file = file_of(content);
  std::future<std::string> arrived = everything(peer);
  EXPECT_EQ(sock.sendfile(file.fileno(), 3), 199'997);
  EXPECT_EQ(position(file), 200'000);
  sock.shutdown(SHUT::WR);
  for (char& byte : content) byte = static_cast<char>(~byte);
  EXPECT_TRUE(arrived.get() == content.substr(3));
}

/// Fails the first sendfile(2) or splice(2), or each call of another kind, with errors of the
/// kernel.
struct Refusing : detail::wait::IoDriver {
  long perform(detail::wait::Descriptor& descriptor, detail::wait::Op& op,
               Deadline deadline) override {
    const bool moves = op.kind == detail::wait::Op::Kind::send_file;
    if (moves && !refused) {
      refused = true;
      return -number;
    }
    if (moves) ++moved;
    detail::wait::set_current_driver(nullptr);
    const long result = detail::wait::perform(descriptor, op, deadline);
    detail::wait::set_current_driver(this);
    return result;
  }
  long wait_any(std::span<sys::PollEntry> entries, Deadline deadline) override {
    detail::wait::set_current_driver(nullptr);
    const long result = detail::wait::wait_any(entries, deadline);
    detail::wait::set_current_driver(this);
    return result;
  }

  int number = 0;
  bool refused = false;
  int moved = 0;
};

TEST(SendfileFallback, ReadsAndSendsWhatTheKernelRefusesToMove) {
  for (const int number : {EINVAL, ENOSYS, EOPNOTSUPP, EPERM, EOVERFLOW, ESPIPE}) {
    auto [sock, peer] = socketpair();
    const std::string content = pattern(300'000);
    const OwnedFd file = file_of(content);
    ASSERT_EQ(::lseek(file.fileno(), 77, SEEK_SET), 77);
    std::future<std::string> arrived = everything(peer);
    Refusing waiter;
    waiter.number = number;
    detail::wait::set_current_driver(&waiter);
    const std::int64_t sent = sock.sendfile(file.fileno(), 1, 250'000);
    detail::wait::set_current_driver(nullptr);
    EXPECT_EQ(sent, 250'000) << number;
    EXPECT_EQ(waiter.moved, 0);
    EXPECT_EQ(position(file), 250'001);
    sock.shutdown(SHUT::WR);
    EXPECT_TRUE(arrived.get() == content.substr(1, 250'000));
  }
}

TEST(SendfileFallback, IsNotTriedForOtherErrors) {
  auto [sock, peer] = socketpair();
  const OwnedFd file = file_of("content");
  Refusing waiter;
  waiter.number = EIO;
  std::error_code error;
  detail::wait::set_current_driver(&waiter);
  EXPECT_EQ(sock.sendfile(file.fileno(), 0, std::nullopt, error), 0);
  detail::wait::set_current_driver(nullptr);
  EXPECT_EQ(error.value(), EIO);
  EXPECT_THROW(peer.recv(1, MSG::DONTWAIT), BlockingIOError);
}

TEST(SendfileFile, MayShrinkAndGrowMeanwhile) {
  auto [sock, peer] = socketpair();
  sock.setsockopt(SOL::SOCKET, SO::SNDBUF, 4096);
  const std::string content = pattern(4 << 20);
  const OwnedFd file = file_of(content);
  std::int64_t sent = -1;
  {
    BlockedThread thread([&, &sock = sock] {
      sent = sock.sendfile(file.fileno());
      sock.shutdown(SHUT::WR);
    });
    ASSERT_TRUE(thread.wait_until_blocked());
    ASSERT_EQ(::ftruncate(file.fileno(), 3'000'000), 0);
    const std::string arrived = everything(peer).get();
    thread.join();
    EXPECT_EQ(arrived.size(), 3'000'000u);
    EXPECT_TRUE(arrived == content.substr(0, arrived.size()));
    EXPECT_EQ(sent, 3'000'000);
  }
  auto [second, second_peer] = socketpair();
  second.setsockopt(SOL::SOCKET, SO::SNDBUF, 4096);
  BlockedThread thread([&, &second = second] {
    sent = second.sendfile(file.fileno());
    second.shutdown(SHUT::WR);
  });
  ASSERT_TRUE(thread.wait_until_blocked());
  ASSERT_EQ(::pwrite(file.fileno(), "tail", 4, 3'000'000), 4);
  const std::string arrived = everything(second_peer).get();
  thread.join();
  EXPECT_EQ(sent, 3'000'004);
  EXPECT_TRUE(arrived == content.substr(0, 3'000'000) + "tail");
}

TEST(SendfileFile, EndsWhereNoFileReaches) {
  auto [sock, peer] = socketpair();
  const OwnedFd file = file_of("content");
  const std::int64_t most = std::numeric_limits<std::int64_t>::max();
  for (const std::int64_t offset : {most, most - 1, most - 1000}) {
    in_fiber([&, &s = sock] {
      std::error_code error;
      EXPECT_EQ(s.sendfile(file.fileno(), offset, std::nullopt, error), 0);
      EXPECT_EQ(s.sendfile(file.fileno(), offset, 1'000'000, error), 0);
    });
  }
}

std::atomic<int> pipe_signals{0};

TEST(SendfilePeer, ThatIsGoneIsAnErrorAndNoSignal) {
  struct sigaction action {};
  struct sigaction before {};
  action.sa_handler = [](int) { ++pipe_signals; };
  ASSERT_EQ(sigaction(SIGPIPE, &action, &before), 0);
  for (const bool from_pipe : {false, true}) {
    for (const bool timed : {false, true}) {
      auto [sock, peer] = socketpair();
      if (timed) sock.settimeout(20);
      peer.close();
      const auto [reading, writing] = make_pipe();
      ASSERT_EQ(::write(writing.fileno(), "abc", 3), 3);
      const OwnedFd file = file_of("content");
      const int source = from_pipe ? reading.fileno() : file.fileno();
      EXPECT_THROW(sock.sendfile(source), BrokenPipeError);
      EXPECT_EQ(position(file), 0);
      if (!from_pipe) continue;
      char room[10];
      EXPECT_EQ(::read(source, room, sizeof room), 3) << "the pipe keeps what was not sent";
    }
  }
  // A blocked signal that was pending before stays pending.
  sigset_t pipe;
  sigset_t mask;
  sigset_t pending;
  sigemptyset(&pipe);
  sigaddset(&pipe, SIGPIPE);
  ASSERT_EQ(pthread_sigmask(SIG_BLOCK, &pipe, &mask), 0);
  for (const bool sent_before : {false, true}) {
    if (sent_before) raise(SIGPIPE);
    auto [sock, peer] = socketpair();
    peer.close();
    const OwnedFd file = file_of("content");
    EXPECT_THROW(sock.sendfile(file.fileno()), BrokenPipeError);
    sigpending(&pending);
    EXPECT_EQ(sigismember(&pending, SIGPIPE), sent_before ? 1 : 0);
  }
  EXPECT_EQ(pipe_signals, 0);
  ASSERT_EQ(pthread_sigmask(SIG_SETMASK, &mask, nullptr), 0);
  EXPECT_EQ(pipe_signals, 1);
  sigaction(SIGPIPE, &before, nullptr);
}

TEST(SendfilePeer, ThatResetsInTheMiddleEndsItWithWhatWasSent) {
  auto [sock, peer] = tcp_pair();
  const OwnedFd file = file_of(pattern(64 << 20));
  std::error_code error;
  std::int64_t sent = 0;
  BlockedThread thread(
      [&, &sock = sock] { sent = sock.sendfile(file.fileno(), 0, std::nullopt, error); });
  ASSERT_TRUE(thread.wait_until_blocked());
  peer.setsockopt(SOL::SOCKET, SO::LINGER, BytesView("\1\0\0\0\0\0\0\0"));
  peer.close();
  thread.join();
  EXPECT_TRUE(error == std::errc::connection_reset || error == std::errc::broken_pipe)
      << error.message();
  EXPECT_GT(sent, 0);
  EXPECT_LT(sent, 64 << 20);
  EXPECT_EQ(position(file), sent);
}

TEST(SendfileInterrupted, LosesAndRepeatsNothing) {
  struct sigaction action {};
  struct sigaction before {};
  static std::atomic<int> handled;
  handled = 0;
  action.sa_handler = [](int) { ++handled; };
  ASSERT_EQ(sigaction(SIGUSR1, &action, &before), 0);
  for (const Timeout timeout : {Timeout(), Timeout(30)}) {
    auto [sock, peer] = socketpair();
    sock.settimeout(timeout);
    const std::string content = pattern(8 << 20);
    const OwnedFd file = file_of(content);
    std::atomic<pthread_t> self{};
    BlockedThread thread([&, &sock = sock] {
      self = pthread_self();
      sock.sendfile(file.fileno());
    });
    std::string received;
    while (received.size() < content.size()) {
      if (thread.wait_until_blocked()) pthread_kill(self, SIGUSR1);
      received += peer.recv(1 << 20);
    }
    thread.join();
    EXPECT_TRUE(received == content);
    EXPECT_EQ(position(file), static_cast<off_t>(content.size()));
  }
  EXPECT_GT(handled, 3);
  sigaction(SIGUSR1, &before, nullptr);
}

TEST(SendfileMisuse, IsNamedAndSendsNothing) {
  auto [sock, peer] = socketpair();
  const OwnedFd file = file_of("content");
  const int fileno = file.fileno();
  const auto value_error = [](auto call, const std::string& text) {
    try {
      call();
      ADD_FAILURE() << text;
    } catch (const ValueError& error) {
      EXPECT_THAT(error.what(), HasSubstr(text));
    }
  };
  const auto number = [](auto call) {
    try {
      call();
      return 0;
    } catch (const OSError& error) {
      return error.number();
    }
  };
  for (const std::int64_t count : {std::int64_t{0}, std::int64_t{-3}, INT64_MIN})
    value_error([&, &sock = sock] { sock.sendfile(fileno, 0, count); },
                "count must be a positive integer: sendfile of fileno " + std::to_string(fileno) +
                    ", offset 0, count " + std::to_string(count));
  value_error([&, &sock = sock] { sock.sendfile(-1); }, "negative file descriptor");
  sock.settimeout(0);
  value_error([&, &sock = sock] { sock.sendfile(fileno); },
              "non-blocking sockets are not supported");
  sock.setblocking(true);
  Socket datagram(AF::INET, SOCK::DGRAM);
  value_error([&] { datagram.sendfile(fileno); }, "only SOCK_STREAM type sockets are supported");
  value_error([&] { std::ignore = socketpair(AF::UNIX, SOCK::SEQPACKET).first.sendfile(fileno); },
              "only SOCK_STREAM");
  EXPECT_EQ(number([&, &sock = sock] { sock.sendfile(fileno, -1); }), EINVAL);
  EXPECT_EQ(number([&, &sock = sock] { sock.sendfile(fileno, INT64_MIN); }), EINVAL);
  EXPECT_EQ(number([&, &sock = sock] { sock.sendfile(1 << 20); }), EBADF);
  const OwnedFd directory(::open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  EXPECT_EQ(number([&, &sock = sock] { sock.sendfile(directory.fileno()); }), EISDIR);
  const auto [reading, writing] = make_pipe();
  EXPECT_EQ(number([&, &sock = sock, &reading = reading] { sock.sendfile(reading.fileno(), 1); }),
            ESPIPE);
  EXPECT_EQ(number([&, &sock = sock, &writing = writing] { sock.sendfile(writing.fileno()); }),
            EBADF);
  EXPECT_EQ(number([&] { Socket(AF::INET).sendfile(fileno); }), EPIPE);
  Socket closed;
  closed.close();
  EXPECT_EQ(number([&] { closed.sendfile(fileno); }), EBADF);
  Socket moved = std::move(closed);
  EXPECT_EQ(number([&] { closed.sendfile(fileno); }), EBADF);
  EXPECT_EQ(position(file), 0);
  EXPECT_THROW(peer.recv(1, MSG::DONTWAIT), BlockingIOError);
}

}  // namespace
}  // namespace plug
