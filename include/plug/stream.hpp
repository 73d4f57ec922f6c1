#pragma once

// File: reads and writes a socket like a file. Made by Socket::makefile().
//
//   File file = conn.makefile("rw");
//   for (std::string& line : file) {
//     file.write("you said: " + line);
//     file.flush();
//   }
//
// Modes. 'r' reads (the default without 'r' and 'w'), 'w' writes, 'b' is binary. Without 'b' the
// file is a text file: reads decode from FileOptions::encoding to UTF-8, writes take UTF-8 and
// encode it, newlines are translated, and sizes count characters (code points). With 'b' the bytes
// are not changed, and sizes count bytes.
//
// Timeouts. Each call has one deadline, made from the socket's timeout when the call starts. After
// a read has timed out, every later read throws OSError "cannot read from timed out object", as in
// Python. Writing still works.
//
// Errors. A failed read consumes nothing: the received data is available to the next call. On a
// non-blocking socket a read that would block throws BlockingIOError; it returns neither a short
// result nor Python's None. Bytes that are invalid in the encoding are dropped: reads that need
// only the text before them succeed, then one read throws UnicodeDecodeError with their position in
// the stream, then reading continues. A failed flush removes the bytes sent from the buffer and
// keeps the rest. The error of a call on the connection names the call and, while the socket is
// connected, the peer: "timed out: readline from ('127.0.0.1', 80)". A closed file throws
// ValueError "I/O operation on closed file."; reading without 'r' throws OSError "not readable",
// writing without 'w' throws OSError "not writable".
//
// Closing. close() flushes the buffer; so does the destructor, which ignores errors. The socket's
// descriptor closes when the socket and all of its files are closed: a File does not close an open
// socket, and it remains usable after the Socket object is destroyed. A moved-from File is closed.
//
// Thread safety. One thread may read while another writes. Two readers or two writers need a lock.
//
// Python: https://docs.python.org/3/library/socket.html#socket.socket.makefile and the io module.

#include <plug/bytes.hpp>
#include <plug/detail/forward.hpp>
#include <plug/detail/line_iterator.hpp>

#include <cstddef>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#pragma GCC visibility push(default)

namespace plug {

/// Options of Socket::makefile(), which throws ValueError for an invalid one.
struct FileOptions {
  /// The buffer size of each direction, in bytes. Negative: 8192. Zero (binary only): no buffer;
  /// each read is one receive and each write one send, which may be partial. A text file has at
  /// least 64.
  int buffering = -1;
  /// Text only. Python's name of any encoding that the C library has ("utf-8", "latin_1",
  /// "euc_jp"), with Python's characters and Python's errors; docs/encodings.md lists the
  /// differences. A name that Python does not know is passed to iconv(3) ("tcvn"). "utf-16",
  /// "utf-32" and "utf-8-sig" write a byte order mark. "utf-16" and "utf-32" require one when
  /// reading; without it the read throws UnicodeDecodeError, regardless of `errors`.
  std::string encoding = "utf-8";
  /// Text only. "strict" throws UnicodeDecodeError or UnicodeEncodeError, "replace" inserts U+FFFD
  /// (or '?' when encoding), "ignore" drops the bad part.
  std::string errors = "strict";
  /// Text only. None: "\n", "\r" and "\r\n" end a line and are read as "\n". "": the same line
  /// ends, read unchanged. Both write "\n" unchanged, and hold back a "\r" at the end of the
  /// received data until more arrives. "\n", "\r" or "\r\n": only this ends a line, and "\n" is
  /// written as this. (The name ends in an underscore because <term.h> has a macro "newline".)
  std::optional<std::string> newline_ = std::nullopt;
};

class File {
 public:
  using iterator = detail::LineIterator<File>;

  File(File&& other) noexcept;
  File& operator=(File&& other) noexcept;
  /// Closes the file, ignoring errors. If the fiber is cancelled during the flush, the flush ends
  /// and the fiber's next wait throws CancelledError. In the main fiber, the next wait also reports
  /// an error of the interrupt hook; on a plain thread that error only ends the flush.
  ~File();

