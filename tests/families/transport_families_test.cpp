// Tests SCTP, UDP-Lite, Multipath TCP, and ICMP echoes without the right to raw sockets.

#include <plug/family/packets.hpp>
#include <plug/family/sctp.hpp>
#include <plug/socket.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <fstream>

#include "support/errors.hpp"
#include "support/family.hpp"
#include "support/process.hpp"

namespace plug {
namespace {

// --- SCTP ---

class Sctp : public FamilyTest {
 protected:
  Sctp() : FamilyTest(AF::INET, SOCK::STREAM, IPPROTO::SCTP) {}

  Socket listening(SOCK type) const {
    Socket sock = make(type);
    sock.bind({"127.0.0.1", 0});
    sock.listen();
    return sock;
  }
};

TEST_F(Sctp, OneToOneIsAConnectionOfWholeMessages) {
  Socket server = listening(SOCK::STREAM);
  Socket client = make();
  client.setsockopt(IPPROTO::SCTP, SCTP::INITMSG, SctpInit{.out_streams = 4}.to_bytes());
  auto [conn, peer] =
      meanwhile([&] { client.connect(server.getsockname()); }, [&] { return server.accept(); });
  conn.settimeout(10);
  EXPECT_EQ(peer, client.getsockname());
  client.setsockopt(IPPROTO::SCTP, SCTP::NODELAY, 1);
  client.sendall("one");
  client.sendall("two");
  EXPECT_EQ(conn.recv(100), "one");
  const ReceivedMessage message = conn.recvmsg(100);
  EXPECT_EQ(message.data, "two");
  EXPECT_TRUE(message.flags & MSG::EOR_);
  client.close();
  EXPECT_EQ(conn.recv(100), "");
}

TEST_F(Sctp, OneToManyTellsStreamsAndAssociations) {
  Socket server = listening(SOCK::SEQPACKET);
  server.setsockopt(IPPROTO::SCTP, SCTP::RECVRCVINFO, 1);
  server.setsockopt(IPPROTO::SCTP, SCTP::EVENT, SctpEvent{SCTP::ASSOC_CHANGE}.to_bytes());
  Socket client = make(SOCK::SEQPACKET);
  client.sendmsg({"hello"}, {SctpSendInfo{.stream = 3, .ppid = 99}.control()},
                 server.getsockname());

  ReceivedMessage message = server.recvmsg(1000, CMSG::SPACE(64));
  ASSERT_EQ(message.flags & MSG::NOTIFICATION, MSG::NOTIFICATION);
  const auto change = SctpAssociationChange::from_bytes(message.data);
  EXPECT_EQ(change.state, SCTP::COMM_UP);

  message = server.recvmsg(1000, CMSG::SPACE(64));
  EXPECT_EQ(message.data, "hello");
  const auto info = SctpReceiveInfo::of(message.ancdata);
  ASSERT_TRUE(info);
  EXPECT_EQ(info->stream, 3);
  EXPECT_EQ(info->ppid, 99u);
  EXPECT_EQ(info->association, change.association);

  // The answer names the association instead of the address.
  server.sendmsg({"back"}, {SctpSendInfo{.association = info->association}.control()});
  EXPECT_EQ(client.recv(100), "back");

  Socket own = sctp_peel_off(server, info->association);
  own.settimeout(10);
  EXPECT_FALSE(own.get_inheritable());
  EXPECT_EQ(own.type(), SOCK::STREAM);
  client.sendto("peeled", server.getsockname());
  EXPECT_EQ(own.recv(100), "peeled");
  EXPECT_EQ(number_of_error([&] { sctp_peel_off(server, info->association); }), EINVAL);
}

TEST_F(Sctp, MessagesOfLksctpToolsArrive) {
  Socket server = listening(SOCK::SEQPACKET);
  // The exit status is ignored: sctp_darn fails at the end of its input.
  const std::jthread peer([port = server.getsockname().port()] {
    int status = -1;
    run_program({"sh", "-c",
                 "printf 'of a tool\\n' | sctp_darn -H 127.0.0.1 -P 0 -h 127.0.0.1 -p " +
                     std::to_string(port) + " -s 2>&1"},
                status);
  });
  EXPECT_THAT(server.recv(1000), testing::StartsWith("of a tool"));
}

TEST_F(Sctp, NobodyListeningIsARefusal) {
  Socket listener = listening(SOCK::STREAM);
  const Address gone = listener.getsockname();
  listener.close();
  EXPECT_THROW(make().connect(gone), ConnectionRefusedError);
}

// --- UDP-Lite ---

class UdpLite : public FamilyTest {
 protected:
  UdpLite() : FamilyTest(AF::INET, SOCK::DGRAM, IPPROTO::UDPLITE) {}
};

TEST_F(UdpLite, DatagramsMayBeProtectedInPart) {
  Socket one = make();
  Socket other = make();
  other.bind({"127.0.0.1", 0});
  one.setsockopt(IPPROTO::UDPLITE, UDPLITE::SEND_CSCOV, 12);
  other.setsockopt(IPPROTO::UDPLITE, UDPLITE::RECV_CSCOV, 12);
  EXPECT_EQ(one.getsockopt(IPPROTO::UDPLITE, UDPLITE::SEND_CSCOV), 12);
  EXPECT_EQ(meanwhile([&] { one.sendto("in part", other.getsockname()); },
                      [&] { return other.recv(100); }),
            "in part");
  // The receiver drops a datagram of which fewer bytes are protected than it requires.
  one.setsockopt(IPPROTO::UDPLITE, UDPLITE::SEND_CSCOV, 8);
  one.sendto("too little", other.getsockname());
  one.setsockopt(IPPROTO::UDPLITE, UDPLITE::SEND_CSCOV, 0);
  one.sendto("wholly", other.getsockname());
  EXPECT_EQ(other.recv(100), "wholly");
}

// --- Multipath TCP ---

class Mptcp : public FamilyTest {
 protected:
  Mptcp() : FamilyTest(AF::INET, SOCK::STREAM, IPPROTO::MPTCP) {}
  /// Fails unless connections here use Multipath TCP and not plain TCP.
  void prepare() override { connected(); }

