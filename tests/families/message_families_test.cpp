// Tests RDS, TIPC, VSOCK and QIPCRTR with both ends on this machine, and with Python's own sockets.

#include <unistd.h>
#include <plug/family/addresses.hpp>
#include <plug/family/tipc.hpp>
#include <plug/socket.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <functional>
#include <system_error>
#include <tuple>

#include "support/blocked_thread.hpp"
#include "support/errors.hpp"
#include "support/family.hpp"
#include "support/process.hpp"

namespace plug {
namespace {

/// Runs a script with Python's own sockets. Returns its output.
std::string python(const std::string& script) {
  int status = -1;
  const std::string said =
      run_program({"/usr/bin/python3", "-c", "import socket as s\n" + script}, status);
  EXPECT_EQ(status, 0);
  return said;
}

/// Closes a socket while another thread waits in `call` with a timeout. Returns the error of
/// `call`.
std::error_code closed_meanwhile(Socket& sock,
                                 const std::function<void(Socket&, std::error_code&)>& call) {
  sock.settimeout(60);
  std::error_code error;
  BlockedThread thread([&] { call(sock, error); });
  EXPECT_TRUE(thread.wait_until_blocked());
  sock.close();
  thread.join();
  return error;
}

// --- RDS ---

class Rds : public FamilyTest {
 protected:
  Rds() : FamilyTest(AF::RDS, SOCK::SEQPACKET) {}
  void prepare() override { bound(); }

