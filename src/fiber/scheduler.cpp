#include "fiber/scheduler.hpp"

#include <plug/constants.hpp>
#include <plug/error.hpp>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <new>
#include <string_view>
#include <utility>

#include "fiber/fake_clock.hpp"
#include "sys/clock.hpp"
#include "sys/process.hpp"
#include "sys/segv_handler.hpp"

namespace plug::detail::fiber {

[[maybe_unused]] const int FiberScheduler::registered_ =
    sys::call_in_forked_child(&FiberScheduler::leave_in_child);

FiberScheduler::FiberScheduler(const Options& options)
    : stacks_(options.stack_size, options.guard),
      engine_(make_engine(*this, options.engine)),
      // With a fake clock, patience_ notes whether a poll has found no event.
      patience_(advance_clock != nullptr ? 1 : options.busy_poll.count()) {
  if (options.seed) order_.emplace(*options.seed);
  if (options.stall_threshold.count() > 0)
    watch_ = std::make_unique<StallDetector>(options.stall_threshold, options.on_stall);
}

FiberScheduler::~FiberScheduler() = default;

// --- running ---

namespace {

void report_overflow(const FiberCore& fiber) noexcept {
  char text[256];
  FiberCore::Room room;
  const std::string_view name = fiber.name(room);
  // Uses neither a stream nor a string: this may run in a signal handler.
  const int size = std::snprintf(
      text, sizeof text, "plug: the stack of %s%.*s has overflowed its %zu bytes\n",
      name.empty() ? "a fiber" : "the fiber ",
      static_cast<int>(std::min<std::size_t>(name.size(), 160)), name.data(), fiber.stack().size);
  sys::write_error(text, static_cast<std::size_t>(std::max(size, 0)));
}

}  // namespace

bool FiberScheduler::explain_fault(const void* address) noexcept {
  const FiberScheduler* const scheduler = here();
  if (scheduler == nullptr || scheduler->current_ == nullptr) return false;
  const FiberCore& fiber = *scheduler->current_;
  if (!fiber.stack_.guards(address)) return false;
  report_overflow(fiber);
  return true;
}

long FiberScheduler::run(FiberCore& main) {
  const sys::ExplainedFaults faults(&explain_fault);
  main_ = &main;
  wait::IoDriver* const waiter_before = wait::current_driver();
  wait::Parker* const parker_before = std::exchange(wait::thread_fibers.parker, this);
  wait::set_current_driver(engine_.get());
  long failed = 0;
  while (!fibers_.empty()) {
    take_posted();
    fire_timers();
    if (runnable_ > 0 && patience_.is_idle() && !interrupted_)
      patience_.found(sys::monotonic_nanoseconds());
    // Fibers that become runnable meanwhile wait for the next turn.
    for (std::size_t left = runnable_; left > 0 && !is_of_parent(); --left) {
      FiberCore& fiber = take_runnable();
      if (first_ != nullptr) expect(*first_);
      resume(fiber);
    }
    if (is_of_parent()) {
      abandon();
      return 0;
    }
    if (fibers_.empty()) break;
    const long turned = engine_->turn(next_moment());
    if (turned == -EINTR) {
      interrupt();
    } else if (turned < 0) {
      failed = turned;
      break;
    }
  }
  wait::set_current_driver(waiter_before);
  wait::thread_fibers.parker = parker_before;
  {
    const std::lock_guard lock(mutex_);
    over_ = true;
  }
  take_posted();
  watch_.reset();
  engine_.reset();
  return failed;
}

/// Lets the main fiber ask the interrupt hook in the call in which it waits, as a plain thread
/// does.
void FiberScheduler::interrupt() noexcept {
  interrupted_ = true;
  if (main_ != nullptr) wake_here(*main_);
}

long FiberScheduler::ask_hook() {
  const bool keeps = current_->shield_ == wait::OnCancel::keep;
  try {
    if (const std::exception_ptr thrown = std::exchange(kept_thrown_, nullptr))
      std::rethrow_exception(thrown);
    const long kept = std::exchange(kept_stop_, 0);
    const long stop = kept != 0 ? kept : plug::detail::wait::interrupted();
    if (keeps && stop != 0) keep_answer(stop, nullptr);
    return stop;
  } catch (...) {
    if (keeps) keep_answer(0, std::current_exception());
    throw;
  }
}

void FiberScheduler::keep_answer(long stop, std::exception_ptr thrown) noexcept {
  kept_stop_ = stop;
  kept_thrown_ = std::move(thrown);
  interrupt();
}

/// Returns the time until which the engine may sleep.
Deadline FiberScheduler::next_moment() noexcept {
  if (runnable_ > 0) return Deadline::immediate();
  if (patience_.is_any()) {
    if (advance_clock != nullptr) [[unlikely]]
      return next_moment_of_fake_clock();
    if (patience_.lasts(sys::monotonic_nanoseconds())) return Deadline::immediate();
    // A signal interrupts only a sleeping engine: one may have come while it polled.
    if (wait::has_interrupt_function() && patience_.has_ended()) {
      interrupt();
      return Deadline::immediate();
    }
  }
  return timers_.empty() ? Deadline::none() : timers_.front()->deadline_;
}

/// Moves the fake clock to the next deadline instead of sleeping until then, if a poll has found no
/// event since a fiber ran. Without a deadline the engine sleeps: another thread may wake a fiber.
Deadline FiberScheduler::next_moment_of_fake_clock() noexcept {
  if (patience_.is_idle()) {
    if (timers_.empty()) return Deadline::none();
    advance_clock(timers_.front()->deadline_);
  }
  patience_.lasts(sys::monotonic_nanoseconds());
  return Deadline::immediate();
}

/// In the child of a fiber that forks, that fiber continues as a plain thread, and the other fibers
/// do not continue. The engine belongs to the parent and stays as it is.
void FiberScheduler::leave_in_child() noexcept {
  if (here() == nullptr) return;
  wait::thread_fibers = {.parker = nullptr, .forked = here()->current_};
  wait::set_current_driver(nullptr);
}

/// Leaks the scheduler in a forked child, because suspended stacks cannot be unwound.
void FiberScheduler::abandon() noexcept {
  // Keeps the scheduler reachable for leak checkers.
  [[maybe_unused]] static std::shared_ptr<FiberScheduler>* volatile latest = nullptr;
  latest = new (std::nothrow) std::shared_ptr<FiberScheduler>(shared_from_this());
}

/// Prefetches the parts of a fiber's stack that it uses first after it resumes.
void FiberScheduler::expect(const FiberCore& fiber) noexcept {
  constexpr int kLine = 64, kLines = 10;
  const char* const uses = static_cast<const char*>(fiber.uses_);
  __builtin_prefetch(uses);
  __builtin_prefetch(uses + kLine);
  const char* const stack = static_cast<const char*>(fiber.context_.stack_pointer());
  for (int i = 0; i < kLines; ++i) __builtin_prefetch(stack + i * kLine);
}

void FiberScheduler::resume(FiberCore& fiber) noexcept {
  fiber.state_ = FiberCore::State::running;
  current_ = &fiber;
  budget_ = 0;
  if (watch_) watch_->begins(fiber);
  context_.switch_to(fiber.context_);
  if (!fiber.stack_.intact(fiber.context_.stack_pointer())) {
    report_overflow(fiber);
    std::abort();
  }
  if (is_of_parent()) return;
  if (watch_) watch_->ends();
  current_ = nullptr;
  if (fiber.state_ == FiberCore::State::ended) bury(fiber);
}

std::shared_ptr<FiberCore> FiberScheduler::make(FiberMain& main) {
  return std::make_shared<FiberCore>(shared_from_this(), &main);
}

void FiberScheduler::start(const std::shared_ptr<FiberCore>& fiber) {
  try {
    equip(*fiber);
  } catch (...) {
    drop(*fiber);
    throw;
  }
  begin(fiber);
}

/// Allocates everything that a fiber needs; begin() follows.
void FiberScheduler::equip(FiberCore& fiber) {
  const std::size_t count = fibers_.size();
  if (timers_.capacity() <= count) timers_.reserve(2 * count + kFirstRoom);
  fibers_.emplace_back();
  try {
    fiber.stack_ = stacks_.take();
  } catch (...) {
    fibers_.pop_back();
    throw;
  }
}

void FiberScheduler::begin(const std::shared_ptr<FiberCore>& fiber) noexcept {
  fiber->context_.prepare<&FiberScheduler::main_of_current>(fiber->stack_.top(),
                                                            fiber->stack_.usable());
  fiber->index_ = static_cast<std::uint32_t>(fibers_.size() - 1);
  fibers_.back() = fiber;
  // Nobody has the fiber's stop token yet, so request_stop() runs no callback.
  fiber->ending_told_ = ending_;
  if (ending_ && !fiber->refused_) {
    request_stop(*fiber);
    fiber->cancelled_ = true;
  }
  make_runnable(*fiber);
}

void FiberScheduler::drop(FiberCore& fiber) noexcept {
  fiber.state_ = FiberCore::State::ended;
  std::exchange(fiber.main_, nullptr)->let_go();
}

void FiberScheduler::main_of_current() noexcept {
  FiberScheduler& scheduler = *here();
  FiberCore& fiber = *scheduler.current_;
  fiber.main_->run(fiber.refused_ ? refusal(fiber) : nullptr);
  if (&fiber == scheduler.main_ && !scheduler.is_of_parent()) scheduler.end_others();
  // The objects that the function holds are destroyed here, in the fiber, where they may wait.
  scheduler.let_go_of_main(fiber);
  fiber.state_ = FiberCore::State::ended;
  fiber.context_.leave_for(scheduler.context_);
}

/// Cancels all other fibers, as the last action of the main fiber. The callbacks of stop tokens may
/// wait, and meanwhile fibers begin and end.
void FiberScheduler::end_others() noexcept {
  FiberCore& main = *current_;
  ending_ = true;
  // Nothing of the main fiber is left to cancel.
  main.cancelled_ = false;
  {
    const std::lock_guard lock(mutex_);
    accepting_ = false;
  }
  main.ending_told_ = true;
  // Repeat, because other fibers move to the indices of those that end meanwhile.
  for (bool any = true; any;) {
    any = false;
    for (std::size_t i = 0; i < fibers_.size(); ++i) {
      const std::shared_ptr<FiberCore> fiber = fibers_[i];
      if (std::exchange(fiber->ending_told_, true)) continue;
      any = true;
      cancel(*fiber);
      if (is_of_parent()) return;
    }
  }
}

/// Releases the main of the current fiber.
void FiberScheduler::let_go_of_main(FiberCore& fiber) noexcept {
  // The watch may be about to ask for its name.
  const bool watched = watch_ && !is_of_parent();
  if (watched) watch_->ends();
  FiberMain* const main = std::exchange(fiber.main_, nullptr);
  if (watched) watch_->begins(fiber);
  main->let_go();
}

void FiberScheduler::bury(FiberCore& fiber) noexcept {
  fiber.context_.let_go_of_stack();
  stacks_.give_back(fiber.stack_);
  const std::uint32_t index = fiber.index_;
  // Keeps the fiber alive until the end of this function: its other references may go at any time.
  std::shared_ptr<FiberCore>& slot = fibers_[index];
  const std::shared_ptr<FiberCore> self = std::move(slot);
  if (index + 1 < fibers_.size()) {
    slot = std::move(fibers_.back());
    slot->index_ = index;
  }
  fibers_.pop_back();
  if (main_ == &fiber) main_ = nullptr;
}

void FiberScheduler::make_runnable(FiberCore& fiber) noexcept {
  fiber.state_ = FiberCore::State::runnable;
  fiber.where_ = nullptr;
  fiber.next_ = nullptr;
  (last_ == nullptr ? first_ : last_->next_) = &fiber;
  last_ = &fiber;
  ++runnable_;
}

FiberCore& FiberScheduler::take_runnable() noexcept {
  FiberCore* before = nullptr;
  FiberCore* fiber = first_;
  if (order_) {
    for (std::size_t skip = (*order_)() % runnable_; skip > 0; --skip) {
      before = fiber;
      fiber = fiber->next_;
    }
  }
  (before == nullptr ? first_ : before->next_) = fiber->next_;
  if (last_ == fiber) last_ = before;
  --runnable_;
  return *fiber;
}

// --- parking ---

/// Returns the earliest limit that the fiber has not been told of.
Deadline FiberScheduler::nearest_limit(const FiberCore& fiber) noexcept {
  Deadline nearest = Deadline::none();
  for (const FiberLimit* limit = fiber.limit_; limit != nullptr; limit = limit->outer)
    if (!limit->reached) nearest = std::min(nearest, limit->moment());
  return nearest;
}

/// Marks the cancellation as delivered, and with it all limits that have been reached.
void FiberScheduler::tell_of_cancel(FiberCore& fiber) noexcept {
  fiber.cancelled_ = false;
  for (FiberLimit* limit = fiber.limit_; limit != nullptr; limit = limit->outer) {
    limit->reached = limit->reached || limit->is_over();
    limit->overruled = limit->cancelled = true;
  }
}

/// Marks all reached limits as delivered; the outermost of them is the reason.
void FiberScheduler::tell_of_limit(FiberCore& fiber) noexcept {
  FiberLimit* reason = nullptr;
  for (FiberLimit* limit = fiber.limit_; limit != nullptr; limit = limit->outer) {
    if (limit->reached || !limit->is_over()) continue;
    limit->reached = true;
    reason = limit;
  }
  for (FiberLimit* limit = fiber.limit_; limit != reason; limit = limit->outer)
    limit->overruled = true;
}

bool FiberScheduler::ended_by(FiberLimit& limit) noexcept {
  if (!limit.reached || limit.overruled) return false;
  if (!current_->cancelled_) return true;
  // The fiber is cancelled as well, and the same exception tells it so.
  tell_of_cancel(*current_);
  return false;
}

/// Handles the cases of park() other than a plain wait until the fiber is woken.
FiberScheduler::WakeReason FiberScheduler::park_until(Deadline deadline, const char* where,
                                                      wait::OnCancel on_cancel) noexcept {
  FiberCore& fiber = *current_;
  on_cancel = std::max(on_cancel, fiber.shield_);
  const bool heeds = on_cancel != wait::OnCancel::ignore;
  const Deadline limit = heeds && fiber.limit_ != nullptr ? nearest_limit(fiber) : Deadline::none();
  bool over = base::remaining(limit) == 0;
  fiber.timed_out_ = false;  // may be stale: a fiber may be cancelled after its timeout
  if (!fiber.permit_ && !over && !(heeds && fiber.cancelled_)) {
    fiber.where_ = where;
    fiber.deadline_ = std::min(deadline, limit);
    if (!fiber.deadline_.is_none()) add_timer(fiber);
    fiber.state_ = FiberCore::State::parked;
    fiber.context_.switch_to(context_);
  }
  fiber.permit_ = false;
  over = over || (fiber.timed_out_ && limit < deadline) ||
         (heeds && nearest_limit(fiber).is_immediate());
  if (over || (heeds && fiber.cancelled_)) return end_park(on_cancel);
  if (!fiber.timed_out_) return WakeReason::event;
  leave_interrupt();
  return WakeReason::deadline;
}

long FiberScheduler::suspend(Deadline deadline, const char* where,
                             wait::OnCancel on_cancel) noexcept {
  switch (park(deadline, where, on_cancel)) {
    case WakeReason::cancel:
      return base::kCancelled;
    case WakeReason::deadline:
      return base::kTimedOut;
    case WakeReason::event:
      break;
  }
  return 0;
}

FiberScheduler::WakeReason FiberScheduler::end_park(wait::OnCancel on_cancel) noexcept {
  on_cancel = std::max(on_cancel, current_->shield_);
  if (on_cancel == wait::OnCancel::ignore) return WakeReason::event;
  if (on_cancel == wait::OnCancel::tell) take_cancel();
  leave_interrupt();
  return WakeReason::cancel;
}

bool FiberScheduler::yield() noexcept {
  let_others_run();
  return !take_cancel();
}

bool FiberScheduler::take_cancel() noexcept {
  FiberCore& fiber = *current_;
  if (fiber.shield_ == wait::OnCancel::ignore) return false;
  const bool late = fiber.limit_ != nullptr && base::remaining(nearest_limit(fiber)) == 0;
  if (!fiber.cancelled_ && !late) return false;
  if (fiber.shield_ == wait::OnCancel::keep) return true;
  if (fiber.cancelled_)
    tell_of_cancel(fiber);
  else
    tell_of_limit(fiber);
  return true;
}

void FiberScheduler::let_others_run() noexcept {
  FiberCore& fiber = *current_;
  make_runnable(fiber);
  fiber.context_.switch_to(context_);
}

void FiberScheduler::wake_here(FiberCore& fiber) noexcept {
  if (fiber.state_ == FiberCore::State::parked) {
    if (fiber.timer_ != FiberCore::kNoTimer) remove_timer(fiber);
    make_runnable(fiber);
  } else if (fiber.state_ != FiberCore::State::ended) {
    fiber.permit_ = true;
  }
}

void FiberScheduler::wake(FiberCore& fiber) noexcept {
  if (here() == this)
    wake_here(fiber);
  else
    post(fiber, false);
}

void FiberScheduler::request_stop(FiberCore& fiber) noexcept {
  const std::stop_source stop = [&] {
    const std::lock_guard lock(mutex_);
    fiber.stopped_ = true;
    return fiber.stop_;
  }();
  // The callbacks may do anything, so no lock is held.
  if (stop.stop_possible()) stop.request_stop();
}

std::stop_token FiberScheduler::stop_token() {
  const std::lock_guard lock(mutex_);
  FiberCore& fiber = *current_;
  if (!fiber.stop_.stop_possible()) {
    fiber.stop_ = std::stop_source();
    if (fiber.stopped_) fiber.stop_.request_stop();
  }
  return fiber.stop_.get_token();
}

void FiberScheduler::cancel(FiberCore& fiber) noexcept {
  if (is_of_parent()) return;
  // The callbacks may release the fiber and this scheduler.
  const std::shared_ptr<FiberCore> held = fiber.shared_from_this();
  request_stop(fiber);
  if (is_of_parent()) return;
  if (here() != this) return post(fiber, true);
  cancel_here(fiber);
}

/// Cancels a fiber, except for its stop token.
void FiberScheduler::cancel_here(FiberCore& fiber) noexcept {
  if (fiber.state_ == FiberCore::State::ended || (ending_ && &fiber == main_)) return;
  fiber.cancelled_ = true;
  if (fiber.state_ == FiberCore::State::parked) wake_here(fiber);
}

// --- timers ---

void FiberScheduler::place_timer(std::size_t index, FiberCore* fiber) noexcept {
  timers_[index] = fiber;
  fiber->timer_ = static_cast<std::uint32_t>(index);
}

/// Moves the timer at `index` up or down to where it belongs.
void FiberScheduler::sift_timer(std::size_t index) noexcept {
  FiberCore* const fiber = timers_[index];
  while (index > 0) {
    const std::size_t parent = (index - 1) / 2;
    if (timers_[parent]->deadline_ <= fiber->deadline_) break;
    place_timer(index, timers_[parent]);
    index = parent;
  }
  for (;;) {
    std::size_t child = 2 * index + 1;
    if (child >= timers_.size()) break;
    if (child + 1 < timers_.size() && timers_[child + 1]->deadline_ < timers_[child]->deadline_)
      ++child;
    if (fiber->deadline_ <= timers_[child]->deadline_) break;
    place_timer(index, timers_[child]);
    index = child;
  }
  place_timer(index, fiber);
}

void FiberScheduler::add_timer(FiberCore& fiber) noexcept {
  timers_.push_back(&fiber);
  sift_timer(timers_.size() - 1);
}

void FiberScheduler::remove_timer(FiberCore& fiber) noexcept {
  const std::size_t index = std::exchange(fiber.timer_, FiberCore::kNoTimer);
  FiberCore* const last = timers_.back();
  timers_.pop_back();
  if (last == &fiber) return;
  place_timer(index, last);
  sift_timer(index);
}

void FiberScheduler::fire_timers() noexcept {
  while (!timers_.empty()) {
    FiberCore& fiber = *timers_.front();
    if (base::remaining(fiber.deadline_) != 0) return;
    fiber.timed_out_ = true;
    wake_here(fiber);
  }
}

}  // namespace plug::detail::fiber
