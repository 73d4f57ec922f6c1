// The worker threads of ThreadPoolMixIn: each takes requests from the queue and handles them.

#include <plug/error.hpp>
#include <plug/socketserver.hpp>

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <memory>
#include <mutex>
#include <new>
#include <optional>
#include <utility>

#include "server/access.hpp"
#include "server/admission.hpp"
#include "server/fork.hpp"
#include "server/loop.hpp"
#include "server/report.hpp"
#include "server/threads.hpp"
#include "sys/process.hpp"
#include "wait/io_driver.hpp"

namespace plug::detail {

/// The mutex of `threads` guards all members.
struct HandlerPool::Impl {
  struct Job {
    Request request;
    Address client_address;
  };

  class Worker final : public server::ThreadList::Thread {
   public:
    Worker(Impl& pool, BaseServer& server, Main function) noexcept
        : pool_(pool), server_(server), main_(function) {}

    bool idle = true;     // has no request, or has just been started
    bool counted = true;  // among the pool's workers

   private:
    void run() override;
    void leave() noexcept override { pool_.leave(*this); }

    Impl& pool_;
    BaseServer& server_;
    const Main main_;
  };

  std::optional<Job> next(Worker& worker);
  void handle(Worker& worker, BaseServer& server, Main main, Job& job);
  long start_worker(BaseServer& server, Main main) noexcept;
  void leave(Worker& worker) noexcept;
  void close();

