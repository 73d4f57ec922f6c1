#include "fiber/context.hpp"

#include <new>

namespace plug::detail::fiber {

Context::Context(Announced& of_thread) noexcept {
  if (!announces_) return;
  announced_ = &of_thread;
  if (__tsan_get_current_fiber != nullptr) of_thread.fiber = __tsan_get_current_fiber();
}

void Context::prepare_at(void* top, std::size_t size,
                         void (*entry)(boost::context::detail::transfer_t)) noexcept {
  if (announces_) {
    constexpr std::size_t kRoom = 64;
    static_assert(sizeof(Announced) <= kRoom);
    top = static_cast<char*>(top) - kRoom;
    size -= kRoom;
    announced_ = ::new (top) Announced{static_cast<char*>(top) - size, size};
    if (__tsan_create_fiber != nullptr) announced_->fiber = __tsan_create_fiber(0);
  }
  stack_pointer_ = boost::context::detail::make_fcontext(top, size, entry);
}

PLUG_UNSANITIZED void Context::leave_for(Context& other) noexcept {
  if (announces_) announce_and_change_to(other, true);
  change_to(other);
  __builtin_unreachable();
}

PLUG_UNSANITIZED void Context::announce_and_change_to(Context& other, bool for_ever) noexcept {
  namespace bc = boost::context::detail;
  swap_exceptions(*reinterpret_cast<ExceptionGlobals*>(abi::__cxa_get_globals()), other);
  Switch both{other, *this};
  const Announced& to = *other.announced_;
  // The address sanitizer's data for the stack that is left.
  void* fake_stack = nullptr;
  if (__sanitizer_start_switch_fiber != nullptr)
    __sanitizer_start_switch_fiber(for_ever ? nullptr : &fake_stack, to.bottom, to.size);
  if (__tsan_switch_to_fiber != nullptr) __tsan_switch_to_fiber(to.fiber, 0);
  const bc::transfer_t transfer = bc::jump_fcontext(other.stack_pointer_, &both);
  Context& from = static_cast<Switch*>(transfer.data)->from;
  from.stack_pointer_ = transfer.fctx;
  announce_arrival(fake_stack, from);
}

PLUG_UNSANITIZED void Context::announce_arrival(void* fake_stack, Context& from) noexcept {
  if (__sanitizer_finish_switch_fiber == nullptr) return;
  // Tells where the stack that was left lies, which is not known otherwise for a thread's own.
  const void* bottom = nullptr;
  std::size_t size = 0;
  __sanitizer_finish_switch_fiber(fake_stack, &bottom, &size);
  if (from.announced_->bottom == nullptr) {
    from.announced_->bottom = bottom;
    from.announced_->size = size;
  }
}

void Context::forget_announced() noexcept {
  if (__tsan_destroy_fiber != nullptr) __tsan_destroy_fiber(announced_->fiber);
}

}  // namespace plug::detail::fiber
