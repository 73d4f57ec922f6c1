#pragma once

// The contract between a socket and the I/O driver that waits for it.
//
// A blocking call describes itself as an Op and passes it to perform() with a deadline. On a plain
// thread, perform() tries the system call; if it would block, perform() waits in poll(2) and tries
// again. A scheduler installs its own driver on the threads that it runs (set_current_driver()).
// perform() then calls that driver, which may park the fiber until the descriptor is ready, or
// submit the operation itself to the kernel.
//
// Every driver guarantees:
//  1. A result >= 0 is a count, 0, or a descriptor (accept). A negative result is -errno;
//     kTimedOut if the deadline has passed; kCancelled if the fiber has been cancelled; below
//     kStopped if the interrupt hook has ended the call. errno itself means nothing across
//     perform().
//  2. Deadline::none() waits without limit. Deadline::immediate() never waits and returns -EAGAIN
//     (connect: -EINPROGRESS; ready: kTimedOut). Any other deadline returns kTimedOut once it has
//     passed, not earlier.
//  3. EINTR is not returned. The driver calls interrupted() and, unless the hook ends the call,
//     continues with the time that is left. It waits for an interrupted connect, and does not
//     start it again.
//  4. If the Descriptor is closed meanwhile, the result is -EBADF, promptly, unless data has moved
//     already. The number stays taken until perform() has returned (Descriptor::InFlight).
//  5. Buffers belong to the caller and are not touched after perform() has returned or thrown.
//  6. interrupted() may throw, and the exception passes through.

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <span>
#include <system_error>

#include "base/deadline.hpp"
#include "base/result.hpp"
#include "base/scratch.hpp"
#include "sys/for_fiber.hpp"
#include "sys/syscalls.hpp"
#include "sys/transfer.hpp"
#include "wait/descriptor.hpp"

namespace plug::detail::wait {

/// One operation on a descriptor, with its arguments. The caller owns the buffers.
struct Op {
  enum class Kind : std::uint8_t {
    receive,          ///< recv(data, size, flags)
    receive_from,     ///< recvfrom(data, size, flags) into address, address_size
    receive_message,  ///< recvmsg(data: a sys::Message, flags)
    receive_batch,    ///< recvmmsg(data: the first of `size` sys::MMsgHdr, flags)
    send,             ///< send(data, size, flags)
    send_to,          ///< sendto(data, size, flags) to address, address_size
    send_message,     ///< sendmsg(data: a sys::Message, flags)
    send_batch,       ///< sendmmsg(data, size, flags)
    send_file,        ///< sendfile(file, data: the offset, an int64_t, size)
    send_pipe,        ///< splice(file, size); -EAGAIN also if the pipe is empty
    accept,           ///< accept4() into address, address_size; kDontWait in flags: the descriptor
                      ///< is known to be non-blocking
    connect,          ///< connect() to address, address_size
    ready,            ///< waits for `flags` (kIn, kOut); returns the ready events
  };

  Kind kind;
  int flags = 0;
  void* data = nullptr;
  std::size_t size = 0;
  void* address = nullptr;
  std::size_t address_size = 0;
  /// A second descriptor. send_file and send_pipe read from it. `ready` waits for it instead of the
  /// operation's own descriptor, whose close() still ends the wait.
  int file = -1;
};

/// The effect of a cancellation on a wait.
enum class OnCancel : std::uint8_t {
  tell,   ///< the wait ends, and the cancellation is delivered
  keep,   ///< the wait ends, and the cancellation stays pending for the next one
  ignore  ///< the wait continues; the next one ends
};

class IoDriver {
 public:
  virtual long perform(Descriptor& descriptor, Op& op, Deadline deadline) = 0;

  /// Performs a receive or a send.
  virtual long move(Descriptor& descriptor, Op::Kind kind, void* data, std::size_t size, int flags,
                    Deadline deadline) {
    Op op{.kind = kind, .flags = flags, .data = data, .size = size};
    return perform(descriptor, op, deadline);
  }

  /// Performs a receive without flags of up to `size` bytes into memory of `scratch`. A driver
  /// takes that memory once there is data, if it can: many callers may wait at a time.
  virtual long receive_late(Descriptor& descriptor, base::Scratch& scratch, std::size_t size,
                            Deadline deadline) {
    return move(descriptor, Op::Kind::receive, scratch.take(size), size, 0, deadline);
  }

  /// Waits until an entry is ready. Returns the number of ready entries (their `revents` say how),
  /// 0 if the deadline has passed, or a negative error as perform() does.
  virtual long wait_any(std::span<sys::PollEntry> entries, Deadline deadline) = 0;

  /// Returns an address that identifies the calling fiber. The default knows a single caller.
  virtual const void* caller() const noexcept { return this; }

