// Tests sending and receiving data.

#include <plug/socket.hpp>
#include <plug/socket/batch.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <limits>
#include <new>
#include <span>
#include <string>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

#include "support/blocked_thread.hpp"
#include "support/errors.hpp"
#include "support/process.hpp"
#include "support/sockets.hpp"
#include "support/temporary_directory.hpp"

namespace plug {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

/// Returns a datagram socket on a free port of a loopback address.
Socket udp(const std::string& host = "127.0.0.1") {
  Socket sock(host.find(':') == std::string::npos ? AF::INET : AF::INET6, SOCK::DGRAM);
  sock.bind({host, 0});
  return sock;
}

std::string pattern(std::size_t size) {
  std::string data(size, '\0');
  for (std::size_t i = 0; i < size; ++i) data[i] = static_cast<char>(i * 31 + i / 251);
  return data;
}

// --- streams ---

TEST(Stream, CarriesEveryByteUnchanged) {
  std::string all;
  for (int byte = 0; byte < 256; ++byte) all += static_cast<char>(byte);
  for (auto& [sock, peer] : {tcp_pair(), tcp_pair("::1"), socketpair()}) {
    auto& writer = const_cast<Socket&>(sock);
    auto& reader = const_cast<Socket&>(peer);
    EXPECT_EQ(writer.send(all), all.size());
    EXPECT_EQ(receive_exactly(reader, all.size()), all);
  }
}

TEST(Stream, DeliversMoreThanTheBuffersHoldInOneSendall) {
  for (auto& [sock, peer] : {tcp_pair(), tcp_pair("::1"), socketpair()}) {
    auto& writer = const_cast<Socket&>(sock);
    auto& reader = const_cast<Socket&>(peer);
    const std::string data = pattern(8 << 20);
    std::string received;
    std::thread reading([&] { received = receive_exactly(reader, data.size()); });
    writer.sendall(data);
    reading.join();
    EXPECT_TRUE(received == data);
  }
}

TEST(Stream, SendMayBePartialAndSaysHowMuchItTook) {
  auto [sock, peer] = socketpair();
  sock.setblocking(false);
  const std::string data = pattern(8 << 20);
  const std::size_t taken = sock.send(data);
  EXPECT_GT(taken, 0u);
  EXPECT_LT(taken, data.size());
  EXPECT_EQ(number_of_error([&, &sock = sock] { std::ignore = sock.send("x"); }), EAGAIN);
  sock.close();
  EXPECT_TRUE(receive_exactly(peer, data.size()) == data.substr(0, taken));
}

TEST(Stream, SendallThatFailsTellsHowMuchWasSent) {
  auto [sock, peer] = socketpair();
  sock.setblocking(false);
  const std::string data = pattern(8 << 20);
  std::error_code error;
  const std::size_t sent = sock.sendall(data, error);
  EXPECT_EQ(error, std::errc::resource_unavailable_try_again);
  EXPECT_GT(sent, 0u);
  sock.close();
  EXPECT_TRUE(receive_exactly(peer, data.size()) == data.substr(0, sent));
}

TEST(Stream, EndsInEmptyReceives) {
  auto [sock, peer] = tcp_pair();
  peer.sendall("last");
  peer.close();
  EXPECT_EQ(sock.recv(100), "last");
  char room[8];
  for (int again = 0; again < 2; ++again) {
    EXPECT_EQ(sock.recv(100), "");
    EXPECT_EQ(sock.recv_into(room), 0u);
    EXPECT_EQ(sock.recvfrom(100).first, "");
  }
}

TEST(Stream, GivesNoMoreThanIsAskedForAndKeepsTheRest) {
  auto [sock, peer] = socketpair();
  peer.sendall("abcdef");
  EXPECT_EQ(sock.recv(2), "ab");
  EXPECT_EQ(sock.recv(0), "");
  EXPECT_EQ(sock.recv(1), "c");
  EXPECT_EQ(sock.recv(100), "def");
}

TEST(Stream, SendsNothingWhenThereIsNothingToSend) {
  auto [sock, peer] = tcp_pair();
  EXPECT_EQ(sock.send(""), 0u);
  EXPECT_NO_THROW(sock.sendall(""));
  EXPECT_NO_THROW(sock.sendall(BytesView()));
  sock.sendall("x");
  EXPECT_EQ(peer.recv(10), "x");
}

TEST(Stream, EmptySendallStillReportsABrokenConnection) {
  Socket sock;
  EXPECT_EQ(number_of_error([&] { sock.sendall(""); }), EPIPE);
}

TEST(Stream, SendersAddressIsNotThere) {
  auto [sock, peer] = tcp_pair();
  peer.sendall("x");
  const auto [data, address] = sock.recvfrom(10);
  EXPECT_EQ(data, "x");
  EXPECT_FALSE(address);
  EXPECT_EQ(to_string(address), "None");
}

TEST(Stream, ShutdownEndsOneHalfAtATime) {
  auto [sock, peer] = tcp_pair();
  sock.shutdown(SHUT::WR);
  EXPECT_EQ(peer.recv(10), "");
  peer.sendall("still open");
  EXPECT_EQ(sock.recv(100), "still open");
  EXPECT_EQ(number_of_error([&, &sock = sock] { std::ignore = sock.send("x"); }), EPIPE);
  sock.shutdown(SHUT::RD);
  EXPECT_EQ(sock.recv(10), "");
}

TEST(Stream, ShutdownOfWhatIsNotConnectedOrNoHalfIsAnError) {
  Socket sock;
  EXPECT_EQ(number_of_error([&] { sock.shutdown(SHUT::WR); }), ENOTCONN);
  auto [first, second] = socketpair();
  EXPECT_EQ(number_of_error([&, &first = first] { first.shutdown(SHUT{99}); }), EINVAL);
}

TEST(Stream, ResetByThePeerIsConnectionResetError) {
  auto [sock, peer] = tcp_pair();
  const int now[2] = {1, 0};
  peer.setsockopt(SOL::SOCKET, SO::LINGER, BytesView(now, sizeof now));
  peer.close();
  EXPECT_THROW(sock.recv(10), ConnectionResetError);
}

// --- receiving into memory ---

TEST(RecvInto, FillsTheBufferFromItsBeginning) {
  auto [sock, peer] = socketpair();
  std::array<unsigned char, 8> room;
  room.fill('.');
  peer.sendall("abc");
  EXPECT_EQ(sock.recv_into(room), 3u);
  EXPECT_EQ(std::string_view(BytesView(room)), "abc.....");
  peer.sendall("12345");
  EXPECT_EQ(sock.recv_into(std::span(room).subspan(3, 2)), 2u);
  EXPECT_EQ(std::string_view(BytesView(room)), "abc12...");
  std::string text(4, '-');
  EXPECT_EQ(sock.recv_into(text), 3u);
  EXPECT_EQ(text, "345-");
}

TEST(RecvInto, FillsTheWholeBufferAndOfAnEmptyOneNothing) {
  auto [sock, peer] = socketpair();
  peer.sendall("abcdef");
  char room[4];
  EXPECT_EQ(sock.recv_into(room), 4u);
  EXPECT_EQ(sock.recv_into(MutableBytes()), 0u);
}

TEST(RecvfromInto, GivesTheSenderToo) {
  Socket receiver = udp();
  Socket sender = udp();
  sender.sendto("abc", receiver.getsockname());
  char room[8];
  const auto [count, address] = receiver.recvfrom_into(room);
  EXPECT_EQ(std::string(room, count), "abc");
  EXPECT_EQ(address, sender.getsockname());
}

TEST(ReceiveSizes, BelowZeroAreValueErrorsThatNameThem) {
  auto [sock, peer] = socketpair();
  peer.sendall("x");
  Socket& reader = sock;
  EXPECT_EQ(text_of_error<ValueError>([&] { reader.recv(-1); }), "negative buffersize: recv(-1)");
  EXPECT_THAT(text_of_error<ValueError>([&] { reader.recvfrom(-7); }), HasSubstr("recvfrom(-7)"));
  constexpr auto kLeast = std::numeric_limits<std::int64_t>::min();
  EXPECT_THAT(text_of_error<ValueError>([&] { reader.recvmsg(kLeast); }),
              HasSubstr("negative buffersize"));
  EXPECT_THAT(text_of_error<ValueError>([&] { reader.recv(std::int8_t{-1}); }),
              HasSubstr("recv(-1)"));
  std::error_code error;
  EXPECT_EQ(reader.recv(-1, error), "");
  EXPECT_EQ(error, Errc::negative_size);
  EXPECT_EQ(reader.recv(10), "x");
}

TEST(ReceiveSizes, MayHaveAnyIntegerType) {
  auto [sock, peer] = socketpair();
  peer.sendall("abcdef");
  EXPECT_EQ(sock.recv(std::size_t{1}), "a");
  EXPECT_EQ(sock.recv(1), "b");
  EXPECT_EQ(sock.recv(static_cast<unsigned char>(1)), "c");
  EXPECT_EQ(sock.recvfrom(std::int64_t{1}).first, "d");
  EXPECT_EQ(sock.recvmsg(std::uint16_t{1}, 0U).data, "e");
  EXPECT_THROW(sock.recv(std::numeric_limits<std::uint64_t>::max()), ValueError);
  EXPECT_EQ(sock.recv(10), "f");
}

TEST(Sizes, AreNotMadeFromBoolOrDouble) {
  EXPECT_FALSE((std::is_convertible_v<bool, ByteCount>));
  EXPECT_FALSE((std::is_convertible_v<double, ByteCount>));
}

#ifndef PLUG_SANITIZED  // their allocators end the process instead
TEST(ReceiveSizes, BeyondMemoryAreBadAllocAndLoseNothing) {
  auto [sock, peer] = socketpair();
  peer.sendall("x");
  Socket& reader = sock;
  EXPECT_THROW(reader.recv(std::numeric_limits<std::ptrdiff_t>::max()), std::bad_alloc);
  EXPECT_THROW(reader.recvfrom(std::numeric_limits<std::ptrdiff_t>::max()), std::bad_alloc);
  EXPECT_EQ(reader.recv(10), "x");
}
#endif

// --- datagrams ---

TEST(Datagram, KeepsItsBoundariesAndItsSender) {
  for (const std::string host : {"127.0.0.1", "::1"}) {
    Socket receiver = udp(host);
    Socket sender = udp(host);
    EXPECT_EQ(sender.sendto("first", receiver.getsockname()), 5u);
    sender.sendto("second", receiver.getsockname());
    for (const std::string expected : {"first", "second"}) {
      const auto [data, address] = receiver.recvfrom(100);
      EXPECT_EQ(data, expected);
      EXPECT_EQ(address, sender.getsockname());
      EXPECT_EQ(address.host(), host);
    }
  }
}

TEST(Datagram, MayBeEmpty) {
  Socket receiver = udp();
  Socket sender(AF::INET, SOCK::DGRAM);
  EXPECT_EQ(sender.sendto("", receiver.getsockname()), 0u);
  const auto [data, address] = receiver.recvfrom(100);
  EXPECT_EQ(data, "");
  EXPECT_EQ(address.port(), sender.getsockname().port());
  sender.connect(receiver.getsockname());
  sender.sendall("");
  sender.sendall("next");
  EXPECT_EQ(receiver.recv(100), "");
  EXPECT_EQ(receiver.recv(100), "next");
}

TEST(Datagram, LongerThanAskedForLosesItsRest) {
  Socket receiver = udp();
  Socket sender = udp();
  sender.sendto("abcdef", receiver.getsockname());
  sender.sendto("next", receiver.getsockname());
  EXPECT_EQ(receiver.recv(2), "ab");
  EXPECT_EQ(receiver.recv(100), "next");
}

TEST(Datagram, TellsItsLengthWithTrunc) {
  Socket receiver = udp();
  Socket sender = udp();
  for (int copies = 0; copies < 4; ++copies) sender.sendto("abcdef", receiver.getsockname());
  char room[2];
  EXPECT_EQ(receiver.recv_into(room, MSG::TRUNC), 6u);
  EXPECT_EQ(receiver.recvfrom_into(room, MSG::TRUNC).first, 6u);
  EXPECT_EQ(receiver.recv(2, MSG::TRUNC), "ab");
  EXPECT_EQ(receiver.recvfrom(2, MSG::TRUNC).first, "ab");
}

TEST(Datagram, TooLongForTheProtocolIsEmsgsize) {
  Socket receiver = udp();
  Socket sender = udp();
  const std::string data(65508, 'x');
  EXPECT_EQ(number_of_error([&] { sender.sendto(data, receiver.getsockname()); }), EMSGSIZE);
  EXPECT_EQ(sender.sendto(BytesView(data).subspan(1), receiver.getsockname()), 65507u);
  EXPECT_EQ(receiver.recv(70000).size(), 65507u);
}

TEST(Datagram, NeedsADestinationAndNamesTheOneThatFailed) {
  Socket sock(AF::INET, SOCK::DGRAM);
  EXPECT_EQ(number_of_error([&] { std::ignore = sock.send("x"); }), EDESTADDRREQ);
  EXPECT_NE(number_of_error([&] { sock.sendto("x", Address()); }), -1);
  try {
    sock.sendto("x", {"255.255.255.255", 9});
    ADD_FAILURE();
  } catch (const PermissionError& error) {
    EXPECT_THAT(error.what(), HasSubstr("('255.255.255.255', 9)"));
  }
  try {
    sock.sendto("x", Address::parse("[::1]:9"));
    ADD_FAILURE();
  } catch (const OSError& error) {
    EXPECT_EQ(error.code(), std::errc::address_family_not_supported);
    EXPECT_THAT(error.what(), HasSubstr("('::1', 9, 0, 0)"));
  }
}

TEST(Datagram, OfAUnixSocketNamesABoundSenderAndNoOther) {
  const TemporaryDirectory directory;
  Socket receiver(AF::UNIX, SOCK::DGRAM);
  receiver.bind(UnixAddress(directory / "receiver"));
  Socket sender(AF::UNIX, SOCK::DGRAM);
  sender.sendto("unbound", UnixAddress(directory / "receiver"));
  EXPECT_FALSE(receiver.recvfrom(100).second);
  sender.bind(UnixAddress(directory / "sender"));
  sender.sendto("bound", UnixAddress(directory / "receiver"));
  const auto [data, address] = receiver.recvfrom(100);
  EXPECT_EQ(data, "bound");
  EXPECT_EQ(address, Address(UnixAddress(directory / "sender")));
  receiver.sendto("answer", address);
  EXPECT_EQ(sender.recv(100), "answer");
}

TEST(Datagram, ReachesAbstractNamesGivenAndPicked) {
  Socket picked(AF::UNIX, SOCK::DGRAM);
  picked.bind(UnixAddress(""));
  const std::string name = picked.getsockname().path();
  ASSERT_FALSE(name.empty());
  EXPECT_EQ(name.front(), '\0');
  Socket given(AF::UNIX, SOCK::DGRAM);
  given.bind(UnixAddress(name + "-and\0more"));
  given.sendto("x", UnixAddress(name));
  const auto [data, address] = picked.recvfrom(10);
  EXPECT_EQ(data, "x");
  EXPECT_EQ(address.path(), given.getsockname().path());
}

TEST(Seqpacket, KeepsBoundariesOnAConnection) {
  auto [sock, peer] = socketpair(AF::UNIX, SOCK::SEQPACKET);
  sock.sendall("first");
  sock.sendall("second");
  EXPECT_EQ(peer.recv(100), "first");
  EXPECT_EQ(peer.recv(3), "sec");
  sock.close();
  EXPECT_EQ(peer.recv(100), "");
}

// --- flags ---

TEST(Flags, PeekLeavesTheDataThere) {
  auto [sock, peer] = tcp_pair();
  peer.sendall("abc");
  EXPECT_EQ(sock.recv(2, MSG::PEEK), "ab");
  char room[8];
  EXPECT_EQ(sock.recv_into(room, MSG::PEEK), 3u);
  EXPECT_EQ(sock.recvfrom(10, MSG::PEEK).first, "abc");
  EXPECT_EQ(sock.recv(10), "abc");
}

TEST(Flags, DontwaitDoesNotWaitOnABlockingSocket) {
  auto [sock, peer] = socketpair();
  EXPECT_EQ(number_of_error([&, &sock = sock] { sock.recv(1, MSG::DONTWAIT); }), EAGAIN);
  EXPECT_EQ(number_of_error([&, &sock = sock] { sock.recvfrom(1, MSG::DONTWAIT); }), EAGAIN);
  const std::string data = pattern(8 << 20);
  EXPECT_LT(sock.send(data, MSG::DONTWAIT), data.size());
  EXPECT_THROW(sock.sendall(data, MSG::DONTWAIT), BlockingIOError);
}

TEST(Flags, DontwaitOnASocketWithATimeoutWaitsForThatTimeout) {
  auto [sock, peer] = socketpair();
  sock.settimeout(0.01);
  EXPECT_THROW(sock.recv(1, MSG::DONTWAIT), TimeoutError);
}

TEST(Flags, WaitallWaitsForTheWholeSize) {
  auto [sock, peer] = tcp_pair();
  Bytes received;
  BlockedThread reading([&, &sock = sock] { received = sock.recv(10, MSG::WAITALL); });
  ASSERT_TRUE(reading.wait_until_blocked());
  peer.sendall("12345");
  peer.sendall("67890");
  reading.join();
  EXPECT_EQ(received, "1234567890");
}

TEST(Flags, OobDataTravelsBesideTheStream) {
  auto [sock, peer] = tcp_pair();
  sock.sendall("before");
  EXPECT_EQ(sock.send("!", MSG::OOB), 1u);
  sock.sendall("after");
  EXPECT_EQ(peer.recv(6, MSG::WAITALL), "before");
  EXPECT_EQ(peer.recv(1, MSG::OOB), "!");
  EXPECT_EQ(peer.recv(5, MSG::WAITALL), "after");
}

// --- addresses given as pairs ---

TEST(Sendto, LooksNamesUpAndTakesFlags) {
  Socket receiver = udp();
  const int port = receiver.getsockname().port();
  Socket sender(AF::INET, SOCK::DGRAM);
  sender.sendto("by number", {"127.0.0.1", port});
  sender.sendto("by name", {"localhost", port});
  sender.sendto("flagged", HostPort("127.0.0.1", port), MSG::DONTWAIT);
  EXPECT_EQ(receiver.recv(100), "by number");
  EXPECT_EQ(receiver.recv(100), "by name");
  EXPECT_EQ(receiver.recv(100), "flagged");
  EXPECT_THROW(sender.sendto("x", {"no such host", 1}), gaierror);
  EXPECT_THROW(Socket(AF::UNIX, SOCK::DGRAM).sendto("x", {"127.0.0.1", 1}), OSError);
}

// --- SIGPIPE ---

TEST(Sigpipe, NeverKillsTheProcessHoweverItSends) {
  const std::pair<std::string, void (*)(Socket&)> ways[] = {
      {"send", [](Socket& sock) { std::ignore = sock.send("x"); }},
      {"send, flags", [](Socket& sock) { std::ignore = sock.send("x", MSG::DONTWAIT); }},
      {"sendall", [](Socket& sock) { sock.sendall("x"); }},
      {"sendto",
       [](Socket& sock) {
         sock.sendto("x", {"127.0.0.1", 9});
       }},
      {"send with a timeout",
       [](Socket& sock) {
         sock.settimeout(5);
         sock.sendall("x");
       }},
      {"file",
       [](Socket& sock) {
         File file = sock.makefile("wb");
         file.write("x");
         file.flush();
       }},
      {"unbuffered file", [](Socket& sock) { sock.makefile("wb", {.buffering = 0}).write("x"); }},
  };
  for (const auto& [name, way] : ways) {
    const int status = run_in_child([way = way] {
      ::signal(SIGPIPE, SIG_DFL);
      auto [sock, peer] = tcp_pair();
      sock.shutdown(SHUT::WR);
      try {
        way(sock);
      } catch (const BrokenPipeError&) {
        return 7;
      }
      return 0;
    });
    EXPECT_EQ(status, 7) << name;
  }
}

// --- empty data and dropped data ---

TEST(ReceiveOfNothing, TakesNothingAndDoesNotWait) {
  for (auto& [one, other] : {tcp_pair(), socketpair(), socketpair(AF::UNIX, SOCK::DGRAM)}) {
    auto& sock = const_cast<Socket&>(one);
    auto& peer = const_cast<Socket&>(other);
    for (const Timeout timeout : {Timeout(0), Timeout(20), Timeout(std::nullopt)}) {
      sock.settimeout(timeout);
      EXPECT_EQ(sock.recv(0), "");
      EXPECT_EQ(sock.recv(0, MSG::PEEK), "");
      EXPECT_EQ(sock.recv_into(MutableBytes()), 0u);
      peer.sendall("abc");
      EXPECT_EQ(sock.recv(0), "");
      EXPECT_EQ(sock.recv_into(MutableBytes()), 0u);
      File file = sock.makefile("rb", {.buffering = 0});
      EXPECT_EQ(file.read(0), "");
      EXPECT_EQ(file.readline(0), "");
      sock.settimeout(20);
      EXPECT_EQ(sock.recv(100), "abc");
    }
    sock.close();
    EXPECT_EQ(sock.recv(0), "");
    EXPECT_EQ(sock.recv_into(MutableBytes()), 0u);
  }
}

TEST(ReceiveOfNothing, WithTheSenderOrAMessageWaitsAndTakesADatagram) {
  auto [sock, peer] = socketpair(AF::UNIX, SOCK::DGRAM);
  sock.settimeout(0.05);
  EXPECT_THROW(sock.recvfrom(0), TimeoutError);
  EXPECT_THROW(sock.recvfrom_into(MutableBytes()), TimeoutError);
  EXPECT_THROW(sock.recvmsg(0), TimeoutError);
  EXPECT_THROW(sock.recvmsg_into({}), TimeoutError);
  for (int i = 0; i < 5; ++i) peer.sendall("abc");
  EXPECT_EQ(sock.recvfrom(0).first, "");
  EXPECT_EQ(sock.recvfrom_into(MutableBytes()).first, 0u);
  EXPECT_EQ(sock.recvmsg(0).data, "");
  EXPECT_EQ(sock.recvmsg_into({}).count, 0u);
  EXPECT_EQ(sock.recv(100), "abc");
  EXPECT_THROW(sock.recv(100), TimeoutError);
}

TEST(ReceiveOfNothing, WithTheSenderOrAMessageWaitsAndLeavesAStream) {
  for (auto& [one, other] : {tcp_pair(), socketpair()}) {
    auto& sock = const_cast<Socket&>(one);
    auto& peer = const_cast<Socket&>(other);
    sock.settimeout(0.05);
    EXPECT_THROW(sock.recvfrom(0), TimeoutError);
    EXPECT_THROW(sock.recvmsg(0), TimeoutError);
    peer.sendall("abc");
    EXPECT_EQ(sock.recvfrom(0).first, "");
    EXPECT_EQ(sock.recvmsg(0).data, "");
    EXPECT_EQ(sock.recv(100), "abc");
  }
}

TEST(DroppingReceive, GivesNothingThatWasReceivedBefore) {
  const std::string secret(2'000, 's');
  for (const std::string call : {"recv", "recvfrom", "recvmsg", "recv_batch"}) {
    auto [sock, peer] = tcp_pair();
    auto [other, its_peer] = tcp_pair();
    const auto has_secret = [](BytesView data) {
      return std::string(data.data(), data.size()).find('s') != std::string::npos;
    };
    its_peer.sendall(secret);
    EXPECT_EQ(receive_exactly(other, secret.size()), secret);
    its_peer.sendall(secret);
    EXPECT_EQ(other.recvmsg(2'000, 0, MSG::WAITALL).data.size(), secret.size());
    peer.sendall("0123456789");
    SCOPED_TRACE(call);
    if (call == "recv") {
      const Bytes data = sock.recv(100, MSG::TRUNC);
      EXPECT_EQ(data.size(), 10u);
      EXPECT_FALSE(has_secret(data));
    } else if (call == "recvfrom") {
      EXPECT_FALSE(has_secret(sock.recvfrom(100, MSG::TRUNC).first));
    } else if (call == "recvmsg") {
      EXPECT_FALSE(has_secret(sock.recvmsg(100, 0, MSG::TRUNC).data));
    } else {
      DatagramBatch batch({.count = 1, .size = 100});
      for (Socket* const from : {&other, &sock}) {
        if (from == &other) its_peer.sendall(secret);
        recv_batch(*from, batch, from == &sock ? MSG::TRUNC : MSG{});
      }
      EXPECT_FALSE(has_secret(batch.begin()->data()));
    }
  }
}

}  // namespace
}  // namespace plug
