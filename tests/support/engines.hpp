#pragma once

// For tests of fibers on each engine.

#include <plug/fiber.hpp>

#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "support/process.hpp"

inline std::string engine_of(plug::fiber::Engine asked) {
  return plug::fiber::run([] { return std::string(plug::fiber::engine()); }, {.engine = asked});
}

inline bool has_uring() { return engine_of(plug::fiber::Engine::uring) == "uring"; }

/// Runs `main` in fibers of `engine`. Expects that neither fibers nor descriptors are left.
template <class F>
void run_cleanly(plug::fiber::Engine engine, F main) {
  const int before = count_descriptors();
  plug::fiber::run(
      [&] {
        main();
        EXPECT_EQ(plug::fiber::list().size(), 1u);
      },
      {.engine = engine});
  EXPECT_EQ(count_descriptors(), before);
}

inline std::string name_of(plug::fiber::Engine engine) {
  return engine == plug::fiber::Engine::epoll ? "epoll" : "uring";
}

class OnEngine : public testing::TestWithParam<plug::fiber::Engine> {
 protected:
  void SetUp() override {
    if (GetParam() == plug::fiber::Engine::uring && !has_uring())
      GTEST_SKIP() << "no io_uring here";
  }
  template <class F>
  void run(F main) {
    run_cleanly(GetParam(), std::move(main));
  }
};

#define PLUG_ON_EACH_ENGINE(Suite)                                                             \
  INSTANTIATE_TEST_SUITE_P(                                                                    \
      Engines, Suite, testing::Values(plug::fiber::Engine::epoll, plug::fiber::Engine::uring), \
      [](const auto& tested) { return name_of(tested.param); })
