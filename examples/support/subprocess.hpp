#pragma once

#include <chrono>
#include <cstddef>
#include <string>

#include <sys/types.h>

#include <atomic>

#include "support/descriptor.hpp"

namespace lesson {

/// A shell command that runs in a process group of its own, with nothing to read, no descriptor of
/// this process and no signal blocked, and whose output is collected.
///
/// It has ended when the shell has and nobody holds its output any more. What is then left of its
/// process group is killed; what left the group (setsid) is not.
class ShellCommand {
 public:
  /// Starts `sh -c text`. Throws OSError; ValueError when the text holds a NUL.
  explicit ShellCommand(const std::string& text);
  /// Kills what still runs.
  ~ShellCommand();
  ShellCommand(const ShellCommand&) = delete;
  ShellCommand& operator=(const ShellCommand&) = delete;

  enum class End {
    itself,    ///< it ended
    too_long,  ///< killed: it ran longer than allowed
    too_much,  ///< killed: it wrote more than allowed
    killed     ///< by kill()
  };

  struct Result {
    End end;
    bool success;        ///< ended by itself, with status 0
    std::string output;  ///< standard output, up to the bound
    std::string errors;  ///< standard error, up to the bound
  };

  /// Waits for the end; kills the process group after `time`, or when output or errors pass `size`
  /// bytes. Once only.
  Result wait(std::chrono::nanoseconds time, std::size_t size);

  /// Kills the process group. Safe from another thread while this object lives.
  void kill() noexcept;

 private:
  Descriptor output_;
  Descriptor errors_;
  Descriptor child_;  // readable once the shell has ended
  pid_t pid_ = -1;
  std::atomic<bool> killed_{false};
};

}  // namespace lesson
