#pragma once

#include <plug/error.hpp>

#include <gtest/gtest.h>

#include <exception>
#include <limits>
#include <string>

/// Returns the text of the Error that `body` throws. Fails the test if it throws another error or
/// none.
template <class Error, class Body>
std::string text_of_error(Body body) {
  try {
    body();
  } catch (const Error& error) {
    return error.what();
  } catch (const std::exception& error) {
    ADD_FAILURE() << "another error: " << error.what();
    return "another error";
  }
  ADD_FAILURE() << "no error";
  return "no error";
}

/// Returns the number of the OSError (or of the given derived class) that `body` throws; if it
/// throws none, a number far above any error number.
template <class Error = plug::OSError, class Body>
int number_of_error(Body body) {
  try {
    body();
  } catch (const Error& error) {
    return error.number();
  }
  return std::numeric_limits<int>::max();
}
