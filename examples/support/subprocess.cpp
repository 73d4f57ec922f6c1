#include "support/subprocess.hpp"

#include <algorithm>
#include <array>
#include <climits>
#include <csignal>
#include <utility>

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>

namespace lesson {
namespace {

using Clock = std::chrono::steady_clock;

/// Throws OSError if posix_spawn() or one of its helpers has returned an error number.
void require(int error, const char* about) {
  if (error != 0) plug::throw_if(std::error_code(error, std::system_category()), about);
}

/// Returns the read end and the write end.
std::pair<Descriptor, Descriptor> make_pipe() {
  int ends[2];
  check(pipe2(ends, O_CLOEXEC), "pipe");
  return {Descriptor(ends[0]), Descriptor(ends[1])};
}

class SpawnActions {
 public:
  SpawnActions(int output, int errors) {
    require(posix_spawn_file_actions_init(&value_), "posix_spawn");
    require(posix_spawn_file_actions_addopen(&value_, STDIN_FILENO, "/dev/null", O_RDONLY, 0),
            "posix_spawn");
    require(posix_spawn_file_actions_adddup2(&value_, output, STDOUT_FILENO), "posix_spawn");
    require(posix_spawn_file_actions_adddup2(&value_, errors, STDERR_FILENO), "posix_spawn");
    require(posix_spawn_file_actions_addclosefrom_np(&value_, STDERR_FILENO + 1), "posix_spawn");
  }
  ~SpawnActions() { posix_spawn_file_actions_destroy(&value_); }
  SpawnActions(const SpawnActions&) = delete;
  SpawnActions& operator=(const SpawnActions&) = delete;

  const posix_spawn_file_actions_t* get() const noexcept { return &value_; }

 private:
  posix_spawn_file_actions_t value_;
};

class SpawnAttributes {
 public:
  SpawnAttributes() {
    require(posix_spawnattr_init(&value_), "posix_spawn");
    sigset_t none;
    sigset_t all;
    sigemptyset(&none);
    sigfillset(&all);
    require(posix_spawnattr_setpgroup(&value_, 0), "posix_spawn");
    require(posix_spawnattr_setsigmask(&value_, &none), "posix_spawn");
    require(posix_spawnattr_setsigdefault(&value_, &all), "posix_spawn");
    require(posix_spawnattr_setflags(
                &value_, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF),
            "posix_spawn");
  }
  ~SpawnAttributes() { posix_spawnattr_destroy(&value_); }
  SpawnAttributes(const SpawnAttributes&) = delete;
  SpawnAttributes& operator=(const SpawnAttributes&) = delete;

  const posix_spawnattr_t* get() const noexcept { return &value_; }

 private:
  posix_spawnattr_t value_;
};

/// Reads from a pipe once, and closes it at its end. Returns false if `text` has reached `size`
/// bytes; it never exceeds them.
bool collect(Descriptor& pipe, std::string& text, std::size_t size) {
  char buffer[1 << 16];
  const ssize_t count = read(pipe.get(), buffer, sizeof buffer);
  if (count < 0 && (errno == EINTR || errno == EAGAIN)) return true;
  check(count < 0 ? -1 : 0, "reading the output");
  if (count == 0) {
    pipe.reset();
    return true;
  }
  text.append(buffer, std::min(static_cast<std::size_t>(count), size - text.size()));
  return text.size() < size;
}

/// Returns the milliseconds until `end`, for poll(). Rounds up, so that a loop around poll() does
/// not spin.
int milliseconds_until(Clock::time_point end) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - Clock::now()).count();
  return static_cast<int>(std::clamp<long long>(left, 0, INT_MAX));
}

}  // namespace

ShellCommand::ShellCommand(const std::string& text) {
  if (text.find('\0') != std::string::npos) {
    throw plug::ValueError("a command cannot hold a NUL byte");
  }
  auto [output, output_end] = make_pipe();
  auto [errors, errors_end] = make_pipe();
  const SpawnActions actions(output_end.get(), errors_end.get());
  const SpawnAttributes attributes;
  const char* const arguments[] = {"sh", "-c", text.c_str(), nullptr};
  require(posix_spawn(&pid_, "/bin/sh", actions.get(), attributes.get(),
                      const_cast<char* const*>(arguments), environ),
          "/bin/sh");
  output_ = std::move(output);
  errors_ = std::move(errors);
  // The destructor reaps the child, so until then no other process can have its number.
  child_ = Descriptor(static_cast<int>(syscall(SYS_pidfd_open, pid_, 0)));
  if (!child_.is_open()) {
    const int error = errno;
    kill();
    waitpid(pid_, nullptr, 0);
    require(error, "pidfd_open");
  }
}

ShellCommand::~ShellCommand() {
  kill();
  while (waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

void ShellCommand::kill() noexcept {
  killed_ = true;
  ::kill(-pid_, SIGKILL);
}

ShellCommand::Result ShellCommand::wait(std::chrono::nanoseconds time, std::size_t size) {
  const Clock::time_point end = Clock::now() + std::chrono::duration_cast<Clock::duration>(time);
  Result result{End::itself, false, {}, {}};
  bool running = true;
  // After kill(), wait for the shell, but not for other processes that hold its output.
  while (running || (!killed_ && (output_.is_open() || errors_.is_open()))) {
    std::array<pollfd, 3> waited{{{output_.get(), POLLIN, 0},
                                  {errors_.get(), POLLIN, 0},
                                  {running ? child_.get() : -1, POLLIN, 0}}};
    const int ready = poll(waited.data(), waited.size(), killed_ ? -1 : milliseconds_until(end));
    if (ready < 0 && errno == EINTR) continue;
    check(ready, "poll");
    if (ready == 0) {
      result.end = End::too_long;
      kill();
      continue;
    }
    bool fits = true;
    if (waited[0].revents != 0) fits = collect(output_, result.output, size);
    if (waited[1].revents != 0) fits = collect(errors_, result.errors, size) && fits;
    if (waited[2].revents != 0) running = false;
    if (!fits && !killed_) {
      result.end = End::too_much;
      kill();
    }
    if (killed_) {
      output_.reset();
      errors_.reset();
    }
  }
  if (killed_ && result.end == End::itself) result.end = End::killed;
  siginfo_t status{};
  check(waitid(P_PID, static_cast<id_t>(pid_), &status, WEXITED | WNOWAIT), "waitid");
  result.success =
      result.end == End::itself && status.si_code == CLD_EXITED && status.si_status == 0;
  return result;
}

}  // namespace lesson
