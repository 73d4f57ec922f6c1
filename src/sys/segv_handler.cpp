#include "sys/segv_handler.hpp"

#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <mutex>

#include "sys/memory.hpp"

namespace plug::detail::sys {

namespace {

constexpr std::size_t kStackSize = 64 * 1024;

constinit std::mutex mutex;
std::size_t users = 0;
struct sigaction before {};
std::atomic<ExplainedFaults::Explain> explain_fault{nullptr};

// A forked child would have the mutex locked by a thread that does not exist there.
[[maybe_unused]] const int registered =
    pthread_atfork([] { mutex.lock(); }, [] { mutex.unlock(); }, [] { mutex.unlock(); });

void handle(int signal, siginfo_t* info, void* context) {
  const int error_before = errno;
  const bool fault = info->si_code > 0;  // not sent by a process
  const ExplainedFaults::Explain explain = explain_fault.load();
  const bool explained = fault && explain != nullptr && explain(info->si_addr);
  errno = error_before;
  if (explained) {
    // The fault repeats, and this handler does not catch it again.
    ::sigaction(signal, &before, nullptr);
  } else if ((before.sa_flags & SA_SIGINFO) != 0) {
    before.sa_sigaction(signal, info, context);
  } else if (before.sa_handler == SIG_DFL || (before.sa_handler == SIG_IGN && fault)) {
    struct sigaction end {};
    end.sa_handler = SIG_DFL;
    ::sigaction(signal, &end, nullptr);
    if (!fault) ::raise(signal);
  } else if (before.sa_handler != SIG_IGN) {
    before.sa_handler(signal);
  }
}

}  // namespace

ExplainedFaults::ExplainedFaults(Explain explain) noexcept {
  stack_t now{};
  if (::sigaltstack(nullptr, &now) == 0 && (now.ss_flags & SS_DISABLE) != 0) {
    size_ = std::max(kStackSize, static_cast<std::size_t>(std::max(0L, ::sysconf(_SC_SIGSTKSZ))));
    if (map(size_, stack_) == 0) {
      stack_t own{};
      own.ss_sp = stack_;
      own.ss_size = size_;
      ::sigaltstack(&own, nullptr);
    } else {
      stack_ = nullptr;
    }
  }
  const std::lock_guard lock(mutex);
  explain_fault.store(explain);
  if (users++ > 0) return;
  struct sigaction ours {};
  ours.sa_sigaction = &handle;
  if (::sigaction(SIGSEGV, nullptr, &before) != 0) return;
  // The previous handler runs under its usual conditions, except for its stack.
  ours.sa_mask = before.sa_mask;
  ours.sa_flags = SA_SIGINFO | SA_ONSTACK | (before.sa_flags & (SA_NODEFER | SA_RESTART));
  ::sigaction(SIGSEGV, &ours, nullptr);
}

ExplainedFaults::~ExplainedFaults() {
  {
    const std::lock_guard lock(mutex);
    struct sigaction now {};
    if (--users == 0 && ::sigaction(SIGSEGV, nullptr, &now) == 0 &&
        (now.sa_flags & SA_SIGINFO) != 0 && now.sa_sigaction == &handle)
      ::sigaction(SIGSEGV, &before, nullptr);
  }
  if (stack_ == nullptr) return;
  stack_t now{};
  if (::sigaltstack(nullptr, &now) == 0 && now.ss_sp == stack_) {
    stack_t none{};
    none.ss_flags = SS_DISABLE;
    if (::sigaltstack(&none, nullptr) != 0) return;  // in use
  }
  unmap(stack_, size_);
}

}  // namespace plug::detail::sys
