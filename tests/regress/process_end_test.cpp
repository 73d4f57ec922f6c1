// Tests functions that programs call while a process ends, or after it has forked.

#include <plug/error.hpp>

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdlib>
#include <string>
#include <thread>

#include "support/process.hpp"
#include "sys/signals.hpp"

namespace plug {
namespace {

/// Constructed before all objects that are constructed at their first use, and so destroyed after
/// them.
struct Oldest {
  ~Oldest() {
    if (!asked) return;
    const bool right = timed_out().message() == "timed out" &&
                       make_error_code(Errc::cancelled) == std::errc::operation_canceled &&
                       make_error_code(Errc::negative_size).message() == "negative buffersize" &&
                       std::string(gai_category().name()) == "getaddrinfo" &&
                       std::string(herror_category().name()) == "h_errno";
    if (!right) ::_exit(2);
  }
  bool asked = false;
} oldest;

TEST(AnErrorCode, CanBeAskedWhileTheProcessEnds) {
  EXPECT_EXIT(
      {
        oldest.asked = true;
        if (timed_out().message().empty() || gai_category() == herror_category() ||
            plug_category() == timeout_category())
          std::abort();
        std::exit(0);
      },
      testing::ExitedWithCode(0), "");
}

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
