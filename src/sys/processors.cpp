#include "sys/processors.hpp"

#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdint>
#include <new>
#include <string_view>

#include "sys/syscalls.hpp"

namespace plug::detail::sys {

namespace {

/// Returns the first kilobytes of a file, which is all of it here; empty if there is no such file.
std::string read_file(const std::string& path) {
  const OwnFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  std::string text(file.get() < 0 ? 0 : 8192, '\0');
  std::size_t size = 0;
  while (size < text.size()) {
    const ssize_t got = ::read(file.get(), text.data() + size, text.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    size += static_cast<std::size_t>(got);
  }
  text.resize(size);
  return text;
}

/// Cuts off and returns the text before the separator, and removes the separator.
std::string_view cut(std::string_view& text, char separator) noexcept {
  const std::string_view part = text.substr(0, text.find(separator));
  text.remove_prefix(std::min(part.size() + 1, text.size()));
  return part;
}

/// Returns 0 for text that is not a positive number, such as "max".
std::int64_t number(std::string_view text) noexcept {
  std::int64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return std::max<std::int64_t>(value, 0);
}

/// Returns the least quota of a cgroup and its parents in a hierarchy.
template <class QuotaOf>
std::size_t least_quota(const std::string& hierarchy, std::string path, QuotaOf quota_of) {
  std::size_t least = 0;
  for (;;) {
    const auto [quota, period] = quota_of(hierarchy + path + "/");
    if (quota > 0 && period > 0) {
      const auto processors = static_cast<std::size_t>((quota - 1) / period + 1);
      least = least == 0 ? processors : std::min(least, processors);
    }
    const std::size_t slash = path.rfind('/');
    if (slash == std::string::npos) return least;
    path.resize(slash);
  }
}

using Quota = std::array<std::int64_t, 2>;  // of time in each period, both in the same unit

Quota quota_of_version_2(const std::string& folder) {
  const std::string text = read_file(folder + "cpu.max");
  std::string_view rest = text;
  const std::string_view quota = cut(rest, ' ');
  return {number(quota), number(rest)};
}

Quota quota_of_version_1(const std::string& folder) {
  return {number(read_file(folder + "cpu.cfs_quota_us")),
          number(read_file(folder + "cpu.cfs_period_us"))};
}

bool lists(std::string_view names, std::string_view wanted) noexcept {
  while (!names.empty())
    if (cut(names, ',') == wanted) return true;
  return false;
}

}  // namespace

std::size_t processors_of_quota(const std::string& cgroups, const std::string& root) {
  std::size_t least = 0;
  const auto take = [&least](std::size_t quota) {
    if (quota > 0) least = least == 0 ? quota : std::min(least, quota);
  };
  for (std::string_view rest = cgroups; !rest.empty();) {
    std::string_view line = cut(rest, '\n');
    const std::string_view hierarchy = cut(line, ':');
    const std::string controllers(cut(line, ':'));
    const std::string path(line);
    if (hierarchy == "0" && controllers.empty()) {
      for (const char* const mounted : {"", "/unified"})
        take(least_quota(root + mounted, path, quota_of_version_2));
    } else if (lists(controllers, "cpu")) {
      for (const std::string& mounted : {"/" + controllers, std::string("/cpu")})
        take(least_quota(root + mounted, path, quota_of_version_1));
    }
  }
  return least;
}

std::size_t usable_processors() noexcept {
  // As large as possible, because the kernel refuses a set that is too small.
  std::array<cpu_set_t, 16> set{};
  const bool known = ::sched_getaffinity(0, sizeof set, set.data()) == 0;
  const int count = known ? CPU_COUNT_S(sizeof set, set.data()) : 1;
  const auto processors = static_cast<std::size_t>(std::max(count, 1));
  try {
    const std::size_t quota = processors_of_quota(read_file("/proc/self/cgroup"), "/sys/fs/cgroup");
    return quota == 0 ? processors : std::min(processors, quota);
  } catch (const std::bad_alloc&) {
    return processors;
  }
}

}  // namespace plug::detail::sys
