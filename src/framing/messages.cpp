// Receives and drops the messages of a Framer, and applies its limit.

#include <plug/error.hpp>

#include <algorithm>
#include <cstring>
#include <limits>

#include "base/scratch.hpp"
#include "framing/codec.hpp"
#include "framing/impl.hpp"

namespace plug {

namespace {

/// The most that the result of a long message is extended, and zeroed, ahead of the receives.
constexpr std::size_t kStep = std::size_t{128} << 10;

std::size_t saturating_add(std::size_t a, std::size_t b) noexcept {
  return a > std::numeric_limits<std::size_t>::max() - b ? std::numeric_limits<std::size_t>::max()
                                                         : a + b;
}

}  // namespace

/// Returns the prefix of a message if it is buffered. Not for delimited messages.
inline auto Framer::Impl::buffered_prefix(const Framing& in) const noexcept
    -> std::optional<AnnouncedMessage> {
  if (const auto* prefix = std::get_if<LengthPrefix>(&in)) {
    const auto width = static_cast<std::size_t>(prefix->width);
    if (used() >= width)
      return AnnouncedMessage{width, detail::framing::decode_length(data(), *prefix)};
  } else if (const auto* fixed = std::get_if<FixedSize>(&in)) {
    if (used() > 0) return AnnouncedMessage{0, fixed->size};
  } else if (std::holds_alternative<VarintPrefix>(in)) {
    const detail::framing::Varint varint = detail::framing::decode_varint(view());
    if (varint.size > 0) return AnnouncedMessage{varint.size, varint.value};
  }
  return std::nullopt;
}

/// Receives the prefix of a message. Returns nothing without an error if the stream has ended
/// cleanly.
auto Framer::Impl::announced(const Framing& in, Clock& clock, std::error_code& error)
    -> std::optional<AnnouncedMessage> {
  std::size_t most = detail::framing::kMaxVarint;
  if (const auto* prefix = std::get_if<LengthPrefix>(&in))
    most = static_cast<std::size_t>(prefix->width);
  else if (std::holds_alternative<FixedSize>(in))
    most = 1;
  do {
    if (const auto prefix = buffered_prefix(in)) return prefix;
    if (used() >= most) {
      error = Errc::malformed_length;
      return std::nullopt;
    }
  } while (receive_more(most, clock, error) > 0);
  if (!error && used() > 0) fail_ended(error, used(), std::nullopt);
  return std::nullopt;
}

/// Receives and consumes a message of known size.
Bytes Framer::Impl::take(AnnouncedMessage message, Clock& clock, std::error_code& error) {
  if (message.size > limit) {
    fail_too_long(error, message.size);
    return {};
  }
  const auto size = static_cast<std::size_t>(message.size);
  if (used() - message.prefix < size) {
    // If that much is buffered, an earlier call has failed inside this message. It continues in the
    // buffer, so that many short calls do not copy a byte many times.
    if (size > kBuffer && used() <= kBuffer) return take_long(message, clock, error);
    if (!need(saturating_add(message.prefix, size), clock, error)) {
      if (!error) fail_ended(error, message.prefix, message.size);
      return {};
    }
  }
  Bytes result(data() + message.prefix, size);
  consume(message.prefix + size);
  return result;
}

/// Does the same as take(), and receives straight into the result. The memory grows with the data
/// received, to at most four times its size, and is zeroed a step ahead of the receives, while it
/// is about to be written anyway.
Bytes Framer::Impl::take_long(AnnouncedMessage message, Clock& clock, std::error_code& error) {
  const auto size = static_cast<std::size_t>(message.size);
  const std::size_t had = used() - message.prefix;
  Bytes result;
  std::size_t filled = had;
  const auto keep_received = [&] { keep(result.data() + had, filled - had); };
  try {
    do {
      const std::size_t room = filled + std::min(size - filled, std::clamp(filled, kBuffer, kStep));
      if (result.capacity() < room) result.reserve(std::min(size, std::max(room, 4 * filled)));
      result.resize(room);
      receive_all(result, filled, clock, error);
    } while (filled == result.size() && filled < size);
  } catch (...) {
    keep_received();
    throw;
  }
  if (filled < size) {
    keep_received();
    if (!error) fail_ended(error, message.prefix, message.size);
    return {};
  }
  if (had > 0) std::memcpy(result.data(), data() + message.prefix, had);
  consume(used());
  return result;
}

/// Inline in recv(), its only caller: a call takes 26 instructions more (bench/count_calls).
inline std::optional<Bytes> Framer::Impl::take_delimited(const std::vector<std::string>& delimiters,
                                                         Clock& clock, std::error_code& error) {
  if (scanned_ > 0 && scanned_for_ != delimiters) scanned_ = 0;
  for (;;) {
    const auto match = detail::framing::find_delimiter(view(), scanned_, delimiters);
    if (match && match->begin <= limit) {
      std::optional<Bytes> result(std::in_place, data(), match->begin);
      consume(match->end);
      return result;
    }
    const std::size_t longest = detail::framing::longest(delimiters);
    if (scanned_for_ != delimiters) scanned_for_ = delimiters;
    scanned_ = match ? match->end - 1 : used();
    // Without a match the last bytes may begin a delimiter.
    if (match || (used() >= longest && used() - (longest - 1) > limit)) {
      fail_too_long(error, match ? match->begin : used());
      return std::nullopt;
    }
    if (receive_more(saturating_add(limit, longest), clock, error) == 0) {
      if (!error && used() > 0) fail_ended(error, 0, std::nullopt);
      return std::nullopt;
    }
  }
}

std::optional<Bytes> Framer::Impl::recv(const Framing& in, std::error_code& error) {
  if (error) error.clear();
  Clock clock(*state, Clock::Span::call);
  if (dropping() && !finish_drop(clock, error)) return std::nullopt;
  if (const auto* delimiter = std::get_if<Delimiter>(&in))
    return take_delimited(delimiter->delimiters, clock, error);
  if (const auto message = buffered_prefix(in);
      message && message->size <= limit && message->size <= used() - message->prefix) [[likely]] {
    const auto size = static_cast<std::size_t>(message->size);
    std::optional<Bytes> result(std::in_place, data() + message->prefix, size);
    consume(message->prefix + size);
    return result;
  }
  const auto message = announced(in, clock, error);
  if (!message) return std::nullopt;
  Bytes result = take(*message, clock, error);
  if (error) return std::nullopt;
  return result;
}

// --- dropping ---

bool Framer::Impl::skip(const Framing& in, std::error_code& error) {
  error.clear();
  Clock clock(*state, Clock::Span::piece);
  if (dropping()) return finish_drop(clock, error);
  if (const auto* delimiter = std::get_if<Delimiter>(&in)) {
    if (!need(1, clock, error)) return false;
    if (scanned_for_ != delimiter->delimiters) scanned_ = 0;
    drop_until_ = delimiter->delimiters;
  } else {
    const auto message = announced(in, clock, error);
    if (!message) return false;
    consume(message->prefix);
    drop_left_ = drop_size_ = message->size;
  }
  return finish_drop(clock, error);
}

/// Drops the rest of the message that skip() has begun to drop, if any.
bool Framer::Impl::finish_drop(Clock& clock, std::error_code& error) {
  if (!dropping()) return true;
  return drop_until_.empty() ? drop_counted(clock, error) : drop_delimited(clock, error);
}

bool Framer::Impl::drop_counted(Clock& clock, std::error_code& error) {
  const auto at_most = [&](std::size_t most) {
    return static_cast<std::size_t>(std::min<std::uint64_t>(most, drop_left_));
  };
  const std::size_t there = at_most(used());
  consume(there);
  drop_left_ -= there;
  if (drop_left_ == 0) return true;
  detail::base::Scratch scratch(kPiece);
  while (drop_left_ > 0) {
    const std::size_t count = receive({scratch.data(), at_most(kPiece)}, clock, error);
    if (count == 0) {
      if (!error) fail_ended(error, 0, drop_size_);
      return false;
    }
    drop_left_ -= count;
  }
  return true;
}

bool Framer::Impl::drop_delimited(Clock& clock, std::error_code& error) {
  const std::size_t tail = detail::framing::longest(drop_until_) - 1;
  for (;;) {
    if (const auto match = detail::framing::find_delimiter(view(), scanned_, drop_until_)) {
      consume(match->end);
      drop_until_.clear();
      return true;
    }
    // The last bytes may begin a delimiter.
    const std::size_t kept = std::min(used(), tail);
    consume(used() - kept);
    scanned_ = kept;
    if (receive_more(tail + 1, clock, error) == 0) {
      if (!error) fail_ended(error, 0, std::nullopt);
      return false;
    }
  }
}

// --- the calls ---

std::optional<Bytes> Framer::recv() {
  Impl& impl = live();
  std::error_code error;
  std::optional<Bytes> message = impl.recv(impl.framing, error);
  if (error) [[unlikely]]
    impl.raise(error, "recv");
  return message;
}

std::optional<Bytes> Framer::recv(std::error_code& error) {
  Impl& impl = live();
  return impl.recv(impl.framing, error);
}

std::optional<Bytes> Framer::recv(const Framing& framing) {
  std::error_code error;
  std::optional<Bytes> message = recv(framing, error);
  if (error) [[unlikely]]
    impl_->raise(error, "recv");
  return message;
}

std::optional<Bytes> Framer::recv(const Framing& framing, std::error_code& error) {
  detail::framing::check_framing(framing);
  return live().recv(framing, error);
}

bool Framer::skip() {
  std::error_code error;
  const bool skipped = skip(error);
  if (error) [[unlikely]]
    impl_->raise(error, "skip");
  return skipped;
}

bool Framer::skip(std::error_code& error) {
  Impl& impl = live();
  return impl.skip(impl.framing, error);
}

bool Framer::skip(const Framing& framing) {
  std::error_code error;
  const bool skipped = skip(framing, error);
  if (error) [[unlikely]]
    impl_->raise(error, "skip");
  return skipped;
}

bool Framer::skip(const Framing& framing, std::error_code& error) {
  detail::framing::check_framing(framing);
  return live().skip(framing, error);
}

}  // namespace plug
