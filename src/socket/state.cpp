#include "socket/state.hpp"

#include <algorithm>
#include <cerrno>

namespace plug::detail::socket {

Timeout SocketState::timeout() const noexcept {
  return base::TimeoutAccess::timeout(timeout_.load(std::memory_order_relaxed));
}

void SocketState::end_at(Deadline limit) noexcept {
  Deadline before = limit_.load();
  while (limit < before && !limit_.compare_exchange_weak(before, limit)) continue;
}

Deadline SocketState::within(Deadline limit, Deadline deadline) noexcept {
  if (base::remaining(limit) == 0) descriptor.close();
  return std::min(deadline, limit);
}

void SocketState::set_timeout(Timeout timeout) noexcept {
  timeout_.store(base::TimeoutAccess::number(timeout), std::memory_order_relaxed);
}

long SocketState::release_holder() noexcept {
  return holders_.fetch_sub(1) == 1 ? descriptor.close() : 0;
}

std::size_t receive_through(SocketState& state, MutableBytes buffer, int flags, Deadline deadline,
                            std::error_code& error) {
  if (!state.layer()) {
    wait::Op op{.kind = wait::Op::Kind::receive,
                .flags = flags,
                .data = buffer.data(),
                .size = buffer.size()};
    return base::count_of(wait::perform(state.descriptor, op, deadline), error);
  }
  return base::count_of(state.layer()->receive(state.descriptor, buffer, flags, deadline), error);
}

std::size_t send_through(SocketState& state, BytesView data, int flags, Deadline deadline,
                         std::error_code& error) {
  if (!state.layer()) {
    wait::Op op{.kind = wait::Op::Kind::send,
                .flags = flags,
                .data = const_cast<char*>(data.data()),
                .size = data.size()};
    return base::count_of(wait::perform(state.descriptor, op, deadline), error);
  }
  return base::count_of(state.layer()->send(state.descriptor, data, flags, deadline), error);
}

std::size_t send_rest(SocketState& state, BytesView data, std::size_t sent, int flags,
                      Deadline deadline, std::error_code& error) {
  while (!error && sent < data.size() && may_send_on(error))
    sent += send_some(state, data.subspan(sent), flags, deadline, error);
  return sent;
}

std::size_t send_all(SocketState& state, BytesView head, BytesView body, BytesView tail,
                     Deadline deadline, std::error_code& error) {
  if (state.layer()) [[unlikely]] {
    std::size_t sent = 0;
    for (const BytesView part : {head, body, tail}) {
      if (part.empty()) continue;
      sent += send_all(state, part, 0, deadline, error);
      if (error) break;
    }
    return sent;
  }
  const std::size_t total = head.size() + body.size() + tail.size();
  std::size_t sent = 0;
  do {
    sys::IoVec pieces[3];
    std::size_t count = 0;
    std::size_t skipped = sent;
    for (const BytesView part : {head, body, tail}) {
      const BytesView rest = part.subspan(std::min(skipped, part.size()));
      skipped -= part.size() - rest.size();
      if (!rest.empty()) pieces[count++] = {const_cast<char*>(rest.data()), rest.size()};
    }
    sys::Message message{.pieces = pieces, .count = count};
    wait::Op op{.kind = wait::Op::Kind::send_message, .data = &message};
    sent += base::count_of(wait::perform(state.descriptor, op, deadline), error);
  } while (!error && sent < total && may_send_on(error));
  return sent;
}

}  // namespace plug::detail::socket
