#pragma once

// Includes every header of fibers (library plug::fiber).

#include <plug/fiber/cores.hpp>
#include <plug/fiber/fiber.hpp>
#include <plug/fiber/group.hpp>
#include <plug/fiber/queue.hpp>
#include <plug/fiber/server.hpp>
#include <plug/fiber/sync.hpp>
