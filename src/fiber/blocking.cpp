// Waits that no readiness of a descriptor describes: blocking calls, and the end of a child
// process.

#include <plug/fiber/fiber.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <exception>
#include <memory>
#include <string>

#include "base/result.hpp"
#include "base/throwing.hpp"
#include "fiber/scheduler.hpp"
#include "sys/process.hpp"
#include "wait/offload.hpp"
#include "wait/wait_queue.hpp"

namespace plug {

namespace detail {

void HelperCall::run() {
  class CallJob final : public wait::Job {
   public:
    explicit CallJob(HelperCall& made) noexcept : made_(made) {}
    void run() noexcept override {
      try {
        made_.call();
      } catch (...) {
        thrown = std::current_exception();
      }
    }
    std::exception_ptr thrown;

   private:
    HelperCall& made_;
  };
  if (fiber::FiberScheduler::here()->take_cancel())
    throw_if(base::error_from(base::kCancelled), "offload");
  const auto job = std::make_shared<CallJob>(*this);
  wait::WaitNode node;
  const auto tell = [](void* it) noexcept { static_cast<wait::WaitNode*>(it)->wake(); };
  const wait::Offloaded offloaded(job, tell, &node);
  if (offloaded.error() < 0) throw_if(base::error_from(offloaded.error()), "offload");
  {
    const wait::Shield shield(wait::OnCancel::ignore);
    while (!offloaded.done()) node.sleep(Deadline::none(), "offload");
  }
  if (job->thrown) std::rethrow_exception(job->thrown);
}

}  // namespace detail

namespace fiber {
namespace sys = detail::sys;

int wait_process(int pid, const Timeout& timeout, std::error_code& error) {
  constexpr std::int64_t kLookAgain = 5'000'000;  // nanoseconds
  const Deadline deadline = detail::base::deadline_after(timeout);
  long result = pid > 0 ? 0 : -EINVAL;
  long made = -1;
  sys::OwnFd process;
  while (result == 0) {
    int code = 0;
    result = sys::reap(pid, code);
    if (result > 0) {
      error.clear();
      return code;
    }
    if (result < 0) break;
    if (detail::base::remaining(deadline) == 0) {
      result = detail::base::kTimedOut;
      break;
    }
    if (made < 0) {
      made = sys::pidfd(pid);
      process = sys::OwnFd(made < 0 ? -1 : static_cast<int>(made));
    }
    // Without a pidfd, check now and then.
    std::array entries{sys::PollEntry{process.get(), sys::kIn, 0}};
    const long ready = made < 0
                           ? detail::wait::wait_any(
                                 {}, std::min(deadline, detail::base::deadline_after(kLookAgain)))
                           : detail::wait::wait_any(entries, deadline);
    if (ready < 0) result = ready;
  }
  error = detail::base::error_from(result);
  return 0;
}

int wait_process(int pid, const Timeout& timeout) {
  if (pid <= 0) throw ValueError("wait_process: pid " + std::to_string(pid) + " is not above zero");
  return detail::base::throwing(
      [&](std::error_code& error) { return wait_process(pid, timeout, error); },
      [&] { return "pid " + std::to_string(pid); });
}

}  // namespace fiber
}  // namespace plug
