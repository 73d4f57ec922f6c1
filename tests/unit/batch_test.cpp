// Tests batches of datagrams, in a thread or (tests/main.cpp) in a fiber.

#include <plug/plug.hpp>
#include <plug/socket/batch.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "support/blocked_thread.hpp"
#include "support/errors.hpp"

namespace plug {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr int kSoon = 20;  // seconds; a test that takes longer hangs

Socket bound(AF family = AF::INET, std::string_view host = "127.0.0.1") {
  Socket sock(family, SOCK::DGRAM);
  sock.bind({host, 0});
  sock.settimeout(kSoon);
  return sock;
}

std::vector<std::string> texts(DatagramBatch& batch) {
  std::vector<std::string> all;
  for (const Datagram& datagram : batch) all.emplace_back(std::string_view(datagram.data()));
  return all;
}

TEST(DatagramBatch, HoldsWhatIsAddedUntilItIsCleared) {
  DatagramBatch batch({.count = 2, .size = 4});
  EXPECT_TRUE(batch.empty());
  EXPECT_EQ(batch.capacity(), 2u);
  batch.add("one");
  batch.add().assign("two");
  EXPECT_TRUE(batch.full());
  EXPECT_THAT(texts(batch), ElementsAre("one", "two"));
  DatagramBatch moved = std::move(batch);
  EXPECT_THAT(texts(moved), ElementsAre("one", "two"));
  EXPECT_EQ(batch.capacity(), 0u);
  EXPECT_TRUE(batch.empty());
  moved.clear();
  EXPECT_THAT(texts(moved), IsEmpty());
  EXPECT_EQ(moved.add().data().size(), 0u);
}

TEST(DatagramBatch, IsWrittenInPlace) {
  DatagramBatch batch({.size = 8});
  Datagram& datagram = batch.add();
  ASSERT_EQ(datagram.memory().size(), 8u);
  datagram.memory().data()[0] = 'x';
  datagram.resize(1);
  EXPECT_THAT(texts(batch), ElementsAre("x"));
}

TEST(DatagramBatch, RefusesWhatItHasNoRoomFor) {
  EXPECT_THAT(text_of_error<ValueError>([] { DatagramBatch({.count = 0}); }), HasSubstr("count"));
  EXPECT_THAT(text_of_error<ValueError>([] { DatagramBatch({.count = 1025}); }), HasSubstr("1025"));
  EXPECT_THAT(text_of_error<ValueError>([] { DatagramBatch({.size = 0}); }), HasSubstr("size"));
  DatagramBatch batch({.count = 1, .size = 3});
  EXPECT_THAT(text_of_error<ValueError>([&] { batch.add("four"); }), HasSubstr("4 bytes"));
  EXPECT_TRUE(batch.empty());
  batch.add("one");
  EXPECT_THAT(text_of_error<ValueError>([&] { batch.add("two"); }), HasSubstr("full"));
  EXPECT_THAT(text_of_error<ValueError>([&] { batch[0].resize(4); }), HasSubstr("4 bytes"));
  EXPECT_THAT(text_of_error<ValueError>([&] { batch[0].set_source({}); }),
              HasSubstr("packet_info"));
  EXPECT_THAT(texts(batch), ElementsAre("one"));
}

TEST(Batch, BringsWhatHasComeInOrderWithItsSenders) {
  Socket receiver = bound();
  Socket first = bound(), second = bound();
  first.sendto("a", receiver.getsockname());
  second.sendto("bb", receiver.getsockname());
  first.sendto("", receiver.getsockname());
  DatagramBatch batch;
  ASSERT_EQ(recv_batch(receiver, batch), 3u);
  EXPECT_THAT(texts(batch), ElementsAre("a", "bb", ""));
  EXPECT_EQ(batch[0].address, first.getsockname());
  EXPECT_EQ(batch[1].address, second.getsockname());
  EXPECT_EQ(batch[2].address, first.getsockname());
}

TEST(Batch, TakesNoMoreThanItHasRoomFor) {
  Socket receiver = bound(), sender = bound();
  for (const char* text : {"1", "2", "3"})
    sender.sendto(std::string_view(text), receiver.getsockname());
  DatagramBatch batch({.count = 2});
  EXPECT_EQ(recv_batch(receiver, batch), 2u);
  EXPECT_THAT(texts(batch), ElementsAre("1", "2"));
  EXPECT_EQ(recv_batch(receiver, batch), 1u);
  EXPECT_THAT(texts(batch), ElementsAre("3"));
}

TEST(Batch, SaysWhatWasCut) {
  Socket receiver = bound(), sender = bound();
  sender.sendto("12345", receiver.getsockname());
  sender.sendto("1234", receiver.getsockname());
  DatagramBatch batch({.size = 4});
  ASSERT_EQ(recv_batch(receiver, batch), 2u);
  EXPECT_THAT(texts(batch), ElementsAre("1234", "1234"));
  EXPECT_TRUE(batch[0].flags() & MSG::TRUNC);
  EXPECT_FALSE(batch[1].flags() & MSG::TRUNC);
}

TEST(Batch, GoesBackToItsSendersAsOftenAsItIsSent) {
  Socket server = bound(), client = bound();
  DatagramBatch batch;
  for (int i = 0; i < 3; ++i) {
    client.sendto("ask", server.getsockname());
    ASSERT_EQ(recv_batch(server, batch), 1u);
    batch[0].assign("answer " + std::to_string(i));
    EXPECT_EQ(send_batch(server, batch), 1u);
    EXPECT_EQ(send_batch(server, batch), 1u);
    for (int twice = 0; twice < 2; ++twice) {
      const auto [data, from] = client.recvfrom(100);
      EXPECT_EQ(data, "answer " + std::to_string(i));
      EXPECT_EQ(from, server.getsockname());
    }
  }
}

TEST(Batch, IsSentWhereTheSocketIsConnectedTo) {
  Socket server = bound(), client = bound();
  client.connect(server.getsockname());
  DatagramBatch batch;
  batch.add("one");
  batch.add("two");
  EXPECT_EQ(send_batch(client, batch), 2u);
  EXPECT_EQ(recv_batch(server, batch), 2u);
  EXPECT_THAT(texts(batch), ElementsAre("one", "two"));
}

TEST(Batch, OfMoreThanTheOtherEndTakesAtOnceWaitsForRoom) {
  auto [reader, writer] = socketpair(AF::UNIX, SOCK::DGRAM);
  for (Socket* sock : {&reader, &writer}) sock->settimeout(kSoon);
  constexpr std::size_t kCount = 1000;  // the system queues about ten of them
  std::thread reading([&reader = reader] {
    DatagramBatch batch({.count = 16});
    for (std::size_t got = 0; got < kCount;) {
      recv_batch(reader, batch);
      for (const Datagram& datagram : batch)
        EXPECT_EQ(std::string_view(datagram.data()), std::to_string(got++));
    }
  });
  DatagramBatch batch({.count = kCount, .size = 8});
  for (std::size_t i = 0; i < kCount; ++i) batch.add(std::to_string(i));
  EXPECT_EQ(send_batch(writer, batch), kCount);
  reading.join();
}

TEST(Batch, WaitsForTheFirst) {
  for (const bool timed : {false, true}) {
    Socket receiver = bound(), sender = bound();
    if (!timed) receiver.settimeout(std::nullopt);
    const OnceBlocked sending([&] { sender.sendto("late", receiver.getsockname()); });
    DatagramBatch batch;
    EXPECT_EQ(recv_batch(receiver, batch), 1u);
    EXPECT_THAT(texts(batch), ElementsAre("late"));
  }
}

TEST(Batch, TellsThatNothingCame) {
  Socket receiver = bound();
  DatagramBatch batch;
  batch.add("before");
  receiver.settimeout(0.01);
  EXPECT_THROW(recv_batch(receiver, batch), TimeoutError);
  EXPECT_TRUE(batch.empty());
  receiver.setblocking(false);
  EXPECT_THROW(recv_batch(receiver, batch), BlockingIOError);
  std::error_code error;
  EXPECT_EQ(recv_batch(receiver, batch, error), 0u);
  EXPECT_EQ(error, std::errc::operation_would_block);
  receiver.settimeout(std::nullopt);
  EXPECT_EQ(recv_batch(receiver, batch, error, MSG::DONTWAIT), 0u);
  EXPECT_EQ(error, std::errc::operation_would_block);
}

TEST(Batch, SaysHowManyWentBeforeTheOneThatFails) {
  Socket receiver = bound(), sender = bound();
  DatagramBatch batch;
  batch.add("one", receiver.getsockname());
  batch.add("two", receiver.getsockname());
  batch.add("nowhere");
  batch.add("four", receiver.getsockname());
  std::error_code error;
  EXPECT_EQ(send_batch(sender, batch, error), 2u);
  EXPECT_EQ(error, std::errc::destination_address_required);
  EXPECT_THAT(text_of_error<OSError>([&] { send_batch(sender, batch); }),
              HasSubstr("2 of 4 datagrams"));
  DatagramBatch got;
  ASSERT_EQ(recv_batch(receiver, got), 4u);
  EXPECT_THAT(texts(got), ElementsAre("one", "two", "one", "two"));
}

TEST(Batch, OfNothingIsSentWithoutACall) {
  Socket sender = bound();
  DatagramBatch batch;
  EXPECT_EQ(send_batch(sender, batch), 0u);
}

TEST(Batch, FailsOnAClosedSocketAndOnAMovedBatch) {
  Socket sock = bound();
  DatagramBatch batch;
  const DatagramBatch moved = std::move(batch);
  std::error_code error;
  EXPECT_EQ(recv_batch(sock, batch, error), 0u);
  EXPECT_EQ(error, std::errc::operation_not_supported);
  EXPECT_EQ(send_batch(sock, batch, error), 0u);
  EXPECT_EQ(error, std::errc::operation_not_supported);
  DatagramBatch other;
  other.add("x", sock.getsockname());
  sock.close();
  EXPECT_EQ(number_of_error([&] { send_batch(sock, other); }), EBADF);
  EXPECT_EQ(number_of_error([&] { recv_batch(sock, other); }), EBADF);
}

TEST(Batch, EndsWhenItsSocketCloses) {
  Socket sock = bound();
  const OnceBlocked closing([&] { sock.close(); });
  DatagramBatch batch;
  EXPECT_EQ(number_of_error([&] { recv_batch(sock, batch); }), EBADF);
}

TEST(Batch, SaysWhereEachArrivedAndAnswersFromThere) {
  Socket server(AF::INET, SOCK::DGRAM);
  server.bind({"", 0});
  server.settimeout(kSoon);
  server.setsockopt(IPPROTO::IP_, IP_::PKTINFO, 1);
  const int port = server.getsockname().port();
  Socket client = bound();
  client.sendto("3", {"127.0.0.3", port});
  client.sendto("2", {"127.0.0.2", port});
  DatagramBatch batch({.packet_info = true});
  ASSERT_EQ(recv_batch(server, batch), 2u);
  for (Datagram& datagram : batch) {
    const auto info = datagram.packet_info();
    ASSERT_TRUE(info);
    EXPECT_EQ(info->local.host(), "127.0.0." + std::string(std::string_view(datagram.data())));
    EXPECT_EQ(info->destination, info->local);
    EXPECT_GT(info->interface_index, 0);
    datagram.set_source(*info);
  }
  EXPECT_EQ(send_batch(server, batch), 2u);
  EXPECT_EQ(client.recvfrom(10).second, Address::parse("127.0.0.3:" + std::to_string(port)));
  EXPECT_EQ(client.recvfrom(10).second, Address::parse("127.0.0.2:" + std::to_string(port)));

  // The next batch contains nothing of the previous one.
  client.sendto("again", {"127.0.0.1", port});
  ASSERT_EQ(recv_batch(server, batch), 1u);
  EXPECT_EQ(batch[0].packet_info()->local.host(), "127.0.0.1");
}

TEST(Batch, SaysWhereEachArrivedByIPv6) {
  Socket server = bound(AF::INET6, "::1");
  server.setsockopt(IPPROTO::IPV6, IPV6::RECVPKTINFO, 1);
  Socket client = bound(AF::INET6, "::1");
  client.sendto("x", server.getsockname());
  DatagramBatch batch({.packet_info = true});
  ASSERT_EQ(recv_batch(server, batch), 1u);
  ASSERT_TRUE(batch[0].packet_info());
  EXPECT_EQ(batch[0].packet_info()->local.host(), "::1");
  batch[0].set_source(*batch[0].packet_info());
  EXPECT_EQ(send_batch(server, batch), 1u);
  EXPECT_EQ(client.recvfrom(10).second, server.getsockname());
}

TEST(Batch, HasNoPacketInfoUnlessBothAskForIt) {
  Socket server = bound();
  Socket client = bound();
  DatagramBatch with({.packet_info = true});
  DatagramBatch without;
  client.sendto("x", server.getsockname());
  ASSERT_EQ(recv_batch(server, with), 1u);
  EXPECT_FALSE(with[0].packet_info());
  server.setsockopt(IPPROTO::IP_, IP_::PKTINFO, 1);
  client.sendto("x", server.getsockname());
  ASSERT_EQ(recv_batch(server, without), 1u);
  EXPECT_FALSE(without[0].packet_info());
}

TEST(Batch, TakesNoDescriptorsThatSomebodySends) {
  auto [reader, writer] = socketpair(AF::UNIX, SOCK::DGRAM);
  send_fds(writer, {"x"}, {writer.fileno()});
  DatagramBatch batch({.packet_info = true});
  ASSERT_EQ(recv_batch(reader, batch), 1u);
  EXPECT_TRUE(batch[0].flags() & MSG::CTRUNC);
  EXPECT_FALSE(batch[0].packet_info());
}

}  // namespace
}  // namespace plug
