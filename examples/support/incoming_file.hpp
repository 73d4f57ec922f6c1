#pragma once

// Files that appear whole.

#include <plug/bytes.hpp>

#include <string>

#include "support/descriptor.hpp"

namespace lesson {

/// A file on its way in. It has no name, or where the file system cannot do that a temporary one,
/// until keep() gives it its own; without keep() nothing is left of it.
class IncomingFile {
 public:
  /// In an open directory. Throws OSError.
  IncomingFile(int directory, std::string name);
  ~IncomingFile();
  IncomingFile(const IncomingFile&) = delete;
  IncomingFile& operator=(const IncomingFile&) = delete;

  void write(plug::BytesView bytes);

  /// Writes everything to the disk and replaces what had the name before, at once.
  void keep();

 private:
  std::string name_;
  std::string temporary_;  // empty while the file has no name
  Descriptor folder_;      // which the caller may close
  Descriptor file_;
};

}  // namespace lesson
