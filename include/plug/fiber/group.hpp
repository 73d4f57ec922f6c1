#pragma once

// The names of plug/group.hpp, in the namespace of fibers.

#include <plug/group.hpp>

#pragma GCC visibility push(default)

namespace plug::fiber {

using plug::gather;
using plug::task_group;
using plug::TaskGroup;
using plug::timeout;

}  // namespace plug::fiber

#pragma GCC visibility pop
