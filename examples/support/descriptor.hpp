#pragma once

// A file descriptor that closes itself, for files, directories, pipes and child processes.

#include <plug/error.hpp>

#include <cerrno>
#include <string_view>
#include <system_error>
#include <utility>

#include <unistd.h>

namespace lesson {

class Descriptor {
 public:
  Descriptor() noexcept = default;
  explicit Descriptor(int value) noexcept : value_(value) {}
  Descriptor(Descriptor&& other) noexcept : value_(std::exchange(other.value_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(value_, other.value_);
    return *this;
  }
  ~Descriptor() { reset(); }

  /// Returns the descriptor; -1 if it is closed.
  int get() const noexcept { return value_; }
  bool is_open() const noexcept { return value_ >= 0; }

  void reset() noexcept {
    if (is_open()) ::close(std::exchange(value_, -1));
  }

 private:
  int value_ = -1;
};

/// Returns the result of a system call. If it is negative, throws OSError with errno and `about`.
inline int check(int result, std::string_view about = {}) {
  if (result < 0) plug::throw_if(std::error_code(errno, std::system_category()), about);
  return result;
}

}  // namespace lesson
