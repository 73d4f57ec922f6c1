#pragma once

// The inside of a Framer. Its functions are in files by job: receive.cpp has the buffer and the
// receives, messages.cpp the calls that read or drop a message, raw.cpp those for bytes without
// framing, framing.cpp sending, the errors and the rest.

#include <plug/framing.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "base/deadline.hpp"
#include "socket/state.hpp"

namespace plug {

// The buffer holds everything that was received and not consumed, from begin_ to end_. A read that
// fails has consumed nothing; only copy() and skip() continue piece by piece.
class Framer::Impl {
 public:
  /// The capacity of the buffer unless a message needs more; the size of a receive for small
  /// messages.
  static constexpr std::size_t kBuffer = std::size_t{16} << 10;
  /// The most that is passed to a sink, or dropped, at once.
  static constexpr std::size_t kPiece = std::size_t{64} << 10;

  /// The deadline of a call's receives: one for the whole call, made at its first receive, or a new
  /// one for each piece.
  class Clock {
   public:
    enum class Span { call, piece };

    Clock(detail::socket::SocketState& state, Span span) noexcept : state_(state), span_(span) {}

    Deadline deadline() noexcept {
      if (!made_ || span_ == Span::piece) made_ = state_.deadline();
      return *made_;
    }

   private:
    detail::socket::SocketState& state_;
    Span span_;
    std::optional<Deadline> made_;
  };

  /// The size of a message's prefix and of the message.
  struct AnnouncedMessage {
    std::size_t prefix;
    std::uint64_t size;
  };

  Impl(std::shared_ptr<detail::socket::SocketState> socket_state, Framing own_framing,
       std::size_t own_limit)
      : state(std::move(socket_state)), framing(std::move(own_framing)), limit(own_limit) {}

  const std::shared_ptr<detail::socket::SocketState> state;
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

  /// Throws the exception for the failure of the previous call: `call` is its name, `preposition`
  /// stands between that and the peer's address.
  void raise(const std::error_code& error, std::string_view call,
             std::string_view preposition = "from") const;

 private:
  std::size_t used() const noexcept { return end_ - begin_; }
  const char* data() const noexcept { return memory_.get() + begin_; }
  std::string_view view() const noexcept { return {data(), used()}; }
  bool dropping() const noexcept { return drop_left_ > 0 || !drop_until_.empty(); }

  /// Keeps the memory: a view of consumed data is valid until the next receive.
  void consume(std::size_t count) noexcept {
    begin_ += count;
    scanned_ = 0;
    if (begin_ == end_) begin_ = end_ = 0;
  }
  void move_to(std::size_t capacity);
  void keep(const char* bytes, std::size_t count);

  std::size_t receive(MutableBytes room, Clock& clock, std::error_code& error);
  std::size_t receive_more(std::size_t goal, Clock& clock, std::error_code& error);
  bool need(std::size_t count, Clock& clock, std::error_code& error);
  void receive_all(MutableBytes room, std::size_t& filled, Clock& clock, std::error_code& error);

  std::optional<AnnouncedMessage> buffered_prefix(const Framing& in) const noexcept;
  std::optional<AnnouncedMessage> announced(const Framing& in, Clock& clock,
                                            std::error_code& error);
  Bytes take(AnnouncedMessage message, Clock& clock, std::error_code& error);
  Bytes take_long(AnnouncedMessage message, Clock& clock, std::error_code& error);
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

inline Framer::Impl& Framer::live() { return impl_ ? *impl_ : revive(); }

}  // namespace plug
