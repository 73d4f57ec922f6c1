// Tests that promises about fibers hold in any order of events: each test runs in a thousand
// orders, generated from seeds.

#include <plug/fiber/cores.hpp>
#include <plug/fiber/server.hpp>
#include <plug/plug.hpp>

#include <gtest/gtest.h>

#include <cerrno>
#include <chrono>
#include <cstdint>
#include <random>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "support/errors.hpp"
#include "support/fake_clock.hpp"
#include "support/fibers.hpp"
#include "support/process.hpp"
#include "support/serving.hpp"
#include "support/sockets.hpp"

namespace plug {
namespace {

using std::chrono::microseconds;

// An event that takes longer than this many seconds is lost.
constexpr int kLost = 30;

#ifdef PLUG_SANITIZED
constexpr std::uint64_t kSeeds = 200;
#else
constexpr std::uint64_t kSeeds = 1000;
#endif

/// The random decisions of a test, the same for the same seed.
class Chance {
 public:
  explicit Chance(std::uint64_t seed) : numbers_(seed) {}

  bool toss() { return below(2) == 1; }
  std::uint64_t below(std::uint64_t limit) { return numbers_() % limit; }
  /// Lets the other fibers run for a while, or not at all.
  void pause() {
    for (std::uint64_t times = below(4); times > 0; --times) fiber::yield();
  }

