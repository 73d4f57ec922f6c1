#pragma once

// Many datagrams in one system call.
//
//   Socket sock(AF::INET, SOCK::DGRAM);
//   sock.bind({"", 50007});
//   DatagramBatch batch({.count = 64, .size = 1500});
//   while (true) {
//     recv_batch(sock, batch);  // what has come by now, one at least
//     send_batch(sock, batch);  // each back to its sender
//   }
//
// Where a host has several addresses an answer should come from the one that was asked:
//
//   sock.setsockopt(IPPROTO::IP_, IP_::PKTINFO, 1);  // IPPROTO::IPV6, IPV6::RECVPKTINFO
//   DatagramBatch batch({.packet_info = true});
//   recv_batch(sock, batch);
//   for (Datagram& datagram : batch)
//     if (auto info = datagram.packet_info()) datagram.set_source(*info);
//   send_batch(sock, batch);
//
// They wait as Socket's own calls do, for the socket's time-out at most, in a thread and in a
// fiber.
//
// Threads. A batch is used by one at a time; several may use the socket at once.
//
// Beyond Python: recvmmsg(2), sendmmsg(2).

#include <plug/address.hpp>
#include <plug/ancillary.hpp>
#include <plug/bytes.hpp>
#include <plug/constants.hpp>

#include <cstddef>
#include <memory>
#include <optional>
#include <system_error>
#include <vector>

namespace plug::detail {

struct BatchAccess;

}  // namespace plug::detail

#pragma GCC visibility push(default)

namespace plug {

class Socket;

struct BatchOptions {
  std::size_t count = 64;    ///< datagrams at once, 1 to 1024
  std::size_t size = 2048;   ///< bytes of each, 1 to 1 MiB; the rest of a longer one is lost
  bool packet_info = false;  ///< whether there is room for where each of them arrives
};

/// One datagram of a batch, which its memory belongs to.
class Datagram {
 public:
  Datagram(const Datagram&) = delete;
  Datagram& operator=(const Datagram&) = delete;

  /// What has been received, or is to be sent.
  BytesView data() const noexcept { return {memory_.data(), size_}; }
  /// All of the memory, to write what is to be sent into; resize() says how much of it counts.
  MutableBytes memory() noexcept { return memory_; }
  /// Throws ValueError beyond memory().
  void resize(std::size_t size);
  /// Copies what is to be sent. Throws ValueError, and nothing has changed, for more than memory()
  /// has room for.
  void assign(BytesView data);

  /// Who has sent it, or is to receive it. Where it is not there, the one that the socket is
  /// connected to.
  Address address;

  /// Of what was received. MSG::TRUNC: it was longer than the memory.
  MSG flags() const noexcept { return flags_; }

  /// Where it arrived; nothing unless the batch has room for that and the socket has been told to
  /// say so (IP_::PKTINFO, IPV6::RECVPKTINFO).
  std::optional<PacketInfo> packet_info() const;

  /// Has it sent from info.local, by the interface info.interface_index, or any when that is 0.
  /// Only in a batch with room for it, and until the batch receives the next time. Throws
  /// ValueError otherwise, and unless that is an IPv4 or IPv6 address.
  void set_source(const PacketInfo& info);

 private:
  friend struct detail::BatchAccess;
  friend class DatagramBatch;

  Datagram() = default;

  MutableBytes memory_;
  std::size_t size_ = 0;
  MutableBytes control_;          // none without room for packet information
  std::size_t control_size_ = 0;  // of what is in it
  bool has_source_ = false;
  MSG flags_{};
};

/// Room for datagrams, and those that are in it. Movable; its datagrams stay where they are.
class DatagramBatch {
 public:
  /// Throws ValueError for options out of range, std::bad_alloc.
  explicit DatagramBatch(const BatchOptions& options = {});
  DatagramBatch(DatagramBatch&& other) noexcept;
  DatagramBatch& operator=(DatagramBatch&& other) noexcept;
  ~DatagramBatch();

  /// How many there are: those received by the last recv_batch(), or added since clear().
  std::size_t size() const noexcept { return size_; }
  bool empty() const noexcept { return size_ == 0; }
  bool full() const noexcept { return size_ == capacity(); }
  std::size_t capacity() const noexcept;

  Datagram& operator[](std::size_t n) noexcept { return begin()[n]; }
  Datagram* begin() noexcept;
  Datagram* end() noexcept { return begin() + size_; }

  /// None are left.
  void clear() noexcept { size_ = 0; }
  /// One more, to be sent: empty, and without an address. Throws ValueError when it is full.
  Datagram& add();
  /// One more, with a copy of these bytes. Throws ValueError also when they are too long.
  Datagram& add(BytesView data, const Address& to = {});

 private:
  friend struct detail::BatchAccess;
  struct Memory;

  std::unique_ptr<Memory> memory_;
  std::size_t size_ = 0;
};

/// Receives into `batch`, in place of what is in it, as many datagrams as there are, and waits
/// until there is one. Returns how many, which are in the order in which they came; 0 when it
/// fails.
///
/// Throws OSError as Socket::recvfrom() does, TimeoutError, BlockingIOError. recvmmsg(2).
std::size_t recv_batch(Socket& sock, DatagramBatch& batch, MSG flags = MSG{});
std::size_t recv_batch(Socket& sock, DatagramBatch& batch, MSG flags, std::error_code& error);

/// Sends the datagrams in `batch`, in order, each to its address, within one time-out, and returns
/// how many that were: all of them, unless one fails. The form with an error code says how many
/// went before that one. The batch stays as it is.
///
/// Throws OSError as Socket::sendto() does. sendmmsg(2).
std::size_t send_batch(Socket& sock, DatagramBatch& batch, MSG flags = MSG{});
std::size_t send_batch(Socket& sock, DatagramBatch& batch, MSG flags, std::error_code& error);

}  // namespace plug

#pragma GCC visibility pop
