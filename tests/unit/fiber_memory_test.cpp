// Tests that waiting fibers hold no memory that others could use.

#include <plug/fiber.hpp>
#include <plug/socket.hpp>

#include <gtest/gtest.h>

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "support/allocations.hpp"
#include "support/sockets.hpp"

namespace plug {
namespace {

TEST(FibersThatWaitInRecv, HaveNoMemoryForWhatMayCome) {
  constexpr std::size_t kMiB = std::size_t{1} << 20, kFibers = 8;
  fiber::run([] {
    std::vector<std::pair<Socket, Socket>> pairs;
    std::vector<fiber::Task<void>> tasks;
    for (std::size_t i = 0; i < kFibers; ++i) pairs.push_back(tcp_pair());
    std::size_t received = 0;
    allocations = {};
    for (auto& pair : pairs)
      tasks.push_back(fiber::spawn([&] {
        for (const std::string word : {"a", "b"}) {
          EXPECT_EQ(pair.second.recv(kMiB), word);
          ++received;
        }
      }));
    for (const std::string word : {"a", "b"}) {
      fiber::yield();
      const std::size_t before = received;
      for (auto& pair : pairs) pair.first.sendall(word);
      while (received < before + kFibers) fiber::yield();
    }
    for (auto& task : tasks) task.join();
    // All fibers share one buffer.
    EXPECT_LT(allocations.bytes, 2 * kMiB);
  });
}

}  // namespace
}  // namespace plug
