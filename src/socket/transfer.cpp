// How sockets receive and send bytes. Messages of several buffers are in messages.cpp.

#include <plug/error.hpp>
#include <plug/socket.hpp>

#include <algorithm>
#include <cerrno>

#include "address/access.hpp"
#include "base/scratch.hpp"
#include "socket/calls.hpp"
#include "socket/state.hpp"

namespace plug {

namespace {

using detail::address::AddressAccess;
using detail::base::error_from;
using detail::base::Scratch;
using detail::base::throwing;
using detail::socket::about;
using detail::socket::checked_size;
using detail::socket::error_with;
using detail::socket::SocketState;
using detail::socket::state_or_closed;
using detail::socket::target_of;
using detail::wait::Op;

/// The initial error of the most frequent calls: a new std::error_code would get its category from
/// the standard library, in another page of code. Their throwing forms are written out, because in
/// throwing() g++ inlines less of them: recv() would take 25 instructions more, sendall() 36, and
/// calls of files and framers 13 to 15 (bench/count_calls).
const std::error_code kNoError;

std::string size_text(std::string_view call, std::ptrdiff_t size) {
  return std::string(call) + "(" + std::to_string(size) + ")";
}

std::string size_text(std::string_view call, BytesView buffer) {
  return std::string(call) + "(" + std::to_string(buffer.size()) + " bytes)";
}

std::string size_text(std::string_view call, MutableBytes buffer) {
  return size_text(call, BytesView(buffer.data(), buffer.size()));
}

/// Apart, because the text's construction costs its caller three instructions in every call.
[[gnu::noinline]] void throw_sent(const std::error_code& error, std::size_t sent,
                                  std::size_t wanted) {
  throw_if(error, "sendall: " + std::to_string(sent) + " of " + std::to_string(wanted));
}

/// Receives as recv() does, with flags, or on a descriptor that heeds_any().
[[gnu::noinline]] std::size_t receive_into_scratch(SocketState& state, Scratch& scratch,
                                                   std::size_t size, MSG flags, Deadline deadline,
                                                   std::error_code& error) {
  const MutableBytes buffer(scratch.take(size), size);
  if ((flags & MSG::TRUNC) != MSG{}) scratch.clear(size);
  return receive_some(state, buffer, static_cast<int>(flags), deadline, error);
}

/// Inline, so that neither form of recv_into() calls the other.
[[gnu::always_inline]] inline std::size_t receive_into(const std::shared_ptr<SocketState>& state,
                                                       MutableBytes buffer, std::error_code& error,
                                                       MSG flags) {
  if (error) [[unlikely]]
    error.clear();
  if (buffer.empty()) return 0;
  SocketState& open = state_or_closed(state);
  return receive_some(open, buffer, static_cast<int>(flags), open.deadline(), error);
}

}  // namespace

std::pair<std::size_t, Address> detail::socket::receive_from(SocketState& state,
                                                             MutableBytes buffer, MSG flags,
                                                             Deadline deadline,
                                                             std::error_code& error) {
  std::pair<std::size_t, Address> result{0, {}};
  Op op{.kind = Op::Kind::receive_from,
        .flags = static_cast<int>(flags),
        .data = buffer.data(),
        .size = buffer.size(),
        .address = AddressAccess::storage(result.second),
        .address_size = Address::kCapacity};
  result.first =
      detail::base::count_of(detail::wait::perform(state.descriptor, op, deadline), error);
  if (error) [[unlikely]]
    return result;
  AddressAccess::set_size(result.second, op.address_size, state.proto);
  return result;
}

// --- receiving ---

Bytes Socket::recv(ByteCount size, MSG flags) {
  std::error_code error = kNoError;
  Bytes data = recv(size, error, flags);
  if (error) [[unlikely]]
    throw_if(error, size_text("recv", size.value()));
  return data;
}

Bytes Socket::recv(ByteCount size, std::error_code& error, MSG flags) {
  const std::size_t wanted = checked_size(size, error);
  if (wanted == 0) return {};  // with or without an error, as in Python
  SocketState& state = state_or_closed(state_);
  const Deadline deadline = state.deadline();
  Scratch scratch;
  const std::size_t count =
      flags != MSG{} || state.descriptor.heeds_any()
          ? receive_into_scratch(state, scratch, wanted, flags, deadline, error)
          : detail::base::count_of(transfer_late(state.descriptor, scratch, wanted, deadline),
                                   error);
  return error ? Bytes() : Bytes(scratch.data(), std::min(count, wanted));
}

std::size_t Socket::recv_into(MutableBytes buffer, MSG flags) {
  std::error_code error = kNoError;
  const std::size_t count = receive_into(state_, buffer, error, flags);
  if (error) [[unlikely]]
    throw_if(error, size_text("recv_into", buffer));
  return count;
}

std::size_t Socket::recv_into(MutableBytes buffer, std::error_code& error, MSG flags) {
  return receive_into(state_, buffer, error, flags);
}

std::pair<Bytes, Address> Socket::recvfrom(ByteCount size, MSG flags) {
  return throwing([&](std::error_code& error) { return recvfrom(size, error, flags); },
                  [&] { return size_text("recvfrom", size.value()); });
}

std::pair<Bytes, Address> Socket::recvfrom(ByteCount size, std::error_code& error, MSG flags) {
  const std::size_t wanted = checked_size(size, error);
  if (error) return {};
  Scratch scratch(wanted);
  if ((flags & MSG::TRUNC) != MSG{}) scratch.clear(wanted);
  SocketState& state = state_or_closed(state_);
  const auto [count, sender] =
      receive_from(state, {scratch.data(), wanted}, flags, state.deadline(), error);
  if (error) return {};
  return {Bytes(scratch.data(), std::min(count, wanted)), sender};
}

std::pair<std::size_t, Address> Socket::recvfrom_into(MutableBytes buffer, MSG flags) {
  return throwing([&](std::error_code& error) { return recvfrom_into(buffer, error, flags); },
                  [&] { return size_text("recvfrom_into", buffer); });
}

std::pair<std::size_t, Address> Socket::recvfrom_into(MutableBytes buffer, std::error_code& error,
                                                      MSG flags) {
  SocketState& state = state_or_closed(state_);
  return receive_from(state, buffer, flags, state.deadline(), error);
}

// --- sending ---

std::size_t Socket::send(BytesView data, MSG flags) {
  std::error_code error = kNoError;
  const std::size_t count = send(data, error, flags);
  if (error) [[unlikely]]
    throw_if(error, size_text("send", data));
  return count;
}

std::size_t Socket::send(BytesView data, std::error_code& error, MSG flags) {
  SocketState& state = state_or_closed(state_);
  return send_some(state, data, static_cast<int>(flags), state.deadline(), error);
}

std::size_t Socket::sendall(BytesView data, MSG flags) {
  std::error_code error = kNoError;
  const std::size_t sent = sendall(data, error, flags);
  if (error) [[unlikely]]
    throw_sent(error, sent, data.size());
  return sent;
}

std::size_t Socket::sendall(BytesView data, std::error_code& error, MSG flags) {
  SocketState& state = state_or_closed(state_);
  return send_all(state, data, static_cast<int>(flags), state.deadline(), error);
}

std::size_t Socket::sendto(BytesView data, const AddressLike& address, MSG flags) {
  return throwing([&](std::error_code& error) { return sendto(data, address, error, flags); },
                  about(address, state_));
}

std::size_t Socket::sendto(BytesView data, const AddressLike& address, std::error_code& error,
                           MSG flags) {
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
  const long sent = detail::wait::perform(state.descriptor, op, deadline);
  if (sent >= 0) [[likely]]
    return static_cast<std::size_t>(sent);
  error = error_with(sent, state, *target);
  return 0;
}

}  // namespace plug
