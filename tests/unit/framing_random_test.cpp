// Tests random messages in random framings, cut at random places and read by random calls:
// everything arrives exactly. The seeds are fixed.

#include <plug/framing.hpp>
#include <plug/socket.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include "support/connected_pair.hpp"
#include "support/sockets.hpp"

namespace plug {
namespace {

class Random {
 public:
  explicit Random(unsigned seed) : engine_(seed) {}

  std::size_t below(std::size_t bound) {
    return std::uniform_int_distribution<std::size_t>(0, bound - 1)(engine_);
  }
  bool chance(std::size_t percent) { return below(100) < percent; }

  /// Returns a size that is mostly small and sometimes far larger than a Framer's buffer.
  std::size_t size() {
    const std::size_t bounds[] = {4, 40, 400, 4'000, 40'000, 200'000};
    return below(bounds[std::min(below(8), below(6))]);
  }

  Bytes bytes(std::size_t size, std::string_view alphabet = {}) {
    Bytes result(size, '\0');
    for (char& byte : result)
      byte = alphabet.empty() ? static_cast<char>(below(256)) : alphabet[below(alphabet.size())];
    return result;
  }

 private:
  std::mt19937 engine_;
};

/// Finds the first message of `wire` by the rule in the header, in the simplest way. Returns its
/// size, and the place where the next one begins.
std::optional<std::pair<std::size_t, std::size_t>> first_delimited(
    std::string_view wire, const std::vector<std::string>& delimiters) {
  for (std::size_t end = 1; end <= wire.size(); ++end) {
    std::size_t longest = 0;
    for (const std::string& one : delimiters)
      if (wire.substr(0, end).ends_with(one)) longest = std::max(longest, one.size());
    if (longest > 0) return std::pair{end - longest, end};
  }
  return std::nullopt;
}

/// Encodes a message from the description of the formats, without the library.
Bytes encode(const Bytes& message, const Framing& framing) {
  if (const auto* prefix = std::get_if<LengthPrefix>(&framing)) {
    Bytes head;
    for (int i = 0; i < prefix->width; ++i)
      head += static_cast<char>(i < 8 ? message.size() >> (8 * i) & 0xff : 0);
    if (prefix->order == ByteOrder::big) std::reverse(head.begin(), head.end());
    return head + message;
  }
  if (std::holds_alternative<VarintPrefix>(framing)) {
    Bytes head;
    std::size_t size = message.size();
    do {
      head += static_cast<char>((size & 0x7f) | (size > 0x7f ? 0x80 : 0));
      size >>= 7;
    } while (size > 0);
    return head + message;
  }
  if (const auto* delimiter = std::get_if<Delimiter>(&framing))
    return message + delimiter->delimiters.front();
  return message;
}

/// A message, or raw bytes, which have no framing.
struct Item {
  Bytes data;
  std::optional<Framing> framing;
};

Item random_item(Random& random) {
  Bytes data = random.bytes(random.size());
  const ByteOrder order = random.chance(50) ? ByteOrder::big : ByteOrder::little;
  switch (random.below(6)) {
    case 0:
      return {data, std::nullopt};
    case 1:
      return {data, VarintPrefix{}};
    case 2:
      data += 'x';
      return {data, FixedSize{data.size()}};
    case 3: {
      const int width = data.size() < 256 ? 1 : data.size() < 65536 ? 2 : 4;
      return {data, LengthPrefix{random.chance(50) ? width : 8, order}};
    }
    default: {
      const std::vector<Delimiter> choices = {
          Delimiter{"\n"},         Delimiter{"\r\n", "\n"}, Delimiter{"\n", ";", "ab"},
          Delimiter{"\r\n\r\n"},   Delimiter{"aab"},        Delimiter{"abab", "b\r", "\n\n"},
          Delimiter{"--boundary"},
      };
      const Delimiter& delimiter = choices[random.below(choices.size())];
      // Bytes from which delimiters are made, so that many almost occur; cut where one does occur.
      data = random.bytes(data.size() % 5'000, random.chance(50) ? "ab\r\n;-" : "abxyz\r-");
      for (;;) {
        const Bytes wire = encode(data, delimiter);
        const auto found = first_delimited(wire, delimiter.delimiters);
        if (found && found->first == data.size() && found->second == wire.size()) break;
        data.resize(found ? std::min(found->first, data.size() - 1) : 0);
      }
      return {data, delimiter};
    }
  }
}

/// Repeats the call as long as it times out, which it may do at any byte.
template <class Call>
auto again(Call call) {
  std::error_code error;
  for (;;) {
    auto result = call(error);
    if (error != std::errc::timed_out && error != std::errc::resource_unavailable_try_again) {
      EXPECT_FALSE(error) << error.message();
      return result;
    }
    std::this_thread::yield();
  }
}

Bytes read_message(Framer& framer, const Item& item, Random& random) {
  const std::size_t size = item.data.size();
  framer.set_limit(Framer::kDefaultLimit);
  if (size > 0 && random.chance(20)) {
    framer.set_limit(random.below(size));
    std::error_code error;
    do {
      EXPECT_EQ(framer.recv(*item.framing, error), std::nullopt);
    } while (error == std::errc::timed_out || error == std::errc::resource_unavailable_try_again);
    EXPECT_EQ(error, Errc::message_too_long);
    if (random.chance(50)) framer.set_limit(size);
  }
  if (framer.limit() < size || random.chance(15)) {
    EXPECT_TRUE(again([&](std::error_code& error) { return framer.skip(*item.framing, error); }));
    return item.data;
  }
  return again([&](std::error_code& error) { return framer.recv(*item.framing, error); })
      .value_or("the end of the stream");
}

Bytes read_raw(Framer& framer, std::size_t size, Random& random) {
  Bytes result;
  framer.set_limit(size);
  while (result.size() < size) {
    const std::size_t rest = size - result.size();
    const std::size_t part = random.chance(50) ? rest : 1 + random.below(rest);
    switch (random.below(4)) {
      case 0:
        result += again([&](std::error_code& error) { return framer.readexactly(part, error); });
        break;
      case 1: {
        Bytes memory(part, '\0');
        again([&](std::error_code& error) { return framer.readinto(memory, error); });
        result += memory;
        break;
      }
      case 2:
        result += again([&](std::error_code& error) { return framer.read(part, error); });
        break;
      default: {
        std::size_t left = part;
        again([&](std::error_code& error) {
          const auto sink = [&](BytesView piece) { result += piece; };
          left -= static_cast<std::size_t>(framer.copy(left, sink, error));
          return left;
        });
      }
    }
  }
  return result;
}

TEST(RandomStream, ArrivesUnchanged) {
  for (unsigned seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE(seed);
    Random random(seed);
    ConnectedPair pair = random.chance(50) ? ConnectedPair() : ConnectedPair(tcp_pair());
    const Timeout timeouts[] = {Timeout(), Timeout(30), Timeout(0.0002), Timeout(0)};
    pair.sock.settimeout(timeouts[random.below(4)]);

    std::vector<Item> items;
    Bytes wire;
    for (int i = 0; i < 40; ++i) {
      items.push_back(random_item(random));
      wire += items.back().framing ? encode(items.back().data, *items.back().framing)
                                   : items.back().data;
    }

    std::thread sender([&] {
      Random cuts(seed + 1000);
      const std::size_t bounds[] = {1, 10, 1'000, 100'000};
      const std::size_t bound = bounds[cuts.below(4)];
      std::error_code error;  // the reader may have given up
      for (std::size_t sent = 0; sent < wire.size() && !error;) {
        // Single bytes only at both ends: for a whole long message that would take too long.
        const bool middle = sent > 10'000 && wire.size() - sent > 10'000;
        const std::size_t most = middle ? std::max<std::size_t>(bound, 2'000) : bound;
        sent += pair.peer.sendall(
            {wire.data() + sent, std::min(1 + cuts.below(most), wire.size() - sent)}, error);
      }
      pair.peer.shutdown(SHUT::WR, error);
    });

    Framer framer(pair.sock);
    for (std::size_t i = 0; i < items.size(); ++i) {
      const Item& item = items[i];
      const Bytes got = item.framing ? read_message(framer, item, random)
                                     : read_raw(framer, item.data.size(), random);
      if (got == item.data) continue;
      ADD_FAILURE() << "item " << i << ": " << got.size() << " bytes for " << item.data.size();
      pair.sock.close();
      break;
    }
    EXPECT_TRUE(pair.sock.fileno() < 0 || again([&](std::error_code& error) {
                                            return framer.recv(LengthPrefix{}, error);
                                          }) == std::nullopt);
    pair.sock.close();
    sender.join();
    if (HasFailure()) break;
  }
}

TEST(RandomMessage, IsSentExactlyWhenAReaderFindsItAgain) {
  Random random(7);
  int refused = 0;
  for (int i = 0; i < 20'000; ++i) {
    std::vector<std::string> delimiters(1 + random.below(3));
    for (std::string& one : delimiters) one = random.bytes(1 + random.below(3), "ab");
    Delimiter delimiter{"?"};
    delimiter.delimiters = delimiters;
    const Bytes message = random.bytes(random.below(6), "abc");
    const Bytes wire = message + delimiters.front();
    const auto found = first_delimited(wire, delimiters);
    const bool sound = found && found->first == message.size() && found->second == wire.size();

    static ConnectedPair pair;
    static Framer out(pair.peer);
    static Framer in(pair.sock);
    try {
      out.send(message, delimiter);
      EXPECT_TRUE(sound) << message << " with " << testing::PrintToString(delimiters);
      EXPECT_EQ(in.recv(delimiter), message);
    } catch (const ValueError&) {
      ++refused;
      EXPECT_FALSE(sound) << message << " with " << testing::PrintToString(delimiters);
    }
    ASSERT_TRUE(in.buffered().empty());
  }
  EXPECT_GT(refused, 1'000);
}

TEST(RandomBytes, AreDelimitedAsTheRuleSays) {
  Random random(11);
  for (int i = 0; i < 3'000; ++i) {
    std::vector<std::string> delimiters(1 + random.below(4));
    for (std::string& one : delimiters) one = random.bytes(1 + random.below(4), "abc");
    Delimiter delimiter{"?"};
    delimiter.delimiters = delimiters;
    const Bytes wire = random.bytes(random.below(60), "abc");

    ConnectedPair pair;
    pair.sock.settimeout(0);
    Framer framer(pair.sock, delimiter);
    std::vector<Bytes> messages;
    for (std::size_t sent = 0; sent < wire.size();) {
      const std::size_t piece = 1 + random.below(wire.size() - sent);
      pair.peer.sendall(BytesView(wire.data() + sent, piece));
      sent += piece;
      std::error_code error;
      while (auto message = framer.recv(delimiter, error)) messages.push_back(*message);
    }

    std::vector<Bytes> expected;
    std::string_view rest = wire;
    while (const auto found = first_delimited(rest, delimiters)) {
      expected.emplace_back(rest.substr(0, found->first));
      rest.remove_prefix(found->second);
    }
    ASSERT_EQ(messages, expected) << wire << " with " << testing::PrintToString(delimiters);
    ASSERT_EQ(std::string_view(framer.buffered()), rest);
  }
}

}  // namespace
}  // namespace plug
