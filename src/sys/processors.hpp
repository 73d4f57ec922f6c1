#pragma once

// How much of the machine this process may use.

#include <cstddef>
#include <string>

#include "sys/for_fiber.hpp"

namespace plug::detail::sys {

/// On how many processors this process may run; at least one. Those of its affinity
/// (sched_setaffinity(2)), or fewer where its cgroup has a quota of time, rounded up.
PLUG_FOR_FIBER std::size_t usable_processors() noexcept;

/// The quota of a process's cgroups and of those above them (cgroups(7), cpu.max of version 2,
/// cpu.cfs_quota_us of version 1), in processors rounded up; 0 without any. `cgroups` is what
/// /proc/PID/cgroup says, `root` is where they are mounted.
std::size_t processors_of_quota(const std::string& cgroups, const std::string& root);

}  // namespace plug::detail::sys
