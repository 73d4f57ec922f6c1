#pragma once

// The part of the machine that this process may use.

#include <cstddef>
#include <string>

#include "sys/for_fiber.hpp"

namespace plug::detail::sys {

/// Returns the number of processors that this process may run on, at least one: those of its
/// affinity (sched_setaffinity(2)), or fewer if its cgroup has a CPU quota, which is rounded up.
PLUG_FOR_FIBER std::size_t usable_processors() noexcept;

/// Returns the CPU quota of a process's cgroups and of their parents (cgroups(7), cpu.max of
/// version 2, cpu.cfs_quota_us of version 1) in processors, rounded up; 0 without a quota.
/// `cgroups` is the text of /proc/PID/cgroup, `root` the directory where they are mounted.
std::size_t processors_of_quota(const std::string& cgroups, const std::string& root);

}  // namespace plug::detail::sys
