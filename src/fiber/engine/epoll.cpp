// The engine on epoll(7). It registers every descriptor once, edge-triggered, and tries each call
// before it waits.

#include <plug/constants.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>
#include <new>
#include <utility>
#include <vector>

#include "fiber/engine/engine_base.hpp"
#include "fiber/engine/fault_injection.hpp"
#include "sys/memory.hpp"
#include "sys/polling.hpp"

namespace plug::detail::fiber {

namespace {

constexpr std::uint32_t bits(short events) noexcept { return static_cast<std::uint16_t>(events); }

constexpr std::uint32_t kEdge = std::uint32_t{1} << 31;
constexpr std::uint32_t kOneShot = std::uint32_t{1} << 30;
constexpr std::uint32_t kFailed = bits(sys::kHangUp | sys::kError);  // reported unasked
constexpr std::uint32_t kEnded = kFailed | bits(sys::kReadHangUp);
constexpr std::uint32_t kReadable = bits(sys::kIn) | kEnded;
// After one of these events a short read does not mean that nothing is left: the end, an error, or
// the data after urgent data, where each read stops, may still come.
constexpr std::uint32_t kStops = kEnded | bits(sys::kPriority);
constexpr std::uint32_t kWatched =
    bits(sys::kIn | sys::kOut | sys::kPriority | sys::kReadNormal | sys::kReadBand |
         sys::kWriteNormal | sys::kWriteBand | sys::kReadHangUp) |
    kEdge;
constexpr std::uint64_t kWakeEvent = ~std::uint64_t{0}, kCheckEvent = kWakeEvent - 1;
/// The time that a fiber waits before the engine checks the fiber's descriptor number.
constexpr std::int64_t kCheckAfter = 500'000'000;  // nanoseconds
constexpr std::size_t kEventsOfTurn = 256;

/// The state of a descriptor number.
///
/// A registration lasts as long as the descriptor that it was made for. After that has been closed,
/// a duplicate may keep the file in the epoll, which then still reports events under this number.
/// Therefore each registration has a generation, and events of an older one are dropped.
struct Slot {
  std::uint64_t owner = 0;  // the descriptor's identity; 0: a bare number
  std::uint32_t generation = 0;
  bool registered = false;
  bool drains = false;  // a short read leaves no data behind
  // Known from the last event and the last call.
  bool readable = true;
  bool stopped = false;  // even if it drains, a short read may have left data behind
  struct PendingWait* waiting = nullptr;
  Arrival* arrival = nullptr;
};

/// Slots by number; no slot ever moves. They are mapped separately: between the allocations of a
/// connection, each slot would keep a page in use that could be freed otherwise.
class Slots {
 public:
  /// Returns null if there is no slot yet.
  Slot* find(int fd) const noexcept {
    const std::size_t block = static_cast<std::size_t>(fd) / kOfBlock;
    return block < blocks_.size() ? blocks_[block].slot(fd) : nullptr;
  }

  /// Makes the slot if there is none. Throws std::bad_alloc.
  Slot& at(int fd) {
    const std::size_t block = static_cast<std::size_t>(fd) / kOfBlock;
    if (block >= blocks_.size()) blocks_.resize(block + 1);
    if (blocks_[block].slot(fd) == nullptr) blocks_[block] = Block::make();
    return *blocks_[block].slot(fd);
  }

