#pragma once

#include <atomic>

#include "server/requests.hpp"

namespace plug::detail::server {

/// Tells handle_request() of requests whose handlers begin later, as with
/// FiberMixIn::defer_until_readable. May be used from any thread.
class Deferral {
 public:
  /// Records a request whose handler begins later.
  void add() noexcept { deferred_.store(true); }
  /// Returns true if add() has been called since the last call of this.
  bool take() noexcept { return deferred_.exchange(false); }

  /// Records that the handler of such a request begins, and signals the event of `requests`.
  void begin(const RequestRegistry& requests) noexcept {
    if (!begun_.exchange(true)) requests.signal_event();
  }
  /// Returns true if begin() has been called since forget().
  bool has_begun() const noexcept { return begun_.load(); }
  void forget() noexcept {
    deferred_.store(false);
    begun_.store(false);
  }

 private:
  std::atomic<bool> deferred_{false};
  std::atomic<bool> begun_{true};
};

}  // namespace plug::detail::server
