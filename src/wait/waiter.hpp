#pragma once

// The contract between a socket and the thing that waits.
//
// A blocking call describes itself as an Op and hands it to perform() with a deadline. On a plain
// thread that tries the system call and, where it would block, sleeps in poll(2) and tries again. A
// scheduler installs a Waiter of its own for the threads that it runs (set_current()); perform()
// then goes to that instead, which may park a fiber until the descriptor is ready, or submit the
// operation itself to the kernel.
//
// What every Waiter promises:
//  1. The result is a count, 0, or a descriptor (accept) when >= 0; -errno when negative; kTimedOut
//     when the deadline passed. errno itself means nothing across perform().
//  2. Deadline::none() waits for ever; Deadline::immediate() never waits and gives -EAGAIN
//  (connect:
//     -EINPROGRESS); any other gives kTimedOut once it has passed, not before.
//  3. EINTR is not given back: interrupted() is asked, and unless it says otherwise the operation
//     goes on with the time that is left. An interrupted connect is waited for, not begun again.
//  4. When the Descriptor closes meanwhile the result is -EBADF, promptly, and the descriptor's
//     number stays taken until perform() has returned (Descriptor::InFlight).
//  5. Buffers belong to the caller and are not touched once perform() has returned or thrown.
//  6. An exception may come out of interrupted() and passes through.

#include <cstddef>
#include <cstdint>
#include <span>
#include <system_error>

#include "sys/syscalls.hpp"
#include "wait/deadline.hpp"
#include "wait/descriptor.hpp"

namespace plug::detail {

inline constexpr long kTimedOut = -4096;  // below every -errno

/// One operation on a descriptor, with its arguments. The buffers are the caller's.
struct Op {
  enum class Kind : std::uint8_t {
    receive,       ///< recv(data, size, flags)
    receive_from,  ///< recvfrom(data, size, flags) into address, address_size
    send,          ///< send(data, size, flags)
    send_to,       ///< sendto(data, size, flags) to address, address_size
    send_pieces,   ///< sendmsg(pieces, size of them, flags)
    accept,        ///< accept4() into address, address_size
    connect,       ///< connect() to address, address_size
    ready,         ///< nothing but waiting for `flags` (kIn, kOut); gives the ready events
  };

  Kind kind;
  int flags = 0;
  void* data = nullptr;
  std::size_t size = 0;
  void* address = nullptr;
  std::size_t address_size = 0;
  const sys::Piece* pieces = nullptr;
};

class Waiter {
 public:
  virtual long perform(Descriptor& descriptor, Op& op, Deadline deadline) = 0;

  /// Waits until one of the entries is ready: the count of those that are (their `revents` say
  /// how), 0 when the deadline passed, -errno.
  virtual long wait_any(std::span<sys::PollEntry> entries, Deadline deadline) = 0;

 protected:
  ~Waiter() = default;
};

/// The calling thread's waiter; null on a plain thread.
Waiter* current_waiter() noexcept;
void set_current_waiter(Waiter* waiter) noexcept;

/// Performs an operation with the calling thread's waiter, or as a plain thread.
long perform(Descriptor& descriptor, Op& op, Deadline deadline);
long wait_any(std::span<sys::PollEntry> entries, Deadline deadline);

/// The plain system call of an operation, once; `fd` is the descriptor's. Not for Kind::ready.
long attempt(int fd, Op& op) noexcept;

/// Asks the interrupt hook: 0 to go on, -errno to end the call. May throw.
long interrupted();

/// See plug::InterruptHook.
using InterruptFunction = std::errc (*)();
InterruptFunction exchange_interrupt_function(InterruptFunction function) noexcept;

}  // namespace plug::detail
