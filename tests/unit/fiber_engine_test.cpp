// Tests the engines that notify fibers of events: which one runs, and their common behaviour.

#include <plug/fiber.hpp>
#include <plug/plug.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <iterator>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "support/engines.hpp"
#include "support/errors.hpp"
#include "support/process.hpp"
#include "support/sockets.hpp"

namespace plug {
namespace {

using fiber::Engine;

/// Makes a system call of this process fail from now on.
bool refuse(std::uint32_t number, std::uint32_t error) {
  sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog program{4, filter};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

TEST(EngineOfFibers, IsTheOneThatIsAskedFor) {
  EXPECT_EQ(engine_of(Engine::epoll), "epoll");
  if (!has_uring()) GTEST_SKIP() << "no io_uring here";
  EXPECT_EQ(engine_of(Engine::uring), "uring");
}

TEST(EngineOfFibers, IsWhatTheEnvironmentSaysWhereCodeLeavesItOpen) {
  const bool uring = has_uring();
  EXPECT_EQ(run_in_child([&] {
              const auto with = [](const char* value) {
                ::setenv("PLUG_ENGINE", value, 1);
                return engine_of(Engine::auto_);
              };
              if (with("auto") != "epoll" || with("") != "epoll" || with("epoll") != "epoll")
                return 1;
              if (with("uring") != (uring ? "uring" : "epoll")) return 2;
              if (engine_of(Engine::epoll) != "epoll") return 3;
              ::unsetenv("PLUG_ENGINE");
              return engine_of(Engine::auto_) == "epoll" ? 0 : 4;
            }),
            0);
}

TEST(EngineOfFibers, IsNotGuessedFromAnUnknownName) {
  EXPECT_EQ(run_in_child([] {
              ::setenv("PLUG_ENGINE", "kqueue", 1);
              const std::string text = text_of_error<ValueError>([] { fiber::run([] {}); });
              return text == "PLUG_ENGINE: 'kqueue' is none of auto, epoll, uring" ? 0 : 1;
            }),
            0);
}

TEST(EngineOfFibers, IsEpollWhereIoUringIsRefused) {
  for (const int error : {ENOSYS, EPERM, EACCES, EINVAL, ENOMEM}) {
    EXPECT_EQ(run_in_child([&] {
                if (!refuse(SYS_io_uring_setup, static_cast<std::uint32_t>(error))) return 1;
                return engine_of(Engine::uring) == "epoll" ? 0 : 2;
              }),
              0)
        << error;
  }
}

/// Makes the system count this process's locked memory, and limits it to `bytes`.
bool limit_locked_memory(rlim_t bytes) {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3] = {};
  if (::syscall(SYS_capget, &header, sets) != 0) return false;
  sets[0].effective &= ~(1U << CAP_IPC_LOCK);
  const rlimit limit{bytes, bytes};
  return ::syscall(SYS_capset, &header, sets) == 0 && ::setrlimit(RLIMIT_MEMLOCK, &limit) == 0;
}

TEST(EngineOfFibers, IsEpollWhereThereMayBeNoMemoryForARing) {
  EXPECT_EQ(run_in_child([] {
              if (!limit_locked_memory(0)) return 1;
              return engine_of(Engine::uring) == "epoll" ? 0 : 2;
            }),
            0);
}

TEST(EngineOfFibers, IsEpollWhereARingMayBeMadeButNotUsed) {
  EXPECT_EQ(run_in_child([] {
              const int before = count_descriptors();
              if (!refuse(SYS_io_uring_enter, EPERM)) return 1;
              if (engine_of(Engine::uring) != "epoll") return 2;
              return count_descriptors() == before ? 0 : 3;
            }),
            0);
}

TEST(EngineOfFibers, SaysSoWhenTheSystemHasNothingToSpare) {
  if (!has_uring()) GTEST_SKIP() << "no io_uring here";
  EXPECT_EQ(run_in_child([] {
              if (!refuse(SYS_io_uring_setup, EMFILE)) return 1;
              return number_of_error([] { engine_of(Engine::uring); }) == EMFILE ? 0 : 2;
            }),
            0);
}

// --- on both engines ---

PLUG_ON_EACH_ENGINE(OnEngine);

TEST_P(OnEngine, WaitallWaitsForAllUntilTheEndOfTheStream) {
  run([] {
    auto [one, other] = tcp_pair();
    auto reader = fiber::spawn([&s = one] {
      std::vector<Bytes> got{s.recv(10, MSG::WAITALL)};
      std::string parts[2] = {std::string(3, ' '), std::string(4, ' ')};
      const auto message =
          s.recvmsg_into({MutableBytes(parts[0]), MutableBytes(parts[1])}, 0, MSG::WAITALL);
      got.push_back(parts[0] + parts[1]);
      EXPECT_EQ(message.count, 7u);
      got.push_back(s.recv(10, MSG::WAITALL));
      return got;
    });
    for (const char* piece : {"01234", "5678", "9ab", "cdefg", "hij"}) {
      fiber::sleep(0.002);
      other.sendall(std::string(piece));
    }
    fiber::sleep(0.002);
    other.close();
    EXPECT_THAT(reader.join(10), testing::ElementsAre("0123456789", "abcdefg", "hij"));
  });
}

TEST_P(OnEngine, WaitallWithPeekLeavesAllWhereItIs) {
  run([] {
    auto [one, other] = tcp_pair();
    auto reader = fiber::spawn([&s = one] { return s.recv(6, MSG::WAITALL | MSG::PEEK); });
    fiber::yield();
    other.sendall("abc");
    fiber::sleep(0.002);
    other.sendall("def");
    EXPECT_EQ(reader.join(10), "abcdef");
    EXPECT_EQ(one.recv(100), "abcdef");
  });
}

/// Returns the results of two receives that ask for more data than there is, once all has arrived.
std::vector<Bytes> receive_twice(Socket& sock, const std::function<void()>& send_all) {
  auto reader = fiber::spawn([&sock] {
    sock.settimeout(10);
    return std::vector<Bytes>{sock.recv(100), sock.recv(100)};
  });
  fiber::sleep(0.002);
  send_all();
  return reader.join();
}

TEST_P(OnEngine, BehindUrgentDataThereIsMore) {
  run([] {
    auto [one, other] = tcp_pair();
    EXPECT_THAT(receive_twice(one,
                              [&s = other] {
                                s.sendall("abc");
                                s.sendall("!", MSG::OOB);
                                s.sendall("def");
                              }),
                testing::ElementsAre("abc", "def"));
  });
}

TEST_P(OnEngine, BehindAMessageWithDescriptorsThereIsMore) {
  run([] {
    auto [one, other] = socketpair();
    EXPECT_THAT(receive_twice(one,
                              [&s = other] {
                                for (const char* data : {"abc", "def"})
                                  send_fds(s, {BytesView(std::string_view(data))}, std::vector{0});
                              }),
                testing::ElementsAre("abc", "def"));
  });
}

TEST_P(OnEngine, ASendWithoutATimeoutSendsAllOfIt) {
  run([] {
    auto [one, other] = tcp_pair();
    const std::string much(8 << 20, 'x');
    auto sender = fiber::spawn([&s = one, &much] { return s.send(much); });
    std::size_t got = 0;
    while (got < much.size()) got += other.recv(1 << 20).size();
    EXPECT_EQ(sender.join(10), much.size());
  });
}

TEST_P(OnEngine, WhatNeverWaitsOnAThreadDoesNotWaitInAFiber) {
  run([] {
    auto [one, other] = tcp_pair();
    EXPECT_THROW(one.recv(1, MSG::DONTWAIT), BlockingIOError);
    EXPECT_THROW(one.recv(1, MSG::ERRQUEUE), BlockingIOError);
    EXPECT_EQ(number_of_error([&s = one] { s.recv(1, MSG::OOB); }), EINVAL);
  });
}

TEST_P(OnEngine, WaitsForManyDescriptorsAtOnceAgainAndAgain) {
  run([] {
    std::vector<std::pair<Socket, Socket>> pairs;
    std::vector<FileObject> all;
    pairs.reserve(200);
    for (int i = 0; i < 200; ++i) {
      pairs.push_back(socketpair());
      all.emplace_back(pairs.back().first);
    }
    std::vector<std::size_t> seen;
    auto waiting = fiber::spawn([&] {
      for (int round = 0; round < 5; ++round) {
        const Selected ready = select(all, {}, {}, 10);
        for (std::size_t i = 0; i < all.size(); ++i) {
          if (!ready.readable.empty() && ready.readable.at(0) == all[i]) {
            pairs[i].first.recv(1);
            seen.push_back(i);
          }
        }
      }
    });
    for (const std::size_t i : {0u, 199u, 63u, 64u, 0u}) {
      const std::size_t before = seen.size();
      fiber::sleep(0.001);
      pairs[i].second.sendall("x");
      while (seen.size() == before && !waiting.done()) fiber::sleep(0.001);
    }
    waiting.join(20);
    EXPECT_THAT(seen, testing::ElementsAre(0, 199, 63, 64, 0));
  });
}

#ifdef PLUG_SANITIZED
constexpr int kManyPairs = 500;
#else
constexpr int kManyPairs = 3000;
#endif

TEST_P(OnEngine, CompletesManyMoreOperationsThanItsQueuesHold) {
  run([] {
    std::vector<std::pair<Socket, Socket>> pairs;
    std::vector<fiber::Task<Bytes>> readers;
    for (int i = 0; i < kManyPairs; ++i) pairs.push_back(socketpair());
    for (auto& pair : pairs)
      for (Socket* end : {&pair.first, &pair.second})
        readers.push_back(fiber::spawn([end] { return end->recv(1); }));
    fiber::yield();
    for (auto& [one, other] : pairs) {
      one.sendall("a", MSG::DONTWAIT);
      other.sendall("b", MSG::DONTWAIT);
    }
    std::size_t got = 0;
    for (auto& reader : readers) got += reader.join(20).size();
    EXPECT_EQ(got, readers.size());
  });
}

TEST_P(OnEngine, AThreadAndFibersOfBothEnginesShareAListenerAndItsConnections) {
  Socket listener = tcp_listener();
  const int port = listener.getsockname().port();
  constexpr int kEach = 20;
  std::atomic<int> accepted = 0;
  const auto accept_some = [&] {
    for (;;) {
      Socket conn = listener.accept().first;
      const Bytes word = conn.recv(4);
      if (word == "stop") return;
      conn.sendall(word);
      ++accepted;
    }
  };
  std::thread plain(accept_some);
  std::thread epoll([&] { fiber::run(accept_some, {.engine = Engine::epoll}); });
  std::thread uring([&] { fiber::run(accept_some, {.engine = Engine::uring}); });
  const auto clients = [&] {
    for (int i = 0; i < 3 * kEach; ++i) {
      Socket client = create_connection({"127.0.0.1", port});
      client.sendall("word");
      EXPECT_EQ(client.recv(4), "word");
    }
    for (int i = 0; i < 3; ++i) create_connection({"127.0.0.1", port}).sendall("stop");
  };
  fiber::run(clients, {.engine = GetParam()});
  plain.join();
  epoll.join();
  uring.join();
  EXPECT_EQ(accepted, 3 * kEach);
}

/// Two threads share nothing but a connection. The first writes to a variable and hands it over
/// through the connection; the second reads the variable.
using HandOver = std::function<void(Socket& one, Socket& other)>;

const HandOver kFirst[] = {
    [](Socket& one, Socket&) { one.sendall("x"); },
    [](Socket& one, Socket&) { one.sendmsg({BytesView("x")}); },
};
const HandOver kSecond[] = {
    [](Socket&, Socket& other) { other.recv(1); },
    [](Socket&, Socket& other) { other.recvmsg(1); },
};

TEST_P(OnEngine, WhatIsDoneBeforeSendingIsSeenAfterReceiving) {
  for (const bool first_in_fiber : {true, false}) {
    for (const bool second_in_fiber : {true, false}) {
      for (std::size_t way = 0; way < std::size(kFirst); ++way) {
        auto [one, other] = tcp_pair();
        int shared = 0;
        const auto in = [engine = GetParam()](bool fiber, const auto& body) {
          if (fiber)
            fiber::run(body, {.engine = engine});
          else
            body();
        };
        std::thread first([&, &a = one, &b = other] {
          in(first_in_fiber, [&] {
            shared = 1;
            kFirst[way](a, b);
          });
        });
        int seen = 0;
        std::thread second([&, &a = one, &b = other] {
          in(second_in_fiber, [&] {
            kSecond[way](a, b);
            seen = shared;
          });
        });
        first.join();
        second.join();
        EXPECT_EQ(seen, 1);
      }
    }
  }
}

TEST_P(OnEngine, WhatIsDoneBeforeConnectingIsSeenAfterAccepting) {
  for (const bool first_in_fiber : {true, false}) {
    for (const bool second_in_fiber : {true, false}) {
      Socket listener = tcp_listener();
      const Address address = listener.getsockname();
      int shared = 0, seen = 0;
      Bytes got;
      const auto in = [engine = GetParam()](bool fiber, const auto& body) {
        if (fiber)
          fiber::run(body, {.engine = engine});
        else
          body();
      };
      std::thread second([&] {
        Socket accepted;
        in(second_in_fiber, [&] {
          accepted = listener.accept().first;
          seen = shared;
        });
        // This receives in a plain thread, wherever the connection was accepted.
        got = accepted.recv(1);
        seen += shared;
      });
      std::thread first([&] {
        Socket client;
        in(first_in_fiber, [&] {
          shared = 1;
          client.connect(address);
        });
        client.sendall("x");
        client.recv(1);
      });
      first.join();
      second.join();
      EXPECT_EQ(seen, 2);
    }
  }
}

}  // namespace
}  // namespace plug