 private:
  std::mt19937_64 numbers_;
};

/// Calls happen(chance) in the main fiber, once for each seed, until one fails.
template <class F>
void in_every_order(F happen) {
  if (fiber::inside()) GTEST_SKIP() << "it orders fibers of its own";
  for (std::uint64_t seed = 0; seed < kSeeds && !testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Chance chance(seed);
    try {
      fiber::run([&] { happen(chance); }, {.seed = seed});
    } catch (const std::exception& error) {
      ADD_FAILURE() << error.what();
    }
  }
}

std::string received(Socket& sock) { return sock.recv(100); }

TEST(ClosingInEveryOrder, WakesItsWaitersAndNoOthers) {
  const int before = settled_descriptors();
  in_every_order([](Chance& chance) {
    auto [sock, peer] = socketpair();
    auto [other, other_peer] = socketpair();
    if (chance.toss()) sock.settimeout(kLost);
    std::vector<fiber::Task<int>> waiting;
    for (int i = 0; i < 3; ++i)
      waiting.push_back(fiber::spawn([&sock = sock, &chance] {
        chance.pause();
        return number_of_error([&] { sock.recv(1); });
      }));
    auto stays = fiber::spawn([&other = other] { return received(other); });
    auto again = fiber::spawn([&sock = sock, &chance] {
      chance.pause();
      sock.close();
      return socketpair();  // with the same number
    });
    auto [reused, reused_peer] = again.join(kLost);
    auto begun = fiber::spawn([&reused = reused] { return received(reused); });
    for (auto& each : waiting) EXPECT_EQ(each.join(kLost), EBADF);
    chance.pause();
    EXPECT_FALSE(stays.done());
    EXPECT_FALSE(begun.done());
    reused_peer.sendall("new");
    other_peer.sendall("old");
    EXPECT_EQ(stays.join(kLost), "old");
    EXPECT_EQ(begun.join(kLost), "new");
  });
  EXPECT_EQ(count_descriptors(), before);
}

TEST(ClosingInEveryOrder, EndsAcceptAndConnectToo) {
  const FullListener full;
  in_every_order([&](Chance& chance) {
    Socket listener = tcp_listener();
    Socket client(AF::INET);
    auto accepting = fiber::spawn([&] {
      chance.pause();
      return number_of_error([&] { std::ignore = listener.accept(); });
    });
    auto connecting = fiber::spawn([&] {
      chance.pause();
      return number_of_error([&] { client.connect(full.address()); });
    });
    fiber::spawn([&] {
      chance.pause();
      listener.close();
    }).join(kLost);
    chance.pause();
    client.close();
    EXPECT_EQ(accepting.join(kLost), EBADF);
    EXPECT_EQ(connecting.join(kLost), EBADF);
  });
}

TEST(CancellingInEveryOrder, IsToldOnceAndLosesNothing) {
  in_every_order([](Chance& chance) {
    struct One {
      Socket sock, peer;
      int told = 0;
    };
    std::vector<One> all(4);
    std::vector<fiber::Task<std::string>> tasks;
    for (One& one : all) {
      std::tie(one.sock, one.peer) = socketpair();
      if (chance.toss()) one.sock.settimeout(kLost);
      tasks.push_back(fiber::spawn(std::to_string(&one - all.data()), [&one, &chance] {
        try {
          chance.pause();
          return received(one.sock);
        } catch (const CancelledError&) {
          ++one.told;
          return received(one.sock);
        }
      }));
    }
    for (std::size_t i = 0; i < all.size(); ++i) {
      chance.pause();
      const bool before_it_came = chance.toss();
      const bool waited = is_parked(std::to_string(i));
      if (before_it_came) tasks[i].cancel();
      chance.pause();
      all[i].peer.sendall("x");
      if (!before_it_came) tasks[i].cancel();
      EXPECT_EQ(tasks[i].join(kLost), "x");
      EXPECT_LE(all[i].told, 1);
      // io_uring still receives data that arrives before the kernel knows of the cancellation. The
      // next call is then cancelled.
      if (before_it_came && waited && fiber::engine() == "epoll") {
        EXPECT_EQ(all[i].told, 1);
      }
    }
  });
}

TEST(TimeoutsInEveryOrder, LoseNothingThatArrivesThen) {
  // Unix sockets: the kernel delivers in the call itself, so that the clock does not overtake it.
  const FakeClock clock;
  constexpr microseconds kTime{20};
  int in_time = 0;
  in_every_order([&](Chance& chance) {
    auto [sock, peer] = socketpair();
    Socket listener(AF::UNIX);
    listener.bind(UnixAddress(""));
    listener.listen();
    auto receiving = fiber::spawn([&sock = sock, &in_time] {
      sock.settimeout(kTime);
      std::error_code error;
      Bytes data = sock.recv(100, error);
      in_time += !error;
      if (!error) return std::string(data);
      EXPECT_EQ(error, timed_out());
      sock.settimeout(kLost);
      return received(sock);
    });
    auto accepting = fiber::spawn([&listener] {
      listener.settimeout(kTime);
      std::error_code error;
      std::ignore = listener.accept(error);
      if (!error) return true;
      EXPECT_EQ(error, timed_out());
      listener.settimeout(kLost);
      std::ignore = listener.accept();
      return true;
    });
    auto sending = fiber::spawn([&peer = peer, &chance] {
      if (chance.toss()) fiber::sleep(kTime);
      chance.pause();
      FakeClock::advance(microseconds(chance.below(40)));
      chance.pause();
      peer.sendall("x");
    });
    Socket client(AF::UNIX);
    auto connecting = fiber::spawn([&] {
      if (chance.toss()) fiber::sleep(kTime);
      client.connect(listener.getsockname());
    });
    try {
      sending.join(kTime);
    } catch (const TimeoutError&) {
      sending.join(kLost);
    }
    EXPECT_EQ(receiving.join(kLost), "x");
    EXPECT_TRUE(accepting.join(kLost));
    connecting.join(kLost);
  });
  if (!fiber::inside()) {
    EXPECT_GT(in_time, 0);
  }
}

TEST(ShuttingDownInEveryOrder, EndsReadersAndWriters) {
  in_every_order([](Chance& chance) {
    auto [sock, peer] = chance.toss() ? tcp_pair() : socketpair();
    auto reading = fiber::spawn([&sock = sock, &chance] {
      chance.pause();
      return received(sock);
    });
    auto writing = fiber::spawn([&sock = sock, &chance] {
      chance.pause();
      const std::string much(20'000, 'x');
      return number_of_error([&] {
        while (true) sock.sendall(much);
      });
    });
    auto theirs = fiber::spawn([&peer = peer] {
      while (!peer.recv(1 << 20).empty()) continue;
    });
    for (int i = 0; i < 10; ++i) chance.pause();
    sock.shutdown(SHUT::RDWR);
    EXPECT_EQ(reading.join(kLost), "");
    EXPECT_EQ(writing.join(kLost), EPIPE);
    theirs.join(kLost);
  });
}

TEST(ShuttingDownInEveryOrder, LetsAServerAnswerItsAcceptedClients) {
  const int before = settled_descriptors();
  in_every_order([](Chance& chance) {
    int handled = 0;
    std::vector<fiber::Task<std::string>> clients;
    {
      FiberTCPServer server({"127.0.0.1", 0}, [&](Request& request, const Address&, BaseServer&) {
        chance.pause();
        request->sendall("hello");
        ++handled;
      });
      const Address address = server.server_address;
      auto serving = fiber::spawn([&server] { server.serve_forever(); });
      for (int i = 0; i < 3; ++i)
        clients.push_back(fiber::spawn([address, &chance] {
          chance.pause();
          Socket client(AF::INET);
          std::error_code error;
          client.connect(address, error);
          return error ? std::string() : client.recv(100, error);
        }));
      for (int i = 0; i < 3; ++i) chance.pause();
      server.shutdown();
      serving.join(kLost);
      server.server_close();
    }
    int answered = 0;
    for (auto& client : clients) answered += client.join(kLost) == "hello";
    EXPECT_EQ(answered, handled);
  });
  EXPECT_EQ(count_descriptors(), before);
}

TEST(HandingOverInEveryOrder, RunsTheFiberOrClosesWhatItHolds) {
  if (fiber::inside()) GTEST_SKIP() << "it runs fibers of its own";
  const int before = settled_descriptors();
  for (std::uint64_t seed = 0; seed < kSeeds && !HasFailure(); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    const std::uint64_t sent_before_end = seed % 8;
    std::vector<Socket> peers(8);
    std::vector<fiber::Task<void>> tasks;
    int run = 0;
    fiber::run_on_threads(2,
                          [&](std::size_t core, const std::vector<fiber::Scheduler>& all) {
                            Chance chance(2 * seed + core);
                            if (core == 1) {
                              for (std::uint64_t i = 0; i < sent_before_end; ++i) chance.pause();
                              return;
                            }
                            for (Socket& peer : peers) {
                              Socket conn;
                              std::tie(conn, peer) = socketpair();
                              peer.settimeout(kLost);
                              peer.sendall("x");
                              try {
                                tasks.push_back(all[1].spawn([conn = std::move(conn)]() mutable {
                                  conn.sendall(conn.recv(1));
                                }));
                              } catch (const RuntimeError&) {  // that core has ended
                              }
                              chance.pause();
                            }
                            for (auto& task : tasks) {
                              try {
                                task.join(kLost);
                                ++run;
                              } catch (const RuntimeError&) {  // it has not run
                              }
                            }
                          },
                          {.seed = seed});
    int answered = 0;
    for (Socket& peer : peers) {
      std::error_code error;
      const std::string answer = peer.recv(1, error);
      answered += answer == "x";
      // Closing a socket with unread data resets the connection.
      EXPECT_TRUE(!error || error == std::errc::connection_reset) << error.message();
    }
    EXPECT_EQ(answered, run);
  }
  EXPECT_EQ(count_descriptors(), before);
}

}  // namespace
}  // namespace plug
