#pragma once

// Includes every header of fibers (library plug::fiber).

#include <plug/fiber/cores.hpp>   // fibers on several threads
#include <plug/fiber/fiber.hpp>   // run, spawn, Task, sleep, yield, offload
#include <plug/fiber/group.hpp>   // TaskGroup, gather, timeout
#include <plug/fiber/queue.hpp>   // Queue
#include <plug/fiber/server.hpp>  // FiberTCPServer and the other servers
#include <plug/fiber/sync.hpp>    // Mutex, Condition, Semaphore, Event
