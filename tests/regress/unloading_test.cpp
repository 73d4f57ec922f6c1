// A shared library with plug in it that a program unloads.

#include <dlfcn.h>
#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "wait/offload.hpp"

namespace {

TEST(ALibraryThatHasUsedAHelper, MayBeClosedWhileTheHelperIsThere) {
  void* const library = ::dlopen(PLUG_MODULE, RTLD_NOW);
  ASSERT_NE(library, nullptr) << ::dlerror();
  const auto ask = reinterpret_cast<int (*)()>(::dlsym(library, "ask_a_helper"));
  ASSERT_NE(ask, nullptr);
  EXPECT_EQ(ask(), 7);
  EXPECT_EQ(::dlclose(library), 0);
  // Which ends in that time.
  std::this_thread::sleep_for(plug::detail::kHelperIdle + std::chrono::milliseconds(500));
}

}  // namespace
