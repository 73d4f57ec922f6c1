#pragma once

// Iteration over the lines of a file.

#include <cstddef>
#include <iterator>
#include <string>

#pragma GCC visibility push(default)

namespace plug::detail {

/// Iterates over the remaining lines of a file.
template <class F>
class LineIterator {
 public:
  using value_type = std::string;
  using difference_type = std::ptrdiff_t;

  explicit LineIterator(F& file) : file_(&file), line_(file.readline()) {}
  std::string& operator*() noexcept { return line_; }
  LineIterator& operator++() {
    line_ = file_->readline();
    return *this;
  }
  void operator++(int) { ++*this; }
  friend bool operator==(const LineIterator& it, std::default_sentinel_t) noexcept {
    return it.line_.empty();
  }

 private:
  F* file_;
  std::string line_;
};

}  // namespace plug::detail

#pragma GCC visibility pop
