#pragma once

#include <plug/socket.hpp>
#include <plug/socketserver.hpp>

#include <string>
#include <thread>

/// Calls serve_forever() in a thread. The destructor ends it with shutdown().
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

/// A handler: sends "!", then sends back the data that it receives.
void echo(plug::Request& request, const plug::Address& client_address, plug::BaseServer& server);

/// Returns a stream socket that is connected to the server and has a timeout of 30 seconds.
plug::Socket client_of(const plug::Address& server);

/// Sends `text` and the end of the stream. Returns the whole answer.
std::string ask(const plug::Address& server, plug::BytesView text);

/// Returns a datagram socket that a server can answer, with a timeout of 30 seconds.
plug::Socket datagram_client(plug::AF family);
