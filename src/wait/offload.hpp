#pragma once

// Runs work that no readiness event describes and nothing can interrupt, such as a lookup in libc,
// on helper threads. The caller waits for it as for everything else: through the driver, with a
// deadline.
//
// At most kMostHelpers threads work at once; further work is queued. A helper that waits for other
// offloaded work does not count meanwhile, and that work goes first: otherwise all helpers could
// wait for work that no thread is left to do. Helpers are started on demand, end after kHelperIdle
// without work, and block all signals except faults. Nothing here is ever destroyed, so work may
// still run while the process exits. A forked child begins without helpers. A shared library that
// has started helpers is never unloaded.

#include <chrono>
#include <exception>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include "base/deadline.hpp"

#include "sys/for_fiber.hpp"

namespace plug::detail::wait {

inline constexpr int kMostHelpers = 16;
inline constexpr std::chrono::seconds kHelperIdle{4};

class Job {
 public:
  virtual ~Job() = default;
  virtual void run() noexcept = 0;

 private:
  friend class Helpers;
  void (*tell_)(void* waiting) noexcept = nullptr;  // null if nobody waits
  void* waiting_ = nullptr;
  bool done_ = false;
};

/// Runs a job on a helper for as long as the caller waits for it.
class PLUG_FOR_FIBER Offloaded {
 public:
  /// Queues the job. The helper calls tell(waiting) once the job has run; tell() must not block.
  Offloaded(std::shared_ptr<Job> job, void (*tell)(void* waiting) noexcept, void* waiting);
  Offloaded(const Offloaded&) = delete;
  Offloaded& operator=(const Offloaded&) = delete;
  /// Ensures that tell() is not called any more. A job that has not begun never runs; one that is
  /// running continues, and its result is dropped.
  ~Offloaded();

  /// Returns 0, or -errno if there is no thread to run the job.
  long error() const noexcept { return error_; }
  bool done() const noexcept;

 private:
  std::shared_ptr<Job> job_;
  class Helpers& helpers_;
  long error_;
};

/// Runs the job on a helper and blocks until it is done. Returns 0; kTimedOut, -errno, or another
/// error of wait_any() means that the job was dropped: it never runs, or its result is ignored.
long offload(std::shared_ptr<Job> job, Deadline deadline);

/// Runs `call` on a helper and returns its result or rethrows its exception. Returns std::nullopt,
/// with `ended` set to the error of offload(), if the wait ended first. `call` may outlive its
/// caller: it must own copies of everything that it uses.
template <class Call>
std::optional<std::invoke_result_t<Call&>> call_offloaded(Call call, Deadline deadline,
                                                          long& ended) {
  class CallJob final : public Job {
   public:
    explicit CallJob(Call function) : call(std::move(function)) {}
    void run() noexcept override {
      try {
        result.emplace(call());
      } catch (...) {
        thrown = std::current_exception();
      }
    }

    Call call;
    std::optional<std::invoke_result_t<Call&>> result;
    std::exception_ptr thrown;
  };
  const auto job = std::make_shared<CallJob>(std::move(call));
  ended = offload(job, deadline);
  if (ended < 0) return std::nullopt;
  if (job->thrown) std::rethrow_exception(job->thrown);
  return std::move(job->result);
}

}  // namespace plug::detail::wait
