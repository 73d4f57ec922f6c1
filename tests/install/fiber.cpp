#include <iostream>
#include <plug/fiber.hpp>
#include <plug/plug.hpp>
#include <string>
#include <utility>

int main() {
  auto [near, far] = plug::socketpair();
  const std::string echoed =
      plug::fiber::run([sock = std::move(near), peer = std::move(far)]() mutable {
        auto answering = plug::fiber::spawn([&peer] { peer.sendall(peer.recv(1024)); });
        sock.sendall("hello from a fiber");
        return std::string(sock.recv(1024));
      });
  std::cout << echoed << '\n';
  return echoed == "hello from a fiber" ? 0 : 1;
}
