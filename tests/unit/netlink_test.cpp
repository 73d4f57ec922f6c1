#include <plug/family/netlink.hpp>

#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <plug/error.hpp>
#include <plug/family/addresses.hpp>
#include <plug/socket.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <cstring>

#include "support/errors.hpp"

namespace plug {
namespace {

using namespace std::string_literals;

TEST(NetlinkMessages, AreTheKernelsLayout) {
  const NetlinkMessage message{.type = 20,
                               .flags = NLM::F_REQUEST | NLM::F_ACK,
                               .sequence = 7,
                               .pid = 8,
                               .payload = "abcde"};
  const Bytes raw = message.to_bytes();
  nlmsghdr form;
  ASSERT_EQ(raw.size(), sizeof form + 8);
  std::memcpy(&form, raw.data(), sizeof form);
  EXPECT_EQ(form.nlmsg_len, sizeof form + 5);
  EXPECT_EQ(form.nlmsg_type, 20);
  EXPECT_EQ(form.nlmsg_flags, NLM_F_REQUEST | NLM_F_ACK);
  EXPECT_EQ(form.nlmsg_seq, 7u);
  EXPECT_EQ(form.nlmsg_pid, 8u);
  const auto back = netlink_messages(raw + raw);
  ASSERT_EQ(back.size(), 2u);
  EXPECT_EQ(back[1].payload, "abcde");
  EXPECT_EQ(back[1].sequence, 7u);
  EXPECT_TRUE(netlink_messages("").empty());
}

TEST(NetlinkMessages, OfBytesThatAreNoneAreRefused) {
  const Bytes raw = NetlinkMessage{.type = 20, .payload = "abcd"}.to_bytes();
  for (const Bytes& bad :
       {raw.substr(0, 15), raw.substr(0, 18), raw + "x", "\3\0\0\0"s + raw.substr(4)})
    EXPECT_THROW(netlink_messages(bad), ValueError);
  EXPECT_THROW(netlink_attributes("\3\0\1\0"s), ValueError);
  EXPECT_THROW(netlink_attributes("\x9\0\1\0abcd"s), ValueError);
  EXPECT_THROW(netlink_attributes("\4\0\1"s), ValueError);
  EXPECT_THROW(static_cast<void>(NetlinkAttribute{1, Bytes(65532, 'x')}.to_bytes()), ValueError);
  EXPECT_THROW(NetlinkMessage{.type = 20}.error_number(), ValueError);
}

TEST(NetlinkAttributes, ComeBackFromTheirBytes) {
  const Bytes raw = NetlinkAttribute{3, "eth0\0"s}.to_bytes() + NetlinkAttribute{4, ""}.to_bytes();
  EXPECT_EQ(raw.size(), 16u);
  const auto back = netlink_attributes(raw);
  ASSERT_EQ(back.size(), 2u);
  EXPECT_EQ(back[0].type, 3);
  EXPECT_EQ(back[0].payload, "eth0\0"s);
  EXPECT_EQ(back[1].payload, "");
  EXPECT_EQ(netlink_attributes("\4\0\1\x80"s)[0].type, 1);  // NLA_F_NESTED
}

TEST(Rtnetlink, ListsTheInterfacesOfThisHost) {
  Socket sock(AF::NETLINK, SOCK::RAW, NETLINK::ROUTE);
  sock.settimeout(10);
  const NetlinkMessage ask{.type = RTM_GETLINK,
                           .flags = NLM::F_REQUEST | NLM::F_DUMP,
                           .sequence = 5,
                           .payload = Bytes(sizeof(ifinfomsg), '\0')};
  sock.sendto(ask.to_bytes(), NetlinkAddress(0, 0));
  bool loopback = false;
  for (bool done = false; !done;) {
    for (const NetlinkMessage& message : netlink_messages(sock.recv(1 << 20))) {
      EXPECT_EQ(message.sequence, 5u);
      done = done || message.is(NLMSG::DONE);
      if (message.type != RTM_NEWLINK) continue;
      for (const auto& item :
           netlink_attributes(BytesView(message.payload).subspan(sizeof(ifinfomsg))))
        loopback = loopback || (item.type == IFLA_IFNAME && item.payload == "lo\0"s);
    }
  }
  EXPECT_TRUE(loopback);
}

TEST(Rtnetlink, SaysWhatIsWrong) {
  Socket sock(AF::NETLINK, SOCK::RAW, NETLINK::ROUTE);
  sock.settimeout(10);
  NetlinkMessage ask{.type = RTM_GETLINK,
                     .flags = NLM::F_REQUEST | NLM::F_ACK,
                     .payload = Bytes(sizeof(ifinfomsg), '\0')};
  ask.payload += NetlinkAttribute{IFLA_IFNAME, "no-such-if\0"s}.to_bytes();
  sock.sendto(ask.to_bytes(), NetlinkAddress(0, 0));
  const auto answer = netlink_messages(sock.recv(65536));
  ASSERT_EQ(answer.size(), 1u);
  EXPECT_EQ(answer[0].error_number(), ENODEV);
}

}  // namespace
}  // namespace plug
