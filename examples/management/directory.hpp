#pragma once

// The server's side of directories: one that sessions cannot leave.

#include <string>

#include <sys/types.h>

#include "support/descriptor.hpp"

namespace management {

/// Where a session is: a directory within a root. Held open, so that renaming or moving it from
/// outside changes nothing.
class Directory {
 public:
  /// At the root. Throws OSError naming the path when that is no directory, or not readable.
  explicit Directory(const std::string& root);

  /// Goes to a directory below, above or beside. Refused: absolute names, and what lies outside of
  /// the root, by ".." or by a symbolic link (403, 404); the directory stays the same.
  void change(const std::string& name);

  /// The way from the root: "." or "./a/b".
  std::string path() const;

  /// One line an entry, sorted: its size, or what it is, and its name. Never empty: the first line
  /// is path().
  std::string listing() const;

  int descriptor() const noexcept { return here_.get(); }

 private:
  lesson::Descriptor root_;
  lesson::Descriptor here_;
};

/// Checks the name of a file to come: one component, at most 255 bytes, and nothing in the way but
/// a plain file, which will be replaced. Throws Refusal (400, 403).
void check_filename(const Directory& directory, const std::string& name);

}  // namespace management
