#include "server/pause.hpp"

#include "base/deadline.hpp"
#include "wait/io_driver.hpp"

namespace plug::detail::server {

namespace {

constexpr std::int64_t kLength = 50'000'000;  // nanoseconds

}  // namespace

bool AcceptPause::begin() noexcept {
  until_.store(sys::monotonic_nanoseconds() + kLength);
  return !paused_.exchange(true);
}

std::int64_t AcceptPause::left() const noexcept {
  return paused_.load() ? until_.load() - sys::monotonic_nanoseconds() : 0;
}

long AcceptPause::rest() { return wait::wait_any({}, base::deadline_after(kLength)); }

}  // namespace plug::detail::server
