// Serves a directory: lists it, lets clients change to its subdirectories, and receives files.
//
// The lesson: a header and then raw bytes on one connection. The header is a JSON object that
// announces how many bytes follow, and the server reads exactly that many. After a refusal both
// sides still agree on where the next command begins. management/protocol.hpp describes the
// protocol.
//
// Each session holds its current directory as an open file descriptor. The process has only one
// current directory, which all threads (--server) would share.

#include <csignal>

#include <CLI/CLI.hpp>

#include "management/directory.hpp"
#include "management/session.hpp"
#include "support/loopback.hpp"
#include "support/serve.hpp"

namespace {

void converse(plug::Socket& conn, const plug::Address& peer,
              const management::SessionOptions& options) {
  management::serve_session(conn, options,
                            [&](const std::string& line) { lesson::print_line(peer, line); });
}

class ManagementHandler : public plug::BaseRequestHandler {
 public:
  explicit ManagementHandler(const management::SessionOptions& options) : options_(options) {}
  void handle() override { converse(request, client_address, options_); }

 private:
  const management::SessionOptions& options_;
};

}  // namespace

int main(int argc, char** argv) try {
  lesson::Endpoint endpoint;
  bool i_know = false;
  std::string encoding = "utf-8";
  double timeout = 300;
  management::SessionOptions options;
  CLI::App app("Serves a directory to management clients.");
  lesson::add_endpoint(app, endpoint);
  app.add_option("ROOT", options.root, "the directory to serve; clients cannot leave it")
      ->required();
  app.add_option("--encoding", encoding, "what clients speak")
      ->check(CLI::IsMember({"utf-8", "gbk"}))
      ->capture_default_str();
  app.add_option("--max-size", options.max_size, "bytes that a file may have")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  app.add_option("--timeout", timeout, "seconds after which a silent client is left")
      ->check(CLI::Range(0.001, 1e6))
      ->capture_default_str();
  lesson::add_i_know(app, i_know);
  lesson::add_server_type(app, endpoint);
  lesson::add_once(app, endpoint);
  lesson::parse(app, argc, argv);
  // write() beyond this process's RLIMIT_FSIZE shall fail, so that the file is refused. By default
  // SIGXFSZ would end the server.
  std::signal(SIGXFSZ, SIG_IGN);

  options.codec = lesson::Codec(encoding);
  options.timeout = timeout;
  static_cast<void>(management::Directory(options.root));
  const plug::AddrInfo address =
      lesson::look_up_loopback(endpoint, i_know, "clients write files without a password");
  if (endpoint.server != lesson::ServerType::plain) {
    lesson::serve(endpoint, address,
                  [&](auto&... request) { ManagementHandler(options).run(request...); });
    return 0;
  }
  return lesson::run([&](lesson::Stop& stop) {
    plug::Socket server = lesson::listen_at(address);
    const auto watch = stop.watch(server);
    lesson::announce(server);
    do {
      auto [conn, peer] = server.accept();
      lesson::attend(stop, conn, peer,
                     [&, &conn = conn, &peer = peer] { converse(conn, peer, options); });
    } while (!endpoint.once);
  });
} catch (const std::exception& error) {
  return lesson::fail(error);
}
