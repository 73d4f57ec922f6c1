#pragma once

#include <cstddef>
#include <memory>
#include <utility>

namespace plug::detail {

/// Memory to receive into that is neither zeroed nor, as a rule, allocated: each thread keeps one
/// piece for the next user. A user takes it away from the thread, so that one that parks in the
/// middle leaves the next to allocate its own.
class Scratch {
 public:
  explicit Scratch(std::size_t size) {
    if (kept.size >= size) {
      piece_ = std::exchange(kept, Piece{});
    } else {
      const std::size_t room = size < kSmallest ? kSmallest : size;
      piece_ = {std::unique_ptr<char[]>(new char[room]), room};
    }
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  ~Scratch() {
    if (piece_.size > kept.size && piece_.size <= kLargestKept) kept = std::move(piece_);
  }

  char* data() noexcept { return piece_.memory.get(); }

 private:
  struct Piece {
    std::unique_ptr<char[]> memory;
    std::size_t size = 0;
  };

  static constexpr std::size_t kSmallest = 4096;
  static constexpr std::size_t kLargestKept = std::size_t{1} << 20;

  static thread_local Piece kept;

  Piece piece_;
};

inline thread_local Scratch::Piece Scratch::kept;

}  // namespace plug::detail
