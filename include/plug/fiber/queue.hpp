#pragma once

// The names of plug/queue.hpp, in the namespace of fibers.

#include <plug/queue.hpp>

#pragma GCC visibility push(default)

namespace plug::fiber {

using plug::Empty;
using plug::Full;
using plug::Queue;
using plug::ShutDown;

}  // namespace plug::fiber

#pragma GCC visibility pop
