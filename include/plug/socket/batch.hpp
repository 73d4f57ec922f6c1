#pragma once

// Sends and receives many datagrams in one system call.
//
//   Socket sock(AF::INET, SOCK::DGRAM);
//   sock.bind({"", 50007});
//   DatagramBatch batch({.count = 64, .size = 1500});
//   while (true) {
//     recv_batch(sock, batch);  // the datagrams that have arrived, at least one
//     send_batch(sock, batch);  // each back to its sender
//   }
//
// If a host has several addresses, a reply should come from the address that the request was sent
// to:
//
//   sock.setsockopt(IPPROTO::IP_, IP_::PKTINFO, 1);  // IPPROTO::IPV6, IPV6::RECVPKTINFO
//   DatagramBatch batch({.packet_info = true});
//   recv_batch(sock, batch);
//   for (Datagram& datagram : batch)
//     if (auto info = datagram.packet_info()) datagram.set_source(*info);
//   send_batch(sock, batch);
//
// Both functions wait like Socket's calls, for at most the socket's timeout, in threads and fibers.
//
// Thread safety. Use a batch in one thread at a time. Several threads may use the socket at once.
//
// Not in Python. recvmmsg(2), sendmmsg(2).

#include <plug/address.hpp>
#include <plug/ancillary.hpp>
#include <plug/bytes.hpp>
#include <plug/constants.hpp>
#include <plug/detail/forward.hpp>

#include <cstddef>
#include <memory>
#include <optional>
#include <system_error>
#include <vector>

#pragma GCC visibility push(default)

namespace plug {

class Socket;

struct BatchOptions {
  std::size_t count = 64;    ///< number of datagrams, 1 to 1024
  std::size_t size = 2048;   ///< bytes per datagram, 1 to 1 MiB; longer datagrams are truncated
  bool packet_info = false;  ///< whether the batch has space for packet information
};

/// A datagram of a batch; the batch owns its memory.
class Datagram {
 public:
  Datagram(const Datagram&) = delete;
  Datagram& operator=(const Datagram&) = delete;

  /// Returns the bytes received, or to send.
  BytesView data() const noexcept { return {memory_.data(), size_}; }
  /// Returns all of the memory, to write data to send into it; resize() sets the size to send.
  MutableBytes memory() noexcept { return memory_; }
  /// Sets the size. Throws ValueError if it exceeds that of memory().
  void resize(std::size_t size);
  /// Copies data to send. Throws ValueError, and changes nothing, if it does not fit memory().
  void assign(BytesView data);

  /// The sender of a received datagram, the receiver of one to send. If empty, the datagram goes to
  /// the address that the socket is connected to.
  Address address;

  /// Returns the flags of a received datagram. MSG::TRUNC: the datagram was truncated.
  MSG flags() const noexcept { return flags_; }

  /// Returns where the datagram arrived. Returns nothing unless the batch has packet_info and the
  /// socket option is set (IP_::PKTINFO, IPV6::RECVPKTINFO).
  std::optional<PacketInfo> packet_info() const;

  /// Sends the datagram from info.local, over the interface info.interface_index, or any if that is
  /// 0. Valid until the batch receives again. Throws ValueError if the batch has no packet_info, or
  /// if info.local is not an IPv4 or IPv6 address.
  void set_source(const PacketInfo& info);

 private:
  friend struct detail::socket::BatchAccess;
  friend class DatagramBatch;

  Datagram() = default;

  MutableBytes memory_;
  std::size_t size_ = 0;
  MutableBytes control_;          // empty without packet_info
  std::size_t control_size_ = 0;  // bytes used
  bool has_source_ = false;
  MSG flags_{};
};

/// Memory for datagrams, and the datagrams in it. Movable; the datagrams keep their addresses.
class DatagramBatch {
 public:
  /// Throws ValueError if an option is out of range, std::bad_alloc.
  explicit DatagramBatch(const BatchOptions& options = {});
  DatagramBatch(DatagramBatch&& other) noexcept;
  DatagramBatch& operator=(DatagramBatch&& other) noexcept;
  ~DatagramBatch();

  /// Returns the number of datagrams: those received last, or added since clear().
  std::size_t size() const noexcept { return size_; }
  bool empty() const noexcept { return size_ == 0; }
  bool full() const noexcept { return size_ == capacity(); }
  std::size_t capacity() const noexcept;

  Datagram& operator[](std::size_t n) noexcept { return begin()[n]; }
  Datagram* begin() noexcept;
  Datagram* end() noexcept { return begin() + size_; }

  /// Removes all datagrams.
  void clear() noexcept { size_ = 0; }
  /// Adds an empty datagram without an address. Throws ValueError if the batch is full.
  Datagram& add();
  /// Adds a datagram with a copy of `data`. Throws ValueError if the batch is full or `data` is too
  /// long.
  Datagram& add(BytesView data, const Address& to = {});

 private:
  friend struct detail::socket::BatchAccess;
  struct Memory;

  std::unique_ptr<Memory> memory_;
  std::size_t size_ = 0;
};

/// Waits for a datagram, then receives all that have arrived, up to the capacity. They replace the
/// contents of `batch`, in the order of arrival. Returns their number; 0 after a failure.
///
/// Throws OSError as Socket::recvfrom() does, TimeoutError, BlockingIOError. recvmmsg(2).
std::size_t recv_batch(Socket& sock, DatagramBatch& batch, MSG flags = MSG{});
std::size_t recv_batch(Socket& sock, DatagramBatch& batch, std::error_code& error,
                       MSG flags = MSG{});

/// Sends the datagrams of `batch` in order, each to its address, with one deadline. Does not change
/// the batch. Returns the number sent, which is all of them unless one fails; the form with an
/// error code returns how many were sent before that one.
///
/// Throws OSError as Socket::sendto() does. sendmmsg(2).
std::size_t send_batch(Socket& sock, DatagramBatch& batch, MSG flags = MSG{});
std::size_t send_batch(Socket& sock, DatagramBatch& batch, std::error_code& error,
                       MSG flags = MSG{});

}  // namespace plug

#pragma GCC visibility pop
