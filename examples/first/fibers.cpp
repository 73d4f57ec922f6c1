// Fibers: a server and a hundred clients in one thread, each in plain blocking style.

#include <plug/fiber.hpp>
#include <plug/socket.hpp>

#include <iostream>
#include <string>

using namespace plug;

void answer(Socket client) {
  for (Bytes data = client.recv(4096); !data.empty(); data = client.recv(4096))
    client.sendall("you said: " + data);
}

int main() {
  fiber::run([] {
    Socket server = create_server({"127.0.0.1", 0});
    const Address address = server.getsockname();
    auto serving = fiber::spawn([server = std::move(server)]() mutable {
      for (;;)
        fiber::spawn([client = server.accept().first]() mutable { answer(std::move(client)); });
    });

    int answers = 0;
    TaskGroup clients;
    for (int i = 0; i < 100; ++i)
      clients.spawn([&answers, &address, i] {
        Socket sock(AF::INET);
        sock.connect(address);
        sock.sendall(std::to_string(i));
        if (sock.recv(100) == "you said: " + std::to_string(i)) ++answers;
      });
    clients.wait();
    std::cout << answers << " answers\n";
    serving.cancel();
  });
}
