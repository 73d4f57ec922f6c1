// One thread and many clients: a selector tells which sockets are ready.
//
//   first_selectors [PORT]

#include <plug/selectors.hpp>
#include <plug/socket.hpp>

#include <iostream>
#include <map>
#include <string>

using namespace plug;

int main(int argc, char** argv) {
  Socket server = create_server({"127.0.0.1", argc > 1 ? std::stoi(argv[1]) : 8000});
  std::cout << "listening on " << server.getsockname() << std::endl;
  std::map<int, Socket> clients;
  DefaultSelector selector;
  selector.register_(server, EVENT::READ);
  for (;;) {
    for (auto [key, events] : selector.select()) {
      if (key.fileobj.is(server)) {
        Socket client = server.accept().first;
        const int number = client.fileno();
        selector.register_(clients.emplace(number, std::move(client)).first->second, EVENT::READ);
        continue;
      }
      const auto client = clients.find(key.fd);
      const Bytes data = client->second.recv(4096);
      if (!data.empty()) {
        client->second.sendall(data);
      } else {
        selector.unregister(client->second);
        clients.erase(client);
      }
    }
  }
}
