#pragma once

// The names of plug/sync.hpp, in the namespace of fibers.

#include <plug/sync.hpp>

#pragma GCC visibility push(default)

namespace plug::fiber {

using plug::BoundedSemaphore;
using plug::Condition;
using plug::Event;
using plug::Mutex;
using plug::Semaphore;

}  // namespace plug::fiber

#pragma GCC visibility pop
