// The fibers of FiberMixIn.

#include <plug/error.hpp>
#include <plug/fiber/server.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <new>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "address/access.hpp"
#include "fiber/scheduler.hpp"
#include "fiber_server/deferred_connections.hpp"
#include "server/access.hpp"
#include "server/admission.hpp"
#include "server/fork.hpp"
#include "server/loop.hpp"
#include "server/report.hpp"
#include "sys/process.hpp"
#include "wait/wait_queue.hpp"

namespace plug::detail::fiber_server {

namespace {

constexpr std::int64_t kLastSecond = 1'000'000'000;  // nanoseconds

/// An address that takes as little memory as it needs: most addresses are short.
class KeptAddress {
 public:
  explicit KeptAddress(const Address& address)
      : size_(static_cast<std::uint16_t>(address.bytes().size())),
        protocol_(static_cast<std::uint16_t>(address.protocol())),
        long_(size_ > sizeof short_ ? std::make_unique<Address>(address) : nullptr) {
    if (!long_) std::copy_n(address.bytes().data(), size_, short_);
  }

  Address get() const noexcept {
    if (long_) return *long_;
    Address address;
    std::copy_n(short_, size_, address::AddressAccess::storage(address));
    address::AddressAccess::set_size(address, size_, protocol_);
    return address;
  }

 private:
  const std::uint16_t size_;
  const std::uint16_t protocol_;
  char short_[28];  // IPv6
  const std::unique_ptr<Address> long_;
};

}  // namespace

}  // namespace plug::detail::fiber_server

namespace plug::detail {

struct HandlerFibers::Impl {
  class Handler;
  class Deferred;

  /// One scheduler's part of the server.
  struct Home {
    explicit Home(fiber::FiberScheduler& scheduler)
        : here(&scheduler), alive(scheduler.weak_from_this()) {}

    // No other scheduler can get this address while `alive` exists.
    const fiber::FiberScheduler* const here;
    const std::weak_ptr<fiber::FiberScheduler> alive;
    const std::shared_ptr<fiber_server::DeferredConnections> deferred =
        std::make_shared<fiber_server::DeferredConnections>();
    IntrusiveList<Handler> handlers;  // for the scheduler's thread only
    std::size_t all = 0;
    std::size_t waited = 0;  // of them: those that join() waits for
  };

  /// The way to handle a request.
  struct Call {
    Impl& fibers;
    Home& home;
    BaseServer& server;
    const Main main;
    const bool waited;
  };

  /// A request that waits for its first byte while the server does not serve.
  struct Aside {
    BaseServer& server;
    Main main;
    bool waited;
    Request request;
    Address client_address;
  };

  Home& home_of(fiber::FiberScheduler& scheduler);
  Home& home_here();
  Home& enter(fiber::FiberScheduler& scheduler, bool is_waited);
  static void leave(const Call& call) noexcept;
  static void begin(const Call& call, Request& request, const Address& client_address);
  static void begin_or_fail(const Call& call, Request& request,
                            const Address& client_address) noexcept;
  static void shut_down(const Call& call, Request& request, const Address& client_address) noexcept;
  static bool set_aside(const Call& call, Request& request, const Address& client_address) noexcept;
  static bool watch(const Call& call, Request& request, const Address& client_address);
  std::vector<Aside> take_aside();
  void take_up_again();
  void close_aside() noexcept;
  bool handles_here() const noexcept;
  template <class Done>
  long wait(Done done);
  template <class Done>
  void wait_whatever_happens(Done done) noexcept;
  void end_handlers(Home& home) noexcept;
  void drain(Home& home);

