#pragma once

// A file descriptor that several threads use and any of them may close.
//
// Every operation holds an InFlight while it uses the number. close() marks the descriptor closed
// and wakes all waiters: a thread in recv(2) by shutting the connection down, one in poll(2) and a
// fiber through their Wakers. The last InFlight closes the number, so that no operation ever runs
// on a number that has been reused (docs/adr/0002-close-wakes-waiting-calls.md).
//
// One atomic word holds all counts:
//   bits 0..23   operations in flight
//   bits 24..47  those of them in an untimed system call, which only a shutdown can wake
//   bits 48..62  the fork generation of the counts: a forked child ignores its parent's
//   bit 63       closed

#include <atomic>
#include <cstdint>

#include "sys/for_fiber.hpp"
#include "sys/syscalls.hpp"

namespace plug::detail::wait {

/// The callback by which close() wakes one waiter: called at most once, on the closing thread. The
/// function must neither block nor call back into the Descriptor.
struct Waker {
  void (*wake)(void* argument) noexcept;
  void* argument;

  Waker* next = nullptr;
  Waker* previous = nullptr;
  bool woken = false;
};

class PLUG_FOR_FIBER Descriptor {
 public:
  explicit Descriptor(int fd) noexcept
      : fd_(fd), identity_(identities.fetch_add(1, std::memory_order_relaxed) + 1) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  /// No operation may be in flight.
  ~Descriptor();

  /// Returns the number, or -1 once closed or detached.
  int fd() const noexcept { return fd_.load(std::memory_order_relaxed); }

  /// Closes the descriptor. Returns 0, or -errno of close(2). If operations are in flight, wakes
  /// them and returns 0; the last of them closes the number. Does nothing if already closed.
  long close() noexcept;

  /// Forgets the number and returns it. Operations in flight continue.
  int detach() noexcept { return fd_.exchange(-1); }

  /// Returns a number above zero that no other Descriptor of this process has had.
  std::uint64_t identity() const noexcept { return identity_; }

  /// Reasons why calls take the slow path: a layer, or an option that changes how long the system
  /// waits and that has no effect on a call with MSG_DONTWAIT.
  enum Option : std::uint8_t {
    kTimed = 1,     ///< SO_RCVTIMEO or SO_SNDTIMEO has been set
    kLowWater = 2,  ///< SO_RCVLOWAT has been set
    kLayer = 4      ///< the socket has a layer (SocketState::set_layer)
  };
  bool heeds_any() const noexcept { return options_.load(std::memory_order_relaxed) != 0; }
  bool heeds(Option option) const noexcept {
    return (options_.load(std::memory_order_relaxed) & option) != 0;
  }
  void heed(Option option) noexcept { options_.fetch_or(option, std::memory_order_relaxed); }
  /// Copies kTimed, kLowWater and short_read_drains() from another descriptor of the same socket,
  /// or from the listener that this socket inherited its options from. Must be called before the
  /// descriptor is in use.
  void heed_as(const Descriptor& other) noexcept {
    for (const Option option : {kTimed, kLowWater})
      if (other.heeds(option)) heed(option);
    short_read_drains_ = other.short_read_drains_;
  }

  /// Returns true if it is known that a receive of less than it asked for leaves no data behind,
  /// unless the peer has ended or has sent urgent data. Set before the descriptor is in use.
  bool short_read_drains() const noexcept { return short_read_drains_; }
  void set_short_read_drains() noexcept { short_read_drains_ = true; }

  /// Returns true once close() has begun.
  bool closed() const noexcept { return (use_.load() & kClosed) != 0; }

  /// Keeps the number open for the duration of one operation.
  class InFlight {
   public:
    /// `untimed`: the operation may block in a system call that only a shutdown ends.
    InFlight(Descriptor& descriptor, bool untimed) noexcept
        : descriptor_(descriptor), units_(untimed ? kOne + kUntimed : kOne) {
      descriptor_.enter(units_);
      fd_ = descriptor_.fd();
    }
    InFlight(const InFlight&) = delete;
    InFlight& operator=(const InFlight&) = delete;
    ~InFlight() { descriptor_.leave(units_); }

    /// Returns -1 if the descriptor is closed.
    int fd() const noexcept { return fd_; }
    Descriptor& descriptor() const noexcept { return descriptor_; }

    /// Counts the operation as untimed from now on, for a wait that nothing else can wake.
    void become_untimed() noexcept {
      if (units_ != kOne) return;
      descriptor_.enter(kUntimed);
      units_ += kUntimed;
    }

   private:
    Descriptor& descriptor_;
    std::uint64_t units_;
    int fd_;
  };

  /// Keeps the descriptor in non-blocking mode while it lives, for a call that has no flag for
  /// that. Several may exist at once; the last one restores the mode.
  class Unblocked {
   public:
    Unblocked(Descriptor& descriptor, int fd) noexcept;
    Unblocked(const Unblocked&) = delete;
    Unblocked& operator=(const Unblocked&) = delete;
    ~Unblocked();

