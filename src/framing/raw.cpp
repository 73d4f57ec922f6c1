#include <plug/error.hpp>

#include <algorithm>
#include <cstring>

#include "base/scratch.hpp"
#include "framing/impl.hpp"

namespace plug {

Bytes Framer::Impl::readexactly(std::size_t size, std::error_code& error) {
  error.clear();
  if (size == 0) return {};
  Clock clock(*state, Clock::Span::call);
  if (!finish_drop(clock, error)) return {};
  return take({0, size}, clock, error);
}

std::size_t Framer::Impl::readinto(MutableBytes buffer, std::error_code& error) {
  error.clear();
  if (buffer.empty()) return 0;
  Clock clock(*state, Clock::Span::call);
  if (!finish_drop(clock, error)) return 0;
  const std::size_t size = buffer.size();
  if (used() < size && size - used() >= kBuffer) {
    const std::size_t had = used();
    std::size_t filled = had;
    const auto keep_received = [&] { keep(buffer.data() + had, filled - had); };
    try {
      receive_all(buffer, filled, clock, error);
    } catch (...) {
      keep_received();
      throw;
    }
    if (filled == size) {
      if (had > 0) std::memcpy(buffer.data(), data(), had);
      consume(had);
      return size;
    }
    keep_received();
  } else if (need(size, clock, error)) {
    std::memcpy(buffer.data(), data(), size);
    consume(size);
    return size;
  }
  if (!error) fail_ended(error, 0, size);
  return 0;
}

Bytes Framer::Impl::read(std::size_t size, std::error_code& error) {
  error.clear();
  if (size == 0) return {};
  Clock clock(*state, Clock::Span::call);
  if (!finish_drop(clock, error)) return {};
  if (used() == 0 && size >= kBuffer) {
    const std::size_t most = std::min(size, kPiece);
    detail::base::Scratch scratch(most);
    return Bytes(scratch.data(), receive({scratch.data(), most}, clock, error));
  }
  if (used() == 0 && receive_more(1, clock, error) == 0) return {};
  const std::size_t count = std::min(size, used());
  Bytes result(data(), count);
  consume(count);
  return result;
}

std::uint64_t Framer::Impl::copy(std::uint64_t size, const std::function<void(BytesView)>& sink,
                                 std::error_code& error) {
  error.clear();
  if (size == 0) return 0;
  Clock clock(*state, Clock::Span::piece);
  if (!finish_drop(clock, error)) return 0;
  std::uint64_t copied = 0;
  const auto piece_size = [&](std::size_t most) {
    return static_cast<std::size_t>(std::min<std::uint64_t>(most, size - copied));
  };
  while (copied < size && used() > 0) {
    const BytesView piece(data(), piece_size(std::min(used(), kPiece)));
    consume(piece.size());
    copied += piece.size();
    sink(piece);
  }
  if (copied == size) return copied;
  detail::base::Scratch scratch(kPiece);
  while (copied < size) {
    const std::size_t count = receive({scratch.data(), piece_size(kPiece)}, clock, error);
    if (count == 0) {
      if (!error) fail_ended(error, 0, size);
      break;
    }
    copied += count;
    sink({scratch.data(), count});
  }
  return copied;
}

// --- the calls ---

Bytes Framer::readexactly(std::size_t size) {
  std::error_code error;
  Bytes bytes = readexactly(size, error);
  if (error) [[unlikely]]
    impl_->raise(error, "readexactly");
  return bytes;
}

Bytes Framer::readexactly(std::size_t size, std::error_code& error) {
  return live().readexactly(size, error);
}

std::size_t Framer::readinto(MutableBytes buffer) {
  std::error_code error;
  const std::size_t count = readinto(buffer, error);
  if (error) [[unlikely]]
    impl_->raise(error, "readinto");
  return count;
}

std::size_t Framer::readinto(MutableBytes buffer, std::error_code& error) {
  return live().readinto(buffer, error);
}

Bytes Framer::read(std::size_t size) {
  std::error_code error;
  Bytes bytes = read(size, error);
  if (error) [[unlikely]]
    impl_->raise(error, "read");
  return bytes;
}

Bytes Framer::read(std::size_t size, std::error_code& error) { return live().read(size, error); }

std::uint64_t Framer::copy(std::uint64_t size, const std::function<void(BytesView)>& sink) {
  std::error_code error;
  const std::uint64_t copied = copy(size, sink, error);
  if (error) [[unlikely]]
    impl_->raise(error, "copy");
  return copied;
}

std::uint64_t Framer::copy(std::uint64_t size, const std::function<void(BytesView)>& sink,
                           std::error_code& error) {
  return live().copy(size, sink, error);
}

}  // namespace plug
