#include "support/traced.hpp"

#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <exception>
#include <memory>
#include <stdexcept>
#include <thread>

namespace {

using Clock = std::chrono::steady_clock;

/// The result that a child process writes to its pipe.
struct Report {
  std::int64_t nanoseconds = 0;
  std::int64_t sleep = 0;
  std::array<char, 200> outcome{};
};

std::int64_t since(Clock::time_point begin) {
  return std::chrono::nanoseconds(Clock::now() - begin).count();
}

/// Measures the wait between two stops of this process. The tracer sees the stops and counts the
/// system calls between them: those of the wait, and a few of the second stop. Without a tracer the
/// process does not stop.
void measure_here(const std::function<std::string()>& wait, double seconds, bool count_calls,
                  Report& report) {
  const bool traced = count_calls && ::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) == 0;
  std::thread node([&] {
    const auto begin = Clock::now();
    std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
    report.sleep = since(begin);
  });
  if (traced) ::raise(SIGSTOP);
  const auto begin = Clock::now();
  std::string outcome;
  try {
    outcome = wait();
  } catch (const std::exception& error) {
    outcome = std::string("throws ") + error.what();
  }
  report.nanoseconds = since(begin);
  if (traced) ::raise(SIGSTOP);
  node.join();
  std::strncpy(report.outcome.data(), outcome.c_str(), report.outcome.size() - 1);
}

[[noreturn]] void be_child(const MeasuredBody& body, double seconds, bool count_calls, int pipe) {
  Report report;
  try {
    body([&](const auto& wait) { measure_here(wait, seconds, count_calls, report); });
  } catch (const std::exception& error) {
    std::strncpy(report.outcome.data(), error.what(), report.outcome.size() - 1);
  }
  const ssize_t written = ::write(pipe, &report, sizeof report);
  ::_exit(written == sizeof report ? 0 : 1);
}

/// A child process, which is traced between its two stops.
class Child {
 public:
  Child(const MeasuredBody& body, double seconds, bool count_calls) {
    int ends[2];
    if (::pipe(ends) != 0) throw std::runtime_error("pipe");
    pid_ = ::fork();
    if (pid_ < 0) throw std::runtime_error("fork");
    if (pid_ == 0) {
      ::close(ends[0]);
      be_child(body, seconds, count_calls, ends[1]);
    }
    ::close(ends[1]);
    pipe_ = ends[0];
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() { ::close(pipe_); }

  pid_t pid() const { return pid_; }
  bool ended() const { return ended_; }

  /// Handles a status that waitpid() has returned.
  void changed(int status) {
    if (WIFEXITED(status) || WIFSIGNALED(status)) {
      ended_ = true;
    } else if (WIFSTOPPED(status) && WSTOPSIG(status) == (SIGTRAP | 0x80)) {
      ++stops_;
      go_on(0);
    } else if (WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP && !begun_) {
      begun_ = true;
      ::ptrace(PTRACE_SETOPTIONS, pid_, nullptr,
               reinterpret_cast<void*>(PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL));
      go_on(0);
    } else if (WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP) {
      ::ptrace(PTRACE_DETACH, pid_, nullptr, nullptr);
    } else if (WIFSTOPPED(status)) {
      go_on(WSTOPSIG(status));
    }
  }

  WaitCost cost() {
    Report report;
    const bool reported = ::read(pipe_, &report, sizeof report) == sizeof report;
    // A system call stops the child twice: at its beginning and at its end.
    return {report.nanoseconds, report.sleep, begun_ ? stops_ / 2 : -1,
            reported ? report.outcome.data() : "hangs"};
  }

 private:
  void go_on(int signal) const {
    ::ptrace(PTRACE_SYSCALL, pid_, nullptr, reinterpret_cast<void*>(std::intptr_t{signal}));
  }

  pid_t pid_ = -1;
  int pipe_ = -1;
  bool begun_ = false;
  bool ended_ = false;
  long stops_ = 0;
};

}  // namespace

std::vector<WaitCost> measure_waits(const std::vector<MeasuredWait>& waits, bool count_calls) {
  std::vector<std::unique_ptr<Child>> children;
  double seconds = 0;
  for (const MeasuredWait& wait : waits) {
    children.push_back(std::make_unique<Child>(wait.body, wait.seconds, count_calls));
    seconds = std::max(seconds, wait.seconds);
  }
  const auto limit = Clock::now() + std::chrono::duration<double>(6 * seconds + 10);
  for (;;) {
    bool any = false, all = true;
    for (const auto& child : children) {
      int status = 0;
      if (!child->ended() && ::waitpid(child->pid(), &status, WNOHANG | __WALL) == child->pid()) {
        child->changed(status);
        any = true;
      }
      all = all && child->ended();
    }
    if (all) break;
    if (!any) std::this_thread::sleep_for(std::chrono::microseconds(500));
    if (Clock::now() < limit) continue;
    for (const auto& child : children) {
      if (child->ended()) continue;
      ::kill(child->pid(), SIGKILL);
      ::waitpid(child->pid(), nullptr, __WALL);
    }
    break;
  }
  std::vector<WaitCost> costs;
  for (const auto& child : children) costs.push_back(child->cost());
  // The longest of all concurrent sleeps shows how busy the machine is.
  std::int64_t latest = 0;
  const auto length = [&](std::size_t i) {
    return static_cast<std::int64_t>(waits[i].seconds * 1e9);
  };
  for (std::size_t i = 0; i < costs.size(); ++i)
    latest = std::max(latest, costs[i].sleep - length(i));
  for (std::size_t i = 0; i < costs.size(); ++i) costs[i].sleep = length(i) + latest;
  return costs;
}
