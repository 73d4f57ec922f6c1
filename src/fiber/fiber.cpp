#include <plug/fiber/cores.hpp>
#include <plug/fiber/fiber.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <mutex>
#include <span>
#include <stop_token>
#include <string_view>
#include <thread>
#include <utility>

#include "base/report.hpp"
#include "base/result.hpp"
#include "fiber/group.hpp"
#include "fiber/scheduler.hpp"
#include "sys/process.hpp"
#include "wait/wait_queue.hpp"

namespace plug {

namespace detail {

struct FiberOutcome::Impl final : fiber::FiberMain {
  void run(std::exception_ptr refused) noexcept override;
  void let_go() noexcept override;
  std::string_view name(std::span<char> room) const noexcept override;

  FiberName own_name{nullptr};
  std::uint32_t number = 0;  // for the name, unless one is given
  std::shared_ptr<fiber::FiberCore> fiber;
  std::shared_ptr<FiberOutcome> self;  // until the fiber lets go
  std::mutex mutex;
  WaitQueue waiting;
  bool done = false;
  std::exception_ptr thrown;
  bool asked = false;   // the exception has been rethrown
  bool joined = false;  // join() has returned the result or thrown the exception
  fiber::FiberGroup* group = nullptr;
  fiber::FiberGroup::ChildRef child;  // in the group

  bool is_of_parent() const noexcept { return fiber->owner->is_of_parent(); }
  /// Locks the mutex, unless a thread of the parent process may hold it.
  std::unique_lock<std::mutex> lock() {
    return is_of_parent() ? std::unique_lock<std::mutex>() : std::unique_lock(mutex);
  }
};

}  // namespace detail

namespace detail::fiber {

struct FiberAccess {
  static void run(const std::shared_ptr<FiberOutcome>& outcome,
                  std::exception_ptr thrown) noexcept {
    bool failed = true;
    if (thrown) {
      outcome->drop();
    } else {
      try {
        outcome->call();
        failed = false;
      } catch (const CancelledError&) {
        thrown = std::current_exception();
        failed = false;
      } catch (...) {
        thrown = std::current_exception();
      }
    }
    FiberOutcome::Impl& impl = *outcome->impl_;
    {
      const auto lock = impl.lock();
      impl.thrown = std::move(thrown);
      impl.done = true;
      // In a forked child the waiters do not exist.
      if (!impl.is_of_parent()) impl.waiting.wake_all();
    }
    if (impl.group != nullptr) impl.group->ended(impl.child, outcome, failed);
  }

  static const std::shared_ptr<FiberCore>& make(FiberScheduler& scheduler,
                                                const std::shared_ptr<FiberOutcome>& outcome,
                                                FiberName&& name) {
    FiberOutcome::Impl& impl = *outcome->impl_;
    impl.own_name = std::move(name);
    if (impl.own_name.given.empty()) impl.number = scheduler.next_number();
    impl.fiber = scheduler.make(impl);
    impl.self = outcome;
    return impl.fiber;
  }

