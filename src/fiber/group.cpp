#include "fiber/group.hpp"

#include <plug/group.hpp>

#include <algorithm>
#include <exception>
#include <string>
#include <utility>

#include "base/report.hpp"

namespace plug {

namespace detail::fiber {

// --- groups ---

void FiberGroup::mark_ending(ChildRef child) noexcept {
  ending_.splice(ending_.end(), child->ending ? ending_ : running_, child);
  child->ending = true;
}

FiberGroup::ChildRef FiberGroup::add() {
  const std::lock_guard lock(mutex_);
  return ending_.insert(ending_.end(), {nullptr, true});
}

void FiberGroup::remove(ChildRef child) noexcept {
  const std::lock_guard lock(mutex_);
  (child->ending ? ending_ : running_).erase(child);
  if (empty()) waiting_.wake_all();
}

void FiberGroup::started(ChildRef child, const std::shared_ptr<FiberCore>& fiber) noexcept {
  {
    const std::lock_guard lock(mutex_);
    child->fiber = fiber;
    if (!cancelled_) {
      running_.splice(running_.end(), ending_, child);
      child->ending = false;
      return;
    }
  }
  fiber->owner->cancel(*fiber);
}

void FiberGroup::ended(ChildRef child, const std::shared_ptr<FiberOutcome>& outcome,
                       bool failed) noexcept {
  if (is_of_parent()) return;
  if (failed) {
    bool first = false;
    {
      const std::lock_guard lock(mutex_);
      first = !failed_;
      if (first) failed_ = outcome;
      if (first && body_ != nullptr) {
        limit_of_body_->failed.store(true);
        body_->owner->wake(*body_);
      }
      mark_ending(child);
    }
    if (first) cancel();
  }
  remove(child);
}

void FiberGroup::cancel() noexcept {
  if (is_of_parent()) return;
  for (;;) {
    std::shared_ptr<FiberCore> fiber;
    {
      const std::lock_guard lock(mutex_);
      cancelled_ = true;
      if (running_.empty()) return;
      fiber = running_.front().fiber;
      mark_ending(running_.begin());
    }
    // The callbacks of the stop token may do anything, so no lock is held.
    fiber->owner->cancel(*fiber);
  }
}

void FiberGroup::check_wait() {
  const FiberScheduler* const here = FiberScheduler::here();
  if (here == nullptr || is_of_parent()) return;
  const FiberCore* const caller = here->current_or_null();
  const auto is_caller = [caller](const Child& child) { return child.fiber.get() == caller; };
  const std::lock_guard lock(mutex_);
  if (std::any_of(running_.begin(), running_.end(), is_caller) ||
      std::any_of(ending_.begin(), ending_.end(), is_caller))
    throw RuntimeError("TaskGroup::wait: called by one of the group's own fibers");
}

wait::Waited FiberGroup::wait(wait::WaitNode& node, wait::OnCancel on_cancel) noexcept {
  if (is_of_parent()) return wait::Waited::handed;
  wait::Waited waited = wait::Waited::handed;
  std::unique_lock lock(mutex_);
  while (!empty() && waited == wait::Waited::handed)
    waited = wait::wait_in(waiting_, node, lock, Deadline::none(), "TaskGroup::wait", on_cancel);
  return waited;
}

void FiberGroup::end() noexcept {
  cancel();
  wait::WaitNode node;
  wait(node, wait::OnCancel::ignore);
}

bool FiberGroup::has_failed() noexcept {
  const std::lock_guard lock(mutex_);
  return failed_ != nullptr;
}

std::shared_ptr<FiberOutcome> FiberGroup::finish() noexcept {
  if (is_of_parent()) return nullptr;
  const std::lock_guard lock(mutex_);
  cancelled_ = false;
  return std::exchange(failed_, nullptr);
}

FiberGroup::Body::Body(FiberGroup& group) : group_(group) {
  FiberScheduler& scheduler = scheduler_here("task_group");
  scheduler.enter(limit_);
  const std::lock_guard lock(group_.mutex_);
  group_.body_ = &scheduler.current();
  group_.limit_of_body_ = &limit_;
}

FiberGroup::Body::~Body() {
  FiberScheduler* const scheduler = FiberScheduler::here();
  if (scheduler == nullptr) return;
  {
    const std::lock_guard lock(group_.mutex_);
    group_.body_ = nullptr;
  }
  scheduler->leave(limit_);
}

bool FiberGroup::Body::has_ended() noexcept {
  FiberScheduler* const scheduler = FiberScheduler::here();
  return scheduler != nullptr && scheduler->ended_by(limit_);
}

}  // namespace detail::fiber

namespace detail {

// --- time limits ---

TimeLimit::TimeLimit(const Timeout& time)
    : time_(time), limit_(std::make_unique<fiber::FiberLimit>(base::deadline_after(time))) {
  fiber::FiberScheduler* const scheduler = fiber::FiberScheduler::here();
  if (scheduler == nullptr) throw RuntimeError("timeout: not in a fiber");
  scheduler->enter(*limit_);
}

// In the child, a fiber that has forked continues without limits.

TimeLimit::~TimeLimit() {
  if (fiber::FiberScheduler* const scheduler = fiber::FiberScheduler::here())
    scheduler->leave(*limit_);
}

void TimeLimit::throw_if_reached() {
  fiber::FiberScheduler* const scheduler = fiber::FiberScheduler::here();
  if (scheduler != nullptr && scheduler->ended_by(*limit_))
    throw_if(timed_out(), "timeout of " + to_string(time_) + " seconds");
}

}  // namespace detail

namespace {

void report(const std::exception_ptr& thrown) noexcept {
  try {
    std::rethrow_exception(thrown);
  } catch (...) {
    detail::base::report_exception("Exception in the body of a task group");
  }
}

}  // namespace

TaskGroup::TaskGroup()
    : group_(std::make_unique<detail::fiber::FiberGroup>()),
      exceptions_(std::uncaught_exceptions()) {}

TaskGroup::~TaskGroup() {
  detail::wait::WaitNode node;
  if (std::uncaught_exceptions() > exceptions_ ||
      group_->wait(node, detail::wait::OnCancel::keep) != detail::wait::Waited::handed)
    group_->end();
}

void TaskGroup::wait() {
  group_->check_wait();
  detail::wait::WaitNode node;
  const detail::wait::Waited waited = group_->wait(node, detail::wait::OnCancel::tell);
  if (waited != detail::wait::Waited::handed) group_->end();
  const std::shared_ptr<detail::FiberOutcome> failed = group_->finish();
  if (handed_or_thrown(waited, node) && failed) failed->rethrow();
}

void TaskGroup::run(void (*body)(void*), void* argument) {
  std::exception_ptr thrown;
  bool is_error = false;  // an exception other than a cancellation
  bool late = false;      // thrown after a child had failed
  bool cancelled = false;
  {
    detail::fiber::FiberGroup::Body scope(*group_);
    try {
      body(argument);
      detail::wait::WaitNode node;
      handed_or_thrown(group_->wait(node, detail::wait::OnCancel::tell), node);
    } catch (const CancelledError&) {
      if (!scope.has_ended()) thrown = std::current_exception();
    } catch (...) {
      thrown = std::current_exception();
      is_error = true;
    }
    late = group_->has_failed();
    group_->end();
    cancelled = scope.is_cancelled();
  }
  const std::shared_ptr<detail::FiberOutcome> failed = group_->finish();
  if (failed && (late || !is_error)) {
    if (is_error) report(thrown);
    // The caller catches the child's error, and its next wait delivers the cancellation.
    if (cancelled) detail::fiber::scheduler_here("task_group").tell_again();
    failed->rethrow();
  }
  if (thrown) std::rethrow_exception(thrown);
}

void TaskGroup::cancel() noexcept { group_->cancel(); }

}  // namespace plug
