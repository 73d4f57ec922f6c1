#pragma once

// Signals that end a server, taken from the program for a while.

#include <atomic>
#include <csignal>
#include <cstdint>
#include <span>

#include "sys/for_fiber.hpp"
#include "sys/syscalls.hpp"

namespace plug::detail::sys {

/// Takes signals: as long as they are taken a descriptor becomes readable when one comes, to any
/// thread, and nothing else happens, the first two times; after that also what was done before.
/// Several may take the same signal, and each of them is told.
///
/// What was done with the signals before is done again once nobody takes them, unless another part
/// of the program has set something else meanwhile. In a forked child it is done at once.
class TakenSignals {
 public:
  TakenSignals() noexcept = default;
  TakenSignals(const TakenSignals&) = delete;
  TakenSignals& operator=(const TakenSignals&) = delete;
  ~TakenSignals() { give_back(); }

  /// Once. 0 or -errno, and then nothing has been taken: -EINVAL for a number that is no signal's,
  /// or one that cannot be taken.
  Result take(std::span<const int> signals) noexcept;
  /// From any thread. Nothing happens when there is nothing to give back.
  void give_back() noexcept;

  int event() const noexcept { return event_.get(); }
  /// Makes it not readable again.
  void drain() const noexcept { eventfd_drain(event_); }
  /// How many have come.
  std::uint32_t count() const noexcept { return count_.load(); }
  /// The number of the first one; 0 before.
  int first() const noexcept { return first_.load(); }

 private:
  friend struct SignalState;

  OwnFd event_;
  std::atomic<std::uint64_t> set_{0};  // bit n is signal n + 1
  std::atomic<std::uint32_t> count_{0};
  std::atomic<int> first_{0};
  std::atomic<TakenSignals*> next_{nullptr};
  bool listed_ = false;
};

/// In the child that a server has forked for a request: a taken SIGTERM ends the process, and the
/// other taken signals, which a terminal sends to the children too, are left to the parent.
void leave_signals_to_parent() noexcept;

/// What the thread itself raises that accesses or computes what it must not. Where these are
/// blocked they end the process, whatever handler there is.
inline constexpr int kFaults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL};

/// Changes which signals the calling thread lets through, until this dies or is undone, in the same
/// thread.
class PLUG_FOR_FIBER SignalMask {
 public:
  /// None of them, but for faults.
  SignalMask() noexcept;
  /// These too.
  explicit SignalMask(std::span<const int> let_through) noexcept;
  SignalMask(const SignalMask&) = delete;
  SignalMask& operator=(const SignalMask&) = delete;
  ~SignalMask() { undo(); }

  void undo() noexcept;

 private:
  sigset_t before_;
  bool changed_ = true;
};

/// Has a process end by SIGTERM, if it is a child of this one that runs.
void terminate_child(int child) noexcept;
/// Whether a child runs no more; it is not reaped by this.
bool child_has_ended(int child) noexcept;

}  // namespace plug::detail::sys
