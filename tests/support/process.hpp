#pragma once

#include <functional>
#include <string>
#include <vector>

/// Returns the number of open file descriptors of this process.
int count_descriptors();

/// Returns the numbers of the open file descriptors of this process, sorted.
std::vector<int> open_descriptors();

/// Returns the number of the library's helper threads in this process.
int count_helpers();

/// Runs `body` in a forked child. The child exits with the result of `body`, or with 255 if it
/// throws. Returns the exit status, or 1000 + the number of the signal that killed the child.
int run_in_child(const std::function<int()>& body);

/// Runs a program, looked up in PATH, and returns what it prints on standard output. Sets `status`
/// to the value that run_in_child() would return.
std::string run_program(const std::vector<std::string>& command, int& status);

/// Returns the path of a file in the source tree; `path` is relative to the root of the repository.
std::string source_path(const std::string& path);
