// The servers of raw_threading, raw_epoll and raw_accept on plug's public API, as a user would
// write them. Prints its port.
//
//   plug_servers threading          ThreadingTCPServer; the handler receives into an array
//   plug_servers threading_recv     the same; the handler calls recv()
//   plug_servers threading_close    the same; the handler does nothing
//   plug_servers pool               ThreadPoolTCPServer; as threading, with 64 workers
//   plug_servers selectors          one thread, DefaultSelector
//   plug_servers accept             TCPServer; the handler does nothing

#include <plug/selectors.hpp>
#include <plug/socket.hpp>
#include <plug/socketserver.hpp>

#include <cstdio>
#include <string_view>
#include <system_error>
#include <utility>

namespace {

void say_port(const plug::Socket& listener) {
  std::printf("%d\n", listener.getsockname().port());
  std::fflush(stdout);
}

// --- servers ---

struct Echo : plug::BaseRequestHandler {
  void handle() override {
    char buffer[4096];
    while (const std::size_t got = request->recv_into(buffer))
      request->sendall(plug::BytesView(buffer, got));
  }
};

struct EchoBytes : plug::BaseRequestHandler {
  void handle() override {
    for (;;) {
      const plug::Bytes data = request->recv(4096);
      if (data.empty()) break;
      request->sendall(data);
    }
  }
};

struct Nothing : plug::BaseRequestHandler {
  void handle() override {}
};

template <class Base>
struct Quiet : Base {
  Quiet(plug::ServerAddress address, plug::HandlerFactory factory)
      : Base(std::move(address), std::move(factory), false) {
    this->request_queue_size = 1024;
  }
  // A client may reset its connection, which is no error here.
  void handle_error(plug::Request&, const plug::Address&) override {}
};

struct Pool : Quiet<plug::ThreadPoolTCPServer> {
  Pool(plug::ServerAddress address, plug::HandlerFactory factory)
      : Quiet(std::move(address), std::move(factory)) {
    max_workers = 64;
  }
};

template <class Base, class Handler>
void serve() {
  plug::Server<Base> server({"127.0.0.1", 0}, plug::handler<Handler>);
  say_port(server.socket);
  server.serve_forever();
}

// --- selectors ---

void serve_selected() {
  plug::Socket listener = plug::create_server({"127.0.0.1", 0}, {.backlog = 1024});
  listener.setblocking(false);
  say_port(listener);
  plug::DefaultSelector selector;
  selector.register_(listener, plug::EVENT::READ);
  char buffer[4096];
  for (;;) {
    for (auto& [key, mask] : selector.select()) {
      if (key.fileobj.is(listener)) {
        plug::Socket conn = listener.accept().first;
        conn.setblocking(false);
        selector.register_(std::move(conn), plug::EVENT::READ);
        continue;
      }
      plug::Socket& conn = key.fileobj.get<plug::Socket>();
      std::error_code error;
      const std::size_t got = conn.recv_into(buffer, error);
      if (got > 0) conn.sendall(plug::BytesView(buffer, got), error);
      if (error ? error != std::errc::operation_would_block : got == 0)
        selector.unregister(key.fileobj);
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view what = argc == 2 ? argv[1] : "";
  if (what == "threading")
    serve<Quiet<plug::ThreadingTCPServer>, Echo>();
  else if (what == "threading_recv")
    serve<Quiet<plug::ThreadingTCPServer>, EchoBytes>();
  else if (what == "threading_close")
    serve<Quiet<plug::ThreadingTCPServer>, Nothing>();
  else if (what == "pool")
    serve<Pool, Echo>();
  else if (what == "selectors")
    serve_selected();
  else if (what == "accept")
    serve<Quiet<plug::TCPServer>, Nothing>();
  return 1;
}
