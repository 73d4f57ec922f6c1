// The servers, and the ways in which they take requests.

#include <plug/error.hpp>
#include <plug/socketserver.hpp>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <string>
#include <system_error>

#include "base/scratch.hpp"
#include "server/access.hpp"
#include "server/admission.hpp"
#include "server/loop.hpp"
#include "server/report.hpp"
#include "server/watch.hpp"
#include "socket/calls.hpp"
#include "sys/process.hpp"

namespace plug {

using detail::base::deadline_after;
using detail::server::HostLimit;
using detail::server::RequestWatch;
using detail::server::ServerLoop;
using detail::server::ServingState;
using detail::socket::SocketAccess;
namespace sys = detail::sys;

namespace {

bool has_ports(AF family) noexcept { return family == AF::INET || family == AF::INET6; }

/// Returns the limit, or 0 (none) if it is not positive.
std::size_t count(int limit) noexcept { return limit > 0 ? static_cast<std::size_t>(limit) : 0; }

HostLimit limit_of_host(const BaseServer& server) noexcept {
  return {.most = count(server.max_connections_per_address),
          .ipv4_prefix = server.ipv4_prefix_length,
          .ipv6_prefix = server.ipv6_prefix_length};
}

/// Returns true if the error is a lack of something that other requests give back when they end.
bool exhausted(const OSError& error) noexcept {
  const int number = error.number();
  return number == EMFILE || number == ENFILE || number == ENOBUFS || number == ENOMEM;
}

/// Returns nothing if the error says that no request is waiting; throws any other error.
std::nullopt_t no_request(const std::error_code& error, std::string_view call) {
  if (error != std::errc::resource_unavailable_try_again) throw_if(error, call);
  return std::nullopt;
}

/// Waits as RequestWatch::wait() does. A lack of memory does not end a server: it waits again
/// later.
bool wait_for_request(BaseServer& server, RequestWatch& watch, Deadline deadline, bool stoppable) {
  try {
    return watch.wait(deadline, count(server.max_connections), stoppable);
  } catch (const OSError& error) {
    // ENOSPC: the user's limit of epoll(7) watches, which fibers use.
    if (error.number() != ENOMEM && error.number() != ENOSPC) throw;
    if (detail::server::ServerAccess::loop(server).pause().begin()) server.handle_exhaustion(error);
    if (const long rested = detail::server::AcceptPause::rest(); rested < 0)
      throw_if(detail::base::error_from(rested), "waiting for a request");
    return false;
  }
}

/// Calls shutdown_request() while an exception passes through. That exception continues even if the
/// hook throws.
void shut_down_left(BaseServer& server, Request& request, const Address& client_address) {
  try {
    server.shutdown_request(request);
  } catch (const sys::ForcedUnwind&) {
    throw;
  } catch (const BaseException&) {
    // The earlier exception is rethrown.
  } catch (...) {
    detail::server::report_request_exception("Exception in closing the request from",
                                             client_address);
  }
}

}  // namespace

std::string to_string(const ServerAddress& address) {
  return to_string(static_cast<AddressLike>(address));
}

void detail::throw_no_datagrams() {
  throw ValueError("max_packet_size: this server receives no datagrams");
}

// --- BaseServer: opening and closing ---

BaseServer::BaseServer(ServerAddress address, HandlerFactory handler)
    : socket(Socket::closed()),
      RequestHandlerClass(std::move(handler)),
      requested_(std::move(address)),
      loop_(std::make_unique<ServerLoop>()) {
  if (!RequestHandlerClass) throw ValueError("a server needs a handler");
}

BaseServer::~BaseServer() = default;

void BaseServer::complete(bool bind_and_activate) {
  if (opened_)
    throw RuntimeError(sys::type_name(typeid(*this)) +
                       ": a base class has opened the server before it was complete; a "
                       "constructor has to pass bind_and_activate = false to its base");
  complete_as_ = &typeid(*this);
  if (!bind_and_activate) return;
  try {
    server_bind();
    server_activate();
  } catch (...) {
    server_close();
    throw;
  }
  opened_ = true;
}

void BaseServer::end() noexcept {
  if (ended_) return;
  ended_ = true;
  // A cancellation that ends a wait in here is delivered to a later one.
  const detail::wait::Shield shield(detail::wait::OnCancel::keep);
  try {
    server_close();
  } catch (...) {
    // A destructor cannot report it.
  }
  loop_->requests().shut_down_all();
  wait_for_handlers();
}

void BaseServer::check_complete(std::string_view call) const {
  if (complete_as_ != nullptr && *complete_as_ == typeid(*this)) return;
  const std::string name = sys::type_name(typeid(*this));
  throw RuntimeError(std::string(call) + ": " + name +
                     " is derived from a server and has to be made as plug::Server<" + name +
                     ">, which opens it when it is complete and closes it before its members are "
                     "destroyed");
}

// --- BaseServer: serving ---

void BaseServer::serve_forever(Timeout poll_interval) {
  check_complete("serve_forever");
  loop_->adopt();
  run_serving([&] {
    const ServingState::Running running(loop_->serving(), loop_->requests());
    serve(poll_interval);
  });
}

void BaseServer::run_serving(const std::function<void()>& serving) { serving(); }

void BaseServer::serve(const Timeout& poll_interval) {
  class Ended {
   public:
    explicit Ended(BaseServer& server) noexcept : server_(server) {}
    Ended(const Ended&) = delete;
    Ended& operator=(const Ended&) = delete;
    ~Ended() { server_.serving_has_ended(); }

   private:
    BaseServer& server_;
  };
  const Ended ended(*this);
  RequestWatch watch(*loop_, *this);
  // A fiber's wait takes several system calls, so the loop tries to get another request first.
  bool more = false;
  while (!loop_->serving().stopping()) {
    const bool waited = !more;
    if (waited) {
      more = wait_for_request(*this, watch, deadline_after(poll_interval), true);
      if (loop_->serving().stopping()) break;
    }
    const bool handled = more && handle_ready();
    more = handled && !detail::wait::may_block_thread() && loop_->has_room(count(max_connections));
    if (waited || handled) service_actions();
  }
}

void BaseServer::handle_request() {
  check_complete("handle_request");
  loop_->adopt();
  loop_->serving().let_one_in(loop_->requests());
  run_serving([&] { handle_one(); });
}

void BaseServer::handle_one() {
  const Deadline deadline = std::min(deadline_after(socket.gettimeout()), deadline_after(timeout));
  RequestWatch watch(*loop_, *this);
  loop_->deferral().forget();
  for (;;) {
    if (wait_for_request(*this, watch, deadline, false)) {
      handle_ready();
      if (!loop_->deferral().take()) return;
    }
    if (loop_->deferral().has_begun()) return;
    if (!deadline.is_none() && detail::base::remaining(deadline) == 0) return handle_timeout();
  }
}

void BaseServer::check_shutdown() const {
  if (loop_->forked()) throw RuntimeError("shutdown: this is a child process of the server's");
  if (loop_->serving().runs_here())
    throw RuntimeError(
        "shutdown: called by the thread of serve_forever(), it would wait for itself; "
        "stop_serving() does not wait");
}

void BaseServer::shutdown() {
  check_shutdown();
  loop_->serving().stop();
  loop_->serving().wait_until_ended();
}

void BaseServer::stop_serving() noexcept {
  if (!loop_->forked()) loop_->serving().stop();
}

std::optional<std::pair<Request, Address>> BaseServer::next_request() {
  try {
    return try_get_request();
  } catch (const OSError& error) {
    if (exhausted(error) && loop_->pause().begin()) handle_exhaustion(error);
    return std::nullopt;
  }
}

bool BaseServer::handle_ready() {
  std::optional<std::pair<Request, Address>> got = next_request();
  if (!got) return false;
  loop_->pause().got_request();
  auto& [request, client_address] = *got;
  if (admit(request, client_address) && verify_request(request, client_address))
    process(request, client_address);
  else
    shutdown_request(request);
  return true;
}

bool BaseServer::admit(Request& request, const Address& client_address) {
  const HostLimit limit = limit_of_host(*this);
  // Children that have handled their requests count no more.
  if (limit.most > 0 && !request.is_datagram()) loop_->children().look();
  if (!detail::server::admit(loop_->requests(), request, client_address, limit)) return false;
  if (loop_->requests().are_shut_down()) return false;
  if (request.is_datagram()) return true;
  if (!connection_timeout.is_none()) request->settimeout(connection_timeout);
  if (!connection_lifetime.is_none())
    if (const auto& state = SocketAccess::state(request.socket()))
      state->end_at(deadline_after(connection_lifetime));
  return true;
}

void BaseServer::process(Request& request, const Address& client_address) {
  try {
    process_request(request, client_address);
  } catch (const sys::ForcedUnwind&) {
    shut_down_left(*this, request, client_address);
    throw;
  } catch (const BaseException&) {
    shut_down_left(*this, request, client_address);
    throw;
  } catch (...) {
    handle_error(request, client_address);
    shutdown_request(request);
  }
}

void BaseServer::process_apart(Request& request, const Address& client_address) {
  if (loop_->requests().are_shut_down()) return shutdown_request(request);
  const auto finish = [&] {
    try {
      finish_request(request, client_address);
    } catch (const sys::ForcedUnwind&) {
      throw;
    } catch (const BaseException&) {
      throw;
    } catch (...) {
      handle_error(request, client_address);
    }
  };
  const auto& entry = detail::server::ServerAccess::entry(request);
  try {
    finish();
  } catch (...) {
    detail::server::RequestRegistry::stop_counting(entry);
    shut_down_left(*this, request, client_address);
    throw;
  }
  detail::server::RequestRegistry::stop_counting(entry);
  shutdown_request(request);
}

// --- BaseServer: hooks ---

std::pair<Request, Address> BaseServer::get_request() {
  if (auto request = try_get_request()) return *std::move(request);
  throw BlockingIOError(detail::base::error_from(-EAGAIN), "get_request");
}

bool BaseServer::verify_request(Request&, const Address&) { return true; }

void BaseServer::process_request(Request& request, const Address& client_address) {
  finish_request(request, client_address);
  shutdown_request(request);
}

void BaseServer::finish_request(Request& request, const Address& client_address) {
  RequestHandlerClass(request, client_address, *this);
}

void BaseServer::shutdown_request(Request& request) { close_request(request); }
void BaseServer::close_request(Request&) {}

void BaseServer::handle_error(Request&, const Address& client_address) {
  detail::server::report_request_exception("Exception occurred during processing of request from",
                                           client_address);
}

void BaseServer::handle_exhaustion(const OSError& error) {
  const std::string line = "plug: the server at " + to_string(server_address) +
                           " accepts again when it can: " + error.what() + "\n";
  sys::write_error(line.data(), line.size());
}

// --- TCPServer ---

TCPServer::TCPServer(ServerAddress address, HandlerFactory handler, bool bind_and_activate)
    : TCPServer(AF::INET, SOCK::STREAM, std::move(address), std::move(handler)) {
  make_socket();
  complete(bind_and_activate);
}

TCPServer::TCPServer(ServerAddress address, HandlerFactory handler,
                     const BaseServerOptions& options)
    : TCPServer(std::move(address), std::move(handler), false) {
  set_attributes(options);
  complete(options.bind_and_activate);
}

TCPServer::TCPServer(AF family, SOCK type, ServerAddress address, HandlerFactory handler)
    : BaseServer(std::move(address), std::move(handler)) {
  const bool is_inet = has_ports(family);
  address_family =
      is_inet ? detail::server::ServerAccess::inet_family(requested_address()) : family;
  socket_type = type;
  allow_reuse_address = type == SOCK::STREAM && is_inet;
}

TCPServer::~TCPServer() { end(); }

void TCPServer::make_socket() {
  Socket* const listener = detail::server::ServerAccess::listener(requested_address());
  if (listener == nullptr || given_) {
    given_ = false;
    socket = Socket(address_family, socket_type);
    return;
  }
  if (listener->fileno() < 0) throw ValueError("the socket for a server is closed, or has one");
  const bool is_unix = listener->family() == AF::UNIX;
  if (listener->type() != socket_type || is_unix != (address_family == AF::UNIX))
    throw ValueError("not the kind of socket for this server: " + to_string(*listener));
  const Address bound = listener->getsockname();
  if (is_unix ? bound.path().empty() : has_ports(bound.family()) && bound.port() == 0)
    throw ValueError("the socket for a server is not bound: " + to_string(*listener));
  address_family = listener->family();
  socket = std::move(*listener);
  given_ = true;
}

void TCPServer::server_bind() {
  if (given_ && socket.fileno() >= 0) {
    server_address = socket.getsockname();
    return;
  }
  if (socket.fileno() < 0 || socket.family() != address_family || socket.type() != socket_type)
    make_socket();
  if (allow_reuse_address) socket.setsockopt(SOL::SOCKET, SO::REUSEADDR, 1);
  if (allow_reuse_port && has_ports(address_family))
    socket.setsockopt(SOL::SOCKET, SO::REUSEPORT, 1);
  if (server_address)
    socket.bind(server_address);
  else
    socket.bind(requested_address());
  server_address = socket.getsockname();
}

void TCPServer::server_activate() {
  if (!given_ || !detail::sys::is_listening(socket.fileno())) socket.listen(request_queue_size);
}

void TCPServer::server_close() { socket.close(); }

std::optional<std::pair<Request, Address>> TCPServer::try_get_request() {
  std::error_code error;
  auto accepted = detail::socket::accept_now(
      detail::socket::state_or_closed(SocketAccess::state(socket)), error);
  if (error) return no_request(error, "accept");
  return accepted;
}

void TCPServer::shutdown_request(Request& request) {
  std::error_code ignored;
  request->shutdown(SHUT::WR, ignored);
  close_request(request);
}

void TCPServer::close_request(Request& request) { request->close(); }

// --- UDPServer ---

UDPServer::UDPServer(ServerAddress address, HandlerFactory handler, bool bind_and_activate)
    : UDPServer(AF::INET, std::move(address), std::move(handler)) {
  complete(bind_and_activate);
}

UDPServer::UDPServer(ServerAddress address, HandlerFactory handler,
                     const BaseServerOptions& options)
    : UDPServer(std::move(address), std::move(handler), false) {
  set_attributes(options);
  complete(options.bind_and_activate);
}

UDPServer::UDPServer(AF family, ServerAddress address, HandlerFactory handler)
    : TCPServer(family, SOCK::DGRAM, std::move(address), std::move(handler)) {
  make_socket();
}

std::optional<std::pair<Request, Address>> UDPServer::try_get_request() {
  std::error_code error;
  const std::size_t size = detail::socket::checked_size(max_packet_size, error);
  detail::base::Scratch scratch(size);
  std::pair<std::size_t, Address> received;
  if (!error)
    received =
        detail::socket::receive_from(detail::socket::state_or_closed(SocketAccess::state(socket)),
                                     {scratch.data(), size}, MSG{}, Deadline::immediate(), error);
  if (error) return no_request(error, "recvfrom");
  return std::pair(Request(Bytes(scratch.data(), std::min(received.first, size)), socket),
                   received.second);
}

void UDPServer::shutdown_request(Request& request) { close_request(request); }
void UDPServer::close_request(Request&) {}

// --- Unix ---

UnixStreamServer::UnixStreamServer(ServerAddress address, HandlerFactory handler,
                                   bool bind_and_activate)
    : TCPServer(AF::UNIX, SOCK::STREAM, std::move(address), std::move(handler)) {
  make_socket();
  complete(bind_and_activate);
}

UnixStreamServer::UnixStreamServer(ServerAddress address, HandlerFactory handler,
                                   const BaseServerOptions& options)
    : UnixStreamServer(std::move(address), std::move(handler), false) {
  set_attributes(options);
  complete(options.bind_and_activate);
}

UnixDatagramServer::UnixDatagramServer(ServerAddress address, HandlerFactory handler,
                                       bool bind_and_activate)
    : UDPServer(AF::UNIX, std::move(address), std::move(handler)) {
  complete(bind_and_activate);
}

UnixDatagramServer::UnixDatagramServer(ServerAddress address, HandlerFactory handler,
                                       const BaseServerOptions& options)
    : UnixDatagramServer(std::move(address), std::move(handler), false) {
  set_attributes(options);
  complete(options.bind_and_activate);
}

}  // namespace plug
