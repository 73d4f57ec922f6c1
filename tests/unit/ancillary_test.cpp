// Tests sendmsg(), recvmsg(), and the ancillary data that they transfer.

#include <plug/ancillary.hpp>
#include <plug/family/addresses.hpp>
#include <plug/family/constants.hpp>
#include <plug/socket.hpp>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <memory>
#include <new>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <tuple>
#include <vector>

#include "socket/state.hpp"
#include "support/allocations.hpp"
#include "support/process.hpp"
#include "support/sockets.hpp"
#include "sys/control.hpp"
#include "wait/io_driver.hpp"

using namespace std::string_literals;

namespace plug {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
namespace sys = detail::sys;

/// Returns an open file that differs from all others.
OwnedFd some_file() {
  char path[] = "/tmp/plug-ancillary-XXXXXX";
  OwnedFd file(::mkstemp(path));
  ::unlink(path);
  return file;
}

bool same_file(int a, int b) {
  struct stat first {};
  struct stat second {};
  return ::fstat(a, &first) == 0 && ::fstat(b, &second) == 0 && first.st_ino == second.st_ino;
}

bool is_open(int fd) { return ::fcntl(fd, F_GETFD) != -1; }
bool closes_on_exec(int fd) { return (::fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0; }

std::pair<Socket, Socket> datagram_pair(const std::string& host) {
  const AF family = host == "::1" ? AF::INET6 : AF::INET;
  Socket receiver(family, SOCK::DGRAM);
  receiver.bind({host, 0});
  receiver.settimeout(20);
  Socket sender(family, SOCK::DGRAM);
  sender.connect(receiver.getsockname());
  return {std::move(sender), std::move(receiver)};
}

// --- sizes ---

static_assert(CMSG::LEN(0) == 16 && CMSG::LEN(4) == 20);
static_assert(CMSG::SPACE(0) == 16 && CMSG::SPACE(1) == 24 && CMSG::SPACE(8) == 24);

TEST(ControlSizes, OutOfRangeAreOverflowErrorsThatNameThem) {
  constexpr std::int64_t kInt = 0x7fffffff;
  EXPECT_EQ(CMSG::LEN(kInt - 16), std::size_t{kInt});
  for (const std::int64_t length : {std::int64_t{-1}, kInt - 15, std::int64_t{INT64_MAX}}) {
    EXPECT_THROW(CMSG::LEN(length), OverflowError);
    EXPECT_THROW(CMSG::SPACE(length), OverflowError);
  }
  try {
    CMSG::SPACE(-7);
    ADD_FAILURE();
  } catch (const OverflowError& error) {
    EXPECT_STREQ(error.what(), "CMSG_SPACE() argument out of range: -7");
  }
}

TEST(ControlSizes, OfAllItemsTogetherStayBelowWhatTheKernelCounts) {
  std::size_t total = 0;
  EXPECT_TRUE(sys::add_control_space(total, 4));
  EXPECT_EQ(total, 24u);
  EXPECT_TRUE(sys::add_control_space(total, 0x7fffffff - 24 - 16 - 7));
  EXPECT_FALSE(sys::add_control_space(total, 0));
  total = 0;
  EXPECT_FALSE(sys::add_control_space(total, 0x7fffffff));
  EXPECT_FALSE(sys::add_control_space(total, SIZE_MAX));
}

// --- several buffers ---

TEST(Sendmsg, SendsEveryFormOfSeveralBuffersInOrder) {
  auto [sock, peer] = socketpair(AF::UNIX, SOCK::SEQPACKET);
  const BytesView view = "two ";
  const std::string bytes = "three";
  EXPECT_EQ(sock.sendmsg({"one ", view, bytes}), 13u);
  EXPECT_EQ(peer.recv(100), "one two three");
  const std::vector<std::string> strings = {"a", "bc", ""};
  EXPECT_EQ(sock.sendmsg(strings), 3u);
  EXPECT_EQ(peer.recv(100), "abc");
  const BytesView views[] = {"d", "ef"};
  EXPECT_EQ(sock.sendmsg(std::span(views)), 3u);
  EXPECT_EQ(peer.recv(100), "def");
  EXPECT_EQ(sock.sendmsg({bytes}), 5u);
  EXPECT_EQ(peer.recv(100), "three");
  EXPECT_EQ(sock.sendmsg({"a\0b"}), 3u);
  EXPECT_EQ(peer.recv(100), "a\0b"s);
  EXPECT_EQ(sock.sendmsg(std::vector<std::string>(1000, "xy")), 2000u);
  EXPECT_EQ(peer.recv(3000).size(), 2000u);
}

TEST(Sendmsg, OfNothingSendsAnEmptyDatagram) {
  auto [sock, peer] = socketpair(AF::UNIX, SOCK::DGRAM);
  EXPECT_EQ(sock.sendmsg({}), 0u);
  peer.settimeout(0);
  EXPECT_EQ(peer.recv(10), "");
}

TEST(Sendmsg, OfMoreBuffersThanTheKernelTakesIsEmsgsize) {
  auto [sock, peer] = socketpair();
  const std::vector<BytesView> views(1025, BytesView("x"));
  try {
    sock.sendmsg(views);
    ADD_FAILURE();
  } catch (const OSError& error) {
    EXPECT_EQ(error.number(), EMSGSIZE);
    EXPECT_THAT(error.what(), HasSubstr("1025 buffers"));
  }
  std::vector<std::string> rooms(1025, std::string(1, ' '));
  try {
    sock.recvmsg_into(rooms);
    ADD_FAILURE();
  } catch (const OSError& error) {
    EXPECT_EQ(error.number(), EMSGSIZE);
    EXPECT_THAT(error.what(), HasSubstr("1025 buffers"));
  }
}

TEST(Sendmsg, GoesToAnAddressUnlessThatIsNotThere) {
  auto [sender, receiver] = datagram_pair("127.0.0.1");
  Socket stranger(AF::INET, SOCK::DGRAM);
  stranger.bind({"127.0.0.1", 0});
  const int port = receiver.getsockname().port();
  EXPECT_EQ(stranger.sendmsg({"hello"}, {}, {"127.0.0.1", port}), 5u);
  const auto [data, ancdata, flags, address] = receiver.recvmsg(100);
  EXPECT_EQ(data, "hello");
  EXPECT_TRUE(ancdata.empty());
  EXPECT_EQ(flags, MSG{});
  EXPECT_EQ(address, stranger.getsockname());
  EXPECT_EQ(sender.sendmsg({"connected"}, {}, Address{}), 9u);
  EXPECT_EQ(receiver.recvmsg(100).data, "connected");
}

TEST(Recvmsg, FillsTheBuffersOneAfterAnother) {
  auto [sock, peer] = tcp_pair();
  sock.sendall("0123456789");
  char first[3];
  std::string second(4, ' ');
  std::array<std::byte, 10> third{};
  const auto [count, ancdata, flags, address] = peer.recvmsg_into({first, second, third});
  EXPECT_EQ(count, 10u);
  EXPECT_EQ(std::string(first, 3) + second, "0123456");
  EXPECT_EQ(std::memcmp(third.data(), "789", 3), 0);
  EXPECT_TRUE(ancdata.empty());
  EXPECT_FALSE(address);
  sock.shutdown(SHUT::WR);
  EXPECT_EQ(peer.recvmsg_into({second}).count, 0u);
  EXPECT_EQ(peer.recvmsg(10).data, "");
}

TEST(Recvmsg, SaysThatADatagramWasCut) {
  auto [sender, receiver] = datagram_pair("127.0.0.1");
  sender.sendall("0123456789");
  const ReceivedMessage cut = receiver.recvmsg(4);
  EXPECT_EQ(cut.data, "0123");
  EXPECT_TRUE(cut.flags & MSG::TRUNC);
  // With MSG::TRUNC the count is the size of the datagram; the data is the received part.
  sender.sendall("0123456789");
  EXPECT_EQ(receiver.recvmsg(4, 0, MSG::TRUNC).data, "0123");
}

TEST(Recvmsg, RefusesSizesThatCannotBe) {
  auto [sock, peer] = socketpair();
  char room[4];
  EXPECT_THROW(sock.recvmsg(-1), ValueError);
  for (const std::ptrdiff_t size :
       {std::ptrdiff_t{-1}, PTRDIFF_MIN, std::ptrdiff_t{0x80000000}, PTRDIFF_MAX}) {
    try {
      sock.recvmsg(1, size);
      ADD_FAILURE() << size;
    } catch (const ValueError& error) {
      EXPECT_THAT(error.what(), HasSubstr("invalid ancillary data buffer length"));
      EXPECT_THAT(error.what(), HasSubstr(std::to_string(size)));
    }
    EXPECT_THROW(sock.recvmsg_into({room}, size), ValueError);
  }
}

TEST(Messages, CostNoAllocationWithoutAncillaryData) {
  auto [sock, peer] = socketpair();
  sock.settimeout(20);
  char first[3];
  char second[3];
  const std::string tail = "cd";
  const std::array<std::string_view, 16> views{"ab", "cd"};
  const auto once = [&, &sock = sock, &peer = peer] {
    std::error_code error;
    sock.sendmsg(views, {}, error);
    peer.recvmsg_into({first, second}, 0, error);
    sock.sendmsg({"ab", tail}, {}, error);
    peer.recvmsg_into({first, second}, 0, error);
    EXPECT_FALSE(error);
  };
  once();
  allocations = {};
  for (int i = 0; i < 10; ++i) once();
  EXPECT_EQ(allocations.count, 0u);
}

// --- descriptors ---

TEST(OwnedFd, ClosesWhatItHolds) {
  OwnedFd file = some_file();
  const int number = file.fileno();
  ASSERT_TRUE(file);
  OwnedFd moved = std::move(file);
  EXPECT_FALSE(file);
  EXPECT_EQ(file.fileno(), -1);
  EXPECT_TRUE(is_open(number));
  moved = OwnedFd();
  EXPECT_FALSE(is_open(number));
}

TEST(OwnedFd, GivesItsDescriptorAwayOnce) {
  OwnedFd file = some_file();
  const int number = file.detach();
  EXPECT_EQ(file.detach(), -1);
  EXPECT_FALSE(file);
  ASSERT_TRUE(is_open(number));
  OwnedFd again(number);
  again.close();
  EXPECT_FALSE(is_open(number));
  again.close();
  OwnedFd bad(1 << 20);
  EXPECT_THROW(bad.close(), OSError);
  EXPECT_FALSE(bad);
}

TEST(OwnedFd, CanBeAssignedToItself) {
  OwnedFd file = some_file();
  OwnedFd& same = file;
  file = std::move(same);
  EXPECT_TRUE(is_open(file.fileno()));
}

TEST(SendFds, CarriesDescriptorsThatOwnThemselves) {
  auto [sock, peer] = socketpair();
  const OwnedFd a = some_file();
  const OwnedFd b = some_file();
  const int before = count_descriptors();
  EXPECT_EQ(send_fds(sock, {"he", "re"}, {a.fileno(), b.fileno()}), 4u);
  {
    const auto [data, fds, flags, address] = recv_fds(peer, 100, 2);
    EXPECT_EQ(data, "here");
    ASSERT_EQ(fds.size(), 2u);
    EXPECT_TRUE(same_file(fds[0].fileno(), a.fileno()));
    EXPECT_TRUE(same_file(fds[1].fileno(), b.fileno()));
    EXPECT_TRUE(closes_on_exec(fds[0].fileno()));
    EXPECT_EQ(flags, MSG{});
  }
  EXPECT_EQ(count_descriptors(), before);
}

TEST(SendFds, PassesFlagsAndAddressOn) {
  Socket receiver(AF::UNIX, SOCK::DGRAM);
  receiver.bind(UnixAddress(""));
  receiver.settimeout(20);
  Socket sender(AF::UNIX, SOCK::DGRAM);
  send_fds(sender, {"x"}, {0}, receiver.getsockname());
  EXPECT_EQ(recv_fds(receiver, 10, 1, MSG::PEEK).data, "x");
  EXPECT_EQ(recv_fds(receiver, 10, 1).fds.size(), 1u);
  receiver.settimeout(std::nullopt);
  EXPECT_THROW(std::ignore = recv_fds(receiver, 10, 1, MSG::DONTWAIT), BlockingIOError);
}

TEST(RecvFds, GetsThoseThatFitAndLeaksNone) {
  auto [sock, peer] = socketpair();
  const int before = count_descriptors();
  for (const int room : {0, 1, 2, 3}) {
    send_fds(sock, {"x"}, {0, 1, 2});
    const ReceivedFds received = recv_fds(peer, 10, room);
    // Padding leaves room for an even number of descriptors.
    EXPECT_EQ(received.fds.size(), static_cast<std::size_t>(room)) << room;
    EXPECT_EQ(received.flags, room < 3 ? MSG::CTRUNC : MSG{}) << room;
    EXPECT_EQ(count_descriptors(), before + room) << room;
  }
  EXPECT_EQ(count_descriptors(), before);
}

TEST(RecvFds, RefusesCountsThatCannotBe) {
  auto [sock, peer] = socketpair();
  EXPECT_THROW(std::ignore = recv_fds(sock, -1, 1), ValueError);
  for (const std::ptrdiff_t count : {std::ptrdiff_t{-1}, std::ptrdiff_t{1} << 29, PTRDIFF_MAX})
    EXPECT_THROW(std::ignore = recv_fds(sock, 1, count), OverflowError) << count;
  EXPECT_THROW(send_fds(sock, {"x"}, {-1}), OSError);
  EXPECT_THROW(send_fds(sock, {"x"}, std::vector<int>(300, 0)), OSError);
}

TEST(ReceivedDescriptors, AreClosedWhenNobodyTakesThem) {
  auto [sock, peer] = socketpair();
  const int before = count_descriptors();
  const auto receive = [&, &sock = sock, &peer = peer](MSG flags = MSG{}) {
    send_fds(sock, {"x"}, {0, 1});
    return peer.recvmsg(10, CMSG::SPACE(8), flags);
  };
  receive();
  EXPECT_EQ(count_descriptors(), before) << "dropped";
  {
    ReceivedMessage message = receive();
    EXPECT_EQ(count_descriptors(), before + 2);
    AncillaryData moved = std::move(message.ancdata);
    EXPECT_TRUE(message.ancdata.empty());
    EXPECT_EQ(count_descriptors(), before + 2);
    moved = receive().ancdata;
    EXPECT_EQ(count_descriptors(), before + 2);
  }
  EXPECT_EQ(count_descriptors(), before) << "moved";
  {
    ReceivedMessage message = receive();
    std::vector<OwnedFd> fds = message.ancdata.take_fds();
    ASSERT_EQ(fds.size(), 2u);
    EXPECT_TRUE(message.ancdata.take_fds().empty());
    message = {};
    EXPECT_EQ(count_descriptors(), before + 2);
    fds.pop_back();
    EXPECT_EQ(count_descriptors(), before + 1);
  }
  EXPECT_EQ(count_descriptors(), before) << "taken";
  {
    const std::vector<ControlMessage> items = receive().ancdata.release();
    ASSERT_EQ(items.size(), 1u);
    const std::vector<int> numbers = items[0].rights();
    ASSERT_EQ(numbers.size(), 2u);
    EXPECT_FALSE(closes_on_exec(numbers[0])) << "recvmsg() leaves them inheritable";
    for (const int number : numbers) close(Fileno{number});
  }
  EXPECT_EQ(count_descriptors(), before) << "released";
  {
    const ReceivedMessage message = receive(MSG::CMSG_CLOEXEC);
    EXPECT_TRUE(closes_on_exec(message.ancdata[0].rights()[0]));
  }
}

TEST(ReceivedDescriptors, AreClosedWhenAnAllocationFailsAfterwards) {
  auto [sock, peer] = socketpair();
  const int before = count_descriptors();
  bool received = false;
  for (std::size_t n = 1; n < 20 && !received; ++n) {
    send_fds(sock, {std::string(100, 'x')}, std::vector<int>(10, 0));
    try {
      allocations = {};
      allocations.failing = n;
      const ReceivedFds fds = recv_fds(peer, 100, 10);
      allocations.failing = 0;
      received = fds.fds.size() == 10;
    } catch (const std::bad_alloc&) {
      allocations.failing = 0;
      EXPECT_EQ(count_descriptors(), before) << n;
      // If the call failed after the reception the message is gone; otherwise remove it here.
      peer.setblocking(false);
      std::error_code ignored;
      std::ignore = recv_fds(peer, 100, 10, ignored);
      peer.setblocking(true);
    }
  }
  EXPECT_TRUE(received);
}

TEST(ReceivedDescriptors, AreClosedWhenTheCallFailsAlthoughTheyArrived) {
  /// Simulates a close() during the reception of a message without bytes.
  struct ClosedMeanwhile : detail::wait::IoDriver {
    long perform(detail::wait::Descriptor& descriptor, detail::wait::Op& op, Deadline) override {
      got = detail::wait::attempt(descriptor.fd(), op);
      return -EBADF;
    }
    long wait_any(std::span<sys::PollEntry>, Deadline) override { return -EINVAL; }
    long got = -1;
  };
  auto [sock, peer] = socketpair(AF::UNIX, SOCK::DGRAM);
  const int before = count_descriptors();
  sock.sendmsg({}, {ControlMessage::rights({0, 1})});
  ClosedMeanwhile waiter;
  std::error_code error;
  detail::wait::set_current_driver(&waiter);
  peer.recvmsg(10, 100, error);
  detail::wait::set_current_driver(nullptr);
  EXPECT_EQ(waiter.got, 0);
  EXPECT_EQ(error.value(), EBADF);
  EXPECT_EQ(count_descriptors(), before);
}

// --- typed items ---

TEST(ControlMessage, DestructuresAndPrintsAsPythonsTriple) {
  const ControlMessage item(SOL::SOCKET, SCM::RIGHTS, "\1\0\0\0");
  const auto& [level, type, data] = item;
  EXPECT_EQ(level, 1);
  EXPECT_EQ(type, 1);
  EXPECT_EQ(data, "\1\0\0\0"s);
  EXPECT_EQ(item, ControlMessage::rights({1}));
  EXPECT_EQ(to_string(item), "(1, 1, b'\\x01\\x00\\x00\\x00')");
  EXPECT_TRUE(item.is(SOL::SOCKET, SCM::RIGHTS));
  EXPECT_FALSE(item.is(SOL::SOCKET, SCM::CREDENTIALS));
  EXPECT_FALSE(item.is(IPPROTO::TCP, SCM::RIGHTS));
}

TEST(Credentials, NameTheSendingProcess) {
  auto [sock, peer] = socketpair();
  peer.setsockopt(SOL::SOCKET, SO::PASSCRED, 1);
  const Credentials self{::getpid(), ::getuid(), ::getgid()};
  sock.sendall("x");
  ReceivedMessage message = peer.recvmsg(10, CMSG::SPACE(12));
  ASSERT_EQ(message.ancdata.size(), 1u);
  EXPECT_EQ(message.ancdata[0].credentials(), self);
  if (::getuid() != 0) GTEST_SKIP() << "only root may claim to be another";
  const Credentials other{::getppid(), 12345, 54321};
  sock.sendmsg({"x"}, {ControlMessage::credentials(other)});
  message = peer.recvmsg(10, CMSG::SPACE(12));
  EXPECT_EQ(message.ancdata.find(SOL::SOCKET, SCM::CREDENTIALS)->credentials(), other);
}

TEST(PeerCredentials, AreOfWhoMadeTheSocketAtTheOtherEnd) {
  auto [sock, peer] = socketpair();
  EXPECT_EQ(peer_credentials(sock), (Credentials{::getpid(), ::getuid(), ::getgid()}));
  EXPECT_THROW(peer_credentials(Socket()), OSError);
  std::error_code error;
  sock.close();
  EXPECT_EQ(peer_credentials(sock, error), Credentials{});
  EXPECT_EQ(error.value(), EBADF);
}

TEST(Credentials, ArriveBesideDescriptors) {
  auto [sock, peer] = socketpair();
  peer.setsockopt(SOL::SOCKET, SO::PASSCRED, 1);
  send_fds(sock, {"x"}, {0});
  ReceivedMessage message = peer.recvmsg(10, CMSG::SPACE(12) + CMSG::SPACE(4));
  ASSERT_EQ(message.ancdata.size(), 2u);
  EXPECT_EQ(message.ancdata.find(SOL::SOCKET, SCM::CREDENTIALS)->credentials().pid, ::getpid());
  EXPECT_EQ(message.ancdata.take_fds().size(), 1u);
  EXPECT_EQ(message.ancdata.find(SOL::SOCKET, SO::TIMESTAMP), nullptr);
}

TEST(PacketInfo, TellsWhereADatagramArrived) {
  Socket receiver(AF::INET, SOCK::DGRAM);
  receiver.bind({"", 0});
  receiver.settimeout(20);
  receiver.setsockopt(IPPROTO::IP_, IP_::PKTINFO, 1);
  Socket sender(AF::INET, SOCK::DGRAM);
  sender.sendto("x", {"127.1.2.3", receiver.getsockname().port()});
  const ReceivedMessage message = receiver.recvmsg(10, 100);
  const ControlMessage* item = message.ancdata.find(IPPROTO::IP_, IP_::PKTINFO);
  ASSERT_NE(item, nullptr);
  const PacketInfo info = item->packet_info();
  EXPECT_EQ(info.interface_index, 1);
  EXPECT_EQ(info.local.host(), "127.1.2.3");
  EXPECT_EQ(info.local.port(), 0);
  EXPECT_EQ(info.destination.host(), "127.1.2.3");
}

TEST(PacketInfo, ChoosesTheAddressADatagramIsSentFrom) {
  Socket receiver(AF::INET, SOCK::DGRAM);
  receiver.bind({"127.0.0.1", 0});
  receiver.settimeout(20);
  Socket sender(AF::INET, SOCK::DGRAM);
  sender.sendmsg({"x"}, {ControlMessage::packet_info({.local = Address::parse("127.0.0.9:0")})},
                 receiver.getsockname());
  EXPECT_EQ(receiver.recvfrom(10).second.host(), "127.0.0.9");
}

TEST(PacketInfo, OfIpv6GoesBothWays) {
  auto [sender, receiver] = datagram_pair("::1");
  receiver.setsockopt(IPPROTO::IPV6, IPV6::RECVPKTINFO, 1);
  const PacketInfo info{.interface_index = 1, .local = Address::parse("[::1]:0")};
  sender.sendmsg({"x"}, {ControlMessage::packet_info(info)});
  const ReceivedMessage message = receiver.recvmsg(10, 100);
  ASSERT_EQ(message.ancdata.size(), 1u);
  const PacketInfo got = message.ancdata[0].packet_info();
  EXPECT_EQ(got.interface_index, 1);
  EXPECT_EQ(got.local.host(), "::1");
  EXPECT_EQ(got.destination, got.local);
  EXPECT_THROW(ControlMessage::packet_info({}), ValueError);
  EXPECT_THROW(ControlMessage::packet_info({.local = UnixAddress("x")}), ValueError);
}

TEST(Hops, AreReadAndSetForOneDatagram) {
  auto [sender, receiver] = datagram_pair("127.0.0.1");
  receiver.setsockopt(IPPROTO::IP_, IP_::RECVTTL, 1);
  receiver.setsockopt(IPPROTO::IP_, IP_::RECVTOS, 1);
  sender.sendmsg({"x"}, {ControlMessage::ttl(7), ControlMessage::tos(0x10)});
  ReceivedMessage message = receiver.recvmsg(10, 100);
  ASSERT_EQ(message.ancdata.size(), 2u);
  EXPECT_EQ(message.ancdata.find(IPPROTO::IP_, IP_::TTL)->ttl(), 7);
  EXPECT_EQ(message.ancdata.find(IPPROTO::IP_, IP_::TOS)->tos(), 0x10);

  auto [sender6, receiver6] = datagram_pair("::1");
  receiver6.setsockopt(IPPROTO::IPV6, IPV6::RECVHOPLIMIT, 1);
  receiver6.setsockopt(IPPROTO::IPV6, IPV6::RECVTCLASS, 1);
  sender6.sendmsg({"x"}, {ControlMessage::hop_limit(9), ControlMessage::traffic_class(0x20)});
  message = receiver6.recvmsg(10, 100);
  ASSERT_EQ(message.ancdata.size(), 2u);
  EXPECT_EQ(message.ancdata.find(IPPROTO::IPV6, IPV6::HOPLIMIT)->ttl(), 9);
  EXPECT_EQ(message.ancdata.find(IPPROTO::IPV6, IPV6::TCLASS)->tos(), 0x20);
}

TEST(Timestamps, TellWhenADatagramArrived) {
  const auto begun = std::chrono::system_clock::now() - std::chrono::milliseconds(1);
  for (const SO option : {SO::TIMESTAMP, SO::TIMESTAMPNS}) {
    auto [sender, receiver] = datagram_pair("127.0.0.1");
    receiver.setsockopt(SOL::SOCKET, option, 1);
    sender.sendall("x");
    const ReceivedMessage message = receiver.recvmsg(10, 100);
    ASSERT_EQ(message.ancdata.size(), 1u);
    ASSERT_TRUE(message.ancdata[0].is(SOL::SOCKET, option));
    EXPECT_GT(message.ancdata[0].timestamp(), begun);
    EXPECT_LE(message.ancdata[0].timestamp(), std::chrono::system_clock::now());
  }
  auto [sender, receiver] = datagram_pair("127.0.0.1");
  constexpr SOF kSoftware = SOF::TIMESTAMPING_RX_SOFTWARE | SOF::TIMESTAMPING_SOFTWARE;
  receiver.setsockopt(SOL::SOCKET, SO::TIMESTAMPING, static_cast<int>(kSoftware));
  // The kernel starts to add timestamps a little after the first socket has asked for them.
  ReceivedMessage message;
  const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (message.ancdata.empty() && std::chrono::steady_clock::now() < limit) {
    sender.sendall("x");
    message = receiver.recvmsg(10, 100);
  }
  const ControlMessage* item = message.ancdata.find(SOL::SOCKET, SCM::TIMESTAMPING);
  ASSERT_NE(item, nullptr);
  const Timestamps times = item->timestamps();
  ASSERT_TRUE(times.software);
  EXPECT_GT(*times.software, begun);
  EXPECT_FALSE(times.hardware);
}

TEST(Readers, RefuseAnotherKindAndAnotherSize) {
  const auto refuses = [](const ControlMessage& item, auto read) {
    try {
      read(item);
      ADD_FAILURE() << to_string(item);
    } catch (const ValueError& error) {
      EXPECT_THAT(error.what(), HasSubstr("level " + std::to_string(item.level)));
      EXPECT_THAT(error.what(), HasSubstr("type " + std::to_string(item.type)));
      EXPECT_THAT(error.what(), HasSubstr(std::to_string(item.data.size()) + " bytes"));
    }
  };
  const auto credentials = [](const ControlMessage& item) { item.credentials(); };
  refuses({SOL::SOCKET, SCM::CREDENTIALS, std::string(11, 'x')}, credentials);
  refuses({SOL::SOCKET, SCM::CREDENTIALS, std::string(13, 'x')}, credentials);
  refuses({SOL::SOCKET, SCM::RIGHTS, std::string(12, 'x')}, credentials);
  const auto packet_info = [](const ControlMessage& item) { item.packet_info(); };
  refuses({IPPROTO::IP_, IP_::PKTINFO, std::string(20, 'x')}, packet_info);
  refuses({IPPROTO::IPV6, IPV6::PKTINFO, std::string(12, 'x')}, packet_info);
  const auto ttl = [](const ControlMessage& item) { item.ttl(); };
  refuses({IPPROTO::IP_, IP_::TTL, "\1"}, ttl);
  refuses({IPPROTO::IPV6, IPV6::HOPLIMIT, ""}, ttl);
  refuses({IPPROTO::IP_, IP_::TOS, std::string(4, 'x')}, ttl);
  const auto tos = [](const ControlMessage& item) { item.tos(); };
  refuses({IPPROTO::IP_, IP_::TOS, "xx"}, tos);
  refuses({IPPROTO::IPV6, IPV6::TCLASS, "x"}, tos);
  const auto rights = [](const ControlMessage& item) { item.rights(); };
  refuses({SOL::SOCKET, SCM::CREDENTIALS, "abcd"}, rights);
  const auto timestamp = [](const ControlMessage& item) { item.timestamp(); };
  refuses({SOL::SOCKET, SCM::TIMESTAMP, std::string(15, 'x')}, timestamp);
  refuses({SOL::SOCKET, SCM::TIMESTAMPING, std::string(48, 'x')}, timestamp);
  const auto timestamps = [](const ControlMessage& item) { item.timestamps(); };
  refuses({SOL::SOCKET, SCM::TIMESTAMPING, std::string(16, 'x')}, timestamps);
  // An incomplete descriptor is ignored.
  EXPECT_THAT(ControlMessage(SOL::SOCKET, SCM::RIGHTS, "\5\0\0\0\6\0").rights(), ElementsAre(5));
}

// --- truncated items, and items that no kernel writes ---

TEST(Truncation, GivesTheCutItemAndSaysSo) {
  auto [sender, receiver] = datagram_pair("127.0.0.1");
  receiver.setsockopt(IPPROTO::IP_, IP_::PKTINFO, 1);
  for (std::size_t room = 0; room <= CMSG::LEN(12); ++room) {
    sender.sendall("x");
    const ReceivedMessage message = receiver.recvmsg(10, static_cast<std::ptrdiff_t>(room));
    EXPECT_EQ(message.flags, room < CMSG::LEN(12) ? MSG::CTRUNC : MSG{}) << room;
    ASSERT_EQ(message.ancdata.size(), room < CMSG::LEN(0) ? 0u : 1u) << room;
    if (message.ancdata.empty()) continue;
    EXPECT_EQ(message.ancdata[0].data.size(), room - CMSG::LEN(0));
    if (room < CMSG::LEN(12)) {
      EXPECT_THROW(message.ancdata[0].packet_info(), ValueError);
    }
  }
}

using Items = std::vector<std::string>;

Items items_of(const std::string& control) {
  Items items;
  // The memory has exactly this size, so that a sanitizer detects a read beyond it.
  const std::unique_ptr<char[]> exact(new char[control.size()]);
  std::memcpy(exact.get(), control.data(), control.size());
  sys::read_control(exact.get(), control.size(),
                    [&](int level, int type, const char* data, std::size_t size) {
                      items.push_back(std::to_string(level) + "." + std::to_string(type) + "." +
                                      std::string(data, size));
                    });
  return items;
}

std::string control_of(std::size_t size, int type, const std::string& data) {
  const sys::ControlHeader header{size, 9, type};
  return std::string(reinterpret_cast<const char*>(&header), sizeof header) + data;
}

TEST(ControlList, EndsSafelyWhereItIsMalformed) {
  EXPECT_THAT(items_of(""), ElementsAre());
  EXPECT_THAT(items_of(std::string(15, '\1')), ElementsAre());
  EXPECT_THAT(items_of(control_of(16, 1, "")), ElementsAre("9.1."));
  EXPECT_THAT(items_of(control_of(0, 1, "abcdefgh")), ElementsAre());
  EXPECT_THAT(items_of(control_of(15, 1, "abcdefgh")), ElementsAre());
  EXPECT_THAT(items_of(control_of(SIZE_MAX, 1, "abc")), ElementsAre("9.1.abc"));
  EXPECT_THAT(items_of(control_of(SIZE_MAX - 7, 1, "abc")), ElementsAre("9.1.abc"));
  EXPECT_THAT(items_of(control_of(18, 1, "ab")), ElementsAre("9.1.ab"));
  EXPECT_THAT(items_of(control_of(18, 1, "ab......") + control_of(17, 2, "c")),
              ElementsAre("9.1.ab", "9.2.c"));
  EXPECT_THAT(items_of(control_of(24, 1, "abcdefgh") + control_of(20, 2, "cd")),
              ElementsAre("9.1.abcdefgh", "9.2.cd"));
  EXPECT_THAT(items_of(control_of(24, 1, "abcdefgh") + "short"), ElementsAre("9.1.abcdefgh"));
}

TEST(ControlList, OfAnyBytesIsReadWithinItsBounds) {
  std::mt19937 random(1);
  for (int round = 0; round < 20000; ++round) {
    std::string control;
    while (random() % 8 != 0) {
      const std::size_t size = random() % 3 == 0 ? random() : 12 + random() % 24;
      control += control_of(size, static_cast<int>(random()), std::string(random() % 12, 'x'));
    }
    control.resize(random() % (control.size() + 1));
    std::size_t total = 0;
    for (const std::string& item : items_of(control)) total += item.size();
    ASSERT_LE(total, control.size() * 3 + 20);
  }
}

// --- layers and cryptography ---

TEST(Layers, DoNotCarryMessages) {
  struct Nothing : detail::socket::Layer {
    long receive(detail::wait::Descriptor&, MutableBytes, int, Deadline) override { return 0; }
    long send(detail::wait::Descriptor&, BytesView, int, Deadline) override { return 0; }
    std::size_t pending() const noexcept override { return 0; }
  };
  auto [sock, peer] = socketpair();
  detail::socket::SocketAccess::state(sock)->set_layer(std::make_unique<Nothing>());
  std::error_code error;
  sock.sendmsg({"x"}, {}, error);
  EXPECT_EQ(error, std::errc::operation_not_supported);
  sock.recvmsg(1, 0, error);
  EXPECT_EQ(error, std::errc::operation_not_supported);
  EXPECT_THROW(sock.sendmsg({"x"}), OSError);
}

/// Returns a socket of the kernel's cryptography, ready for operations; nullopt if the kernel has
/// none.
std::optional<Socket> algorithm(const std::string& type, const std::string& name,
                                BytesView key = {}) {
  std::error_code error;
  Socket sock(AF::ALG, SOCK::SEQPACKET, 0, error);
  if (error) return std::nullopt;
  sock.bind(AlgAddress(type, name), error);
  if (error) return std::nullopt;
  if (!key.empty()) sock.setsockopt(SOL::ALG, ALG::SET_KEY, key);
  return sock.accept().first;
}

TEST(SendmsgAfalg, ComputesADigest) {
  std::optional<Socket> sock = algorithm("hash", "sha256");
  if (!sock) GTEST_SKIP() << "this kernel has no AF_ALG";
  sock->sendall("abc");
  EXPECT_THAT(sock->recv(64), testing::StartsWith("\xba\x78\x16\xbf"));
}

TEST(SendmsgAfalg, EncryptsAndDecrypts) {
  std::optional<Socket> sock = algorithm("skcipher", "cbc(aes)", std::string(16, 'k'));
  if (!sock) GTEST_SKIP() << "this kernel has no AF_ALG";
  const std::string iv(16, 'i');
  EXPECT_EQ(sock->sendmsg_afalg(ALG::OP_ENCRYPT, {"0123456789", "abcdef"}, {.iv = iv}), 16u);
  const Bytes secret = sock->recv(16);
  EXPECT_NE(secret, "0123456789abcdef");
  sock->sendmsg_afalg(ALG::OP_DECRYPT, {secret}, {.iv = iv});
  EXPECT_EQ(sock->recv(16), "0123456789abcdef");
}

TEST(SendmsgAfalg, SendsOperationVectorAndLengthAsTheKernelReadsThem) {
  /// Records the message instead of sending it.
  struct Seen : detail::wait::IoDriver {
    long perform(detail::wait::Descriptor&, detail::wait::Op& op, Deadline) override {
      const auto& message = *static_cast<const sys::Message*>(op.data);
      items =
          items_of(std::string(static_cast<const char*>(message.control), message.control_size));
      flags = op.flags;
      return 0;
    }
    long wait_any(std::span<sys::PollEntry>, Deadline) override { return -EINVAL; }
    Items items;
    int flags = 0;
  };
  auto [sock, peer] = socketpair();
  Seen seen;
  detail::wait::set_current_driver(&seen);
  sock.sendmsg_afalg(ALG::OP_ENCRYPT, {"x"}, {.iv = "vector", .assoclen = 258, .flags = MSG::MORE});
  detail::wait::set_current_driver(nullptr);
  EXPECT_THAT(seen.items,
              ElementsAre("279.3.\1\0\0\0"s, "279.2.\6\0\0\0vector"s, "279.4.\2\1\0\0"s));
  EXPECT_EQ(seen.flags, static_cast<int>(MSG::MORE));
  // A socket of another family fails.
  EXPECT_THROW(Socket(AF::INET, SOCK::DGRAM).sendmsg_afalg(ALG::OP_ENCRYPT), OSError);
}

}  // namespace
}  // namespace plug
