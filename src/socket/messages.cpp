// Messages of several buffers, with ancillary data.

#include <plug/ancillary.hpp>
#include <plug/error.hpp>
#include <plug/family/constants.hpp>
#include <plug/socket.hpp>

#include <algorithm>
#include <cstring>
#include <memory>
#include <optional>

#include "address/access.hpp"
#include "base/scratch.hpp"
#include "socket/calls.hpp"
#include "socket/control_messages.hpp"
#include "socket/state.hpp"
#include "sys/control.hpp"

namespace plug {

namespace {

using detail::address::AddressAccess;
using detail::base::error_from;
using detail::base::Scratch;
using detail::base::throwing;
using detail::socket::checked_size;
using detail::socket::item_of;
using detail::socket::SocketState;
using detail::socket::state_or_closed;
using detail::wait::Op;
namespace sys = detail::sys;

static_assert(detail::kControlHeader == sizeof(sys::ControlHeader));
static_assert(CMSG::SPACE(1) == sizeof(sys::ControlHeader) + sys::control_padded(1));

/// Control data that the kernel has written or will write. Closes the descriptors in it unless they
/// are handed over.
class Arrived {
 public:
  Arrived(char* control, const sys::Message& message) noexcept
      : control_(control), message_(message) {
    // Nothing is read from it unless the kernel has written to it.
    if (message.control_size > 0)
      std::memset(control, 0, std::min(message.control_size, sizeof(sys::ControlHeader)));
  }
  Arrived(const Arrived&) = delete;
  Arrived& operator=(const Arrived&) = delete;
  ~Arrived() {
    if (handed_over_) return;
    sys::read_control(control_, message_.control_size,
                      [](int level, int type, const char* data, std::size_t size) {
                        if (detail::socket::is_rights(level, type))
                          detail::socket::close_descriptors(data, size);
                      });
  }

  void hand_over() noexcept { handed_over_ = true; }

 private:
  const char* control_;
  const sys::Message& message_;
  bool handed_over_ = false;
};

/// The buffers of a message in the kernel's layout. Allocates only for more than a few.
class Pieces {
 public:
  template <class View>
  explicit Pieces(const detail::ListOf<View>& views) : size_(views.size()) {
    sys::IoVec* piece = few_;
    if (size_ > kFew) {
      many_ = std::make_unique_for_overwrite<sys::IoVec[]>(size_);
      piece = many_.get();
    }
    for (const View& view : views) *piece++ = {const_cast<char*>(view.data()), view.size()};
  }

  sys::IoVec* data() noexcept { return many_ ? many_.get() : few_; }
  std::size_t size() const noexcept { return size_; }

 private:
  static constexpr std::size_t kFew = 16;

