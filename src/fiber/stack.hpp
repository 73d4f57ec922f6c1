#pragma once

// The memory that fibers run on.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace plug::detail {

/// What keeps a stack that overflows from the memory below it.
enum class StackGuard : std::uint8_t {
  mark,     ///< pages that cannot be touched, which cost nothing; Linux 6.13
  mapping,  ///< pages that cannot be touched, of which a process can have some thousand
  canary,   ///< pages that nobody touches; whether somebody has is looked at now and then
};

/// A stack, which grows down from top(). Below its memory lies its guard.
struct Stack {
  char* memory = nullptr;  // the lowest byte that may be used
  std::size_t size = 0;
  void* slab = nullptr;  // the pool's

  /// Where the first frame goes.
  char* top() const noexcept { return memory + size - above; }
  std::size_t usable() const noexcept { return size - above; }
  /// Memory for something above all frames.
  void* take_top(std::size_t bytes) noexcept {
    constexpr std::size_t kLine = 64;
    above += static_cast<std::uint32_t>((bytes + kLine - 1) / kLine * kLine);
    return top();
  }
  /// What lies above the frames. Different in each stack of a pool, or the tops of all of them
  /// would share a few lines of the processor's caches.
  std::uint32_t above = 0;
  StackGuard guard = StackGuard::mark;

  bool guards(const void* address) const noexcept;
  /// Whether a canary is as it was, and `place`, where a stack is left, above it.
  bool intact(const void* place) const noexcept {
    return guard != StackGuard::canary || canary_is_intact(place);
  }
  /// In whole pages, since the memory was last given back to the system: by its fiber, or one that
  /// had the stack before.
  std::size_t most_used() const noexcept;

 private:
  bool canary_is_intact(const void* place) const noexcept;
};

/// Stacks of one size, for one thread. Memory is taken from the system in slabs of many stacks; a
/// stack costs real memory only where it has been written to. Stacks that come back keep that
/// memory, some of them, for the next fibers; slabs without any stack in use go back to the system.
class StackPool {
 public:
  /// `size` is rounded up to whole pages, of which there are at least four. Guards are the first
  /// from `guard` on that there can be.
  explicit StackPool(std::size_t size, StackGuard guard = StackGuard::mark);
  StackPool(const StackPool&) = delete;
  StackPool& operator=(const StackPool&) = delete;
  /// No stack is in use any more.
  ~StackPool();

  /// Throws std::bad_alloc when the system has no more memory, or no more mappings.
  Stack take();
  void give_back(const Stack& stack) noexcept;

  std::size_t stack_size() const noexcept { return size_; }
  std::size_t in_use() const noexcept { return in_use_; }
  /// What has been taken from the system, in bytes of address space.
  std::size_t reserved() const noexcept;

 private:
  struct Slab;

  Slab& slab_with_room();
  void drop_from_open(Slab& slab) noexcept;

  const std::size_t size_;
  const std::size_t guard_size_;
  StackGuard guard_;
  std::size_t in_use_ = 0;
  std::size_t warm_ = 0;  // stacks that are free and keep their memory
  std::vector<std::unique_ptr<Slab>> slabs_;
  std::vector<Slab*> open_;  // those that have a free stack
};

}  // namespace plug::detail
