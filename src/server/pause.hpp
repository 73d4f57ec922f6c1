#pragma once

#include <atomic>
#include <cstdint>

#include "sys/for_fiber.hpp"

namespace plug::detail::server {

/// The pause of a server that lacks descriptors or memory. May be used from any thread.
class AcceptPause {
 public:
  /// Begins a pause, in which the server takes no request. Returns true if there has been a request
  /// since the previous pause.
  bool begin() noexcept;
  /// Returns the nanoseconds until the end of the pause; zero or less if there is none.
  std::int64_t left() const noexcept;
  void got_request() noexcept {
    if (paused_.load(std::memory_order_relaxed)) paused_.store(false);
  }

  /// Waits for the length of a pause. Returns 0, or an error as wait_any() does.
  [[nodiscard]] PLUG_FOR_FIBER static long rest();

 private:
  std::atomic<bool> paused_{false};
  std::atomic<std::int64_t> until_{0};  // on the monotonic clock
};

}  // namespace plug::detail::server