  /// Sets the least OnCancel of the caller's waits (see Shield) and returns the previous one.
  virtual OnCancel exchange_shield(OnCancel /*shield*/) noexcept { return OnCancel::tell; }

 protected:
  ~IoDriver() = default;
};

/// Returns the calling thread's driver, or null on a plain thread.
PLUG_FOR_FIBER extern constinit thread_local IoDriver* thread_driver;
inline IoDriver* current_driver() noexcept { return thread_driver; }
inline void set_current_driver(IoDriver* driver) noexcept { thread_driver = driver; }

PLUG_FOR_FIBER long wait_any(std::span<sys::PollEntry> entries, Deadline deadline);

/// Returns true if the caller may block its thread in the system: nothing else runs on the thread
/// meanwhile.
inline bool may_block_thread() noexcept { return thread_driver == nullptr; }

/// Returns true if waiting for the same descriptors again and again is cheaper through an event set
/// (event_set.hpp) than through wait_any().
inline bool prefers_event_set() noexcept { return thread_driver != nullptr; }

/// Returns an address that identifies the caller, a fiber or a plain thread.
inline const void* caller() noexcept {
  return thread_driver == nullptr ? &thread_driver : thread_driver->caller();
}

/// Makes the plain system call of an operation once, its kind being known to the compiler.
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
      return sys::recvmmsg(fd, static_cast<sys::MMsgHdr*>(op.data), op.size, op.flags);
    case Op::Kind::send_batch:
      return sys::sendmmsg(fd, static_cast<sys::MMsgHdr*>(op.data), op.size, op.flags);
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

/// Makes the plain system call of an operation once; `fd` is the descriptor's. Not for Kind::ready.
inline long attempt(int fd, Op& op) noexcept { return attempt(op.kind, fd, op); }

/// Performs, on a plain thread, an operation whose system call takes no flags, or `ready`.
PLUG_FOR_FIBER long perform_other(Descriptor& descriptor, Op& op, Deadline deadline);

/// Stands for the result of an attempt that was not made because the descriptor heeds_any().
inline constexpr long kNotTried = -16384;

/// Completes perform() on a plain thread after the first attempt: `result` is 0, negative, or
/// kNotTried. `wait_first`: each attempt must wait until the descriptor is ready.
long perform_again(Descriptor& descriptor, Descriptor::InFlight& in_flight, Op& op,
                   Deadline deadline, long result, bool wait_first = false);

/// Performs an operation with the calling thread's driver, or directly on a plain thread.
///
/// Inline up to the first attempt, so that the system call returns straight into the caller: a
/// system call that blocks spoils the processor's return predictions, so every further return after
/// it is mispredicted.
[[gnu::always_inline]] inline long perform(Descriptor& descriptor, Op& op, Deadline deadline) {
  // Read before the atomic operations: after them the compiler would have to load it again.
  const Op::Kind kind = op.kind;
  if (thread_driver != nullptr) [[unlikely]]
    return thread_driver->perform(descriptor, op, deadline);
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

/// Performs a receive or a send on a plain thread. Builds the Op only if the first attempt is not
/// enough.
[[gnu::always_inline]] inline long transfer_on_thread(Descriptor& descriptor, Op::Kind kind,
                                                      void* data, std::size_t size, int flags,
                                                      Deadline deadline) {
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

/// Performs a receive or a send. Not for a descriptor that heeds_any().
[[gnu::always_inline]] inline long transfer(Descriptor& descriptor, Op::Kind kind, void* data,
                                            std::size_t size, int flags, Deadline deadline) {
  if (thread_driver != nullptr) [[unlikely]]
    return thread_driver->move(descriptor, kind, data, size, flags, deadline);
  return transfer_on_thread(descriptor, kind, data, size, flags, deadline);
}

/// Performs a receive as transfer() does, into memory of `scratch`, which the driver takes.
[[gnu::always_inline]] inline long transfer_late(Descriptor& descriptor, base::Scratch& scratch,
                                                 std::size_t size, Deadline deadline) {
  if (thread_driver != nullptr) [[unlikely]]
    return thread_driver->receive_late(descriptor, scratch, size, deadline);
  return transfer_on_thread(descriptor, Op::Kind::receive, scratch.take(size), size, 0, deadline);
}

/// Asks the interrupt hook. Returns 0 to continue, or a value below kStopped to end the call. May
/// throw.
PLUG_FOR_FIBER long interrupted();

/// Postpones cancellation while it lives, for code that must not lose it, such as a destructor.
/// With OnCancel::keep a wait still ends, but the cancellation stays pending: each later wait ends
/// too, until one outside the shield delivers it. In a fiber the answer of the interrupt hook is
/// kept in the same way. With OnCancel::ignore waits continue, and the interrupt hook is not asked.
/// If shields are nested, the strongest one counts.
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

}  // namespace plug::detail::wait
