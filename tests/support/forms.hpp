#pragma once

#include <plug/bytes.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

/// The structure of the system's that `raw` holds; the test has failed when its size is another.
template <class Form>
Form form_of(const plug::Bytes& raw) {
  Form form{};
  EXPECT_EQ(raw.size(), sizeof form);
  std::memcpy(&form, raw.data(), std::min(raw.size(), sizeof form));
  return form;
}
