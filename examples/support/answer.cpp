#include "support/answer.hpp"

namespace lesson {

bool receive_until_pause(plug::Socket& sock, plug::Framer& framer, plug::Timeout pause,
                         const std::function<bool(plug::BytesView)>& sink) {
  constexpr std::size_t most = 1 << 16;
  const plug::Timeout patience = sock.gettimeout();
  plug::Bytes piece = framer.read(most);
  std::error_code error;
  bool open = !piece.empty();
  sock.settimeout(pause);
  while (open && sink(piece)) {
    piece = framer.read(most, error);
    if (error == plug::timed_out()) break;
    plug::throw_if(error);
    open = !piece.empty();
  }
  sock.settimeout(patience);
  return open;
}

}  // namespace lesson
