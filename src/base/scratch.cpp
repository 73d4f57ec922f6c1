#include "base/scratch.hpp"

#include "sys/thread_end.hpp"

namespace plug::detail::base {

bool Scratch::give_back_at_end() noexcept {
  static const sys::ThreadEnd end([](void* memory) {
    auto& ended = *static_cast<Kept*>(memory);
    delete[] ended.memory;
    ended = {nullptr, 0, false};
  });
  kept.given_back = end.ask(&kept);
  return kept.given_back;
}

}  // namespace plug::detail::base
