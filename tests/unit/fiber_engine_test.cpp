// What tells fibers that something has happened: which of them runs, what both do alike, and what
// they do when operations fail.

#include <plug/fiber.hpp>
#include <plug/plug.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "engine/faults.hpp"
#include "support/errors.hpp"
#include "support/process.hpp"
#include "support/sockets.hpp"

namespace plug {
namespace {

using detail::Fault;
using detail::Op;
using fiber::Engine;

std::string engine_of(Engine asked) {
  return fiber::run([] { return std::string(fiber::engine()); }, {.engine = asked});
}

/// Has a system call fail from here on, in this process.
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

bool has_uring() { return engine_of(Engine::uring) == "uring"; }

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
  for (const int error : {ENOSYS, EPERM, EACCES, EINVAL}) {
    EXPECT_EQ(run_in_child([&] {
                if (!refuse(SYS_io_uring_setup, static_cast<std::uint32_t>(error))) return 1;
                return engine_of(Engine::uring) == "epoll" ? 0 : 2;
              }),
              0)
        << error;
  }
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
              if (!refuse(SYS_io_uring_setup, ENOMEM)) return 1;
              return number_of_error([] { engine_of(Engine::uring); }) == ENOMEM ? 0 : 2;
            }),
            0);
}

// --- on both ---

class OnEngine : public testing::TestWithParam<Engine> {
 protected:
  void SetUp() override {
    if (GetParam() == Engine::uring && !has_uring()) GTEST_SKIP() << "no io_uring here";
  }
  template <class F>
  void run(F main) {
    const int before = count_descriptors();
    fiber::run(std::move(main), {.engine = GetParam()});
    EXPECT_EQ(count_descriptors(), before);
  }
};

INSTANTIATE_TEST_SUITE_P(Engines, OnEngine, testing::Values(Engine::epoll, Engine::uring),
                         [](const auto& tested) {
                           return tested.param == Engine::epoll ? "epoll" : "uring";
                         });

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
    auto waiting = fiber::spawn([&] {
      std::vector<std::size_t> seen;
      for (int round = 0; round < 5; ++round) {
        const Selected ready = select(all, {}, {}, 10);
        for (std::size_t i = 0; i < all.size(); ++i) {
          if (!ready.readable.empty() && ready.readable.at(0) == all[i]) {
            pairs[i].first.recv(1);
            seen.push_back(i);
          }
        }
      }
      return seen;
    });
    for (const std::size_t i : {0u, 199u, 63u, 64u, 0u}) {
      fiber::sleep(0.001);
      pairs[i].second.send("x");
    }
    EXPECT_THAT(waiting.join(20), testing::ElementsAre(0, 199, 63, 64, 0));
  });
}