  std::pair<Socket, Socket> connected() const {
    Socket server = make();
    server.bind({"127.0.0.1", 0});
    server.listen();
    Socket client = make();
    client.connect(server.getsockname());
    client.getsockopt(SOL::MPTCP, MPTCP::INFO, 64);
    Socket conn = server.accept().first;
    conn.settimeout(10);
    return {std::move(client), std::move(conn)};
  }
};

TEST_F(Mptcp, ConnectionsAreMultipathAtBothEnds) {
  auto [client, conn] = connected();
  EXPECT_EQ(client.proto(), static_cast<int>(IPPROTO::MPTCP));
  EXPECT_GE(conn.getsockopt(SOL::MPTCP, MPTCP::INFO, 64).size(), 4u);
  EXPECT_EQ(meanwhile([&c = client] { c.sendall("up"); }, [&c = conn] { return c.recv(100); }),
            "up");
  conn.sendall("down");
  EXPECT_EQ(client.recv(100), "down");
  client.close();
  EXPECT_EQ(conn.recv(100), "");
}

// --- ICMP without rights ---

class PingSockets : public FamilyTest {
 protected:
  PingSockets() : FamilyTest(AF::INET, SOCK::DGRAM, IPPROTO::ICMP) {}
};

TEST_F(PingSockets, EchoWithoutAHeader) {
  Socket sock = make();
  sock.sendto(IcmpEcho{.sequence = 7, .data = "ping"}.to_bytes(AF::INET), {"127.0.0.1", 0});
  const auto [raw, sender] = sock.recvfrom(2000);
  EXPECT_EQ(sender.host(), "127.0.0.1");
  const auto echo = IcmpEcho::from_bytes(raw, AF::INET);
  ASSERT_TRUE(echo);
  EXPECT_TRUE(echo->reply);
  EXPECT_EQ(echo->sequence, 7);
  EXPECT_EQ(echo->data, "ping");
  EXPECT_EQ(echo->identifier, sock.getsockname().port());
}

}  // namespace
}  // namespace plug
