// Messages over a stream: a Framer sends and receives them whole.

#include <plug/framing.hpp>
#include <plug/socket.hpp>

#include <iostream>
#include <optional>
#include <thread>

using namespace plug;

int main() {
  auto [left, right] = socketpair();
  std::thread sending([&sock = left] {
    Framer framer(sock, LengthPrefix{});  // 4 bytes, big-endian, before each message
    framer.send("the first message");
    framer.send("");
    framer.send("the third,\nwith two lines");
    sock.close();
  });

  Framer framer(right, LengthPrefix{});
  while (const std::optional<Bytes> message = framer.recv())
    std::cout << message->size() << " bytes: " << *message << "\n";
  sending.join();
}
