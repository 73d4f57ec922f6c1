#pragma once

#include <functional>
#include <string>
#include <vector>

/// How many descriptors this process has open.
int count_descriptors();

/// The numbers of the descriptors that this process has open, sorted.
std::vector<int> open_descriptors();

/// How many helper threads the library has in this process.
int count_helpers();

/// Runs `body` in a forked child, which ends with what it returns (255 when it throws). Gives the
/// exit status; 1000 + the signal when one killed the child.
int run_in_child(const std::function<int()>& body);

/// Runs a program with everything it prints on its standard output read; `status` becomes as in
/// run_in_child(). The program is looked up in PATH.
std::string run_program(const std::vector<std::string>& command, int& status);

/// A file of the source tree, `path` counted from the root of the repository.
std::string source_path(const std::string& path);
