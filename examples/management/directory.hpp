#pragma once

// The directories that a server shows to its clients. A session cannot leave the root.

#include <string>

#include <sys/types.h>

#include "support/descriptor.hpp"

namespace management {

/// The current directory of a session, within a root. It is held open, so the session stays in it
/// even if somebody renames or moves it.
class Directory {
 public:
  /// Starts at the root. Throws OSError with the path if that is not a directory or not readable.
  explicit Directory(const std::string& root);

  /// Changes to another directory within the root. Throws Refusal and stays where it is if the name
  /// is absolute, leads out of the root by ".." or by a symbolic link, or is not a directory (400,
  /// 403 or 404).
  void change(const std::string& name);

  /// Returns the path from the root: "." or "./a/b"; "(gone)" if the directory is no longer within
  /// the root.
  std::string path() const;

  /// Returns path() and then a line for each entry, sorted by name: its size or its kind, and its
  /// name.
  std::string listing() const;

  int descriptor() const noexcept { return here_.get(); }

 private:
  lesson::Descriptor root_;
  lesson::Descriptor here_;
};

/// Checks the name of a file to receive. It must be one component of at most 255 bytes. An existing
/// entry of that name must be a plain file, which will be replaced. Throws Refusal (400, 403).
void check_filename(const Directory& directory, const std::string& name);

}  // namespace management
