#pragma once

// The memory that fibers run on.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace plug::detail {

/// A stack, which grows down from top(). Below its memory lies a page that cannot be touched.
struct Stack {
  char* memory = nullptr;  // the lowest byte that may be used
  std::size_t size = 0;
  void* slab = nullptr;  // the pool's

  /// Where the first frame goes. Different in each stack of a pool, or the tops of all of them
  /// would share a few lines of the processor's caches.
  char* top() const noexcept { return memory + size - colour; }
  std::size_t usable() const noexcept { return size - colour; }
  std::size_t colour = 0;
};

/// Stacks of one size, for one thread. Memory is taken from the system in slabs of many stacks; a
/// stack costs real memory only where it has been written to. Stacks that come back keep that
/// memory, some of them, for the next fibers; slabs without any stack in use go back to the system.
class StackPool {
 public:
  /// `size` is rounded up to whole pages, of which there are at least four.
  explicit StackPool(std::size_t size);
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
  std::size_t in_use_ = 0;
  std::size_t warm_ = 0;  // stacks that are free and keep their memory
  std::vector<std::unique_ptr<Slab>> slabs_;
  std::vector<Slab*> open_;  // those that have a free stack
};

}  // namespace plug::detail
