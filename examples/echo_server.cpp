// Sends back the bytes that come.
//
// The lesson: recv_into() receives into memory of the caller's, so that one buffer serves every
// chunk of every client.

#include <vector>

#include "support/program.hpp"

int main(int argc, char** argv) try {
  const auto endpoint = lesson::server_arguments(argc, argv, "Sends back the bytes that come.");
  return lesson::run([&](lesson::Stop& stop) {
    std::vector<char> buffer(1 << 16);
    plug::Socket server = lesson::listen_at(endpoint);
    const auto watch = stop.watch(server);
    lesson::announce(server);
    do {
      auto [conn, peer] = server.accept();
      lesson::attend(stop, conn, peer, [&, &conn = conn, &peer = peer] {
        while (const std::size_t count = conn.recv_into(buffer)) {
          const plug::BytesView data(buffer.data(), count);
          lesson::print_line(peer, data);
          conn.sendall(data);
        }
      });
    } while (!endpoint.once);
  });
} catch (const std::exception& error) {
  return lesson::fail(error);
}
