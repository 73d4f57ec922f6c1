#include "server/loop.hpp"

#include <plug/error.hpp>

#include <array>
#include <system_error>
#include <utility>

#include "wait/io_driver.hpp"

namespace plug::detail::server {

ServerLoop::ServerLoop() : requests_(std::make_shared<RequestRegistry>()) {}

void ServerLoop::adopt() {
  if (!forked()) return;
  auto requests = std::make_shared<RequestRegistry>();
  serving_.adopt();
  requests_ = std::move(requests);
  children_ = ServerChildren();
  fork_guard_.store(base::ForkGuard());
}

void ServerLoop::close_sockets_of_others(BaseServer& server) noexcept {
  if (group_ == nullptr) return;
  std::error_code ignored;
  for (const auto& other : *group_)
    if (other.get() != &server) other->socket.close(ignored);
}

bool ServerLoop::wait_until_idle(int give_up) {
  for (;;) {
    children_.look();
    requests_->drain_event();
    if (requests_->is_idle()) {
      requests_->signal_event();  // another thread may wait too
      return true;
    }
    std::array entries{sys::PollEntry{give_up, sys::kIn, 0},
                       sys::PollEntry{requests_->event(), sys::kIn, 0},
                       sys::PollEntry{children_.event(), sys::kIn, 0}};
    const long ready = wait::wait_any(entries, children_.next_look());
    if (ready < 0) throw_if(base::error_from(ready), "waiting for the requests of a server");
    if (entries[0].revents != 0) return false;
  }
}

}  // namespace plug::detail::server
