// Tests that a Framer's allocations are bounded, whatever its peer announces or sends.

#include <plug/framing.hpp>
#include <plug/socket.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "support/allocations.hpp"
#include "support/connected_pair.hpp"

using namespace std::string_literals;

namespace plug {
namespace {

using testing::HasSubstr;

constexpr std::size_t kBuffer = 16 << 10;  // the size of a Framer's buffer at rest

TEST(Memory, OfAnAnnouncedLengthIsToldAtThePrefixWithoutConsumingOrAllocating) {
  struct Case {
    Framing framing;
    std::string prefix;
    std::uint64_t size;
  };
  const std::vector<Case> cases = {
      {LengthPrefix{4}, "\x40\0\0\0"s, std::uint64_t{1} << 30},
      {LengthPrefix{8}, "\0\0\0\0\x40\0\0\0"s, std::uint64_t{1} << 30},
      {LengthPrefix{8}, "\x80\0\0\0\0\0\0\0"s, std::uint64_t{1} << 63},
      {LengthPrefix{8, ByteOrder::little}, std::string(8, '\xff'), ~std::uint64_t{0}},
      {VarintPrefix{}, std::string(9, '\xff') + "\1", ~std::uint64_t{0}},
      {LengthPrefix{4}, "\0\x10\0\1"s, (1u << 20) + 1},
  };
  for (const Case& each : cases) {
    SCOPED_TRACE(each.size);
    ConnectedPair pair;
    pair.sock.settimeout(0);  // so that a call fails if it would wait for the body
    pair.peer.sendall(each.prefix);
    Framer framer(pair.sock, each.framing);
    for (int i = 0; i < 3; ++i) {
      allocations = {};
      std::error_code error;
      EXPECT_EQ(framer.recv(each.framing, error), std::nullopt);
      EXPECT_EQ(error, Errc::message_too_long);
      EXPECT_LE(allocations.largest, kBuffer);
      EXPECT_EQ(framer.buffered().size(), each.prefix.size());
      try {
        (void)framer.recv();
        ADD_FAILURE();
      } catch (const LimitOverrunError& overrun) {
        EXPECT_EQ(overrun.size(), each.size);
        EXPECT_EQ(overrun.limit(), Framer::kDefaultLimit);
        EXPECT_THAT(overrun.what(), HasSubstr(std::to_string(each.size)));
        EXPECT_THAT(overrun.what(), HasSubstr("1048576"));
      }
    }
  }
}

TEST(Memory, StaysBoundedUnderAFloodWithoutDelimiter) {
  for (const std::size_t limit : {std::size_t{10}, std::size_t{100'000}}) {
    ConnectedPair pair;
    std::thread flood([&] {
      const Bytes piece(1 << 20, 'x');
      for (int i = 0; i < 32; ++i) pair.peer.sendall(piece);
      pair.finish("\nnext\n");
    });
    Framer framer(pair.sock, Delimiter{"\n"}, limit);
    allocations = {};
    for (int i = 0; i < 100; ++i) {
      std::error_code error;
      EXPECT_EQ(framer.recv(Delimiter{"\n"}, error), std::nullopt);
      EXPECT_EQ(error, Errc::message_too_long);
    }
    EXPECT_GT(framer.buffered().size(), limit);
    EXPECT_LE(framer.buffered().size(), std::max(kBuffer, limit + 1));
    EXPECT_TRUE(framer.skip());
    EXPECT_LE(allocations.largest, std::max(kBuffer, limit + 1));
    EXPECT_EQ(framer.recv(), limit < 4 ? std::nullopt : std::optional<Bytes>("next"));
    flood.join();
  }
}

TEST(Memory, OfASkippedMessageIsNotHeld) {
  ConnectedPair pair;
  std::thread sender([&] {
    const Bytes piece(1 << 20, 'x');
    pair.peer.sendall("\2\0\0\0"s);
    for (int i = 0; i < 32; ++i) pair.peer.sendall(piece);
    pair.finish("\0\0\0\4next"s);
  });
  Framer framer(pair.sock);
  allocations = {};
  EXPECT_TRUE(framer.skip());
  EXPECT_LE(allocations.bytes, 1u << 17);
  EXPECT_EQ(framer.recv(), "next");
  sender.join();
}

TEST(Memory, GrowsWithWhatHasComeAndNotWithWhatWasAnnounced) {
  for (const bool readexactly : {false, true}) {
    ConnectedPair pair;
    pair.sock.settimeout(0);
    Framer framer(pair.sock);
    pair.peer.sendall("\0\x10\0\0ten bytes."s);  // a mebibyte
    allocations = {};
    std::error_code error;
    if (readexactly)
      (void)framer.readexactly(1 << 20, error);
    else
      (void)framer.recv(LengthPrefix{}, error);
    EXPECT_EQ(error, std::errc::resource_unavailable_try_again);
    EXPECT_LE(allocations.bytes, 1u << 16);
    EXPECT_EQ(framer.buffered().size(), 14u);
  }
}

TEST(Memory, OfALongMessageIsThatOfTheResultAndLittleMore) {
  const std::size_t size = 4 << 20;
  ConnectedPair pair;
  std::thread sender([&] { Framer(pair.peer).send(Bytes(size, 'x')); });
  Framer framer(pair.sock, LengthPrefix{}, size);
  allocations = {};
  EXPECT_EQ(framer.recv()->size(), size);
  EXPECT_LT(allocations.bytes, 2 * size);
  sender.join();
}

TEST(Memory, IsInProportionToTheMessageHoweverManyCallsGatherIt) {
  const std::size_t size = 2 << 20;
  const Framing framing = LengthPrefix{};
  for (const bool readinto : {false, true}) {
    ConnectedPair pair;
    pair.sock.settimeout(0);
    Framer framer(pair.sock, framing, size);
    Bytes memory(size, '\0');
    const Bytes piece(size / 256, 'x');
    if (!readinto) pair.peer.sendall("\0\x20\0\0"s);
    allocations = {};
    for (int i = 0; i < 256; ++i) {
      std::error_code error;
      if (readinto)
        framer.readinto(memory, error);
      else
        (void)framer.recv(framing, error);
      ASSERT_EQ(error, std::errc::resource_unavailable_try_again);
      pair.peer.sendall(piece);
    }
    EXPECT_EQ(readinto ? framer.readinto(memory) : framer.recv()->size(), size);
    EXPECT_LE(allocations.bytes, 6 * size);
  }
}

TEST(Memory, OfAMessageThatIsBufferedIsAllocatedOnce) {
  for (const Framing& framing : {Framing(LengthPrefix{}), Framing(Delimiter{"\n"}),
                                 Framing(Delimiter{";", "\n"}), Framing(FixedSize{100})}) {
    ConnectedPair pair;
    const Bytes message(100, 'x');
    for (int i = 0; i < 3; ++i) Framer(pair.peer, framing).send(message);
    Framer framer(pair.sock, framing);
    EXPECT_EQ(framer.recv(), message);
    allocations = {};
    EXPECT_EQ(framer.recv()->size(), 100u);
    EXPECT_EQ(allocations.count, 1u);
    EXPECT_LT(allocations.bytes, 200u);
  }
}

TEST(Memory, OfALongMessageIsGivenBackWhenTheNextIsWaitedFor) {
  ConnectedPair pair;
  Framer framer(pair.sock, Delimiter{"\n"});
  const Bytes message(500'000, 'x');
  std::thread sender([&] { Framer(pair.peer, Delimiter{"\n"}).send(message); });
  EXPECT_TRUE(framer.recv() == message);
  sender.join();
  pair.sock.settimeout(0);
  std::error_code error;
  const Framing lines = Delimiter{"\n"};
  allocations = {};
  (void)framer.recv(lines, error);
  EXPECT_EQ(allocations.bytes, kBuffer);
}

}  // namespace
}  // namespace plug
