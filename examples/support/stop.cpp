#include "support/program.hpp"

#include <csignal>

#include <pthread.h>

namespace lesson {
namespace {

sigset_t stop_signals() noexcept {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  return signals;
}

}  // namespace

Stop::Stop() {
  const sigset_t signals = stop_signals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  thread_ = std::thread([this, signals] {
    int number = 0;
    sigwait(&signals, &number);
    stop();
  });
}

Stop::~Stop() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  pthread_kill(thread_.native_handle(), SIGTERM);
  thread_.join();
}

void Stop::stop() {
  const std::lock_guard lock(mutex_);
  if (ending_) return;
  stopped_ = true;
  changed_.notify_all();
  for (const auto& function : watched_) function();
}

Stop::Watch::Watch(Stop& stop, std::function<void()> function) : stop_(stop) {
  const std::lock_guard lock(stop_.mutex_);
  if (stop_.stopped_) function();
  place_ = stop_.watched_.insert(stop_.watched_.end(), std::move(function));
}

Stop::Watch::~Watch() {
  const std::lock_guard lock(stop_.mutex_);
  stop_.watched_.erase(place_);
}

Stop::Watch Stop::watch(plug::Socket& sock) {
  return watch([&sock] {
    std::error_code ignored;
    sock.close(ignored);
  });
}

Stop::Watch Stop::watch(std::function<void()> function) {
  return Watch(*this, std::move(function));
}

bool Stop::stopped() const {
  const std::lock_guard lock(mutex_);
  return stopped_;
}

bool Stop::wait_for(std::chrono::nanoseconds time) const {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, time, [this] { return stopped_; });
}

void Stop::unblock_signals() noexcept {
  const sigset_t signals = stop_signals();
  pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);
}

}  // namespace lesson
