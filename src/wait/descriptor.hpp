#pragma once

// A descriptor that several threads use and any of them may close.
//
// Every operation holds an InFlight while it uses the number. close() marks the descriptor closed,
// wakes who waits, and the last InFlight to go gives the number back to the system: no operation
// can run on a number that has been reused.
//
// All counts are one atomic word:
//   bits 0..23   operations in flight
//   bits 24..47  those of them that sit in an untimed system call, which only a shutdown can wake
//   bits 48..62  the fork generation that counted: in a forked child the counts are another
//   process's bit 63       closed

#include <atomic>
#include <cstdint>

#include "sys/for_fiber.hpp"
#include "sys/syscalls.hpp"

namespace plug::detail {

/// Who waits and how to wake it: what close() calls, once at most, from the closing thread. The
/// function must not block, nor call back into the Descriptor.
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

  /// The number; -1 once closed or detached.
  int fd() const noexcept { return fd_.load(std::memory_order_relaxed); }

  /// Closes: 0, or -errno of close(2). With operations in flight these are woken, the last of them
  /// closes, and the result is 0. Nothing happens when closed already.
  long close() noexcept;

  /// Forgets the number and returns it. Operations in flight go on.
  int detach() noexcept { return fd_.exchange(-1); }

  /// Tells it from every other descriptor that this process has had; above zero.
  std::uint64_t identity() const noexcept { return identity_; }

  /// Why its calls take a longer path: a layer, or an option that changes how long the system
  /// waits, and that the system ignores for a call with MSG_DONTWAIT.
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
  /// For another descriptor of the same socket, or of one that has its options from it.
  void heed_as(const Descriptor& other) noexcept {
    for (const Option option : {kTimed, kLowWater})
      if (other.heeds(option)) heed(option);
  }

  /// Whether it is known to be TCP, without asking the system. Told before it is used.
  bool known_tcp() const noexcept { return known_tcp_; }
  void set_known_tcp() noexcept { known_tcp_ = true; }

  /// Whether close() has begun.
  bool closed() const noexcept { return (use_.load() & kClosed) != 0; }

  /// Holds the number for the length of one operation.
  class InFlight {
   public:
    /// `untimed`: the operation may sit in a system call that nothing but a shutdown ends.
    InFlight(Descriptor& descriptor, bool untimed) noexcept
        : descriptor_(descriptor), units_(untimed ? kOne + kUntimed : kOne) {
      descriptor_.enter(units_);
      fd_ = descriptor_.fd();
    }
    InFlight(const InFlight&) = delete;
    InFlight& operator=(const InFlight&) = delete;
    ~InFlight() { descriptor_.leave(units_); }

    /// -1 when the descriptor is closed.
    int fd() const noexcept { return fd_; }
    Descriptor& descriptor() const noexcept { return descriptor_; }

    /// Counts the operation as untimed from now on, where it cannot be woken otherwise.
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
  /// that. Several may at once; the last gives it back its mode.
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

  /// Whether there has been an Unblocked: a call of another thread that would have waited may have
  /// given EAGAIN for that alone.
  bool was_unblocked() const noexcept { return was_unblocked_.load(std::memory_order_relaxed); }

  /// Has `waker` called when the descriptor closes. False, and nothing to remove, when it is
  /// closed.
  bool add(Waker& waker) noexcept;
  /// After this the waker is not called any more; its `woken` tells whether it was.
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

  /// Adds to a count, and gives what was there before. Where there is one thread the processor need
  /// not keep others away, which costs more than all else here: one instruction does it, so that a
  /// signal handler that closes the descriptor comes before or after.
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

  /// Guards the list of wakers. It is held for a few instructions only, so it spins. A holder of
  /// another generation is a thread of the parent process that does not exist here.
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
  bool known_tcp_ = false;
  std::atomic<int> closing_{-1};  // the number, between close() and the last operation's end
  std::atomic<std::uint64_t> use_{0};
  std::atomic<std::uint32_t> lock_{0};  // 0, or the generation of its holder + 1
  std::uint32_t list_generation_ = 0;   // wakers of another generation belong to another process
  Waker* wakers_ = nullptr;
  std::atomic<bool> was_unblocked_{false};
  bool blocks_ = false;          // when nobody keeps it from that
  std::uint32_t unblocked_ = 0;  // how many Unblocked there are; guarded by the lock
};

// Inline, since fibers wait some hundred thousand times a second.

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

}  // namespace plug::detail
