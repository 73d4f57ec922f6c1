#pragma once

#include <functional>
#include <map>
#include <string>

/// The result of run_in_namespaces() if the system forbids it.
inline constexpr int kNoNamespaces = 77;

/// Calls the body there; tests/main.cpp has it run in a fiber where the tests do. A process that is
/// forked in a fiber has none to begin with.
inline int (*call_in_namespaces)(const std::function<int()>& body) = nullptr;

/// Runs `body` in a process of its own that sees `files` (path and contents) in place of the
/// system's, and, on request, a network of its own with nothing in it but the loopback interface.
/// Gives the status as run_in_child() does. Nothing of it is left behind.
int run_in_namespaces(const std::map<std::string, std::string>& files, bool own_network,
                      const std::function<int()>& body);
