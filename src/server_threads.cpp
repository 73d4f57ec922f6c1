// The threads of ThreadingMixIn.

#include <plug/error.hpp>
#include <plug/socketserver.hpp>

#include <array>
#include <atomic>
#include <memory>
#include <mutex>
#include <string>

#include "server_loop.hpp"
#include "sys/process.hpp"
#include "wait/waiter.hpp"

namespace plug::detail {

namespace {

constexpr std::int64_t kMillisecond = 1'000'000;

}  // namespace

struct HandlerThreads::Impl {
  /// One thread and its request, in one of two lists: running, and then ended.
  struct Node {
    Node(Impl& threads, BaseServer& by, Main function, Request& given, const Address& from,
         bool wait)
        : owner(threads),
          server(by),
          main(function),
          request(std::move(given)),
          client_address(from),
          waited(wait) {}

    Impl& owner;
    BaseServer& server;
    const Main main;
    Request request;
    const Address client_address;
    const bool waited;
    unsigned long thread = 0;
    std::atomic<bool> started{false};  // `thread` is there
    Node* previous = nullptr;
    Node* next = nullptr;
  };

  class List {
   public:
    // NOLINTNEXTLINE(clang-analyzer-cplusplus.NewDelete): what is freed has been removed
    Node* first() const noexcept { return first_; }
    void add(Node& node) noexcept {
      node.previous = nullptr;
      node.next = first_;
      // NOLINTNEXTLINE(clang-analyzer-cplusplus.NewDelete): what is freed has been removed
      if (first_ != nullptr) first_->previous = &node;
      first_ = &node;
    }
    void remove(Node& node) noexcept {
      (node.previous != nullptr ? node.previous->next : first_) = node.next;
      if (node.next != nullptr) node.next->previous = node.previous;
    }

   private:
    Node* first_ = nullptr;
  };

  static void* run(void* given);
  void ended(Node& node) noexcept;
  void wait(bool all);
  void collect(bool wait_for_exit) noexcept;

  std::mutex mutex;
  List running;
  List done;
  std::size_t waited_count = 0;  // of those that run
  int event = -1;                // of whoever waits until threads end
  const std::uint32_t generation = sys::fork_generation();
  static thread_local const Impl* here;  // whose thread this is
};

thread_local const HandlerThreads::Impl* HandlerThreads::Impl::here = nullptr;

void* HandlerThreads::Impl::run(void* given) {
  Node& node = *static_cast<Node*>(given);
  class Ended {
   public:
    explicit Ended(Node& node) noexcept : node_(node) { here = &node.owner; }
    Ended(const Ended&) = delete;
    Ended& operator=(const Ended&) = delete;
    ~Ended() {
      node_.request = Request();
      node_.owner.ended(node_);
    }

   private:
    Node& node_;
  };
  const Ended ended(node);
  try {
    node.main(node.server, node.request, node.client_address);
  } catch (const sys::ForcedUnwind&) {
    throw;
  } catch (const BaseException&) {
    // It ends this thread, which it has done.
  } catch (...) {
    report_exception("Exception in the thread of the request from", node.client_address);
  }
  return nullptr;
}

void HandlerThreads::Impl::ended(Node& node) noexcept {
  const std::lock_guard lock(mutex);
  running.remove(node);
  done.add(node);
  if (node.waited) --waited_count;
  if (event >= 0) sys::eventfd_add(event);
}

/// Waits until no thread runs that is waited for, or none at all.
void HandlerThreads::Impl::wait(bool all) {
  const long made = sys::eventfd();
  const sys::OwnFd own(made < 0 ? -1 : static_cast<int>(made));
  for (;;) {
    {
      const std::lock_guard lock(mutex);
      if (all ? running.first() == nullptr : waited_count == 0) {
        event = -1;
        return;
      }
      event = own.get();
    }
    std::array entries{sys::PollEntry{own.get(), sys::kIn, 0}};
    // Without a descriptor to spare it has to look now and then.
    const long ready = own.get() < 0 ? wait_any({}, Deadline::after(kMillisecond))
                                     : wait_any(entries, Deadline::none());
    if (ready < 0) throw_if(error_from(ready), "waiting for the threads of a server");
    if (own.get() >= 0) sys::eventfd_drain(own.get());
  }
}

HandlerThreads::HandlerThreads() : impl_(std::make_unique<Impl>()) {}
HandlerThreads::~HandlerThreads() { end(); }

void HandlerThreads::leave_to_parent() {
  if (left_to_parent(impl_)) impl_ = std::make_unique<Impl>();
}

void HandlerThreads::start(BaseServer& server, Main main, Request& request,
                           const Address& client_address, bool waited) {
  leave_to_parent();
  collect();
  ServerAccess::loop(server).admit(request, client_address);
  auto node = std::make_unique<Impl::Node>(*impl_, server, main, request, client_address, waited);
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->running.add(*node);
    if (waited) ++impl_->waited_count;
  }
  const long begun = sys::start_joined_thread(Impl::run, node.get(), node->thread);
  if (begun < 0) {
    request = std::move(node->request);
    const std::lock_guard lock(impl_->mutex);
    impl_->running.remove(*node);
    if (waited) --impl_->waited_count;
    throw RuntimeError("can't start new thread: " + error_from(begun).message());
  }
  node.release()->started.store(true, std::memory_order_release);
}

/// A thread that is done may still be on its way out of the system. The server's loop does not wait
/// for that, and finds it ended later.
void HandlerThreads::Impl::collect(bool wait_for_exit) noexcept {
  List ready;
  {
    const std::lock_guard lock(mutex);
    for (Node* node = done.first(); node != nullptr;) {
      Node* const next = node->next;
      if (node->started.load(std::memory_order_acquire)) {
        done.remove(*node);
        ready.add(*node);
      }
      node = next;
    }
  }
  while (Node* const node = ready.first()) {
    ready.remove(*node);
    if (sys::join_thread(node->thread, wait_for_exit) == 0) {
      delete node;
    } else {
      const std::lock_guard lock(mutex);
      done.add(*node);
    }
  }
}

void HandlerThreads::collect() noexcept {
  if (impl_->generation == sys::fork_generation()) impl_->collect(false);
}

void HandlerThreads::join() {
  leave_to_parent();
  if (Impl::here == impl_.get()) throw RuntimeError("cannot join current thread");
  impl_->wait(false);
  impl_->collect(true);
}

void HandlerThreads::end() noexcept {
  if (impl_ == nullptr || left_to_parent(impl_)) return;
  try {
    impl_->wait(true);
  } catch (...) {
    // From the interrupt hook. Nothing else can be done than to wait on.
    return end();
  }
  while (impl_->done.first() != nullptr) impl_->collect(true);
  impl_.reset();
}

}  // namespace plug::detail
