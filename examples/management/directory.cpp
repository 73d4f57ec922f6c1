#include "management/directory.hpp"

#include <algorithm>
#include <climits>
#include <memory>
#include <vector>

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "management/protocol.hpp"
#include "support/text.hpp"

namespace management {
namespace {

using lesson::check;
using lesson::Descriptor;

constexpr int kOpenDirectory = O_RDONLY | O_DIRECTORY | O_CLOEXEC;

/// Returns the absolute path of an open directory, without symbolic links.
std::string real_path(int directory) {
  char path[PATH_MAX];
  const std::string link = "/proc/self/fd/" + std::to_string(directory);
  const auto size = readlink(link.c_str(), path, sizeof path);
  check(size < 0 ? -1 : 0, "/proc/self/fd");
  return {path, static_cast<std::size_t>(size)};
}

/// Returns the path from `root` to `path`: "." or "./a/b"; nullopt if `path` is not within `root`.
std::optional<std::string> within(std::string root, const std::string& path) {
  if (path == root) return ".";
  if (!root.ends_with('/')) root += '/';
  if (!path.starts_with(root)) return std::nullopt;
  return "./" + path.substr(root.size());
}

/// Returns true if `name` leads above the root by its ".." alone. It is relative to a directory
/// that is `depth` levels below the root.
bool climbs_out(const std::string& name, std::ptrdiff_t depth) {
  for (std::size_t begin = 0; begin <= name.size();) {
    const std::size_t end = std::min(name.find('/', begin), name.size());
    const std::string_view part = std::string_view(name).substr(begin, end - begin);
    if (part == "..") {
      if (--depth < 0) return true;
    } else if (!part.empty() && part != ".") {
      ++depth;
    }
    begin = end + 1;
  }
  return false;
}

std::string kind_or_size(const struct stat& entry) {
  switch (entry.st_mode & S_IFMT) {
    case S_IFREG:
      return std::to_string(entry.st_size);
    case S_IFDIR:
      return "<dir>";
    case S_IFLNK:
      return "<link>";
    default:
      return "<other>";
  }
}

/// Returns true if the directory has an entry of this name, and fills `entry`.
bool is_there(int directory, const std::string& name, struct stat& entry) {
  const int result = fstatat(directory, name.c_str(), &entry, AT_SYMLINK_NOFOLLOW);
  if (result != 0 && errno == ENOENT) return false;
  check(result, name);
  return true;
}

std::vector<std::string> names_in(int directory) {
  const auto close = [](DIR* stream) { closedir(stream); };
  const int copy = check(openat(directory, ".", kOpenDirectory), "listing");
  const std::unique_ptr<DIR, decltype(close)> stream(fdopendir(copy), close);
  if (stream == nullptr) {
    ::close(copy);
    throw std::bad_alloc();
  }
  std::vector<std::string> names;
  errno = 0;
  while (const dirent* entry = readdir(stream.get())) {
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
  }
  check(errno == 0 ? 0 : -1, "listing");
  std::ranges::sort(names);
  return names;
}

}  // namespace

Directory::Directory(const std::string& root)
    : root_(check(open(root.c_str(), kOpenDirectory), root)),
      here_(check(openat(root_.get(), ".", kOpenDirectory), root)) {}

void Directory::change(const std::string& name) {
  if (name.empty()) throw Refusal(400, "cd needs the name of a directory");
  if (name.find('\0') != std::string::npos)
    throw Refusal(400, in_quotes(name) + " holds a NUL character");
  if (name.starts_with('/')) throw Refusal(403, in_quotes(name) + ": absolute names are refused");
  const std::string from = path();
  if (climbs_out(name, std::ranges::count(from, '/')))
    throw Refusal(403, in_quotes(name) + " leads out of the served directory");

  Descriptor there(openat(here_.get(), name.c_str(), kOpenDirectory));
  // A symbolic link may lead out of the root. The answer is the same as for a missing directory, so
  // that clients learn nothing about the outside.
  if (!there.is_open() || !within(real_path(root_.get()), real_path(there.get())))
    throw Refusal(404, in_quotes(name) + " is no directory within the served one");
  here_ = std::move(there);
}

std::string Directory::path() const {
  return within(real_path(root_.get()), real_path(here_.get())).value_or("(gone)");
}

std::string Directory::listing() const {
  std::string text = path() + ":\n";
  for (const std::string& name : names_in(here_.get())) {
    struct stat entry {};
    // Skip an entry that has been removed since its name was read.
    if (!is_there(here_.get(), name, entry)) continue;
    const std::string left = kind_or_size(entry);
    text.append(left.size() < 15 ? 15 - left.size() : 0, ' ');
    text += left + "  " + lesson::one_line(name) + "\n";
  }
  return text;
}

void check_filename(const Directory& directory, const std::string& name) {
  const auto refuse = [&](int status, const std::string& why) {
    throw Refusal(status, "filename " + in_quotes(name) + " " + why);
  };
  if (name.empty()) refuse(400, "is empty");
  if (name == "." || name == "..") refuse(400, "is a directory");
  if (name.find('/') != std::string::npos) refuse(400, "has a '/': it must be one component");
  if (name.find('\0') != std::string::npos) refuse(400, "holds a NUL character");
  if (name.size() > NAME_MAX) refuse(400, "is longer than " + std::to_string(NAME_MAX) + " bytes");

  struct stat entry {};
  if (!is_there(directory.descriptor(), name, entry)) return;
  if (S_ISLNK(entry.st_mode)) refuse(403, "is a symbolic link");
  if (S_ISDIR(entry.st_mode)) refuse(403, "is a directory");
  if (!S_ISREG(entry.st_mode)) refuse(403, "is not a plain file");
}

}  // namespace management
