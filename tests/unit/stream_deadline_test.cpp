// Tests that a call of a File has one deadline, and the state of a file after a timeout.

#include <plug/error.hpp>
#include <plug/socket.hpp>
#include <plug/stream.hpp>

#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <string>
#include <utility>

#include "support/connected_pair.hpp"
#include "support/deadlines.hpp"
#include "support/drip.hpp"
#include "support/sockets.hpp"

namespace plug {
namespace {

using Clock = std::chrono::steady_clock;

TEST(AFilesDeadline, IsOneForAReadHoweverThePeerDrips) {
  using Call = std::function<void(File&)>;
  char buffer[4000];
  std::string large(100000, '?');
  const std::pair<std::string, Call> calls[] = {
      {"r", [](File& file) { (void)file.read(); }},
      {"r", [](File& file) { (void)file.read(100000); }},
      {"r", [](File& file) { (void)file.readline(); }},
      {"r", [](File& file) { (void)file.readline(100000); }},
      {"rb", [](File& file) { (void)file.read(); }},
      {"rb", [](File& file) { (void)file.read(4000); }},
      {"rb", [](File& file) { (void)file.read(100000); }},
      {"rb", [](File& file) { (void)file.readline(); }},
      {"rb", [&](File& file) { (void)file.readinto(buffer); }},
      {"rb", [&](File& file) { (void)file.readinto(large); }},
  };
  for (const auto& [mode, call] : calls) {
    ConnectedPair pair(tcp_pair());
    pair.sock.settimeout(kTimeout);
    File file = pair.sock.makefile(mode);
    const Drip drip([&] { pair.peer.sendall("x"); });
    expect_timeout([&, &call = call] { call(file); });
  }
}

TEST(AFilesDeadline, IsOneForAllTheLinesOfReadlines) {
  for (const std::string mode : {"r", "rb"}) {
    ConnectedPair pair;
    pair.sock.settimeout(kTimeout);
    File file = pair.sock.makefile(mode);
    const Drip drip([&] { pair.peer.sendall("x\n"); });
    expect_timeout([&] { (void)file.readlines(); });
  }
}

TEST(AFilesDeadline, IsOneForAnUnbufferedLine) {
  ConnectedPair pair;
  pair.sock.settimeout(kTimeout);
  File file = pair.sock.makefile("rb", {.buffering = 0});
  const Drip drip([&] { pair.peer.sendall("x"); });
  expect_timeout([&] { (void)file.readline(); });
}

TEST(AFilesDeadline, BeginsAnewWithEachLine) {
  ConnectedPair pair;
  pair.sock.settimeout(kTimeout);
  File file = pair.sock.makefile("r");
  const Drip drip([&] { pair.peer.sendall("x\n"); });
  const auto begun = Clock::now();
  while (Clock::now() - begun < 3 * kTimeout) EXPECT_EQ(file.readline(), "x\n");
}

TEST(AFilesDeadline, IsOneForAWriteOrAFlushHoweverSlowlyThePeerReads) {
  for (const std::string mode : {"w", "wb"}) {
    ConnectedPair pair;
    pair.sock.settimeout(kTimeout);
    pair.sock.setsockopt(SOL::SOCKET, SO::SNDBUF, 4096);
    File file = pair.sock.makefile(mode);
    pair.peer.settimeout(0);
    const Drip drip([&] {
      std::error_code nothing;
      pair.peer.recv(1024, nothing);
    });
    const std::string large(16 << 20, 'x');
    expect_timeout([&] { file.write(large); });
    expect_timeout([&] { file.flush(); });
    expect_timeout([&] { file.write("x"); });
    expect_timeout([&] { file.close(); });
    EXPECT_TRUE(file.closed());
  }
}

TEST(AFileThatRanOutOfTime, ReadsNoMoreButWrites) {
  char buffer[4];
  for (const std::string mode : {"rw", "rwb"}) {
    ConnectedPair pair;
    pair.sock.settimeout(kTimeout);
    File file = pair.sock.makefile(mode);
    pair.peer.sendall("half a li");
    expect_timeout([&] { (void)file.readline(); });
    pair.peer.sendall("ne\n");
    std::error_code error;
    for (int i = 0; i < 2; ++i) {
      EXPECT_EQ(file.readline(-1, error), "");
      EXPECT_EQ(error, Errc::poisoned);
    }
    (void)file.read(1, error);
    EXPECT_EQ(error, Errc::poisoned);
    (void)file.readlines(-1, error);
    EXPECT_EQ(error, Errc::poisoned);
    (void)file.readinto(buffer, error);
    EXPECT_EQ(error, Errc::poisoned);
    (void)file.read1(1, error);
    EXPECT_EQ(error, Errc::poisoned);
    try {
      (void)file.read();
      FAIL() << "it read";
    } catch (const OSError& failure) {
      EXPECT_STREQ(failure.what(), "cannot read from timed out object: read");
      EXPECT_EQ(failure.number(), 0);
    }
    file.write("fine");
    file.flush();
    EXPECT_EQ(receive_exactly(pair.peer, 4), "fine");
    // Another file of the same socket does not fail.
    EXPECT_EQ(pair.sock.makefile("r").readline(), "ne\n");
  }
}

TEST(AFileThatWouldHaveBlocked, ReadsOn) {
  ConnectedPair pair;
  File file = pair.sock.makefile("r");
  pair.sock.settimeout(0);
  EXPECT_THROW((void)file.readline(), BlockingIOError);
  pair.peer.sendall("later\n");
  EXPECT_EQ(file.readline(), "later\n");
}

TEST(AFileThatRanOutOfTimeWriting, ReadsOn) {
  ConnectedPair pair;
  pair.sock.settimeout(kTimeout);
  File file = pair.sock.makefile("rw");
  const std::string large(16 << 20, 'x');
  expect_timeout([&] { file.write(large); });
  pair.peer.sendall("hello\n");
  EXPECT_EQ(file.readline(), "hello\n");
}

}  // namespace
}  // namespace plug
