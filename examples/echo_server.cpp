// Sends back the data that it receives.
//
// The lesson: recv_into() receives into a buffer that the caller owns, so one buffer is enough for
// all chunks of a client. Without --server, one buffer serves all clients, one after the other.

#include <vector>

#include "support/program.hpp"
#include "support/serve.hpp"

namespace {

constexpr std::size_t kBuffer = 1 << 16;

void echo(plug::Socket& conn, const plug::Address& peer, std::vector<char>& buffer) {
  while (const std::size_t count = conn.recv_into(buffer)) {
    const plug::BytesView data(buffer.data(), count);
    lesson::print_line(peer, data);
    conn.sendall(data);
  }
}

// The server class makes one handler, with its own buffer, for each client. Handlers that run in
// different threads share nothing.
class EchoHandler : public plug::BaseRequestHandler {
 public:
  void handle() override { echo(request, client_address, buffer_); }

 private:
  std::vector<char> buffer_ = std::vector<char>(kBuffer);
};

}  // namespace

int main(int argc, char** argv) try {
  const auto endpoint =
      lesson::server_type_arguments(argc, argv, "Sends back the bytes that come.");
  if (endpoint.server != lesson::ServerType::plain) {
    lesson::serve(endpoint, plug::handler<EchoHandler>);
    return 0;
  }
  return lesson::run([&](lesson::Stop& stop) {
    std::vector<char> buffer(kBuffer);
    plug::Socket server = lesson::listen_at(endpoint);
    const auto watch = stop.watch(server);
    lesson::announce(server);
    do {
      auto [conn, peer] = server.accept();
      lesson::attend(stop, conn, peer,
                     [&, &conn = conn, &peer = peer] { echo(conn, peer, buffer); });
    } while (!endpoint.once);
  });
} catch (const std::exception& error) {
  return lesson::fail(error);
}
