#include <plug/family/packets.hpp>
#include <plug/socket.hpp>

#include <linux/if_packet.h>
#include <net/if.h>
#include <plug/error.hpp>
#include <plug/family/addresses.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <cstring>

#include "support/errors.hpp"

namespace plug {
namespace {

using testing::HasSubstr;
using namespace std::string_literals;

TEST(Checksum, EqualsTheExampleOfRfc1071) {
  // RFC 1071, section 3.
  EXPECT_EQ(internet_checksum("\x00\x01\xf2\x03\xf4\xf5\xf6\xf7"s), 0x220d);
  EXPECT_EQ(internet_checksum(""), 0xffff);
  EXPECT_EQ(internet_checksum("\x01"s), 0xfeff);
  EXPECT_EQ(internet_checksum("\xf4\xf5\xf6\xf7"s, internet_checksum("\x00\x01\xf2\x03"s)), 0x220d);
  EXPECT_EQ(internet_checksum(Bytes(1 << 20, '\xff')), 0);
}

TEST(Echo, ComesBackFromItsBytes) {
  const IcmpEcho echo{.reply = true, .identifier = 0x1234, .sequence = 7, .data = "abc"};
  const Bytes raw = echo.to_bytes(AF::INET);
  EXPECT_EQ(raw.substr(0, 2), "\0\0"s);
  EXPECT_EQ(raw.substr(4), "\x12\x34\0\7abc"s);
  EXPECT_EQ(internet_checksum(raw), 0);
  for (const AF family : {AF::INET, AF::INET6}) {
    const auto back = IcmpEcho::from_bytes(echo.to_bytes(family), family);
    ASSERT_TRUE(back);
    EXPECT_TRUE(back->reply);
    EXPECT_EQ(back->identifier, 0x1234);
    EXPECT_EQ(back->sequence, 7);
    EXPECT_EQ(back->data, "abc");
  }
  EXPECT_EQ(IcmpEcho{}.to_bytes(AF::INET6)[0], '\x80');
}

TEST(Echo, IsNotReadFromOtherMessages) {
  Bytes raw = IcmpEcho{.data = "x"}.to_bytes(AF::INET);
  EXPECT_FALSE(IcmpEcho::from_bytes(raw.substr(0, 7), AF::INET));
  EXPECT_FALSE(IcmpEcho::from_bytes(raw, AF::INET6));
  raw.back() = 'y';  // the checksum is wrong now
  EXPECT_FALSE(IcmpEcho::from_bytes(raw, AF::INET));
  EXPECT_THROW(IcmpEcho::from_bytes(raw, AF::UNIX), ValueError);
  EXPECT_THROW(static_cast<void>(IcmpEcho{}.to_bytes(AF::UNSPEC)), ValueError);
}

TEST(Ipv4Headers, ComeBackFromTheirBytes) {
  const Ipv4Header header{.tos = 16,
                          .length = 28,
                          .identifier = 5,
                          .fragment = 0x4000,
                          .ttl = 3,
                          .protocol = 17,
                          .source = "127.0.0.1",
                          .destination = "127.0.0.2",
                          .options = "\1\1\1\0"s};
  const Bytes raw = header.to_bytes();
  EXPECT_EQ(raw.size(), header.size());
  EXPECT_EQ(internet_checksum(raw), 0);
  const Ipv4Header back = Ipv4Header::from_bytes(raw + "more");
  EXPECT_EQ(back.tos, 16);
  EXPECT_EQ(back.length, 28);
  EXPECT_EQ(back.identifier, 5);
  EXPECT_EQ(back.fragment, 0x4000);
  EXPECT_EQ(back.ttl, 3);
  EXPECT_EQ(back.protocol, 17);
  EXPECT_EQ(back.source, "127.0.0.1");
  EXPECT_EQ(back.destination, "127.0.0.2");
  EXPECT_EQ(back.options, header.options);
}

TEST(Ipv4Headers, ThatCannotBeAreRefusedAndNamed) {
  const auto text = [](const Ipv4Header& header) {
    return text_of_error<ValueError>([&] { static_cast<void>(header.to_bytes()); });
  };
  EXPECT_THAT(text({.source = "localhost"}), HasSubstr("'localhost'"));
  EXPECT_THAT(text({.destination = "1.2.3.256"}), HasSubstr("'1.2.3.256'"));
  EXPECT_THAT(text({.options = "123"}), HasSubstr("not 3"));
  EXPECT_THAT(text({.options = Bytes(44, '\0')}), HasSubstr("not 44"));
  for (const Bytes& raw : {Bytes(), Bytes(20, '\0'), "\x45"s, "\x4f" + Bytes(20, 'x'),
                           "\x44" + Bytes(30, 'x'), "\x65" + Bytes(30, 'x')})
    EXPECT_THROW(Ipv4Header::from_bytes(raw), ValueError);
}

TEST(PacketMemberships, AreTheKernelsLayout) {
  const Bytes raw = packet_membership("lo", PACKET::MR_MULTICAST, "\1\0\x5e\0\0\1"s);
  packet_mreq form;
  ASSERT_EQ(raw.size(), sizeof form);
  std::memcpy(&form, raw.data(), sizeof form);
  EXPECT_EQ(form.mr_ifindex, static_cast<int>(::if_nametoindex("lo")));
  EXPECT_EQ(form.mr_type, PACKET_MR_MULTICAST);
  EXPECT_EQ(form.mr_alen, 6);
  EXPECT_EQ(form.mr_address[2], 0x5e);
  EXPECT_EQ(number_of_error([] { packet_membership("no-such-if", PACKET::MR_PROMISC); }), ENODEV);
  EXPECT_THROW(packet_membership("lo", PACKET::MR_UNICAST, Bytes(9, 'x')), ValueError);
  EXPECT_THROW(packet_membership("l\0o"s, PACKET::MR_PROMISC), ValueError);
}

TEST(ProtocolNames, AreThoseOfTheirNumbers) {
  EXPECT_EQ(link_protocol_name(0x0800), "IPv4");
  EXPECT_EQ(link_protocol_name(0x86dd), "IPv6");
  EXPECT_EQ(link_protocol_name(0x0806), "ARP");
  EXPECT_EQ(link_protocol_name(0x88b5), "0x88b5");
  EXPECT_EQ(link_protocol_name(0), "0x0000");
  EXPECT_EQ(ip_protocol_name(6), "TCP");
  EXPECT_EQ(ip_protocol_name(58), "ICMPv6");
  EXPECT_EQ(ip_protocol_name(253), "253");
}

// --- on the wire ---

/// Opens a raw socket. Skips the test if the process may not.
#define RAW_OR_SKIP(name, ...)                                                        \
  std::error_code name##_error;                                                       \
  Socket name(__VA_ARGS__, name##_error);                                             \
  if (name##_error) GTEST_SKIP() << "raw sockets need CAP_NET_RAW: " << name##_error; \
  name.settimeout(10)

TEST(RawSockets, PingThisHost) {
  RAW_OR_SKIP(sock, AF::INET, SOCK::RAW, IPPROTO::ICMP);
  sock.connect({"127.0.0.1", 0});
  const IcmpEcho ask{.identifier = 4711, .sequence = 1, .data = "are you there?"};
  sock.sendall(ask.to_bytes(AF::INET));
  for (;;) {  // the socket receives the request too
    const Bytes packet = sock.recv(2000);
    const Ipv4Header header = Ipv4Header::from_bytes(packet);
    EXPECT_EQ(header.protocol, 1);
    const auto echo = IcmpEcho::from_bytes(BytesView(packet).subspan(header.size()), AF::INET);
    if (!echo || !echo->reply || echo->identifier != 4711) continue;
    EXPECT_EQ(header.source, "127.0.0.1");
    EXPECT_EQ(echo->data, "are you there?");
    return;
  }
}

TEST(RawSockets, PingThisHostOverIpv6) {
  RAW_OR_SKIP(sock, AF::INET6, SOCK::RAW, IPPROTO::ICMPV6);
  sock.connect({"::1", 0});
  sock.sendall(IcmpEcho{.identifier = 4712, .data = "six"}.to_bytes(AF::INET6));
  for (;;) {
    const auto echo = IcmpEcho::from_bytes(sock.recv(2000), AF::INET6);
    if (!echo || !echo->reply || echo->identifier != 4712) continue;
    EXPECT_EQ(echo->data, "six");
    return;
  }
}

TEST(RawSockets, SendTheHeaderThatTheyAreGiven) {
  RAW_OR_SKIP(sock, AF::INET, SOCK::RAW, IPPROTO::RAW);  // which sets IP_HDRINCL
  EXPECT_EQ(sock.getsockopt(IPPROTO::IP_, IP_::HDRINCL), 1);
  Socket receiver(AF::INET, SOCK::DGRAM);
  receiver.settimeout(10);
  receiver.bind({"127.0.0.1", 0});
  receiver.setsockopt(IPPROTO::IP_, IP_::RECVTTL, 1);
  const int port = receiver.getsockname().port();
  Bytes udp;
  for (const int word : {4711, port, 8 + 2, 0})  // without a checksum
    udp += {static_cast<char>(word >> 8), static_cast<char>(word)};
  udp += "hi";
  const Ipv4Header header{
      .ttl = 33, .protocol = 17, .source = "127.8.8.8", .destination = "127.0.0.1"};
  sock.sendto(header.to_bytes() + udp, {"127.0.0.1", 0});
  const ReceivedMessage received = receiver.recvmsg(100, CMSG::SPACE(4));
  EXPECT_EQ(received.data, "hi");
  EXPECT_EQ(to_string(received.address), "('127.8.8.8', 4711)");
  EXPECT_EQ(received.ancdata[0].ttl(), 33);
}

TEST(PacketSockets, HearTheLoopbackInterfaceAndAreToldOfIt) {
  RAW_OR_SKIP(sock, AF::PACKET, SOCK::DGRAM, hton(ETH::P_IP));
  sock.bind(PacketAddress("lo", ETH::P_IP));
  sock.setsockopt(SOL::PACKET, PACKET::ADD_MEMBERSHIP, packet_membership("lo", PACKET::MR_PROMISC));
  Socket udp(AF::INET, SOCK::DGRAM);
  udp.bind({"127.0.0.1", 0});
  udp.sendto("look", udp.getsockname());
  for (;;) {
    const auto [packet, sender] = sock.recvfrom(2000);
    const Ipv4Header header = Ipv4Header::from_bytes(packet);
    if (header.protocol != 17 || !packet.ends_with("look")) continue;
    EXPECT_EQ(link_protocol_name(PacketAddress(sender).proto), "IPv4");
    return;
  }
}

}  // namespace
}  // namespace plug
