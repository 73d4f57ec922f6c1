#include "fiber/stack.hpp"

#include <algorithm>
#include <new>

#include "sys/memory.hpp"

#if defined(__SANITIZE_ADDRESS__)
#define PLUG_ADDRESS_SANITIZER
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define PLUG_ADDRESS_SANITIZER
#endif
#endif
#ifdef PLUG_ADDRESS_SANITIZER
#include <sanitizer/asan_interface.h>
#endif

namespace plug::detail {

namespace {

constexpr std::size_t kStacksOfSlab = 64;
constexpr std::size_t kWarmStacks = 256;
// Eight lines apart, within a page: sixteen of them.
constexpr std::size_t kColours = 8, kColourStep = 256;

/// A frame that was left for ever has not cleaned up behind itself.
void make_clean([[maybe_unused]] const Stack& stack) noexcept {
#ifdef PLUG_ADDRESS_SANITIZER
  __asan_unpoison_memory_region(stack.memory, stack.size);
#endif
}

}  // namespace

/// One mapping: for each stack its guard, and above that its memory.
struct StackPool::Slab {
  Slab(std::size_t stack_size, std::size_t guard_size)
      : stride(stack_size + guard_size), guard(guard_size) {
    if (sys::map(size(), memory) < 0) throw std::bad_alloc();
    for (std::size_t i = 0; i < kStacksOfSlab; ++i) {
      if (sys::guard(at(i), guard) == 0) continue;
      sys::unmap(memory, size());
      throw std::bad_alloc();
    }
    free.reserve(kStacksOfSlab);
    for (std::size_t i = kStacksOfSlab; i > 0; --i) free.push_back(i - 1);
  }
  Slab(const Slab&) = delete;
  Slab& operator=(const Slab&) = delete;
  ~Slab() { sys::unmap(memory, size()); }

  std::size_t size() const noexcept { return stride * kStacksOfSlab; }
  char* at(std::size_t index) const noexcept { return static_cast<char*>(memory) + index * stride; }
  std::size_t index_of(const Stack& stack) const noexcept {
    return static_cast<std::size_t>(stack.memory - static_cast<char*>(memory)) / stride;
  }

  const std::size_t stride;
  const std::size_t guard;
  void* memory = nullptr;
  std::vector<std::size_t> free;  // of which the last is the next
  bool warm[kStacksOfSlab] = {};  // free, with memory
  std::size_t warm_count = 0;
};

StackPool::StackPool(std::size_t size)
    : size_(std::max(size + sys::page_size() - 1, 4 * sys::page_size()) / sys::page_size() *
            sys::page_size()) {}

StackPool::~StackPool() = default;

StackPool::Slab& StackPool::slab_with_room() {
  if (!open_.empty()) return *open_.back();
  open_.reserve(slabs_.size() + 1);
  slabs_.reserve(slabs_.size() + 1);
  slabs_.push_back(std::make_unique<Slab>(size_, sys::page_size()));
  open_.push_back(slabs_.back().get());
  return *slabs_.back();
}

Stack StackPool::take() {
  Slab& slab = slab_with_room();
  const std::size_t index = slab.free.back();
  slab.free.pop_back();
  if (slab.free.empty()) drop_from_open(slab);
  if (slab.warm[index]) {
    slab.warm[index] = false;
    --slab.warm_count;
    --warm_;
  }
  ++in_use_;
  return {slab.at(index) + slab.guard, size_, &slab, index % kColours * kColourStep};
}

void StackPool::give_back(const Stack& stack) noexcept {
  make_clean(stack);
  Slab& slab = *static_cast<Slab*>(stack.slab);
  const std::size_t index = slab.index_of(stack);
  if (warm_ < kWarmStacks) {
    slab.warm[index] = true;
    ++slab.warm_count;
    ++warm_;
  } else {
    sys::forget(stack.memory, stack.size);
  }
  slab.free.push_back(index);
  if (slab.free.size() == 1) open_.push_back(&slab);
  --in_use_;
  // One that is empty stays as long as it is the only one with room.
  if (slab.free.size() < kStacksOfSlab || open_.size() == 1) return;
  warm_ -= slab.warm_count;
  drop_from_open(slab);
  slabs_.erase(std::find_if(slabs_.begin(), slabs_.end(),
                            [&](const auto& each) { return each.get() == &slab; }));
}

void StackPool::drop_from_open(Slab& slab) noexcept {
  open_.erase(std::find(open_.begin(), open_.end(), &slab));
}

std::size_t StackPool::reserved() const noexcept {
  return slabs_.size() * (size_ + sys::page_size()) * kStacksOfSlab;
}

}  // namespace plug::detail
