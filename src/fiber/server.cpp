// The fibers of FiberMixIn.

#include <plug/error.hpp>
#include <plug/fiber_server.hpp>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "fiber/scheduler.hpp"
#include "fiber/silent.hpp"
#include "fiber/sleeper.hpp"
#include "server_loop.hpp"
#include "sys/process.hpp"

namespace plug::detail {

namespace {

constexpr std::int64_t kLastSecond = 1'000'000'000;  // nanoseconds

}  // namespace

struct HandlerFibers::Impl {
  /// What one scheduler has of the server.
  struct Home {
    std::weak_ptr<Scheduler> scheduler;
    std::shared_ptr<Silent> silent = std::make_shared<Silent>();
    std::size_t all = 0;
    std::size_t waited = 0;  // of them
  };

  /// A request, and the fiber that handles it as soon as there is one.
  struct Node final : RequestEnding, Silent::Connection {
    Node(Impl& fibers, std::shared_ptr<Home> in, BaseServer& by, Main function, Request& given,
         const Address& from, bool wait)
        : owner(fibers),
          home(std::move(in)),
          server(by),
          main(function),
          connection(given.is_datagram() ? nullptr : SocketAccess::state(given.socket())),
          place(ServerAccess::place(given)),
          request(std::move(given)),
          client_address(from),
          waited(wait) {}

    void end_request() noexcept override;
    void speaks() noexcept override;
    void stays_silent() noexcept override;

    Impl& owner;
    const std::shared_ptr<Home> home;
    BaseServer& server;
    const Main main;
    const std::shared_ptr<SocketState> connection;
    std::shared_ptr<const void> place;
    Request request;
    const Address client_address;
    const bool waited;
    std::atomic<bool> told_to_end{false};
    std::atomic<const void*> fiber{nullptr};
    std::optional<fiber::Task<void>> task;
    Node* previous = nullptr;
    Node* next = nullptr;
  };

  const std::shared_ptr<Home>& home_here();
  void add(Node& node) noexcept;
  void remove(Node& node) noexcept;
  void begin(Node& node);
  bool watch(Node& node);
  static void handle(Node& node) noexcept;
  static void over(Node& node) noexcept;
  bool handles_here();
  template <class Done>
  long wait(Done done);
  template <class Done>
  void wait_whatever_happens(Done done) noexcept;
  void end_handlers(const std::shared_ptr<Home>& home) noexcept;
  void drain(const std::shared_ptr<Home>& home);

