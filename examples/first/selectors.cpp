// One thread and many clients: a selector tells which sockets are ready.
//
//   first_selectors [PORT]

#include <plug/selectors.hpp>
#include <plug/socket.hpp>

#include <iostream>
#include <string>

using namespace plug;

int main(int argc, char** argv) {
  Socket server = create_server({"127.0.0.1", argc > 1 ? std::stoi(argv[1]) : 8000});
  std::cout << "listening on " << server.getsockname() << std::endl;
  DefaultSelector selector;
  selector.register_(server, EVENT::READ);
  for (;;) {
    for (auto& [key, mask] : selector.select()) {
      if (key.fileobj.is(server)) {
        selector.register_(server.accept().first, EVENT::READ);  // keeps the client's socket
        continue;
      }
      Socket& client = key.fileobj.get<Socket>();
      const Bytes data = client.recv(4096);
      if (!data.empty())
        client.sendall(data);
      else
        selector.unregister(client);  // and closes it
    }
  }
}
