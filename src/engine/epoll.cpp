// The engine on epoll(7): every descriptor is registered once, edge-triggered, and calls are tried
// before they are waited for.

#include <plug/constants.hpp>
#include <plug/error.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <deque>
#include <memory>
#include <new>
#include <utility>
#include <vector>

#include "engine/engine.hpp"
#include "fiber/scheduler.hpp"
#include "socket_calls.hpp"
#include "sys/memory.hpp"
#include "sys/polling.hpp"

namespace plug::detail {

namespace {

constexpr std::uint32_t kReadHangUp = 0x2000, kEdge = std::uint32_t{1} << 31;
constexpr std::uint32_t kEnded =
    kReadHangUp | std::uint32_t{sys::kHangUp} | std::uint32_t{sys::kError};
constexpr std::uint32_t kWatched = std::uint32_t{sys::kIn} | std::uint32_t{sys::kOut} |
                                   std::uint32_t{sys::kPriority} | kReadHangUp | kEdge;
constexpr std::uint64_t kWakeEvent = ~std::uint64_t{0};
constexpr std::size_t kEventsOfTurn = 256;

/// What is known of a descriptor number.
///
/// A registration lasts as long as the descriptor that it was made for. When that closes, a
/// duplicate may keep it in the epoll, which then goes on to report what happens there under this
/// number: each registration has a generation of its own, and events of an older one are dropped.
struct Slot {
  std::uint64_t owner = 0;  // the descriptor's identity; 0: a bare number
  std::uint32_t generation = 0;
  bool registered = false;
  bool stream = false;  // a short read empties it
  // What the last event and the last call have left behind.
  bool readable = true;
  bool ended = false;  // by the peer, or by an error: a short read says nothing of what comes next
  struct Waiting* waiting = nullptr;
};

/// Slots by number, each of which stays where it is. They have memory of their own: among what is
/// made for a connection, each would keep a page that is free otherwise.
class Slots {
 public:
  /// Null where there has not been one.
  Slot* find(int fd) const noexcept {
    const std::size_t block = static_cast<std::size_t>(fd) / kOfBlock;
    return block < blocks_.size() ? blocks_[block].slot(fd) : nullptr;
  }

  /// Throws std::bad_alloc.
  Slot& at(int fd) {
    const std::size_t block = static_cast<std::size_t>(fd) / kOfBlock;
    if (block >= blocks_.size()) blocks_.resize(block + 1);
    if (blocks_[block].slot(fd) == nullptr) blocks_[block] = Block::make();
    return *blocks_[block].slot(fd);
  }

 private:
  static constexpr std::size_t kOfBlock = 512;

  class Block {
   public:
    Block() = default;
    Block(Block&& other) noexcept : slots_(std::exchange(other.slots_, nullptr)) {}
    Block& operator=(Block&& other) noexcept {
      std::swap(slots_, other.slots_);
      return *this;
    }
    ~Block() {
      if (slots_ != nullptr) sys::unmap(slots_, kSize);
    }
    static Block make() {
      void* memory = nullptr;
      if (sys::map(kSize, memory) < 0) throw std::bad_alloc();
      Block made;
      made.slots_ = static_cast<Slot*>(memory);
      std::uninitialized_default_construct_n(made.slots_, kOfBlock);
      return made;
    }
    Slot* slot(int fd) const noexcept {
      return slots_ == nullptr ? nullptr : slots_ + static_cast<std::size_t>(fd) % kOfBlock;
    }

   private:
    static constexpr std::size_t kSize = kOfBlock * sizeof(Slot);
    Slot* slots_ = nullptr;
  };

  std::vector<Block> blocks_;
};

/// A fiber that waits for one of `events` on a number, for as long as this lives.
struct Waiting {
  Waiting(Slot& waited, FiberCore& waiting, std::uint32_t wanted) noexcept
      : slot(waited), fiber(waiting), events(wanted), next(waited.waiting) {
    if (next != nullptr) next->previous = this;
    slot.waiting = this;
  }
  Waiting(const Waiting&) = delete;
  Waiting& operator=(const Waiting&) = delete;
  ~Waiting() {
    (previous != nullptr ? previous->next : slot.waiting) = next;
    if (next != nullptr) next->previous = previous;
  }

