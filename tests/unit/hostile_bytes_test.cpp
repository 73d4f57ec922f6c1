// Feeds unchecked bytes and texts to everything in the public headers that reads them. The data is
// random, or valid data with changes, and the same in each run. The library reads it or refuses it
// with one of plug's errors, and can write again what it has read. The sanitizers detect the rest.

#include <plug/address.hpp>
#include <plug/ancillary.hpp>
#include <plug/error.hpp>
#include <plug/family/addresses.hpp>
#include <plug/family/can.hpp>
#include <plug/family/constants.hpp>
#include <plug/family/netlink.hpp>
#include <plug/family/packets.hpp>
#include <plug/family/sctp.hpp>
#include <plug/family/tipc.hpp>
#include <plug/framing.hpp>
#include <plug/resolve.hpp>
#include <plug/socket.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <exception>
#include <functional>
#include <limits>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "support/sockets.hpp"
#include "sys/control.hpp"

namespace plug {
namespace {

#ifdef PLUG_SANITIZED
constexpr int kRounds = 4'000;
#else
constexpr int kRounds = 20'000;
#endif

/// Generates bytes, the same for the same seed.
class Maker {
 public:
  explicit Maker(unsigned seed) : engine_(seed) {}

  std::size_t below(std::size_t bound) {
    return std::uniform_int_distribution<std::size_t>(0, bound - 1)(engine_);
  }

  Bytes random(std::size_t most) {
    Bytes bytes(below(most + 1), '\0');
    for (char& byte : bytes) byte = one();
    return bytes;
  }

  /// Returns one of the samples with a few changes: bytes, words with extreme values, cuts.
  Bytes changed(const std::vector<Bytes>& samples) {
    Bytes bytes = samples[below(samples.size())];
    for (std::size_t changes = below(4); changes > 0; --changes) {
      const std::size_t at = below(bytes.size() + 1);
      switch (below(5)) {
        case 0:
          if (at < bytes.size()) bytes[at] = one();
          break;
        case 1:
          bytes.insert(at, 1, one());
          break;
        case 2:
          bytes.resize(at);
          break;
        case 3:
          bytes += samples[below(samples.size())].substr(0, at);
          break;
        default:
          put_word(bytes);
      }
    }
    return bytes;
  }

  Bytes bytes(const std::vector<Bytes>& samples, std::size_t most) {
    return below(4) == 0 ? random(most) : changed(samples);
  }

 private:
  char one() {
    constexpr char kOften[] = {'\0', '\x01', '\x7f', '\x80', '\xff', ':', '#', '.', '%', '9', 'F'};
    return below(2) == 0 ? kOften[below(sizeof kOften)] : static_cast<char>(below(256));
  }

  void put_word(Bytes& bytes) {
    constexpr std::uint64_t kWords[] = {0,      1,          0x7fff,     0x8000,
                                        0xffff, 0x7fffffff, 0x80000000, 0xffffffff,
                                        ~0ULL,  1ULL << 63, ~0ULL >> 1};
    const std::uint64_t word = kWords[below(std::size(kWords))];
    const std::size_t size = std::size_t{1} << below(4);
    if (bytes.size() < size) return;
    std::memcpy(bytes.data() + below((bytes.size() - size) / size + 1) * size, &word, size);
  }

