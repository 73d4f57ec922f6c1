#include <plug/error.hpp>
#include <plug/socket.hpp>

#include <algorithm>
#include <cerrno>
#include <limits>
#include <optional>
#include <ostream>

#include "address/access.hpp"
#include "layout/sockaddr.hpp"
#include "socket/calls.hpp"
#include "socket/missing_family.hpp"
#include "socket/scratch.hpp"
#include "socket/state.hpp"

namespace plug {

namespace {

using detail::AddressAccess;
using detail::checked_size;
using detail::Deadline;
using detail::Descriptor;
using detail::error_from;
using detail::error_with;
using detail::on_descriptor;
using detail::Op;
using detail::SocketState;
using detail::state_or_closed;
using detail::target_of;
using detail::throw_about;
namespace sys = detail::sys;

constexpr int kTypeFlags = static_cast<int>(SOCK::NONBLOCK | SOCK::CLOEXEC);

/// Makes the state of a socket for `fd`, with the default timeout unless the type says
/// non-blocking. Returns null on failure; the caller must then close `fd`.
std::shared_ptr<SocketState> make_state(int fd, int family, int type, int proto,
                                        std::error_code& error) {
  const bool nonblocking = (type & static_cast<int>(SOCK::NONBLOCK)) != 0;
  const Timeout timeout = nonblocking ? Timeout(0) : getdefaulttimeout();
  if (!nonblocking && !timeout.is_none()) {
    error = error_from(sys::set_nonblocking(fd, true));
    if (error) return nullptr;
  }
  error.clear();
  return std::make_shared<SocketState>(fd, family, type & ~kTypeFlags, proto, timeout);
}

/// Returns the part of `buffer` that `size` asks for; all of it for 0.
MutableBytes checked_part(MutableBytes buffer, std::ptrdiff_t size,
                          std::error_code& error) noexcept {
  const std::size_t wanted = checked_size(size, error);
  if (!error && wanted > buffer.size()) error = Errc::buffer_too_small;
  return {buffer.data(), wanted == 0 ? buffer.size() : wanted};
}

/// The initial error of the most frequent calls: a new std::error_code would get its category from
/// the standard library, in another page of code.
const std::error_code kNoError;

std::string sizes_text(std::string_view call, std::ptrdiff_t asked, std::size_t available) {
  return std::string(call) + ": " + std::to_string(asked) + " of " + std::to_string(available);
}

std::string option_text(OptionLevel level, OptionName name) {
  return "level " + std::to_string(int{level}) + ", option " + std::to_string(int{name});
}

[[noreturn]] void throw_no_int(OptionLevel level, OptionName name, const std::string& value) {
  throw OverflowError(option_text(level, name) + ": " + value + " does not fit a C int");
}

Address name_of(SocketState& state, long (*call)(int, void*, std::size_t&) noexcept,
                std::error_code& error) {
  Address address;
  std::size_t size = Address::kCapacity;
  const long result =
      on_descriptor(state, [&](int fd) { return call(fd, AddressAccess::storage(address), size); });
  error = error_from(result);
  if (result >= 0) AddressAccess::set_size(address, size, state.proto);
  return address;
}

/// Makes the state of a socket for a new descriptor, and closes the descriptor if that fails.
std::shared_ptr<SocketState> adopt(long made, int family, int type, int proto,
                                   std::error_code& error) {
  sys::OwnFd owner(static_cast<int>(made));
  auto state = make_state(owner.get(), family, type, proto, error);
  if (state) owner.release();
  return state;
}

struct Kind {
  int family = 0;
  int type = 0;
  int proto = 0;
};

/// Reads the kind of a socket. Returns 0, or -errno if `fd` is not a socket.
long describe(int fd, Kind& kind) {
  const auto read = [fd](SO option, int& value) {
    std::size_t length = sizeof value;
    return sys::getsockopt(fd, static_cast<int>(SOL::SOCKET), static_cast<int>(option), &value,
                           length);
  };
  // Not from its name, which some sockets do not have.
  if (const long got = read(SO::DOMAIN, kind.family); got < 0) return got;
  if (const long got = read(SO::TYPE, kind.type); got < 0) return got;
  return read(SO::PROTOCOL, kind.proto);
}

/// Finds out which options the socket has that change how long calls wait.
void ask_for_options(Descriptor& descriptor) noexcept {
  struct {
    std::int64_t seconds = 0, microseconds = 0;
  } time;
  for (const SO name : {SO::RCVTIMEO, SO::SNDTIMEO}) {
    std::size_t size = sizeof time;
    if (sys::getsockopt(descriptor.fd(), static_cast<int>(SOL::SOCKET), static_cast<int>(name),
                        &time, size) >= 0 &&
        (time.seconds != 0 || time.microseconds != 0))
      descriptor.heed(Descriptor::kTimed);
  }
  int least = 0;
  std::size_t size = sizeof least;
  if (sys::getsockopt(descriptor.fd(), static_cast<int>(SOL::SOCKET),
                      static_cast<int>(SO::RCVLOWAT), &least, size) >= 0 &&
      least > 1)
    descriptor.heed(Descriptor::kLowWater);
}

std::string kind_text(std::string_view call, AF family, SOCK type, Protocol proto) {
  return std::string(call) + "(family=" + std::to_string(static_cast<int>(family)) +
         ", type=" + std::to_string(static_cast<int>(type)) +
         ", proto=" + std::to_string(int{proto}) + ")";
}

}  // namespace

namespace {

std::pair<Socket, Address> accept_one(SocketState& state, int flags, Deadline deadline,
                                      std::error_code& error) {
  std::pair<Socket, Address> result{detail::SocketAccess::make(nullptr), Address{}};
  // AF_ALG sockets have no names, and asking for one is an error.
  const bool named = state.family != static_cast<int>(AF::ALG);
  Op op{.kind = Op::Kind::accept,
        .flags = flags,
        .address = named ? AddressAccess::storage(result.second) : nullptr,
        .address_size = named ? Address::kCapacity : 0};
  const long accepted = detail::perform(state.descriptor, op, deadline);
  error = error_from(accepted);
  if (accepted < 0) return result;
  AddressAccess::set_size(result.second, op.address_size, state.proto);
  auto made = adopt(accepted, state.family, state.type, state.proto, error);
  if (made) made->descriptor.heed_as(state.descriptor);
  if (made && state.descriptor.known_tcp()) made->descriptor.set_known_tcp();
  result.first = detail::SocketAccess::make(std::move(made));
  return result;
}

}  // namespace

std::pair<Socket, Address> detail::accept_until(SocketState& state, Deadline deadline,
                                                std::error_code& error) {
  return accept_one(state, 0, deadline, error);
}

std::pair<Socket, Address> detail::accept_now(SocketState& state, std::error_code& error) {
  // On a plain thread it is one system call, which does not block on a non-blocking descriptor.
  const Deadline deadline =
      detail::current_driver() == nullptr ? Deadline::none() : Deadline::immediate();
  return accept_one(state, sys::kDontWait, deadline, error);
}

std::pair<std::size_t, Address> detail::receive_from(SocketState& state, MutableBytes buffer,
                                                     MSG flags, Deadline deadline,
                                                     std::error_code& error) {
  std::pair<std::size_t, Address> result{0, {}};
  Op op{.kind = Op::Kind::receive_from,
        .flags = static_cast<int>(flags),
        .data = buffer.data(),
        .size = buffer.size(),
        .address = AddressAccess::storage(result.second),
        .address_size = Address::kCapacity};
  const long received = detail::perform(state.descriptor, op, deadline);
  error = error_from(received);
  if (received < 0) return result;
  result.first = static_cast<std::size_t>(received);
  AddressAccess::set_size(result.second, op.address_size, state.proto);
  return result;
}

Socket::Socket(std::shared_ptr<SocketState> state) noexcept : state_(std::move(state)) {}

Socket::Socket(AF family, SOCK type, Protocol proto) {
  std::error_code error;
  *this = Socket(family, type, proto, error);
  if (error)
    throw_if(error, kind_text("socket", family, type, proto) +
                        detail::missing_family(static_cast<int>(family), proto, error));
}

Socket::Socket(AF family, SOCK type, Protocol proto, std::error_code& error) {
  const long made = sys::socket(static_cast<int>(family), static_cast<int>(type), proto);
  error = error_from(made);
  if (made < 0) return;
  state_ = adopt(made, static_cast<int>(family), static_cast<int>(type), proto, error);
  const bool tcp = state_ && (family == AF::INET || family == AF::INET6) &&
                   state_->type == static_cast<int>(SOCK::STREAM) &&
                   (state_->proto == 0 || state_->proto == static_cast<int>(IPPROTO::TCP));
  if (tcp) state_->descriptor.set_known_tcp();
}

Socket::Socket(Fileno fileno, std::optional<AF> family, std::optional<SOCK> type,
               std::optional<Protocol> proto) {
  std::error_code error;
  *this = Socket(fileno, family, type, proto, error);
  if (error) throw_if(error, "fileno " + std::to_string(fileno.value));
}

Socket::Socket(Fileno fileno, std::optional<AF> family, std::optional<SOCK> type,
               std::optional<Protocol> proto, std::error_code& error) {
  if (fileno.value < 0) {
    error = Errc::negative_fileno;
    return;
  }
  Kind kind;
  if (const long known = describe(fileno.value, kind); known < 0) {
    error = error_from(known);
    return;
  }
  state_ = make_state(fileno.value, family ? static_cast<int>(*family) : kind.family,
                      type ? static_cast<int>(*type) : kind.type, proto ? int{*proto} : kind.proto,
                      error);
  if (state_) ask_for_options(state_->descriptor);
}

void Socket::close_quietly() noexcept {
  std::error_code ignored;
  close(ignored);
}

// --- naming and connecting ---

void Socket::bind(const AddressLike& address) {
  std::error_code error;
  bind(address, error);
  throw_about(error, address, state_);
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
  std::error_code error;
  listen(backlog, error);
  if (error) throw_if(error, "listen(" + std::to_string(backlog) + ")");
}

void Socket::listen(int backlog, std::error_code& error) {
  error = error_from(on_descriptor(state_or_closed(state_), [backlog](int fd) {
    return sys::listen(fd, std::max(backlog, 0));
  }));
}

std::pair<Socket, Address> Socket::accept() {
  std::error_code error;
  auto accepted = accept(error);
  if (error) throw_if(error, "accept");
  return accepted;
}

std::pair<Socket, Address> Socket::accept(std::error_code& error) {
  SocketState& state = state_or_closed(state_);
  return detail::accept_until(state, state.deadline(), error);
}

void Socket::connect(const AddressLike& address) {
  std::error_code error;
  connect(address, error);
  throw_about(error, address, state_);
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
  error = error_with(detail::perform(state.descriptor, op, deadline), state, *target);
}

int Socket::connect_ex(const AddressLike& address) {
  std::error_code error;
  connect(address, error);
  if (error == timed_out()) return EAGAIN;
  if (error && error.category() != std::system_category() &&
      error.category() != std::generic_category())
    throw_about(error, address, state_);
  return error.value();
}

void Socket::shutdown(SHUT how) {
  std::error_code error;
  shutdown(how, error);
  if (error) throw_if(error, "shutdown(" + std::to_string(static_cast<int>(how)) + ")");
}

void Socket::shutdown(SHUT how, std::error_code& error) {
  error = error_from(on_descriptor(
      state_or_closed(state_), [how](int fd) { return sys::shutdown(fd, static_cast<int>(how)); }));
}

void Socket::close() {
  std::error_code error;
  close(error);
  if (error) throw_if(error, "close");
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

Socket Socket::dup() const {
  std::error_code error;
  Socket copy = dup(error);
  if (error) throw_if(error, "dup of fileno " + std::to_string(fileno()));
  return copy;
}

Socket Socket::dup(std::error_code& error) const {
  SocketState& state = state_or_closed(state_);
  const long made = on_descriptor(state, [](int fd) { return sys::dup(fd); });
  error = error_from(made);
  if (made < 0) return Socket(nullptr);
  sys::OwnFd owner(static_cast<int>(made));
  // The mode of the descriptor itself is shared and does not change.
  auto copy = std::make_shared<SocketState>(owner.get(), state.family, state.type, state.proto,
                                            state.timeout());
  owner.release();
  copy->descriptor.heed_as(state.descriptor);
  return Socket(std::move(copy));
}

// --- receiving ---

namespace {

/// Receives without holding memory during the wait, because many fibers wait here. Returns nothing
/// if the driver cannot do that.
[[gnu::noinline]] std::optional<Bytes> recv_when_there_is(SocketState& state, std::size_t size,
                                                          detail::Deadline deadline,
                                                          std::error_code& error) {
  detail::IoDriver& waiter = *detail::current_driver();
  if (!waiter.tells_of_data(size) || deadline.is_immediate() || state.descriptor.heeds_any())
    return std::nullopt;
  // After two reports of data without any data, the caller waits with memory instead.
  for (int attempts = 0; attempts < 2; ++attempts) {
    long result = waiter.await_data(state.descriptor, deadline);
    if (result == 0) {
      detail::Scratch scratch(size);
      result = waiter.try_receive(state.descriptor, scratch.data(), size);
      if (result >= 0)
        return Bytes(scratch.data(), std::min(static_cast<std::size_t>(result), size));
    }
    if (result != -EAGAIN) {
      error = detail::error_from(result);
      return Bytes();
    }
  }
  return std::nullopt;
}

}  // namespace

Bytes Socket::recv(std::ptrdiff_t size, MSG flags) {
  std::error_code error = kNoError;
  Bytes data = recv(size, flags, error);
  if (error) [[unlikely]]
    throw_if(error, "recv(" + std::to_string(size) + ")");
  return data;
}

Bytes Socket::recv(std::ptrdiff_t size, MSG flags, std::error_code& error) {
  const std::size_t wanted = checked_size(size, error);
  if (wanted == 0) return {};  // with or without an error, as in Python
  SocketState& state = state_or_closed(state_);
  const detail::Deadline deadline = state.deadline();
  if (detail::current_driver() != nullptr && flags == MSG{})
    if (auto data = recv_when_there_is(state, wanted, deadline, error)) return *std::move(data);
  detail::Scratch scratch(wanted);
  if ((flags & MSG::TRUNC) != MSG{}) [[unlikely]]
    scratch.clear(wanted);
  const std::size_t count =
      receive_some(state, {scratch.data(), wanted}, static_cast<int>(flags), deadline, error);
  return error ? Bytes() : Bytes(scratch.data(), std::min(count, wanted));
}

namespace {

/// Inline, so that neither form of recv_into() calls the other.
[[gnu::always_inline]] inline std::size_t receive_into(const std::shared_ptr<SocketState>& state,
                                                       MutableBytes buffer, std::ptrdiff_t size,
                                                       MSG flags, std::error_code& error) {
  const MutableBytes part = checked_part(buffer, size, error);
  if (error || part.empty()) return 0;
  SocketState& open = state_or_closed(state);
  return receive_some(open, part, static_cast<int>(flags), open.deadline(), error);
}

}  // namespace

std::size_t Socket::recv_into(MutableBytes buffer, std::ptrdiff_t size, MSG flags) {
  std::error_code error = kNoError;
  const std::size_t count = receive_into(state_, buffer, size, flags, error);
  if (error) [[unlikely]]
    throw_if(error, sizes_text("recv_into", size, buffer.size()));
  return count;
}

std::size_t Socket::recv_into(MutableBytes buffer, std::ptrdiff_t size, MSG flags,
                              std::error_code& error) {
  return receive_into(state_, buffer, size, flags, error);
}

std::pair<Bytes, Address> Socket::recvfrom(std::ptrdiff_t size, MSG flags) {
  std::error_code error;
  auto result = recvfrom(size, flags, error);
  if (error) [[unlikely]]
    throw_if(error, "recvfrom(" + std::to_string(size) + ")");
  return result;
}

std::pair<Bytes, Address> Socket::recvfrom(std::ptrdiff_t size, MSG flags, std::error_code& error) {
  const std::size_t wanted = checked_size(size, error);
  if (error) return {};
  detail::Scratch scratch(wanted);
  if ((flags & MSG::TRUNC) != MSG{}) scratch.clear(wanted);
  SocketState& state = state_or_closed(state_);
  const auto [count, sender] =
      receive_from(state, {scratch.data(), wanted}, flags, state.deadline(), error);
  if (error) return {};
  return {Bytes(scratch.data(), std::min(count, wanted)), sender};
}

std::pair<std::size_t, Address> Socket::recvfrom_into(MutableBytes buffer, std::ptrdiff_t size,
                                                      MSG flags) {
  std::error_code error;
  const auto result = recvfrom_into(buffer, size, flags, error);
  if (error) [[unlikely]]
    throw_if(error, sizes_text("recvfrom_into", size, buffer.size()));
  return result;
}

std::pair<std::size_t, Address> Socket::recvfrom_into(MutableBytes buffer, std::ptrdiff_t size,
                                                      MSG flags, std::error_code& error) {
  const MutableBytes part = checked_part(buffer, size, error);
  if (error) return {};
  SocketState& state = state_or_closed(state_);
  return receive_from(state, part, flags, state.deadline(), error);
}

// --- sending ---

std::size_t Socket::send(BytesView data, MSG flags) {
  std::error_code error = kNoError;
  const std::size_t count = send(data, flags, error);
  if (error) [[unlikely]]
    throw_if(error, sizes_text("send", 0, data.size()));
  return count;
}

std::size_t Socket::send(BytesView data, MSG flags, std::error_code& error) {
  SocketState& state = state_or_closed(state_);
  return send_some(state, data, static_cast<int>(flags), state.deadline(), error);
}

void Socket::sendall(BytesView data, MSG flags) {
  std::error_code error = kNoError;
  const std::size_t sent = sendall(data, flags, error);
  if (error) [[unlikely]]
    throw_if(error, sizes_text("sendall", static_cast<std::ptrdiff_t>(sent), data.size()));
}

std::size_t Socket::sendall(BytesView data, MSG flags, std::error_code& error) {
  SocketState& state = state_or_closed(state_);
  return send_all(state, data, static_cast<int>(flags), state.deadline(), error);
}

std::size_t Socket::sendto(BytesView data, const AddressLike& address) {
  return sendto(data, MSG{}, address);
}

std::size_t Socket::sendto(BytesView data, MSG flags, const AddressLike& address) {
  std::error_code error;
  const std::size_t count = sendto(data, flags, address, error);
  throw_about(error, address, state_);
  return count;
}

std::size_t Socket::sendto(BytesView data, MSG flags, const AddressLike& address,
                           std::error_code& error) {
  SocketState& state = state_or_closed(state_);
  const Deadline deadline = state.deadline();
  Address found;
  const Address* target = target_of(state, address, deadline, found, error);
  if (error) return 0;
  Op op{.kind = Op::Kind::send_to,
        .flags = static_cast<int>(flags),
        .data = const_cast<char*>(data.data()),
        .size = data.size(),
        .address = const_cast<char*>(target->bytes().data()),
        .address_size = target->bytes().size()};
  const long sent = detail::perform(state.descriptor, op, deadline);
  error = error_with(sent, state, *target);
  return sent < 0 ? 0 : static_cast<std::size_t>(sent);
}

// --- names and options ---

Address Socket::getsockname() const {
  std::error_code error;
  const Address name = getsockname(error);
  if (error) throw_if(error, "getsockname");
  return name;
}

Address Socket::getsockname(std::error_code& error) const {
  return name_of(state_or_closed(state_), sys::getsockname, error);
}

Address Socket::getpeername() const {
  std::error_code error;
  const Address name = getpeername(error);
  if (error) throw_if(error, "getpeername");
  return name;
}

Address Socket::getpeername(std::error_code& error) const {
  return name_of(state_or_closed(state_), sys::getpeername, error);
}

void Socket::set_integer_option(OptionLevel level, OptionName name, long long value) {
  if (value < std::numeric_limits<int>::min() || value > std::numeric_limits<int>::max())
    throw_no_int(level, name, std::to_string(value));
  std::error_code error;
  setsockopt(level, name, static_cast<int>(value), error);
  if (error) throw_if(error, option_text(level, name) + " = " + std::to_string(value));
}

void Socket::set_integer_option(OptionLevel level, OptionName name, unsigned long long value) {
  if (value > static_cast<unsigned>(std::numeric_limits<int>::max()))
    throw_no_int(level, name, std::to_string(value));
  set_integer_option(level, name, static_cast<long long>(value));
}

void Socket::setsockopt(OptionLevel level, OptionName name, BytesView value) {
  std::error_code error;
  setsockopt(level, name, value, error);
  if (error)
    throw_if(error, option_text(level, name) + ", " + std::to_string(value.size()) + " bytes");
}

void Socket::setsockopt(OptionLevel level, OptionName name, std::nullopt_t, std::size_t length) {
  const long result = on_descriptor(state_or_closed(state_), [=](int fd) {
    return sys::setsockopt(fd, level, name, nullptr, length);
  });
  if (result < 0)
    throw_if(error_from(result),
             option_text(level, name) + ", None of " + std::to_string(length) + " bytes");
}

void Socket::setsockopt(OptionLevel level, OptionName name, int value, std::error_code& error) {
  setsockopt(level, name, BytesView(&value, sizeof value), error);
}

void Socket::setsockopt(OptionLevel level, OptionName name, BytesView value,
                        std::error_code& error) {
  error = error_from(on_descriptor(state_or_closed(state_), [=](int fd) {
    return sys::setsockopt(fd, level, name, value.data(), value.size());
  }));
  if (OptionLevel(SOL::SOCKET) != level) return;
  if (OptionName(SO::RCVTIMEO) == name || OptionName(SO::SNDTIMEO) == name)
    state_or_closed(state_).descriptor.heed(Descriptor::kTimed);
  if (OptionName(SO::RCVLOWAT) == name)
    state_or_closed(state_).descriptor.heed(Descriptor::kLowWater);
}

int Socket::getsockopt(OptionLevel level, OptionName name) const {
  std::error_code error;
  const int value = getsockopt(level, name, error);
  if (error) throw_if(error, option_text(level, name));
  return value;
}

int Socket::getsockopt(OptionLevel level, OptionName name, std::error_code& error) const {
  int value = 0;
  std::size_t size = sizeof value;
  error = error_from(on_descriptor(state_or_closed(state_), [&](int fd) {
    return sys::getsockopt(fd, level, name, &value, size);
  }));
  return value;
}

Bytes Socket::getsockopt(OptionLevel level, OptionName name, std::ptrdiff_t length) const {
  std::error_code error;
  Bytes value = getsockopt(level, name, length, error);
  if (error) throw_if(error, option_text(level, name) + ", " + std::to_string(length) + " bytes");
  return value;
}

Bytes Socket::getsockopt(OptionLevel level, OptionName name, std::ptrdiff_t length,
                         std::error_code& error) const {
  constexpr std::ptrdiff_t kLongest = 1024;
  if (length < 1 || length > kLongest) {
    error = Errc::bad_option_length;
    return {};
  }
  Bytes value(static_cast<std::size_t>(length), '\0');
  std::size_t size = value.size();
  error = error_from(on_descriptor(state_or_closed(state_), [&](int fd) {
    return sys::getsockopt(fd, level, name, value.data(), size);
  }));
  value.resize(error ? 0 : std::min(size, value.size()));
  return value;
}

// --- waiting ---

void Socket::settimeout(Timeout timeout) {
  std::error_code error;
  settimeout(timeout, error);
  if (error) throw_if(error, "settimeout(" + to_string(timeout) + ")");
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
  const auto& state = detail::SocketAccess::state(sock);
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

std::pair<Socket, Socket> socketpair(AF family, SOCK type, Protocol proto) {
  std::error_code error;
  auto pair = socketpair(family, type, proto, error);
  if (error)
    throw_if(error, kind_text("socketpair", family, type, proto) +
                        detail::missing_family(static_cast<int>(family), proto, error));
  return pair;
}

std::pair<Socket, Socket> socketpair(AF family, SOCK type, Protocol proto, std::error_code& error) {
  const int family_number = static_cast<int>(family);
  const int type_number = static_cast<int>(type);
  int made[2] = {-1, -1};
  error = error_from(sys::socketpair(family_number, type_number, proto, made));
  std::pair<Socket, Socket> pair{detail::SocketAccess::make(nullptr),
                                 detail::SocketAccess::make(nullptr)};
  if (error) return pair;
  sys::OwnFd second_owner(made[1]);
  auto first = adopt(made[0], family_number, type_number, proto, error);
  if (error) return pair;
  auto second = adopt(second_owner.release(), family_number, type_number, proto, error);
  if (error) return pair;
  pair.first = detail::SocketAccess::make(std::move(first));
  pair.second = detail::SocketAccess::make(std::move(second));
  return pair;
}

Socket fromfd(int fileno, AF family, SOCK type, Protocol proto) {
  std::error_code error;
  Socket sock = fromfd(fileno, family, type, proto, error);
  if (error) throw_if(error, "fileno " + std::to_string(fileno));
  return sock;
}

Socket fromfd(int fileno, AF family, SOCK type, Protocol proto, std::error_code& error) {
  const long made = sys::dup(fileno);
  error = error_from(made);
  if (made < 0) return detail::SocketAccess::make(nullptr);
  sys::OwnFd owner(static_cast<int>(made));
  Kind kind;
  error = error_from(describe(owner.get(), kind));
  if (error) return detail::SocketAccess::make(nullptr);
  auto state =
      adopt(owner.release(), static_cast<int>(family), static_cast<int>(type), proto, error);
  if (state) ask_for_options(state->descriptor);
  return detail::SocketAccess::make(std::move(state));
}

OwnedFd dup(Fileno fileno) {
  std::error_code error;
  OwnedFd copy = dup(fileno, error);
  if (error) throw_if(error, "fileno " + std::to_string(fileno.value));
  return copy;
}

OwnedFd dup(Fileno fileno, std::error_code& error) {
  const long made = sys::dup(fileno.value);
  error = error_from(made);
  return OwnedFd(static_cast<int>(made));
}

void close(Fileno fileno) {
  std::error_code error;
  close(fileno, error);
  if (error) throw_if(error, "fileno " + std::to_string(fileno.value));
}

void close(Fileno fileno, std::error_code& error) {
  const long closed = sys::close(fileno.value);
  error = error_from(closed == -ECONNRESET ? 0 : closed);
}

InterruptHook set_interrupt_hook(InterruptHook hook) noexcept {
  return detail::exchange_interrupt_function(hook);
}

}  // namespace plug
