// Answers each chunk with the time and the chunk: "[Thu Sep 15 22:29:12 2016] data".
//
// The lesson: a TCP server is create_server(), accept(), recv(), sendall(), and one client after
// another.

#include <ctime>

#include "support/program.hpp"

namespace {

constexpr int kChunk = 1024;

std::string now() {
  char text[32];
  const std::time_t time = std::time(nullptr);
  const std::size_t size =
      std::strftime(text, sizeof text, "%a %b %e %H:%M:%S %Y", std::localtime(&time));
  return std::string(text, size);
}

}  // namespace

int main(int argc, char** argv) try {
  const auto endpoint = lesson::server_arguments(argc, argv, "Answers each chunk with the time.");
  return lesson::run([&](lesson::Stop& stop) {
    plug::Socket server = lesson::listen_at(endpoint);
    const auto watch = stop.watch(server);
    lesson::announce(server);
    do {
      auto [conn, peer] = server.accept();
      lesson::attend(stop, conn, peer, [&conn = conn, &peer = peer] {
        // An empty chunk is the end: the client has finished.
        for (plug::Bytes data = conn.recv(kChunk); !data.empty(); data = conn.recv(kChunk)) {
          lesson::print_line(peer, data);
          conn.sendall("[" + now() + "] " + data);
        }
      });
    } while (!endpoint.once);
  });
} catch (const std::exception& error) {
  return lesson::fail(error);
}