  std::mutex mutex;
  std::vector<std::shared_ptr<Home>> homes;
  Node* first = nullptr;
  std::size_t all = 0;
  std::size_t waited = 0;  // of them
  SleeperList waiting;
  const std::uint32_t generation = sys::fork_generation();
};

// --- one request ---

void HandlerFibers::Impl::Node::end_request() noexcept {
  if (told_to_end.exchange(true)) return;
  if (connection) connection->end_at(Deadline::after(kLastSecond));
  if (task) task->cancel();
}

void HandlerFibers::Impl::Node::speaks() noexcept {
  try {
    owner.begin(*this);
    return;
  } catch (...) {
    try {
      server.handle_error(request, client_address);
      server.shutdown_request(request);
    } catch (...) {
      report_exception("Exception in the request from", client_address);
    }
  }
  over(*this);
}

void HandlerFibers::Impl::Node::stays_silent() noexcept {
  try {
    server.shutdown_request(request);
  } catch (const BaseException&) {
    // It ends this request, which it has done.
  } catch (...) {
    report_exception("Exception in closing the request from", client_address);
  }
  over(*this);
}

void HandlerFibers::Impl::begin(Node& node) {
  node.task.emplace(
      fiber::spawn("request from " + to_string(node.client_address), [&node] { handle(node); }));
  LiveRequests::set_handler(node.place, &node);
}

bool HandlerFibers::Impl::watch(Node& node) {
  if (!node.connection) return false;
  // What the first call of the handler would have.
  const Deadline deadline = node.connection->deadline();
  return !deadline.is_immediate() &&
         node.home->silent->add(node, node.connection->descriptor, deadline);
}

void HandlerFibers::Impl::handle(Node& node) noexcept {
  node.fiber = caller();
  try {
    node.main(node.server, node.request, node.client_address);
  } catch (const BaseException&) {
    // It ends this fiber, which it has done.
  } catch (...) {
    report_exception("Exception in the fiber of the request from", node.client_address);
  }
  LiveRequests::set_handler(node.place, nullptr);
  over(node);
}

/// Of a request that has been handled, or never will be.
void HandlerFibers::Impl::over(Node& node) noexcept {
  const std::unique_ptr<Node> owned(&node);
  node.place.reset();
  node.request = Request();
  node.owner.remove(node);
}

// --- all of them ---

const std::shared_ptr<HandlerFibers::Impl::Home>& HandlerFibers::Impl::home_here() {
  const std::shared_ptr<Scheduler> scheduler = Scheduler::here()->shared_from_this();
  const std::lock_guard lock(mutex);
  for (const auto& home : homes)
    if (home->scheduler.lock() == scheduler) return home;
  std::erase_if(homes, [](const auto& home) { return home->scheduler.expired(); });
  homes.push_back(std::make_shared<Home>());
  homes.back()->scheduler = scheduler;
  return homes.back();
}

void HandlerFibers::Impl::add(Node& node) noexcept {
  const std::lock_guard lock(mutex);
  node.next = first;
  if (first != nullptr) first->previous = &node;
  first = &node;
  for (std::size_t* const count : {&all, &node.home->all}) ++*count;
  if (!node.waited) return;
  for (std::size_t* const count : {&waited, &node.home->waited}) ++*count;
}

void HandlerFibers::Impl::remove(Node& node) noexcept {
  const std::lock_guard lock(mutex);
  (node.previous != nullptr ? node.previous->next : first) = node.next;
  if (node.next != nullptr) node.next->previous = node.previous;
  for (std::size_t* const count : {&all, &node.home->all}) --*count;
  if (node.waited)
    for (std::size_t* const count : {&waited, &node.home->waited}) --*count;
  if (node.home->waited == 0) waiting.wake_all();
}

bool HandlerFibers::Impl::handles_here() {
  if (!fiber::inside()) return false;
  const void* const here = caller();
  const std::lock_guard lock(mutex);
  for (const Node* node = first; node != nullptr; node = node->next)
    if (node->fiber == here) return true;
  return false;
}

/// Waits until done(), which is called with the mutex locked: 0; kCancelled, or what the interrupt
/// hook says, which may throw.
template <class Done>
long HandlerFibers::Impl::wait(Done done) {
  Sleeper sleeper;
  for (long slept = 0;;) {
    {
      const std::lock_guard lock(mutex);
      if (done()) return 0;
      if (slept < 0) return slept;
      waiting.add(sleeper);
    }
    slept = sleeper.sleep(Deadline::none(), "handlers");
    {
      const std::lock_guard lock(mutex);
      waiting.remove(sleeper);
    }
    if (slept == 0) slept = sleeper.ask_interrupt_hook();
  }
}

/// The same, and nothing else ends it: whoever is cancelled is told later.
template <class Done>
void HandlerFibers::Impl::wait_whatever_happens(Done done) noexcept {
  Sleeper sleeper;
  for (;;) {
    {
      const std::lock_guard lock(mutex);
      waiting.remove(sleeper);
      if (done()) return;
      waiting.add(sleeper);
    }
    sleeper.sleep(Deadline::none(), "handlers", OnCancel::ignore);
  }
}

void HandlerFibers::Impl::end_handlers(const std::shared_ptr<Home>& home) noexcept {
  {
    const std::lock_guard lock(mutex);
    for (Node* node = first; node != nullptr; node = node->next)
      if (node->home == home) node->end_request();
  }
  wait_whatever_happens([&] { return home->all == 0; });
}

/// What is left to do for a plain thread that has served.
void HandlerFibers::Impl::drain(const std::shared_ptr<Home>& home) {
  try {
    const long waited_for = wait([&] { return home->waited == 0; });
    if (waited_for < 0) throw_if(error_from(waited_for), "waiting for the handlers of a server");
  } catch (...) {
    end_handlers(home);
    throw;
  }
  end_handlers(home);
}

HandlerFibers::HandlerFibers() : impl_(std::make_unique<Impl>()) {}
HandlerFibers::~HandlerFibers() { end(); }

void HandlerFibers::leave_to_parent() {
  if (left_to_parent(impl_)) impl_ = std::make_unique<Impl>();
}

void HandlerFibers::start(BaseServer& server, Main main, Request& request,
                          const Address& client_address, How how) {
  if (!fiber::inside()) throw RuntimeError("process_request: not in a fiber");
  leave_to_parent();
  ServerAccess::loop(server).admit(request, client_address, 0);
  auto node = std::make_unique<Impl::Node>(*impl_, impl_->home_here(), server, main, request,
                                           client_address, how.waited);
  impl_->add(*node);
  try {
    if (!how.at_first_byte || !impl_->watch(*node)) impl_->begin(*node);
  } catch (...) {
    request = std::move(node->request);
    impl_->remove(*node);
    throw;
  }
  static_cast<void>(node.release());
}

void HandlerFibers::run(const std::function<void()>& serving, const fiber::RunOptions& options) {
  if (fiber::inside()) return serving();
  leave_to_parent();
  fiber::run(
      [&] {
        const std::shared_ptr<Impl::Home> home = impl_->home_here();
        try {
          serving();
        } catch (const CancelledError&) {
          impl_->end_handlers(home);
          throw;
        } catch (...) {
          impl_->drain(home);
          throw;
        }
        impl_->drain(home);
      },
      options);
}

void HandlerFibers::close_silent() noexcept {
  const Scheduler* const here = Scheduler::here();
  std::shared_ptr<Silent> silent;
  {
    const std::lock_guard lock(impl_->mutex);
    for (const auto& home : impl_->homes)
      if (home->scheduler.lock().get() == here) silent = home->silent;
  }
  if (silent) silent->close_all();
}

void HandlerFibers::join() {
  leave_to_parent();
  if (impl_->handles_here()) throw RuntimeError("cannot join current fiber");
  const long waited = impl_->wait([this] { return impl_->waited == 0; });
  if (waited < 0) throw_if(error_from(waited), "waiting for the handlers of a server");
}

void HandlerFibers::end() noexcept {
  if (impl_ == nullptr || left_to_parent(impl_)) return;
  impl_->wait_whatever_happens([this] { return impl_->all == 0; });
  impl_.reset();
}

}  // namespace plug::detail
