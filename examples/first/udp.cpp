// Datagrams: a socket that answers in capital letters, and a socket that asks it.

#include <plug/socket.hpp>
#include <plug/text.hpp>

#include <iostream>
#include <thread>

using namespace plug;

int main() {
  Socket server(AF::INET, SOCK::DGRAM);
  server.bind({"127.0.0.1", 0});
  std::thread answering([&server] {
    const auto [question, client] = server.recvfrom(1500);
    server.sendto(upper(question), client);
  });

  Socket client(AF::INET, SOCK::DGRAM);
  client.settimeout(5);
  client.sendto("a datagram", server.getsockname());
  const auto [answer, from] = client.recvfrom(1500);
  std::cout << answer << " from " << from << "\n";
  answering.join();
}