  std::mt19937 engine_;
};

/// Returns true if `read` succeeds, and false if it throws one of these errors.
template <class Read>
bool reads(Read read) {
  try {
    read();
    return true;
  } catch (const ValueError&) {
  } catch (const OverflowError&) {
  } catch (const OSError&) {
  } catch (const EOFError&) {
  }
  return false;
}

template <class T>
Bytes raw(const T& value) {
  return Bytes(reinterpret_cast<const char*>(&value), sizeof value);
}

// --- addresses ---

const std::vector<Bytes>& addresses() {
  static const std::vector<Bytes> all = [] {
    std::vector<Bytes> bytes;
    const auto add = [&](const Address& address) {
      bytes.emplace_back(std::string_view(address.bytes()));
    };
    for (const char* text : {"127.0.0.1:80",
                             "[::1]:80",
                             "[fe80::1%7]:80",
                             "/tmp/a",
                             "@name",
                             "unix:",
                             "netlink:1:2",
                             "packet:lo:3:1:2:010203",
                             "vsock:1:2",
                             "qrtr:1:2",
                             "tipc:1:2:3:4:5",
                             "tipc:2:2:3:4",
                             "tipc:3:2:3:4",
                             "alg:hash:sha256",
                             "alg:hash:sha256:1:2",
                             "l2cap:01:02:03:04:05:06:7:8:1",
                             "rfcomm:01:02:03:04:05:06:7",
                             "hci:1:2",
                             "sco:01:02:03:04:05:06",
                             "can:lo",
                             "isotp:lo:1:2",
                             "j1939:lo:1:2:3",
                             "raw:77:00ff"})
      add(Address::parse(text));
    bytes.push_back(Bytes("\1\0", 2) + Bytes(108, 'p'));
    bytes.push_back(Bytes("\1\0/", 3) + Bytes(107, 'p') + '\0');
    bytes.push_back(Bytes("\x11\0", 2) + Bytes(9, '\0') + '\x40' + Bytes(0x40, 'h'));
    return bytes;
  }();
  return all;
}

template <class T>
void read_as(const Address& address) {
  reads([&] {
    const T typed(address);
    const Address again = typed;
    EXPECT_EQ(to_string(T(again)), to_string(typed)) << to_string(address);
  });
}

TEST(HostileBytes, MakeAddressesThatCanBePrintedReadAndUsed) {
  Maker maker(1);
  for (int round = 0; round < kRounds; ++round) {
    const Bytes bytes = maker.bytes(addresses(), 140);
    Address address;
    if (!reads([&] { address = Address::from_bytes(bytes); })) continue;
    const std::string shown = to_string(address);
    const std::string text = address.text();
    // The text of an address can be parsed again and means the same address.
    EXPECT_NO_THROW(EXPECT_EQ(to_string(Address::parse(text)), shown) << text) << text;
    reads([&] { address.host(); });
    reads([&] { address.port(); });
    reads([&] { address.path(); });
    reads([&] { address.scope_id(); });
    reads([&] { getnameinfo(address, NI::NUMERICHOST | NI::NUMERICSERV); });
    read_as<UnixAddress>(address);
    read_as<CanAddress>(address);
    read_as<IsotpAddress>(address);
    read_as<J1939Address>(address);
    read_as<PacketAddress>(address);
    read_as<NetlinkAddress>(address);
    read_as<VsockAddress>(address);
    read_as<TipcAddress>(address);
    read_as<AlgAddress>(address);
    read_as<QrtrAddress>(address);
    read_as<L2capAddress>(address);
    read_as<RfcommAddress>(address);
    read_as<HciAddress>(address);
    read_as<ScoAddress>(address);
    if (testing::Test::HasFailure()) return;
  }
}

TEST(HostileBytes, DoNoHarmAsTextsOfAddresses) {
  const std::vector<Bytes> samples{"127.0.0.1:80",
                                   "[::1]:80",
                                   "[fe80::1%7]:80",
                                   "[fe80::1%lo]:80",
                                   "/tmp/a",
                                   "@name",
                                   "unix:",
                                   "netlink:1:2",
                                   "packet:lo:3:1:2:010203",
                                   "vsock:1:2",
                                   "tipc:1:2:3:4:5",
                                   "alg:hash:sha256:1:2",
                                   "hci:1:2",
                                   "l2cap:01:02:03:04:05:06:7:8:1",
                                   "raw:77:00ff",
                                   "j1939:lo:1:2:3",
                                   "netlink:0x10:0xff",
                                   "rfcomm:01:02:03:04:05:06:7",
                                   "[::1%4294967296]:1",
                                   "can:lo"};
  Maker maker(2);
  for (int round = 0; round < kRounds; ++round) {
    const Bytes text = maker.bytes(samples, 60);
    Address address;
    if (!reads([&] { address = Address::parse(text); })) continue;
    EXPECT_NO_THROW(EXPECT_EQ(to_string(Address::parse(address.text())), to_string(address)))
        << text << " " << address.text();
    if (testing::Test::HasFailure()) return;
  }
}

TEST(HostileBytes, DoNoHarmAsTextsAndBytesOfHosts) {
  const std::vector<Bytes> samples{"127.0.0.1",    "0x7f.1",        "::ffff:1.2.3.4", "fe80::1%lo",
                                   Bytes(4, '\1'), Bytes(16, '\2'), "4294967296"};
  Maker maker(3);
  for (int round = 0; round < kRounds; ++round) {
    const Bytes bytes = maker.bytes(samples, 40);
    reads([&] { inet_ntoa(inet_aton(bytes)); });
    reads([&] { inet_ntoa(bytes); });
    for (const AF family : {AF::INET, AF::INET6}) {
      reads([&] {
        const Bytes packed = inet_pton(family, bytes);
        EXPECT_EQ(inet_pton(family, inet_ntop(family, packed)), packed);
      });
      reads([&] { EXPECT_EQ(inet_pton(family, inet_ntop(family, bytes)), bytes); });
    }
  }
}

// --- messages of single families ---

TEST(HostileBytes, DoNoHarmAsNetlinkMessagesAndAttributes) {
  const NetlinkMessage failed{.type = static_cast<std::uint16_t>(NLMSG::ERROR_),
                              .payload = raw(std::int32_t{-1})};
  const NetlinkMessage worst{.type = static_cast<std::uint16_t>(NLMSG::ERROR_),
                             .payload = raw(std::numeric_limits<std::int32_t>::min())};
  const NetlinkAttribute attribute{.type = 0xffff, .payload = "abc"};
  const std::vector<Bytes> samples{failed.to_bytes(), worst.to_bytes(), attribute.to_bytes(),
                                   failed.to_bytes() + worst.to_bytes()};
  Maker maker(4);
  for (int round = 0; round < kRounds; ++round) {
    const Bytes bytes = maker.bytes(samples, 60);
    reads([&] {
      for (const NetlinkMessage& message : netlink_messages(bytes)) {
        EXPECT_LE(message.payload.size(), bytes.size());
        reads([&, &m = message] { EXPECT_GT(m.error_number(), std::numeric_limits<int>::min()); });
        reads([&, &m = message] { netlink_attributes(m.payload); });
        const auto again = netlink_messages(message.to_bytes());
        ASSERT_EQ(again.size(), 1u);
        EXPECT_EQ(again[0].payload, message.payload);
      }
    });
    reads([&] {
      for (const NetlinkAttribute& item : netlink_attributes(bytes)) item.to_bytes();
    });
    if (testing::Test::HasFailure()) return;
  }
}

TEST(HostileBytes, DoNoHarmAsCanFrames) {
  const auto frame = [](const char* text) { return CanFrame::parse(text).to_bytes(); };
  const std::vector<Bytes> samples{frame("123#DEADBEEF"),
                                   frame("12345678#00.11"),
                                   frame("123#R4"),
                                   frame("123##1DEADBEEF"),
                                   frame("20000004#0011223344556677"),
                                   frame("123##7")};
  Maker maker(5);
  for (int round = 0; round < kRounds; ++round) {
    const Bytes bytes = maker.bytes(samples, 72);
    CanFrame read;
    if (!reads([&] { read = CanFrame::from_bytes(bytes); })) continue;
    Bytes again;
    if (!reads([&] { again = read.to_bytes(); })) continue;  // it may not be sent
    EXPECT_EQ(CanFrame::from_bytes(again), read);
    // The flags are written as one digit.
    if (read.flags < 16) {
      EXPECT_EQ(CanFrame::parse(to_string(read)), read) << to_string(read);
    }
    if (testing::Test::HasFailure()) return;
  }
}

TEST(HostileBytes, DoNoHarmAsTextsOfCanFrames) {
  const std::vector<Bytes> samples{"123#DEADBEEF", "12345678#00.11", "123#R",     "123#R4",
                                   "123##1DEAD",   "ACCCCCCC#",      "20000004#", "6CCCCCCC#R4",
                                   "FFFFFFFF#",    "123##F"};
  Maker maker(6);
  for (int round = 0; round < kRounds; ++round) {
    const Bytes text = maker.bytes(samples, 30);
    CanFrame frame;
    if (!reads([&] { frame = CanFrame::parse(text); })) continue;
    EXPECT_NO_THROW(EXPECT_EQ(CanFrame::parse(to_string(frame)), frame) << text) << text;
    EXPECT_NO_THROW(EXPECT_EQ(CanFrame::from_bytes(frame.to_bytes()), frame) << text) << text;
    if (testing::Test::HasFailure()) return;
  }
}

TEST(HostileBytes, DoNoHarmAsMessagesAndOptionsOfCan) {
  const BcmMessage message{.opcode = CAN::BCM_TX_SETUP,
                           .interval1 = std::chrono::microseconds(1'500'000),
                           .frames = {CanFrame::parse("123#11"), CanFrame::parse("124#R")}};
  const auto with_interval = [&](std::int64_t seconds, std::int64_t microseconds) {
    Bytes raw = message.to_bytes();
    std::memcpy(raw.data() + 16, &seconds, sizeof seconds);
    std::memcpy(raw.data() + 24, &microseconds, sizeof microseconds);
    return raw;
  };
  const std::int64_t most = std::numeric_limits<std::int64_t>::max();
  // In microseconds this is 2 to the power of 64, which overflows to 0.
  const std::int64_t around = std::int64_t{1} << 58;
  const Bytes endless = with_interval(most, 0);
  const std::vector<Bytes> samples{message.to_bytes(), endless, IsotpOptions().to_bytes(),
                                   IsotpFlowControl().to_bytes(), IsotpLinkLayer().to_bytes()};
  EXPECT_NO_THROW(BcmMessage::from_bytes(with_interval(1, 999'999)));
  EXPECT_THROW(BcmMessage::from_bytes(endless), ValueError);
  EXPECT_THROW(BcmMessage::from_bytes(with_interval(around, 1)), ValueError);
  EXPECT_THROW(BcmMessage::from_bytes(with_interval(1, most)), ValueError);
  EXPECT_THROW(BcmMessage::from_bytes(with_interval(2, -1)), ValueError);
  Maker maker(7);
  for (int round = 0; round < kRounds; ++round) {
    const Bytes bytes = maker.bytes(samples, 100);
    reads([&] {
      const BcmMessage read = BcmMessage::from_bytes(bytes);
      EXPECT_GE(read.interval1.count(), 0);
      EXPECT_GE(read.interval2.count(), 0);
      reads([&] { EXPECT_EQ(BcmMessage::from_bytes(read.to_bytes()).interval1, read.interval1); });
    });
    reads([&] { EXPECT_EQ(IsotpOptions::from_bytes(bytes).to_bytes(), bytes); });
    reads([&] { EXPECT_EQ(IsotpFlowControl::from_bytes(bytes).to_bytes(), bytes); });
    reads([&] { EXPECT_EQ(IsotpLinkLayer::from_bytes(bytes).to_bytes(), bytes); });
  }
}

TEST(HostileBytes, DoNoHarmAsPackets) {
  const IcmpEcho echo{false, 1, 2, "data"};
  const Ipv4Header header{.source = "1.2.3.4", .destination = "5.6.7.8", .options = Bytes(8, '\1')};
  const std::vector<Bytes> samples{echo.to_bytes(AF::INET), echo.to_bytes(AF::INET6),
                                   header.to_bytes() + echo.to_bytes(AF::INET)};
  Maker maker(8);
  for (int round = 0; round < kRounds; ++round) {
    const Bytes bytes = maker.bytes(samples, 80);
    internet_checksum(bytes);
    for (const AF family : {AF::INET, AF::INET6}) {
      if (const auto read = IcmpEcho::from_bytes(bytes, family)) {
        EXPECT_EQ(IcmpEcho::from_bytes(read->to_bytes(family), family)->data, read->data);
      }
    }
    reads([&] {
      const Ipv4Header read = Ipv4Header::from_bytes(bytes);
      EXPECT_EQ(Ipv4Header::from_bytes(read.to_bytes()).options, read.options);
    });
  }
}

TEST(HostileBytes, DoNoHarmAsMessagesOfSctpAndTipc) {
  const std::vector<Bytes> samples{SctpInit().to_bytes(), Bytes(20, '\0'), Bytes(28, '\1'),
                                   Bytes(kTipcEventSize, '\2')};
  Maker maker(9);
  for (int round = 0; round < kRounds; ++round) {
    const Bytes bytes = maker.bytes(samples, 60);
    reads([&] { EXPECT_EQ(SctpInit::from_bytes(bytes).to_bytes(), bytes); });
    reads([&] { SctpAssociationChange::from_bytes(bytes); });
    reads([&] { SctpReceiveInfo::from({IPPROTO::SCTP, SCTP::RCVINFO, bytes}); });
    reads([&] {
      const TipcEvent event = TipcEvent::from_bytes(bytes);
      EXPECT_EQ(event.subscription.to_bytes(), bytes.substr(20));
    });
  }
}

// --- ancillary data ---

TEST(HostileBytes, DoNoHarmAsControlMessages) {
  const std::int64_t most = std::numeric_limits<std::int64_t>::max();
  const std::int64_t least = std::numeric_limits<std::int64_t>::min();
  const std::vector<Bytes> samples{
      raw(most) + raw(most),
      raw(least) + raw(least),
      raw(std::int64_t{1}) + raw(most),
      raw(std::int64_t{9'223'372'036}) + raw(std::int64_t{900'000'000}),
      Bytes(48, '\x7f'),
      raw(most) + raw(least) + Bytes(16, '\0') + raw(least) + raw(most),
      Bytes(4, '\xff'),
      Bytes(12, '\x80'),
      Bytes(20, '\1'),
      Bytes(1, '\xff')};
  const std::pair<OptionLevel, ControlType> kinds[] = {
      {SOL::SOCKET, SCM::RIGHTS},       {SOL::SOCKET, SCM::CREDENTIALS},
      {SOL::SOCKET, SCM::TIMESTAMP},    {SOL::SOCKET, SCM::TIMESTAMPNS},
      {SOL::SOCKET, SCM::TIMESTAMPING}, {IPPROTO::IP_, IP_::PKTINFO},
      {IPPROTO::IPV6, IPV6::PKTINFO},   {IPPROTO::IP_, IP_::TTL},
      {IPPROTO::IP_, IP_::TOS},         {IPPROTO::IPV6, IPV6::TCLASS}};
  Maker maker(10);
  for (int round = 0; round < kRounds / 10; ++round) {
    const Bytes bytes = maker.bytes(samples, 60);
    for (const auto& [level, type] : kinds) {
      const ControlMessage item{level, type, bytes};
      to_string(item);
      reads([&] { EXPECT_EQ(item.rights().size(), bytes.size() / sizeof(int)); });
      reads([&] { EXPECT_EQ(ControlMessage::credentials(item.credentials()), item); });
      reads([&] { ControlMessage::packet_info(item.packet_info()); });
      reads([&] { item.ttl(); });
      reads([&] { item.tos(); });
      reads([&] { item.timestamp(); });
      reads([&] { item.timestamps(); });
    }
  }
}

TEST(HostileBytes, DoNoHarmAsControlDataOfTheKernel) {
  Bytes item(32, '\0');
  detail::sys::write_control(item.data(), 1, 2, "0123456789", 10);
  const std::vector<Bytes> samples{item, item + item, Bytes(40, '\xff')};
  Maker maker(11);
  for (int round = 0; round < kRounds; ++round) {
    const Bytes bytes = maker.bytes(samples, 80);
    std::size_t total = 0;
    detail::sys::read_control(bytes.data(), bytes.size(),
                              [&](int, int, const char* data, std::size_t size) {
                                EXPECT_GE(data, bytes.data());
                                EXPECT_LE(data + size, bytes.data() + bytes.size());
                                total += size;
                              });
    EXPECT_LE(total, bytes.size());
  }
}

TEST(HostileBytes, MakeTimesThatAreRefusedBeyondTheClock) {
  const std::int64_t most = std::numeric_limits<std::int64_t>::max();
  for (const std::int64_t seconds : {most, -most, std::int64_t{9'223'372'037}}) {
    for (const SCM type : {SCM::TIMESTAMP, SCM::TIMESTAMPNS}) {
      const ControlMessage item{SOL::SOCKET, type, raw(seconds) + raw(std::int64_t{0})};
      EXPECT_THROW(item.timestamp(), ValueError);
    }
    const Bytes time = raw(seconds) + raw(std::int64_t{0});
    const Bytes none(time.size(), '\0');
    for (const Bytes& data : {time + none + none, none + none + time}) {
      const ControlMessage item{SOL::SOCKET, SCM::TIMESTAMPING, data};
      EXPECT_THROW(item.timestamps(), ValueError);
    }
  }
  const ControlMessage fraction{SOL::SOCKET, SCM::TIMESTAMP, raw(std::int64_t{0}) + raw(most)};
  EXPECT_THROW(fraction.timestamp(), ValueError);
  const ControlMessage late{SOL::SOCKET, SCM::TIMESTAMPNS,
                            raw(std::int64_t{9'223'372'036}) + raw(std::int64_t{854'775'807})};
  EXPECT_EQ(late.timestamp(), Timestamp::max());
  const ControlMessage early{SOL::SOCKET, SCM::TIMESTAMPNS,
                             raw(std::int64_t{-2}) + raw(std::int64_t{500'000'000})};
  EXPECT_EQ(early.timestamp().time_since_epoch(), std::chrono::milliseconds(-1500));
}

// --- framing ---

TEST(HostileBytes, DoNoHarmAsMessagesInAnyFraming) {
  const std::vector<Framing> framings{LengthPrefix{1, ByteOrder::big},
                                      LengthPrefix{2, ByteOrder::little},
                                      LengthPrefix{4, ByteOrder::big},
                                      LengthPrefix{8, ByteOrder::little},
                                      VarintPrefix{},
                                      Delimiter{"\r\n"},
                                      Delimiter{{"\n", "\r\n", "end"}},
                                      FixedSize{7}};
  const std::vector<Bytes> samples{Bytes("\0\0\0\5hello", 9), "\x05hello",
                                   "hello\r\nend\r",          Bytes(11, '\xff'),
                                   Bytes(9, '\x80') + "\1",   "0123456"};
  Maker maker(12);
  for (int round = 0; round < kRounds / 20; ++round) {
    const Bytes bytes = maker.bytes(samples, 60);
    const Framing& framing = framings[maker.below(framings.size())];
    auto [sock, peer] = socketpair();
    peer.sendall(bytes);
    peer.shutdown(SHUT::WR);
    Framer framer(sock, framing, 64);
    std::size_t got = 0;
    reads([&] {
      for (bool more = true; more;) {
        switch (maker.below(4)) {
          case 0:
            more = framer.skip();
            break;
          case 1:
            got += framer.read(1 + maker.below(3)).size();
            break;
          default:
            const auto message = framer.recv();
            more = message.has_value();
            if (more) got += message->size();
        }
      }
    });
    EXPECT_LE(got, bytes.size());
    EXPECT_LE(framer.buffered().size(), bytes.size());
  }
}

}  // namespace
}  // namespace plug