  std::mutex mutex;
  std::vector<std::unique_ptr<Home>> homes;
  std::size_t all = 0;
  std::size_t waited = 0;  // of them: those that join() waits for
  WaitQueue waiting;
  std::vector<Aside> aside;
  bool closed = false;  // the server is closed: deferred requests are not kept any more
  const base::ForkGuard fork_guard;
};

// --- one request ---

/// A request that a fiber handles. Lives on top of the fiber's stack, which exists until let_go()
/// has returned; let_go() destroys it, and uses nothing but a copy afterwards.
class HandlerFibers::Impl::Handler final : public fiber::FiberMain, public ListNode<Handler> {
 public:
  Handler(fiber::FiberCore& fiber, const Call& call, Request& request, const Address& from) noexcept
      : call_(call),
        entry_(server::ServerAccess::entry(request)),
        request_(std::move(request)),
        client_address_(from) {
    call.home.handlers.push_front(*this);
    server::RequestRegistry::set_handler(entry_, {&tell_to_end, fiber.shared_from_this()});
  }

  void run(std::exception_ptr refused) noexcept override;
  void let_go() noexcept override;
  std::string_view name(std::span<char> room) const noexcept override;

  const Impl& fibers() const noexcept { return call_.fibers; }
  /// Takes it off its home's list. Returns the entry through which the handler can be told to end.
  std::shared_ptr<const void> unlist() noexcept;

 private:
  static void tell_to_end(void* fiber, socket::SocketState* connection) noexcept;

  const Call call_;
  const std::shared_ptr<const void> entry_;  // before request_, whose move takes it
  Request request_;
  const Address client_address_;
  bool listed_ = true;
};

void HandlerFibers::Impl::Handler::tell_to_end(void* fiber,
                                               socket::SocketState* connection) noexcept {
  if (connection != nullptr) connection->end_at(base::deadline_after(fiber_server::kLastSecond));
  auto& its = *static_cast<fiber::FiberCore*>(fiber);
  its.owner->cancel(its);
}

std::shared_ptr<const void> HandlerFibers::Impl::Handler::unlist() noexcept {
  if (std::exchange(listed_, false)) call_.home.handlers.remove(*this);
  return entry_;
}

void HandlerFibers::Impl::Handler::run(std::exception_ptr /*refused*/) noexcept {
  try {
    call_.main(call_.server, request_, client_address_);
  } catch (const BaseException&) {
    // The exception was to end this fiber, which has ended.
  } catch (...) {
    server::report_request_exception("Exception in the fiber of the request from", client_address_);
  }
}

void HandlerFibers::Impl::Handler::let_go() noexcept {
  unlist();
  request_ = Request();
  // The entry ends here, unless another owner keeps the request or is about to tell the handler.
  if (entry_.use_count() > 1) server::RequestRegistry::set_handler(entry_, {});
  const Call call = call_;
  this->~Handler();
  leave(call);
}

std::string_view HandlerFibers::Impl::Handler::name(std::span<char> room) const noexcept {
  constexpr std::string_view kPrefix = "request from ";
  char* const end = std::copy(kPrefix.begin(), kPrefix.end(), room.data());
  const std::string_view from = address::print_inet(client_address_, room.subspan(kPrefix.size()));
  return {room.data(), static_cast<std::size_t>(end - room.data()) + from.size()};
}

/// A request whose connection has had no data yet, in as little memory as possible. It owns itself
/// from watch() on: each of the callbacks, of which exactly one is called, deletes it, and uses
/// nothing but copies afterwards.
class HandlerFibers::Impl::Deferred final : public fiber_server::DeferredConnections::Connection {
 public:
  Deferred(const Call& call, Request& request, const Address& from)
      : call_(call),
        client_address_(from),
        connection_(std::move(request.socket())),
        entry_(std::move(server::ServerAccess::entry(request))) {}

  void on_readable() noexcept override;
  void on_timeout() noexcept override;
  void is_set_aside() noexcept override;

  Request take_request() noexcept {
    Request request(std::move(connection_));
    server::ServerAccess::entry(request) = std::move(entry_);
    return request;
  }

