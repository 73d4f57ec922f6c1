// Runs fibers in one thread per core.

#include <plug/error.hpp>
#include <plug/fiber/cores.hpp>

#include <condition_variable>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>

#include "base/report.hpp"
#include "fiber/scheduler.hpp"
#include "sys/processors.hpp"
#include "sys/signals.hpp"

namespace plug {

namespace detail::fiber {

namespace {

/// The threads of one run_on_threads(), and its outcome.
class Cores {
 public:
  Cores(std::size_t count, const CoreMain& main, const plug::fiber::RunOptions& options)
      : main_(main),
        options_(options),
        all_(count, plug::fiber::Scheduler(nullptr)),
        mains_(count) {}

  void run() {
    std::vector<std::thread> threads;
    try {
      threads.reserve(all_.size());
      const sys::SignalMask held;
      for (std::size_t core = 1; core < all_.size(); ++core)
        threads.emplace_back([this, core] { run_core(core); });
    } catch (const std::system_error& error) {
      fail(std::make_exception_ptr(OSError(error.code(), "fiber::run_on_threads: thread")));
    } catch (...) {
      fail(std::current_exception());
    }
    run_core(0);
    for (std::thread& thread : threads) thread.join();
    if (thrown_) std::rethrow_exception(thrown_);
  }

 private:
  class Main final : public FiberValue<void> {
   public:
    Main(Cores& cores, std::size_t core) noexcept : cores_(cores), core_(core) {}

   private:
    void call() override {
      if (!cores_.stopping()) cores_.main_(core_, cores_.all_);
    }
    void drop() noexcept override {}

    Cores& cores_;
    const std::size_t core_;
  };

  void run_core(std::size_t core) noexcept {
    try {
      const std::shared_ptr<FiberScheduler> scheduler = make_scheduler(options_);
      const auto main = std::make_shared<Main>(*this, core);
      // No fiber begins before all schedulers exist.
      if (!arrive(core, scheduler)) return;
      const std::shared_ptr<FiberCore> fiber = start_main(*scheduler, main);
      {
        const std::lock_guard lock(mutex_);
        mains_[core] = fiber;
      }
      run_main(*scheduler, *fiber, options_);
      main->rethrow();
    } catch (...) {
      fail(std::current_exception());
    }
  }

  bool arrive(std::size_t core, const std::shared_ptr<FiberScheduler>& scheduler) {
    std::unique_lock lock(mutex_);
    all_[core] = plug::fiber::Scheduler(scheduler);
    ++arrived_;
    changed_.notify_all();
    changed_.wait(lock, [this] { return stopping_ || arrived_ == all_.size(); });
    return !stopping_;
  }

  bool stopping() {
    const std::lock_guard lock(mutex_);
    return stopping_;
  }

  void fail(std::exception_ptr thrown) noexcept {
    {
      std::unique_lock lock(mutex_);
      if (!stopping_) {
        thrown_ = std::move(thrown);
        stopping_ = true;
        changed_.notify_all();
        lock.unlock();
        return end_all();
      }
    }
    try {
      std::rethrow_exception(thrown);
    } catch (const CancelledError&) {
      // The fiber has been cancelled.
    } catch (...) {
      base::report_exception("Exception in fiber::run_on_threads");
    }
  }

  /// Cancels the main fibers. Those that begin later end by themselves.
  void end_all() noexcept {
    for (std::size_t core = 0; core < mains_.size(); ++core) {
      std::shared_ptr<FiberCore> main;
      {
        const std::lock_guard lock(mutex_);
        main = mains_[core];
      }
      // The callbacks of the stop token may do anything, so no lock is held.
      if (main) main->owner->cancel(*main);
    }
  }

  const CoreMain& main_;
  const plug::fiber::RunOptions& options_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<plug::fiber::Scheduler> all_;
  std::vector<std::shared_ptr<FiberCore>> mains_;
  std::size_t arrived_ = 0;
  bool stopping_ = false;
  std::exception_ptr thrown_;
};

}  // namespace

}  // namespace detail::fiber

namespace detail {

void run_on_threads(std::size_t threads, const CoreMain& main,
                    const plug::fiber::RunOptions& options) {
  if (fiber::FiberScheduler::here() != nullptr)
    throw RuntimeError("fiber::run_on_threads: called in a fiber");
  if (threads == 0) throw ValueError("fiber::run_on_threads: 0 threads");
  fiber::Cores(threads, main, options).run();
}

std::size_t usable_cores() { return sys::usable_processors(); }

}  // namespace detail

namespace fiber {

Scheduler here() {
  return Scheduler(detail::fiber::scheduler_here("fiber::here").shared_from_this());
}

}  // namespace fiber
}  // namespace plug
