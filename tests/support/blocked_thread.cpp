#include "support/blocked_thread.hpp"

#include <gtest/gtest.h>

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
      SYS_ppoll,        SYS_poll,           SYS_recvfrom, SYS_recvmsg, SYS_recvmmsg,
      SYS_sendto,       SYS_sendmsg,        SYS_sendmmsg, SYS_accept4, SYS_connect,
      SYS_read,         SYS_write,          SYS_sendfile, SYS_splice,  SYS_epoll_pwait,
      SYS_epoll_pwait2, SYS_io_uring_enter,
#ifdef SYS_epoll_wait
      SYS_epoll_wait,
#endif
  };
  return std::find(std::begin(kCalls), std::end(kCalls), number) != std::end(kCalls);
}

int calling_tid() { return static_cast<int>(::syscall(SYS_gettid)); }

/// Opens the file in /proc that names the system call a thread of this process is in.
int open_status(int tid) {
  const std::string path = "/proc/self/task/" + std::to_string(tid) + "/syscall";
  return ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
}

/// Returns true once the thread sleeps in a call that waits for a socket. Returns false if over()
/// says that this will not happen, or after 20 seconds.
template <class Over>
bool wait_until_blocked(int status, Over over) {
  using Clock = std::chrono::steady_clock;
  const auto limit = Clock::now() + std::chrono::seconds(20);
  while (Clock::now() < limit) {
    if (over()) return false;
    // The number of the system call and its arguments, or "running".
    char text[32] = {};
    if (::pread(status, text, sizeof text - 1, 0) > 0 && text[0] >= '0' && text[0] <= '9' &&
        waits_for_a_socket(std::strtol(text, nullptr, 10)))
      return true;
    std::this_thread::yield();
  }
  return false;
}

}  // namespace

BlockedThread::BlockedThread(std::function<void()> call)
    : thread_([this, call = std::move(call)] {
        tid_.set_value(calling_tid());
        go_.get_future().wait();
        call();
        done_.set_value();
      }) {
  status_ = open_status(tid_.get_future().get());
  go_.set_value();
}

BlockedThread::~BlockedThread() {
  if (thread_.joinable()) thread_.join();
  if (status_ >= 0) ::close(status_);
}

bool BlockedThread::wait_until_blocked() {
  return ::wait_until_blocked(status_, [this] {
    return finished_.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
  });
}

OnceBlocked::OnceBlocked(std::function<void()> act)
    : status_(open_status(calling_tid())), thread_([this, act = std::move(act)] {
        const bool blocked = wait_until_blocked(status_, [this] { return over_.load(); });
        EXPECT_TRUE(blocked || over_) << "the thread waits for no socket";
        act();
      }) {}

OnceBlocked::~OnceBlocked() {
  over_ = true;
  thread_.join();
  if (status_ >= 0) ::close(status_);
}
