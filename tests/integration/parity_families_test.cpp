// The constants and the addresses of every family, held against those of Python's socket module.

#include <gtest/gtest.h>

#include <string>

#include "support/process.hpp"

namespace plug {
namespace {

void expect_constants_of(const std::string& python) {
  int status = 0;
  const std::string output = run_program(
      {python, source_path("tests/integration/python_constants.py"),
       source_path("include/plug/constants.hpp"), source_path("include/plug/family_constants.hpp")},
      status);
  EXPECT_EQ(status, 0) << output;
}

TEST(PythonConstants, AreAllHereWithTheirValues) { expect_constants_of("python3"); }

// Where it is another one: Debian's has Bluetooth, which a build without its headers has not.
TEST(PythonConstants, OfTheSystemsPythonAreAllHereWithTheirValues) {
  expect_constants_of("/usr/bin/python3");
}

}  // namespace
}  // namespace plug
