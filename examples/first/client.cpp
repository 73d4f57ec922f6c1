// A client: sends the lines of its input to an echo server and prints the answers.
//
//   first_client HOST PORT

#include <plug/socket.hpp>

#include <iostream>
#include <string>

using namespace plug;

int main(int argc, char** argv) try {
  if (argc != 3) throw ValueError("usage: first_client HOST PORT");
  Socket sock = create_connection({argv[1], std::stoi(argv[2])}, 5);
  sock.settimeout(5);
  File file = sock.makefile("rw");
  for (std::string line; std::getline(std::cin, line);) {
    file.write(line + "\n");
    file.flush();
    std::cout << file.readline();
  }
} catch (const std::exception& error) {
  std::cerr << "first_client: " << error.what() << "\n";
  return 1;
}
