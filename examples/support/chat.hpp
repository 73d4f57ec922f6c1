#pragma once

// For programs that talk in datagrams: sends lines and prints messages at the same time.

#include <plug/plug.hpp>

#include <functional>
#include <string>

namespace lesson {

/// Calls `send` with each line of standard input. Prints each message that arrives, with its
/// sender. Returns when the input ends.
void chat(plug::Socket& sock, const std::function<void(const std::string&)>& send);

}  // namespace lesson