 private:
  const Call call_;
  const fiber_server::KeptAddress client_address_;
  Socket connection_;
  std::shared_ptr<const void> entry_;
};

void HandlerFibers::Impl::Deferred::on_readable() noexcept {
  const Call call = call_;
  const Address client_address = client_address_.get();
  Request request = take_request();
  delete this;
  begin_or_fail(call, request, client_address);
  server::ServerLoop& loop = server::ServerAccess::loop(call.server);
  loop.deferral().begin(loop.requests());
}

void HandlerFibers::Impl::Deferred::on_timeout() noexcept {
  const Call call = call_;
  const Address client_address = client_address_.get();
  Request request = take_request();
  delete this;
  shut_down(call, request, client_address);
}

void HandlerFibers::Impl::Deferred::is_set_aside() noexcept {
  const Call call = call_;
  const Address client_address = client_address_.get();
  Request request = take_request();
  delete this;
  if (!set_aside(call, request, client_address)) return shut_down(call, request, client_address);
  leave(call);
}

/// Keeps a request for the next serving. Returns false if the server is closed or there is no
/// memory.
bool HandlerFibers::Impl::set_aside(const Call& call, Request& request,
                                    const Address& client_address) noexcept {
  Impl& fibers = call.fibers;
  const std::lock_guard lock(fibers.mutex);
  if (fibers.closed) return false;
  try {
    fibers.aside.push_back({call.server, call.main, call.waited, Request(), client_address});
  } catch (const std::bad_alloc&) {
    return false;
  }
  fibers.aside.back().request = std::move(request);
  return true;
}

/// Closes a request that no fiber handles.
void HandlerFibers::Impl::shut_down(const Call& call, Request& request,
                                    const Address& client_address) noexcept {
  try {
    call.server.shutdown_request(request);
  } catch (const BaseException&) {
    // The exception was to end this request, which has ended.
  } catch (...) {
    server::report_request_exception("Exception in closing the request from", client_address);
  }
  request = Request();
  leave(call);
}

void HandlerFibers::Impl::begin(const Call& call, Request& request, const Address& client_address) {
  fiber::FiberScheduler::here()->start<Handler>(call, request, client_address);
}

void HandlerFibers::Impl::begin_or_fail(const Call& call, Request& request,
                                        const Address& client_address) noexcept {
  try {
    begin(call, request, client_address);
  } catch (...) {
    try {
      call.server.handle_error(request, client_address);
    } catch (...) {
      server::report_request_exception("Exception in the request from", client_address);
    }
    shut_down(call, request, client_address);
  }
}

/// Starts to wait for the first byte. Returns false if that is not possible, as for a request
/// without a connection.
bool HandlerFibers::Impl::watch(const Call& call, Request& request, const Address& client_address) {
  const std::shared_ptr<socket::SocketState>& connection =
      socket::SocketAccess::state(request.socket());
  if (request.is_datagram() || !connection) return false;
  // The deadline that the first call of the handler would have.
  const Deadline deadline = connection->deadline();
  if (deadline.is_immediate()) return false;
  wait::Descriptor& descriptor = connection->descriptor;
  auto pending = std::make_unique<Deferred>(call, request, client_address);
  if (!call.home.deferred->add(*pending, descriptor, deadline)) {
    request = pending->take_request();
    return false;
  }
  static_cast<void>(pending.release());
  return true;
}

std::vector<HandlerFibers::Impl::Aside> HandlerFibers::Impl::take_aside() {
  const std::lock_guard lock(mutex);
  return std::exchange(aside, {});
}

/// Watches the requests that have been set aside, on this scheduler.
void HandlerFibers::Impl::take_up_again() {
  for (Aside& it : take_aside()) {
    Home& home = enter(*fiber::FiberScheduler::here(), it.waited);
    const Call call{*this, home, it.server, it.main, it.waited};
    bool watched = false;
    try {
      watched = watch(call, it.request, it.client_address);
    } catch (const std::bad_alloc&) {
      // The request gets a fiber instead, if there is memory for one.
    }
    if (!watched) begin_or_fail(call, it.request, it.client_address);
  }
}

void HandlerFibers::Impl::close_aside() noexcept {
  for (Aside& it : take_aside()) {
    try {
      it.server.shutdown_request(it.request);
    } catch (...) {
      server::report_request_exception("Exception in closing the request from", it.client_address);
    }
  }
}

// --- all of them ---

/// The mutex must be held.
HandlerFibers::Impl::Home& HandlerFibers::Impl::home_of(fiber::FiberScheduler& scheduler) {
  for (const auto& home : homes)
    if (home->here == &scheduler) return *home;
  std::erase_if(homes, [](const auto& home) { return home->alive.expired(); });
  return *homes.emplace_back(std::make_unique<Home>(scheduler));
}

HandlerFibers::Impl::Home& HandlerFibers::Impl::home_here() {
  const std::lock_guard lock(mutex);
  return home_of(*fiber::FiberScheduler::here());
}

HandlerFibers::Impl::Home& HandlerFibers::Impl::enter(fiber::FiberScheduler& scheduler,
                                                      bool is_waited) {
  const std::lock_guard lock(mutex);
  Home& home = home_of(scheduler);
  for (std::size_t* const count : {&all, &home.all}) ++*count;
  if (is_waited)
    for (std::size_t* const count : {&waited, &home.waited}) ++*count;
  return home;
}

/// Removes a request from the counts. It must not use the server afterwards.
void HandlerFibers::Impl::leave(const Call& call) noexcept {
  Impl& fibers = call.fibers;
  const std::lock_guard lock(fibers.mutex);
  for (std::size_t* const count : {&fibers.all, &call.home.all}) --*count;
  if (call.waited)
    for (std::size_t* const count : {&fibers.waited, &call.home.waited}) --*count;
  if (call.home.waited == 0) fibers.waiting.wake_all();
}

bool HandlerFibers::Impl::handles_here() const noexcept {
  const fiber::FiberScheduler* const here = fiber::FiberScheduler::here();
  const auto* const handler =
      here == nullptr ? nullptr : dynamic_cast<const Handler*>(here->current().main());
  return handler != nullptr && &handler->fibers() == this;
}

/// Waits until done() returns true; done() is called with the mutex held. Returns 0, kCancelled, or
/// the answer of the interrupt hook, which may throw.
template <class Done>
long HandlerFibers::Impl::wait(Done done) {
  wait::WaitNode node;
  for (long slept = 0;;) {
    {
      const std::lock_guard lock(mutex);
      // Checked first, because a fiber is told of a cancellation only once.
      if (slept < 0) return slept;
      if (done()) return 0;
      waiting.add(node);
    }
    slept = node.sleep(Deadline::none(), "handlers");
    {
      const std::lock_guard lock(mutex);
      waiting.remove(node);
    }
    if (slept == 0) slept = node.ask_interrupt_hook();
  }
}

/// Waits in the same way, but nothing else ends the wait: a cancellation stays pending.
template <class Done>
void HandlerFibers::Impl::wait_whatever_happens(Done done) noexcept {
  const wait::Shield shield(wait::OnCancel::ignore);
  wait::WaitNode node;
  for (;;) {
    {
      const std::lock_guard lock(mutex);
      waiting.remove(node);
      if (done()) return;
      waiting.add(node);
    }
    node.sleep(Deadline::none(), "handlers");
  }
}

void HandlerFibers::Impl::end_handlers(Home& home) noexcept {
  home.deferred->close_all();
  // While one handler is told, any of them may end and others may begin.
  while (!home.handlers.empty())
    server::RequestRegistry::end_handler(home.handlers.first()->unlist());
  wait_whatever_happens([&] { return home.all == 0; });
}

/// Waits for the handlers after the serving on a plain thread has ended, and then ends the rest.
void HandlerFibers::Impl::drain(Home& home) {
  try {
    const long waited_for = wait([&] { return home.waited == 0; });
    if (waited_for < 0)
      throw_if(base::error_from(waited_for), "waiting for the handlers of a server");
  } catch (...) {
    end_handlers(home);
    throw;
  }
  end_handlers(home);
}

HandlerFibers::HandlerFibers() : impl_(std::make_unique<Impl>()) {}
HandlerFibers::~HandlerFibers() { end(); }

void HandlerFibers::leave_to_parent() {
  if (server::left_to_parent(impl_)) impl_ = std::make_unique<Impl>();
}

void HandlerFibers::start(BaseServer& server, Main main, Request& request,
                          const Address& client_address, How how) {
  fiber::FiberScheduler* const scheduler = fiber::FiberScheduler::here();
  if (scheduler == nullptr) throw RuntimeError("process_request: not in a fiber");
  leave_to_parent();
  server::ServerLoop& loop = server::ServerAccess::loop(server);
  server::count_if_new(loop.requests(), request);
  const Impl::Call call{*impl_, impl_->enter(*scheduler, how.waited), server, main, how.waited};
  try {
    if (how.deferred && Impl::watch(call, request, client_address))
      loop.deferral().add();
    else
      Impl::begin(call, request, client_address);
  } catch (...) {
    Impl::leave(call);
    throw;
  }
}

void HandlerFibers::run(const std::function<void()>& serving,
                        const plug::fiber::RunOptions& options) {
  leave_to_parent();
  if (plug::fiber::inside()) {
    impl_->take_up_again();
    return serving();
  }
  plug::fiber::run(
      [&] {
        Impl::Home& home = impl_->home_here();
        impl_->take_up_again();
        try {
          serving();
        } catch (const CancelledError&) {
          impl_->end_handlers(home);
          throw;
        } catch (...) {
          home.deferred->set_all_aside();
          impl_->drain(home);
          throw;
        }
        home.deferred->set_all_aside();
        impl_->drain(home);
      },
      options);
}

std::shared_ptr<void> HandlerFibers::run_in_background(std::function<void()> function) {
  class Beside {
   public:
    explicit Beside(std::function<void()> function)
        : task_(plug::fiber::spawn("beside a server", [this, function = std::move(function)] {
            function();
            over_ = true;
            waiting_.wake_all();
          })) {}
    Beside(const Beside&) = delete;
    Beside& operator=(const Beside&) = delete;
    // A cancellation of the caller does not end this wait.
    ~Beside() {
      const wait::Shield shield(wait::OnCancel::ignore);
      wait::WaitNode node;
      while (!over_) {
        waiting_.add(node);
        node.sleep(Deadline::none(), "join");
        waiting_.remove(node);
      }
    }

   private:
    bool over_ = false;
    WaitQueue waiting_;
    plug::fiber::Task<void> task_;
  };
  return std::make_shared<Beside>(std::move(function));
}

void HandlerFibers::close_deferred() noexcept {
  std::shared_ptr<fiber_server::DeferredConnections> deferred;
  {
    const std::lock_guard lock(impl_->mutex);
    for (const auto& home : impl_->homes)
      if (home->here == fiber::FiberScheduler::here()) deferred = home->deferred;
  }
  if (deferred) deferred->close_all();
}

void HandlerFibers::join() {
  leave_to_parent();
  if (impl_->handles_here()) throw RuntimeError("cannot join current fiber");
  {
    // From now on, a thread whose serving this close ends closes its deferred connections itself.
    const std::lock_guard lock(impl_->mutex);
    impl_->closed = true;
  }
  close_deferred();
  impl_->close_aside();
  const long waited = impl_->wait([this] { return impl_->waited == 0; });
  if (waited < 0) throw_if(base::error_from(waited), "waiting for the handlers of a server");
}

void HandlerFibers::end() noexcept {
  if (impl_ == nullptr || server::left_to_parent(impl_)) return;
  impl_->wait_whatever_happens([this] { return impl_->all == 0; });
  impl_.reset();
}

}  // namespace plug::detail
