#pragma once

// The internal part of plug/fiber/cores.hpp.

#include <plug/detail/fiber_outcome.hpp>
#include <plug/detail/forward.hpp>

#include <cstddef>
#include <functional>
#include <memory>
#include <vector>

#pragma GCC visibility push(default)

namespace plug::fiber {

class Scheduler;

}  // namespace plug::fiber

namespace plug::detail {

void hand_over_fiber(fiber::FiberScheduler& scheduler, const std::shared_ptr<FiberOutcome>& outcome,
                     FiberName&& name);

using AllCores = const std::vector<plug::fiber::Scheduler>&;
using CoreMain = std::function<void(std::size_t core, AllCores all)>;
void run_on_threads(std::size_t threads, const CoreMain& main,
                    const plug::fiber::RunOptions& options);
/// Returns the number of CPUs that the process may use, by its affinity and by the quota of its
/// cgroup, rounded up; at least 1.
std::size_t usable_cores();

}  // namespace plug::detail

#pragma GCC visibility pop
