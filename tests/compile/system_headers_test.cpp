// Tests that plug compiles beside every header of the system; see system_headers.py.

#include <gtest/gtest.h>

#include <string>

#include "support/process.hpp"

namespace {

void expect_peace(const std::string& part) {
  int status = 0;
  const std::string output = run_program(
      {"python3", source_path("tests/compile/system_headers.py"), source_path("include"), part},
      status);
  if (status == 77) GTEST_SKIP() << "no " << part << " here";
  EXPECT_EQ(status, 0) << output;
}

TEST(SystemHeaders, DefineNoMacroThatChangesPlug) { expect_peace("macros"); }
TEST(SystemHeaders, CompileBesidePlugInEitherOrderWithGcc) { expect_peace("g++"); }
TEST(SystemHeaders, CompileBesidePlugInEitherOrderWithClang) { expect_peace("clang++"); }

}  // namespace