  Slot& slot;
  FiberCore& fiber;
  const std::uint32_t events;
  Waiting* next;
  Waiting* previous = nullptr;
};

/// Has the closing of a descriptor wake a fiber, for as long as this lives.
class WokenByClosing {
 public:
  WokenByClosing(Descriptor& descriptor, FiberCore& fiber) noexcept
      : descriptor_(descriptor),
        waker_{[](void* woken) noexcept {
                 auto& it = *static_cast<FiberCore*>(woken);
                 it.owner->wake(it);
               },
               &fiber},
        listed_(descriptor.add(waker_)) {}
  WokenByClosing(const WokenByClosing&) = delete;
  WokenByClosing& operator=(const WokenByClosing&) = delete;
  ~WokenByClosing() {
    if (listed_) descriptor_.remove(waker_);
  }

 private:
  Descriptor& descriptor_;
  Waker waker_;
  bool listed_;
};

bool is_stream(int fd) noexcept {
  int type = 0;
  std::size_t size = sizeof type;
  return sys::getsockopt(fd, static_cast<int>(SOL::SOCKET), static_cast<int>(SO::TYPE), &type,
                         size) >= 0 &&
         type == static_cast<int>(SOCK::STREAM);
}

const char* name_of(Op::Kind kind) noexcept {
  constexpr std::array kNames{"recv",     "recvfrom", "recvmsg", "send",    "sendto", "sendmsg",
                              "sendfile", "sendfile", "accept",  "connect", "ready"};
  return kNames[static_cast<std::size_t>(kind)];
}

/// Whether less than was asked for means that there is no more for now.
bool empties(const Op& op, long result) noexcept {
  constexpr int kPeek = 0x2;
  return op.kind == Op::Kind::receive && (op.flags & kPeek) == 0 && result > 0 &&
         static_cast<std::size_t>(result) < op.size;
}

bool receives(Op::Kind kind) noexcept {
  return kind == Op::Kind::receive || kind == Op::Kind::receive_from ||
         kind == Op::Kind::receive_message;
}

/// Those of epoll's events of which one is among poll's `events`, or is always told.
std::uint32_t wanted(int events) noexcept {
  std::uint32_t all = kEnded;
  if ((events & (sys::kIn | sys::kPriority | sys::kReadNormal | sys::kReadBand)) != 0)
    all |= std::uint32_t{sys::kIn} | std::uint32_t{sys::kPriority};
  if ((events & (sys::kOut | sys::kWriteNormal | sys::kWriteBand)) != 0)
    all |= std::uint32_t{sys::kOut};
  return all;
}

/// What an operation that has been tried waits for.
int awaited(const Op& op) noexcept {
  if (op.kind == Op::Kind::ready) return op.flags;
  return receives(op.kind) || op.kind == Op::Kind::accept ? sys::kIn : sys::kOut;
}

/// Whether its call takes MSG_DONTWAIT.
bool has_flags(Op::Kind kind) noexcept { return kind <= Op::Kind::send_message; }

/// Puts a descriptor into non-blocking mode for as long as this lives, for calls that have no flag
/// for it.
class WithoutBlocking {
 public:
  explicit WithoutBlocking(int fd) noexcept : fd_(fd), blocks_(sys::get_nonblocking(fd) == 0) {
    if (blocks_) sys::set_nonblocking(fd, true);
  }
  WithoutBlocking(const WithoutBlocking&) = delete;
  WithoutBlocking& operator=(const WithoutBlocking&) = delete;
  ~WithoutBlocking() {
    if (blocks_) sys::set_nonblocking(fd_, false);
  }

