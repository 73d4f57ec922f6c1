#include "support/incoming_file.hpp"

#include <cstdio>
#include <random>

#include <fcntl.h>
#include <sys/stat.h>

namespace lesson {
namespace {

std::string descriptor_path(int descriptor) {
  return "/proc/self/fd/" + std::to_string(descriptor);
}

std::string temporary_name() {
  std::random_device random;
  char name[40];
  std::snprintf(name, sizeof name, ".incoming-%08x%08x", random(), random());
  return name;
}

}  // namespace

IncomingFile::IncomingFile(int directory, std::string name)
    : name_(std::move(name)),
      folder_(check(openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), name_)),
      file_(openat(folder_.get(), ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0666)) {
  if (file_.is_open()) return;
  std::string temporary = temporary_name();
  file_ = Descriptor(check(openat(folder_.get(), temporary.c_str(),
                                  O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, 0666),
                           name_));
  temporary_ = std::move(temporary);  // does not throw
}

IncomingFile::~IncomingFile() {
  if (!temporary_.empty()) unlinkat(folder_.get(), temporary_.c_str(), 0);
}

void IncomingFile::write(plug::BytesView bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(file_.get(), bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    check(count < 0 ? -1 : 0, name_);
    bytes = bytes.subspan(static_cast<std::size_t>(count));
  }
}

void IncomingFile::keep() {
  check(fsync(file_.get()), name_);
  if (temporary_.empty()) {
    std::string temporary = temporary_name();
    check(linkat(AT_FDCWD, descriptor_path(file_.get()).c_str(), folder_.get(), temporary.c_str(),
                 AT_SYMLINK_FOLLOW),
          name_);
    temporary_ = std::move(temporary);
  }
  check(renameat(folder_.get(), temporary_.c_str(), folder_.get(), name_.c_str()), name_);
  temporary_.clear();
  check(fsync(folder_.get()), name_);
}

}  // namespace lesson
