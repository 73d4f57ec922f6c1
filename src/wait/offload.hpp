#pragma once

// Work that no readiness describes and that nothing can interrupt, such as a look-up in libc, done
// by helper threads so that its caller can wait as for everything else: through the waiter, with a
// deadline.
//
// At most kMostHelpers threads work at once; further work waits its turn. One that waits for other
// work of helpers does not count meanwhile, and that work comes first: or as many as there can be
// could wait for what none of them is left to do. They are started when they are needed and end
// after kHelperIdle without work. They take no signals. Nothing of this is ever destroyed, so work
// may be under way while the process ends; a forked child begins without any. A shared library that
// has used them is not unloaded any more.

#include <chrono>
#include <exception>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include "wait/deadline.hpp"

#include "sys/for_fiber.hpp"

namespace plug::detail {

inline constexpr int kMostHelpers = 16;
inline constexpr std::chrono::seconds kHelperIdle{4};

class Job {
 public:
  virtual ~Job() = default;
  virtual void run() noexcept = 0;

 private:
  friend class Helpers;
  void (*tell_)(void* waiting) noexcept = nullptr;  // null when nobody waits
  void* waiting_ = nullptr;
  bool done_ = false;
};

/// A job that a helper runs, for as long as somebody waits for it.
class PLUG_FOR_FIBER Offloaded {
 public:
  /// Has tell(waiting) called once the job has run, by the helper; it must not block.
  Offloaded(std::shared_ptr<Job> job, void (*tell)(void* waiting) noexcept, void* waiting);
  Offloaded(const Offloaded&) = delete;
  Offloaded& operator=(const Offloaded&) = delete;
  /// tell() is not called any more. A job that nobody has begun never runs; one that is under way
  /// goes on, and its end concerns nobody.
  ~Offloaded();

  /// 0, or -errno when there is no thread to run it.
  long error() const noexcept { return error_; }
  bool done() const noexcept;

 private:
  std::shared_ptr<Job> job_;
  class Helpers& helpers_;
  long error_;
};

/// Has a helper run the job and waits until it has: 0, kTimedOut, or -errno. Unless that is 0 the
/// job is dropped: it never runs, or its end concerns nobody any more.
long offload(std::shared_ptr<Job> job, Deadline deadline);

/// What `call` returns or throws, called by a helper; std::nullopt with `ended` set as offload()
/// says. What `call` refers to must outlive the caller: it holds copies of its own.
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

}  // namespace plug::detail
