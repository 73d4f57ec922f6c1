// An echo server on io_uring (liburing): one thread, and one operation at a time for each
// connection. Prints its port.

#include <liburing.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>

#include "../serving/raw.hpp"

namespace {

constexpr std::size_t kBuffer = 64 * 1024;

struct Connection {
  int fd;
  bool sending = false;
  std::size_t size = 0, sent = 0;
  char* buffer = new char[kBuffer];
};

io_uring ring;

io_uring_sqe* entry(void* data) {
  io_uring_sqe* sqe = io_uring_get_sqe(&ring);
  while (sqe == nullptr) {
    io_uring_submit(&ring);
    sqe = io_uring_get_sqe(&ring);
  }
  io_uring_sqe_set_data(sqe, data);
  return sqe;
}

void set_data(io_uring_sqe* sqe, void* data) { io_uring_sqe_set_data(sqe, data); }

void accept_one(int listener) {
  io_uring_sqe* const sqe = entry(nullptr);
  io_uring_prep_multishot_accept(sqe, listener, nullptr, nullptr, SOCK_CLOEXEC);
  set_data(sqe, nullptr);
}

void receive(Connection* connection) {
  io_uring_sqe* const sqe = entry(connection);
  connection->sending = false;
  io_uring_prep_recv(sqe, connection->fd, connection->buffer, kBuffer, 0);
  set_data(sqe, connection);
}

void send_rest(Connection* connection) {
  io_uring_sqe* const sqe = entry(connection);
  connection->sending = true;
  io_uring_prep_send(sqe, connection->fd, connection->buffer + connection->sent,
                     connection->size - connection->sent, MSG_NOSIGNAL);
  set_data(sqe, connection);
}

void step(Connection* connection, int result) {
  if (result == -EINTR || result == -EAGAIN) result = 0;
  if (result <= 0) {
    close(connection->fd);
    delete[] connection->buffer;
    delete connection;
  } else if (!connection->sending) {
    connection->size = static_cast<std::size_t>(result);
    connection->sent = 0;
    send_rest(connection);
  } else if ((connection->sent += static_cast<std::size_t>(result)) < connection->size) {
    send_rest(connection);
  } else {
    receive(connection);
  }
}

}  // namespace

int main() {
  io_uring_params parameters{};
  parameters.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_CQSIZE;
  parameters.cq_entries = 32768;
  const int made = io_uring_queue_init_params(4096, &ring, &parameters);
  if (made < 0) {
    errno = -made;
    raw::check(-1, "io_uring_queue_init_params");
  }
  const int listener = raw::listener();
  accept_one(listener);
  for (;;) {
    const int entered = io_uring_submit_and_wait(&ring, 1);
    if (entered < 0 && entered != -EINTR && entered != -EBUSY) return 1;
    unsigned head = 0;
    unsigned count = 0;
    io_uring_cqe* cqe = nullptr;
    io_uring_for_each_cqe(&ring, head, cqe) {
      ++count;
      auto* const connection = static_cast<Connection*>(io_uring_cqe_get_data(cqe));
      if (connection != nullptr) {
        step(connection, cqe->res);
        continue;
      }
      if (cqe->res >= 0) receive(new Connection{cqe->res});
      if ((cqe->flags & IORING_CQE_F_MORE) == 0) accept_one(listener);
    }
    io_uring_cq_advance(&ring, count);
  }
}
