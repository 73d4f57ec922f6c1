#include <iostream>
#include <plug/plug.hpp>
#include <string>

int main() {
  auto [near, far] = plug::socketpair();
  near.sendall("hello from outside");
  far.sendall(far.recv(1024));
  const std::string echoed = near.recv(1024);
  std::cout << echoed << '\n';
  return echoed == "hello from outside" ? 0 : 1;
}
