#pragma once

#include <plug/socketserver.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/process_local.hpp"
#include "server/children.hpp"
#include "server/deferral.hpp"
#include "server/pause.hpp"
#include "server/requests.hpp"
#include "server/serving.hpp"
#include "sys/syscalls.hpp"

namespace plug::detail::server {

/// The state of a server's loop, which its handlers and the threads that end it use too.
class ServerLoop {
 public:
  /// Throws OSError if the system has no descriptor left for its events.
  ServerLoop();

  ServingState& serving() noexcept { return serving_; }
  RequestRegistry& requests() const noexcept { return *requests_; }
  ServerChildren& children() noexcept { return children_; }
  Deferral& deferral() noexcept { return deferral_; }
  AcceptPause& pause() noexcept { return pause_; }

  /// Returns true in a process other than the server's.
  bool forked() const noexcept { return fork_guard_.load().is_of_parent(); }
  /// Makes the server this process's, if it serves after a fork.
  void adopt();

  /// Makes the server one of a group, whose members must not change while it serves.
  void set_group(const std::vector<std::unique_ptr<BaseServer>>& group) noexcept {
    group_ = &group;
  }
  /// Closes the group's other sockets in a forked child, which would keep the address taken.
  void close_sockets_of_others(BaseServer& server) noexcept;

  /// Returns false if there are `most` connections (zero: no limit); the event of requests() is
  /// readable once one has ended.
  bool has_room(std::size_t most) { return most == 0 || !requests_->is_full(most); }
  /// Waits until no request is being handled, and returns true. Returns false once the descriptor
  /// `give_up` is readable. Must be called on the serving thread.
  bool wait_until_idle(int give_up);

 private:
  std::atomic<base::ForkGuard> fork_guard_{base::ForkGuard()};
  ServingState serving_;
  std::shared_ptr<RequestRegistry> requests_;
  ServerChildren children_;
  Deferral deferral_;
  AcceptPause pause_;
  const std::vector<std::unique_ptr<BaseServer>>* group_ = nullptr;
};

}  // namespace plug::detail::server