  server::ThreadList threads;       // its changes also tell that the queue has room
  std::condition_variable changed;  // there is a request, or the pool is closing
  std::deque<Job> queue;
  std::deque<Job> dropped;               // made early: a deque allocates when it is constructed
  std::size_t workers = 0;               // workers that take requests
  std::size_t idle = 0;                  // of them: those without a request
  int closing = 0;                       // number of callers that close the pool
  const base::ForkGuard fork_guard;      // of the workers' process
  static thread_local const Impl* here;  // the pool that this thread works for
};

thread_local const HandlerPool::Impl* HandlerPool::Impl::here = nullptr;

/// Waits for a request. Returns nothing if the pool is closing and the queue is empty.
std::optional<HandlerPool::Impl::Job> HandlerPool::Impl::next(Worker& worker) {
  std::unique_lock lock(threads.mutex);
  changed.wait(lock, [this] { return closing > 0 || !queue.empty(); });
  if (queue.empty()) {
    leave(worker);
    return std::nullopt;
  }
  --idle;
  worker.idle = false;
  std::optional<Job> job(std::move(queue.front()));
  queue.pop_front();
  threads.changes.tell();
  return job;
}

void HandlerPool::Impl::handle(Worker& worker, BaseServer& server, Main main, Job& job) {
  /// The worker is busy while this lives, until the request is gone.
  class Busy {
   public:
    Busy(Impl& pool, Worker& busy, Job& handled) : pool_(pool), worker_(busy), job_(handled) {}
    Busy(const Busy&) = delete;
    Busy& operator=(const Busy&) = delete;
    ~Busy() {
      job_.request = Request();
      const std::lock_guard lock(pool_.threads.mutex);
      ++pool_.idle;
      worker_.idle = true;
      pool_.threads.changes.tell();
    }

   private:
    Impl& pool_;
    Worker& worker_;
    Job& job_;
  };
  const Busy busy(*this, worker, job);
  try {
    main(server, job.request, job.client_address);
  } catch (const sys::ForcedUnwind&) {
    throw;
  } catch (const BaseException&) {
    // The exception was to end the request, which has ended.
  } catch (...) {
    server::report_request_exception("Exception in the thread of the request from",
                                     job.client_address);
  }
}

void HandlerPool::Impl::Worker::run() {
  here = &pool_;
  try {
    while (std::optional<Job> job = pool_.next(*this)) pool_.handle(*this, server_, main_, *job);
  } catch (const sys::ForcedUnwind&) {
    // A handler has ended the thread: another one takes over the queue.
    const std::lock_guard lock(pool_.threads.mutex);
    pool_.leave(*this);
    if (pool_.queue.size() > pool_.idle) pool_.start_worker(server_, main_);
    throw;
  }
}

/// Starts a worker. Returns 0 or -errno. The mutex must be held.
long HandlerPool::Impl::start_worker(BaseServer& server, Main main) noexcept {
  std::unique_ptr<server::ThreadList::Thread> worker(new (std::nothrow)
                                                         Worker(*this, server, main));
  if (!worker) return -ENOMEM;
  const long begun = threads.start(worker);
  if (begun < 0) return begun;
  ++workers;
  ++idle;
  return 0;
}

/// Removes a worker, which takes no more requests. The mutex must be held.
void HandlerPool::Impl::leave(Worker& worker) noexcept {
  if (!std::exchange(worker.counted, false)) return;
  --workers;
  if (worker.idle) --idle;
}

HandlerPool::HandlerPool() : impl_(std::make_unique<Impl>()) {}
HandlerPool::~HandlerPool() { end(); }

void HandlerPool::leave_to_parent() {
  if (server::left_to_parent(impl_)) impl_ = std::make_unique<Impl>();
}

void HandlerPool::submit(BaseServer& server, Main main, Request& request,
                         const Address& client_address, const PoolLimits& limits) {
  leave_to_parent();
  Impl& pool = *impl_;
  server::ServerLoop& loop = server::ServerAccess::loop(server);
  const auto most = static_cast<std::size_t>(limits.max_workers > 1 ? limits.max_workers : 1);
  const auto room = static_cast<std::size_t>(limits.max_queue > 0 ? limits.max_queue : 0);
  server::count_if_new(loop.requests(), request);
  pool.threads.collect(false);
  std::unique_lock lock(pool.threads.mutex);
  // Idle workers take requests from the queue at once, so these do not count.
  const auto full = [&] {
    const std::size_t free = pool.idle + (most - std::min(most, pool.workers));
    return pool.queue.size() >= room + free;
  };
  if (full() && limits.when_full == FullQueue::wait) {
    server::Changes::Watcher waiting(pool.threads.changes, lock);
    while (full() && !loop.serving().stopping())
      waiting.wait("waiting for a worker", loop.serving().stop_event());
  }
  if (full()) {
    if (limits.when_full != FullQueue::close_oldest || pool.queue.empty()) {
      lock.unlock();
      server.shutdown_request(request);
      return;
    }
    Impl::Job oldest = std::move(pool.queue.front());
    pool.queue.pop_front();
    lock.unlock();
    try {
      server.shutdown_request(oldest.request);
    } catch (const std::exception&) {
      server::report_request_exception("Exception in closing the request from",
                                       oldest.client_address);
    }
    oldest.request = Request();
    lock.lock();
  }
  if (pool.queue.size() >= pool.idle && pool.workers < most) {
    const long begun = pool.start_worker(server, main);
    if (begun < 0 && pool.workers == 0)
      throw RuntimeError("can't start new thread: " + base::error_from(begun).message());
  }
  pool.queue.push_back({std::move(request), client_address});
  pool.changed.notify_one();
}

/// Blocks until all requests have been handled and the workers have ended.
void HandlerPool::Impl::close() {
  class Closing {
   public:
    explicit Closing(Impl& pool) noexcept : pool_(pool) {
      ++pool_.closing;
      pool_.changed.notify_all();
    }
    Closing(const Closing&) = delete;
    Closing& operator=(const Closing&) = delete;
    ~Closing() { --pool_.closing; }

   private:
    Impl& pool_;
  };
  {
    std::unique_lock lock(threads.mutex);
    const Closing closing_now(*this);
    server::Changes::Watcher waiting(threads.changes, lock);
    while (threads.any_runs()) waiting.wait("waiting for the workers of a server");
  }
  threads.collect(true);
}

void HandlerPool::join() {
  leave_to_parent();
  if (Impl::here == impl_.get()) throw RuntimeError("cannot join current thread");
  impl_->close();
}

void HandlerPool::end() noexcept {
  if (impl_ == nullptr || server::left_to_parent(impl_)) return;
  if (Impl::here == impl_.get()) {
    // A worker that destroys its own server has to leak the pool.
    static_cast<void>(impl_.release());
    return;
  }
  {
    const std::lock_guard lock(impl_->threads.mutex);
    impl_->dropped.swap(impl_->queue);
    ++impl_->closing;
    impl_->changed.notify_all();
  }
  impl_->dropped.clear();
  impl_->threads.end();
  impl_.reset();
}

}  // namespace plug::detail
