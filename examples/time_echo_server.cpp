// Answers each chunk with the time and the chunk: "[Thu Sep 15 22:29:12 2016] data".
//
// The lesson: a TCP server calls create_server(), accept(), recv() and sendall(), and serves one
// client after another. With --server the program provides only a handler class, and a server class
// does the rest.

#include <ctime>

#include "support/program.hpp"
#include "support/serve.hpp"

namespace {

constexpr int kChunk = 1024;

std::string now() {
  char text[32];
  const std::time_t time = std::time(nullptr);
  std::tm parts;
  const std::size_t size =
      std::strftime(text, sizeof text, "%a %b %e %H:%M:%S %Y", localtime_r(&time, &parts));
  return std::string(text, size);
}

void answer_chunks(plug::Socket& conn, const plug::Address& peer) {
  // An empty chunk means that the client has closed its side of the connection.
  for (plug::Bytes data = conn.recv(kChunk); !data.empty(); data = conn.recv(kChunk)) {
    lesson::print_line(peer, data);
    conn.sendall("[" + now() + "] " + data);
  }
}

class TimeEchoHandler : public plug::BaseRequestHandler {
 public:
  void handle() override { answer_chunks(request, client_address); }
};

}  // namespace

int main(int argc, char** argv) try {
  const auto endpoint =
      lesson::server_type_arguments(argc, argv, "Answers each chunk with the time.");
  if (endpoint.server != lesson::ServerType::plain) {
    lesson::serve(endpoint, plug::handler<TimeEchoHandler>);
    return 0;
  }
  return lesson::run([&](lesson::Stop& stop) {
    plug::Socket server = lesson::listen_at(endpoint);
    const auto watch = stop.watch(server);
    lesson::announce(server);
    do {
      auto [conn, peer] = server.accept();
      lesson::attend(stop, conn, peer, [&conn = conn, &peer = peer] { answer_chunks(conn, peer); });
    } while (!endpoint.once);
  });
} catch (const std::exception& error) {
  return lesson::fail(error);
}
