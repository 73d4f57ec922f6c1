#include "fiber/stack.hpp"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <iterator>
#include <new>

#include "sys/memory.hpp"
#include "sys/sanitizers.hpp"
#include "sys/valgrind.hpp"

namespace plug::detail::fiber {

namespace {

constexpr std::size_t kStacksOfSlab = 64;
constexpr std::size_t kWarmStacks = 256;
// A frame that is compiled without -fstack-clash-protection may step over a smaller guard.
constexpr std::size_t kGuardSize = 64 * 1024;
// Each guard takes two mappings of the process.
constexpr std::size_t kMostMappedGuards = 8192;
constexpr std::size_t kCanarySize = 128;
// Within an eighth of a page, so that the frames of a small handler do not take a second page.
constexpr std::size_t kColours = 8, kColourStep = 64;

std::size_t size_of_guard() noexcept { return std::max(kGuardSize, sys::page_size()); }

std::atomic<std::size_t> mapped_guards{0};

}  // namespace

/// One mapping: for each stack its guard, and above that its memory.
struct StackPool::Slab {
  /// Maps the memory and its guards. `first` is the first kind of guard to try; sets it to a kind
  /// that the system provides, so that later slabs need not try the others again.
  Slab(std::size_t stack_size, std::size_t guard_size, StackGuard& first)
      : stride(stack_size + guard_size), guard(guard_size) {
    map();
    if (first == StackGuard::mark && !guard_all(StackGuard::mark)) first = StackGuard::mapping;
    // Leaves `first` as it is: there may be room for mapped guards again when other stacks have
    // gone.
    if (first == StackGuard::mapping) guard_all(StackGuard::mapping);
    for (std::size_t i = kStacksOfSlab; i > 0; --i)
      free[free_count++] = static_cast<std::uint8_t>(i - 1);
    if (!sys::runs_on_valgrind()) return;
    known_to_valgrind.resize(kStacksOfSlab);
    for (std::size_t i = 0; i < kStacksOfSlab; ++i)
      known_to_valgrind[i] = sys::register_stack(at(i) + guard, stack_size);
  }
  Slab(const Slab&) = delete;
  Slab& operator=(const Slab&) = delete;
  ~Slab() {
    for (const std::uintptr_t number : known_to_valgrind) sys::forget_stack(number);
    sys::unmap(memory, size());
    if (kind == StackGuard::mapping) mapped_guards -= kStacksOfSlab;
  }

  void map() {
    if (sys::map(size(), memory) < 0) throw std::bad_alloc();
  }

  bool guard_all(StackGuard by) {
    const bool mapped = by == StackGuard::mapping;
    std::size_t count = 0;
    if (!mapped || mapped_guards.fetch_add(kStacksOfSlab) < kMostMappedGuards) {
      const auto make = mapped ? sys::guard_by_mapping : sys::guard_by_mark;
      while (count < kStacksOfSlab && make(at(count), guard) == 0) ++count;
    }
    if (count == kStacksOfSlab) {
      kind = by;
      return true;
    }
    if (mapped) mapped_guards -= kStacksOfSlab;
    if (count > 0) {
      // All or none: start over.
      sys::unmap(memory, size());
      map();
    }
    return false;
  }

  std::size_t size() const noexcept { return stride * kStacksOfSlab; }
  char* at(std::size_t index) const noexcept { return static_cast<char*>(memory) + index * stride; }
  std::size_t index_of(const Stack& stack) const noexcept {
    return static_cast<std::size_t>(stack.memory - static_cast<char*>(memory)) / stride;
  }

  const std::size_t stride;
  const std::size_t guard;
  void* memory = nullptr;
  StackGuard kind = StackGuard::canary;
  std::uint8_t free[kStacksOfSlab] = {};  // the last one is the next to be used
  std::size_t free_count = 0;
  bool warm[kStacksOfSlab] = {};  // free, and keeps its memory
  std::size_t warm_count = 0;
  std::vector<std::uintptr_t> known_to_valgrind;
};

bool Stack::guards(const void* address) const noexcept {
  const char* const at = static_cast<const char*>(address);
  return at >= memory - size_of_guard() && at < memory;
}

bool Stack::canary_is_intact(const void* stack_pointer) const noexcept {
  std::uint64_t words[kCanarySize / sizeof(std::uint64_t)];
  std::memcpy(words, memory - kCanarySize, kCanarySize);
  return static_cast<const char*>(stack_pointer) >= memory &&
         std::all_of(std::begin(words), std::end(words), [](std::uint64_t w) { return w == 0; });
}

std::size_t Stack::most_used() const noexcept { return size - sys::untouched(memory, size); }

StackPool::StackPool(std::size_t size, StackGuard guard)
    : size_(std::max(size + sys::page_size() - 1, 4 * sys::page_size()) / sys::page_size() *
            sys::page_size()),
      guard_size_(size_of_guard()),
      guard_(guard) {}

StackPool::~StackPool() = default;

StackPool::Slab& StackPool::slab_with_room() {
  if (!open_.empty()) return *open_.back();
  // Doubles the room, because reserve() allocates no more than it is asked for.
  if (slabs_.size() == slabs_.capacity()) slabs_.reserve(2 * slabs_.size() + 1);
  open_.reserve(slabs_.capacity());
  slabs_.push_back(std::make_unique<Slab>(size_, guard_size_, guard_));
  open_.push_back(slabs_.back().get());
  return *slabs_.back();
}

Stack StackPool::take() {
  Slab& slab = slab_with_room();
  const std::size_t index = slab.free[--slab.free_count];
  if (slab.free_count == 0) drop_from_open(slab);
  if (slab.warm[index]) {
    slab.warm[index] = false;
    --slab.warm_count;
    --warm_;
  }
  ++in_use_;
  Stack stack;
  stack.memory = slab.at(index) + slab.guard;
  stack.size = size_;
  stack.slab = &slab;
  stack.above = static_cast<std::uint32_t>(index % kColours * kColourStep);
  stack.guard = slab.kind;
  return stack;
}

void StackPool::give_back(const Stack& stack) noexcept {
  // Frames that were abandoned have not unpoisoned their memory.
  if (__asan_unpoison_memory_region != nullptr)
    __asan_unpoison_memory_region(stack.memory, stack.size);
  sys::tell_unused(stack.memory, stack.size);
  Slab& slab = *static_cast<Slab*>(stack.slab);
  const std::size_t index = slab.index_of(stack);
  if (warm_ < kWarmStacks) {
    slab.warm[index] = true;
    ++slab.warm_count;
    ++warm_;
  } else {
    sys::forget(stack.memory, stack.size);
  }
  slab.free[slab.free_count++] = static_cast<std::uint8_t>(index);
  if (slab.free_count == 1) open_.push_back(&slab);
  --in_use_;
  // An empty slab stays if it is the only one with room.
  if (slab.free_count < kStacksOfSlab || open_.size() == 1) return;
  warm_ -= slab.warm_count;
  drop_from_open(slab);
  slabs_.erase(std::find_if(slabs_.begin(), slabs_.end(),
                            [&](const auto& each) { return each.get() == &slab; }));
}

void StackPool::drop_from_open(Slab& slab) noexcept {
  open_.erase(std::find(open_.begin(), open_.end(), &slab));
}

std::size_t StackPool::reserved() const noexcept {
  return slabs_.size() * (size_ + guard_size_) * kStacksOfSlab;
}

}  // namespace plug::detail::fiber
