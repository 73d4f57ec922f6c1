#pragma once

#include <cstddef>
#include <cstring>

#include "sys/for_fiber.hpp"

namespace plug::detail::base {

/// A buffer to receive into, which is neither zeroed nor, usually, allocated: each thread keeps one
/// for the next user. A user takes it away from the thread, so that the next one allocates another
/// buffer if a user parks in the middle.
class Scratch {
 public:
  /// Has no memory until take().
  Scratch() noexcept = default;
  explicit Scratch(std::size_t size) { take(size); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  ~Scratch() { give_back(); }

  /// Takes memory for `size` bytes, unless there is some already, and returns it.
  char* take(std::size_t size) {
    if (memory_ != nullptr) return memory_;
    if (kept.size >= size) {
      size_ = kept.size;
      memory_ = kept.memory;
      kept.memory = nullptr;
      kept.size = 0;
    } else {
      const std::size_t made = size < kSmallest ? kSmallest : size;
      memory_ = new char[made];
      size_ = made;
    }
    return memory_;
  }

  /// Gives the memory back, if there is any.
  void give_back() noexcept {
    if (size_ > kept.size && size_ <= kLargestKept && (kept.given_back || give_back_at_end())) {
      delete[] kept.memory;
      kept.memory = memory_;
      kept.size = size_;
    } else {
      // NOLINTNEXTLINE(clang-analyzer-cplusplus.NewDelete): a false report with std::optional
      delete[] memory_;
    }
    memory_ = nullptr;
    size_ = 0;
  }

  char* data() noexcept { return memory_; }

  /// Zeroes the first `size` bytes, for a receive that may report data and write nothing
  /// (MSG_TRUNC): the buffer holds data of earlier receives.
  void clear(std::size_t size) noexcept { std::memset(memory_, 0, size); }

 private:
  struct Kept {
    char* memory;
    std::size_t size;
    bool given_back;  // freed when the thread ends
  };

  static constexpr std::size_t kSmallest = 4096;
  static constexpr std::size_t kLargestKept = std::size_t{1} << 20;

  PLUG_FOR_FIBER static bool give_back_at_end() noexcept;

  PLUG_FOR_FIBER static constinit thread_local Kept kept;

  char* memory_ = nullptr;
  std::size_t size_ = 0;
};

inline constinit thread_local Scratch::Kept Scratch::kept{nullptr, 0, false};

}  // namespace plug::detail::base
