#include <plug/error.hpp>
#include <plug/framing.hpp>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <limits>

#include "address/access.hpp"
#include "framing/codec.hpp"
#include "socket/scratch.hpp"
#include "socket/state.hpp"

namespace plug {

namespace {

using detail::bytes_text;
using detail::Deadline;
using detail::SocketState;

/// The capacity of the buffer unless a message needs more; the size of a receive for small
/// messages.
constexpr std::size_t kBuffer = std::size_t{16} << 10;
/// The most that is passed to a sink, or dropped, at once.
constexpr std::size_t kPiece = std::size_t{64} << 10;
/// The most that the result of a long message is extended, and zeroed, ahead of the receives.
constexpr std::size_t kStep = std::size_t{128} << 10;

std::size_t saturating_add(std::size_t a, std::size_t b) noexcept {
  return a > std::numeric_limits<std::size_t>::max() - b ? std::numeric_limits<std::size_t>::max()
                                                         : a + b;
}

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

/// The deadline of a call's receives: one for the whole call, made at its first receive, or a new
/// one for each piece.
class Clock {
 public:
  enum class Span { call, piece };

  Clock(SocketState& state, Span span) noexcept : state_(state), span_(span) {}

  Deadline deadline() noexcept {
    if (!made_ || span_ == Span::piece) made_ = state_.deadline();
    return *made_;
  }

 private:
  SocketState& state_;
  Span span_;
  std::optional<Deadline> made_;
};

/// The size of a message's prefix and of the message.
struct Announced {
  std::size_t prefix;
  std::uint64_t size;
};

}  // namespace

// The buffer holds everything that was received and not consumed, from begin_ to end_. A read that
// fails has consumed nothing; only copy() and skip() continue piece by piece.
class Framer::Impl {
 public:
  Impl(std::shared_ptr<SocketState> socket_state, Framing own_framing, std::size_t own_limit)
      : state(std::move(socket_state)), framing(std::move(own_framing)), limit(own_limit) {}

  const std::shared_ptr<SocketState> state;
  const Framing framing;
  std::size_t limit;

  BytesView buffered() const noexcept {
    return dropping() ? BytesView() : BytesView(memory_.get() + begin_, used());
  }

  std::optional<Bytes> recv(const Framing& in, std::error_code& error);
  Bytes readexactly(std::size_t size, std::error_code& error);
  std::size_t readinto(MutableBytes buffer, std::error_code& error);
  Bytes read(std::size_t size, std::error_code& error);
  std::uint64_t copy(std::uint64_t size, const std::function<void(BytesView)>& sink,
                     std::error_code& error);
  bool skip(const Framing& in, std::error_code& error);
  void send(BytesView message, const Framing& in, std::error_code& error) const;

  /// Throws the exception for the failure of the previous call.
  void raise(const std::error_code& error) const;

 private:
  std::size_t used() const noexcept { return end_ - begin_; }
  const char* data() const noexcept { return memory_.get() + begin_; }
  std::string_view view() const noexcept { return {data(), used()}; }
  bool dropping() const noexcept { return drop_left_ > 0 || !drop_until_.empty(); }

  void consume(std::size_t count) noexcept;
  void move_to(std::size_t capacity);
  void keep(const char* bytes, std::size_t count);

  std::size_t receive(MutableBytes room, Clock& clock, std::error_code& error);
  std::size_t receive_more(std::size_t goal, Clock& clock, std::error_code& error);
  bool need(std::size_t count, Clock& clock, std::error_code& error);
  void receive_all(MutableBytes room, std::size_t& filled, Clock& clock, std::error_code& error);

  std::optional<Announced> buffered_prefix(const Framing& in) const noexcept;
  std::optional<Announced> announced(const Framing& in, Clock& clock, std::error_code& error);
  Bytes take(Announced message, Clock& clock, std::error_code& error);
  Bytes take_long(Announced message, Clock& clock, std::error_code& error);
  std::optional<Bytes> take_delimited(const std::vector<std::string>& delimiters, Clock& clock,
                                      std::error_code& error);

  bool finish_drop(Clock& clock, std::error_code& error);
  bool drop_counted(Clock& clock, std::error_code& error);
  bool drop_delimited(Clock& clock, std::error_code& error);

  void fail_ended(std::error_code& error, std::size_t partial_from,
                  std::optional<std::uint64_t> expected) noexcept;
  void fail_too_long(std::error_code& error, std::uint64_t size) noexcept;

  std::unique_ptr<char[]> memory_;
  std::size_t capacity_ = 0;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;

  /// The number of buffered bytes that have been searched: no delimiter of scanned_for_ ends in
  /// them.
  std::size_t scanned_ = 0;
  std::vector<std::string> scanned_for_;

