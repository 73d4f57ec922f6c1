// Sends back what one client says, and ends.
//
// The lesson: handle_request() takes one request and returns. The server has a thread for each, so
// it returns while the client is still talking; closing the server waits for the threads. Steps of
// a server that do not suit are overridden.

#include "support/program.hpp"
#include "support/serve.hpp"

namespace {

class EchoHandler : public plug::StreamRequestHandler {
 public:
  explicit EchoHandler(lesson::Stop& stop) : stop_(stop) {}

  void handle() override {
    // Closing would leave the files open: they share the connection.
    const auto watch = stop_.watch([this] {
      std::error_code ignored;
      connection->shutdown(plug::SHUT::RDWR, ignored);
    });
    // What one receive brings, as recv() would; a client may wait for the answer to less than a
    // line.
    for (auto data = rfile.read1(); !data.empty(); data = rfile.read1()) {
      lesson::print_line(client_address, data);
      wfile.write(data);
    }
  }

 private:
  lesson::Stop& stop_;
};

class OneRequestServer : public lesson::Attending<plug::ThreadingTCPServer> {
 public:
  using Attending::Attending;

  /// Others go on when there are no descriptors to spare, and accept again. This one has only one
  /// try.
  void handle_exhaustion(const plug::OSError&) override { throw; }

  /// The same for the client that is here and cannot be served.
  void handle_error(plug::Request&, const plug::Address&) override { throw; }
};

}  // namespace

int main(int argc, char** argv) try {
  const auto endpoint =
      lesson::client_arguments(argc, argv, "Sends back what one client says, and ends.");
  return lesson::run([&](lesson::Stop& stop) {
    const plug::AddrInfo address = lesson::look_up(endpoint, plug::SOCK::STREAM);
    plug::Server<OneRequestServer> server(
        address, [&](auto&... request) { EchoHandler(stop).run(request...); });
    {
      const auto watch = stop.watch(server.socket);
      lesson::announce(server.socket);
      server.handle_request();
    }
    if (!server.seen()) throw std::runtime_error("the client was gone before it was served");
    server.server_close();
  });
} catch (const std::exception& error) {
  return lesson::fail(error);
}
