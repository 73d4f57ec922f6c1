#pragma once

// Framer: sends and receives whole messages over a stream socket.
//
// A stream carries bytes, not messages: two sends may arrive as one receive, and one send as
// several. A Framer restores the message boundaries.
//
//   Framer framer(sock, LengthPrefix{});           // 4 bytes, big-endian, then the message
//   framer.send("hello");
//   while (std::optional<Bytes> message = framer.recv()) ...     // nullopt: the peer has finished
//
// The same reader can mix messages and raw bytes, such as a JSON header and then a file:
//
//   Framer framer(sock, Delimiter{"\n"});
//   std::optional<Bytes> header = framer.recv();
//   framer.copy(size_from(*header), [&](BytesView piece) { file.write(piece.data(), ...); });
//
// Results of a read:
//   message                  its bytes
//   clean end of stream      std::nullopt: the stream ended between two messages
//   end inside a message     IncompleteReadError, with the bytes received so far
//   message above the limit  LimitOverrunError, once the prefix has arrived, or more bytes than the
//                            limit and no delimiter. Read the message again with a higher limit
//                            (set_limit()), or drop it with skip()
//   malformed length         ValueError: a varint above 64 bits. The reader cannot tell where the
//                            next message begins
//   timeout                  TimeoutError; BlockingIOError if the timeout is zero
//   broken connection        ConnectionResetError or another OSError. Every later read that needs
//                            more than the buffered bytes fails in the same way
// A failed read consumes nothing: the received bytes stay buffered, and the next call continues
// with them. Only copy() and skip() consume the bytes as they arrive.
//
// With an error code, the end of the stream is no error either:
//
//   std::error_code error;
//   while (std::optional<Bytes> message = framer.recv(error)) ...
//   if (error) ...                               // a failure; otherwise the peer has finished
//
// The error of a throwing call names the call and, while the socket is connected, the peer: "timed
// out: recv from ('127.0.0.1', 80)". With an error code, the first three errors are
// Errc::end_in_message, Errc::message_too_long and Errc::malformed_length. An invalid argument (a
// width of 3, an empty delimiter, a message that the framing cannot express) throws ValueError in
// both forms.
//
// Each call has one deadline, made from the socket's timeout, even if the peer sends slowly. copy()
// and skip() have one deadline for each piece.
//
// Memory. A Framer holds 16 KiB. While a longer message is incomplete, it holds a small multiple of
// the bytes received, regardless of the announced length. Long messages are received directly into
// the result.
//
// A Framer refers to the socket's connection, not to the Socket object, which may be moved. After
// the descriptor is closed, calls that need it fail with EBADF. Once a socket has a Framer, read
// from it only through the Framer, which may hold bytes that recv() would miss (see buffered()).
//
// Thread safety. One thread may receive while another sends. Two readers or two senders need a
// lock.
//
// The names follow Python's asyncio.StreamReader. Differences: readexactly() has the limit, and the
// bytes of an incomplete message stay buffered.

#include <plug/bytes.hpp>
#include <plug/detail/forward.hpp>
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

#pragma GCC visibility push(default)

namespace plug {

class Socket;

enum class ByteOrder { big, little };

/// Each message is preceded by its length, in a fixed number of bytes.
struct LengthPrefix {
  int width = 4;  ///< 1, 2, 4 or 8 bytes
  ByteOrder order = ByteOrder::big;
};

/// Each message is preceded by its length as a varint, as in Protocol Buffers: 7 bits per byte, low
/// bits first, the high bit set on all bytes but the last, at most 10 bytes. Reading accepts
/// encodings that are longer than necessary (0x80 0x00 is 0); sending uses the shortest.
struct VarintPrefix {};

/// Each message ends with a delimiter, which is not part of it. With several delimiters, the one
/// that ends first counts, and the longest of those that end at the same byte: {"\n", "\r\n"}
/// accepts either line end. Sending appends the first delimiter. A delimiter with a NUL needs an
/// explicit length: Delimiter{"\0"sv}.
struct Delimiter {
  Delimiter(std::string_view delimiter) : delimiters{std::string(delimiter)} {}
  Delimiter(const char* delimiter) : delimiters{delimiter} {}
  Delimiter(std::initializer_list<std::string_view> any_of)
      : delimiters(any_of.begin(), any_of.end()) {}

  std::vector<std::string> delimiters;
};

/// All messages have the same size.
struct FixedSize {
  std::size_t size;
};

using Framing = std::variant<LengthPrefix, VarintPrefix, Delimiter, FixedSize>;

/// The stream ended inside a message. Python: asyncio.IncompleteReadError.
class IncompleteReadError : public EOFError {
 public:
  /// `about` names the call concerned, for the text.
  IncompleteReadError(Bytes partial, std::optional<std::uint64_t> expected,
                      std::string_view about = {});

  /// Returns the bytes received, without the length prefix. Empty for copy() and skip(), which do
  /// not keep them.
  const Bytes& partial() const noexcept { return *partial_; }
  /// Returns the size of the message; none if unknown.
  std::optional<std::uint64_t> expected() const noexcept { return expected_; }

