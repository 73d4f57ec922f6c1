#pragma once

#include <plug/plug.hpp>

#include <functional>

namespace lesson {

/// Hands an answer that has neither a length nor an end to `sink`, piece by piece: all that comes
/// until nothing has come for `pause`. That is a guess, and the reason for framing: an answer that
/// pauses is cut, and two that come close together are one. The first piece may take as long as the
/// socket's time-out. A sink that knows better ends the answer by returning false.
///
/// Reads from `framer`, which is sock's. Returns false when the stream has ended.
bool receive_until_pause(plug::Socket& sock, plug::Framer& framer, plug::Timeout pause,
                         const std::function<bool(plug::BytesView)>& sink);

}  // namespace lesson
