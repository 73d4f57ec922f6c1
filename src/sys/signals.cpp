#include "sys/signals.hpp"

#include <pthread.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <mutex>
#include <thread>

#include "sys/process.hpp"

namespace plug::detail::sys {

namespace {

static_assert(SIGINT == 2 && SIGTERM == 15, "as serve_until_signal() has them");

constexpr int kMost = 64;
// More of them mean that the program does not react.
constexpr std::uint32_t kMostHeeded = 2;

constexpr std::uint64_t bit(int signal) noexcept { return std::uint64_t{1} << (signal - 1); }

struct Taken {
  int takers = 0;
  struct sigaction before {};
};

}  // namespace

/// The state that the handler, on any thread and at any time, shares with the takers.
struct SignalState {
  std::mutex mutex;  // used by takers
  Taken taken[kMost + 1];
  // The process of the takers. Not its fork generation, which changes only after the handler may
  // have run in the child.
  std::atomic<pid_t> process{0};
  std::atomic<bool> ignored{false};
  std::atomic<TakenSignals*> first{nullptr};
  std::atomic<int> in_handlers{0};

  static void handle(int signal) noexcept;
  void restore(int signal) noexcept;
  void start_afresh() noexcept;
  void remove(TakenSignals& taker) noexcept;
  Result add(TakenSignals& taker, int signal) noexcept;
};

namespace {

constinit SignalState state;

// A forked child would have the mutex locked by a thread that does not exist there.
[[maybe_unused]] const int registered = ::pthread_atfork(
    [] { state.mutex.lock(); }, [] { state.mutex.unlock(); }, [] { state.mutex.unlock(); });

}  // namespace

void SignalState::handle(int signal) noexcept {
  const int before = errno;
  bool heeded = state.ignored.load();
  if (state.process.load() == ::getpid()) {
    std::uint32_t least = 0;
    ++state.in_handlers;
    for (TakenSignals* taker = state.first.load(); taker != nullptr; taker = taker->next_.load()) {
      if ((taker->set_ & bit(signal)) == 0) continue;
      int none = 0;
      taker->first_.compare_exchange_strong(none, signal);
      const std::uint32_t count = ++taker->count_;
      least = least == 0 ? count : std::min(least, count);
      eventfd_add(taker->event_);
    }
    --state.in_handlers;
    heeded = least <= kMostHeeded;
  }
  if (!heeded) {
    ::sigaction(signal, &state.taken[signal].before, nullptr);
    ::raise(signal);
  }
  errno = before;
}

/// Restores the previous action, unless another part of the program has changed it.
void SignalState::restore(int signal) noexcept {
  struct sigaction now;
  if (::sigaction(signal, nullptr, &now) == 0 && now.sa_handler == &handle)
    ::sigaction(signal, &taken[signal].before, nullptr);
}

/// Forgets the takers in a forked child: they are the parent's.
void SignalState::start_afresh() noexcept {
  if (process.load() == ::getpid()) return;
  for (int signal = 1; signal <= kMost; ++signal) {
    if (taken[signal].takers > 0) restore(signal);
    taken[signal].takers = 0;
  }
  first.store(nullptr);
  in_handlers.store(0);  // of threads that do not exist here
  ignored.store(false);
  process.store(::getpid());
}

Result SignalState::add(TakenSignals& taker, int signal) noexcept {
  if (signal < 1 || signal > kMost) return -EINVAL;
  if ((taker.set_ & bit(signal)) != 0) return 0;
  if (taken[signal].takers == 0) {
    struct sigaction ours {};
    ours.sa_handler = &handle;
    ours.sa_flags = SA_RESTART;
    sigfillset(&ours.sa_mask);
    if (::sigaction(signal, &ours, &taken[signal].before) != 0) return -errno;
  }
  ++taken[signal].takers;
  taker.set_ |= bit(signal);
  return 0;
}

void SignalState::remove(TakenSignals& taker) noexcept {
  for (int signal = 1; signal <= kMost; ++signal)
    if ((taker.set_ & bit(signal)) != 0 && --taken[signal].takers == 0) restore(signal);
  std::atomic<TakenSignals*>* place = &first;
  while (place->load() != &taker) place = &place->load()->next_;
  place->store(taker.next_.load());
  // A handler that started before may still see it.
  while (in_handlers.load() != 0) std::this_thread::yield();
}

Result TakenSignals::take(std::span<const int> signals) noexcept {
  const Result made = eventfd();
  if (made < 0) return made;
  event_ = OwnFd(static_cast<int>(made));
  const std::lock_guard lock(state.mutex);
  state.start_afresh();
  next_.store(state.first.load());
  state.first.store(this);
  listed_ = true;
  for (const int signal : signals) {
    const Result added = state.add(*this, signal);
    if (added == 0) continue;
    state.remove(*this);
    listed_ = false;
    return added;
  }
  return 0;
}

void TakenSignals::give_back() noexcept {
  const std::lock_guard lock(state.mutex);
  if (listed_ && state.process.load() == ::getpid()) state.remove(*this);
  listed_ = false;
}

void leave_signals_to_parent() noexcept {
  state.ignored.store(true);
  if (state.process.load() == 0 || state.taken[SIGTERM].takers == 0) return;
  struct sigaction end {};
  end.sa_handler = SIG_DFL;
  ::sigaction(SIGTERM, &end, nullptr);
}

SignalMask::SignalMask() noexcept {
  sigset_t all;
  sigfillset(&all);
  for (const int fault : kFaults) sigdelset(&all, fault);
  ::pthread_sigmask(SIG_SETMASK, &all, &before_);
}

SignalMask::SignalMask(std::span<const int> let_through) noexcept {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : let_through) sigaddset(&set, signal);
  ::pthread_sigmask(SIG_UNBLOCK, &set, &before_);
}

void SignalMask::undo() noexcept {
  if (changed_) ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  changed_ = false;
}

bool child_has_ended(int child) noexcept {
  siginfo_t info{};
  const int got = ::waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOHANG | WNOWAIT);
  return got != 0 || info.si_pid != 0;
}

void terminate_child(int child) noexcept {
  const Result made = pidfd(child);
  const OwnFd process(made < 0 ? -1 : static_cast<int>(made));
  // Checked after opening the descriptor: if the child is still ours now, the descriptor is its.
  if (child_has_ended(child)) return;
  if (process.get() >= 0)
    ::syscall(SYS_pidfd_send_signal, process.get(), SIGTERM, nullptr, 0);
  else
    ::kill(child, SIGTERM);
}

}  // namespace plug::detail::sys
