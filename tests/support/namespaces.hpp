#pragma once

#include <functional>
#include <map>
#include <string>

/// The result of run_in_namespaces() if the system forbids namespaces.
inline constexpr int kNoNamespaces = 77;

/// Calls `body` in the new process. If the tests run in a fiber, tests/main.cpp sets a function
/// that runs `body` in a fiber too, because a forked child begins without fibers.
inline int (*call_in_namespaces)(const std::function<int()>& body) = nullptr;

/// Runs `body` in a child process that sees `files` (path and contents) instead of the system's.
/// With `own_network` the child also has its own network, which contains only the loopback
/// interface. Returns the status as run_in_child() does. Leaves nothing behind.
int run_in_namespaces(const std::map<std::string, std::string>& files, bool own_network,
                      const std::function<int()>& body);
