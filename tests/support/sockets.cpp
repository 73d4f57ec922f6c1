#include "support/sockets.hpp"

#include <cerrno>
#include <tuple>

#include "support/process.hpp"

using plug::AF;
using plug::Socket;

Socket tcp_listener(const std::string& host) {
  const AF family = host.find(':') == std::string::npos ? AF::INET : AF::INET6;
  return plug::create_server({host, 0}, {.family = family});
}

std::pair<Socket, Socket> tcp_pair(const std::string& host) {
  Socket listener = tcp_listener(host);
  Socket client(listener.family());
  client.connect(listener.getsockname());
  return {std::move(client), listener.accept().first};
}

std::string receive_exactly(Socket& sock, std::size_t size) {
  std::string data;
  while (data.size() < size) {
    const plug::Bytes piece = sock.recv(static_cast<std::ptrdiff_t>(size - data.size()));
    if (piece.empty()) break;
    data += piece;
  }
  return data;
}

Socket refusing_socket(const std::string& host) {
  Socket sock(host.find(':') == std::string::npos ? AF::INET : AF::INET6);
  sock.bind({host, 0});
  return sock;
}

FullListener::FullListener() {
  listener_.bind({"127.0.0.1", 0});
  listener_.listen(0);
  for (;;) {
    Socket client;
    client.settimeout(0.05);
    const int number = client.connect_ex(address());
    if (number == EAGAIN) break;
    if (number != 0) throw plug::OSError({number, std::system_category()});
    queued_.push_back(std::move(client));
  }
}

void FullListener::accept_all() {
  for (std::size_t i = 0; i < queued_.size(); ++i) std::ignore = listener_.accept();
}

int settled_descriptors() {
  auto [sock, peer] = plug::socketpair();
  sock.settimeout(1e-9);
  std::error_code timed_out;
  sock.recv(1, timed_out);
  sock.close();
  peer.close();
  return count_descriptors();
}
