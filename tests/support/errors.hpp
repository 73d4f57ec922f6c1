#pragma once

#include <plug/error.hpp>

#include <gtest/gtest.h>

#include <exception>
#include <limits>
#include <string>

/// The text of the Error that `body` throws; a failure of the test when it throws another, or none.
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

/// The number of the OSError (or of the class of it that is named) that `body` throws; far
/// above any number when it throws none.
template <class Error = plug::OSError, class Body>
int number_of_error(Body body) {
  try {
    body();
  } catch (const Error& error) {
    return error.number();
  }
  return std::numeric_limits<int>::max();
}
