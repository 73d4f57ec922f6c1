#include "wait/offload.hpp"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <deque>
#include <mutex>

#include "base/process_local.hpp"
#include "wait/io_driver.hpp"

namespace plug::detail::wait {

/// The helper threads of one process and their work. A forked child makes new Helpers, because its
/// parent's threads, and the locks that they hold, are of no use there.
class Helpers {
 public:
  explicit Helpers(Helpers* parents) noexcept : parents_(parents) {}

  /// Returns the helpers of this process.
  static Helpers& current();

  /// Queues the job. Returns 0, or -errno if there is no thread to run it.
  long submit(std::shared_ptr<Job> job, void (*tell)(void*) noexcept, void* waiting);

  /// Withdraws the caller's interest in the job.
  void withdraw(const std::shared_ptr<Job>& job) noexcept;

  bool done(const Job& job) noexcept {
    const std::lock_guard lock(mutex_);
    return job.done_;
  }

 private:
  /// A thread's relation to the helpers.
  struct Serving {
    Helpers* helpers = nullptr;  // the ones that this thread belongs to
    std::size_t waits = 0;       // how many of their jobs it waits for
  };

  static void main(void* self) noexcept { static_cast<Helpers*>(self)->serve(); }
  void serve() noexcept;
  bool is_helper() const noexcept { return serving_.helpers == this; }
  bool is_any() const noexcept { return !queue_.empty() || !urgent_.empty(); }
  std::shared_ptr<Job> take() noexcept;
  void waits_no_more() noexcept;

  static constinit thread_local Serving serving_;

  const base::ForkGuard fork_guard_;
  // Keeps the parent's helpers reachable for leak checkers.
  [[maybe_unused]] Helpers* const parents_;
  std::mutex mutex_;
  std::condition_variable work_;
  std::deque<std::shared_ptr<Job>> queue_;
  std::deque<std::shared_ptr<Job>> urgent_;  // jobs that helpers wait for
  std::size_t threads_ = 0;
  std::size_t busy_ = 0;     // threads that run a job
  std::size_t waiting_ = 0;  // threads that wait for other jobs
};

constinit thread_local Helpers::Serving Helpers::serving_;

Helpers& Helpers::current() {
  static constinit std::atomic<Helpers*> latest{nullptr};
  Helpers* seen = latest.load(std::memory_order_acquire);
  if (seen != nullptr && !seen->fork_guard_.is_of_parent()) return *seen;
  // A helper may still run when the library that contains this code is unloaded.
  sys::keep_loaded();
  auto made = std::make_unique<Helpers>(seen);
  if (latest.compare_exchange_strong(seen, made.get())) return *made.release();
  return *seen;
}

long Helpers::submit(std::shared_ptr<Job> job, void (*tell)(void*) noexcept, void* waiting) {
  const std::lock_guard lock(mutex_);
  job->tell_ = tell;
  job->waiting_ = waiting;
  std::deque<std::shared_ptr<Job>>& queue = is_helper() ? urgent_ : queue_;
  queue.push_back(std::move(job));
  if (is_helper() && serving_.waits++ == 0) ++waiting_;
  if (threads_ - busy_ < queue_.size() + urgent_.size() && threads_ - waiting_ < kMostHelpers) {
    const long started = sys::start_thread(&Helpers::main, this);
    if (started == 0) {
      ++threads_;
    } else if (threads_ == waiting_) {
      queue.pop_back();
      waits_no_more();
      return started;
    }
  }
  work_.notify_one();
  return 0;
}

/// Ends the wait for one job, if the caller is a helper.
void Helpers::waits_no_more() noexcept {
  if (is_helper() && --serving_.waits == 0) --waiting_;
}

std::shared_ptr<Job> Helpers::take() noexcept {
  std::deque<std::shared_ptr<Job>>& queue = urgent_.empty() ? queue_ : urgent_;
  std::shared_ptr<Job> job = std::move(queue.front());
  queue.pop_front();
  return job;
}

void Helpers::withdraw(const std::shared_ptr<Job>& job) noexcept {
  if (fork_guard_.is_of_parent()) return;
  const std::lock_guard lock(mutex_);
  job->tell_ = nullptr;
  std::deque<std::shared_ptr<Job>>& queue = is_helper() ? urgent_ : queue_;
  if (const auto at = std::find(queue.begin(), queue.end(), job); at != queue.end())
    queue.erase(at);
  waits_no_more();
}

void Helpers::serve() noexcept {
  serving_.helpers = this;
  std::unique_lock lock(mutex_);
  // A helper that has waited may find enough others running now, and ends.
  while (threads_ - waiting_ <= kMostHelpers &&
         work_.wait_for(lock, kHelperIdle, [this] { return is_any(); })) {
    std::shared_ptr<Job> job = take();
    ++busy_;
    lock.unlock();
    job->run();
    lock.lock();
    --busy_;
    job->done_ = true;
    if (job->tell_ != nullptr) job->tell_(job->waiting_);
    lock.unlock();
    job.reset();
    lock.lock();
  }
  --threads_;
}

Offloaded::Offloaded(std::shared_ptr<Job> job, void (*tell)(void*) noexcept, void* waiting)
    : job_(std::move(job)),
      helpers_(Helpers::current()),
      error_(helpers_.submit(job_, tell, waiting)) {}

Offloaded::~Offloaded() {
  if (error_ == 0) helpers_.withdraw(job_);
}

bool Offloaded::done() const noexcept { return helpers_.done(*job_); }

long offload(std::shared_ptr<Job> job, Deadline deadline) {
  const long made = sys::eventfd();
  if (made < 0) return made;
  sys::OwnFd event(static_cast<int>(made));
  const auto tell = [](void* it) noexcept { sys::eventfd_add(*static_cast<sys::OwnFd*>(it)); };
  const Offloaded offloaded(std::move(job), tell, &event);
  if (offloaded.error() < 0) return offloaded.error();
  sys::PollEntry entry{event.get(), sys::kIn, 0};
  const long ready = wait_any({&entry, 1}, deadline);
  return ready > 0 ? 0 : ready == 0 ? base::kTimedOut : ready;
}

}  // namespace plug::detail::wait
