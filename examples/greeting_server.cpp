// Sends "Thank you for connecting" to each client and closes the connection.
//
// The lesson: closing the connection marks the end of the message. The client reads until the end
// of the stream and does not need to know the length. A server class (--server) closes the
// connection when the handler has returned.

#include <string_view>

#include "support/program.hpp"
#include "support/serve.hpp"

namespace {

constexpr std::string_view kThanks = "Thank you for connecting";

class GreetingHandler : public plug::StreamRequestHandler {
 public:
  void handle() override { wfile.write(kThanks); }
};

}  // namespace

int main(int argc, char** argv) try {
  const auto endpoint = lesson::server_type_arguments(argc, argv, "Thanks each client and closes.");
  if (endpoint.server != lesson::ServerType::plain) {
    lesson::serve(endpoint, plug::handler<GreetingHandler>);
    return 0;
  }
  return lesson::run([&](lesson::Stop& stop) {
    plug::Socket server = lesson::listen_at(endpoint);
    const auto watch = stop.watch(server);
    lesson::announce(server);
    do {
      auto [conn, peer] = server.accept();
      lesson::attend(stop, conn, peer, [&conn = conn] { conn.sendall(kThanks); });
    } while (!endpoint.once);
  });
} catch (const std::exception& error) {
  return lesson::fail(error);
}