  /// The rest of a message that skip() has begun to drop.
  std::uint64_t drop_left_ = 0;
  std::uint64_t drop_size_ = 0;
  std::vector<std::string> drop_until_;

  std::error_code connection_error_;

  /// Details of the last failure, for the exception.
  struct {
    std::uint64_t size = 0;
    std::size_t partial_from = 0;
    std::optional<std::uint64_t> expected;
  } failure_;
};

// --- the buffer ---

/// Keeps the memory: a view of consumed data is valid until the next receive.
void Framer::Impl::consume(std::size_t count) noexcept {
  begin_ += count;
  scanned_ = 0;
  if (begin_ == end_) begin_ = end_ = 0;
}

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

// --- failures ---

void Framer::Impl::fail_ended(std::error_code& error, std::size_t partial_from,
                              std::optional<std::uint64_t> expected) noexcept {
  error = Errc::end_in_message;
  failure_ = {0, partial_from, expected};
}

void Framer::Impl::fail_too_long(std::error_code& error, std::uint64_t size) noexcept {
  error = Errc::message_too_long;
  failure_ = {size, 0, std::nullopt};
}

void Framer::Impl::raise(const std::error_code& error) const {
  if (!error) [[likely]]
    return;
  if (error == Errc::end_in_message)
    throw IncompleteReadError(Bytes(buffered().subspan(failure_.partial_from)), failure_.expected);
  if (error == Errc::message_too_long) throw LimitOverrunError(failure_.size, limit);
  if (error == Errc::malformed_length)
    throw_if(error, detail::bytes_repr(view().substr(0, detail::kMaxVarint)));
  throw_if(error);
}

// --- messages ---

/// Returns the prefix of a message if it is buffered. Not for delimited messages.
inline std::optional<Announced> Framer::Impl::buffered_prefix(const Framing& in) const noexcept {
  if (const auto* prefix = std::get_if<LengthPrefix>(&in)) {
    const auto width = static_cast<std::size_t>(prefix->width);
    if (used() >= width) return Announced{width, detail::decode_length(data(), *prefix)};
  } else if (const auto* fixed = std::get_if<FixedSize>(&in)) {
    if (used() > 0) return Announced{0, fixed->size};
  } else if (std::holds_alternative<VarintPrefix>(in)) {
    const detail::Varint varint = detail::decode_varint(view());
    if (varint.size > 0) return Announced{varint.size, varint.value};
  }
  return std::nullopt;
}

/// Receives the prefix of a message. Returns nothing without an error if the stream has ended
/// cleanly.
std::optional<Announced> Framer::Impl::announced(const Framing& in, Clock& clock,
                                                 std::error_code& error) {
  std::size_t most = detail::kMaxVarint;
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
Bytes Framer::Impl::take(Announced message, Clock& clock, std::error_code& error) {
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
Bytes Framer::Impl::take_long(Announced message, Clock& clock, std::error_code& error) {
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

std::optional<Bytes> Framer::Impl::take_delimited(const std::vector<std::string>& delimiters,
                                                  Clock& clock, std::error_code& error) {
  if (scanned_ > 0 && scanned_for_ != delimiters) scanned_ = 0;
  for (;;) {
    const auto match = detail::find_delimiter(view(), scanned_, delimiters);
    if (match && match->begin <= limit) {
      std::optional<Bytes> result(std::in_place, data(), match->begin);
      consume(match->end);
      return result;
    }
    const std::size_t longest = detail::longest(delimiters);
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

// --- calls ---

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
    detail::Scratch scratch(most);
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
  detail::Scratch scratch(kPiece);
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
  detail::Scratch scratch(kPiece);
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
  const std::size_t tail = detail::longest(drop_until_) - 1;
  for (;;) {
    if (const auto match = detail::find_delimiter(view(), scanned_, drop_until_)) {
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

void Framer::Impl::send(BytesView message, const Framing& in, std::error_code& error) const {
  detail::Head head;
  BytesView tail;
  if (const auto* prefix = std::get_if<LengthPrefix>(&in)) {
    head = detail::encode_length(message.size(), *prefix);
  } else if (const auto* delimiter = std::get_if<Delimiter>(&in)) {
    detail::check_delimited(message, delimiter->delimiters);
    tail = delimiter->delimiters.front();
  } else if (const auto* fixed = std::get_if<FixedSize>(&in)) {
    if (message.size() != fixed->size) {
      throw ValueError("message of " + bytes_text(message.size()) + ": this framing takes " +
                       bytes_text(fixed->size));
    }
  } else {
    head = detail::encode_varint(message.size());
  }
  send_all(*state, {head.bytes.data(), head.size}, message, tail, state->deadline(), error);
}

// --- the public face ---

IncompleteReadError::IncompleteReadError(Bytes partial, std::optional<std::uint64_t> expected)
    : EOFError(bytes_text(partial.size()) + " read of " +
               (expected ? std::to_string(*expected) : "an unknown number") + " expected"),
      partial_(std::make_shared<const Bytes>(std::move(partial))),
      expected_(expected) {}

LimitOverrunError::LimitOverrunError(std::uint64_t size, std::size_t limit)
    : ValueError("message of " + bytes_text(size) + " is above the limit of " + bytes_text(limit)),
      size_(size),
      limit_(limit) {}

Framer::Framer(Socket& sock, Framing framing, std::size_t limit) {
  detail::check_framing(framing);
  if (const auto* fixed = std::get_if<FixedSize>(&framing); fixed && fixed->size > limit)
    throw ValueError("a fixed size of " + bytes_text(fixed->size) + " is above the limit of " +
                     bytes_text(limit));
  const auto& state = detail::SocketAccess::state(sock);
  if (!state) throw_if({EBADF, std::system_category()}, "Framer");
  impl_ = std::make_unique<Impl>(state, std::move(framing), limit);
}

Framer::Framer(Framer&&) noexcept = default;
Framer& Framer::operator=(Framer&&) noexcept = default;
Framer::~Framer() = default;

inline Framer::Impl& Framer::live() { return impl_ ? *impl_ : revive(); }

[[gnu::cold]] Framer::Impl& Framer::revive() {
  impl_ = std::make_unique<Impl>(std::make_shared<SocketState>(-1, 0, 0, 0, Timeout(std::nullopt)),
                                 LengthPrefix{}, kDefaultLimit);
  return *impl_;
}

std::size_t Framer::limit() const noexcept { return impl_ ? impl_->limit : kDefaultLimit; }
void Framer::set_limit(std::size_t limit) noexcept {
  if (impl_) impl_->limit = limit;
}

std::optional<Bytes> Framer::recv() {
  Impl& impl = live();
  std::error_code error;
  std::optional<Bytes> message = impl.recv(impl.framing, error);
  impl.raise(error);
  return message;
}

std::optional<Bytes> Framer::recv(const Framing& framing) {
  std::error_code error;
  std::optional<Bytes> message = recv(framing, error);
  impl_->raise(error);
  return message;
}

std::optional<Bytes> Framer::recv(const Framing& framing, std::error_code& error) {
  detail::check_framing(framing);
  return live().recv(framing, error);
}

void Framer::send(BytesView message) {
  const Impl& impl = live();
  std::error_code error;
  impl.send(message, impl.framing, error);
  throw_if(error);
}

void Framer::send(BytesView message, const Framing& framing) {
  std::error_code error;
  send(message, framing, error);
  throw_if(error);
}

void Framer::send(BytesView message, const Framing& framing, std::error_code& error) {
  detail::check_framing(framing);
  live().send(message, framing, error);
}

Bytes Framer::readexactly(std::size_t size) {
  std::error_code error;
  Bytes bytes = readexactly(size, error);
  impl_->raise(error);
  return bytes;
}

Bytes Framer::readexactly(std::size_t size, std::error_code& error) {
  return live().readexactly(size, error);
}

std::size_t Framer::readinto(MutableBytes buffer) {
  std::error_code error;
  const std::size_t count = readinto(buffer, error);
  impl_->raise(error);
  return count;
}

std::size_t Framer::readinto(MutableBytes buffer, std::error_code& error) {
  return live().readinto(buffer, error);
}

Bytes Framer::read(std::size_t size) {
  std::error_code error;
  Bytes bytes = read(size, error);
  impl_->raise(error);
  return bytes;
}

Bytes Framer::read(std::size_t size, std::error_code& error) { return live().read(size, error); }

std::uint64_t Framer::copy(std::uint64_t size, const std::function<void(BytesView)>& sink) {
  std::error_code error;
  const std::uint64_t copied = copy(size, sink, error);
  impl_->raise(error);
  return copied;
}

std::uint64_t Framer::copy(std::uint64_t size, const std::function<void(BytesView)>& sink,
                           std::error_code& error) {
  return live().copy(size, sink, error);
}

bool Framer::skip() {
  Impl& impl = live();
  std::error_code error;
  const bool skipped = impl.skip(impl.framing, error);
  impl.raise(error);
  return skipped;
}

bool Framer::skip(const Framing& framing) {
  std::error_code error;
  const bool skipped = skip(framing, error);
  impl_->raise(error);
  return skipped;
}

bool Framer::skip(const Framing& framing, std::error_code& error) {
  detail::check_framing(framing);
  return live().skip(framing, error);
}

BytesView Framer::buffered() const noexcept { return impl_ ? impl_->buffered() : BytesView(); }

}  // namespace plug