TEST_P(OnEngine, ManyMoreOperationsThanItsQueuesHold) {
  run([] {
    std::vector<std::pair<Socket, Socket>> pairs;
    std::vector<fiber::Task<Bytes>> readers;
    for (int i = 0; i < 3000; ++i) pairs.push_back(socketpair());
    for (auto& pair : pairs)
      for (Socket* end : {&pair.first, &pair.second})
        readers.push_back(fiber::spawn([end] { return end->recv(1); }));
    fiber::yield();
    for (auto& [one, other] : pairs) {
      one.send("a", MSG::DONTWAIT);
      other.send("b", MSG::DONTWAIT);
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

// --- faults ---

/// The n-th operation of a kind meets with a fault.
class OneFault final : public detail::Faults {
 public:
  OneFault(Op::Kind kind, Fault fault, int nth = 1) : kind_(kind), fault_(fault), left_(nth) {
    detail::faults = this;
  }
  ~OneFault() { detail::faults = nullptr; }
  Fault next(Op::Kind kind) noexcept override {
    return kind == kind_ && --left_ == 0 ? fault_ : Fault{};
  }
  long turn() noexcept override { return std::exchange(fail_turn, 0); }
  bool happened() const { return left_ <= 0; }

  long fail_turn = 0;

 private:
  Op::Kind kind_;
  Fault fault_;
  int left_;
};

TEST_P(OnEngine, AnErrorOfAnyOperationReachesWhoAskedAndNobodyElse) {
  for (const int error : {ECONNRESET, ENOBUFS, EIO, ECANCELED, ENOMEM}) {
    for (int kind = 0; kind <= static_cast<int>(Op::Kind::connect); ++kind) {
      const auto failing = static_cast<Op::Kind>(kind);
      if (failing == Op::Kind::send_file || failing == Op::Kind::send_pipe) continue;
      SCOPED_TRACE(testing::Message() << "kind " << kind << ", error " << error);
      OneFault fault(failing, {Fault::Kind::result, -error});
      run([&] {
        auto [good, good_peer] = socketpair();
        auto other = fiber::spawn([&s = good] {
          std::string byte(1, ' ');
          s.recv_into(byte);
          return byte;
        });
        auto [one, peer] = socketpair();
        Socket listener = tcp_listener();
        Socket client(AF::INET, SOCK::STREAM);
        char byte = 0;
        const MutableBytes room(&byte, 1);
        const bool reads = detail::Op::Kind::receive_batch >= failing;
        if (reads) ::send(peer.fileno(), "xyz", 3, 0);
        // Whoever waits beside it must not take the fault.
        if (failing != Op::Kind::receive) fiber::yield();
        const int number = number_of_error([&, &s = one] {
          switch (failing) {
            case Op::Kind::receive:
              s.recv(1);
              break;
            case Op::Kind::receive_from:
              s.recvfrom(1);
              break;
            case Op::Kind::receive_message:
              s.recvmsg(1);
              break;
            case Op::Kind::receive_batch: {
              DatagramBatch batch;
              recv_batch(s, batch);
              break;
            }
            case Op::Kind::send_batch: {
              DatagramBatch batch;
              batch.add("x");
              send_batch(s, batch);
              break;
            }
            case Op::Kind::send:
              s.send("x");
              break;
            case Op::Kind::send_to:
              Socket(AF::INET, SOCK::DGRAM).sendto("x", listener.getsockname());
              break;
            case Op::Kind::send_message:
              s.sendmsg({BytesView("x")});
              break;
            case Op::Kind::accept:
              listener.accept();
              break;
            default:
              client.connect(listener.getsockname());
          }
        });
        EXPECT_TRUE(fault.happened());
        EXPECT_EQ(number, error);
        ::send(good_peer.fileno(), "!", 1, 0);
        EXPECT_EQ(other.join(10), "!");
      });
    }
  }
}

TEST_P(OnEngine, InterruptedAndShortOperationsGoOn) {
  for (const Fault fault : {Fault{Fault::Kind::result, -EINTR}, Fault{Fault::Kind::at_most, 1}}) {
    for (const Op::Kind kind : {Op::Kind::receive, Op::Kind::send}) {
      OneFault one_fault(kind, fault);
      run([] {
        auto [one, other] = tcp_pair();
        auto reader = fiber::spawn([&s = one] { return s.recv(8, MSG::WAITALL); });
        other.sendall("12345678");
        EXPECT_EQ(reader.join(10), "12345678");
      });
      EXPECT_TRUE(one_fault.happened());
    }
  }
}

TEST_P(OnEngine, AWaitThatIsInterruptedAsksTheHookAndGoesOn) {
  OneFault fault(Op::Kind::ready, {}, 1000);
  static int asked;
  asked = 0;
  const InterruptHook before = set_interrupt_hook([] {
    ++asked;
    return std::errc{};
  });
  run([&] {
    auto [one, other] = socketpair();
    auto sender = fiber::spawn([&s = other] {
      fiber::sleep(0.005);
      s.send("x");
    });
    fault.fail_turn = -EINTR;
    EXPECT_EQ(one.recv(1), "x");
    sender.join();
  });
  set_interrupt_hook(before);
  // The kernel interrupts a thread, too, whose rings of earlier runs it has done away with.
  EXPECT_GE(asked, 1);
}

TEST(AnOperationThatEndsAfterItWasAskedToEndEarly, LosesNothing) {
  if (!has_uring()) GTEST_SKIP() << "no io_uring here";
  const OneFault fault(Op::Kind::receive, {Fault::Kind::late, 0});
  fiber::run(
      [] {
        auto [one, other] = socketpair();
        auto reader = fiber::spawn([&s = one] {
          const Bytes got = s.recv(10);
          EXPECT_THROW(fiber::sleep(10), CancelledError);
          return got;
        });
        fiber::yield();
        other.send("still there");
        fiber::sleep(0.002);
        EXPECT_FALSE(reader.done());
        reader.cancel();
        EXPECT_EQ(reader.join(10), "still ther");
        const OneFault again(Op::Kind::receive, {Fault::Kind::late, 0});
        one.settimeout(0.01);
        EXPECT_EQ(one.recv(10), "e");
      },
      {.engine = Engine::uring});
}

}  // namespace
}  // namespace plug
