#pragma once

#include <chrono>
#include <cstddef>
#include <string>

#include <sys/types.h>

#include <atomic>

#include "support/descriptor.hpp"

namespace lesson {

/// Runs a shell command and collects its output. The command runs in its own process group. It has
/// no input, no file descriptor of this process, and no blocked signal.
///
/// The command has ended when the shell has ended and no process holds its output any more. The
/// destructor kills the rest of its process group, but no process that has left the group (setsid).
class ShellCommand {
 public:
  /// Starts `sh -c text`. Throws OSError, or ValueError if the text contains a NUL byte.
  explicit ShellCommand(const std::string& text);
  /// Kills the processes that still run.
  ~ShellCommand();
  ShellCommand(const ShellCommand&) = delete;
  ShellCommand& operator=(const ShellCommand&) = delete;

  enum class End {
    itself,    ///< the command ended
    too_long,  ///< killed: it ran longer than allowed
    too_much,  ///< killed: it wrote more than allowed
    killed     ///< by kill()
  };

  struct Result {
    End end;
    bool success;        ///< ended by itself, with status 0
    std::string output;  ///< standard output, up to the limit
    std::string errors;  ///< standard error, up to the limit
  };

  /// Waits for the end. Kills the process group after `time`, or when output or errors reach `size`
  /// bytes. Call it only once.
  Result wait(std::chrono::nanoseconds time, std::size_t size);

  /// Kills the process group. Safe to call from another thread while this object exists.
  void kill() noexcept;

 private:
  Descriptor output_;
  Descriptor errors_;
  Descriptor child_;  // readable once the shell has ended
  pid_t pid_ = -1;
  std::atomic<bool> killed_{false};
};

}  // namespace lesson
