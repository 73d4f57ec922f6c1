#pragma once

#include <plug/socket.hpp>
#include <plug/socketserver.hpp>

#include <string>
#include <thread>

/// A thread in serve_forever(), ended by shutdown() when this dies.
class Serving {
 public:
  explicit Serving(plug::BaseServer& server, plug::Timeout poll_interval = 0.5)
      : server_(server), thread_([this, poll_interval] { server_.serve_forever(poll_interval); }) {}
  Serving(const Serving&) = delete;
  Serving& operator=(const Serving&) = delete;
  ~Serving() {
    server_.shutdown();
    thread_.join();
  }

 private:
  plug::BaseServer& server_;
  std::thread thread_;
};

/// A handler: says "!", then sends back what comes.
void echo(plug::Request& request, const plug::Address& client_address, plug::BaseServer& server);

/// A stream connected to a server, which gives up after 30 seconds.
plug::Socket client_of(const plug::Address& server);

/// Sends `text` and the end of the stream, and reads the answer to its end.
std::string ask(const plug::Address& server, plug::BytesView text);

/// A datagram socket that a server can answer to, which gives up after 30 seconds.
plug::Socket datagram_client(plug::AF family);
