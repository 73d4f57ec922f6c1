// Says "Thank you for connecting" to each client and closes the connection.
//
// The lesson: closing is a message too. The client reads until the end of the stream, and needs to
// know nothing about the length of what comes.

#include "support/program.hpp"

int main(int argc, char** argv) try {
  const auto endpoint = lesson::server_arguments(argc, argv, "Thanks each client and closes.");
  return lesson::run([&](lesson::Stop& stop) {
    plug::Socket server = lesson::listen_at(endpoint);
    const auto watch = stop.watch(server);
    lesson::announce(server);
    do {
      auto [conn, peer] = server.accept();
      lesson::attend(stop, conn, peer,
                     [&conn = conn] { conn.sendall("Thank you for connecting"); });
    } while (!endpoint.once);
  });
} catch (const std::exception& error) {
  return lesson::fail(error);
}
