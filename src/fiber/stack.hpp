#pragma once

// The stacks of fibers: how they are allocated and guarded (docs/adr/0008-stack-guards.md).

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace plug::detail::fiber {

/// Protects the memory below a stack from an overflow of the stack.
enum class StackGuard : std::uint8_t {
  mark,     ///< inaccessible pages by MADV_GUARD_INSTALL (Linux 6.13), in any number
  mapping,  ///< inaccessible pages by mprotect(2); a process can have some thousand such guards
  canary,   ///< accessible pages; when the fiber waits or ends, the scheduler checks that the
            ///< bytes next to the stack are still zero
};

/// A stack, which grows down from top(). Its guard lies below its memory.
struct Stack {
  char* memory = nullptr;  // the lowest usable byte
  std::size_t size = 0;
  void* slab = nullptr;  // belongs to the pool

  /// Returns the address below which the first frame goes.
  char* top() const noexcept { return memory + size - above; }
  std::size_t usable() const noexcept { return size - above; }
  /// Reserves memory above all frames.
  void* take_top(std::size_t bytes) noexcept {
    constexpr std::size_t kLine = 64;
    above += static_cast<std::uint32_t>((bytes + kLine - 1) / kLine * kLine);
    return top();
  }
  /// The size of the area above the frames. It differs from stack to stack, because the tops of all
  /// stacks would compete for the same few cache lines otherwise.
  std::uint32_t above = 0;
  StackGuard guard = StackGuard::mark;

  bool guards(const void* address) const noexcept;
  /// Returns true if the canary is untouched and `stack_pointer`, the stack pointer of the fiber,
  /// lies above it.
  bool intact(const void* stack_pointer) const noexcept {
    return guard != StackGuard::canary || canary_is_intact(stack_pointer);
  }
  /// Returns the most bytes used, in whole pages, since the memory was last returned to the system:
  /// by this fiber, or by an earlier one on the same stack.
  std::size_t most_used() const noexcept;

 private:
  bool canary_is_intact(const void* stack_pointer) const noexcept;
};

/// The stacks of one size, for one thread. The pool maps memory in slabs of many stacks; a stack
/// takes real memory only where it has been written to. A limited number of returned stacks keep
/// that memory for the next fibers. Slabs without a stack in use are unmapped, except for one.
class StackPool {
 public:
  /// Rounds `size` up to whole pages, at least four. Uses the first kind of guard, from `guard` on,
  /// that the system provides.
  explicit StackPool(std::size_t size, StackGuard guard = StackGuard::mark);
  StackPool(const StackPool&) = delete;
  StackPool& operator=(const StackPool&) = delete;
  /// No stack may be in use.
  ~StackPool();

  /// Throws std::bad_alloc if the system has no memory or no mappings left.
  Stack take();
  void give_back(const Stack& stack) noexcept;

  std::size_t stack_size() const noexcept { return size_; }
  std::size_t in_use() const noexcept { return in_use_; }
  /// Returns the bytes of address space that the pool has mapped.
  std::size_t reserved() const noexcept;

 private:
  struct Slab;

  Slab& slab_with_room();
  void drop_from_open(Slab& slab) noexcept;

  const std::size_t size_;
  const std::size_t guard_size_;
  StackGuard guard_;
  std::size_t in_use_ = 0;
  std::size_t warm_ = 0;  // free stacks that keep their memory
  std::vector<std::unique_ptr<Slab>> slabs_;
  std::vector<Slab*> open_;  // slabs with a free stack
};

}  // namespace plug::detail::fiber
