#pragma once

#include <plug/plug.hpp>

#include <functional>

namespace lesson {

/// Receives an answer that has neither a length nor a delimiter. Passes each piece to `sink` until
/// nothing has arrived for `pause`. This is a guess, which shows why protocols use framing: an
/// answer with a pause is cut, and two answers that arrive close together become one. The first
/// piece may take as long as the socket's timeout. `sink` may end the answer by returning false.
///
/// Reads from `framer`, which must belong to `sock`. Returns false if the stream has ended.
bool receive_until_pause(plug::Socket& sock, plug::Framer& framer, plug::Timeout pause,
                         const std::function<bool(plug::BytesView)>& sink);

}  // namespace lesson
