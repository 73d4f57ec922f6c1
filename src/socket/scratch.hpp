#pragma once

#include <cstddef>
#include <cstring>

namespace plug::detail {

/// A buffer to receive into, which is neither zeroed nor, usually, allocated: each thread keeps one
/// for the next user. A user takes it away from the thread, so that the next one allocates another
/// buffer if a user parks in the middle.
class Scratch {
 public:
  explicit Scratch(std::size_t size) {
    if (kept.size >= size) {
      size_ = kept.size;
      memory_ = kept.memory;
      kept.memory = nullptr;
      kept.size = 0;
    } else {
      size_ = size < kSmallest ? kSmallest : size;
      memory_ = new char[size_];
    }
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  ~Scratch() {
    if (size_ > kept.size && size_ <= kLargestKept && (kept.given_back || give_back_at_end())) {
      delete[] kept.memory;
      kept.memory = memory_;
      kept.size = size_;
    } else {
      // NOLINTNEXTLINE(clang-analyzer-cplusplus.NewDelete): a false report with std::optional
      delete[] memory_;
    }
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

  static bool give_back_at_end() noexcept;

  static constinit thread_local Kept kept;

  char* memory_;
  std::size_t size_;
};

inline constinit thread_local Scratch::Kept Scratch::kept{nullptr, 0, false};

}  // namespace plug::detail
