// Tests reads of a Framer that get no message: at the end of the stream, after a timeout, on a
// broken connection, on a closed socket, after a signal. Nothing is lost by them.

#include <plug/framing.hpp>
#include <plug/socket.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pthread.h>
#include <signal.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "support/blocked_thread.hpp"
#include "support/connected_pair.hpp"
#include "support/deadlines.hpp"
#include "support/drip.hpp"
#include "support/errors.hpp"
#include "support/sockets.hpp"

using namespace std::string_literals;

namespace plug {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

std::string counted(std::size_t size) {
  std::string text;
  while (text.size() < size) text += std::to_string(text.size()) + ' ';
  text.resize(size);
  return text;
}

/// Returns the four bytes of a big-endian length.
std::string length(std::size_t size) {
  std::string bytes;
  for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(size >> shift & 0xff);
  return bytes;
}

template <class Call>
void expect_incomplete(Call call, const Bytes& partial, std::optional<std::uint64_t> expected) {
  try {
    call();
    ADD_FAILURE() << "nothing thrown";
  } catch (const IncompleteReadError& error) {
    EXPECT_TRUE(error.partial() == partial) << error.partial().size() << " bytes";
    EXPECT_EQ(error.expected(), expected);
  }
}

/// Returns the work of a Drip: each call sends the next byte of the text, over and over.
auto bytes_of(std::string text, Socket& sock) {
  return [&sock, text = std::move(text), at = std::size_t{0}]() mutable {
    std::error_code ignored;
    sock.sendall({&text[at++ % text.size()], 1}, ignored, MSG::DONTWAIT);
  };
}

void reset(Socket& sock) {
  const std::array<int, 2> linger = {1, 0};  // closing discards the data and resets the connection
  sock.setsockopt(SOL::SOCKET, SO::LINGER, BytesView(linger.data(), sizeof linger));
  sock.close();
}

// --- the end ---

TEST(End, BetweenMessagesIsClean) {
  for (const Framing& framing :
       {Framing(LengthPrefix{}), Framing(VarintPrefix{}), Framing(Delimiter{"\n"}),
        Framing(Delimiter{"\r\n", ";"}), Framing(FixedSize{3})}) {
    ConnectedPair pair;
    Framer(pair.peer, framing).send("abc");
    pair.peer.close();
    Framer framer(pair.sock, framing);
    EXPECT_EQ(framer.recv(), "abc");
    for (int i = 0; i < 2; ++i) {
      std::error_code error = Errc::end_in_message;
      EXPECT_EQ(framer.recv(framing, error), std::nullopt);
      EXPECT_FALSE(error);
      EXPECT_FALSE(framer.skip(framing, error));
      EXPECT_FALSE(error);
      EXPECT_EQ(framer.recv(), std::nullopt);
    }
  }
}

TEST(End, InAMessageIsToldWithWhatCameAndWhatWasExpected) {
  const Bytes half = counted(40'000);
  struct Case {
    Framing framing;
    std::string wire;
    std::string partial;
    std::optional<std::uint64_t> expected;
  };
  const std::vector<Case> cases = {
      {LengthPrefix{}, "\0"s, "", std::nullopt},
      {LengthPrefix{}, "\0\0\0"s, "", std::nullopt},
      {LengthPrefix{}, "\0\0\0\5"s, "", 5},
      {LengthPrefix{}, "\0\0\0\5abcd"s, "abcd", 5},
      {LengthPrefix{}, length(80'000) + half, half, 80'000},
      {VarintPrefix{}, "\x80", "", std::nullopt},
      {VarintPrefix{}, "\x80\1abc", "abc", 128},
      {Delimiter{"\r\n"}, "abc\r", "abc\r", std::nullopt},
      {Delimiter{"\n"}, half, half, std::nullopt},
      {FixedSize{5}, "abcd", "abcd", 5},
  };
  for (const Case& each : cases) {
    SCOPED_TRACE(each.wire.substr(0, 20));
    ConnectedPair pair;
    std::thread sender([&] { pair.finish(each.wire); });
    Framer framer(pair.sock, each.framing);
    for (int i = 0; i < 3; ++i) {
      std::error_code error;
      EXPECT_EQ(framer.recv(each.framing, error), std::nullopt);
      EXPECT_EQ(error, Errc::end_in_message);
      EXPECT_TRUE(framer.buffered().size() == each.wire.size());
      expect_incomplete([&] { (void)framer.recv(); }, each.partial, each.expected);
    }
    // All bytes are still there and can be read.
    EXPECT_TRUE(framer.readexactly(each.wire.size()) == each.wire);
    EXPECT_EQ(framer.recv(), std::nullopt);
    sender.join();
  }
}

TEST(End, OfRawBytesIsIncompleteAlsoWhenItComesAtOnce) {
  ConnectedPair pair;
  pair.finish("abc");
  Framer framer(pair.sock);
  std::array<char, 5> small{};
  std::vector<char> large(100'000);
  expect_incomplete([&] { (void)framer.readexactly(5); }, "abc", 5);
  expect_incomplete([&] { (void)framer.readexactly(100'000); }, "abc", 100'000);
  expect_incomplete([&] { framer.readinto(small); }, "abc", 5);
  expect_incomplete([&] { framer.readinto(large); }, "abc", 100'000);
  std::error_code error;
  EXPECT_EQ(framer.readinto(small, error), 0u);
  EXPECT_EQ(error, Errc::end_in_message);
  Bytes copied;
  const auto sink = [&](BytesView piece) { copied += piece; };
  expect_incomplete([&] { framer.copy(5, sink); }, "", 5);
  EXPECT_EQ(copied, "abc");
  expect_incomplete([&] { (void)framer.readexactly(1); }, "", 1);
  expect_incomplete([&] { framer.readinto(small); }, "", 5);
  EXPECT_EQ(framer.copy(5, sink, error), 0u);
  EXPECT_EQ(error, Errc::end_in_message);
}

TEST(End, InASkippedMessageIsIncomplete) {
  for (const auto& [framing, wire, expected] :
       {std::tuple(Framing(LengthPrefix{}), "\0\0\0\5ab"s, std::optional<std::uint64_t>(5)),
        std::tuple(Framing(LengthPrefix{}), "\0\0"s, std::optional<std::uint64_t>()),
        std::tuple(Framing(Delimiter{"\r\n"}), "abc\r"s, std::optional<std::uint64_t>())}) {
    ConnectedPair pair;
    pair.finish(wire);
    Framer framer(pair.sock, framing);
    for (int i = 0; i < 2; ++i)
      expect_incomplete([&, &f = framing] { framer.skip(f); }, "", expected);
  }
}

// --- time ---

TEST(Time, IsOneDeadlineForACallHoweverThePeerDrips) {
  struct Case {
    Framing framing;
    std::string drip;
  };
  for (const Case& each : {Case{LengthPrefix{}, "\0\0\x40\0"s}, Case{LengthPrefix{}, "\0\1\0\0"s},
                           Case{VarintPrefix{}, "\x7f"}, Case{Delimiter{"\n"}, "x"},
                           Case{Delimiter{"\r\n", ";"}, "\r"}, Case{FixedSize{100'000}, "x"}}) {
    SCOPED_TRACE(each.framing.index());
    ConnectedPair pair;
    pair.sock.settimeout(kTimeout);
    Framer framer(pair.sock, each.framing);
    const Drip drip(bytes_of(each.drip, pair.peer));
    expect_timeout([&] { (void)framer.recv(); });
    EXPECT_GT(framer.buffered().size(), 1u);
    const std::size_t before = framer.buffered().size();
    expect_timeout([&] { (void)framer.recv(); });
    EXPECT_GT(framer.buffered().size(), before);
  }
}

TEST(Time, IsOneDeadlineForRawReadsToo) {
  ConnectedPair pair;
  pair.sock.settimeout(kTimeout);
  Framer framer(pair.sock);
  const Drip drip(bytes_of("x", pair.peer));
  std::vector<char> memory(1 << 20);
  expect_timeout([&] { (void)framer.readexactly(1000); });
  expect_timeout([&] { (void)framer.readexactly(100'000); });
  expect_timeout([&] { framer.readinto(MutableBytes(memory.data(), 1000)); });
  expect_timeout([&] { framer.readinto(memory); });
  std::error_code error;
  (void)framer.readexactly(1000, error);
  EXPECT_EQ(error, timed_out());
  EXPECT_EQ(error, std::errc::timed_out);
}

TEST(Time, IsOneDeadlineForSendWhileThePeerReadsByteByByte) {
  ConnectedPair pair;
  pair.sock.settimeout(kTimeout);
  pair.sock.setsockopt(SOL::SOCKET, SO::SNDBUF, 4096);
  pair.peer.settimeout(0);
  std::atomic<bool> stop{false};
  std::thread reader([&] {
    while (!stop) {
      std::error_code ignored;
      pair.peer.recv(4096, ignored);
      std::this_thread::sleep_for(milliseconds(5));
    }
  });
  Framer framer(pair.sock);
  const Bytes large(64 << 20, 'x');
  expect_timeout([&] { framer.send(large); });
  std::error_code error;
  framer.send(large, LengthPrefix{}, error);
  EXPECT_EQ(error, timed_out());
  stop = true;
  reader.join();
}

TEST(Time, IsPerPieceForCopyAndSkip) {
  ConnectedPair pair;
  pair.sock.settimeout(kTimeout);
  Framer framer(pair.sock, FixedSize{60});
  const auto begun = Clock::now();
  {
    const Drip drip(bytes_of("x", pair.peer));
    Bytes copied;
    EXPECT_EQ(framer.copy(60, [&](BytesView piece) { copied += piece; }), 60u);
    EXPECT_EQ(copied, Bytes(60, 'x'));
    EXPECT_TRUE(framer.skip());
  }
  // Either call took longer than one timeout, or the peer did not drip.
  EXPECT_GT(Clock::now() - begun, 2 * kTimeout);
  std::error_code error;
  framer.copy(
      framer.buffered().size() + 100, [](BytesView) {}, error);
  EXPECT_EQ(error, timed_out());
  expect_timeout([&] { framer.copy(1, [](BytesView) {}); });
  expect_timeout([&] { framer.skip(); });
}

TEST(Time, ThatRunsOutLosesNothingWhereverItDoes) {
  const Bytes body = counted(300);
  for (const Framing& framing :
       {Framing(LengthPrefix{8}), Framing(LengthPrefix{2, ByteOrder::little}),
        Framing(VarintPrefix{}), Framing(Delimiter{"\r\n"}), Framing(Delimiter{"----", "\n"}),
        Framing(FixedSize{body.size()})}) {
    SCOPED_TRACE(framing.index());
    ConnectedPair source;
    Framer(source.peer, framing).send(body);
    const Bytes wire = source.sock.recv(1 << 16);
    ConnectedPair pair;
    pair.sock.settimeout(0.001);
    Framer framer(pair.sock, framing);
    for (std::size_t i = 0; i < wire.size(); ++i) {
      ASSERT_THROW((void)framer.recv(), TimeoutError);
      ASSERT_TRUE(std::string_view(framer.buffered()) == wire.substr(0, i));
      pair.peer.sendall({&wire[i], 1});
    }
    EXPECT_EQ(framer.recv(), body);
    EXPECT_EQ(framer.buffered().size(), 0u);
  }
}

TEST(Time, OfZeroGivesBlockingIOErrorAndLosesNothingOfLongReads) {
  const Bytes body = counted(700'000);
  enum class Read { recv, readexactly, readinto };
  for (const Read read : {Read::recv, Read::readexactly, Read::readinto}) {
    ConnectedPair pair;
    pair.sock.settimeout(0);
    Framer framer(pair.sock);
    EXPECT_THROW((void)framer.recv(), BlockingIOError);
    const Bytes wire = (read == Read::recv ? length(body.size()) : Bytes()) + body + "rest";
    Bytes received(body.size(), '\0');
    std::size_t sent = 0;
    bool done = false;
    const auto attempt = [&](std::error_code& error) {
      if (read == Read::recv)
        received = framer.recv(LengthPrefix{}, error).value_or("");
      else if (read == Read::readexactly)
        received = framer.readexactly(body.size(), error);
      else
        framer.readinto(received, error);
      return !error;
    };
    for (std::size_t piece = 1; !done; piece = piece % 30'000 + 997) {
      std::error_code error;
      done = attempt(error);
      if (done) break;
      ASSERT_EQ(error, std::errc::resource_unavailable_try_again);
      ASSERT_EQ(framer.buffered().size(), sent);
      ASSERT_LT(sent, wire.size());
      const BytesView next(wire.data() + sent, std::min(piece, wire.size() - sent));
      pair.peer.sendall(next);
      sent += next.size();
    }
    EXPECT_TRUE(received == body);
    pair.peer.sendall(BytesView(wire).subspan(sent));
    EXPECT_EQ(framer.readexactly(4), "rest");
  }
}

TEST(Time, IsNotSpentOnSearchingTheSameBytesAgain) {
  ConnectedPair pair;
  pair.sock.settimeout(0);
  const Framing framing = Delimiter{"\r\n", "\r;"};
  Framer framer(pair.sock, framing, 1 << 20);
  const auto begun = Clock::now();
  // Searching from the beginning each time would examine some 60 thousand million bytes.
  for (int i = 0; i < 1 << 17; ++i) {
    pair.peer.sendall("1234567\r");
    std::error_code error;
    ASSERT_EQ(framer.recv(framing, error), std::nullopt);
    ASSERT_EQ(error, std::errc::resource_unavailable_try_again);
  }
  EXPECT_LT(Clock::now() - begun, std::chrono::seconds(15));
  pair.peer.sendall(";");
  EXPECT_EQ(framer.recv()->size(), (1u << 20) - 1);
}

// --- skipping after an interruption ---

TEST(Skip, GoesOnWhereItWasInterrupted) {
  struct Case {
    Framing framing;
    std::string message;
  };
  for (const Case& each : {Case{LengthPrefix{}, length(50'000) + counted(50'000)},
                           Case{VarintPrefix{}, "\xd0\x86\3" + counted(50'000)},
                           Case{Delimiter{"\r\n"}, counted(50'000) + "\r\n"},
                           Case{FixedSize{50'000}, counted(50'000)}}) {
    SCOPED_TRACE(each.framing.index());
    ConnectedPair pair;
    pair.sock.settimeout(0);
    Framer framer(pair.sock, each.framing);
    const std::size_t last = each.message.size() - 1;
    std::size_t sent = 0;
    for (const std::size_t until : {std::size_t{0}, std::size_t{1}, std::size_t{2}, std::size_t{6},
                                    std::size_t{30'000}, last}) {
      pair.peer.sendall(BytesView(each.message.data() + sent, until - sent));
      sent = until;
      ASSERT_THROW(framer.skip(), BlockingIOError);
    }
    EXPECT_LT(framer.buffered().size(), 2u);
    pair.peer.sendall(each.message.substr(last) + each.message);
    EXPECT_TRUE(framer.skip());
    EXPECT_TRUE(framer.skip());
    EXPECT_THROW(framer.skip(), BlockingIOError);
  }
}

TEST(Skip, ThatWasInterruptedIsFinishedByAnyOtherRead) {
  for (const auto& [framing, first, rest] :
       {std::tuple(Framing(LengthPrefix{}), "\0\0\0\5ab"s, "cde"s),
        std::tuple(Framing(Delimiter{"\r\n"}), "abc\r"s, "\n"s)}) {
    for (int read = 0; read < 5; ++read) {
      ConnectedPair pair;
      pair.sock.settimeout(0);
      Framer framer(pair.sock, framing);
      pair.peer.sendall(first);
      ASSERT_THROW(framer.skip(), BlockingIOError);
      EXPECT_TRUE(framer.buffered().empty());
      EXPECT_THROW((void)framer.read(1), BlockingIOError);
      pair.peer.sendall(rest + "NEXT!");
      char buffer[4];
      Bytes got;
      if (read == 0) got = framer.recv(FixedSize{4}).value_or("");
      if (read == 1) got = framer.readexactly(4);
      if (read == 2) got = framer.read(4);
      if (read == 3) got = Bytes(buffer, framer.readinto(buffer));
      if (read == 4) framer.copy(4, [&](BytesView piece) { got += piece; });
      EXPECT_EQ(got, "NEXT") << read;
      EXPECT_EQ(framer.readexactly(1), "!");
    }
  }
}

// --- error codes and texts ---

TEST(RecvWithAnErrorCode, SetsItForAFailureAndNotAtACleanEnd) {
  ConnectedPair pair;
  pair.finish("one\ntwo\nthr");
  Framer framer(pair.sock, Delimiter{"\n"});
  std::error_code error = Errc::not_readable;
  std::vector<Bytes> messages;
  while (std::optional<Bytes> message = framer.recv(error)) messages.push_back(*message);
  EXPECT_THAT(messages, testing::ElementsAre("one", "two"));
  EXPECT_EQ(error, Errc::end_in_message);

  EXPECT_EQ(framer.readexactly(3), "thr");
  EXPECT_EQ(framer.recv(error), std::nullopt);
  EXPECT_FALSE(error);
  EXPECT_FALSE(framer.skip(error));
  EXPECT_FALSE(error);
}

TEST(SendAndSkipWithAnErrorCode, UseTheFramersOwnFraming) {
  ConnectedPair pair;
  Framer framer(pair.sock, Delimiter{"\n"});
  Framer peer(pair.peer, Delimiter{"\n"});
  std::error_code error = Errc::not_readable;
  peer.send("one", error);
  EXPECT_FALSE(error);
  peer.send("two");
  EXPECT_TRUE(framer.skip(error));
  EXPECT_EQ(framer.recv(error), "two");
  EXPECT_FALSE(error);
  pair.sock.shutdown(SHUT::WR);
  framer.send("three", error);
  EXPECT_EQ(error, std::errc::broken_pipe);
}

TEST(Errors, NameTheCallAndThePeer) {
  auto [peer, sock] = tcp_pair();
  sock.settimeout(0);
  Framer framer(sock, LengthPrefix{}, 4);
  const std::string about = " from " + to_string(sock.getpeername());
  const auto blocked = [&](auto call) {
    const std::string text = text_of_error<BlockingIOError>(call);
    return text.substr(text.find(": ") + 2);
  };
  std::array<char, 5> room{};
  EXPECT_EQ(blocked([&] { (void)framer.recv(); }), "recv" + about);
  EXPECT_EQ(blocked([&] { (void)framer.recv(VarintPrefix{}); }), "recv" + about);
  EXPECT_EQ(blocked([&] { framer.skip(); }), "skip" + about);
  EXPECT_EQ(blocked([&] { framer.skip(VarintPrefix{}); }), "skip" + about);
  EXPECT_EQ(blocked([&] { (void)framer.read(1); }), "read" + about);
  EXPECT_EQ(blocked([&] { (void)framer.readexactly(1); }), "readexactly" + about);
  EXPECT_EQ(blocked([&] { framer.readinto(room); }), "readinto" + about);
  EXPECT_EQ(blocked([&] { framer.copy(1, [](BytesView) {}); }), "copy" + about);

  peer.sendall("\0\0\0\5short"s);
  sock.settimeout(30);
  EXPECT_EQ(text_of_error<LimitOverrunError>([&] { (void)framer.recv(); }),
            "message of 5 bytes is above the limit of 4 bytes: recv" + about);
  framer.skip();
  peer.sendall("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"s);
  EXPECT_THAT(text_of_error<ValueError>([&] { (void)framer.recv(VarintPrefix{}); }),
              testing::EndsWith("', recv" + about));
  EXPECT_EQ(framer.buffered().size(), 11u);
  peer.shutdown(SHUT::WR);
  framer.set_limit(100);
  EXPECT_EQ(text_of_error<IncompleteReadError>([&] { (void)framer.readexactly(12); }),
            "11 bytes read of 12 expected: readexactly" + about);
}

TEST(Errors, OfSendNameThePeerToo) {
  auto [peer, sock] = tcp_pair();
  Framer framer(sock);
  const std::string broken = "[Errno 32] Broken pipe: send to " + to_string(sock.getpeername());
  sock.shutdown(SHUT::WR);
  EXPECT_EQ(text_of_error<BrokenPipeError>([&] { framer.send("x"); }), broken);
  EXPECT_EQ(text_of_error<BrokenPipeError>([&] { framer.send("x", VarintPrefix{}); }), broken);
}

TEST(Errors, NameTheCallAloneWithoutAnAddressOfThePeer) {
  ConnectedPair pair;
  pair.finish("abc");
  Framer framer(pair.sock, FixedSize{5});
  EXPECT_EQ(text_of_error<IncompleteReadError>([&] { (void)framer.recv(); }),
            "3 bytes read of 5 expected: recv");
  pair.sock.close();
  EXPECT_EQ(text_of_error<OSError>([&] { framer.send("hello"); }),
            "[Errno 9] Bad file descriptor: send");
}

// --- a broken connection, a closed socket ---

TEST(Reset, IsAConnectionResetErrorAfterWhatCameBeforeAndStaysOne) {
  auto [peer, sock] = tcp_pair();
  sock.settimeout(30);
  Framer framer(sock);
  peer.sendall("\0\0\0\5first\0\0\0\6second\0\0\0\5thi"s);
  EXPECT_EQ(framer.recv(), "first");
  ASSERT_EQ(framer.buffered().size(), 17u);
  reset(peer);
  EXPECT_EQ(framer.recv(), "second");
  std::error_code error;
  for (int i = 0; i < 3; ++i) {
    EXPECT_THROW((void)framer.recv(), ConnectionResetError);
    EXPECT_EQ(framer.recv(LengthPrefix{}, error), std::nullopt);
    EXPECT_EQ(error, std::errc::connection_reset);
  }
  EXPECT_EQ(framer.readexactly(7), "\0\0\0\5thi"s);
  // Not the end of the stream: that would mean that everything has arrived.
  EXPECT_THROW((void)framer.read(1), ConnectionResetError);
  EXPECT_THROW(framer.copy(1, [](BytesView) {}), ConnectionResetError);
  EXPECT_THROW(framer.skip(), ConnectionResetError);
}

TEST(Reset, InALongMessageKeepsWhatCame) {
  auto [peer, sock] = tcp_pair();
  sock.settimeout(0.05);
  Framer framer(sock);
  const Bytes half = counted(100'000);
  peer.sendall(length(200'000) + half);
  EXPECT_THROW((void)framer.recv(), TimeoutError);
  reset(peer);
  EXPECT_THROW((void)framer.recv(), ConnectionResetError);
  EXPECT_EQ(framer.buffered().size(), 100'004u);
  EXPECT_EQ(framer.readexactly(4), length(200'000));
  EXPECT_TRUE(framer.readexactly(100'000) == half);
}

TEST(Reset, OfTheReaderEndsSendWithATypedError) {
  auto [peer, sock] = tcp_pair();
  Framer framer(sock);
  reset(peer);
  EXPECT_THROW(for (int i = 0; i < 1000; ++i) framer.send("message"), ConnectionError);
}

TEST(Close, OfTheSocketEndsCallsThatNeedItWithEBADF) {
  ConnectedPair pair;
  pair.peer.sendall("\1a\1b\2");
  Framer framer(pair.sock, LengthPrefix{1});
  EXPECT_EQ(framer.recv(), "a");
  pair.sock.close();
  EXPECT_EQ(framer.recv(), "b");
  const std::error_code closed(EBADF, std::system_category());
  std::error_code error;
  (void)framer.recv(LengthPrefix{1}, error);
  EXPECT_EQ(error, closed);
  framer.send("x", LengthPrefix{1}, error);
  EXPECT_EQ(error, closed);
  EXPECT_THROW((void)framer.recv(), OSError);
  EXPECT_THROW(framer.send("x"), OSError);
  EXPECT_EQ(framer.read(10), "\2");
}

TEST(Close, OfTheSocketWakesAFramerThatWaits) {
  for (const Timeout timeout : {Timeout(), Timeout(30)}) {
    ConnectedPair pair;
    pair.sock.settimeout(timeout);
    pair.peer.sendall("\5ab");
    Framer framer(pair.sock, LengthPrefix{1});
    std::error_code error;
    BlockedThread waiting([&] { (void)framer.recv(LengthPrefix{1}, error); });
    ASSERT_TRUE(waiting.wait_until_blocked());
    pair.sock.close();
    waiting.join();
    EXPECT_EQ(error, std::error_code(EBADF, std::system_category()));
    EXPECT_EQ(framer.buffered().size(), 3u);
  }
}

TEST(Close, BeforeAFramerIsMadeIsToldByItsFirstCall) {
  ConnectedPair pair;
  pair.sock.close();
  EXPECT_THROW((void)Framer(pair.sock).recv(), OSError);
  const Socket taken = std::move(pair.peer);
  EXPECT_THROW(Framer framer(pair.peer), OSError);
}

TEST(Move, OfTheSocketAndOfTheFramerChangesNothing) {
  ConnectedPair pair;
  pair.peer.sendall("\1a\1b\1c\1d");
  Framer first(pair.sock, LengthPrefix{1}, 100);
  EXPECT_EQ(first.recv(), "a");
  Socket moved = std::move(pair.sock);
  EXPECT_EQ(first.recv(), "b");
  Framer second = std::move(first);
  EXPECT_EQ(second.recv(), "c");
  EXPECT_EQ(second.limit(), 100u);
  ConnectedPair other;
  Framer third(other.sock);
  third = std::move(second);
  std::vector<Framer> many;
  many.push_back(std::move(third));
  many.emplace_back(other.sock);
  many.emplace_back(other.peer);
  EXPECT_EQ(many.front().recv(), "d");
  pair.peer.sendall("\1e");
  std::vector<Socket> sockets;
  sockets.push_back(std::move(moved));
  EXPECT_EQ(many.front().recv(), "e");
  many.front().send("f");
  EXPECT_EQ(pair.peer.recv(10), "\1f");
  sockets.front().close();
  EXPECT_THROW((void)many.front().recv(), OSError);
}

TEST(Threads, MayReceiveAndSendAtOnce) {
  ConnectedPair pair;
  Framer near(pair.sock, VarintPrefix{});
  Framer far(pair.peer, VarintPrefix{});
  constexpr std::size_t kMessages = 300;
  const auto send = [](Framer& framer) {
    for (std::size_t i = 0; i < kMessages; ++i) framer.send(counted(i * 101));
  };
  const auto receive = [](Framer& framer) {
    for (std::size_t i = 0; i < kMessages; ++i) ASSERT_TRUE(framer.recv() == counted(i * 101)) << i;
  };
  std::vector<std::thread> threads;
  for (Framer* framer : {&near, &far}) {
    threads.emplace_back([=] { send(*framer); });
    threads.emplace_back([=] { receive(*framer); });
  }
  for (std::thread& thread : threads) thread.join();
}

// --- signals ---

std::atomic<int> handled{0};

/// The exception that the hook throws out of a call.
struct Stop {};

TEST(Interrupt, ThatThrowsOutOfAReadLosesNothing) {
  struct sigaction action {};
  struct sigaction before {};
  action.sa_handler = [](int) { ++handled; };
  ASSERT_EQ(sigaction(SIGUSR1, &action, &before), 0);
  set_interrupt_hook([]() -> std::errc { throw Stop(); });

  const Bytes body = counted(200'000);
  enum class Read { recv, lines, readinto };
  for (const Read read : {Read::recv, Read::lines, Read::readinto}) {
    for (const Timeout timeout : {Timeout(), Timeout(30)}) {
      ConnectedPair pair;
      pair.sock.settimeout(timeout);
      Framer framer(pair.sock);
      Bytes received(body.size(), '\0');
      const auto call = [&] {
        if (read == Read::recv) received = framer.recv().value_or("");
        if (read == Read::lines) received = framer.recv(Delimiter{"\n"}).value_or("");
        if (read == Read::readinto) framer.readinto(received);
      };
      const Bytes wire = (read == Read::recv ? length(body.size()) : Bytes()) + body +
                         (read == Read::lines ? "\n" : "");
      pair.peer.sendall(wire.substr(0, 100'000));
      std::atomic<pthread_t> self{};
      bool stopped = false;
      BlockedThread thread([&] {
        self = pthread_self();
        try {
          call();
        } catch (const Stop&) {
          stopped = true;
        }
      });
      ASSERT_TRUE(thread.wait_until_blocked());
      ASSERT_EQ(pthread_kill(self, SIGUSR1), 0);
      thread.join();
      EXPECT_TRUE(stopped);
      EXPECT_EQ(framer.buffered().size(), 100'000u);
      pair.sock.settimeout(30);
      std::thread sender([&] { pair.peer.sendall(wire.substr(100'000)); });
      EXPECT_NO_THROW(call());
      EXPECT_TRUE(received == body);
      sender.join();
    }
  }
  set_interrupt_hook(nullptr);
  ASSERT_EQ(sigaction(SIGUSR1, &before, nullptr), 0);
}

}  // namespace
}  // namespace plug
