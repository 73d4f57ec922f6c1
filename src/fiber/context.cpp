#include "fiber/context.hpp"

#include <cxxabi.h>

#include <boost/context/detail/fcontext.hpp>

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

namespace bc = boost::context::detail;

namespace {

/// What the runtime keeps of exceptions for a thread; the ABI says what is in it.
struct ExceptionGlobals {
  void* caught;
  unsigned int uncaught;
};

}  // namespace

/// What a switch carries over.
struct Context::Switch {
  Context& to;
  Context& from;
};

struct Context::Entry {
  /// The first thing on a new stack.
  PLUG_UNSANITIZED static void enter(bc::transfer_t transfer) noexcept {
    const Switch& both = *static_cast<Switch*>(transfer.data);
    Context& self = both.to;
    self.arrive(transfer.fctx, both.from);
    self.main_();
    __builtin_unreachable();
  }
};

#ifdef PLUG_THREAD_SANITIZER
Context::~Context() {
  if (main_ != nullptr && thread_ != nullptr) __tsan_destroy_fiber(thread_);
}
#else
Context::~Context() = default;
#endif

void Context::prepare(void* top, std::size_t size, void (*main)()) noexcept {
  main_ = main;
#ifdef PLUG_ADDRESS_SANITIZER
  bottom_ = static_cast<char*>(top) - size;
  size_ = size;
#endif
  place_ = bc::make_fcontext(top, size, &Entry::enter);
#ifdef PLUG_THREAD_SANITIZER
  thread_ = __tsan_create_fiber(0);
#endif
}

PLUG_UNSANITIZED void Context::change_to(Context& other, [[maybe_unused]] bool for_ever) noexcept {
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

PLUG_UNSANITIZED void Context::leave_for(Context& other) noexcept {
  change_to(other, true);
  __builtin_unreachable();
}

/// On the stack of this context, right after `from` has switched to it and stands at `place`.
PLUG_UNSANITIZED void Context::arrive(void* place, Context& from) noexcept {
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