  /// Calls each(number, slot) for all slots.
  template <class Each>
  void for_each(Each each) {
    int fd = 0;
    for (const Block& block : blocks_)
      for (const int end = fd + static_cast<int>(kOfBlock); fd < end; ++fd)
        if (Slot* const slot = block.slot(fd)) each(fd, *slot);
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

/// A fiber that waits for some of the `wanted` events of a number, from list() until this is
/// destroyed.
struct PendingWait {
  PendingWait() noexcept = default;
  PendingWait(const PendingWait&) = delete;
  PendingWait& operator=(const PendingWait&) = delete;
  ~PendingWait() {
    if (slot == nullptr) return;
    (previous != nullptr ? previous->next : slot->waiting) = next;
    if (next != nullptr) next->previous = previous;
  }

  void list(Slot& waited, FiberCore& waiting, std::uint32_t events) noexcept {
    slot = &waited;
    fiber = &waiting;
    wanted = events;
    next = waited.waiting;
    if (next != nullptr) next->previous = this;
    waited.waiting = this;
  }

  Slot* slot = nullptr;
  FiberCore* fiber = nullptr;
  bool checked = false;
  std::uint32_t wanted = 0;
  std::uint32_t happened = 0;
  PendingWait* next = nullptr;
  PendingWait* previous = nullptr;
};

/// The registration of a bare number: for one event that `wanted` or a waiting fiber still lacks.
/// 0: none does.
std::uint32_t once(const Slot& slot, std::uint32_t wanted) noexcept {
  for (const PendingWait* waiting = slot.waiting; waiting != nullptr; waiting = waiting->next)
    if (waiting->happened == 0) wanted |= waiting->wanted;
  return wanted == 0 ? 0 : wanted | kEdge | kOneShot;
}

/// Returns the data of a registration: its generation and its number.
std::uint64_t data_of(const Slot& slot, int fd) noexcept {
  return std::uint64_t{slot.generation} << 32 | static_cast<std::uint32_t>(fd);
}

/// Returns true for TCP. Only there does a short read mean that nothing is left: on a Unix socket
/// each read stops after a message that carries descriptors.
bool is_tcp(int fd) noexcept {
  int protocol = 0;
  std::size_t size = sizeof protocol;
  return is_stream(fd) &&
         sys::getsockopt(fd, static_cast<int>(SOL::SOCKET), static_cast<int>(SO::PROTOCOL),
                         &protocol, size) >= 0 &&
         protocol == static_cast<int>(IPPROTO::TCP);
}

/// Returns true if the operation has received less than it asked for.
bool is_short(const wait::Op& op, long result) noexcept {
  const bool moves = op.kind == wait::Op::Kind::receive || op.kind == wait::Op::Kind::receive_batch;
  return moves && result > 0 && static_cast<std::size_t>(result) < op.size;
}

class EpollEngine final : public EngineBase {
 public:
  explicit EpollEngine(FiberScheduler& scheduler) : EngineBase(scheduler), events_(kEventsOfTurn) {}

  /// Makes the descriptors that the engine needs. Returns 0 or -errno.
  long open() noexcept;

  const char* name() const noexcept override { return "epoll"; }
  long move(wait::Descriptor& descriptor, wait::Op::Kind kind, void* data, std::size_t size,
            int flags, Deadline deadline) override;
  long wait_for_any(std::span<sys::PollEntry> entries, Deadline deadline) override;
  long receive_late(wait::Descriptor& descriptor, base::Scratch& scratch, std::size_t size,
                    Deadline deadline) override;
  bool supports_read_events() const noexcept override { return true; }
  long await_arrival(const wait::Descriptor::InFlight& number, Arrival& arrival) override;
  void forget_arrival(const wait::Descriptor::InFlight& number) noexcept override;
  long turn(Deadline deadline) override;
  void wake() noexcept override { sys::eventfd_add(wake_event_); }

 private:
  long watch(Slot& slot, int fd, const wait::Descriptor* owner, std::uint32_t wanted) noexcept;
  void check_soon() noexcept;
  void check_numbers() noexcept;
  /// Returns null if the number is not registered for the descriptor.
  Slot* slot_of(const wait::Descriptor& descriptor, int fd) const noexcept {
    Slot* const slot = slots_.find(fd);
    const bool its = slot != nullptr && slot->registered && slot->owner == descriptor.identity();
    return its ? slot : nullptr;
  }

  long transfer(wait::Descriptor& descriptor, int fd, wait::Op& op, Deadline deadline) override;
  long accept(wait::Descriptor& descriptor, int fd, wait::Op& op, Deadline deadline) override;
  long connect_once(wait::Descriptor& descriptor, int fd, wait::Op& op, Deadline deadline) override;
  long wait_ready(wait::Descriptor& descriptor, Number number, int events, Deadline deadline,
                  wait::Op::Kind kind) override;
  long wait_change(wait::Descriptor& descriptor, int fd, int events, Deadline deadline,
                   wait::Op::Kind kind) override;
  bool tells_of_changes() const noexcept override { return true; }
  long wait_event(wait::Descriptor& descriptor, Number number, std::uint32_t wanted,
                  Deadline deadline, wait::Op::Kind kind);
  long wait_in(Slot& slot, wait::Descriptor& descriptor, std::uint32_t wanted, Deadline deadline,
               wait::Op::Kind kind);
  static void note(Slot& slot, wait::Op::Kind kind, long result, bool is_short) noexcept;
  template <class Try, class IsShort>
  long receive(wait::Descriptor& descriptor, int fd, Deadline deadline, wait::Op::Kind kind,
               Try try_it, IsShort is_short);
  long send(wait::Descriptor& descriptor, int fd, void* data, std::size_t size, Deadline deadline);

  sys::OwnFd epoll_;
  sys::OwnFd wake_event_;
  sys::OwnFd timer_;
  bool checks_ = false;  // the timer is set
  Slots slots_;
  std::vector<sys::RawEpollEvent> events_;
};

long EpollEngine::open() noexcept {
  const long epoll = sys::epoll_create();
  if (epoll < 0) return epoll;
  epoll_ = sys::OwnFd(static_cast<int>(epoll));
  const long event = sys::eventfd();
  if (event < 0) return event;
  wake_event_ = sys::OwnFd(static_cast<int>(event));
  const long timer = sys::timer();
  if (timer < 0) return timer;
  timer_ = sys::OwnFd(static_cast<int>(timer));
  const long added =
      sys::epoll_add(epoll_.get(), timer_.get(), bits(sys::kIn) | kEdge, kCheckEvent);
  if (added < 0) return added;
  return sys::epoll_add(epoll_.get(), wake_event_.get(), bits(sys::kIn), kWakeEvent);
}

// --- numbers ---

/// Registers the number, unless it is registered for this owner already. A bare number may belong
/// to another file by now, which only the system knows: modifying the registration fails in that
/// case, and otherwise makes epoll repeat the events that are ready. A bare number is registered
/// for one event, which one of its waiters wants: when nobody waits any more, the number may be
/// closed, and nothing is left to take back. Returns -EPERM for a file that is always ready.
long EpollEngine::watch(Slot& slot, int fd, const wait::Descriptor* descriptor,
                        std::uint32_t wanted) noexcept {
  const std::uint64_t owner = descriptor == nullptr ? 0 : descriptor->identity();
  if (slot.registered && owner != 0 && slot.owner == owner) return 0;
  if (slot.registered && owner == 0) {
    const std::uint32_t events = slot.owner != 0 ? kWatched : once(slot, wanted);
    if (sys::epoll_modify(epoll_.get(), fd, events, data_of(slot, fd)) >= 0) return 0;
  }
  ++slot.generation;
  const std::uint32_t events = owner != 0 ? kWatched : once(slot, wanted);
  long result = sys::epoll_add(epoll_.get(), fd, events, data_of(slot, fd));
  if (result == -EEXIST) result = sys::epoll_modify(epoll_.get(), fd, events, data_of(slot, fd));
  slot.owner = owner;
  slot.registered = result >= 0;
  slot.drains = descriptor != nullptr && (descriptor->short_read_drains() || is_tcp(fd));
  slot.readable = true;
  slot.stopped = false;
  return result;
}

/// Schedules a check of the registered numbers. dup2() may silently have replaced the file behind a
/// Descriptor's number, so the number is checked once in every long wait.
void EpollEngine::check_soon() noexcept {
  checks_ = true;
  sys::timer_set(timer_.get(), kCheckAfter);
}

void EpollEngine::check_numbers() noexcept {
  checks_ = false;
  slots_.for_each([this](int fd, Slot& slot) {
    if (!slot.registered || slot.owner == 0) return;
    bool unchecked = false;
    for (PendingWait* waiting = slot.waiting; waiting != nullptr; waiting = waiting->next)
      unchecked = !std::exchange(waiting->checked, true) || unchecked;
    if (!unchecked || sys::epoll_modify(epoll_.get(), fd, kWatched, data_of(slot, fd)) >= 0) return;
    // The waiting fibers try again and register the new file.
    slot.registered = false;
    for (PendingWait* waiting = slot.waiting; waiting != nullptr; waiting = waiting->next)
      scheduler_.wake(*waiting->fiber);
  });
}

long EpollEngine::await_arrival(const wait::Descriptor::InFlight& number, Arrival& arrival) {
  if (number.fd() < 0) return -EBADF;
  Slot& slot = slots_.at(number.fd());
  // An earlier waiter may have consumed the edge: registering again makes epoll repeat it.
  slot.registered = false;
  const long watched = watch(slot, number.fd(), &number.descriptor(), kReadable);
  if (watched >= 0) slot.arrival = &arrival;
  return watched;
}

void EpollEngine::forget_arrival(const wait::Descriptor::InFlight& number) noexcept {
  Slot* const slot = slots_.find(number.fd());
  if (slot != nullptr && slot->owner == number.descriptor().identity()) slot->arrival = nullptr;
}

long EpollEngine::turn(Deadline deadline) {
  if (Faults* const source = current_faults()) [[unlikely]]
    if (const long fault = source->turn(); fault < 0) return fault;
  const long count = sys::epoll_wait(epoll_.get(), events_.data(), static_cast<int>(events_.size()),
                                     base::remaining(deadline));
  if (count < 0) return count;
  // The PendingWait objects are on stacks that have not been touched for long: prefetch them.
  for (long i = 0; i < count; ++i) {
    const std::uint64_t data = events_[static_cast<std::size_t>(i)].data;
    const Slot* const slot = slots_.find(static_cast<int>(static_cast<std::uint32_t>(data)));
    if (slot != nullptr) __builtin_prefetch(slot->waiting);
  }
  for (long i = 0; i < count; ++i) {
    const sys::RawEpollEvent event = events_[static_cast<std::size_t>(i)];
    if (event.data == kWakeEvent) {
      sys::eventfd_drain(wake_event_);
      continue;
    }
    if (event.data == kCheckEvent) {
      check_numbers();
      continue;
    }
    const auto fd = static_cast<int>(static_cast<std::uint32_t>(event.data));
    Slot& slot = *slots_.find(fd);
    if (slot.generation != event.data >> 32) continue;
    if ((event.events & kReadable) != 0) slot.readable = true;
    if ((event.events & kStops) != 0) slot.stopped = true;
    if (slot.arrival != nullptr && (event.events & kReadable) != 0)
      std::exchange(slot.arrival, nullptr)->arrived();
    for (PendingWait* waiting = slot.waiting; waiting != nullptr; waiting = waiting->next) {
      const std::uint32_t happened = event.events & waiting->wanted;
      if (happened == 0) continue;
      waiting->happened = happened;
      scheduler_.wake(*waiting->fiber);
    }
    // The registration of a bare number has ended with this event. Other fibers may still wait.
    const std::uint32_t events = slot.owner == 0 ? once(slot, 0) : 0;
    if (events != 0) sys::epoll_modify(epoll_.get(), fd, events, data_of(slot, fd));
  }
  return 0;
}

// --- operations ---

/// Waits for `wanted` events on a number that was not ready just now. Returns the events, or 0 if
/// the caller is to try again.
long EpollEngine::wait_event(wait::Descriptor& descriptor, Number number, std::uint32_t wanted,
                             Deadline deadline, wait::Op::Kind kind) {
  Slot& slot = slots_.at(number.fd);
  const long watched = watch(slot, number.fd, number.own ? &descriptor : nullptr, wanted);
  if (watched < 0) return watched;
  return wait_in(slot, descriptor, wanted, deadline, kind);
}

/// Does the same for a number that is registered for its descriptor.
long EpollEngine::wait_in(Slot& slot, wait::Descriptor& descriptor, std::uint32_t wanted,
                          Deadline deadline, wait::Op::Kind kind) {
  if (!checks_) [[unlikely]]
    check_soon();
  PendingWait waiting;
  waiting.list(slot, scheduler_.current(), wanted);
  const long waited = park(descriptor, deadline, kind);
  return waited < 0 ? waited : waiting.happened;
}

long EpollEngine::wait_ready(wait::Descriptor& descriptor, Number number, int events,
                             Deadline deadline, wait::Op::Kind kind) {
  sys::PollEntry entry{number.fd, static_cast<short>(events), 0};
  for (;;) {
    const long ready = poll_now({&entry, 1});
    if (ready < 0 && ready != -EINTR) return ready;
    if (ready > 0) return entry.revents;
    const long happened =
        wait_event(descriptor, number, bits(entry.events) | kFailed, deadline, kind);
    if (happened != 0) return happened;
  }
}

long EpollEngine::wait_change(wait::Descriptor& descriptor, int fd, int events, Deadline deadline,
                              wait::Op::Kind kind) {
  return wait_event(descriptor, {fd, true}, static_cast<std::uint32_t>(events) | kFailed, deadline,
                    kind);
}

/// Records whether a receive has left data behind.
void EpollEngine::note(Slot& slot, wait::Op::Kind kind, long result, bool is_short) noexcept {
  if (result == -EAGAIN || (is_short && !slot.stopped && (slot.drains || is_batch(kind))))
    slot.readable = false;
}

/// Receives once there is data. `try_it` makes the system call; `is_short` returns true if a result
/// is less than was asked for. Inline in each caller: a receive of 64 bytes took 31 instructions
/// more as a call.
template <class Try, class IsShort>
[[gnu::always_inline]] inline long EpollEngine::receive(wait::Descriptor& descriptor, int fd,
                                                        Deadline deadline, wait::Op::Kind kind,
                                                        Try try_it, IsShort is_short) {
  for (bool has_waited = false;; has_waited = true) {
    Slot* const slot = slot_of(descriptor, fd);
    if (slot == nullptr || slot->readable) {
      const long result = try_it();
      if (slot != nullptr) note(*slot, kind, result, is_short(result));
      if (result == -EINTR) continue;
      if (result != -EAGAIN) return result;
      // The events may not concern this call, again and again.
      if (has_waited && base::remaining(deadline) == 0) return base::kTimedOut;
    }
    const long waited = slot != nullptr
                            ? wait_in(*slot, descriptor, kReadable, deadline, kind)
                            : wait_event(descriptor, {fd, true}, kReadable, deadline, kind);
    if (waited < 0) return waited;
  }
}

long EpollEngine::transfer(wait::Descriptor& descriptor, int fd, wait::Op& op, Deadline deadline) {
  if (receives(op.kind))
    return receive(
        descriptor, fd, deadline, op.kind, [&] { return try_once(descriptor, fd, op); },
        [&](long result) { return is_short(op, result); });
  return try_until_done(descriptor, fd, op, deadline);
}

long EpollEngine::move(wait::Descriptor& descriptor, wait::Op::Kind kind, void* data,
                       std::size_t size, int flags, Deadline deadline) {
  if (!is_plain(descriptor, flags, deadline)) [[unlikely]]
    return wait::IoDriver::move(descriptor, kind, data, size, flags, deadline);
  const wait::Descriptor::InFlight in_flight(descriptor, false);
  const int fd = in_flight.fd();
  if (fd < 0) return -EBADF;
  if (kind == wait::Op::Kind::send) return ended(send(descriptor, fd, data, size, deadline));
  return ended(receive(
      descriptor, fd, deadline, kind, [=] { return sys::recv_now(fd, data, size); },
      [=](long got) { return got > 0 && static_cast<std::size_t>(got) < size; }));
}

long EpollEngine::receive_late(wait::Descriptor& descriptor, base::Scratch& scratch,
                               std::size_t size, Deadline deadline) {
  if (!is_plain(descriptor, 0, deadline)) [[unlikely]]
    return wait::IoDriver::receive_late(descriptor, scratch, size, deadline);
  const wait::Descriptor::InFlight in_flight(descriptor, false);
  const int fd = in_flight.fd();
  if (fd < 0) return -EBADF;
  const auto try_it = [&] {
    const long got = sys::recv_now(fd, scratch.take(size), size);
    if (got < 0) scratch.give_back();
    return got;
  };
  return ended(receive(descriptor, fd, deadline, wait::Op::Kind::receive, try_it,
                       [=](long got) { return got > 0 && static_cast<std::size_t>(got) < size; }));
}

long EpollEngine::send(wait::Descriptor& descriptor, int fd, void* data, std::size_t size,
                       Deadline deadline) {
  const long sent = sys::send_now(fd, data, size);
  if (sent == static_cast<long>(size)) [[likely]]
    return sent;
  if (sent < 0 && sent != -EAGAIN && sent != -EINTR) return sent;
  wait::Op op{.kind = wait::Op::Kind::send, .data = data, .size = size};
  if (deadline.is_none()) return move_whole(descriptor, fd, op, std::max(sent, 0L));
  return sent > 0 ? sent : transfer(descriptor, fd, op, deadline);
}

long EpollEngine::accept(wait::Descriptor& descriptor, int fd, wait::Op& op, Deadline deadline) {
  return try_until_done(descriptor, fd, op, deadline);
}

long EpollEngine::connect_once(wait::Descriptor& descriptor, int fd, wait::Op& op,
                               Deadline /*deadline*/) {
  return try_once(descriptor, fd, op);
}

long EpollEngine::wait_for_any(std::span<sys::PollEntry> entries, Deadline deadline) {
  FiberCore& fiber = scheduler_.current();
  for (;;) {
    const long ready = poll_now(entries);
    if (ready != 0 && ready != -EINTR) return ready;
    if (base::remaining(deadline) == 0) return 0;

    std::array<PendingWait, 8> few;
    std::vector<PendingWait> many(entries.size() > few.size() ? entries.size() : 0);
    const std::span<PendingWait> waiting =
        many.empty() ? std::span<PendingWait>(few) : std::span<PendingWait>(many);
    for (std::size_t i = 0; i < entries.size(); ++i) {
      const int fd = entries[i].fd;
      if (fd < 0) continue;
      Slot& slot = slots_.at(fd);
      const std::uint32_t wanted = bits(entries[i].events) | kFailed;
      const long watched = watch(slot, fd, nullptr, wanted);
      // A regular file, whose readiness never changes.
      if (watched == -EPERM) continue;
      if (watched < 0) return watched;
      waiting[i].list(slot, fiber, wanted);
    }
    const FiberScheduler::WakeReason woken = scheduler_.park(deadline, "select");
    if (woken == FiberScheduler::WakeReason::cancel) return base::kCancelled;
    if (scheduler_.take_interrupt())
      if (const long stop = scheduler_.ask_hook(); stop != 0) return stop;
    long count = 0;
    for (std::size_t i = 0; i < entries.size(); ++i) {
      entries[i].revents = static_cast<short>(waiting[i].happened);
      if (waiting[i].happened != 0) ++count;
    }
    if (count > 0) return count;
  }
}

}  // namespace

std::unique_ptr<IoEngine> make_epoll_engine(FiberScheduler& scheduler) {
  auto engine = std::make_unique<EpollEngine>(scheduler);
  if (const long opened = engine->open(); opened < 0) throw_engine_error(opened);
  return engine;
}

}  // namespace plug::detail::fiber
