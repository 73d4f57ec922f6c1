#include "fiber/context.hpp"

namespace plug::detail {

namespace bc = boost::context::detail;

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

PLUG_UNSANITIZED void Context::leave_for(Context& other) noexcept {
  change_to(other, true);
  __builtin_unreachable();
}

}  // namespace plug::detail
