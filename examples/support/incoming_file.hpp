#pragma once

// Files that appear only when they are complete.

#include <plug/bytes.hpp>

#include <string>

#include "support/descriptor.hpp"

namespace lesson {

/// A file that is being received. Until keep() gives it its name, the file has no name, or a
/// temporary one if the file system requires that. Without keep() the destructor removes the file.
class IncomingFile {
 public:
  /// Creates the file in an open directory. Throws OSError.
  IncomingFile(int directory, std::string name);
  ~IncomingFile();
  IncomingFile(const IncomingFile&) = delete;
  IncomingFile& operator=(const IncomingFile&) = delete;

  void write(plug::BytesView bytes);

  /// Writes all data to the disk, and atomically gives the file its name. Replaces an existing
  /// file.
  void keep();

 private:
  std::string name_;
  std::string temporary_;  // empty while the file has no name
  Descriptor folder_;      // a copy: the caller may close the directory
  Descriptor file_;
};

}  // namespace lesson
