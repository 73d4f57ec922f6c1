// How sockets are made: from the system, from a descriptor, as a copy.

#include <plug/error.hpp>
#include <plug/socket.hpp>

#include <cerrno>
#include <optional>

#include "socket/calls.hpp"
#include "socket/create.hpp"
#include "socket/missing_family.hpp"
#include "socket/state.hpp"

namespace plug {

namespace {

using detail::base::error_from;
using detail::base::throwing;
using detail::socket::on_descriptor;
using detail::socket::SocketAccess;
using detail::socket::SocketState;
using detail::socket::state_or_closed;
using detail::wait::Descriptor;
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

struct SocketTraits {
  int family = 0;
  int type = 0;
  int proto = 0;
};

/// Reads the kind of a socket. Returns 0, or -errno if `fd` is not a socket.
long describe(int fd, SocketTraits& kind) {
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

std::string fileno_text(int fileno) { return "fileno " + std::to_string(fileno); }

}  // namespace

std::shared_ptr<SocketState> detail::socket::adopt(long made, int family, int type, int proto,
                                                   std::error_code& error) {
  sys::OwnFd owner(static_cast<int>(made));
  auto state = make_state(owner.get(), family, type, proto, error);
  if (state) owner.release();
  return state;
}

Socket::Socket(std::shared_ptr<SocketState> state) noexcept : state_(std::move(state)) {}

Socket::Socket(AF family, SOCK type, Protocol proto) {
  throwing([&](std::error_code& error) { *this = Socket(family, type, proto, error); },
           [&](const std::error_code& error) {
             return kind_text("socket", family, type, proto) +
                    detail::socket::missing_family(static_cast<int>(family), proto, error);
           });
}

Socket::Socket(AF family, SOCK type, Protocol proto, std::error_code& error) {
  const long made = sys::socket(static_cast<int>(family), static_cast<int>(type), proto);
  error = error_from(made);
  if (made < 0) return;
  state_ =
      detail::socket::adopt(made, static_cast<int>(family), static_cast<int>(type), proto, error);
  if (state_ && state_->is_tcp()) state_->descriptor.set_short_read_drains();
}

Socket::Socket(Fileno fileno, std::optional<AF> family, std::optional<SOCK> type,
               std::optional<Protocol> proto) {
  throwing([&](std::error_code& error) { *this = Socket(fileno, family, type, proto, error); },
           [&] { return fileno_text(fileno.value); });
}

Socket::Socket(Fileno fileno, std::optional<AF> family, std::optional<SOCK> type,
               std::optional<Protocol> proto, std::error_code& error) {
  if (fileno.value < 0) {
    error = Errc::negative_fileno;
    return;
  }
  SocketTraits kind;
  if (const long known = describe(fileno.value, kind); known < 0) {
    error = error_from(known);
    return;
  }
  state_ = make_state(fileno.value, family ? static_cast<int>(*family) : kind.family,
                      type ? static_cast<int>(*type) : kind.type, proto ? int{*proto} : kind.proto,
                      error);
  if (state_) ask_for_options(state_->descriptor);
}

Socket Socket::dup() const {
  return throwing([&](std::error_code& error) { return dup(error); },
                  [&] { return "dup of " + fileno_text(fileno()); });
}

Socket Socket::dup(std::error_code& error) const {
  SocketState& state = state_or_closed(state_);
  const long made = on_descriptor(state, [](int fd) { return sys::dup(fd); });
  error = error_from(made);
  if (made < 0) return closed();
  sys::OwnFd owner(static_cast<int>(made));
  // The mode of the descriptor itself is shared and does not change.
  auto copy = std::make_shared<SocketState>(owner.get(), state.family, state.type, state.proto,
                                            state.timeout());
  owner.release();
  copy->descriptor.heed_as(state.descriptor);
  return Socket(std::move(copy));
}

std::pair<Socket, Socket> socketpair(AF family, SOCK type, Protocol proto) {
  return throwing([&](std::error_code& error) { return socketpair(family, type, proto, error); },
                  [&](const std::error_code& error) {
                    return kind_text("socketpair", family, type, proto) +
                           detail::socket::missing_family(static_cast<int>(family), proto, error);
                  });
}

std::pair<Socket, Socket> socketpair(AF family, SOCK type, Protocol proto, std::error_code& error) {
  const int family_number = static_cast<int>(family);
  const int type_number = static_cast<int>(type);
  int made[2] = {-1, -1};
  error = error_from(sys::socketpair(family_number, type_number, proto, made));
  std::pair<Socket, Socket> pair{Socket::closed(), Socket::closed()};
  if (error) return pair;
  sys::OwnFd second_owner(made[1]);
  auto first = detail::socket::adopt(made[0], family_number, type_number, proto, error);
  if (error) return pair;
  auto second =
      detail::socket::adopt(second_owner.release(), family_number, type_number, proto, error);
  if (error) return pair;
  pair.first = SocketAccess::make(std::move(first));
  pair.second = SocketAccess::make(std::move(second));
  return pair;
}

Socket fromfd(int fileno, AF family, SOCK type, Protocol proto) {
  return throwing(
      [&](std::error_code& error) { return fromfd(fileno, family, type, proto, error); },
      [&] { return fileno_text(fileno); });
}

Socket fromfd(int fileno, AF family, SOCK type, Protocol proto, std::error_code& error) {
  const long made = sys::dup(fileno);
  error = error_from(made);
  if (made < 0) return Socket::closed();
  sys::OwnFd owner(static_cast<int>(made));
  SocketTraits kind;
  error = error_from(describe(owner.get(), kind));
  if (error) return Socket::closed();
  auto state = detail::socket::adopt(owner.release(), static_cast<int>(family),
                                     static_cast<int>(type), proto, error);
  if (state) ask_for_options(state->descriptor);
  return SocketAccess::make(std::move(state));
}

OwnedFd dup(Fileno fileno) {
  return throwing([&](std::error_code& error) { return dup(fileno, error); },
                  [&] { return fileno_text(fileno.value); });
}

OwnedFd dup(Fileno fileno, std::error_code& error) {
  const long made = sys::dup(fileno.value);
  error = error_from(made);
  return OwnedFd(static_cast<int>(made));
}

void close(Fileno fileno) {
  throwing([&](std::error_code& error) { close(fileno, error); },
           [&] { return fileno_text(fileno.value); });
}

void close(Fileno fileno, std::error_code& error) {
  const long closed = sys::close(fileno.value);
  error = error_from(closed == -ECONNRESET ? 0 : closed);
}

}  // namespace plug
