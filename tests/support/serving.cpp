#include "support/serving.hpp"

using namespace plug;

void echo(Request& request, const Address&, BaseServer&) {
  request->sendall("!");
  for (Bytes data = request->recv(100); !data.empty(); data = request->recv(100))
    request->sendall(data);
}

Socket client_of(const Address& server) {
  Socket client(server.family());
  client.settimeout(30);
  client.connect(server);
  return client;
}

std::string ask(const Address& server, BytesView text) {
  Socket client = client_of(server);
  client.sendall(text);
  client.shutdown(SHUT::WR);
  return client.makefile("rb").read();
}

Socket datagram_client(AF family) {
  Socket client(family, SOCK::DGRAM);
  client.settimeout(30);
  if (family == AF::UNIX)
    client.bind(UnixAddress{""});
  else
    client.bind({"127.0.0.1", 0});
  return client;
}