 private:
  std::shared_ptr<const Bytes> partial_;
  std::optional<std::uint64_t> expected_;
};

/// A message exceeds the limit. Python: asyncio.LimitOverrunError.
class LimitOverrunError : public ValueError {
 public:
  LimitOverrunError(std::uint64_t size, std::size_t limit, std::string_view about = {});

  /// Returns the announced size; with delimiters, the number of bytes received so far.
  std::uint64_t size() const noexcept { return size_; }
  std::size_t limit() const noexcept { return limit_; }

 private:
  std::uint64_t size_;
  std::size_t limit_;
};

class Framer {
 public:
  /// The default limit: the maximum size of a received message, in bytes.
  static constexpr std::size_t kDefaultLimit = 1 << 20;

  /// Throws ValueError for an invalid framing: a width other than 1, 2, 4 or 8, no delimiter, an
  /// empty delimiter, or a fixed size of 0 or above the limit.
  explicit Framer(Socket& sock, Framing framing = LengthPrefix{},
                  std::size_t limit = kDefaultLimit);
  /// A moved-from Framer acts like the Framer of a closed socket.
  Framer(Framer&&) noexcept;
  Framer& operator=(Framer&&) noexcept;
  ~Framer();

  /// Return or set the maximum size of a received message, in bytes.
  [[nodiscard]] std::size_t limit() const noexcept;
  void set_limit(std::size_t limit) noexcept;

  /// Returns the next message, or nullopt if the stream ended cleanly. The forms with an error code
  /// also return nullopt after a failure, and only then set the error. `framing` applies to this
  /// message only.
  [[nodiscard]] std::optional<Bytes> recv();
  [[nodiscard]] std::optional<Bytes> recv(std::error_code& error);
  [[nodiscard]] std::optional<Bytes> recv(const Framing& framing);
  [[nodiscard]] std::optional<Bytes> recv(const Framing& framing, std::error_code& error);

  /// Sends a message with its framing, with one deadline for all of it. Throws ValueError if the
  /// framing cannot express the message: it is too long for the prefix, it does not have the fixed
  /// size, it contains a delimiter, or its end and the appended delimiter together form another
  /// one. The limit does not apply. After a failure, part of the message may have been sent; the
  /// peer then takes the next bytes for the rest of it.
  void send(BytesView message);
  void send(BytesView message, std::error_code& error);
  void send(BytesView message, const Framing& framing);
  void send(BytesView message, const Framing& framing, std::error_code& error);

  /// Reads exactly `size` raw bytes; does not wait if it is 0. Throws LimitOverrunError above the
  /// limit, IncompleteReadError if the stream ends before, even if no byte has arrived. Python:
  /// asyncio.StreamReader.readexactly().
  [[nodiscard]] Bytes readexactly(std::size_t size);
  [[nodiscard]] Bytes readexactly(std::size_t size, std::error_code& error);

  /// Fills the buffer with raw bytes; the limit does not apply. Returns its size, or 0 after a
  /// failure: the received bytes then stay buffered, and the contents of `buffer` are unspecified.
  /// Throws IncompleteReadError as readexactly() does.
  std::size_t readinto(MutableBytes buffer);
  std::size_t readinto(MutableBytes buffer, std::error_code& error);

  /// Reads up to `size` raw bytes: those that are buffered, otherwise those of one receive. Returns
  /// no bytes at the end of the stream.
  [[nodiscard]] Bytes read(std::size_t size);
  [[nodiscard]] Bytes read(std::size_t size, std::error_code& error);

  /// Passes exactly `size` raw bytes to `sink`, in pieces of up to 64 KiB that are not kept; the
  /// limit does not apply. Each piece has its own deadline, so that a file may take any time.
  /// Returns the number of bytes passed, which is less than `size` only after a failure. If the
  /// sink throws, the exception leaves the call and the piece is consumed. The sink must not read
  /// from this Framer. Throws IncompleteReadError if the stream ends before.
  std::uint64_t copy(std::uint64_t size, const std::function<void(BytesView)>& sink);
  std::uint64_t copy(std::uint64_t size, const std::function<void(BytesView)>& sink,
                     std::error_code& error);

  /// Drops the next message, of any size, without keeping it in memory. Returns false if the stream
  /// ended cleanly before it. Each piece has its own deadline. After a failure inside the message,
  /// the next skip() continues to drop it; any other read first drops the rest of it.
  bool skip();
  bool skip(std::error_code& error);
  bool skip(const Framing& framing);
  bool skip(const Framing& framing, std::error_code& error);

  /// Returns the received bytes that have not been read. Valid until the next read.
  [[nodiscard]] BytesView buffered() const noexcept;

 private:
  class Impl;
  Impl& live();
  Impl& revive();

  std::unique_ptr<Impl> impl_;
};

}  // namespace plug

#pragma GCC visibility pop
