// Runs the tests of a program: in the main thread, or inside a fiber if PLUG_TEST_IN is "fiber".

#include <gtest/gtest.h>

#include <cstdlib>
#include <string_view>

#ifdef PLUG_HAS_FIBERS
#include <plug/fiber.hpp>

#include <functional>

#include "support/namespaces.hpp"

namespace {

int run_in_fiber(const std::function<int()>& body) {
  return plug::fiber::run([&] { return body(); }, {.stack_size = 4 << 20});
}

}  // namespace
#endif

#ifdef __SANITIZE_THREAD__
/// In tests that fork, the child does more than call exec(); the sanitizer also counts fibers as
/// threads.
extern "C" const char* __tsan_default_options() { return "die_after_fork=0"; }
#endif

int main(int count, char** arguments) {
  testing::InitGoogleTest(&count, arguments);
#ifdef PLUG_HAS_FIBERS
  const char* const where = std::getenv("PLUG_TEST_IN");
  if (where != nullptr && where == std::string_view("fiber")) {
    call_in_namespaces = &run_in_fiber;
    return run_in_fiber([] { return RUN_ALL_TESTS(); });
  }
#endif
  return RUN_ALL_TESTS();
}
