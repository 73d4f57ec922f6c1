#pragma once

// Framing: messages over a stream, so that what is sent as one arrives as one.
//
// A stream socket carries bytes, not messages: two sends may arrive as one receive and one send as
// several. A Framer puts the boundaries back.
//
//   Framer framer(sock, LengthPrefix{});           // 4 bytes, big-endian, then the message
//   framer.send("hello");
//   while (std::optional<Bytes> message = framer.recv()) ...     // nullopt: the peer has finished
//
// A header and then raw bytes (JSON, then a file) on the same reader, nothing lost in between:
//
//   Framer framer(sock, Delimiter{"\n"});
//   std::optional<Bytes> header = framer.recv();
//   framer.copy(size_from(*header), [&](BytesView piece) { file.write(piece.data(), ...); });
//
// How a read ends:
//   a message               its bytes
//   the end, cleanly        std::nullopt: the stream ended between messages
//   the end, in a message   IncompleteReadError, with the bytes that did come
//   too long                LimitOverrunError, as soon as that is known: at the prefix, or when
//                           more than the limit has come without a delimiter. Read it again with
//                           a higher bound (set_limit()), or drop it with skip()
//   no length               ValueError: a varint above 64 bits. Where the next message begins is
//                           not known then
//   out of time             TimeoutError; BlockingIOError when the time-out is zero
//   a broken connection     ConnectionResetError, OSError; every later read that needs more than
//                           is buffered fails in the same way
// A read that fails consumes nothing: what has come stays buffered, and the same call again goes on
// with it, or fails again. Only copy() and skip() work in pieces and consume as they go.
// With an error code the end in a message is Errc::end_in_message, too long
// Errc::message_too_long, no length Errc::malformed_length. What can never be right (a width of 3,
// an empty delimiter, a message that its framing cannot tell) throws ValueError in both forms.
//
// Each call has one deadline, made from the socket's time-out, however slowly the peer sends;
// copy() and skip() have one for each piece.
//
// Memory. A Framer holds 16 KiB, and more only while a longer message is incomplete: a small
// multiple of what has come of it, whatever its prefix announces. Long messages are received
// straight into the result.
//
// A Framer refers to the socket's connection, not to the Socket object, which may move; once the
// descriptor is closed, calls that need it end with EBADF. Read from the Framer alone once one is
// made: it may hold bytes that a recv() on the socket would miss (buffered() shows them).
//
// Threads. One thread may receive while another sends; two of either need a lock.
//
// The names follow Python's asyncio.StreamReader. Other than there, readexactly() has the limit and
// what came of an incomplete message stays buffered.

#include <plug/bytes.hpp>
#include <plug/error.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <variant>
#include <vector>

namespace plug::detail {

class SocketState;

}  // namespace plug::detail

#pragma GCC visibility push(default)

namespace plug {

class Socket;

enum class ByteOrder { big, little };

/// A message is its length, in a fixed number of bytes, and then its bytes.
struct LengthPrefix {
  int width = 4;  ///< 1, 2, 4 or 8 bytes
  ByteOrder order = ByteOrder::big;
};

/// As LengthPrefix, with the length as a varint: 7 bits a byte, low bits first, the high bit set on
/// all bytes but the last, at most 10 bytes (the form of Protocol Buffers). Read in any length:
/// 0x80 0x00 is 0, as it is there. Sent in the shortest.
struct VarintPrefix {};

/// A message ends at a delimiter, which is not part of it. Of several the one that ends first
/// counts, and of those that end at the same byte the longest: {"\n", "\r\n"} takes either line
/// end. Sending appends the first of them. A NUL needs its length said: Delimiter{"\0"sv}.
struct Delimiter {
  Delimiter(std::string_view delimiter) : delimiters{std::string(delimiter)} {}
  Delimiter(const char* delimiter) : delimiters{delimiter} {}
  Delimiter(std::initializer_list<std::string_view> any_of)
      : delimiters(any_of.begin(), any_of.end()) {}

  std::vector<std::string> delimiters;
};

/// Every message has the same number of bytes.
struct FixedSize {
  std::size_t size;
};

using Framing = std::variant<LengthPrefix, VarintPrefix, Delimiter, FixedSize>;

/// The stream ended inside a message. Python: asyncio.IncompleteReadError.
class IncompleteReadError : public EOFError {
 public:
  IncompleteReadError(Bytes partial, std::optional<std::uint64_t> expected);

