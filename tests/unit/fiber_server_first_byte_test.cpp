// Tests servers whose handlers begin with the first byte of a connection.

#include <plug/fiber.hpp>
#include <plug/fiber/server.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <future>
#include <string>
#include <vector>

#include "fiber/engine/engine.hpp"
#include "fiber/scheduler.hpp"
#include "support/errors.hpp"
#include "support/fibers.hpp"
#include "support/process.hpp"
#include "support/serving.hpp"
#include "support/sockets.hpp"

namespace plug {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;
using Clock = std::chrono::steady_clock;

const ServerAddress kAnyPort{"127.0.0.1", 0};

/// A server with deferred handlers, which serves in a fiber until its destructor.
class AtFirstByte {
 public:
  explicit AtFirstByte(Timeout silence = std::nullopt, Timeout lifetime = std::nullopt) {
    server_.defer_until_readable = true;
    server_.connection_timeout = silence;
    server_.connection_lifetime = lifetime;
    server_.socket.listen(1000);
    serving_.push_back(fiber::spawn("serving", [this] { server_.serve_forever(std::nullopt); }));
  }
  AtFirstByte(const AtFirstByte&) = delete;
  AtFirstByte& operator=(const AtFirstByte&) = delete;
  ~AtFirstByte() { end(); }

  void end() {
    if (serving_.empty()) return;
    server_.shutdown();
    serving_.back().join(10);
    serving_.clear();
  }

  FiberTCPServer& server() { return server_; }
  Socket client() { return client_of(server_.server_address); }
  /// Returns when all clients have been accepted: a later one has been served.
  void settle() { EXPECT_EQ(ask(server_.server_address, "x"), "x"); }
  int handled() const { return handled_; }

