// Sockets: binding, connecting, accepting and closing; names and timeouts.

#include <plug/error.hpp>
#include <plug/socket.hpp>

#include <algorithm>
#include <cerrno>
#include <ostream>

#include "address/access.hpp"
#include "socket/calls.hpp"
#include "socket/create.hpp"
#include "socket/state.hpp"

namespace plug {

namespace {

using detail::address::AddressAccess;
using detail::base::error_from;
using detail::base::throwing;
using detail::socket::about;
using detail::socket::error_with;
using detail::socket::on_descriptor;
using detail::socket::SocketAccess;
using detail::socket::SocketState;
using detail::socket::state_or_closed;
using detail::socket::target_of;
using detail::wait::Op;
namespace sys = detail::sys;

std::pair<Socket, Address> accept_one(SocketState& state, int flags, Deadline deadline,
                                      std::error_code& error) {
  std::pair<Socket, Address> result{Socket::closed(), Address{}};
  // AF_ALG sockets have no names, and asking for one is an error.
  const bool named = state.family != static_cast<int>(AF::ALG);
  Op op{.kind = Op::Kind::accept,
        .flags = flags,
        .address = named ? AddressAccess::storage(result.second) : nullptr,
        .address_size = named ? Address::kCapacity : 0};
  const long accepted = detail::wait::perform(state.descriptor, op, deadline);
  error = error_from(accepted);
  if (accepted < 0) return result;
  AddressAccess::set_size(result.second, op.address_size, state.proto);
  auto made = detail::socket::adopt(accepted, state.family, state.type, state.proto, error);
  if (made) made->descriptor.heed_as(state.descriptor);
  result.first = SocketAccess::make(std::move(made));
  return result;
}

}  // namespace

Address detail::socket::socket_name(SocketState& state,
                                    long (*call)(int, void*, std::size_t&) noexcept,
                                    std::error_code& error) {
  Address address;
  std::size_t size = Address::kCapacity;
  const long result =
      on_descriptor(state, [&](int fd) { return call(fd, AddressAccess::storage(address), size); });
  error = error_from(result);
  if (result >= 0) AddressAccess::set_size(address, size, state.proto);
  return address;
}

std::pair<Socket, Address> detail::socket::accept_until(SocketState& state, Deadline deadline,
                                                        std::error_code& error) {
  return accept_one(state, 0, deadline, error);
}

std::pair<Socket, Address> detail::socket::accept_now(SocketState& state, std::error_code& error) {
  // On a plain thread, a non-blocking descriptor makes it one system call.
  const Deadline deadline =
      detail::wait::may_block_thread() ? Deadline::none() : Deadline::immediate();
  return accept_one(state, sys::kDontWait, deadline, error);
}

void Socket::close_quietly() noexcept {
  std::error_code ignored;
  close(ignored);
}

// --- naming and connecting ---

void Socket::bind(const AddressLike& address) {
  throwing([&](std::error_code& error) { bind(address, error); }, about(address, state_));
}

void Socket::bind(const AddressLike& address, std::error_code& error) {
  SocketState& state = state_or_closed(state_);
  Address found;
  const Address* target = target_of(state, address, state.deadline(), found, error);
  if (error) return;
  const BytesView raw = target->bytes();
  error = error_with(
      on_descriptor(state, [raw](int fd) { return sys::bind(fd, raw.data(), raw.size()); }), state,
      *target);
}

void Socket::listen(int backlog) {
  throwing([&](std::error_code& error) { listen(backlog, error); },
           [&] { return "listen(" + std::to_string(backlog) + ")"; });
}

void Socket::listen(int backlog, std::error_code& error) {
  error = error_from(on_descriptor(state_or_closed(state_), [backlog](int fd) {
    return sys::listen(fd, std::max(backlog, 0));
  }));
}

std::pair<Socket, Address> Socket::accept() {
  return throwing([&](std::error_code& error) { return accept(error); }, "accept");
}

std::pair<Socket, Address> Socket::accept(std::error_code& error) {
  SocketState& state = state_or_closed(state_);
  return detail::socket::accept_until(state, state.deadline(), error);
}

void Socket::connect(const AddressLike& address) {
  throwing([&](std::error_code& error) { connect(address, error); }, about(address, state_));
}

void Socket::connect(const AddressLike& address, std::error_code& error) {
  SocketState& state = state_or_closed(state_);
  const Deadline deadline = state.deadline();
  Address found;
  const Address* target = target_of(state, address, deadline, found, error);
  if (error) return;
  Op op{.kind = Op::Kind::connect,
        .address = const_cast<char*>(target->bytes().data()),
        .address_size = target->bytes().size()};
  error = error_with(detail::wait::perform(state.descriptor, op, deadline), state, *target);
}

int Socket::connect_ex(const AddressLike& address) {
  std::error_code error;
  connect(address, error);
  if (error == timed_out()) return EAGAIN;
  if (error && error.category() != std::system_category() &&
      error.category() != std::generic_category())
    detail::base::throw_with(error, about(address, state_));
  return error.value();
}

void Socket::shutdown(SHUT how) {
  throwing([&](std::error_code& error) { shutdown(how, error); },
           [&] { return "shutdown(" + std::to_string(static_cast<int>(how)) + ")"; });
}

void Socket::shutdown(SHUT how, std::error_code& error) {
  error = error_from(on_descriptor(
      state_or_closed(state_), [how](int fd) { return sys::shutdown(fd, static_cast<int>(how)); }));
}

void Socket::close() {
  throwing([&](std::error_code& error) { close(error); }, "close");
}

void Socket::close(std::error_code& error) {
  error.clear();
  if (!state_ || state_->socket_closed.exchange(true)) return;
  const long closed = state_->release_holder();
  if (closed < 0 && closed != -ECONNRESET) error = error_from(closed);
}

int Socket::detach() noexcept {
  if (!state_) return -1;
  state_->socket_closed.store(true);
  return state_->descriptor.detach();
}

// --- names ---

Address Socket::getsockname() const {
  return throwing([&](std::error_code& error) { return getsockname(error); }, "getsockname");
}

Address Socket::getsockname(std::error_code& error) const {
  return detail::socket::socket_name(state_or_closed(state_), sys::getsockname, error);
}

Address Socket::getpeername() const {
  return throwing([&](std::error_code& error) { return getpeername(error); }, "getpeername");
}

Address Socket::getpeername(std::error_code& error) const {
  return detail::socket::socket_name(state_or_closed(state_), sys::getpeername, error);
}

// --- waiting ---

void Socket::settimeout(Timeout timeout) {
  throwing([&](std::error_code& error) { settimeout(timeout, error); },
           [&] { return "settimeout(" + to_string(timeout) + ")"; });
}

void Socket::settimeout(Timeout timeout, std::error_code& error) {
  SocketState& state = state_or_closed(state_);
  error = error_from(
      on_descriptor(state, [&](int fd) { return sys::set_nonblocking(fd, !timeout.is_none()); }));
  if (!error) state.set_timeout(timeout);
}

Timeout Socket::gettimeout() const noexcept { return state_or_closed(state_).timeout(); }

void Socket::setblocking(bool blocking) {
  settimeout(blocking ? Timeout(std::nullopt) : Timeout(0));
}

bool Socket::getblocking() const noexcept { return !gettimeout().is_zero(); }

bool Socket::get_inheritable() const {
  const long result = on_descriptor(state_or_closed(state_), sys::get_inheritable);
  if (result < 0) throw_if(error_from(result), "get_inheritable");
  return result != 0;
}

void Socket::set_inheritable(bool inheritable) {
  const long result = on_descriptor(state_or_closed(state_),
                                    [=](int fd) { return sys::set_inheritable(fd, inheritable); });
  if (result < 0) throw_if(error_from(result), "set_inheritable");
}

// --- the rest ---

int Socket::fileno() const noexcept { return state_or_closed(state_).descriptor.fd(); }
AF Socket::family() const noexcept { return static_cast<AF>(state_or_closed(state_).family); }
SOCK Socket::type() const noexcept { return static_cast<SOCK>(state_or_closed(state_).type); }
int Socket::proto() const noexcept { return state_or_closed(state_).proto; }

std::string to_string(const Socket& sock) {
  const auto& state = detail::socket::SocketAccess::state(sock);
  const bool closed = !state || state->socket_closed.load();
  std::string text = std::string("<plug.Socket") + (closed ? " [closed]" : "") +
                     " fd=" + std::to_string(sock.fileno()) +
                     ", family=" + std::to_string(static_cast<int>(sock.family())) +
                     ", type=" + std::to_string(static_cast<int>(sock.type())) +
                     ", proto=" + std::to_string(sock.proto());
  if (!closed) {
    std::error_code error;
    const std::string local = to_string(sock.getsockname(error));
    if (!error && !local.empty()) text += ", laddr=" + local;
    const std::string peer = to_string(sock.getpeername(error));
    if (!error && !peer.empty()) text += ", raddr=" + peer;
  }
  return text + ">";
}

std::ostream& operator<<(std::ostream& out, const Socket& sock) { return out << to_string(sock); }

InterruptHook set_interrupt_hook(InterruptHook hook) noexcept {
  return detail::wait::exchange_interrupt_function(hook);
}

}  // namespace plug
