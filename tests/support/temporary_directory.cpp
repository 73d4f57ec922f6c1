#include "support/temporary_directory.hpp"

#include <cstdlib>
#include <filesystem>
#include <stdexcept>

TemporaryDirectory::TemporaryDirectory() {
  // The name is short, so that the path of a Unix socket fits.
  char name[] = "/tmp/plug-XXXXXX";
  if (::mkdtemp(name) == nullptr) throw std::runtime_error("mkdtemp: no directory in /tmp");
  path_ = name;
}

TemporaryDirectory::~TemporaryDirectory() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}
