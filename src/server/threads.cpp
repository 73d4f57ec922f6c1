// The threads of ThreadingMixIn, and the parts that the pool shares with them.

#include "server/threads.hpp"

#include <plug/error.hpp>
#include <plug/socketserver.hpp>

#include <array>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "server/access.hpp"
#include "server/admission.hpp"
#include "server/fork.hpp"
#include "server/loop.hpp"
#include "server/report.hpp"
#include "sys/process.hpp"
#include "wait/io_driver.hpp"

namespace plug::detail::server {

namespace {

constexpr std::int64_t kLookAgain = 1'000'000;  // nanoseconds

sys::OwnFd event_or_none() noexcept {
  const long made = sys::eventfd();
  return sys::OwnFd(made < 0 ? -1 : static_cast<int>(made));
}

}  // namespace

// --- changes ---

Changes::Watcher::Watcher(Changes& changes, std::unique_lock<std::mutex>& lock) noexcept
    : changes_(changes), lock_(lock), event_(event_or_none()) {
  changes_.waiting_.push_front(*this);
}

Changes::Watcher::~Watcher() {
  if (!lock_.owns_lock()) lock_.lock();
  changes_.waiting_.remove(*this);
}

void Changes::Watcher::wait(const char* what, int also) {
  lock_.unlock();
  std::array entries{sys::PollEntry{event_.get(), sys::kIn, 0}, sys::PollEntry{also, sys::kIn, 0}};
  // Without a descriptor, check now and then.
  const long ready = wait::wait_any(
      entries, event_.get() < 0 ? base::deadline_after(kLookAgain) : Deadline::none());
  if (ready < 0) throw_if(base::error_from(ready), what);
  if (entries[0].revents != 0) sys::eventfd_drain(event_);
  lock_.lock();
}

void Changes::tell() const noexcept {
  for (const Watcher& waiting : waiting_)
    if (waiting.event_.get() >= 0) sys::eventfd_add(waiting.event_);
}

// --- threads ---

void* ThreadList::main(void* given) {
  Thread& thread = *static_cast<Thread*>(given);
  class Ended {
   public:
    explicit Ended(Thread& thread) noexcept : thread_(thread) {}
    Ended(const Ended&) = delete;
    Ended& operator=(const Ended&) = delete;
    ~Ended() {
      thread_.let_go();
      thread_.list_->ended(thread_);
    }

   private:
    Thread& thread_;
  };
  const Ended ended(thread);
  thread.run();
  return nullptr;
}

void ThreadList::ended(Thread& thread) noexcept {
  const std::lock_guard lock(mutex);
  thread.leave();
  running_.remove(thread);
  done_.push_front(thread);
  changes.tell();
}

long ThreadList::start(std::unique_ptr<Thread>& thread) noexcept {
  thread->list_ = this;
  running_.push_front(*thread);
  const long begun = sys::start_joined_thread(&main, thread.get(), thread->thread_);
  if (begun < 0) {
    running_.remove(*thread);
    return begun;
  }
  // The list owns the thread, which enters no other list before the mutex is free.
  static_cast<void>(thread.release());
  return 0;
}

void ThreadList::collect(bool wait_for_exit) noexcept {
  IntrusiveList<Thread> ready;
  {
    const std::lock_guard lock(mutex);
    std::swap(ready, done_);
  }
  while (Thread* const thread = ready.pop_front()) {
    if (sys::join_thread(thread->thread_, wait_for_exit) == 0) {
      delete thread;
    } else {
      const std::lock_guard lock(mutex);
      done_.push_front(*thread);
    }
  }
}

void ThreadList::end() noexcept {
  const wait::Shield shield(wait::OnCancel::ignore);
  for (;;) {
    try {
      std::unique_lock lock(mutex);
      Changes::Watcher waiting(changes, lock);
      while (any_runs()) waiting.wait("ending the threads of a server");
      break;
    } catch (...) {
      // There was no memory for the wait.
      static_cast<void>(AcceptPause::rest());
    }
  }
  collect(true);
}

}  // namespace plug::detail::server

namespace plug::detail {

// --- those of ThreadingMixIn ---

struct HandlerThreads::Impl {
  /// A thread and its request.
  class Handler final : public server::ThreadList::Thread {
   public:
    Handler(Impl& owner, BaseServer& server, Main function, const Address& from, bool waited)
        : owner_(owner), server_(server), main_(function), client_address_(from), waited_(waited) {}

    Request request;

   private:
    void run() override;
    void let_go() noexcept override { request = Request(); }
    void leave() noexcept override {
      if (waited_) --owner_.waited;
    }

    Impl& owner_;
    BaseServer& server_;
    const Main main_;
    const Address client_address_;
    const bool waited_;
  };

  server::ThreadList threads;
  std::size_t waited = 0;  // running threads that join() waits for
  const base::ForkGuard fork_guard;
  static thread_local const Impl* here;  // the threads that this one belongs to
};

thread_local const HandlerThreads::Impl* HandlerThreads::Impl::here = nullptr;

void HandlerThreads::Impl::Handler::run() {
  here = &owner_;
  try {
    main_(server_, request, client_address_);
  } catch (const sys::ForcedUnwind&) {
    throw;
  } catch (const BaseException&) {
    // The exception was to end this thread, which has ended.
  } catch (...) {
    server::report_request_exception("Exception in the thread of the request from",
                                     client_address_);
  }
}

HandlerThreads::HandlerThreads() : impl_(std::make_unique<Impl>()) {}
HandlerThreads::~HandlerThreads() { end(); }

void HandlerThreads::leave_to_parent() {
  if (server::left_to_parent(impl_)) impl_ = std::make_unique<Impl>();
}

void HandlerThreads::start(BaseServer& server, Main main, Request& request,
                           const Address& client_address, bool waited) {
  leave_to_parent();
  collect();
  server::count_if_new(server::ServerAccess::loop(server).requests(), request);
  auto handler = std::make_unique<Impl::Handler>(*impl_, server, main, client_address, waited);
  Request& its = handler->request;
  its = std::move(request);
  std::unique_ptr<server::ThreadList::Thread> thread = std::move(handler);
  std::unique_lock lock(impl_->threads.mutex);
  if (waited) ++impl_->waited;
  const long begun = impl_->threads.start(thread);
  if (begun == 0) return;
  if (waited) --impl_->waited;
  lock.unlock();
  request = std::move(its);
  throw RuntimeError("can't start new thread: " + base::error_from(begun).message());
}

void HandlerThreads::collect() noexcept {
  // The server's loop does not wait for a thread that is leaving the system, and joins it later.
  if (!impl_->fork_guard.is_of_parent()) impl_->threads.collect(false);
}

void HandlerThreads::join() {
  leave_to_parent();
  if (Impl::here == impl_.get()) throw RuntimeError("cannot join current thread");
  {
    std::unique_lock lock(impl_->threads.mutex);
    server::Changes::Watcher waiting(impl_->threads.changes, lock);
    while (impl_->waited > 0) waiting.wait("waiting for the threads of a server");
  }
  impl_->threads.collect(true);
}

void HandlerThreads::end() noexcept {
  if (impl_ == nullptr || server::left_to_parent(impl_)) return;
  impl_->threads.end();
  impl_.reset();
}

}  // namespace plug::detail
