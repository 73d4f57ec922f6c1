#pragma once

// Takes the signals that end a server away from the program for a while.

#include <atomic>
#include <csignal>
#include <cstdint>
#include <span>

#include "sys/for_fiber.hpp"
#include "sys/syscalls.hpp"

namespace plug::detail::sys {

/// Takes signals. While they are taken, a descriptor becomes readable when one arrives in any
/// thread. Nothing else happens for the first two signals; the third restores the previous action
/// and raises the signal again. Several objects may take the same signal, and each of them is told.
///
/// The previous actions are restored once nobody takes the signals, unless another part of the
/// program has changed them meanwhile. In a forked child they apply at once.
class TakenSignals {
 public:
  TakenSignals() noexcept = default;
  TakenSignals(const TakenSignals&) = delete;
  TakenSignals& operator=(const TakenSignals&) = delete;
  ~TakenSignals() { give_back(); }

  /// May be called once. Returns 0; or -errno, with nothing taken: -EINVAL if a number is not that
  /// of a signal that can be taken.
  Result take(std::span<const int> signals) noexcept;
  /// Gives the signals back, if any are taken. May be called from any thread.
  void give_back() noexcept;

  int event() const noexcept { return event_.get(); }
  /// Makes the descriptor unreadable again.
  void drain() const noexcept { eventfd_drain(event_); }
  /// Returns the number of signals that have arrived.
  std::uint32_t count() const noexcept { return count_.load(); }
  /// Returns the first signal that arrived; 0 before that.
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

/// For the child that a server has forked for a request: a taken SIGTERM ends the process. The
/// other taken signals are ignored, because a terminal sends them to the parent too.
void leave_signals_to_parent() noexcept;

/// The signals that a thread raises by an invalid access or computation. If they are blocked they
/// end the process, even if a handler is installed.
inline constexpr int kFaults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL};

/// Changes the signal mask of the calling thread until undo() or destruction, on the same thread.
class PLUG_FOR_FIBER SignalMask {
 public:
  /// Blocks all signals except faults.
  SignalMask() noexcept;
  /// Unblocks these signals.
  explicit SignalMask(std::span<const int> let_through) noexcept;
  SignalMask(const SignalMask&) = delete;
  SignalMask& operator=(const SignalMask&) = delete;
  ~SignalMask() { undo(); }

  void undo() noexcept;

 private:
  sigset_t before_;
  bool changed_ = true;
};

/// Sends SIGTERM to a process if it is a running child of this one.
void terminate_child(int child) noexcept;
/// Returns true if a child has ended. Does not reap it.
bool child_has_ended(int child) noexcept;

}  // namespace plug::detail::sys