   private:
    Descriptor& descriptor_;
    int fd_;
  };

  /// Returns true if there has ever been an Unblocked: a blocking call of another thread may then
  /// have failed with EAGAIN for that reason alone.
  bool was_unblocked() const noexcept { return was_unblocked_.load(std::memory_order_relaxed); }

  /// Registers `waker`, which close() will call. Returns false, and registers nothing, if the
  /// descriptor is closed.
  bool add(Waker& waker) noexcept;
  /// Removes the waker, which is not called any more after this. Its `woken` tells whether it was.
  void remove(Waker& waker) noexcept;

 private:
  static constexpr std::uint64_t kOne = 1;
  static constexpr std::uint64_t kUntimed = std::uint64_t{1} << 24;
  static constexpr std::uint64_t kCountMask = kUntimed - 1;
  static constexpr std::uint64_t kGeneration = std::uint64_t{1} << 48;
  static constexpr std::uint64_t kGenerationMask = std::uint64_t{0x7fff} << 48;
  static constexpr std::uint64_t kClosed = std::uint64_t{1} << 63;

  static std::uint64_t generation() noexcept {
    return (std::uint64_t{sys::fork_generation()} << 48) & kGenerationMask;
  }

  void enter(std::uint64_t units) noexcept {
    const std::uint64_t before = add_to(use_, units);
    if ((before & kGenerationMask) != generation()) [[unlikely]]
      enter_after_fork(units);
  }
  void enter_after_fork(std::uint64_t units) noexcept;

  /// Adds to a count and returns its previous value. In a single-threaded process one instruction
  /// without a bus lock does it, because the lock would cost more than everything else here. A
  /// signal handler that closes the descriptor still runs either before or after that instruction.
  static std::uint64_t add_to(std::atomic<std::uint64_t>& count, std::uint64_t units) noexcept {
#if defined(__x86_64__) && !defined(PLUG_SANITIZED)
    if (sys::is_single_threaded()) {
      static_assert(sizeof count == sizeof units);
      asm volatile("xaddq %0, %1" : "+r"(units), "+m"(count) : : "cc");
      return units;
    }
#endif
    return count.fetch_add(units);
  }

  void leave(std::uint64_t units) noexcept {
    const std::uint64_t after = add_to(use_, -units) - units;
    if ((after & kClosed) != 0) [[unlikely]]
      leave_closed(after);
  }
  void leave_closed(std::uint64_t use) noexcept;

  /// Guards the list of wakers. Spins, because it is held for a few instructions only. A holder of
  /// another fork generation is a thread of the parent process, which does not exist in this one.
  class ListLock {
   public:
    explicit ListLock(Descriptor& descriptor) noexcept : descriptor_(descriptor) {
      const std::uint32_t generation = sys::fork_generation();
      std::uint32_t seen = 0;
      if (sys::is_single_threaded())
        descriptor_.lock_.store(generation + 1, std::memory_order_relaxed);
      else if (!descriptor_.lock_.compare_exchange_strong(seen, generation + 1)) [[unlikely]]
        spin(seen, generation + 1);
      if (descriptor_.list_generation_ != generation) [[unlikely]]
        begin_afresh(generation);
    }
    ListLock(const ListLock&) = delete;
    ListLock& operator=(const ListLock&) = delete;
    ~ListLock() { descriptor_.lock_.store(0, std::memory_order_release); }

   private:
    void spin(std::uint32_t seen, std::uint32_t mine) noexcept;
    void begin_afresh(std::uint32_t generation) noexcept;

    Descriptor& descriptor_;
  };

  static inline std::atomic<std::uint64_t> identities{0};

  std::atomic<int> fd_;
  const std::uint64_t identity_;
  std::atomic<std::uint8_t> options_{0};
  bool short_read_drains_ = false;
  std::atomic<int> closing_{-1};  // the number, from close() until the last operation ends
  std::atomic<std::uint64_t> use_{0};
  std::atomic<std::uint32_t> lock_{0};  // 0, or the fork generation of the holder + 1
  std::uint32_t list_generation_ = 0;   // wakers of another generation belong to another process
  Waker* wakers_ = nullptr;
  std::atomic<bool> was_unblocked_{false};
  bool blocks_ = false;          // the descriptor's mode without any Unblocked
  std::uint32_t unblocked_ = 0;  // the number of live Unblocked objects; guarded by the lock
};

// Inline, because fibers wait some hundred thousand times a second.

inline bool Descriptor::add(Waker& waker) noexcept {
  const ListLock lock(*this);
  if (closed()) return false;
  waker.next = wakers_;
  if (wakers_ != nullptr) wakers_->previous = &waker;
  wakers_ = &waker;
  return true;
}

inline void Descriptor::remove(Waker& waker) noexcept {
  const ListLock lock(*this);
  if (waker.next != nullptr) waker.next->previous = waker.previous;
  if (waker.previous != nullptr)
    waker.previous->next = waker.next;
  else if (wakers_ == &waker)
    wakers_ = waker.next;
}

}  // namespace plug::detail::wait