  Socket bound() const {
    Socket sock = make();
    sock.bind({"127.0.0.1", 0});
    return sock;
  }
};

TEST_F(Rds, MessagesArriveWholeAndInOrder) {
  Socket one = bound();
  Socket other = bound();
  const auto [data, sender] = meanwhile([&] { one.sendto("first", other.getsockname()); },
                                        [&] { return other.recvfrom(100); });
  EXPECT_EQ(data, "first");
  EXPECT_EQ(sender, one.getsockname());
  const Bytes large(100'000, 'x');
  one.sendto(large, other.getsockname());
  one.sendto("last", other.getsockname());
  EXPECT_EQ(other.recv(200'000, MSG::PEEK), large);
  EXPECT_EQ(other.recv(200'000), large);
  EXPECT_EQ(other.recv(100), "last");
}

TEST_F(Rds, MessagesOfPythonArrive) {
  Socket sock = bound();
  // Python keeps the sender open until the answer: RDS drops data that a closed socket has not
  // delivered.
  const std::string script =
      "a = s.socket(s.AF_RDS, s.SOCK_SEQPACKET); a.settimeout(10); a.bind(('127.0.0.1', 0))\n"
      "a.sendto(b'of Python', " +
      to_string(sock.getsockname()) +
      ")\n"
      "print(a.recv(100).decode(), end='')";
  std::string said;
  {
    const std::jthread peer([&] { said = python(script); });
    const auto [data, sender] = sock.recvfrom(100);
    EXPECT_EQ(data, "of Python");
    sock.sendto("answer", sender);
  }
  EXPECT_EQ(said, "answer");
}

TEST_F(Rds, SilenceEndsWithTheTimeout) {
  Socket sock = bound();
  sock.settimeout(0.05);
  EXPECT_THROW(sock.recv(10), TimeoutError);
  EXPECT_EQ(number_of_error([&] { make().sendto("x", sock.getsockname()); }), ENOTCONN);
}

TEST_F(Rds, ClosingEndsACallThatHasATimeout) {
  Socket sock = bound();
  const auto error = closed_meanwhile(
      sock, [](Socket& waiting, std::error_code& result) { waiting.recv(10, result); });
  EXPECT_EQ(error.value(), EBADF);
}

// --- TIPC ---

class Tipc : public FamilyTest {
 protected:
  Tipc() : FamilyTest(AF::TIPC, SOCK::RDM) {}

  static TipcAddress service(std::uint32_t instance) {
    return {TIPC::ADDR_NAME, kType, instance, 0, TIPC::NODE_SCOPE};
  }
  static TipcAddress range(std::uint32_t lower, std::uint32_t upper) {
    return {TIPC::ADDR_NAMESEQ, kType, lower, upper, TIPC::NODE_SCOPE};
  }

  static constexpr std::uint32_t kType = 47110;
};

TEST_F(Tipc, MessagesFindTheirServiceByName) {
  Socket server = make();
  server.bind(range(10, 19));
  Socket client = make();
  const auto [data, sender] =
      meanwhile([&] { client.sendto("hello", service(13)); }, [&] { return server.recvfrom(100); });
  EXPECT_EQ(data, "hello");
  EXPECT_EQ(TipcAddress(sender).addr_type, static_cast<int>(TIPC::ADDR_ID));
  server.sendto("back", sender);
  EXPECT_EQ(client.recv(100), "back");
  Socket(AF::TIPC, SOCK::DGRAM).sendto("datagram", service(19));
  EXPECT_EQ(server.recv(100), "datagram");
}

TEST_F(Tipc, StreamsAndSequencedPacketsConnect) {
  for (const SOCK type : {SOCK::STREAM, SOCK::SEQPACKET}) {
    Socket server = make(type);
    server.bind(range(20, 20));
    server.listen();
    Socket client = make(type);
    auto [conn, peer] =
        meanwhile([&] { client.connect(service(20)); }, [&] { return server.accept(); });
    conn.settimeout(10);
    client.sendall("up");
    EXPECT_EQ(conn.recv(100), "up");
    conn.sendall("down");
    EXPECT_EQ(client.recv(100), "down");
    client.shutdown(SHUT::RDWR);  // close() alone would reset the connection
    EXPECT_EQ(conn.recv(100), "");
  }
}

TEST_F(Tipc, ComingsAndGoingsOfServicesAreTold) {
  Socket top = make(SOCK::SEQPACKET);
  top.connect(TipcAddress(TIPC::ADDR_NAME, static_cast<std::uint32_t>(TIPC::TOP_SRV),
                          static_cast<std::uint32_t>(TIPC::TOP_SRV), 0));
  top.sendall(
      TipcSubscription{.type = kType, .lower = 30, .upper = 39, .handle = {'h'}}.to_bytes());
  const auto told = [&] { return TipcEvent::from_bytes(top.recv(kTipcEventSize)); };
  Socket server = make();
  server.bind(range(33, 34));
  TipcEvent event = told();
  EXPECT_EQ(event.event, TIPC::PUBLISHED);
  EXPECT_EQ(event.lower, 33u);
  EXPECT_EQ(event.upper, 34u);
  EXPECT_EQ(event.subscription.handle[0], 'h');
  server.close();
  event = told();
  EXPECT_EQ(event.event, TIPC::WITHDRAWN);
}

TEST_F(Tipc, MembersOfAGroupHearEachOther) {
  Socket one = make();
  Socket other = make();
  one.setsockopt(
      SOL::TIPC, TIPC::GROUP_JOIN,
      TipcGroup{kType + 1, 1, TIPC::NODE_SCOPE, static_cast<std::uint32_t>(TIPC::GROUP_MEMBER_EVTS)}
          .to_bytes());
  other.setsockopt(SOL::TIPC, TIPC::GROUP_JOIN,
                   TipcGroup{kType + 1, 2, TIPC::NODE_SCOPE}.to_bytes());
  EXPECT_EQ(one.recv(100), "");  // a member has joined
  one.sendall("to all");
  EXPECT_EQ(other.recv(100), "to all");
  other.setsockopt(SOL::TIPC, TIPC::GROUP_LEAVE, std::nullopt, 0);
}

TEST_F(Tipc, MessagesOfPythonArrive) {
  Socket server = make();
  server.bind(range(40, 40));
  python("s.socket(s.AF_TIPC, s.SOCK_RDM).sendto(b'of Python', (s.TIPC_ADDR_NAME, 47110, 40, 0))");
  EXPECT_EQ(server.recv(100), "of Python");
}

// --- VSOCK ---

class Vsock : public FamilyTest {
 protected:
  Vsock() : FamilyTest(AF::VSOCK, SOCK::STREAM) {}
  /// Fails unless this machine can connect to itself; otherwise the connection would leave it.
  void prepare() override {
    if (::access("/sys/module/vsock_loopback", F_OK) != 0)
      throw OSError({ENODEV, std::system_category()}, "module vsock_loopback");
  }

  Socket listening(SOCK type) const {
    Socket sock = make(type);
    sock.bind(VsockAddress(VMADDR::CID_ANY, VMADDR::PORT_ANY));
    sock.listen();
    return sock;
  }
  static VsockAddress local(const Socket& listener) {
    return {VMADDR::CID_LOCAL, VsockAddress(listener.getsockname()).port};
  }
};

TEST_F(Vsock, StreamsAndSequencedPacketsConnect) {
  for (const SOCK type : {SOCK::STREAM, SOCK::SEQPACKET}) {
    Socket server = listening(type);
    Socket client = make(type);
    auto [conn, peer] =
        meanwhile([&] { client.connect(local(server)); }, [&] { return server.accept(); });
    conn.settimeout(10);
    EXPECT_EQ(VsockAddress(peer).cid, static_cast<std::uint32_t>(VMADDR::CID_LOCAL));
    EXPECT_EQ(VsockAddress(peer).port, VsockAddress(client.getsockname()).port);
    client.sendall("up");
    EXPECT_EQ(conn.recv(100), "up");
    conn.sendall("down");
    EXPECT_EQ(client.recv(100), "down");
    client.close();
    EXPECT_EQ(conn.recv(100), "");
  }
}

TEST_F(Vsock, LargeDataArrivesWhole) {
  Socket server = listening(SOCK::STREAM);
  Socket client = make();
  client.connect(local(server));
  auto [conn, peer] = server.accept();
  conn.settimeout(10);
  const Bytes data(1'000'000, 'v');
  const std::jthread sender([&] { client.sendall(data), client.shutdown(SHUT::WR); });
  Bytes all;
  for (Bytes piece = conn.recv(65536); !piece.empty(); piece = conn.recv(65536)) all += piece;
  EXPECT_EQ(all, data);
}

TEST_F(Vsock, AConnectionOfPythonIsAccepted) {
  Socket server = listening(SOCK::STREAM);
  std::string said;
  {
    const std::jthread peer([&] {
      said = python(
          "c = s.socket(s.AF_VSOCK, s.SOCK_STREAM)\n"
          "c.settimeout(10); c.connect((1, " +
          std::to_string(VsockAddress(server.getsockname()).port) +
          ")); c.sendall(b'of Python'); print(c.recv(100).decode(), end='')");
    });
    auto [conn, address] = server.accept();
    conn.settimeout(10);
    EXPECT_EQ(conn.recv(100), "of Python");
    conn.sendall("answer");
  }
  EXPECT_EQ(said, "answer");
}

TEST_F(Vsock, ClosingEndsACallThatHasATimeout) {
  Socket server = listening(SOCK::STREAM);
  const auto error = closed_meanwhile(server, [](Socket& waiting, std::error_code& result) {
    std::ignore = waiting.accept(result);
  });
  EXPECT_EQ(error.value(), EBADF);
}

TEST_F(Vsock, NobodyListeningIsAReset) {
  Socket listener = listening(SOCK::STREAM);
  const VsockAddress gone = local(listener);
  listener.close();
  EXPECT_THROW(make().connect(gone), ConnectionResetError);
}

// --- QIPCRTR ---

class Qrtr : public FamilyTest {
 protected:
  Qrtr() : FamilyTest(AF::QIPCRTR, SOCK::DGRAM) {}
};

TEST_F(Qrtr, MessagesGoFromPortToPort) {
  Socket one = make();
  Socket other = make();
  const std::uint32_t node = QrtrAddress(one.getsockname()).node;
  one.bind(QrtrAddress(node, 20001));
  other.bind(QrtrAddress(node, 20002));
  const auto [data, sender] = meanwhile([&] { one.sendto("hello", other.getsockname()); },
                                        [&] { return other.recvfrom(100); });
  EXPECT_EQ(data, "hello");
  EXPECT_EQ(QrtrAddress(sender).port, 20001u);
  other.settimeout(0.05);
  EXPECT_THROW(other.recv(10), TimeoutError);
}

}  // namespace
}  // namespace plug
