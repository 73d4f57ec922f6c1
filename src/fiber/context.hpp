#pragma once

// Where a stack of calls stands, and switching from one to another.

#include <cxxabi.h>

#include <boost/context/detail/fcontext.hpp>

#include <cstddef>
#include <cstdint>
#include <utility>

#include "sys/sanitizers.hpp"

#ifdef PLUG_ADDRESS_SANITIZER
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef PLUG_THREAD_SANITIZER
#include <sanitizer/tsan_interface.h>
#endif

// While a switch is under way the address sanitizer knows of neither stack: what these functions
// have in variables must not be on one of its own.
#define PLUG_UNSANITIZED __attribute__((no_sanitize("address")))

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
  template <void (*main)()>
  void prepare(void* top, std::size_t size) noexcept {
    prepare_at(top, size, &enter<main>);
  }

  /// Goes on in `other`; returns when something switches to this.
  void switch_to(Context& other) noexcept { change_to(other, false); }

  /// Where on its stack it stands, while it is not running.
  const void* place() const noexcept { return place_; }

  /// Goes on in `other`, for ever.
  [[noreturn]] void leave_for(Context& other) noexcept;

 private:
  /// What the runtime keeps of exceptions for a thread; the ABI says what is in it.
  struct ExceptionGlobals {
    void* caught;
    unsigned int uncaught;
  };
  /// What a switch carries over.
  struct Switch {
    Context& to;
    Context& from;
  };

  /// The first thing on a new stack.
  template <void (*main)()>
  PLUG_UNSANITIZED static void enter(boost::context::detail::transfer_t transfer) noexcept {
    const Switch& both = *static_cast<Switch*>(transfer.data);
    both.to.arrive(transfer.fctx, both.from);
    main();
    __builtin_unreachable();
  }
  void prepare_at(void* top, std::size_t size,
                  void (*entry)(boost::context::detail::transfer_t)) noexcept;
  void change_to(Context& other, bool for_ever) noexcept;
  void arrive(void* place, Context& from) noexcept;

  // First what each switch uses.
  void* place_ = nullptr;  // where it stands, while it is not running

  // The runtime's: what has been caught and not yet handled, and how much is under way.
  void* caught_ = nullptr;
  void* globals_ = nullptr;  // the thread's
  unsigned int uncaught_ = 0;

#if defined(PLUG_ADDRESS_SANITIZER) || defined(PLUG_THREAD_SANITIZER)
  const void* bottom_ = nullptr;
  std::size_t size_ = 0;
  void* fake_stack_ = nullptr;
  void* thread_ = nullptr;
#endif
};

// Inline, since each return after a switch goes where the processor does not expect it to.

PLUG_UNSANITIZED inline void Context::change_to(Context& other,
                                                [[maybe_unused]] bool for_ever) noexcept {
  namespace bc = boost::context::detail;
  if (globals_ == nullptr) globals_ = abi::__cxa_get_globals();
  auto& globals = *static_cast<ExceptionGlobals*>(globals_);
  caught_ = std::exchange(globals.caught, other.caught_);
  uncaught_ = std::exchange(globals.uncaught, other.uncaught_);
#ifdef PLUG_ADDRESS_SANITIZER
  __sanitizer_start_switch_fiber(for_ever ? nullptr : &fake_stack_, other.bottom_, other.size_);
#endif
#ifdef PLUG_THREAD_SANITIZER
  if (thread_ == nullptr) thread_ = __tsan_get_current_fiber();
  __tsan_switch_to_fiber(other.thread_, 0);
#endif
  Switch both{other, *this};
  const bc::transfer_t transfer = bc::jump_fcontext(other.place_, &both);
  arrive(transfer.fctx, static_cast<Switch*>(transfer.data)->from);
}

/// On the stack of this context, right after `from` has switched to it and stands at `place`.
PLUG_UNSANITIZED inline void Context::arrive(void* place, Context& from) noexcept {
  from.place_ = place;
#ifdef PLUG_ADDRESS_SANITIZER
  // Says where the stack is that has been left: the only way to know a thread's own.
  const void* bottom = nullptr;
  std::size_t size = 0;
  __sanitizer_finish_switch_fiber(std::exchange(fake_stack_, nullptr), &bottom, &size);
  if (from.bottom_ == nullptr) {
    from.bottom_ = bottom;
    from.size_ = size;
  }
#endif
}

}  // namespace plug::detail
