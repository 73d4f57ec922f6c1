// libuv: callbacks on one event loop. Prints its port.
//
//   libuv [echo|sink|udp]

#include <uv.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace {

void check(int result, const char* what) {
  if (result >= 0) return;
  std::fprintf(stderr, "%s: %s\n", what, uv_strerror(result));
  std::exit(1);
}

struct Connection {
  uv_tcp_t tcp;
  std::uint64_t total = 0;
};

struct Answer {
  uv_write_t request;
  uv_buf_t buffer;
};

struct Datagram {
  uv_udp_send_t request;
  char* memory;
};

bool sinks = false;
// All connections share this buffer: the data is written or counted before the next read.
char memory[64 * 1024];

void give_memory(uv_handle_t*, std::size_t, uv_buf_t* buffer) {
  *buffer = uv_buf_init(memory, sizeof memory);
}

void end(Connection* connection) {
  uv_close(reinterpret_cast<uv_handle_t*>(&connection->tcp),
           [](uv_handle_t* handle) { delete static_cast<Connection*>(handle->data); });
}

void written(uv_write_t* request, int) {
  auto* const answer = static_cast<Answer*>(request->data);
  std::free(answer->buffer.base);
  delete answer;
}

/// Writes at once as much as the kernel takes, and queues the rest.
void write(Connection* connection, const char* data, std::size_t size) {
  auto* const stream = reinterpret_cast<uv_stream_t*>(&connection->tcp);
  uv_buf_t buffer = uv_buf_init(const_cast<char*>(data), static_cast<unsigned>(size));
  const int sent = uv_try_write(stream, &buffer, 1);
  const std::size_t done = sent > 0 ? static_cast<std::size_t>(sent) : 0;
  if (done == size) return;
  auto* const answer = new Answer;
  answer->request.data = answer;
  answer->buffer =
      uv_buf_init(static_cast<char*>(std::malloc(size - done)), static_cast<unsigned>(size - done));
  std::memcpy(answer->buffer.base, data + done, size - done);
  uv_write(&answer->request, stream, &answer->buffer, 1, &written);
}

void have_read(uv_stream_t* stream, ssize_t got, const uv_buf_t* buffer) {
  auto* const connection = static_cast<Connection*>(stream->data);
  if (got < 0) {
    if (sinks) write(connection, reinterpret_cast<const char*>(&connection->total), 8);
    end(connection);
  } else if (sinks) {
    connection->total += static_cast<std::uint64_t>(got);
  } else if (got > 0) {
    write(connection, buffer->base, static_cast<std::size_t>(got));
  }
}

void accept(uv_stream_t* listener, int status) {
  if (status < 0) return;
  auto* const connection = new Connection;
  uv_tcp_init(listener->loop, &connection->tcp);
  connection->tcp.data = connection;
  auto* const stream = reinterpret_cast<uv_stream_t*>(&connection->tcp);
  if (uv_accept(listener, stream) < 0 || uv_read_start(stream, &give_memory, &have_read) < 0)
    end(connection);
}

void give_datagram(uv_handle_t* handle, std::size_t size, uv_buf_t* buffer) {
  give_memory(handle, size, buffer);
}

void have_datagram(uv_udp_t* udp, ssize_t got, const uv_buf_t* buffer, const sockaddr* from,
                   unsigned) {
  if (got < 0 || from == nullptr) return;
  const uv_buf_t answer = uv_buf_init(buffer->base, static_cast<unsigned>(got));
  uv_udp_try_send(udp, &answer, 1, from);
}

int print_port(const sockaddr_storage& name) {
  std::printf("%d\n", ntohs(reinterpret_cast<const sockaddr_in&>(name).sin_port));
  return std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  const char* const what = argc > 1 ? argv[1] : "echo";
  sinks = std::strcmp(what, "sink") == 0;
  uv_loop_t* const loop = uv_default_loop();
  sockaddr_in address{};
  check(uv_ip4_addr("127.0.0.1", 0, &address), "uv_ip4_addr");
  const auto* const name = reinterpret_cast<const sockaddr*>(&address);
  sockaddr_storage bound{};
  int size = sizeof bound;
  if (std::strcmp(what, "udp") == 0) {
    static uv_udp_t udp;
    check(uv_udp_init(loop, &udp), "uv_udp_init");
    check(uv_udp_bind(&udp, name, 0), "uv_udp_bind");
    check(uv_udp_getsockname(&udp, reinterpret_cast<sockaddr*>(&bound), &size), "getsockname");
    print_port(bound);
    check(uv_udp_recv_start(&udp, &give_datagram, &have_datagram), "uv_udp_recv_start");
    return uv_run(loop, UV_RUN_DEFAULT);
  }
  static uv_tcp_t listener;
  check(uv_tcp_init(loop, &listener), "uv_tcp_init");
  check(uv_tcp_bind(&listener, name, 0), "uv_tcp_bind");
  check(uv_listen(reinterpret_cast<uv_stream_t*>(&listener), 4096, &accept), "uv_listen");
  check(uv_tcp_getsockname(&listener, reinterpret_cast<sockaddr*>(&bound), &size), "getsockname");
  print_port(bound);
  return uv_run(loop, UV_RUN_DEFAULT);
}
