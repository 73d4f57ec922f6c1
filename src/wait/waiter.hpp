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
//     when the deadline passed; below kStopped when the interrupt hook has ended the call. errno
//     itself means nothing across perform().
//  2. Deadline::none() waits for ever; Deadline::immediate() never waits and gives -EAGAIN
//     (connect: -EINPROGRESS); any other gives kTimedOut once it has passed, not before.
//  3. EINTR is not given back: interrupted() is asked, and unless it says otherwise the operation
//     goes on with the time that is left. An interrupted connect is waited for, not begun again.
//  4. When the Descriptor closes meanwhile the result is -EBADF, promptly, and the descriptor's
//     number stays taken until perform() has returned (Descriptor::InFlight).
//  5. Buffers belong to the caller and are not touched once perform() has returned or thrown.
//  6. An exception may come out of interrupted() and passes through.

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <span>
#include <system_error>

#include "sys/for_fiber.hpp"
#include "sys/syscalls.hpp"
#include "sys/transfer.hpp"
#include "wait/deadline.hpp"
#include "wait/descriptor.hpp"

namespace plug::detail {

inline constexpr long kTimedOut = -4096;   // below every -errno
inline constexpr long kCancelled = -4097;  // in a fiber that has been asked to end
inline constexpr long kStopped = -8192;    // less the errno with which the hook has ended the call

/// One operation on a descriptor, with its arguments. The buffers are the caller's.
struct Op {
  enum class Kind : std::uint8_t {
    receive,          ///< recv(data, size, flags)
    receive_from,     ///< recvfrom(data, size, flags) into address, address_size
    receive_message,  ///< recvmsg(data: a sys::Message, flags)
    receive_batch,    ///< recvmmsg(data: the first of `size` sys::OneOfMany, flags)
    send,             ///< send(data, size, flags)
    send_to,          ///< sendto(data, size, flags) to address, address_size
    send_message,     ///< sendmsg(data: a sys::Message, flags)
    send_batch,       ///< sendmmsg(data, size, flags)
    send_file,        ///< sendfile(file, data: the offset, an int64_t, size)
    send_pipe,        ///< splice(file, size); -EAGAIN also when the pipe is empty
    accept,           ///< accept4() into address, address_size; with kDontWait in flags the
                      ///< descriptor is known not to block
    connect,          ///< connect() to address, address_size
    ready,            ///< nothing but waiting for `flags` (kIn, kOut); gives the ready events
  };

  Kind kind;
  int flags = 0;
  void* data = nullptr;
  std::size_t size = 0;
  void* address = nullptr;
  std::size_t address_size = 0;
  /// Another descriptor: what send_file and send_pipe read from. `ready` waits for it instead of
  /// the operation's own, whose close() ends the wait all the same.
  int file = -1;
};

/// What becomes of a wait whose caller is told to end.
enum class OnCancel : std::uint8_t {
  tell,   ///< it ends, and the caller has been told
  keep,   ///< it ends, and the next one does so too
  ignore  ///< it goes on; the next one ends
};

class Waiter {
 public:
  virtual long perform(Descriptor& descriptor, Op& op, Deadline deadline) = 0;

  /// perform() of a receive or a send.
  virtual long move(Descriptor& descriptor, Op::Kind kind, void* data, std::size_t size, int flags,
                    Deadline deadline) {
    Op op{.kind = kind, .flags = flags, .data = data, .size = size};
    return perform(descriptor, op, deadline);
  }

  /// Whether a receive of up to `size` bytes is better made in the following two steps: so that it
  /// needs no memory as long as there is nothing to receive.
  virtual bool tells_of_data(std::size_t /*size*/) const noexcept { return false; }
  /// Waits until a receive from a socket may find something: 0, or as perform().
  virtual long await_data(Descriptor& /*descriptor*/, Deadline /*deadline*/) { return -ENOSYS; }
  /// perform() of a receive that does not wait.
  virtual long try_receive(Descriptor& /*descriptor*/, void* /*data*/, std::size_t /*size*/) {
    return -ENOSYS;
  }

  /// Waits until one of the entries is ready: the count of those that are (their `revents` say
  /// how), 0 when the deadline passed, -errno.
  virtual long wait_any(std::span<sys::PollEntry> entries, Deadline deadline) = 0;

  /// Tells the fiber that calls from all others that there are; here, where all are one.
  virtual const void* caller() const noexcept { return this; }

  /// What becomes of the caller's waits from now on, at least (Shield): what did before.
  virtual OnCancel exchange_shield(OnCancel /*shield*/) noexcept { return OnCancel::tell; }

