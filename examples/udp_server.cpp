// Answers each datagram with "Hello" and the sender's address: "Hello ('127.0.0.1', 40000)".
//
// The lesson: datagrams need no connection. recvfrom() returns the address of the sender with each
// datagram, and sendto() sends the answer to it.

#include "support/program.hpp"

int main(int argc, char** argv) try {
  constexpr int largest = 65535;
  const auto endpoint = lesson::server_arguments(argc, argv, "Says hello to each datagram.");
  return lesson::run([&](lesson::Stop& stop) {
    const plug::AddrInfo info = lesson::look_up(endpoint, plug::SOCK::DGRAM);
    plug::Socket sock(info.family, info.type);
    const auto watch = stop.watch(sock);
    sock.bind(info.sockaddr);
    lesson::announce(sock);
    do {
      const auto [data, peer] = sock.recvfrom(largest);
      lesson::print_line(peer, data);
      // If one answer cannot be sent, the server goes on with the other clients.
      std::error_code error;
      sock.sendto("Hello " + to_string(peer), peer, error);
      if (error) lesson::print_line(peer, error.message());
    } while (!endpoint.once);
  });
} catch (const std::exception& error) {
  return lesson::fail(error);
}
