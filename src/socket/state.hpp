#pragma once

// The state that a Socket, its files and its framers share: the descriptor and its timeout.

#include <plug/bytes.hpp>
#include <plug/constants.hpp>
#include <plug/socket.hpp>
#include <plug/stream.hpp>
#include <plug/timeout.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <system_error>

#include "base/deadline.hpp"
#include "wait/descriptor.hpp"
#include "wait/io_driver.hpp"

#include "sys/for_fiber.hpp"

namespace plug::detail::socket {

/// A transformation between a socket's calls and its descriptor, such as TLS. Results are those of
/// perform() (wait/io_driver.hpp). A layer performs its own operations on the descriptor.
class Layer {
 public:
  virtual ~Layer() = default;
  virtual long receive(wait::Descriptor& descriptor, MutableBytes buffer, int flags,
                       Deadline deadline) = 0;
  virtual long send(wait::Descriptor& descriptor, BytesView data, int flags, Deadline deadline) = 0;
  /// Returns the number of bytes that can be received although the descriptor is not ready.
  virtual std::size_t pending() const noexcept = 0;
};

class SocketState {
 public:
  SocketState(int fd, int socket_family, int socket_type, int socket_proto,
              Timeout timeout) noexcept
      : descriptor(fd), family(socket_family), type(socket_type), proto(socket_proto) {
    set_timeout(timeout);
  }

  /// Returns true for TCP, if the family, the type and the protocol are those of the socket itself:
  /// the user may state others for a descriptor that already exists.
  bool is_tcp() const noexcept {
    return (family == static_cast<int>(AF::INET) || family == static_cast<int>(AF::INET6)) &&
           type == static_cast<int>(SOCK::STREAM) &&
           (proto == 0 || proto == static_cast<int>(IPPROTO::TCP));
  }

  Timeout timeout() const noexcept;
  void set_timeout(Timeout timeout) noexcept;
  /// Returns the deadline of a call that begins now.
  [[gnu::always_inline]] Deadline deadline() noexcept {
    const Deadline deadline = base::deadline_after(timeout_.load(std::memory_order_relaxed));
    const Deadline limit = limit_.load(std::memory_order_relaxed);
    return limit.is_none() ? deadline : within(limit, deadline);
  }

  /// Limits the lifetime: no call that begins from now on lasts beyond `limit`, and the first call
  /// after it closes the descriptor. The earliest of several limits counts. Thread-safe.
  PLUG_FOR_FIBER void end_at(Deadline limit) noexcept;

  /// The descriptor closes with its last holder: the Socket itself, and each File. The Socket
  /// counts from the start. release_holder() returns -errno if it closes the descriptor and that
  /// fails.
  void add_holder() noexcept { holders_.fetch_add(1); }
  long release_holder() noexcept;

  wait::Descriptor descriptor;
  const int family;
  const int type;
  const int proto;
  std::atomic<bool> socket_closed{false};  // the Socket itself has been closed

  /// Null for a plain socket.
  Layer* layer() const noexcept { return layer_.get(); }
  void set_layer(std::unique_ptr<Layer> layer) noexcept {
    layer_ = std::move(layer);
    descriptor.heed(wait::Descriptor::kLayer);
  }

 private:
  PLUG_FOR_FIBER Deadline within(Deadline limit, Deadline deadline) noexcept;

  std::unique_ptr<Layer> layer_;
  std::atomic<std::int64_t> timeout_;  // TimeoutAccess::number()
  std::atomic<Deadline> limit_{Deadline::none()};
  std::atomic<int> holders_{1};
};

struct SocketAccess {
  static const std::shared_ptr<SocketState>& state(const Socket& sock) noexcept {
    return sock.state_;
  }
  static Socket make(std::shared_ptr<SocketState> state) noexcept {
    return Socket(std::move(state));
  }
};

/// Perform receive_some() and send_some() on a descriptor that heeds_any().
std::size_t receive_through(SocketState& state, MutableBytes buffer, int flags, Deadline deadline,
                            std::error_code& error);
std::size_t send_through(SocketState& state, BytesView data, int flags, Deadline deadline,
                         std::error_code& error);

/// Receives once. Returns the count, 0 at the end of the stream.
[[gnu::always_inline]] inline std::size_t receive_some(SocketState& state, MutableBytes buffer,
                                                       int flags, Deadline deadline,
                                                       std::error_code& error) {
  if (state.descriptor.heeds_any()) [[unlikely]]
    return receive_through(state, buffer, flags, deadline, error);
  return base::count_of(wait::transfer(state.descriptor, wait::Op::Kind::receive, buffer.data(),
                                       buffer.size(), flags, deadline),
                        error);
}

/// Sends once. Returns the count.
inline std::size_t send_some(SocketState& state, BytesView data, int flags, Deadline deadline,
                             std::error_code& error) {
  if (state.descriptor.heeds_any()) [[unlikely]]
    return send_through(state, data, flags, deadline, error);
  return base::count_of(
      wait::transfer(state.descriptor, wait::Op::Kind::send, const_cast<char*>(data.data()),
                     data.size(), flags, deadline),
      error);
}

/// Must be called between two sends of one call: a signal may be why the system took no more, and
/// the system does not report that. Returns false, with an error, if the interrupt hook ends the
/// call.
inline bool may_send_on(std::error_code& error) {
  if (const long stop = wait::interrupted(); stop != 0) error = base::error_from(stop);
  return !error;
}

/// Continues send_all() after its first `sent` bytes.
std::size_t send_rest(SocketState& state, BytesView data, std::size_t sent, int flags,
                      Deadline deadline, std::error_code& error);

/// Sends everything before the deadline. Returns the number of bytes sent: all of them unless there
/// is an error. Empty data makes one empty send.
inline std::size_t send_all(SocketState& state, BytesView data, int flags, Deadline deadline,
                            std::error_code& error) {
  const std::size_t sent = send_some(state, data, flags, deadline, error);
  if (sent == data.size() || error) [[likely]]
    return sent;
  return send_rest(state, data, sent, flags, deadline, error);
}

/// Sends `head`, `body` and `tail`, in that order, as one message if the kernel takes it.
std::size_t send_all(SocketState& state, BytesView head, BytesView body, BytesView tail,
                     Deadline deadline, std::error_code& error);

}  // namespace plug::detail::socket