 private:
  int fd_;
  bool blocks_;
};

/// attempt(), which must not wait whatever the descriptor's mode is.
long try_once(int fd, Op& op) noexcept {
  if (has_flags(op.kind) || (op.kind == Op::Kind::accept && (op.flags & sys::kDontWait) != 0))
    return attempt(fd, op);
  const WithoutBlocking mode(fd);
  return attempt(fd, op);
}

class EpollEngine final : public Engine {
 public:
  explicit EpollEngine(Scheduler& scheduler);

  const char* name() const noexcept override { return "epoll"; }
  long perform(Descriptor& descriptor, Op& op, Deadline deadline) override;
  long wait_any(std::span<sys::PollEntry> entries, Deadline deadline) override;
  long turn(Deadline deadline) override;
  void wake() noexcept override { sys::eventfd_add(wake_event_.get()); }

 private:
  long watch(Slot& slot, int fd, std::uint64_t owner) noexcept;
  void unwatch(Slot& slot, int fd) noexcept;

  long transfer(Descriptor& descriptor, int fd, Op& op, Deadline deadline);
  long accept(Descriptor& descriptor, int fd, Op& op, Deadline deadline);
  long connect(Descriptor& descriptor, int fd, Op& op, Deadline deadline);
  long wait_event(Descriptor& descriptor, int fd, int events, Deadline deadline, const Op& op);
  long wait_ready(Descriptor& descriptor, int fd, int events, Deadline deadline, const Op& op);
  long wait_a_while(Descriptor& descriptor, Deadline deadline, std::int64_t& pause);