  /// Reads `size` characters or bytes and waits for all of them. Returns fewer at the end of the
  /// stream, and none after it. A negative size reads to the end of the stream, without a limit.
  /// Unbuffered, a read that is not to the end is one receive.
  [[nodiscard]] std::string read(std::ptrdiff_t size = -1);
  [[nodiscard]] std::string read(std::ptrdiff_t size, std::error_code& error);
  [[nodiscard]] std::string read(std::error_code& error);

  /// Returns the buffered bytes, otherwise those of one receive; at most `size` if size >= 0.
  /// Binary only; on a text file throws OSError EOPNOTSUPP.
  [[nodiscard]] Bytes read1(std::ptrdiff_t size = -1);
  [[nodiscard]] Bytes read1(std::ptrdiff_t size, std::error_code& error);
  [[nodiscard]] Bytes read1(std::error_code& error);

  /// Fills the buffer, or at the end of the stream a part of it, and returns the number of bytes.
  /// Unbuffered: one receive. Binary only; on a text file throws OSError EOPNOTSUPP.
  [[nodiscard]] std::size_t readinto(MutableBytes buffer);
  [[nodiscard]] std::size_t readinto(MutableBytes buffer, std::error_code& error);

  /// Reads a line and returns it with its newline. At the end of the stream, returns the rest
  /// without a newline, then an empty string. Returns at most `size` characters or bytes if size >=
  /// 0; otherwise the length of the line is not limited.
  [[nodiscard]] std::string readline(std::ptrdiff_t size = -1);
  [[nodiscard]] std::string readline(std::ptrdiff_t size, std::error_code& error);
  [[nodiscard]] std::string readline(std::error_code& error);

  /// Returns the remaining lines, or, if hint > 0, lines until their total size exceeds it. There
  /// is one deadline for all of them.
  [[nodiscard]] std::vector<std::string> readlines(std::ptrdiff_t hint = -1);
  [[nodiscard]] std::vector<std::string> readlines(std::ptrdiff_t hint, std::error_code& error);
  [[nodiscard]] std::vector<std::string> readlines(std::error_code& error);

  /// Iterates over the lines, with their newlines.
  iterator begin();
  std::default_sentinel_t end() const noexcept { return {}; }

  /// Writes all of `data` (text: UTF-8) to the buffer, which flush(), close() or a full buffer
  /// sends. Returns the number of characters or bytes. Unbuffered: sends once and returns the
  /// number of bytes sent. If sending fails, either nothing of `data` was taken (the form with an
  /// error code returns 0), or a part was sent and the rest is buffered (it returns the whole
  /// count). The throwing form does not tell which.
  std::size_t write(BytesView data);
  std::size_t write(BytesView data, std::error_code& error);

  /// Writes each line of a range. Adds no newlines.
  template <class Lines>
  void writelines(const Lines& range) {
    for (const auto& line : range) write(line);
  }

  /// Sends the buffered data.
  void flush();
  void flush(std::error_code& error);

  /// Flushes and closes the file, even if the flush fails. Calling it again has no effect.
  void close();
  void close(std::error_code& error);
  [[nodiscard]] bool closed() const noexcept;

  /// Returns the socket's descriptor, -1 if that is closed. Throws ValueError if the file is
  /// closed.
  int fileno() const;

  /// Throw ValueError if the file is closed.
  [[nodiscard]] bool readable() const;
  [[nodiscard]] bool writable() const;
  [[nodiscard]] bool seekable() const;

  /// Returns "rb", "wb" or "rwb" for a binary file, the argument of makefile() for a text file.
  const std::string& mode() const noexcept;
  /// Returns the encoding as given; empty for a binary file.
  const std::string& encoding() const noexcept;

 private:
  friend struct detail::stream::StreamAccess;
  class Impl;
  explicit File(std::unique_ptr<Impl> impl) noexcept;
  std::unique_ptr<Impl> impl_;
};

inline File::iterator File::begin() { return iterator(*this); }

}  // namespace plug

#pragma GCC visibility pop
