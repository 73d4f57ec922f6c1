#include "base/result.hpp"

namespace plug::detail::base {

std::error_code error_from(long result) noexcept {
  if (result >= 0) return {};
  if (result == kTimedOut) return timed_out();
  if (result == kCancelled) return Errc::cancelled;
  if (result < kStopped) return {static_cast<int>(kStopped - result), std::generic_category()};
  return {static_cast<int>(-result), std::system_category()};
}

}  // namespace plug::detail::base
