// An echo server: one handler, and a choice of server classes that run it.
//
//   first_echo_server [plain|threads|pool|processes|fibers] [PORT]

#include <plug/fiber.hpp>
#include <plug/socketserver.hpp>

#include <iostream>
#include <string>

using namespace plug;

struct Echo : StreamRequestHandler {
  void handle() override {
    for (Bytes& line : rfile) wfile.write(line);
  }
};

template <class AnyServer>
int serve(int port) {
  AnyServer server({"127.0.0.1", port}, handler<Echo>);
  std::cout << "listening on " << to_string(server.server_address) << std::endl;
  server.serve_until_signal();
  return 0;
}

int main(int argc, char** argv) {
  const std::string how = argc > 1 ? argv[1] : "threads";
  const int port = argc > 2 ? std::stoi(argv[2]) : 8000;
  if (how == "plain") return serve<TCPServer>(port);             // one client after another
  if (how == "threads") return serve<ThreadingTCPServer>(port);  // a thread for each client
  if (how == "pool") return serve<ThreadPoolTCPServer>(port);    // a bounded number of threads
  if (how == "processes") return serve<ForkingTCPServer>(port);  // a process for each client
  if (how == "fibers") return serve<FiberTCPServer>(port);       // a fiber for each client
  std::cerr << "unknown kind of server: " << how << "\n";
  return 2;
}