  Scheduler& scheduler_;
  const sys::OwnFd epoll_;
  const sys::OwnFd wake_event_;
  Slots slots_;
  std::vector<sys::EpollEvent> events_;
};

sys::OwnFd made_or_throw(sys::Result made) {
  if (made < 0) throw_if(error_from(made), "the engine of fibers");
  return sys::OwnFd(static_cast<int>(made));
}

EpollEngine::EpollEngine(Scheduler& scheduler)
    : scheduler_(scheduler),
      epoll_(made_or_throw(sys::epoll_create())),
      wake_event_(made_or_throw(sys::eventfd())),
      events_(kEventsOfTurn) {
  const long added =
      sys::epoll_add(epoll_.get(), wake_event_.get(), std::uint32_t{sys::kIn}, kWakeEvent);
  if (added < 0) throw_if(error_from(added), "the engine of fibers");
}

// --- numbers ---

/// Registers the number, unless it has been for this owner. -EPERM for what is always ready.
long EpollEngine::watch(Slot& slot, int fd, std::uint64_t owner) noexcept {
  if (slot.registered && owner != 0 && slot.owner == owner) return 0;
  const std::uint32_t generation = slot.generation + 1;
  const std::uint64_t data = std::uint64_t{generation} << 32 | static_cast<std::uint32_t>(fd);
  long result = sys::epoll_add(epoll_.get(), fd, kWatched, data);
  if (result == -EEXIST) {
    // The very file is registered under this number already: a bare number shares that.
    if (owner == 0) return 0;
    result = sys::epoll_modify(epoll_.get(), fd, kWatched, data);
  }
  slot.generation = generation;
  slot.owner = owner;
  slot.registered = result >= 0;
  slot.stream = owner != 0 && is_stream(fd);
  slot.readable = true;
  slot.ended = false;
  return result;
}

/// After a wait on a bare number, which may be another file's by the next time.
void EpollEngine::unwatch(Slot& slot, int fd) noexcept {
  if (slot.owner != 0 || slot.waiting != nullptr || !slot.registered) return;
  sys::epoll_remove(epoll_.get(), fd);
  slot.registered = false;
}

long EpollEngine::turn(Deadline deadline) {
  const long count = sys::epoll_wait(epoll_.get(), events_.data(), static_cast<int>(events_.size()),
                                     deadline.remaining());
  if (count < 0) return count;
  for (long i = 0; i < count; ++i) {
    const sys::EpollEvent event = events_[static_cast<std::size_t>(i)];
    if (event.data == kWakeEvent) {
      sys::eventfd_drain(wake_event_.get());
      continue;
    }
    Slot& slot = *slots_.find(static_cast<int>(static_cast<std::uint32_t>(event.data)));
    if (slot.generation != event.data >> 32) continue;
    if ((event.events & (std::uint32_t{sys::kIn} | kEnded)) != 0) slot.readable = true;
    if ((event.events & kEnded) != 0) slot.ended = true;
    for (Waiting* waiting = slot.waiting; waiting != nullptr; waiting = waiting->next)
      if ((event.events & waiting->events) != 0) scheduler_.wake(waiting->fiber);
  }
  return 0;
}

// --- operations ---

/// Waits until something may have happened to a number that has just been found not ready, or
/// until the descriptor closes. The number is the descriptor's own, or the file of the operation.
long EpollEngine::wait_event(Descriptor& descriptor, int fd, int events, Deadline deadline,
                             const Op& op) {
  Slot& slot = slots_.at(fd);
  if (const long watched = watch(slot, fd, fd == op.file ? 0 : descriptor.identity()); watched < 0)
    return watched;
  FiberCore& fiber = scheduler_.current();
  Scheduler::Woken woken{};
  {
    const WokenByClosing closing(descriptor, fiber);
    if (descriptor.closed()) return -EBADF;
    const Waiting waiting(slot, fiber, wanted(events));
    woken = scheduler_.park(deadline, name_of(op.kind));
  }
  unwatch(slot, fd);
  // First, since a fiber is told only once.
  if (woken == Scheduler::Woken::by_cancel) return kCancelled;
  if (descriptor.closed()) return -EBADF;
  if (scheduler_.take_interrupt())
    if (const long stop = interrupted(); stop != 0) return stop;
  return woken == Scheduler::Woken::by_the_clock ? kTimedOut : 0;
}

/// The ready ones of `events`.
long EpollEngine::wait_ready(Descriptor& descriptor, int fd, int events, Deadline deadline,
                             const Op& op) {
  for (;;) {
    sys::PollEntry entry{fd, static_cast<short>(events), 0};
    const long ready = sys::poll(&entry, 1, 0);
    if (ready < 0 && ready != -EINTR) return ready;
    if (ready > 0) return entry.revents;
    if (deadline.is_immediate()) return kTimedOut;
    const long waited = wait_event(descriptor, fd, events, deadline, op);
    if (waited < 0) return waited;
  }
}

long EpollEngine::transfer(Descriptor& descriptor, int fd, Op& op, Deadline deadline) {
  // With a time-out it is waited for all the same, as in Python.
  if (deadline.is_none() && has_flags(op.kind) && (op.flags & sys::kDontWait) != 0)
    deadline = Deadline::immediate();
  op.flags |= sys::kDontWait;
  const bool receive = receives(op.kind);
  for (;;) {
    Slot* const slot = receive ? slots_.find(fd) : nullptr;
    const bool known = slot != nullptr && slot->registered && slot->owner == descriptor.identity();
    if (!known || slot->readable || slot->ended || deadline.is_immediate()) {
      const long result = try_once(fd, op);
      if (known && !slot->ended && (result == -EAGAIN || (slot->stream && empties(op, result))))
        slot->readable = false;
      if (result == -EINTR) continue;
      if (result != -EAGAIN) return result;
    }
    // It may be the pipe that would have to be waited for.
    if (deadline.is_immediate() || op.kind == Op::Kind::send_pipe) return -EAGAIN;
    const long waited = wait_event(descriptor, fd, awaited(op), deadline, op);
    if (waited < 0) return waited;
  }
}

long EpollEngine::accept(Descriptor& descriptor, int fd, Op& op, Deadline deadline) {
  for (;;) {
    const long result = try_once(fd, op);
    if (result == -EINTR) continue;
    if (result != -EAGAIN || deadline.is_immediate()) return result;
    const long waited = wait_event(descriptor, fd, awaited(op), deadline, op);
    if (waited < 0) return waited;
  }
}

/// For what nothing tells the end of. Each time twice as long, from `pause` on.
long EpollEngine::wait_a_while(Descriptor& descriptor, Deadline deadline, std::int64_t& pause) {
  constexpr std::int64_t kLongest = 50'000'000;  // nanoseconds
  const Deadline look_again = std::min(deadline, Deadline::after(pause));
  pause = std::min(2 * pause, kLongest);
  Scheduler::Woken woken{};
  {
    const WokenByClosing closing(descriptor, scheduler_.current());
    if (descriptor.closed()) return -EBADF;
    woken = scheduler_.park(look_again, name_of(Op::Kind::connect));
  }
  if (woken == Scheduler::Woken::by_cancel) return kCancelled;
  if (descriptor.closed()) return -EBADF;
  if (scheduler_.take_interrupt())
    if (const long stop = interrupted(); stop != 0) return stop;
  return deadline.remaining() == 0 ? kTimedOut : 0;
}

long EpollEngine::connect(Descriptor& descriptor, int fd, Op& op, Deadline deadline) {
  for (std::int64_t pause = 100'000;;) {
    const long result = try_once(fd, op);
    if (result == -EINTR) continue;
    if (deadline.is_immediate()) return result;
    if (result == -EAGAIN) {
      // The listener of a Unix socket has no room, and nothing tells when it has.
      if (const long waited = wait_a_while(descriptor, deadline, pause); waited < 0) return waited;
      continue;
    }
    if (result != -EINPROGRESS) return result;
    const long ready = wait_ready(descriptor, fd, sys::kOut, deadline, op);
    if (ready < 0) return ready;
    // Without a time-out it ends as the system's own connect() does, after which the socket knows
    // that it is connected; with one as in Python, where the next connect() finds that out.
    if (deadline.is_none()) return try_once(fd, op);
    int error = 0;
    const long got = sys::socket_error(fd, error);
    return got < 0 ? got : -static_cast<long>(error);
  }
}

long EpollEngine::perform(Descriptor& descriptor, Op& op, Deadline deadline) {
  const Descriptor::InFlight in_flight(descriptor, false);
  const int fd = in_flight.fd();
  if (fd < 0) return -EBADF;
  switch (op.kind) {
    case Op::Kind::ready:
      return wait_ready(descriptor, op.file < 0 ? fd : op.file, op.flags, deadline, op);
    case Op::Kind::accept:
      return accept(descriptor, fd, op, deadline);
    case Op::Kind::connect:
      return connect(descriptor, fd, op, deadline);
    default:
      return transfer(descriptor, fd, op, deadline);
  }
}

long EpollEngine::wait_any(std::span<sys::PollEntry> entries, Deadline deadline) {
  FiberCore& fiber = scheduler_.current();
  for (;;) {
    const long ready = sys::poll(entries.data(), entries.size(), 0);
    if (ready != 0 && ready != -EINTR) return ready;
    if (deadline.is_immediate() || deadline.remaining() == 0) return 0;
    long failed = 0;
    Scheduler::Woken woken{};
    {
      std::deque<Waiting> waiting;
      for (const sys::PollEntry& entry : entries) {
        if (entry.fd < 0 || failed < 0) continue;
        Slot& slot = slots_.at(entry.fd);
        const long watched = watch(slot, entry.fd, 0);
        // A regular file: nothing ever happens to it that has not happened yet.
        if (watched == -EPERM) continue;
        failed = std::min(watched, 0L);
        waiting.emplace_back(slot, fiber, wanted(entry.events));
      }
      if (failed == 0) woken = scheduler_.park(deadline, "select");
    }
    for (const sys::PollEntry& entry : entries)
      if (entry.fd >= 0) unwatch(slots_.at(entry.fd), entry.fd);
    if (failed < 0) return failed;
    if (woken == Scheduler::Woken::by_cancel) return kCancelled;
    if (scheduler_.take_interrupt())
      if (const long stop = interrupted(); stop != 0) return stop;
  }
}

}  // namespace

std::unique_ptr<Engine> make_epoll_engine(Scheduler& scheduler) {
  return std::make_unique<EpollEngine>(scheduler);
}

}  // namespace plug::detail
