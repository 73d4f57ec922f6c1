#include "support/blocked_thread.hpp"

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <iterator>
#include <stdexcept>
#include <string>
#include <utility>

namespace {

bool waits_for_a_socket(long number) {
  constexpr long kCalls[] = {
      SYS_ppoll,      SYS_poll,    SYS_recvfrom,    SYS_recvmsg,      SYS_sendto,
      SYS_sendmsg,    SYS_accept4, SYS_connect,     SYS_read,         SYS_write,
      SYS_sendfile,   SYS_splice,  SYS_epoll_pwait, SYS_epoll_pwait2,
#ifdef SYS_epoll_wait
      SYS_epoll_wait,
#endif
  };
  return std::find(std::begin(kCalls), std::end(kCalls), number) != std::end(kCalls);
}

}  // namespace

BlockedThread::BlockedThread(std::function<void()> call)
    : thread_([this, call = std::move(call)] {
        tid_.set_value(static_cast<int>(::syscall(SYS_gettid)));
        go_.get_future().wait();
        call();
        done_.set_value();
      }) {
  const std::string tid = std::to_string(tid_.get_future().get());
  status_ = ::open(("/proc/self/task/" + tid + "/syscall").c_str(), O_RDONLY | O_CLOEXEC);
  go_.set_value();
}

BlockedThread::~BlockedThread() {
  if (thread_.joinable()) thread_.join();
  if (status_ >= 0) ::close(status_);
}

bool BlockedThread::wait_until_blocked() {
  using Clock = std::chrono::steady_clock;
  const auto limit = Clock::now() + std::chrono::seconds(20);
  while (Clock::now() < limit) {
    if (finished_.wait_for(std::chrono::seconds(0)) == std::future_status::ready) return false;
    // A number, and arguments; or "running".
    char text[32] = {};
    if (::pread(status_, text, sizeof text - 1, 0) > 0 && text[0] >= '0' && text[0] <= '9' &&
        waits_for_a_socket(std::strtol(text, nullptr, 10)))
      return true;
    std::this_thread::yield();
  }
  return false;
}