 private:
  int handled_ = 0;
  FiberTCPServer server_{kAnyPort, [this](Request& request, const Address&, BaseServer&) {
                           ++handled_;
                           for (Bytes data = request->recv(100); !data.empty();
                                data = request->recv(100))
                             request->sendall(data);
                         }};
  std::vector<fiber::Task<void>> serving_;
};

TEST(AtTheFirstByte, AHandlerBeginsAndHasItAll) {
  in_fiber([] {
    AtFirstByte it;
    std::vector<Socket> clients;
    for (int i = 0; i < 100; ++i) clients.push_back(it.client());
    it.settle();
    EXPECT_EQ(it.handled(), 1);
    EXPECT_EQ(fibers_of_requests(), 0U);
    for (Socket& client : clients) client.sendall("hello");
    for (Socket& client : clients) EXPECT_EQ(client.recv(10), "hello");
    EXPECT_EQ(fibers_of_requests(), 100U);
    clients.clear();
    it.end();
    it.server().server_close();
    EXPECT_EQ(it.handled(), 101);
  });
}

TEST(AtTheFirstByte, AHandlerBeginsWhenTheClientLeavesWithoutAWord) {
  in_fiber([] {
    AtFirstByte it;
    {
      Socket client = it.client();
      client.shutdown(SHUT::WR);
      EXPECT_EQ(client.recv(1), "");
    }
    EXPECT_EQ(it.handled(), 1);
    {
      Socket resetting = it.client();
      it.settle();
      const int now[] = {1, 0};
      resetting.setsockopt(SOL::SOCKET, SO::LINGER,
                           BytesView(static_cast<const void*>(now), sizeof now));
      testing::internal::CaptureStderr();
    }
    it.settle();
    it.end();
    it.server().server_close();
    EXPECT_THAT(testing::internal::GetCapturedStderr(), HasSubstr("ConnectionResetError"));
  });
}

TEST(AtTheFirstByte, AClientThatIsSilentForTooLongIsClosedWithoutAHandler) {
  in_fiber([] {
    for (const bool lifetime : {false, true}) {
      AtFirstByte it(lifetime ? Timeout() : Timeout(0.05), lifetime ? Timeout(0.05) : Timeout());
      const Clock::time_point begin = Clock::now();
      std::vector<Socket> clients;
      for (int i = 0; i < 10; ++i) clients.push_back(it.client());
      for (Socket& client : clients) EXPECT_EQ(client.recv(1), "");
      EXPECT_GE(Clock::now() - begin, milliseconds(50));
      EXPECT_EQ(it.handled(), 0);
    }
  });
}

TEST(AtTheFirstByte, EachClientHasATimeoutOfItsOwn) {
  in_fiber([] {
    struct Varied : FiberTCPServer {
      using FiberTCPServer::FiberTCPServer;
      bool verify_request(Request& request, const Address&) override {
        request->settimeout(++clients == 1 ? Timeout() : Timeout(0.02));
        return true;
      }
      int clients = 0;
    };
    Server<Varied> server(kAnyPort, &echo);
    server.defer_until_readable = true;
    auto serving = fiber::spawn([&] { server.serve_forever(std::nullopt); });
    Socket patient = client_of(server.server_address);
    // The server waits for its first byte, without a timeout.
    while (!is_parked("deferred connections")) fiber::yield();
    Socket hasty = client_of(server.server_address);
    EXPECT_EQ(hasty.recv(1), "");
    patient.sendall("x");
    EXPECT_EQ(patient.recv(1), "!");
    server.shutdown();
    patient.close();
    serving.join(10);
  });
}

TEST(AtTheFirstByte, SilentClientsCountForTheLimit) {
  in_fiber([] {
    AtFirstByte it;
    it.server().max_connections = 2;
    Socket first = it.client();
    const Socket second = it.client();
    Socket third = it.client();
    third.sendall("x");
    third.settimeout(0.05);
    EXPECT_THROW(third.recv(1), TimeoutError);
    first.close();
    third.settimeout(30);
    EXPECT_EQ(third.recv(1), "x");
  });
}

TEST(AtTheFirstByte, SilentClientsAreClosedWhenTheServingEnds) {
  in_fiber([] {
    AtFirstByte it;
    Socket silent = it.client();
    Socket speaking = it.client();
    speaking.sendall("a");
    EXPECT_EQ(speaking.recv(1), "a");
    it.end();
    EXPECT_EQ(silent.recv(1), "");
    speaking.sendall("b");
    EXPECT_EQ(speaking.recv(1), "b");
    EXPECT_EQ(fibers_of_requests(), 1U);
    EXPECT_EQ(it.handled(), 1);
    speaking.close();
  });
}

TEST(AtTheFirstByte, SilentClientsDoNotHoldUpTheEndByASignal) {
  FiberTCPServer server(kAnyPort, &echo);
  server.defer_until_readable = true;
  auto ended = std::async(std::launch::async,
                          [&] { return server.serve_until_signal({.drain = std::nullopt}); });
  Socket silent = client_of(server.server_address);
  EXPECT_EQ(ask(server.server_address, "x"), "!x");
  std::raise(SIGTERM);
  EXPECT_EQ(ended.get(), SIGTERM);
  EXPECT_EQ(silent.recv(1), "");
}

TEST(AtTheFirstByte, OneRequestIsWaitedForUntilThen) {
  FiberTCPServer server(kAnyPort, &echo);
  server.defer_until_readable = true;
  Socket client = client_of(server.server_address);
  auto handled = std::async(std::launch::async, [&] { server.handle_request(); });
  EXPECT_EQ(handled.wait_for(milliseconds(20)), std::future_status::timeout);
  client.sendall("x");
  EXPECT_EQ(client.recv(1), "!");
  client.close();
  handled.get();
}

TEST(AtTheFirstByte, OneRequestIsTheFirstThatSpeaks) {
  FiberTCPServer server(kAnyPort, &echo);
  server.defer_until_readable = true;
  server.timeout = 30;
  Socket silent = client_of(server.server_address);
  Socket speaking = client_of(server.server_address);
  speaking.sendall("x");
  speaking.shutdown(SHUT::WR);
  // In another thread, whose fibers end with the call.
  const auto handle = [&] {
    std::async(std::launch::async, [&] { server.handle_request(); }).get();
  };
  handle();
  EXPECT_EQ(receive_exactly(speaking, 2), "!x");
  // The server keeps the other connection for later.
  silent.sendall("y");
  silent.shutdown(SHUT::WR);
  handle();
  EXPECT_EQ(receive_exactly(silent, 2), "!y");
}

struct Counting : FiberTCPServer {
  using FiberTCPServer::FiberTCPServer;
  void handle_timeout() override { ++timeouts; }
  int timeouts = 0;
};

TEST(AtTheFirstByte, OneRequestIsNotWaitedForBeyondTheTimeout) {
  for (const bool inside : {false, true}) {
    Server<Counting> server(kAnyPort, &echo);
    server.defer_until_readable = true;
    server.timeout = 0.05;
    Socket silent = client_of(server.server_address);
    const auto handle = [&] {
      const Clock::time_point begin = Clock::now();
      server.handle_request();
      EXPECT_GE(Clock::now() - begin, milliseconds(50));
      EXPECT_EQ(server.timeouts, 1);
      server.server_close();
    };
    if (inside)
      in_fiber(handle);
    else
      std::async(std::launch::async, handle).get();
    EXPECT_EQ(silent.recv(1), "");
  }
}

/// A server whose hook peeks at the first byte, or receives the head of the data.
struct LooksFirst : FiberTCPServer {
  using FiberTCPServer::FiberTCPServer;
  bool verify_request(Request& request, const Address&) override {
    looking = true;
    EXPECT_NE(flags == MSG::PEEK ? request->recv(1, flags) : request->recv(5), "");
    return true;
  }
  MSG flags = MSG::PEEK;
  bool looking = false;
};

TEST(AtTheFirstByte, AHandlerBeginsAfterAHookHasWaitedForIt) {
  in_fiber([] {
    for (const MSG flags : {MSG::PEEK, MSG{}}) {
      Server<LooksFirst> server(kAnyPort, &echo);
      server.defer_until_readable = true;
      server.flags = flags;
      auto serving = fiber::spawn([&] { server.serve_forever(std::nullopt); });
      Socket client = client_of(server.server_address);
      client.settimeout(10);
      while (!server.looking) fiber::yield();
      client.sendall("HEAD\nbody");
      EXPECT_EQ(client.recv(1), "!");
      EXPECT_EQ(receive_exactly(client, 4), flags == MSG::PEEK ? "HEAD" : "body");
      client.close();
      server.shutdown();
      serving.join(10);
    }
  });
}

TEST(AtTheFirstByte, AnArrivalIsForgottenWhenItsDescriptorHasBeenClosed) {
  struct Told : detail::fiber::Arrival {
    void arrived() noexcept override { ++times; }
    int times = 0;
  };
  in_fiber([] {
    detail::fiber::IoEngine& engine = detail::fiber::FiberScheduler::here()->engine();
    if (!engine.supports_read_events()) return;
    auto [client, server] = tcp_pair();
    detail::wait::Descriptor descriptor(server.detach());
    Told told;
    {
      const detail::wait::Descriptor::InFlight in_flight(descriptor, false);
      ASSERT_EQ(engine.await_arrival(in_flight, told), 0);
      descriptor.close();
      engine.forget_arrival(in_flight);
      client.sendall("x");
      fiber::sleep(0.01);
    }
    EXPECT_EQ(told.times, 0);
  });
}

TEST(AtTheFirstByte, DatagramsAreAnsweredAsEver) {
  FiberUDPServer server(kAnyPort, [](Request& request, const Address& from, BaseServer&) {
    request->sendto(request.data(), from);
  });
  server.defer_until_readable = true;
  const Serving serving(server);
  Socket client = datagram_client(AF::INET);
  client.sendto("x", server.server_address);
  EXPECT_EQ(client.recv(10), "x");
}

TEST(AtTheFirstByte, NothingIsLeftOfManyClients) {
  const int before = settled_descriptors();
  in_fiber([] {
    AtFirstByte it;
    for (int round = 0; round < 20; ++round) {
      std::vector<Socket> clients;
      for (int i = 0; i < 20; ++i) clients.push_back(it.client());
      for (std::size_t i = 0; i < clients.size(); i += 2) clients[i].sendall("x");
    }
    it.settle();
  });
  EXPECT_EQ(settled_descriptors(), before);
}

}  // namespace
}  // namespace plug