  /// What had come, the length prefix left out. Empty for copy() and skip(), which do not hold it.
  const Bytes& partial() const noexcept { return *partial_; }
  /// How many bytes the message has; none when not known.
  std::optional<std::uint64_t> expected() const noexcept { return expected_; }

 private:
  std::shared_ptr<const Bytes> partial_;
  std::optional<std::uint64_t> expected_;
};

/// A message above the reader's bound. Python: asyncio.LimitOverrunError.
class LimitOverrunError : public ValueError {
 public:
  LimitOverrunError(std::uint64_t size, std::size_t limit);

  /// The size that the prefix announces, or, with delimiters, of what has come so far.
  std::uint64_t size() const noexcept { return size_; }
  std::size_t limit() const noexcept { return limit_; }

 private:
  std::uint64_t size_;
  std::size_t limit_;
};

class Framer {
 public:
  /// The bound of a message, in bytes, unless another is set.
  static constexpr std::size_t kDefaultLimit = 1 << 20;

  /// Throws ValueError for a framing that cannot be: a width other than 1, 2, 4, 8, no delimiter or
  /// an empty one, a fixed size of 0 or above the limit.
  explicit Framer(Socket& sock, Framing framing = LengthPrefix{},
                  std::size_t limit = kDefaultLimit);
  /// One that has been moved from acts as that of a closed socket.
  Framer(Framer&&) noexcept;
  Framer& operator=(Framer&&) noexcept;
  ~Framer();

  std::size_t limit() const noexcept;
  void set_limit(std::size_t limit) noexcept;

  /// The next message, or nullopt when the stream ended cleanly; with an error code nullopt is also
  /// a failure. The second form reads one message in another framing.
  std::optional<Bytes> recv();
  std::optional<Bytes> recv(const Framing& framing);
  std::optional<Bytes> recv(const Framing& framing, std::error_code& error);

  /// Sends a message, framed, with one deadline for all of it. Throws ValueError when the message
  /// cannot be told in this framing: longer than the prefix can say, holding a delimiter (also one
  /// that its end makes with the delimiter after it), or not of the fixed size. The limit is the
  /// reader's and does not apply. After a failure part of the message may have gone out: what is
  /// sent then no longer begins at a boundary.
  void send(BytesView message);
  void send(BytesView message, const Framing& framing);
  void send(BytesView message, const Framing& framing, std::error_code& error);

  /// Exactly `size` raw bytes; 0 does not wait. LimitOverrunError above the limit.
  /// IncompleteReadError when the stream ends before, even when it ends at once. Python:
  /// asyncio.StreamReader.readexactly().
  Bytes readexactly(std::size_t size);
  Bytes readexactly(std::size_t size, std::error_code& error);

  /// Fills the buffer with raw bytes, whatever the limit. Returns its size, or 0 when it fails:
  /// what came stays buffered, and what the buffer holds is not defined. IncompleteReadError as for
  /// readexactly().
  std::size_t readinto(MutableBytes buffer);
  std::size_t readinto(MutableBytes buffer, std::error_code& error);

  /// What is buffered, or one receive's worth of raw bytes, at most `size`; empty at the end.
  Bytes read(std::size_t size);
  Bytes read(std::size_t size, std::error_code& error);

  /// Hands exactly `size` raw bytes to `sink` piece by piece (up to 64 KiB each), without holding
  /// them: the limit does not apply. The deadline is per piece, since a file may take any time.
  /// Returns how many bytes the sink got: fewer only when it fails. What the sink throws leaves the
  /// call; that piece is then consumed. The sink must not use this Framer's reads.
  /// IncompleteReadError when the stream ends before.
  std::uint64_t copy(std::uint64_t size, const std::function<void(BytesView)>& sink);
  std::uint64_t copy(std::uint64_t size, const std::function<void(BytesView)>& sink,
                     std::error_code& error);

  /// Drops the next message, however long, without holding it. False when the stream ended
  /// cleanly before it. The deadline is per piece. Where it fails in the middle, skip() again goes
  /// on with the same message, and any other read drops the rest of it first.
  bool skip();
  bool skip(const Framing& framing);
  bool skip(const Framing& framing, std::error_code& error);

  /// Received and not yet read. Good until the next read.
  BytesView buffered() const noexcept;

 private:
  class Impl;
  Impl& live();
  Impl& revive();

  std::unique_ptr<Impl> impl_;
};

}  // namespace plug

#pragma GCC visibility pop
