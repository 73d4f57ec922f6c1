// Tests RunOptions::busy_poll: polling for events before sleeping.

#include <plug/fiber.hpp>
#include <plug/plug.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <string>
#include <thread>
#include <utility>

#include "fiber/adaptive_spin.hpp"
#include "support/errors.hpp"

namespace plug {
namespace {

using detail::fiber::AdaptiveSpin;
using namespace std::chrono_literals;

// --- the length of the polling ---

/// Nothing happens for `time` from `now` on.
void idle(AdaptiveSpin& patience, std::int64_t& now, std::int64_t time) {
  patience.lasts(now);
  now += time;
  patience.found(now);
}

/// Returns how long it would poll now, in steps of one.
std::int64_t length(AdaptiveSpin patience, std::int64_t now) {
  const std::int64_t begin = now;
  while (patience.lasts(now)) ++now;
  return now - begin;
}

TEST(AdaptiveSpin, NeverPollsIfItsTimeIsZero) {
  AdaptiveSpin patience(0);
  EXPECT_FALSE(patience.is_any());
  EXPECT_FALSE(patience.lasts(5));
}

TEST(AdaptiveSpin, LastsAsLongAsItPays) {
  AdaptiveSpin patience(80);
  std::int64_t now = 1000;
  EXPECT_EQ(length(patience, now), 80);
  for (int i = 0; i < 10; ++i) idle(patience, now, 79);
  EXPECT_EQ(length(patience, now), 80);
}

TEST(AdaptiveSpin, EndsWhereEventsAreFarApart) {
  AdaptiveSpin patience(80);
  std::int64_t now = 1000;
  idle(patience, now, 500);
  EXPECT_EQ(length(patience, now), 40);
  for (int i = 0; i < 3; ++i) idle(patience, now, 500);
  EXPECT_EQ(length(patience, now), 0);
}

TEST(AdaptiveSpin, ComesBackWithEventsThatAreNear) {
  AdaptiveSpin patience(80);
  std::int64_t now = 1000;
  for (int i = 0; i < 9; ++i) idle(patience, now, 500);
  ASSERT_EQ(length(patience, now), 0);
  idle(patience, now, 50);
  EXPECT_EQ(length(patience, now), 10);
  for (int i = 0; i < 3; ++i) idle(patience, now, 79);
  EXPECT_EQ(length(patience, now), 80);
}

TEST(AdaptiveSpin, IsTriedAgainNowAndThen) {
  AdaptiveSpin patience(80);
  std::int64_t now = 1000;
  while (length(patience, now) != 0) idle(patience, now, 500);
  int slept = 0;
  for (; length(patience, now) == 0 && slept < 1000; ++slept) idle(patience, now, 500);
  EXPECT_EQ(slept, 16);
  EXPECT_EQ(length(patience, now), 80);
}

TEST(AdaptiveSpin, SaysOnceThatItHasEnded) {
  AdaptiveSpin patience(80);
  patience.lasts(0);
  EXPECT_TRUE(patience.has_ended());
  EXPECT_FALSE(patience.has_ended());
  patience.found(500);
  EXPECT_TRUE(patience.has_ended());
}

// --- in fibers ---

fiber::RunOptions patient(std::chrono::nanoseconds time) { return {.busy_poll = time}; }

TEST(BusyPoll, AnswersEveryRequestHoweverLongItPolls) {
  // Nearly always, sometimes, hardly ever.
  for (const auto time : {10'000'000us, 100us, 1us}) {
    fiber::run(
        [] {
          Socket listener = create_server({"127.0.0.1", 0});
          const Address address = listener.getsockname();
          std::thread client([&] {
            Socket sock(AF::INET, SOCK::STREAM);
            sock.connect(address);
            for (int i = 0; i < 50; ++i) {
              sock.sendall("ping");
              EXPECT_EQ(sock.recv(4), "ping");
              if (i % 10 == 0) std::this_thread::sleep_for(2ms);
            }
          });
          auto [conn, peer] = listener.accept();
          for (Bytes data = conn.recv(100); !data.empty(); data = conn.recv(100))
            conn.sendall(data);
          client.join();
        },
        patient(time));
  }
}

TEST(BusyPoll, EndsWaitsInTime) {
  for (const auto time : {10'000'000us, 50us}) {
    fiber::run(
        [] {
          const auto begin = std::chrono::steady_clock::now();
          fiber::sleep(0.02);
          EXPECT_GE(std::chrono::steady_clock::now() - begin, 20ms);
          auto [one, other] = socketpair();
          one.settimeout(0.02);
          EXPECT_THROW(one.recv(1), TimeoutError);
        },
        patient(time));
  }
}

TEST(BusyPoll, HearsOfWhatOtherThreadsDo) {
  for (const auto time : {10'000'000us, 50us}) {
    fiber::run(
        [] {
          auto waiting = fiber::spawn([] { fiber::sleep(60); });
          fiber::yield();
          std::thread other([&] { waiting.cancel(); });
          EXPECT_THROW(waiting.join(), CancelledError);
          other.join();
          EXPECT_EQ(fiber::offload([] { return 7; }), 7);
        },
        patient(time));
  }
}

std::atomic<int> asked{0};

/// A signal that arrives during the polling interrupts no system call, and must not be missed.
TEST(BusyPoll, HasTheHookAskedOfASignalThatItDidNotSleepThrough) {
  struct Handler {
    Handler() {
      struct sigaction action {};
      action.sa_handler = [](int) {};
      ::sigaction(SIGUSR1, &action, &before);
    }
    ~Handler() { ::sigaction(SIGUSR1, &before, nullptr); }
    struct sigaction before {};
  } const handler;
  const InterruptHook before = set_interrupt_hook([]() -> std::errc {
    ++asked;
    return std::errc::operation_canceled;
  });
  asked = 0;
  fiber::run(
      [] {
        auto [one, other] = socketpair();
        ::raise(SIGUSR1);
        EXPECT_EQ(number_of_error([&, &sock = one] { sock.recv(1); }), ECANCELED);
      },
      patient(1ms));
  EXPECT_GE(asked, 1);
  set_interrupt_hook(before);
}

}  // namespace
}  // namespace plug
