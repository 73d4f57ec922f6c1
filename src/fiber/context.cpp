#include "fiber/context.hpp"

namespace plug::detail {

#ifdef PLUG_THREAD_SANITIZER
Context::~Context() {
  if (size_ != 0) __tsan_destroy_fiber(thread_);  // and not a thread's own
}
#else
Context::~Context() = default;
#endif

void Context::prepare_at(void* top, std::size_t size,
                         void (*entry)(boost::context::detail::transfer_t)) noexcept {
#if defined(PLUG_ADDRESS_SANITIZER) || defined(PLUG_THREAD_SANITIZER)
  bottom_ = static_cast<char*>(top) - size;
  size_ = size;
#endif
  place_ = boost::context::detail::make_fcontext(top, size, entry);
#ifdef PLUG_THREAD_SANITIZER
  thread_ = __tsan_create_fiber(0);
#endif
}

PLUG_UNSANITIZED void Context::leave_for(Context& other) noexcept {
  change_to(other, true);
  __builtin_unreachable();
}

}  // namespace plug::detail
