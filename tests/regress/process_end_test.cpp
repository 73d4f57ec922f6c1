// What is used while a process ends, or after it has forked.

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <thread>

#include "support/process.hpp"
#include "sys/signals.hpp"

namespace plug {
namespace {

TEST(SignalsThatAreTaken, CanBeTakenInAChildThatIsForkedMeanwhile) {
  constexpr std::array kSignals{SIGUSR1, SIGUSR2};
  std::atomic<bool> over{false};
  const auto take_some = [&] {
    detail::sys::TakenSignals taken;
    return taken.take(kSignals) == 0;
  };
  std::thread taking([&] {
    while (!over) take_some();
  });
  std::thread sending([&] {
    detail::sys::TakenSignals taken;
    constexpr std::array kOther{SIGWINCH};
    if (taken.take(kOther) != 0) return;
    while (!over) ::raise(SIGWINCH);
  });
  int failed = 0;
  for (int i = 0; i < 150 && failed == 0; ++i) {
    failed = run_in_child([&] {
      ::alarm(10);
      return take_some() ? 0 : 1;
    });
  }
  over = true;
  taking.join();
  sending.join();
  EXPECT_EQ(failed, 0);
}

}  // namespace
}  // namespace plug
