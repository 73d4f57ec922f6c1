#pragma once

// Lines out and messages in, at once, for programs that talk in datagrams.

#include <plug/plug.hpp>

#include <functional>
#include <string>

namespace lesson {

/// Gives `send` each line of standard input, and prints what comes to the socket, with its sender,
/// until the input ends.
void chat(plug::Socket& sock, const std::function<void(const std::string&)>& send);

}  // namespace lesson
