#pragma once

// Where a stack of calls stands, and switching from one to another.

#include <cxxabi.h>

#include <boost/context/detail/fcontext.hpp>

#include <cstddef>
#include <cstdint>
#include <utility>

#include "sys/sanitizers.hpp"

// Switches are announced to the sanitizer that the program was built with, if any: the library may
// have been built without it. While a switch is under way the address sanitizer knows of neither
// stack: what these functions have in variables must not be on one of its own.
#define PLUG_UNSANITIZED __attribute__((no_sanitize("address")))

namespace plug::detail {

/// A stack of calls that can be left in the middle and gone on with later, by the thread that has
/// left it and no other. Exceptions belong to their stack: one may be thrown, or be under way, on
/// each side of a switch.
class Context {
 public:
  /// What sanitizers know of a stack.
  struct Announced {
    const void* bottom = nullptr;
    std::size_t size = 0;
    void* fiber = nullptr;
  };

  Context() noexcept = default;
  /// The calling thread's own, once it is switched from.
  explicit Context(Announced& of_thread) noexcept;
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  /// Becomes one that begins with main() on the memory below `top`, when it is first switched to.
  /// main() must not return; it ends by leave_for().
  template <void (*main)()>
  void prepare(void* top, std::size_t size) noexcept {
    prepare_at(top, size, &enter<main>);
  }

  /// Goes on in `other`; returns when something switches to this.
  void switch_to(Context& other) noexcept {
    if (announces_) [[unlikely]]
      return announce_and_change_to(other, false);
    change_to(other);
  }

  /// Where on its stack it stands, while it is not running.
  const void* place() const noexcept { return place_; }

  /// Goes on in `other`, for ever.
  [[noreturn]] void leave_for(Context& other) noexcept;

  /// It has left for ever: its stack is about to be given to another.
  void let_go_of_stack() noexcept {
    if (announces_) [[unlikely]]
      forget_announced();
  }

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
    both.from.place_ = transfer.fctx;
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

  // First what each switch uses.
  void* place_ = nullptr;  // where it stands, while it is not running

  // The runtime's: what has been caught and not yet handled, and how much is under way.
  void* caught_ = nullptr;
  union {
    void* globals_ = nullptr;  // the thread's
    Announced* announced_;     // on top of its stack; where switches are announced
  };
  unsigned int uncaught_ = 0;
  // The same for all of a process.
  const bool announces_ = sys::hears_of_switches();
};

// Inline, since each return after a switch goes where the processor does not expect it to.
inline void Context::change_to(Context& other) noexcept {
  namespace bc = boost::context::detail;
  if (globals_ == nullptr) globals_ = abi::__cxa_get_globals();
  swap_exceptions(*static_cast<ExceptionGlobals*>(globals_), other);
  Switch both{other, *this};
  const bc::transfer_t transfer = bc::jump_fcontext(other.place_, &both);
  static_cast<Switch*>(transfer.data)->from.place_ = transfer.fctx;
}

}  // namespace plug::detail