 protected:
  ~Waiter() = default;
};

/// The calling thread's waiter; null on a plain thread.
PLUG_FOR_FIBER extern constinit thread_local Waiter* thread_waiter;
inline Waiter* current_waiter() noexcept { return thread_waiter; }
inline void set_current_waiter(Waiter* waiter) noexcept { thread_waiter = waiter; }

PLUG_FOR_FIBER long wait_any(std::span<sys::PollEntry> entries, Deadline deadline);

/// Tells who calls, a fiber or a plain thread, from all others that there are.
inline const void* caller() noexcept {
  return thread_waiter == nullptr ? &thread_waiter : thread_waiter->caller();
}

/// attempt() of an operation whose kind the compiler knows.
inline long attempt(Op::Kind kind, int fd, Op& op) noexcept {
  switch (kind) {
    case Op::Kind::receive:
      return sys::recv(fd, op.data, op.size, op.flags);
    case Op::Kind::receive_from:
      return sys::recvfrom(fd, op.data, op.size, op.flags, op.address, op.address_size);
    case Op::Kind::send:
      return sys::send(fd, op.data, op.size, op.flags);
    case Op::Kind::send_to:
      return sys::sendto(fd, op.data, op.size, op.flags, op.address, op.address_size);
    case Op::Kind::receive_message:
      return sys::recvmsg(fd, *static_cast<sys::Message*>(op.data), op.flags);
    case Op::Kind::send_message:
      return sys::sendmsg(fd, *static_cast<sys::Message*>(op.data), op.flags);
    case Op::Kind::receive_batch:
      return sys::recvmmsg(fd, static_cast<sys::OneOfMany*>(op.data), op.size, op.flags);
    case Op::Kind::send_batch:
      return sys::sendmmsg(fd, static_cast<sys::OneOfMany*>(op.data), op.size, op.flags);
    case Op::Kind::send_file:
      return sys::sendfile(fd, op.file, *static_cast<std::int64_t*>(op.data), op.size);
    case Op::Kind::send_pipe:
      return sys::splice(fd, op.file, op.size);
    case Op::Kind::accept:
      return sys::accept(fd, op.address, op.address_size);
    case Op::Kind::connect:
      return sys::connect(fd, op.address, op.address_size);
    case Op::Kind::ready:
      break;
  }
  return -EINVAL;
}

/// The plain system call of an operation, once; `fd` is the descriptor's. Not for Kind::ready.
inline long attempt(int fd, Op& op) noexcept { return attempt(op.kind, fd, op); }

/// perform() on a plain thread of the operations whose calls take no flags, or that make none.
PLUG_FOR_FIBER long perform_other(Descriptor& descriptor, Op& op, Deadline deadline);

/// Instead of a result: there was no attempt, since the descriptor heeds_any().
inline constexpr long kNotTried = -16384;

/// What is left of perform() on a plain thread when the first attempt gave `result`, no count above
/// zero, or kNotTried. `wait_first`: each attempt has to wait until the descriptor is ready.
long perform_again(Descriptor& descriptor, Descriptor::InFlight& in_flight, Op& op,
                   Deadline deadline, long result, bool wait_first = false);

/// Performs an operation with the calling thread's waiter, or as a plain thread.
///
/// Inline as far as the first attempt, so that the system call returns straight into the caller: a
/// system call that waits makes the processor forget who called whom, and each return after it is
/// mispredicted.
[[gnu::always_inline]] inline long perform(Descriptor& descriptor, Op& op, Deadline deadline) {
  // Read before the atomic operations, so that the compiler knows it beyond them.
  const Op::Kind kind = op.kind;
  if (thread_waiter != nullptr) [[unlikely]]
    return thread_waiter->perform(descriptor, op, deadline);
  if (kind >= Op::Kind::send_file) return perform_other(descriptor, op, deadline);
  Descriptor::InFlight in_flight(descriptor, deadline.is_none());
  if (in_flight.fd() < 0) [[unlikely]]
    return -EBADF;
  // With a deadline the descriptor is in non-blocking mode, unless a duplicate has changed that.
  if (!deadline.is_none()) op.flags |= sys::kDontWait;
  const bool heeds = !deadline.is_none() && descriptor.heeds_any();
  const long result = heeds ? kNotTried : attempt(kind, in_flight.fd(), op);
  if (result > 0) [[likely]]
    return result;
  return perform_again(descriptor, in_flight, op, deadline, result);
}

/// perform() of a receive or a send, which describes the operation only when the first attempt does
/// not do. Not for a descriptor that heeds_any().
[[gnu::always_inline]] inline long transfer(Descriptor& descriptor, Op::Kind kind, void* data,
                                            std::size_t size, int flags, Deadline deadline) {
  if (thread_waiter != nullptr) [[unlikely]]
    return thread_waiter->move(descriptor, kind, data, size, flags, deadline);
  Descriptor::InFlight in_flight(descriptor, deadline.is_none());
  if (in_flight.fd() < 0) [[unlikely]]
    return -EBADF;
  if (!deadline.is_none()) flags |= sys::kDontWait;
  const long result = kind == Op::Kind::receive ? sys::recv(in_flight.fd(), data, size, flags)
                                                : sys::send(in_flight.fd(), data, size, flags);
  if (result > 0) [[likely]]
    return result;
  Op rest{.kind = kind, .flags = flags, .data = data, .size = size};
  return perform_again(descriptor, in_flight, rest, deadline, result);
}

/// Asks the interrupt hook: 0 to go on, below kStopped to end the call. May throw.
PLUG_FOR_FIBER long interrupted();

/// Keeps the end that the caller is told of from its waits while this lives, for code that must not
/// lose it, such as a destructor. With OnCancel::keep a wait ends, and so does the next one, in the
/// end one outside of the shield; what the interrupt hook says is kept in the same way in a fiber.
/// With OnCancel::ignore it goes on, and the interrupt hook is not asked. Of several the strongest
/// counts.
class Shield {
 public:
  explicit Shield(OnCancel shield) noexcept : before_(exchange(shield)) {
    if (before_ > shield) exchange(before_);
  }
  Shield(const Shield&) = delete;
  Shield& operator=(const Shield&) = delete;
  ~Shield() { exchange(before_); }

 private:
  PLUG_FOR_FIBER static OnCancel exchange(OnCancel shield) noexcept;

  const OnCancel before_;
};

/// See plug::InterruptHook.
using InterruptFunction = std::errc (*)();
PLUG_FOR_FIBER bool has_interrupt_function() noexcept;
InterruptFunction exchange_interrupt_function(InterruptFunction function) noexcept;

}  // namespace plug::detail
