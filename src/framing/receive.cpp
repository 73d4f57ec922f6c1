#include <plug/error.hpp>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "framing/impl.hpp"

namespace plug {

namespace {

/// Returns true if nothing more can come. The system reports such an error once, and after that the
/// end of the stream, which would look like a clean one.
bool ends_connection(const std::error_code& error) noexcept {
  if (error.category() != std::system_category()) return false;
  switch (error.value()) {
    case ECONNRESET:
    case ECONNABORTED:
    case ETIMEDOUT:
    case EHOSTUNREACH:
    case ENETUNREACH:
      return true;
    default:
      return false;
  }
}

}  // namespace

void Framer::Impl::move_to(std::size_t capacity) {
  if (capacity == capacity_) {
    std::memmove(memory_.get(), data(), used());
  } else {
    std::unique_ptr<char[]> larger(new char[capacity]);
    if (used() > 0) std::memcpy(larger.get(), data(), used());
    memory_ = std::move(larger);
    capacity_ = capacity;
  }
  end_ = used();
  begin_ = 0;
}

/// Appends data that a failed call has received elsewhere.
void Framer::Impl::keep(const char* bytes, std::size_t count) {
  if (count == 0) return;
  if (capacity_ - end_ < count) {
    const std::size_t needed = used() + count;
    move_to(needed <= capacity_ ? capacity_ : std::max({kBuffer, needed, 2 * capacity_}));
  }
  std::memcpy(memory_.get() + end_, bytes, count);
  end_ += count;
}

/// Receives once. Returns the count, 0 if the receive failed or the stream has ended.
std::size_t Framer::Impl::receive(MutableBytes room, Clock& clock, std::error_code& error) {
  error = connection_error_;
  if (error) return 0;
  const std::size_t count = receive_some(*state, room, 0, clock.deadline(), error);
  if (error && ends_connection(error)) connection_error_ = error;
  return error ? 0 : count;
}

/// Receives once into the buffer, which holds fewer than `goal` bytes now, and makes room for at
/// most `goal` bytes, or kBuffer. Moves no byte without having consumed or received another one for
/// it.
std::size_t Framer::Impl::receive_more(std::size_t goal, Clock& clock, std::error_code& error) {
  if (begin_ >= used() && (begin_ > 0 || capacity_ > kBuffer)) {
    move_to(used() <= kBuffer / 2 ? kBuffer : capacity_);
  } else if (end_ == capacity_) {
    const std::size_t most = std::max(goal, kBuffer);
    move_to(most <= capacity_ ? capacity_ : std::max(kBuffer, std::min(most, 2 * capacity_)));
  }
  const std::size_t count = receive({memory_.get() + end_, capacity_ - end_}, clock, error);
  end_ += count;
  return count;
}

/// Receives until `count` bytes are buffered. Returns false with an error, or if the stream has
/// ended.
bool Framer::Impl::need(std::size_t count, Clock& clock, std::error_code& error) {
  while (used() < count)
    if (receive_more(count, clock, error) == 0) return false;
  return true;
}

/// Receives into `room` from `filled` on, and increases `filled`, until the room is full or a
/// receive returns nothing.
void Framer::Impl::receive_all(MutableBytes room, std::size_t& filled, Clock& clock,
                               std::error_code& error) {
  while (filled < room.size()) {
    const std::size_t count = receive(room.subspan(filled), clock, error);
    if (count == 0) return;
    filled += count;
  }
}

}  // namespace plug
