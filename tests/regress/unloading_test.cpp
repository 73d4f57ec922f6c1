// Tests that a program may unload a shared library that contains plug.

#include <dlfcn.h>
#include <gtest/gtest.h>

#ifdef PLUG_SANITIZED
// LeakSanitizer crashes if a thread runs code of a library that dlopen() has loaded.
extern "C" const char* __asan_default_options() { return "detect_leaks=0"; }
#endif

namespace {

TEST(ALibraryThatHasUsedAHelper, MayBeClosedWhileTheHelperIsThere) {
  void* const library = ::dlopen(PLUG_MODULE, RTLD_NOW);
  ASSERT_NE(library, nullptr) << ::dlerror();
  const auto ask = reinterpret_cast<int (*)()>(::dlsym(library, "ask_a_helper"));
  ASSERT_NE(ask, nullptr);
  EXPECT_EQ(ask(), 7);
  EXPECT_EQ(::dlclose(library), 0);
  ASSERT_NE(::dlopen(PLUG_MODULE, RTLD_NOW | RTLD_NOLOAD), nullptr) << "it has been unloaded";
  // The helper thread still runs the library's code.
  EXPECT_EQ(ask(), 7);
}

}  // namespace
