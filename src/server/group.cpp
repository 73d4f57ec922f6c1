#include <plug/error.hpp>
#include <plug/server/group.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <exception>
#include <functional>
#include <mutex>
#include <string>
#include <system_error>
#include <thread>

#include "server/access.hpp"
#include "server/event.hpp"
#include "server/loop.hpp"
#include "sys/process.hpp"
#include "sys/processors.hpp"
#include "wait/io_driver.hpp"

namespace plug {

namespace {

/// The outcome of the workers' threads.
class WorkerOutcome {
 public:
  void ended(int signal) {
    const std::lock_guard lock(mutex_);
    if (signal_ == 0) signal_ = signal;
  }
  void failed(std::exception_ptr failure) {
    const std::lock_guard lock(mutex_);
    if (!failure_) failure_ = std::move(failure);
  }
  /// Records an exception that passes through everything, such as CancelledError. It takes
  /// precedence over other failures.
  void left_by(std::exception_ptr failure) {
    const std::lock_guard lock(mutex_);
    failure_ = std::move(failure);
  }
  /// Must be called when no thread is left.
  int get() const {
    if (failure_) std::rethrow_exception(failure_);
    return signal_;
  }

 private:
  std::mutex mutex_;
  std::exception_ptr failure_;
  int signal_ = 0;
};

}  // namespace

std::size_t BaseServerGroup::count(int workers) {
  if (workers < 0)
    throw ValueError("a group of servers needs workers, not " + std::to_string(workers));
  if (workers > 0) return static_cast<std::size_t>(workers);
  return detail::sys::usable_processors();
}

template <class Step>
void BaseServerGroup::open(Step step) {
  try {
    for (const auto& worker : workers_) step(*worker);
  } catch (...) {
    try {
      server_close();
    } catch (...) {
      // The first failure is the one to throw.
    }
    throw;
  }
}

void BaseServerGroup::server_bind() {
  open([this](BaseServer& worker) {
    if (size() > 1) worker.allow_reuse_port = true;
    if (&worker != workers_.front().get()) worker.server_address = server_address();
    worker.server_bind();
  });
}

void BaseServerGroup::server_activate() {
  open([](BaseServer& worker) { worker.server_activate(); });
}

void BaseServerGroup::server_close() {
  WorkerOutcome outcome;
  for (const auto& worker : workers_) {
    try {
      worker->server_close();
    } catch (const detail::sys::ForcedUnwind&) {
      throw;
    } catch (const BaseException&) {
      outcome.left_by(std::current_exception());
    } catch (...) {
      outcome.failed(std::current_exception());
    }
  }
  outcome.get();
}

template <class Serve>
int BaseServerGroup::serve(Serve serve_one) {
  for (const auto& worker : workers_) {
    auto& loop = detail::server::ServerAccess::loop(*worker);
    loop.adopt();
    loop.set_group(workers_);
    // A stop may be left from the previous serving, if the worker ended before it was told to.
    loop.serving().forget_stop();
  }
  // A caller that stops the group sets this first.
  if (stop_.exchange(false)) return 0;
  WorkerOutcome outcome;
  const auto run = [&](BaseServer& worker) {
    try {
      outcome.ended(serve_one(worker));
    } catch (const detail::sys::ForcedUnwind&) {
      stop_workers();
      throw;
    } catch (const BaseException&) {
      outcome.left_by(std::current_exception());
    } catch (...) {
      outcome.failed(std::current_exception());
    }
    stop_workers();
  };
  /// The threads of the other workers; the destructor stops and joins them.
  class Threads {
   public:
    explicit Threads(BaseServerGroup& group) : group_(group) { threads_.reserve(group.size()); }
    Threads(const Threads&) = delete;
    Threads& operator=(const Threads&) = delete;
    ~Threads() {
      group_.stop_workers();
      // In a fiber, wait first: join() would block other fibers, which those threads may wait for.
      if (!detail::wait::may_block_thread()) wait();
      for (std::thread& thread : threads_) thread.join();
      group_.stop_.store(false);
    }
    void start(std::function<void()> main) {
      threads_.emplace_back([this, main = std::move(main)] {
        main();
        ++ended_;
        detail::sys::eventfd_add(event_);
      });
    }

   private:
    void wait() noexcept {
      const detail::wait::Shield shield(detail::wait::OnCancel::ignore);
      while (ended_ < threads_.size()) {
        std::array entries{detail::sys::PollEntry{event_.get(), detail::sys::kIn, 0}};
        detail::wait::wait_any(entries, Deadline::none());
        detail::sys::eventfd_drain(event_);
      }
    }

    BaseServerGroup& group_;
    const detail::sys::OwnFd event_ = detail::server::make_event();
    std::atomic<std::size_t> ended_{0};
    std::vector<std::thread> threads_;
  };
  {
    Threads others(*this);
    try {
      for (const auto& worker : workers_)
        if (worker != workers_.front()) others.start([&run, &other = *worker] { run(other); });
    } catch (const std::system_error& error) {
      throw RuntimeError(std::string("can't start new thread: ") + error.code().message());
    }
    run(*workers_.front());
  }
  return outcome.get();
}

void BaseServerGroup::serve_forever(Timeout poll_interval) {
  serve([&](BaseServer& worker) {
    worker.serve_forever(poll_interval);
    return 0;
  });
}

int BaseServerGroup::serve_until_signal(const UntilSignalOptions& options) {
  return serve([&](BaseServer& worker) { return worker.serve_until_signal(options); });
}

void BaseServerGroup::shutdown() {
  for (const auto& worker : workers_) detail::server::ServerAccess::check_shutdown(*worker);
  stop_serving();
  for (const auto& worker : workers_)
    detail::server::ServerAccess::loop(*worker).serving().wait_until_ended();
}

void BaseServerGroup::stop_serving() noexcept {
  stop_.store(true);
  stop_workers();
}

void BaseServerGroup::stop_workers() noexcept {
  for (const auto& worker : workers_) worker->stop_serving();
}

}  // namespace plug
