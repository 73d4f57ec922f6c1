// Tests an io_uring whose submissions do not fit while another thread wakes it.

#include <plug/fiber.hpp>
#include <plug/fiber/cores.hpp>
#include <plug/plug.hpp>
#include <plug/sync.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <semaphore>
#include <thread>
#include <utility>
#include <vector>

#include "fiber/engine/fault_injection.hpp"
#include "support/engines.hpp"

namespace plug {
namespace {

using std::chrono::seconds;
using std::chrono::steady_clock;

/// Simulates a small ring in which each submission that should make room reports EAGAIN.
class FullRings final : public detail::fiber::Faults {
 public:
  FullRings() { detail::fiber::faults = this; }
  FullRings(const FullRings&) = delete;
  FullRings& operator=(const FullRings&) = delete;
  ~FullRings() { detail::fiber::faults = nullptr; }

  detail::fiber::Fault next(detail::wait::Op::Kind /*kind*/) noexcept override { return {}; }
  unsigned submissions() const noexcept override { return 4; }
  unsigned completions() const noexcept override { return 256; }
  long submitted(long /*result*/) noexcept override {
    ++times;
    return -EAGAIN;
  }

  int times = 0;
};

TEST(AFullRing, LosesNoFiberThatIsHandedOver) {
  if (!has_uring()) GTEST_SKIP() << "no io_uring here";
  constexpr int kRounds = 20;
  FullRings rings;
  run_cleanly(fiber::Engine::uring, [] {
    const fiber::Scheduler here = fiber::here();
    std::vector<std::pair<Socket, Socket>> pairs;
    for (int i = 0; i < 16; ++i) pairs.push_back(socketpair());
    Event come;
    std::counting_semaphore<kRounds> wanted(0);
    std::atomic<int> handed_over{0};
    std::thread other([&] {
      for (int round = 0; round < kRounds; ++round) {
        wanted.acquire();
        here.spawn([&] { come.set(); });
        ++handed_over;
      }
    });
    bool all = true;
    for (int round = 0; round < kRounds; ++round) {
      come.clear();
      // Hands a fiber over between this thread's last check for such fibers and its submissions.
      fiber::spawn([&, round] {
        wanted.release();
        while (handed_over <= round) continue;
      });
      std::vector<fiber::Task<Bytes>> readers;
      for (auto& [one, peer] : pairs)
        readers.push_back(fiber::spawn([&sock = one] { return sock.recv(1); }));
      // A lost wake-up would go unnoticed if the end of the timeout woke the thread: hence the
      // limit.
      const auto begun = steady_clock::now();
      come.wait(10);
      all = steady_clock::now() - begun < seconds(8);
      for (auto& [one, peer] : pairs) peer.sendall("x");
      for (auto& reader : readers) EXPECT_EQ(reader.join(20), "x");
      if (!all) break;
    }
    for (int round = 0; round < kRounds; ++round) wanted.release();
    other.join();
    EXPECT_TRUE(all);
    // The fibers that were handed over last may not have begun yet.
    while (fiber::list().size() > 1) fiber::yield();
  });
  EXPECT_GT(rings.times, 0);
}

}  // namespace
}  // namespace plug
