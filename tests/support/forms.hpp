#pragma once

#include <plug/bytes.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

/// Returns the system's structure that `raw` holds. Fails the test if the sizes differ.
template <class Layout>
Layout form_of(const plug::Bytes& raw) {
  Layout form{};
  EXPECT_EQ(raw.size(), sizeof form);
  std::memcpy(&form, raw.data(), std::min(raw.size(), sizeof form));
  return form;
}
