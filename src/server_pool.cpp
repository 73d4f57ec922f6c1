// The workers of ThreadPoolMixIn.

#include <plug/error.hpp>
#include <plug/socketserver.hpp>

#include <algorithm>
#include <array>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "server_loop.hpp"
#include "sys/process.hpp"
#include "wait/waiter.hpp"

namespace plug::detail {

namespace {

constexpr std::int64_t kLookAgain = 1'000'000;  // nanoseconds

}  // namespace

struct HandlerPool::Impl {
  struct Job {
    Request request;
    Address client_address;
  };

  void work(BaseServer& server, Main main);
  std::optional<Job> next();
  void handle(BaseServer& server, Main main, Job& job);

  std::mutex mutex;
  std::condition_variable changed;
  std::deque<Job> queue;
  std::vector<std::thread> workers;
  std::size_t idle = 0;     // the workers that have nothing to do, or have just been started
  std::size_t running = 0;  // the workers that have not ended
  bool closing = false;
  const std::uint32_t generation = sys::fork_generation();  // the process whose workers they are
  int room_event = -1;                   // of the loop, while it waits for room in the queue
  int ended_event = -1;                  // of whoever waits for the workers to end
  static thread_local const Impl* here;  // whose worker this is
};

thread_local const HandlerPool::Impl* HandlerPool::Impl::here = nullptr;

/// Waits for a request; none when the pool is closing and the queue is empty.
std::optional<HandlerPool::Impl::Job> HandlerPool::Impl::next() {
  std::unique_lock lock(mutex);
  changed.wait(lock, [this] { return closing || !queue.empty(); });
  --idle;
  if (queue.empty()) return std::nullopt;
  std::optional<Job> job(std::move(queue.front()));
  queue.pop_front();
  if (room_event >= 0) sys::eventfd_add(room_event);
  return job;
}

void HandlerPool::Impl::handle(BaseServer& server, Main main, Job& job) {
  /// The worker is busy for as long as this lives, and until the request is gone.
  class Busy {
   public:
    Busy(Impl& pool, Job& handled) : pool_(pool), job_(handled) {}
    Busy(const Busy&) = delete;
    Busy& operator=(const Busy&) = delete;
    ~Busy() {
      job_.request = Request();
      const std::lock_guard lock(pool_.mutex);
      ++pool_.idle;
      if (pool_.room_event >= 0) sys::eventfd_add(pool_.room_event);
    }

   private:
    Impl& pool_;
    Job& job_;
  };
  const Busy busy(*this, job);
  try {
    main(server, job.request, job.client_address);
  } catch (const sys::ForcedUnwind&) {
    throw;
  } catch (const BaseException&) {
    // It ends the request, which it has done.
  } catch (...) {
    report_exception("Exception in the thread of the request from", job.client_address);
  }
}

void HandlerPool::Impl::work(BaseServer& server, Main main) {
  here = this;
  while (std::optional<Job> job = next()) handle(server, main, *job);
  const std::lock_guard lock(mutex);
  --running;
  if (ended_event >= 0) sys::eventfd_add(ended_event);
}

HandlerPool::HandlerPool() : impl_(std::make_unique<Impl>()) {}
HandlerPool::~HandlerPool() { end(); }

void HandlerPool::leave_to_parent() {
  if (left_to_parent(impl_)) impl_ = std::make_unique<Impl>();
}

void HandlerPool::submit(BaseServer& server, Main main, Request& request,
                         const Address& client_address, const PoolLimits& limits) {
  leave_to_parent();
  Impl& pool = *impl_;
  ServerLoop& loop = ServerAccess::loop(server);
  const auto most = static_cast<std::size_t>(limits.max_workers > 1 ? limits.max_workers : 1);
  const auto room = static_cast<std::size_t>(limits.max_queue > 0 ? limits.max_queue : 0);
  loop.admit(request, client_address);
  sys::OwnFd event;
  std::unique_lock lock(pool.mutex);
  // Idle workers take what is in the queue at once: those are no part of its length.
  const auto full = [&] {
    const std::size_t free = pool.idle + (most - std::min(most, pool.workers.size()));
    return pool.queue.size() >= room + free;
  };
  while (full() && limits.when_full == FullQueue::wait && !loop.stopping()) {
    if (event.get() < 0) {
      const long made = sys::eventfd();
      if (made >= 0) event = sys::OwnFd(static_cast<int>(made));
    }
    pool.room_event = event.get();
    lock.unlock();
    std::array entries{sys::PollEntry{loop.stop_event(), sys::kIn, 0},
                       sys::PollEntry{event.get(), sys::kIn, 0}};
    wait_any(entries, event.get() < 0 ? Deadline::after(kLookAgain) : Deadline::none());
    if (event.get() >= 0) sys::eventfd_drain(event.get());
    lock.lock();
    pool.room_event = -1;
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
      report_exception("Exception in closing the request from", oldest.client_address);
    }
    oldest.request = Request();
    lock.lock();
  }
  if (pool.queue.size() >= pool.idle && pool.workers.size() < most) {
    try {
      pool.workers.emplace_back([&pool, &server, main] { pool.work(server, main); });
      ++pool.idle;
      ++pool.running;
    } catch (const std::system_error& error) {
      if (pool.workers.empty())
        throw RuntimeError(std::string("can't start new thread: ") + error.code().message());
    }
  }
  pool.queue.push_back({std::move(request), client_address});
  pool.changed.notify_one();
}

void HandlerPool::join() {
  leave_to_parent();
  if (Impl::here == impl_.get()) throw RuntimeError("cannot join current thread");
  const long made = sys::eventfd();
  const sys::OwnFd event(made < 0 ? -1 : static_cast<int>(made));
  std::unique_lock lock(impl_->mutex);
  impl_->closing = true;
  impl_->changed.notify_all();
  impl_->ended_event = event.get();
  while (impl_->running > 0) {
    lock.unlock();
    std::array entries{sys::PollEntry{event.get(), sys::kIn, 0}};
    wait_any(entries, event.get() < 0 ? Deadline::after(kLookAgain) : Deadline::none());
    if (event.get() >= 0) sys::eventfd_drain(event.get());
    lock.lock();
  }
  impl_->ended_event = -1;
  impl_->closing = false;
  std::vector<std::thread> ended = std::exchange(impl_->workers, {});
  lock.unlock();
  for (std::thread& worker : ended) worker.join();
}

void HandlerPool::end() noexcept {
  if (impl_ == nullptr || left_to_parent(impl_)) return;
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->queue.clear();
  }
  try {
    join();
  } catch (...) {
    // A worker that destroys its own server can only be left.
  }
}

}  // namespace plug::detail
