// Asio: callbacks on an io_context for a single thread. Prints its port.
//
//   asio [echo|sink|udp]

#define ASIO_DISABLE_THREADS
#include <asio.hpp>

#include <array>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string_view>
#include <utility>

namespace {

using asio::ip::tcp;
using asio::ip::udp;

bool sinks = false;
// All connections share this buffer, because only the number of bytes matters.
std::array<char, 64 * 1024> counted;

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  explicit Connection(tcp::socket socket) : socket_(std::move(socket)) {}

  void read() {
    socket_.async_read_some(asio::buffer(buffer_),
                            [self = shared_from_this()](asio::error_code error, std::size_t got) {
                              if (!error) self->write(got);
                            });
  }

 private:
  void write(std::size_t size) {
    asio::async_write(socket_, asio::buffer(buffer_.data(), size),
                      [self = shared_from_this()](asio::error_code error, std::size_t) {
                        if (!error) self->read();
                      });
  }

  tcp::socket socket_;
  std::array<char, 16 * 1024> buffer_;
};

class Sink : public std::enable_shared_from_this<Sink> {
 public:
  explicit Sink(tcp::socket socket) : socket_(std::move(socket)) {}

  void read() {
    socket_.async_read_some(asio::buffer(counted),
                            [self = shared_from_this()](asio::error_code error, std::size_t got) {
                              if (error) return self->answer();
                              self->total_ += got;
                              self->read();
                            });
  }

 private:
  void answer() {
    asio::async_write(socket_, asio::buffer(&total_, sizeof total_),
                      [self = shared_from_this()](asio::error_code, std::size_t) {});
  }

  tcp::socket socket_;
  std::uint64_t total_ = 0;
};

void accept(tcp::acceptor& acceptor) {
  acceptor.async_accept([&acceptor](asio::error_code error, tcp::socket socket) {
    if (!error) {
      if (sinks)
        std::make_shared<Sink>(std::move(socket))->read();
      else
        std::make_shared<Connection>(std::move(socket))->read();
    }
    accept(acceptor);
  });
}

struct Datagrams {
  void receive() {
    socket.async_receive_from(asio::buffer(buffer), from,
                              [this](asio::error_code error, std::size_t got) {
                                if (!error) return send(got);
                                receive();
                              });
  }
  void send(std::size_t size) {
    socket.async_send_to(asio::buffer(buffer.data(), size), from,
                         [this](asio::error_code, std::size_t) { receive(); });
  }

  udp::socket socket;
  udp::endpoint from{};
  std::array<char, 2048> buffer{};
};

void print_port(int port) {
  std::printf("%d\n", port);
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view what = argc > 1 ? argv[1] : "echo";
  sinks = what == "sink";
  asio::io_context context(1);
  const auto host = asio::ip::address_v4::loopback();
  if (what == "udp") {
    Datagrams datagrams{udp::socket(context, udp::endpoint(host, 0))};
    print_port(datagrams.socket.local_endpoint().port());
    datagrams.receive();
    context.run();
    return 0;
  }
  tcp::acceptor acceptor(context);
  acceptor.open(tcp::v4());
  acceptor.bind(tcp::endpoint(host, 0));
  acceptor.listen(4096);
  print_port(acceptor.local_endpoint().port());
  accept(acceptor);
  context.run();
  return 0;
}
