#pragma once

// The execution context of a call stack, and the switch from one to another.

#include <cxxabi.h>

#include <boost/context/detail/fcontext.hpp>

#include <cstddef>
#include <cstdint>
#include <utility>

#include "sys/sanitizers.hpp"

// Switches are announced to the sanitizer that the program was built with, if any; the library may
// have been built without it. During a switch the address sanitizer knows neither stack, so the
// variables of these functions must not lie on its fake stack.
#define PLUG_UNSANITIZED __attribute__((no_sanitize("address")))

namespace plug::detail::fiber {

/// A call stack that can be suspended and resumed later, only by the thread that suspended it.
/// Exceptions belong to their stack: on each side of a switch one may be in flight or being
/// handled.
class Context {
 public:
  /// The sanitizers' view of a stack.
  struct Announced {
    const void* bottom = nullptr;
    std::size_t size = 0;
    void* fiber = nullptr;
  };

  Context() noexcept = default;
  /// The context of the calling thread's own stack, once the thread switches away from it.
  explicit Context(Announced& of_thread) noexcept;
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  /// Prepares a new stack below `top`, on which main() starts at the first switch. main() must not
  /// return; it ends with leave_for().
  template <void (*main)()>
  void prepare(void* top, std::size_t size) noexcept {
    prepare_at(top, size, &enter<main>);
  }

  /// Resumes `other`. Returns when something switches back to this context.
  void switch_to(Context& other) noexcept {
    if (announces_) [[unlikely]]
      return announce_and_change_to(other, false);
    change_to(other);
  }

  /// Returns the stack pointer of a suspended context.
  const void* stack_pointer() const noexcept { return stack_pointer_; }

  /// Resumes `other` and never returns.
  [[noreturn]] void leave_for(Context& other) noexcept;

  /// Must be called after leave_for(), before the stack is used again.
  void let_go_of_stack() noexcept {
    if (announces_) [[unlikely]]
      forget_announced();
  }

 private:
  /// The C++ runtime's exception state of a thread, as the ABI defines it.
  struct ExceptionGlobals {
    void* caught;
    unsigned int uncaught;
  };
  /// The data that a switch passes along.
  struct Switch {
    Context& to;
    Context& from;
  };

  /// The first function on a new stack.
  template <void (*main)()>
  PLUG_UNSANITIZED static void enter(boost::context::detail::transfer_t transfer) noexcept {
    const Switch& both = *static_cast<Switch*>(transfer.data);
    both.from.stack_pointer_ = transfer.fctx;
    if (both.to.announces_) [[unlikely]]
      announce_arrival(nullptr, both.from);
    main();
    __builtin_unreachable();
  }
  void prepare_at(void* top, std::size_t size,
                  void (*entry)(boost::context::detail::transfer_t)) noexcept;
  void change_to(Context& other) noexcept;
  void swap_exceptions(ExceptionGlobals& globals, Context& other) noexcept {
    caught_ = std::exchange(globals.caught, other.caught_);
    uncaught_ = std::exchange(globals.uncaught, other.uncaught_);
  }

  void announce_and_change_to(Context& other, bool for_ever) noexcept;
  static void announce_arrival(void* fake_stack, Context& from) noexcept;
  void forget_announced() noexcept;

  // The members that every switch uses come first.
  void* stack_pointer_ = nullptr;  // the stack pointer while suspended

  // The runtime's exception state: the exceptions being handled, and the number in flight.
  void* caught_ = nullptr;
  union {
    void* globals_ = nullptr;  // the thread's
    Announced* announced_;     // on top of the stack, if switches are announced
  };
  unsigned int uncaught_ = 0;
  // The same in the whole process.
  const bool announces_ = sys::hears_of_switches();
};

// Inline, because the processor mispredicts every return after a switch.
inline void Context::change_to(Context& other) noexcept {
  namespace bc = boost::context::detail;
  if (globals_ == nullptr) globals_ = abi::__cxa_get_globals();
  swap_exceptions(*static_cast<ExceptionGlobals*>(globals_), other);
  Switch both{other, *this};
  const bc::transfer_t transfer = bc::jump_fcontext(other.stack_pointer_, &both);
  static_cast<Switch*>(transfer.data)->from.stack_pointer_ = transfer.fctx;
}

}  // namespace plug::detail::fiber
