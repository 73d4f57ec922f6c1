// Tests that plug has every name of Python's network modules; see python_names.py.

#include <gtest/gtest.h>

#include <string>

#include "support/process.hpp"

namespace {

TEST(PythonNames, AreAllInTheTableAndInPlug) {
  int status = 0;
  const std::string output = run_program(
      {"python3", source_path("tests/compile/python_names.py"), source_path("."), "g++"}, status);
  EXPECT_EQ(status, 0) << output;
}

}  // namespace
