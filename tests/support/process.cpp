#include "support/process.hpp"

#include <dirent.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>

namespace {

int wait_for(pid_t child) {
  int status = 0;
  while (::waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) throw std::runtime_error("waitpid");
  }
  return WIFSIGNALED(status) ? 1000 + WTERMSIG(status) : WEXITSTATUS(status);
}

pid_t start_child() {
  std::fflush(nullptr);
  const pid_t child = ::fork();
  if (child < 0) throw std::runtime_error("fork");
  return child;
}

}  // namespace

std::vector<int> open_descriptors() {
  std::vector<int> numbers;
  DIR* directory = ::opendir("/proc/self/fd");
  if (directory == nullptr) throw std::runtime_error("/proc/self/fd");
  const int own = ::dirfd(directory);
  while (const dirent* entry = ::readdir(directory)) {
    const int number = std::atoi(entry->d_name);
    if (entry->d_name[0] != '.' && number != own) numbers.push_back(number);
  }
  ::closedir(directory);
  std::sort(numbers.begin(), numbers.end());
  return numbers;
}

int count_descriptors() { return static_cast<int>(open_descriptors().size()); }

int count_helpers() {
  int count = 0;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    std::string name;
    std::getline(std::ifstream(task.path() / "comm") >> std::ws, name);
    if (name == "plug-helper") ++count;
  }
  return count;
}

int run_in_child(const std::function<int()>& body) {
  const pid_t child = start_child();
  if (child == 0) {
    int status = 255;
    try {
      status = body();
    } catch (const std::exception& error) {
      std::fprintf(stderr, "child: %s\n", error.what());
    }
    std::fflush(nullptr);
    ::_exit(status);
  }
  return wait_for(child);
}

std::string run_program(const std::vector<std::string>& command, int& status) {
  int ends[2];
  if (::pipe(ends) != 0) throw std::runtime_error("pipe");
  const pid_t child = start_child();
  if (child == 0) {
    ::dup2(ends[1], STDOUT_FILENO);
    ::close(ends[0]);
    ::close(ends[1]);
    std::vector<char*> arguments;
    for (const std::string& argument : command)
      arguments.push_back(const_cast<char*>(argument.c_str()));
    arguments.push_back(nullptr);
    ::execvp(arguments[0], arguments.data());
    std::perror(arguments[0]);
    ::_exit(127);
  }
  ::close(ends[1]);
  std::string output;
  char chunk[65536];
  for (;;) {
    const ssize_t count = ::read(ends[0], chunk, sizeof chunk);
    if (count > 0)
      output.append(chunk, static_cast<std::size_t>(count));
    else if (count == 0 || errno != EINTR)
      break;
  }
  ::close(ends[0]);
  status = wait_for(child);
  return output;
}

std::string source_path(const std::string& path) {
  return (std::filesystem::path(PLUG_SOURCE_DIR) / path).string();
}
