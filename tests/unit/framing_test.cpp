// Tests the messages that a Framer finds in a stream, for any cuts, and the data that it refuses.

#include <plug/framing.hpp>
#include <plug/socket.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <tuple>
#include <vector>

#include "support/connected_pair.hpp"
#include "support/errors.hpp"

using namespace std::string_literals;
using namespace std::string_view_literals;

namespace plug {
namespace {

using testing::HasSubstr;

constexpr std::size_t kBuffer = 16 << 10;  // the size of a Framer's buffer at rest

const std::vector<Framing> kFramings = {
    LengthPrefix{1, ByteOrder::big},
    LengthPrefix{2, ByteOrder::big},
    LengthPrefix{2, ByteOrder::little},
    LengthPrefix{4, ByteOrder::big},
    LengthPrefix{4, ByteOrder::little},
    LengthPrefix{8, ByteOrder::big},
    LengthPrefix{8, ByteOrder::little},
    VarintPrefix{},
    Delimiter{"\n"},
    Delimiter{"--end--"},
    Delimiter{"\r\n", "\n", ";"},
    FixedSize{6},
};

/// Returns all messages in `wire`, which has this framing.
std::vector<Bytes> decode(std::string_view wire, const Framing& framing) {
  ConnectedPair pair;
  pair.finish(wire);
  Framer framer(pair.sock, framing);
  std::vector<Bytes> messages;
  while (std::optional<Bytes> message = framer.recv()) messages.push_back(*message);
  return messages;
}

/// Returns the bytes that send() sends.
Bytes encode(BytesView message, const Framing& framing) {
  ConnectedPair pair;
  Framer(pair.sock, framing).send(message);
  return pair.peer.recv(1 << 16);
}

std::string repeated(std::size_t size) {
  std::string text;
  while (text.size() < size) text += std::to_string(text.size()) + ' ';
  text.resize(size);
  return text;
}

TEST(Framer, KeepsTheBoundariesOfMessagesInEveryFraming) {
  for (const Framing& framing : kFramings) {
    SCOPED_TRACE(framing.index());
    ConnectedPair pair;
    Framer out(pair.peer, framing);
    const std::vector<Bytes> messages = {"first!", "\0two\xff\x80"s, "thi rd"};
    for (const Bytes& message : messages) out.send(message);
    pair.peer.shutdown(SHUT::WR);
    Framer in(pair.sock, framing);
    for (const Bytes& message : messages) EXPECT_EQ(in.recv(), message);
    EXPECT_EQ(in.recv(), std::nullopt);
    EXPECT_EQ(in.recv(), std::nullopt);
  }
}

TEST(Framer, CarriesEmptyMessages) {
  for (const Framing& framing : kFramings) {
    if (std::holds_alternative<FixedSize>(framing)) continue;
    SCOPED_TRACE(framing.index());
    EXPECT_EQ(decode(encode("", framing) + encode("", framing) + encode("x", framing), framing),
              (std::vector<Bytes>{"", "", "x"}));
  }
}

TEST(Framer, CarriesMessagesFarLongerThanItsBuffer) {
  const Bytes message = repeated(900'001);
  for (const Framing& framing : {Framing(LengthPrefix{}), Framing(VarintPrefix{}),
                                 Framing(Delimiter{"\n"}), Framing(FixedSize{message.size()})}) {
    SCOPED_TRACE(framing.index());
    ConnectedPair pair;
    std::thread sender([&] {
      Framer out(pair.peer, framing);
      out.send(message);
      out.send(message);
      pair.peer.shutdown(SHUT::WR);
    });
    Framer in(pair.sock, framing);
    EXPECT_TRUE(in.recv() == message);
    EXPECT_TRUE(in.recv() == message);
    EXPECT_EQ(in.recv(), std::nullopt);
    sender.join();
  }
}

TEST(Framer, PutsTheLengthInFrontInItsWidthAndOrder) {
  const Bytes text(258, 'x');
  EXPECT_EQ(encode("abc", LengthPrefix{1}), "\3abc");
  EXPECT_EQ(encode(text, LengthPrefix{2}), "\1\2" + text);
  EXPECT_EQ(encode(text, LengthPrefix{2, ByteOrder::little}), "\2\1" + text);
  EXPECT_EQ(encode(text, LengthPrefix{}), "\0\0\1\2"s + text);
  EXPECT_EQ(encode(text, LengthPrefix{4, ByteOrder::little}), "\2\1\0\0"s + text);
  EXPECT_EQ(encode(text, LengthPrefix{8}), "\0\0\0\0\0\0\1\2"s + text);
  EXPECT_EQ(encode(text, LengthPrefix{8, ByteOrder::little}), "\2\1\0\0\0\0\0\0"s + text);
  EXPECT_EQ(encode(text, VarintPrefix{}), "\x82\2" + text);
  EXPECT_EQ(encode(Bytes(127, 'x'), VarintPrefix{}), "\x7f" + Bytes(127, 'x'));
  EXPECT_EQ(encode("abc", Delimiter{"\r\n", "\n"}), "abc\r\n");
  EXPECT_EQ(encode("abc", FixedSize{3}), "abc");
}

TEST(Framer, ReadsLengthsAsUnsigned) {
  const Bytes text(0xfe, 'x');
  EXPECT_EQ(decode("\xfe" + text, LengthPrefix{1}), std::vector<Bytes>{text});
  const Bytes more(0xfedc, 'x');
  EXPECT_EQ(decode("\xfe\xdc" + more, LengthPrefix{2}), std::vector<Bytes>{more});
}

TEST(Framer, SendsPrefixAndBodyAsOne) {
  // On this kind of socket each call receives the data of exactly one send.
  ConnectedPair pair(socketpair(AF::UNIX, SOCK::SEQPACKET));
  Framer framer(pair.sock);
  framer.send("abc");
  framer.send("def", Delimiter{"\r\n"});
  EXPECT_EQ(pair.peer.recv(100), "\0\0\0\3abc"s);
  EXPECT_EQ(pair.peer.recv(100), "def\r\n");
}

TEST(Varint, OfAnyLengthUpToTenBytesIsRead) {
  EXPECT_EQ(decode("\x83\0abc"s, VarintPrefix{}), std::vector<Bytes>{"abc"});
  EXPECT_EQ(decode("\x80\x80\x80\x80\x80\x80\x80\x80\x80\0\1x"s, VarintPrefix{}),
            (std::vector<Bytes>{"", "x"}));
}

TEST(Varint, AboveSixtyFourBitsIsMalformedAndStaysBuffered) {
  for (const std::string& prefix : {std::string(9, '\xff') + "\2", std::string(10, '\x80') + "\1",
                                    std::string(9, '\x80') + "\x81"}) {
    ConnectedPair pair;
    pair.peer.sendall(prefix + "abc");
    Framer framer(pair.sock, VarintPrefix{});
    std::error_code error;
    for (int i = 0; i < 2; ++i) {
      EXPECT_EQ(framer.recv(VarintPrefix{}, error), std::nullopt);
      EXPECT_EQ(error, Errc::malformed_length);
      EXPECT_FALSE(framer.skip(VarintPrefix{}, error));
      EXPECT_EQ(error, Errc::malformed_length);
      EXPECT_THROW((void)framer.recv(), ValueError);
    }
    EXPECT_THAT(text_of_error<ValueError>([&] { (void)framer.recv(); }),
                HasSubstr("length prefix: b'\\x"));
    EXPECT_EQ(framer.readexactly(prefix.size() + 3), prefix + "abc");
  }
}

TEST(Delimiter, OfSeveralTheOneThatEndsFirstCountsAndThenTheLongest) {
  EXPECT_EQ(decode("a\r\nb\nc\r\n\r\n", Delimiter{"\n", "\r\n"}),
            (std::vector<Bytes>{"a", "b", "c", ""}));
  EXPECT_EQ(decode("a\r\nb\n", Delimiter{"\r\n", "\r", "\n"}), (std::vector<Bytes>{"a", "", "b"}));
  EXPECT_EQ(decode("1abcd2bcd3cd4d", Delimiter{"d", "abcd", "cd"}),
            (std::vector<Bytes>{"1", "2b", "3", "4"}));
  EXPECT_EQ(decode("1abc2ab", Delimiter{"abc", "b"}), (std::vector<Bytes>{"1a", "c2a"}));
}

TEST(Delimiter, IsFoundWhereItsBeginningIsRepeated) {
  EXPECT_EQ(decode("aaab", Delimiter{"aab"}), std::vector<Bytes>{"a"});
  EXPECT_EQ(decode("xabababc", Delimiter{"ababc"}), std::vector<Bytes>{"xab"});
}

TEST(Delimiter, MayBeANul) {
  EXPECT_EQ(decode("a\0b\0\0"s, Delimiter{"\0"sv}), (std::vector<Bytes>{"a", "b", ""}));
}

TEST(Delimiter, IsFoundAcrossReceives) {
  const Framing framing = Delimiter{"\r\n\r\n", "##"};
  ConnectedPair pair;
  Framer framer(pair.sock, framing);
  pair.sock.settimeout(0);
  const std::string wire = "one\r\r\n\r\ntwo#\r\n##";
  std::vector<Bytes> messages;
  for (const char& byte : wire) {
    pair.peer.sendall({&byte, 1});
    std::error_code error;
    if (auto message = framer.recv(framing, error)) messages.push_back(*message);
    EXPECT_TRUE(!error || error == std::errc::resource_unavailable_try_again) << error.message();
  }
  EXPECT_EQ(messages, (std::vector<Bytes>{"one\r", "two#\r\n"}));
}

TEST(Delimiter, DoesNotReachBackIntoWhatWasReadBefore) {
  ConnectedPair pair;
  pair.finish("x\r\ny\n");
  Framer framer(pair.sock, Delimiter{"\r\n", "\n"});
  EXPECT_EQ(framer.readexactly(2), "x\r");
  EXPECT_EQ(framer.recv(), "");
  EXPECT_EQ(framer.recv(), "y");
}

TEST(Delimiter, IsSearchedAfreshWhenAnotherOneIsAskedFor) {
  ConnectedPair pair;
  pair.sock.settimeout(0);
  pair.peer.sendall("a;b|c");
  Framer framer(pair.sock, LengthPrefix{}, 2);
  std::error_code error;
  EXPECT_EQ(framer.recv(Delimiter{"|"}, error), std::nullopt);
  EXPECT_EQ(error, Errc::message_too_long);
  EXPECT_EQ(framer.recv(Delimiter{"\n"}, error), std::nullopt);
  EXPECT_EQ(error, Errc::message_too_long);
  framer.set_limit(10);
  EXPECT_EQ(framer.recv(Delimiter{"\n"}, error), std::nullopt);
  EXPECT_EQ(error, std::errc::resource_unavailable_try_again);
  EXPECT_EQ(framer.recv(Delimiter{";"}), "a");
  EXPECT_EQ(framer.recv(Delimiter{"|"}), "b");
}

TEST(Framer, RefusesFramingsThatCannotBe) {
  ConnectedPair pair;
  Framer framer(pair.sock);
  std::error_code error;
  const std::vector<Framing> impossible = {LengthPrefix{0},  LengthPrefix{3}, LengthPrefix{16},
                                           LengthPrefix{-4}, Delimiter{""},   Delimiter{"\n", ""},
                                           Delimiter({}),    FixedSize{0}};
  for (const Framing& framing : impossible) {
    EXPECT_THROW(Framer(pair.sock, framing), ValueError);
    EXPECT_THROW((void)framer.recv(framing), ValueError);
    EXPECT_THROW((void)framer.recv(framing, error), ValueError);
    EXPECT_THROW(framer.skip(framing), ValueError);
    EXPECT_THROW(framer.skip(framing, error), ValueError);
    EXPECT_THROW(framer.send("", framing), ValueError);
    EXPECT_THROW(framer.send("", framing, error), ValueError);
  }
  EXPECT_THAT(text_of_error<ValueError>([&] { (void)framer.recv(LengthPrefix{3}); }),
              HasSubstr("not 3"));
  EXPECT_THROW(Framer(pair.sock, FixedSize{11}, 10), ValueError);
  EXPECT_NO_THROW(Framer(pair.sock, FixedSize{10}, 10));
}

TEST(Framer, RefusesToSendWhatAReaderWouldNotTakeForTheMessage) {
  ConnectedPair pair;
  Framer framer(pair.sock);
  std::error_code error;
  struct Case {
    Bytes message;
    Framing framing;
    std::string why;
  };
  const std::vector<Case> cases = {
      {Bytes(256, 'x'), LengthPrefix{1}, "256 bytes: a prefix of 1 byte can say 255 at most"},
      {Bytes(65536, 'x'), LengthPrefix{2}, "65536 bytes: a prefix of 2 bytes can say 65535"},
      {"ab\ncd", Delimiter{"\n"}, "5 bytes holds the delimiter b'\\n' at 2"},
      {"ab;cd", Delimiter{"\n", ";"}, "holds the delimiter b';' at 2"},
      {"xa", Delimiter{"aa"}, "where they meet"},
      {"x\r", Delimiter{"\n", "\r\n"}, "where they meet"},
      {"x", Delimiter{"\r\n", "\r"}, "where they meet"},
      {"abc", FixedSize{8}, "3 bytes: this framing takes 8 bytes"},
      {"", FixedSize{1}, "0 bytes: this framing takes 1 byte"},
  };
  for (const Case& each : cases) {
    EXPECT_THAT(text_of_error<ValueError>([&] { framer.send(each.message, each.framing); }),
                HasSubstr(each.why));
    EXPECT_THROW(framer.send(each.message, each.framing, error), ValueError);
  }
  framer.send("x\r", Delimiter{"\r\n"});
  framer.send(Bytes(255, 'x'), LengthPrefix{1});
  // Nothing of the refused messages has been sent.
  EXPECT_EQ(pair.peer.recv(1 << 16), "x\r\r\n\xff" + Bytes(255, 'x'));
}

TEST(Framer, ReadsAHeaderThenRawBytesThenAHeaderOnOneReader) {
  const Bytes file = repeated(300'000);
  ConnectedPair pair;
  std::thread sender([&] {
    Framer out(pair.peer, Delimiter{"\n"});
    out.send("{\"size\": 300000}");
    pair.peer.sendall(file);
    out.send("{\"done\": true}");
    out.send("binary", LengthPrefix{2});
    pair.peer.shutdown(SHUT::WR);
  });
  Framer in(pair.sock, Delimiter{"\n"});
  EXPECT_EQ(in.recv(), "{\"size\": 300000}");
  Bytes copied;
  EXPECT_EQ(in.copy(file.size(),
                    [&](BytesView piece) {
                      EXPECT_LE(piece.size(), 65536u);
                      EXPECT_GT(piece.size(), 0u);
                      copied.append(piece.data(), piece.size());
                    }),
            file.size());
  EXPECT_TRUE(copied == file);
  EXPECT_EQ(in.recv(), "{\"done\": true}");
  EXPECT_EQ(in.recv(LengthPrefix{2}), "binary");
  EXPECT_EQ(in.recv(), std::nullopt);
  sender.join();
}

TEST(Framer, MixesFramingsAndRawReadsWithoutLosingAByte) {
  ConnectedPair pair;
  pair.finish("line\n\0\3abcRAW-1RAW-2\2hi12345678tail"s);
  Framer framer(pair.sock, Delimiter{"\n"});
  EXPECT_EQ(framer.recv(), "line");
  EXPECT_EQ(framer.buffered().size(), 30u);
  EXPECT_EQ(framer.recv(LengthPrefix{2}), "abc");
  EXPECT_EQ(framer.readexactly(5), "RAW-1");
  char buffer[5];
  EXPECT_EQ(framer.readinto(buffer), 5u);
  EXPECT_EQ(std::string_view(buffer, 5), "RAW-2");
  EXPECT_EQ(framer.recv(VarintPrefix{}), "hi");
  EXPECT_TRUE(framer.skip(FixedSize{4}));
  EXPECT_EQ(framer.recv(FixedSize{4}), "5678");
  EXPECT_EQ(framer.read(2), "ta");
  EXPECT_EQ(framer.read(100), "il");
  EXPECT_EQ(framer.read(100), "");
  EXPECT_EQ(framer.read(100'000), "");
  EXPECT_EQ(framer.recv(), std::nullopt);
}

TEST(Framer, ReadGivesWhatIsThereWithoutWaitingForMore) {
  ConnectedPair pair;
  Framer framer(pair.sock);
  for (const std::size_t size :
       {std::size_t{100}, std::size_t{1} << 20, std::numeric_limits<std::size_t>::max()}) {
    pair.peer.sendall("abc");
    EXPECT_EQ(framer.read(size), "abc");
  }
}

TEST(Framer, NothingIsReadWithoutWaiting) {
  ConnectedPair pair;
  pair.sock.settimeout(0);
  Framer framer(pair.sock);
  EXPECT_EQ(framer.readexactly(0), "");
  EXPECT_EQ(framer.read(0), "");
  EXPECT_EQ(framer.readinto(MutableBytes()), 0u);
  EXPECT_EQ(framer.copy(0, [](BytesView) { FAIL(); }), 0u);
}

TEST(Framer, ReadsIntoMemoryOfAnySizeWhateverTheLimit) {
  for (const std::size_t size : {std::size_t{1}, kBuffer - 1, kBuffer, std::size_t{500'000}}) {
    SCOPED_TRACE(size);
    const Bytes data = repeated(size);
    ConnectedPair pair;
    std::thread sender([&] { pair.finish("\1x" + data + "\1y"); });
    Framer framer(pair.sock, LengthPrefix{1}, 10);
    EXPECT_EQ(framer.recv(), "x");
    std::vector<unsigned char> memory(size);
    EXPECT_EQ(framer.readinto(memory), size);
    EXPECT_TRUE(std::equal(memory.begin(), memory.end(), data.begin(), [](unsigned char a, char b) {
      return a == static_cast<unsigned char>(b);
    }));
    EXPECT_EQ(framer.recv(), "y");
    sender.join();
  }
}

TEST(Copy, PassesOnWhatTheSinkThrowsAndHasConsumedThatPiece) {
  ConnectedPair pair;
  pair.finish("\4head" + Bytes(100'000, 'x') + "\4tail");
  Framer framer(pair.sock, LengthPrefix{1});
  EXPECT_EQ(framer.recv(), "head");
  std::uint64_t got = 0;
  struct Full {};
  while (got < 100'000) {
    EXPECT_THROW(framer.copy(100'000 - got,
                             [&](BytesView piece) {
                               got += piece.size();
                               throw Full();
                             }),
                 Full);
  }
  EXPECT_EQ(framer.recv(), "tail");
}

TEST(Copy, HandsOutPiecesOf64KiBAtMostAlsoOfWhatIsBuffered) {
  ConnectedPair pair;
  pair.sock.settimeout(0);
  pair.peer.sendall(Bytes(150'000, 'x'));
  Framer framer(pair.sock);
  EXPECT_THROW((void)framer.readexactly(200'000), BlockingIOError);
  ASSERT_EQ(framer.buffered().size(), 150'000u);
  std::vector<std::size_t> sizes;
  framer.copy(140'000, [&](BytesView piece) { sizes.push_back(piece.size()); });
  EXPECT_EQ(sizes, (std::vector<std::size_t>{65536, 65536, 140'000 - 2 * 65536}));
}

// --- the bound ---

TEST(Limit, IsOneMebibyteUnlessSet) {
  ConnectedPair pair;
  Framer framer(pair.sock);
  EXPECT_EQ(framer.limit(), 1u << 20);
  framer.set_limit(5);
  EXPECT_EQ(framer.limit(), 5u);
  EXPECT_EQ(Framer(pair.sock, LengthPrefix{}, 7).limit(), 7u);
}

TEST(Limit, AdmitsAMessageOfJustThatSize) {
  for (const Framing& framing :
       {Framing(LengthPrefix{}), Framing(VarintPrefix{}), Framing(Delimiter{"\r\n", "\n"})}) {
    SCOPED_TRACE(framing.index());
    ConnectedPair pair;
    pair.finish(encode("12345", framing) + encode("123456", framing));
    Framer framer(pair.sock, framing, 5);
    EXPECT_EQ(framer.recv(), "12345");
    EXPECT_THROW((void)framer.recv(), LimitOverrunError);
  }
}

TEST(Limit, CanBeRaisedToReadTheMessageOrTheMessageSkipped) {
  const Bytes message = repeated(100'000);
  for (const Framing& framing : {Framing(LengthPrefix{}), Framing(VarintPrefix{}),
                                 Framing(Delimiter{"\r\n", "\n"}), Framing(FixedSize{100'000})}) {
    for (const bool skip : {false, true}) {
      SCOPED_TRACE(framing.index());
      ConnectedPair pair;
      const bool fixed = std::holds_alternative<FixedSize>(framing);
      std::thread sender([&] {
        Framer out(pair.peer, framing);
        out.send(message);
        out.send(fixed ? message : "next");
        pair.peer.shutdown(SHUT::WR);
      });
      Framer in(pair.sock, framing, fixed ? message.size() : 1000);
      in.set_limit(1000);
      for (int i = 0; i < 3; ++i) EXPECT_THROW((void)in.recv(), LimitOverrunError);
      if (skip) {
        EXPECT_TRUE(in.skip());
      } else {
        in.set_limit(message.size());
        EXPECT_TRUE(in.recv() == message);
      }
      in.set_limit(message.size());
      EXPECT_TRUE(in.recv() == (fixed ? message : "next"));
      EXPECT_FALSE(in.skip());
      sender.join();
    }
  }
}

TEST(Limit, HoldsForReadexactly) {
  ConnectedPair pair;
  pair.sock.settimeout(0);
  Framer framer(pair.sock, LengthPrefix{}, 10);
  std::error_code error;
  EXPECT_EQ(framer.readexactly(11, error), "");
  EXPECT_EQ(error, Errc::message_too_long);
  EXPECT_THROW((void)framer.readexactly(std::numeric_limits<std::size_t>::max()),
               LimitOverrunError);
}

TEST(Limit, WithoutADelimiterIsToldAsSoonAsMoreHasCome) {
  ConnectedPair pair;
  pair.sock.settimeout(0);
  Framer framer(pair.sock, Delimiter{"\n"}, 100);
  std::error_code error;
  pair.peer.sendall(Bytes(100, 'x'));
  EXPECT_EQ(framer.recv(Delimiter{"\n"}, error), std::nullopt);
  EXPECT_EQ(error, std::errc::resource_unavailable_try_again);
  pair.peer.sendall("x");
  for (int i = 0; i < 3; ++i) {
    try {
      (void)framer.recv();
      ADD_FAILURE();
    } catch (const LimitOverrunError& overrun) {
      EXPECT_EQ(overrun.size(), 101u);
      EXPECT_EQ(overrun.limit(), 100u);
    }
  }
  EXPECT_EQ(framer.buffered().size(), 101u);
}

TEST(Limit, CountsNoByteThatMayBeginADelimiter) {
  ConnectedPair pair;
  pair.sock.settimeout(0);
  Framer framer(pair.sock, Delimiter{"\r\n\r\n"}, 5);
  std::error_code error;
  pair.peer.sendall("12345\r\n\r");
  EXPECT_EQ(framer.recv(Delimiter{"\r\n\r\n"}, error), std::nullopt);
  EXPECT_EQ(error, std::errc::resource_unavailable_try_again);
  pair.peer.sendall("\n");
  EXPECT_EQ(framer.recv(), "12345");
}

TEST(Framer, ThatHasBeenMovedFromActsAsThatOfAClosedSocket) {
  auto [sock, peer] = socketpair();
  Framer framer(sock);
  const Framer taken = std::move(framer);
  char buffer[4];
  std::error_code error;
  EXPECT_FALSE(framer.recv(VarintPrefix{}, error));
  EXPECT_EQ(error, std::errc::bad_file_descriptor);
  EXPECT_THROW((void)framer.recv(), OSError);
  EXPECT_THROW(framer.send("x"), OSError);
  EXPECT_THROW((void)framer.readexactly(1), OSError);
  EXPECT_THROW(framer.readinto(buffer), OSError);
  EXPECT_THROW((void)framer.read(1), OSError);
  EXPECT_THROW(framer.copy(1, [](BytesView) {}), OSError);
  EXPECT_THROW(framer.skip(), OSError);
  EXPECT_TRUE(framer.buffered().empty());
  Framer again = std::move(framer);
  framer.set_limit(5);
  EXPECT_TRUE(framer.buffered().empty());
  EXPECT_GT(framer.limit(), 0u);
}

}  // namespace
}  // namespace plug
