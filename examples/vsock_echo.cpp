// An echo server and client between a virtual machine and its host, or within one machine.
//
// The lesson: VSOCK connects a virtual machine with its host and needs no configuration. The
// address of a machine is a number: 2 is the host, 1 the machine itself. Ports have 32 bits.
// Everything else works as with TCP.

#include <CLI/CLI.hpp>

#include "support/program.hpp"

namespace {

void serve(std::uint32_t port, bool once) {
  plug::Socket server(plug::AF::VSOCK, plug::SOCK::STREAM);
  server.bind(plug::VsockAddress(plug::VMADDR::CID_ANY, port));
  server.listen();
  lesson::announce(server);
  do {
    auto [conn, peer] = server.accept();
    lesson::attend(conn, peer, [&conn = conn] {
      for (plug::Bytes data = conn.recv(4096); !data.empty(); data = conn.recv(4096))
        conn.sendall(data);
    });
  } while (!once);
}

void ask(const plug::VsockAddress& address) {
  plug::Socket sock(plug::AF::VSOCK, plug::SOCK::STREAM);
  sock.connect(address);
  lesson::for_each_line(lesson::EmptyLine::asks_again, [&sock](const std::string& line) {
    sock.sendall(line);
    std::string answer;
    while (answer.size() < line.size()) {
      const plug::Bytes piece = sock.recv(4096);
      if (piece.empty()) throw plug::EOFError("the server has ended the conversation");
      answer += piece;
    }
    lesson::print_line(answer);
    return true;
  });
}

}  // namespace

int main(int argc, char** argv) try {
  std::string role;
  std::uint32_t port = 0;
  std::uint32_t cid = static_cast<std::uint32_t>(plug::VMADDR::CID_LOCAL);
  bool once = false;
  CLI::App app("The same bytes back, over VSOCK.");
  app.add_option("ROLE", role, "server, or client")
      ->required()
      ->check(CLI::IsMember({"server", "client"}));
  app.add_option("PORT", port, "4294967295: a server's choice")->required();
  app.add_option("--cid", cid, "a client's: which machine; 1 is this one, 2 its host");
  app.add_flag("--once", once, "a server's: one client, then the end");
  lesson::parse(app, argc, argv);

  if (role == "client") return lesson::run([&] { ask(plug::VsockAddress(cid, port)); });
  // Closing a VSOCK listener does not wake accept(), so this server takes no Stop: a signal ends
  // the process at once.
  return lesson::run([&] { serve(port, once); });
} catch (const std::exception& error) {
  return lesson::fail(error);
}