  std::size_t size_;
  sys::IoVec few_[kFew];
  std::unique_ptr<sys::IoVec[]> many_;
};

std::size_t send_message(SocketState& state, const Buffers& buffers, const ControlMessages& ancdata,
                         MSG flags, const Address& to, Deadline deadline, std::error_code& error) {
  if (state.layer()) {
    error = std::make_error_code(std::errc::operation_not_supported);
    return 0;
  }
  std::size_t control_size = 0;
  for (const ControlMessage& item : ancdata) {
    if (!sys::add_control_space(control_size, item.data.size())) {
      error = Errc::ancillary_overflow;
      return 0;
    }
  }
  std::optional<Scratch> control;
  if (control_size > 0) {
    control.emplace(control_size);
    char* out = control->data();
    for (const ControlMessage& item : ancdata)
      out = sys::write_control(out, item.level, item.type, item.data.data(), item.data.size());
  }
  Pieces pieces(buffers);
  const BytesView address = to.bytes();
  sys::Message message{.address = address.empty() ? nullptr : const_cast<char*>(address.data()),
                       .address_size = static_cast<std::uint32_t>(address.size()),
                       .pieces = pieces.data(),
                       .count = pieces.size(),
                       .control = control ? control->data() : nullptr,
                       .control_size = control_size};
  Op op{.kind = Op::Kind::send_message, .flags = static_cast<int>(flags), .data = &message};
  const long sent = detail::wait::perform(state.descriptor, op, deadline);
  error = detail::socket::error_with(sent, state, to);
  return sent < 0 ? 0 : static_cast<std::size_t>(sent);
}

/// Calls recvmsg() once, into `pieces`; the control data goes to `control`.
ReceivedInto receive_message(SocketState& state, Pieces& pieces, char* control,
                             std::size_t control_size, MSG flags, std::error_code& error) {
  ReceivedInto received;
  if (state.layer()) {
    error = std::make_error_code(std::errc::operation_not_supported);
    return received;
  }
  sys::Message message{.address = AddressAccess::storage(received.address),
                       .address_size = Address::kCapacity,
                       .pieces = pieces.data(),
                       .count = pieces.size(),
                       .control = control,
                       .control_size = control_size};
  Arrived arrived(control, message);
  Op op{.kind = Op::Kind::receive_message, .flags = static_cast<int>(flags), .data = &message};
  const long result = detail::wait::perform(state.descriptor, op, state.deadline());
  error = error_from(result);
  if (result < 0) return received;
  std::vector<ControlMessage> items;
  sys::read_control(control, message.control_size,
                    [&](int level, int type, const char* data, std::size_t size) {
                      items.emplace_back(level, type, BytesView(data, size));
                    });
  arrived.hand_over();
  received.ancdata = detail::socket::AncillaryAccess::make(std::move(items));
  received.count = static_cast<std::size_t>(result);
  received.flags = static_cast<MSG>(message.flags);
  AddressAccess::set_size(received.address, message.address_size, state.proto);
  return received;
}

/// Returns the room for ancillary data; sets Errc if the system cannot take that much.
std::size_t checked_ancsize(ByteCount ancsize, std::error_code& error) noexcept {
  if (ancsize.value() < 0 || ancsize.value() > detail::kLargestControl) {
    error = Errc::ancillary_size;
    return 0;
  }
  return static_cast<std::size_t>(ancsize.value());
}

std::string message_text(const char* call, std::size_t buffers, std::size_t items) {
  return std::string(call) + " of " + std::to_string(buffers) + " buffers, " +
         std::to_string(items) + " control messages";
}

std::string receive_text(const char* call, ByteCount size, ByteCount ancsize) {
  return std::string(call) + "(" + std::to_string(size.value()) + ", " +
         std::to_string(ancsize.value()) + ")";
}

}  // namespace

// --- sending ---

std::size_t Socket::sendmsg(const Buffers& buffers, const ControlMessages& ancdata, MSG flags) {
  return throwing([&](std::error_code& error) { return sendmsg(buffers, ancdata, error, flags); },
                  [&] { return message_text("sendmsg", buffers.size(), ancdata.size()); });
}

std::size_t Socket::sendmsg(const Buffers& buffers, const ControlMessages& ancdata,
                            std::error_code& error, MSG flags) {
  SocketState& state = state_or_closed(state_);
  return send_message(state, buffers, ancdata, flags, {}, state.deadline(), error);
}

std::size_t Socket::sendmsg(const Buffers& buffers, const ControlMessages& ancdata,
                            const AddressLike& address, MSG flags) {
  return detail::base::throwing(
      [&](std::error_code& error) { return sendmsg(buffers, ancdata, address, error, flags); },
      detail::socket::about(address, state_));
}

std::size_t Socket::sendmsg(const Buffers& buffers, const ControlMessages& ancdata,
                            const AddressLike& address, std::error_code& error, MSG flags) {
  SocketState& state = state_or_closed(state_);
  const Deadline deadline = state.deadline();
  Address found;
  error.clear();
  const Address* target = detail::socket::target_of(state, address, deadline, found, error);
  if (error) return 0;
  return send_message(state, buffers, ancdata, flags, *target, deadline, error);
}

std::size_t Socket::sendmsg_afalg(ALG op, const Buffers& buffers, const AfalgOptions& options) {
  return throwing(
      [&](std::error_code& error) { return sendmsg_afalg(op, buffers, options, error); },
      [&] {
        return "sendmsg_afalg(" + std::to_string(static_cast<int>(op)) + ") of " +
               std::to_string(buffers.size()) + " buffers";
      });
}

std::size_t Socket::sendmsg_afalg(ALG op, const Buffers& buffers, const AfalgOptions& options,
                                  std::error_code& error) {
  std::vector<ControlMessage> items;
  items.push_back(item_of(SOL::ALG, ALG::SET_OP, op));
  if (!options.iv.empty()) {
    const auto size = static_cast<std::uint32_t>(options.iv.size());
    items.push_back(item_of(SOL::ALG, ALG::SET_IV, size));
    items.back().data.append(options.iv.data(), options.iv.size());
  }
  if (options.assoclen)
    items.push_back(item_of(SOL::ALG, ALG::SET_AEAD_ASSOCLEN, *options.assoclen));
  return sendmsg(buffers, items, error, options.flags);
}

// --- receiving ---

ReceivedMessage Socket::recvmsg(ByteCount size, ByteCount ancsize, MSG flags) {
  return throwing([&](std::error_code& error) { return recvmsg(size, ancsize, error, flags); },
                  [&] { return receive_text("recvmsg", size, ancsize); });
}

ReceivedMessage Socket::recvmsg(ByteCount size, ByteCount ancsize, std::error_code& error,
                                MSG flags) {
  const std::size_t wanted = checked_size(size, error);
  if (error) return {};
  const std::size_t control_size = checked_ancsize(ancsize, error);
  if (error) return {};
  // The control data comes first, where it is aligned.
  const std::size_t room = sys::control_padded(control_size);
  Scratch scratch(room + wanted);
  if ((flags & MSG::TRUNC) != MSG{}) scratch.clear(room + wanted);
  Pieces pieces(MutableBuffers{MutableBytes(scratch.data() + room, wanted)});
  ReceivedInto into =
      receive_message(state_or_closed(state_), pieces, scratch.data(), control_size, flags, error);
  if (error) return {};
  return {Bytes(scratch.data() + room, std::min(into.count, wanted)), std::move(into.ancdata),
          into.flags, into.address};
}

ReceivedInto Socket::recvmsg_into(const MutableBuffers& buffers, ByteCount ancsize, MSG flags) {
  return throwing(
      [&](std::error_code& error) { return recvmsg_into(buffers, ancsize, error, flags); },
      [&] {
        return std::to_string(buffers.size()) + " buffers, " + std::to_string(ancsize.value()) +
               " bytes of ancillary data";
      });
}

ReceivedInto Socket::recvmsg_into(const MutableBuffers& buffers, ByteCount ancsize,
                                  std::error_code& error, MSG flags) {
  if (error) [[unlikely]]
    error.clear();
  const std::size_t control_size = checked_ancsize(ancsize, error);
  if (error) return {};
  Pieces pieces(buffers);
  if (control_size == 0)
    return receive_message(state_or_closed(state_), pieces, nullptr, 0, flags, error);
  Scratch control(control_size);
  return receive_message(state_or_closed(state_), pieces, control.data(), control_size, flags,
                         error);
}

// --- descriptors ---

Credentials peer_credentials(const Socket& sock) {
  return throwing([&](std::error_code& error) { return peer_credentials(sock, error); },
                  "the peer's credentials");
}

Credentials peer_credentials(const Socket& sock, std::error_code& error) {
  Credentials peer;
  static_assert(sizeof peer == 12);  // struct ucred
  const Bytes raw = sock.getsockopt(SOL::SOCKET, SO::PEERCRED, sizeof peer, error);
  if (error) return {};
  std::memcpy(&peer, raw.data(), std::min(raw.size(), sizeof peer));
  // A socket that is not a Unix socket has no peer credentials.
  if (peer.pid == 0 && sock.family() != AF::UNIX)
    error = std::make_error_code(std::errc::operation_not_supported);
  return error ? Credentials{} : peer;
}

std::size_t send_fds(Socket& sock, const Buffers& buffers, const detail::ListOf<int>& fds,
                     MSG flags) {
  return sock.sendmsg(buffers, {ControlMessage::rights(fds)}, flags);
}

std::size_t send_fds(Socket& sock, const Buffers& buffers, const detail::ListOf<int>& fds,
                     std::error_code& error, MSG flags) {
  return sock.sendmsg(buffers, {ControlMessage::rights(fds)}, error, flags);
}

std::size_t send_fds(Socket& sock, const Buffers& buffers, const detail::ListOf<int>& fds,
                     const AddressLike& address, MSG flags) {
  return sock.sendmsg(buffers, {ControlMessage::rights(fds)}, address, flags);
}

std::size_t send_fds(Socket& sock, const Buffers& buffers, const detail::ListOf<int>& fds,
                     const AddressLike& address, std::error_code& error, MSG flags) {
  return sock.sendmsg(buffers, {ControlMessage::rights(fds)}, address, error, flags);
}

ReceivedFds recv_fds(Socket& sock, ByteCount bufsize, std::ptrdiff_t maxfds, MSG flags) {
  return throwing(
      [&](std::error_code& error) { return recv_fds(sock, bufsize, maxfds, error, flags); },
      [&] { return receive_text("recv_fds", bufsize, maxfds); });
}

ReceivedFds recv_fds(Socket& sock, ByteCount bufsize, std::ptrdiff_t maxfds, std::error_code& error,
                     MSG flags) {
  constexpr std::ptrdiff_t kMost =
      (detail::kLargestControl - static_cast<std::ptrdiff_t>(detail::kControlHeader)) /
      static_cast<std::ptrdiff_t>(sizeof(int));
  if (maxfds < 0 || maxfds > kMost) {
    error = Errc::control_length;
    return {};
  }
  const auto room = CMSG::LEN(maxfds * static_cast<std::ptrdiff_t>(sizeof(int)));
  ReceivedMessage received = sock.recvmsg(bufsize, room, error, flags | MSG::CMSG_CLOEXEC);
  if (error) return {};
  std::vector<OwnedFd> fds = received.ancdata.take_fds();
  // The kernel returns this flag as well, though the caller did not ask for it.
  const MSG unasked = ~flags & MSG::CMSG_CLOEXEC;
  return {std::move(received.data), std::move(fds), received.flags & ~unasked, received.address};
}

}  // namespace plug