  static void start_in(FiberGroup& group, FiberScheduler& scheduler,
                       const std::shared_ptr<FiberOutcome>& outcome, FiberName&& name) {
    const FiberGroup::ChildRef child = group.add();
    try {
      scheduler.start(make(scheduler, outcome, std::move(name)));
    } catch (...) {
      group.remove(child);
      throw;
    }
    outcome->impl_->group = &group;
    outcome->impl_->child = child;
    group.started(child, outcome->impl_->fiber);
  }
};

}  // namespace detail::fiber

namespace detail {

void FiberOutcome::Impl::run(std::exception_ptr refused) noexcept {
  fiber::FiberAccess::run(self, std::move(refused));
}

void FiberOutcome::Impl::let_go() noexcept { const auto held = std::move(self); }

FiberOutcome::FiberOutcome() : impl_(std::make_unique<Impl>()) {}

FiberOutcome::~FiberOutcome() {
  if (!impl_->thrown || impl_->asked) return;
  try {
    std::rethrow_exception(impl_->thrown);
  } catch (const CancelledError&) {
    // The fiber has been cancelled.
  } catch (...) {
    base::report_exception("Exception in the fiber " + name());
  }
}

std::string_view FiberOutcome::Impl::name(std::span<char> room) const noexcept {
  if (!own_name.given.empty()) return own_name.given;
  constexpr std::string_view kOurs = "fiber::";
  std::string_view call = own_name.call;
  if (call.starts_with(kOurs)) call.remove_prefix(kOurs.size());
  // Uses neither a stream nor a string: this may run in a signal handler.
  const int size = std::snprintf(room.data(), room.size(), "%.*s %u", static_cast<int>(call.size()),
                                 call.data(), number);
  return {room.data(), static_cast<std::size_t>(std::max(size, 0))};
}

std::string FiberOutcome::name() const {
  fiber::FiberCore::Room room;
  return std::string(impl_->name(room));
}

bool FiberOutcome::done() const noexcept {
  const auto lock = impl_->lock();
  return impl_->done;
}

void FiberOutcome::cancel() noexcept { impl_->fiber->owner->cancel(*impl_->fiber); }

void FiberOutcome::rethrow() {
  std::exception_ptr thrown;
  {
    const auto lock = impl_->lock();
    impl_->asked = true;
    thrown = impl_->thrown;
  }
  if (thrown) std::rethrow_exception(thrown);
}

/// Blocks until the fiber has ended. Returns 0, kTimedOut, kCancelled or the interrupt hook's
/// error.
long FiberOutcome::wait(const Timeout& timeout) {
  if (impl_->is_of_parent() && !done())
    throw RuntimeError("joining the fiber " + name() + ", which runs in the parent process");
  const fiber::FiberScheduler* const here = fiber::FiberScheduler::here();
  if (here != nullptr && here->current_or_null() == impl_->fiber.get() && !done())
    throw RuntimeError("joining the fiber " + name() + " in itself");
  const Deadline deadline = base::deadline_after(timeout);
  wait::WaitNode node;
  for (long waited = 0;;) {
    {
      const auto lock = impl_->lock();
      if (impl_->done) return 0;
      if (waited < 0) return waited;
      impl_->waiting.add(node);
    }
    waited = node.sleep(deadline, "join");
    {
      const std::lock_guard lock(impl_->mutex);
      impl_->waiting.remove(node);
    }
    // Checked first, because a fiber is told of a cancellation only once.
    if (waited == base::kCancelled) return waited;
    if (waited == 0) waited = node.ask_interrupt_hook();
  }
}

void FiberOutcome::join(const Timeout& timeout) {
  if (const long waited = wait(timeout); waited < 0)
    throw_if(base::error_from(waited), "joining the fiber " + name());
  std::exception_ptr thrown;
  {
    const auto lock = impl_->lock();
    if (std::exchange(impl_->joined, true))
      throw RuntimeError("joining the fiber " + name() + " a second time");
    impl_->asked = true;
    thrown = impl_->thrown;
  }
  if (thrown) std::rethrow_exception(thrown);
}

}  // namespace detail

namespace detail::fiber {

FiberScheduler& scheduler_here(std::string_view call) {
  if (FiberScheduler* const scheduler = FiberScheduler::here()) return *scheduler;
  throw RuntimeError(std::string(call) + (FiberScheduler::forked() != nullptr
                                              ? ": not in a fiber, since the process has forked"
                                              : ": not in a fiber"));
}

}  // namespace detail::fiber

namespace detail {

void start_fiber(const std::shared_ptr<FiberOutcome>& outcome, FiberName&& name,
                 fiber::FiberGroup* group) {
  fiber::FiberScheduler& scheduler = fiber::scheduler_here(name.call);
  if (group == nullptr)
    scheduler.start(fiber::FiberAccess::make(scheduler, outcome, std::move(name)));
  else
    fiber::FiberAccess::start_in(*group, scheduler, outcome, std::move(name));
}

void hand_over_fiber(fiber::FiberScheduler& scheduler, const std::shared_ptr<FiberOutcome>& outcome,
                     FiberName&& name) {
  const std::shared_ptr<fiber::FiberCore>& fiber =
      fiber::FiberAccess::make(scheduler, outcome, std::move(name));
  if (&scheduler == fiber::FiberScheduler::here()) return scheduler.start(fiber);
  if (scheduler.is_of_parent()) {
    fiber::FiberScheduler::drop(*fiber);
    throw RuntimeError("fiber::Scheduler::spawn: its fibers run in the parent process");
  }
  if (!scheduler.hand_over(fiber))
    throw RuntimeError("fiber::Scheduler::spawn: the fibers that " + outcome->name() +
                       " was to join have ended");
}

}  // namespace detail

namespace detail::fiber {

std::shared_ptr<FiberScheduler> make_scheduler(const plug::fiber::RunOptions& options) {
  constexpr std::size_t kLargestStack = std::size_t{1} << 36;
  if (FiberScheduler::here() != nullptr) throw RuntimeError("fiber::run: called in a fiber");
  if (options.stack_size > kLargestStack)
    throw ValueError("fiber::run: a stack_size of " + std::to_string(options.stack_size) +
                     " is beyond all bounds");
  return std::make_shared<FiberScheduler>(FiberScheduler::Options{
      .stack_size = options.stack_size,
      .engine = options.engine,
      .seed = options.seed,
      .stall_threshold = options.stall_threshold.is_none() ? std::chrono::nanoseconds(0)
                                                           : options.stall_threshold.duration(),
      .on_stall = options.on_stall,
      .busy_poll = options.busy_poll.is_none() ? std::chrono::nanoseconds(0)
                                               : options.busy_poll.duration()});
}

std::shared_ptr<FiberCore> start_main(FiberScheduler& scheduler,
                                      const std::shared_ptr<FiberOutcome>& main) {
  const std::shared_ptr<FiberCore>& fiber = FiberAccess::make(scheduler, main, {nullptr, "main"});
  scheduler.start(fiber);
  return fiber;
}

void run_main(FiberScheduler& scheduler, FiberCore& main, const plug::fiber::RunOptions& options) {
  const std::stop_callback stopping(options.stop, [&]() noexcept { scheduler.cancel(main); });
  const long failed = scheduler.run(main);
  if (failed < 0) throw_if(base::error_from(failed), "waiting for events of fibers");
  if (scheduler.is_of_parent() && !main.ended())
    throw RuntimeError(
        "fiber::run: a fiber has forked and ended, and the main fiber runs in the "
        "parent process");
}

}  // namespace detail::fiber

namespace detail {

void run_fibers(const std::shared_ptr<FiberOutcome>& main, const plug::fiber::RunOptions& options) {
  const std::shared_ptr<fiber::FiberScheduler> scheduler = fiber::make_scheduler(options);
  const std::shared_ptr<fiber::FiberCore> fiber = fiber::start_main(*scheduler, main);
  fiber::run_main(*scheduler, *fiber, options);
}

}  // namespace detail

namespace fiber {

bool inside() noexcept { return detail::fiber::FiberScheduler::here() != nullptr; }

std::stop_token get_stop_token() {
  return detail::fiber::scheduler_here("fiber::get_stop_token").stop_token();
}

void yield() {
  detail::fiber::FiberScheduler* const scheduler = detail::fiber::FiberScheduler::here();
  if (scheduler == nullptr)
    std::this_thread::yield();
  else if (!scheduler->yield())
    throw_if(detail::base::error_from(detail::base::kCancelled), "yield");
}

void sleep(const Timeout& time) {
  const Deadline deadline = detail::base::deadline_after(time);
  detail::wait::WaitNode node;
  for (;;) {
    long slept = node.sleep(deadline, "sleep");
    if (slept == 0) slept = node.ask_interrupt_hook();
    if (slept == detail::base::kTimedOut || (slept == 0 && detail::base::remaining(deadline) == 0))
      return;
    if (slept < 0) throw_if(detail::base::error_from(slept), "sleep");
  }
}

std::vector<Info> list() {
  std::vector<Info> all;
  detail::fiber::FiberCore::Room room;
  for (const auto& fiber : detail::fiber::scheduler_here("fiber::list").fibers())
    all.push_back({std::string(fiber->name(room)), fiber->where() == nullptr ? "" : fiber->where(),
                   fiber->stack().most_used()});
  return all;
}

std::string_view engine() { return detail::fiber::scheduler_here("fiber::engine").engine_name(); }

}  // namespace fiber
}  // namespace plug
