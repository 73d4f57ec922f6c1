#pragma once

// The reading side of a File: bytes, and text on top of them.
//
// A call that fails consumes nothing: the data that it has received is there for the next call.
// This also holds if the interrupt hook throws.

#include <plug/bytes.hpp>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>

#include "socket/state.hpp"
#include "stream/text.hpp"

namespace plug::detail::stream {

/// The single deadline of a call, however often it waits; made at its first wait.
class CallDeadline {
 public:
  explicit CallDeadline(socket::SocketState& state) noexcept : state_(state) {}

  Deadline get() noexcept {
    if (!deadline_) deadline_ = state_.deadline();
    return *deadline_;
  }

 private:
  socket::SocketState& state_;
  std::optional<Deadline> deadline_;
};

class ByteReader {
 public:
  /// With a capacity of 0 there is no buffer: each call makes a single receive if possible.
  ByteReader(socket::SocketState& state, std::size_t capacity);

  std::string read(std::ptrdiff_t size, CallDeadline& deadline, std::error_code& error);
  std::string read1(std::ptrdiff_t size, CallDeadline& deadline, std::error_code& error);
  std::size_t readinto(MutableBytes buffer, CallDeadline& deadline, std::error_code& error);
  std::string readline(std::ptrdiff_t limit, CallDeadline& deadline, std::error_code& error) {
    // Empty, unless the previous call has failed.
    if (gathered_.empty() && begin_ != end_) [[likely]] {
      const char* const line = room_.get() + begin_;
      const std::size_t most = std::min(end_ - begin_, static_cast<std::size_t>(limit));
      if (const void* const newline = std::memchr(line, '\n', most)) {
        const auto size = static_cast<std::size_t>(static_cast<const char*>(newline) + 1 - line);
        std::string whole(line, size);
        begin_ += size;
        return whole;
      }
    }
    return gather_line(limit, deadline, error);
  }

  /// Makes `data` the next bytes to be read.
  void put_back(std::string_view data) {
    restore();
    prepend(data);
  }

  std::string_view buffered() const noexcept { return {room_.get() + begin_, end_ - begin_}; }
  void consume(std::size_t size) noexcept { begin_ += size; }

  /// Receives once into the buffer. Returns false at the end of the stream, or with an error.
  bool receive(CallDeadline& deadline, std::error_code& error);

  /// Returns true if a call has run out of time. Nothing more is read after that.
  bool poisoned() const noexcept { return poisoned_; }

 private:
  std::string gather_line(std::ptrdiff_t limit, CallDeadline& deadline, std::error_code& error);
  std::size_t receive_into(MutableBytes buffer, CallDeadline& deadline, std::error_code& error);
  std::size_t take_into(MutableBytes buffer) noexcept;
  std::string take(std::size_t size);
  void gather(std::size_t size);
  void restore();
  void prepend(std::string_view data);

  socket::SocketState& state_;
  const std::size_t capacity_;
  std::size_t size_;  // of room_: the capacity, or more if more was put back
  std::unique_ptr<char[]> room_;
  std::size_t begin_ = 0, end_ = 0;
  std::string gathered_;  // by the current call, or by one that has failed
  bool poisoned_ = false;
};

/// The details of a decoding error, for UnicodeDecodeError.
struct DecodeProblem {
  std::string encoding;
  std::size_t start = 0;  // in the stream
  std::string bytes;
  const char* reason = "";
};

class TextReader {
 public:
  TextReader(ByteReader& bytes, const Encoding& encoding, OnError on_error,
             const std::optional<std::string>& newline);

  std::string read(std::ptrdiff_t size, CallDeadline& deadline, std::error_code& error);
  std::string readline(std::ptrdiff_t limit, CallDeadline& deadline, std::error_code& error) {
    if (limit < 0 && newline_.size() == 1) [[likely]] {
      const char* const line = text_.data() + begin_;
      if (const void* const newline = std::memchr(line, newline_[0], ready_ - begin_)) {
        const auto size = static_cast<std::size_t>(static_cast<const char*>(newline) + 1 - line);
        std::string whole(line, size);
        begin_ += size;
        return whole;
      }
    }
    return decode_line(limit, deadline, error);
  }
  void put_back(std::string_view text);

  /// Returns the details of the last Errc::bad_encoding.
  const DecodeProblem& problem() const noexcept { return problem_; }

 private:
  std::string_view ready() const noexcept {
    return std::string_view(text_).substr(begin_, ready_ - begin_);
  }
  std::string decode_line(std::ptrdiff_t limit, CallDeadline& deadline, std::error_code& error);
  bool more(CallDeadline& deadline, std::error_code& error);
  void translate(bool final);
  std::size_t line_end(std::string_view text, std::size_t from) const noexcept;
  std::string take(std::size_t size);

  ByteReader& bytes_;
  Decoder decoder_;
  const bool translating_;     // "\r\n" and "\r" become "\n"
  const bool universal_;       // any of the three ends a line
  const std::string newline_;  // otherwise: the end of a line
  std::string text_;           // [begin_, ready_) is to be read; a held "\r" may follow
  std::size_t begin_ = 0, ready_ = 0;
  std::size_t position_ = 0;  // decoded bytes of the stream
  DecodeProblem problem_;
};

}  // namespace plug::detail::stream
