// Sends back the data of one client, and ends.
//
// The lesson: handle_request() accepts one request and returns. This server handles each request in
// a thread, so handle_request() returns while the client is still talking. server_close() waits for
// the thread. A subclass overrides the steps of a server that do not suit it.

#include "support/program.hpp"
#include "support/serve.hpp"

namespace {

class EchoHandler : public plug::StreamRequestHandler {
 public:
  explicit EchoHandler(lesson::Stop& stop) : stop_(stop) {}

  void handle() override {
    // close() would not end the conversation, because rfile and wfile share the connection.
    const auto watch = stop_.watch([this] {
      std::error_code ignored;
      connection->shutdown(plug::SHUT::RDWR, ignored);
    });
    // read1() returns the data of one receive, as recv() does. readline() would not answer a client
    // that waits after sending less than a line.
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

  /// Rethrows the error. Other servers wait for free file descriptors and accept again; this one
  /// accepts only once.
  void handle_exhaustion(const plug::OSError&) override { throw; }

  /// Rethrows the error also when the client was accepted but no thread could be started for it.
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
