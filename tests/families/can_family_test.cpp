// Tests CAN on the bus vcan0, together with can-utils.

#include <plug/family/addresses.hpp>
#include <plug/family/can.hpp>
#include <plug/socket.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>

#include "support/errors.hpp"
#include "support/family.hpp"
#include "support/process.hpp"

namespace plug {
namespace {

using namespace std::chrono_literals;

constexpr const char* kBus = "vcan0";

class OnTheBus : public FamilyTest {
 protected:
  using FamilyTest::FamilyTest;
  void prepare() override { static_cast<void>(Address(CanAddress(kBus))); }
};

/// Runs a program of can-utils. Fails the test if the program fails.
void run_tool(const std::string& command) {
  int status = -1;
  const std::string said = run_program({"sh", "-c", command + " 2>&1"}, status);
  EXPECT_EQ(status, 0) << command << ": " << said;
}

// --- CAN_RAW ---

class CanRaw : public OnTheBus {
 protected:
  CanRaw() : OnTheBus(AF::CAN, SOCK::RAW, CAN::RAW) {}

  Socket bound() const {
    Socket sock = make();
    sock.bind(CanAddress(kBus));
    return sock;
  }

  static CanFrame receive(Socket& sock) {
    return CanFrame::from_bytes(sock.recv(kLargestCanFrame));
  }
};

TEST_F(CanRaw, FramesReachTheOthersOnTheBus) {
  Socket one = bound();
  Socket other = bound();
  const CanFrame frame{.id = 0x123, .data = "\xde\xad"};
  const auto [raw, sender] = meanwhile([&] { one.sendall(frame.to_bytes()); },
                                       [&] { return other.recvfrom(kLargestCanFrame); });
  EXPECT_EQ(CanFrame::from_bytes(raw), frame);
  EXPECT_EQ(CanAddress(sender).interface, kBus);
  EXPECT_EQ(to_string(one.getsockname()), "('vcan0',)");
}

TEST_F(CanRaw, FramesOfACanUtilsSenderArrive) {
  Socket sock = bound();
  run_tool("cansend vcan0 5A1#11.22.33");
  EXPECT_EQ(to_string(receive(sock)), "5A1#112233");
  run_tool("cansend vcan0 1F334455#R4");
  EXPECT_EQ(to_string(receive(sock)), "1F334455#R4");
}

TEST_F(CanRaw, FiltersTakeTheFramesThatTheyName) {
  Socket one = bound();
  Socket other = bound();
  other.setsockopt(SOL::CAN_RAW_, CAN::RAW_FILTER, can_filters({{0x200, 0x700}}));
  for (const std::uint32_t id : {0x123u, 0x2ffu, 0x345u, 0x200u})
    one.sendall(CanFrame{.id = id}.to_bytes());
  EXPECT_EQ(receive(other).id, 0x2ffu);
  EXPECT_EQ(receive(other).id, 0x200u);
  other.setsockopt(SOL::CAN_RAW_, CAN::RAW_FILTER, can_filters({}));
  other.settimeout(0);
  one.sendall(CanFrame{.id = 0x200}.to_bytes());
  EXPECT_THROW(other.recv(kLargestCanFrame), BlockingIOError);
}

TEST_F(CanRaw, FdFramesTravelOnceTheyAreAllowed) {
  Socket one = bound();
  Socket other = bound();
  const CanFrame frame{.id = 0x7f, .data = Bytes(64, 'x'), .fd = true};
  EXPECT_EQ(number_of_error([&] { one.sendall(frame.to_bytes()); }), EINVAL);
  one.setsockopt(SOL::CAN_RAW_, CAN::RAW_FD_FRAMES, 1);
  other.setsockopt(SOL::CAN_RAW_, CAN::RAW_FD_FRAMES, 1);
  one.sendall(frame.to_bytes());
  EXPECT_EQ(receive(other).data, frame.data);
  run_tool("cansend vcan0 123##1112233");
  // Newer kernels add FDF to the flags.
  EXPECT_THAT(to_string(receive(other)), testing::AnyOf("123##1112233", "123##5112233"));
}

TEST_F(CanRaw, OwnFramesComeBackWhereTheyAreAskedFor) {
  Socket sock = bound();
  sock.setsockopt(SOL::CAN_RAW_, CAN::RAW_RECV_OWN_MSGS, 1);
  sock.sendall(CanFrame{.id = 1}.to_bytes());
  EXPECT_EQ(receive(sock).id, 1u);
}

TEST_F(CanRaw, EveryBusIsHeardByTheEmptyName) {
  Socket all = make();
  all.bind(CanAddress());
  Socket one = bound();
  one.sendall(CanFrame{.id = 0x55}.to_bytes());
  EXPECT_EQ(CanAddress(all.recvfrom(kLargestCanFrame).second).interface, kBus);
}

TEST_F(CanRaw, SilenceEndsWithTheTimeout) {
  Socket sock = bound();
  sock.settimeout(0.05);
  EXPECT_THROW(sock.recv(kLargestCanFrame), TimeoutError);
}

// --- CAN_BCM ---

class CanBcm : public OnTheBus {
 protected:
  CanBcm() : OnTheBus(AF::CAN, SOCK::DGRAM, CAN::BCM) {}
};

TEST_F(CanBcm, FramesAreSentInIntervals) {
  Socket listener(AF::CAN, SOCK::RAW, CAN::RAW);
  listener.settimeout(10);
  listener.bind(CanAddress(kBus));
  Socket manager = make();
  manager.connect(CanAddress(kBus));
  manager.sendall(
      BcmMessage{.opcode = CAN::BCM_TX_SETUP,
                 .flags = static_cast<std::uint32_t>(CAN::BCM_SETTIMER) | CAN::BCM_STARTTIMER,
                 .interval2 = 20ms,
                 .can_id = 0x42,
                 .frames = {{.id = 0x42, .data = "tick"}}}
          .to_bytes());
  for (int i = 0; i < 3; ++i)
    EXPECT_EQ(CanFrame::from_bytes(listener.recv(kLargestCanFrame)).data, "tick");
  manager.sendall(BcmMessage{.opcode = CAN::BCM_TX_DELETE, .can_id = 0x42}.to_bytes());
}

TEST_F(CanBcm, ChangesOfContentAreTold) {
  Socket sender(AF::CAN, SOCK::RAW, CAN::RAW);
  sender.bind(CanAddress(kBus));
  Socket manager = make();
  manager.connect(CanAddress(kBus));
  manager.sendall(BcmMessage{
      .opcode = CAN::BCM_RX_SETUP, .can_id = 0x43, .frames = {{.id = 0x43, .data = "\xff"}}}
                      .to_bytes());
  const auto told = [&] { return BcmMessage::from_bytes(manager.recv(256)); };
  for (const std::string data : {"a", "a", "b"})
    sender.sendall(CanFrame{.id = 0x43, .data = data}.to_bytes());
  BcmMessage message = told();
  EXPECT_EQ(message.opcode, CAN::BCM_RX_CHANGED);
  EXPECT_EQ(message.frames.at(0).data, "a");
  message = told();
  EXPECT_EQ(message.frames.at(0).data, "b");
}

// --- CAN_ISOTP ---

class CanIsotp : public OnTheBus {
 protected:
  CanIsotp() : OnTheBus(AF::CAN, SOCK::DGRAM, CAN::ISOTP) {}
};

TEST_F(CanIsotp, MessagesOfManyFramesArriveWhole) {
  Socket one = make();
  Socket other = make();
  one.bind(IsotpAddress(kBus, 0x321, 0x123));
  other.bind(IsotpAddress(kBus, 0x123, 0x321));
  EXPECT_EQ(IsotpAddress(one.getsockname()).tx_id, 0x123u);
  const Bytes message(1000, 'm');
  EXPECT_EQ(meanwhile([&] { one.sendall(message); }, [&] { return other.recv(4096); }), message);
}

TEST_F(CanIsotp, MessagesGoToAndComeFromCanUtils) {
  Socket sock = make();
  sock.bind(IsotpAddress(kBus, 0x123, 0x321));
  run_tool("echo 11 22 33 44 55 66 77 88 99 AA | isotpsend -s 123 -d 321 vcan0");
  EXPECT_EQ(sock.recv(4096), "\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa");
}

TEST_F(CanIsotp, OptionsAreThoseThatWereSet) {
  Socket sock = make();
  sock.setsockopt(SOL::CAN_ISOTP_, CAN::ISOTP_OPTS,
                  IsotpOptions{.flags = static_cast<std::uint32_t>(CAN::ISOTP_TX_PADDING),
                               .txpad_content = 0xaa}
                      .to_bytes());
  sock.setsockopt(SOL::CAN_ISOTP_, CAN::ISOTP_RECV_FC, IsotpFlowControl{4, 1, 2}.to_bytes());
  sock.setsockopt(SOL::CAN_ISOTP_, CAN::ISOTP_LL_OPTS, IsotpLinkLayer{72, 64, 0}.to_bytes());
  const auto options =
      IsotpOptions::from_bytes(sock.getsockopt(SOL::CAN_ISOTP_, CAN::ISOTP_OPTS, 12));
  EXPECT_EQ(options.txpad_content, 0xaa);
  const auto flow =
      IsotpFlowControl::from_bytes(sock.getsockopt(SOL::CAN_ISOTP_, CAN::ISOTP_RECV_FC, 3));
  EXPECT_EQ(flow.block_size, 4);
  const auto link =
      IsotpLinkLayer::from_bytes(sock.getsockopt(SOL::CAN_ISOTP_, CAN::ISOTP_LL_OPTS, 3));
  EXPECT_EQ(link.tx_dl, 64);
}

// --- CAN_J1939 ---

class CanJ1939 : public OnTheBus {
 protected:
  CanJ1939() : OnTheBus(AF::CAN, SOCK::DGRAM, CAN::J1939) {}
};

TEST_F(CanJ1939, MessagesGoFromAddressToAddress) {
  constexpr std::uint32_t kGroup = 0x12300;
  Socket one = make();
  Socket other = make();
  one.bind(J1939Address(kBus, J1939::NO_NAME, J1939::NO_PGN, 0x20));
  other.bind(J1939Address(kBus, J1939::NO_NAME, J1939::NO_PGN, 0x30));
  const J1939Address target(kBus, J1939::NO_NAME, kGroup, 0x30);
  const auto [data, sender] =
      meanwhile([&] { one.sendto("short", target); }, [&] { return other.recvfrom(4096); });
  EXPECT_EQ(data, "short");
  EXPECT_EQ(to_string(sender), "('vcan0', 0, 74496, 32)");
  const Bytes message(100, 'j');  // in several frames, with handshakes
  EXPECT_EQ(meanwhile([&] { one.sendto(message, target); }, [&] { return other.recv(4096); }),
            message);
}

TEST_F(CanJ1939, FiltersTakeTheGroupsThatTheyName) {
  Socket one = make();
  Socket other = make();
  one.setsockopt(SOL::SOCKET, SO::BROADCAST, 1);
  other.setsockopt(SOL::SOCKET, SO::BROADCAST, 1);
  one.bind(J1939Address(kBus, J1939::NO_NAME, J1939::NO_PGN, 0x21));
  other.setsockopt(SOL::CAN_J1939_, SO::J1939_FILTER,
                   j1939_filters({{.pgn = 0xfeca, .pgn_mask = 0x3ffff}}));
  other.bind(J1939Address(kBus, J1939::NO_NAME, J1939::NO_PGN, 0x31));
  one.sendto("other", J1939Address(kBus, J1939::NO_NAME, 0xfecb, J1939::NO_ADDR));
  one.sendto("wanted", J1939Address(kBus, J1939::NO_NAME, 0xfeca, J1939::NO_ADDR));
  EXPECT_EQ(other.recv(100), "wanted");
}

}  // namespace
}  // namespace plug
