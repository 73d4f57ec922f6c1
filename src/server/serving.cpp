#include "server/serving.hpp"

#include <plug/error.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "server/event.hpp"
#include "wait/io_driver.hpp"

namespace plug::detail::server {

ServingState::ServingState() : stop_wanted_(make_event()), ended_(make_event()) {}

ServingState::Running::Running(ServingState& state, RequestRegistry& requests) : state_(state) {
  const std::lock_guard lock(state_.mutex_);
  state_.callers_.push_back(wait::caller());
  if (!state_.serving_.exchange(true)) requests.accept_again();
  sys::eventfd_drain(state_.ended_);
}

ServingState::Running::~Running() {
  const std::lock_guard lock(state_.mutex_);
  auto& callers = state_.callers_;
  callers.erase(std::find(callers.begin(), callers.end(), wait::caller()));
  if (!callers.empty()) return;
  state_.forget_stop();
  state_.serving_.store(false);
  sys::eventfd_add(state_.ended_);
}

void ServingState::stop() noexcept {
  const int before = errno;
  stop_.store(true);
  sys::eventfd_add(stop_wanted_);
  errno = before;
}

void ServingState::forget_stop() noexcept {
  stop_.store(false);
  sys::eventfd_drain(stop_wanted_);
}

void ServingState::wait_until_ended() {
  while (serving_.load()) {
    std::array entries{sys::PollEntry{ended_.get(), sys::kIn, 0}};
    const long ready = wait::wait_any(entries, Deadline::none());
    if (ready < 0) throw_if(base::error_from(ready), "shutdown");
  }
}

bool ServingState::runs_here() {
  const std::lock_guard lock(mutex_);
  return std::find(callers_.begin(), callers_.end(), wait::caller()) != callers_.end();
}

void ServingState::let_one_in(RequestRegistry& requests) {
  const std::lock_guard lock(mutex_);
  if (!serving_.load()) requests.accept_again();
}

void ServingState::adopt() {
  sys::OwnFd stop_wanted = make_event();
  sys::OwnFd ended = make_event();
  stop_wanted_ = std::move(stop_wanted);
  ended_ = std::move(ended);
  stop_.store(false);
  serving_.store(false);
  callers_.clear();
}

}  // namespace plug::detail::server
