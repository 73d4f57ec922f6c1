#pragma once

// Where a stack of calls stands, and switching from one to another.

#include <cstddef>
#include <cstdint>

#include "sys/sanitizers.hpp"

namespace plug::detail {

/// A stack of calls that can be left in the middle and gone on with later, by the thread that has
/// left it and no other. Exceptions belong to their stack: one may be thrown, or be under way, on
/// each side of a switch.
class Context {
 public:
  /// The calling thread's own, once it is switched from.
  Context() noexcept = default;
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;
  ~Context();  // NOLINT(performance-trivially-destructible): not under the thread sanitizer

  /// Becomes one that begins with main() on the memory below `top`, when it is first switched to.
  /// main() must not return; it ends by leave_for().
  void prepare(void* top, std::size_t size, void (*main)()) noexcept;

  /// Goes on in `other`; returns when something switches to this.
  void switch_to(Context& other) noexcept { change_to(other, false); }

  /// Where on its stack it stands, while it is not running.
  const void* place() const noexcept { return place_; }

  /// Goes on in `other`, for ever.
  [[noreturn]] void leave_for(Context& other) noexcept;

 private:
  struct Switch;
  struct Entry;

  void change_to(Context& other, bool for_ever) noexcept;
  void arrive(void* place, Context& from) noexcept;

  // First what each switch uses.
  void* place_ = nullptr;  // where it stands, while it is not running

  // The runtime's: what has been caught and not yet handled, and how much is under way.
  void* caught_ = nullptr;
  void* globals_ = nullptr;  // the thread's
  unsigned int uncaught_ = 0;

  void (*main_)() = nullptr;

#if defined(PLUG_ADDRESS_SANITIZER) || defined(PLUG_THREAD_SANITIZER)
  const void* bottom_ = nullptr;
  std::size_t size_ = 0;
  void* fake_stack_ = nullptr;
  void* thread_ = nullptr;
#endif
};

}  // namespace plug::detail
