#pragma once

// File: a socket read and written as a file. Made by Socket::makefile().
//
//   File file = conn.makefile("rw");
//   for (std::string& line : file) {
//     file.write("you said: " + line);
//     file.flush();
//   }
//
// Modes. 'r' reads (also when neither r nor w is given), 'w' writes, 'b' is binary. Without 'b' the
// file is text: what is read is decoded from FileOptions::encoding to UTF-8, what is written is
// UTF-8 and is encoded to it, newlines are translated, and sizes count characters (code points).
// With 'b' bytes pass as they are and sizes count bytes.
//
// Time. Each call has one deadline, made from the socket's time-out when it starts, however many
// pieces the peer sends. After a call that read ran out of time every later read throws OSError
// "cannot read from timed out object", as in Python: how much of the stream has gone by is no
// longer known. Writing goes on.
//
// Failing. A read that fails takes nothing: what had come for it is there for the next call. On a
// non-blocking socket that is BlockingIOError, not a short result or Python's None. Of bytes that
// are not in the encoding those alone are dropped: calls that the text before them satisfies go
// well, then UnicodeDecodeError tells where in the stream they were, then reading goes on.
// A flush that fails takes what was sent out of the buffer and keeps the rest.
// A closed file throws ValueError "I/O operation on closed file."; reading without 'r' and writing
// without 'w' throw OSError "not readable" and "not writable".
//
// Closing. close(), and the destructor without its errors, flush what was written. The socket's
// descriptor is closed when the socket and all of its files are: a File does not close a socket
// that is still open, and outlives the Socket object. A moved-from File is closed.
//
// Threads. One thread may read while another writes; two readers or two writers need a lock.
//
// Python: https://docs.python.org/3/library/socket.html#socket.socket.makefile and the io module.

#include <plug/bytes.hpp>

#include <cstddef>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

namespace plug::detail {

class SocketState;
struct SocketAccess;

}  // namespace plug::detail

#pragma GCC visibility push(default)

namespace plug {

/// Socket::makefile() throws ValueError for what is not as described here.
struct FileOptions {
  /// Buffer size in bytes, of each direction. Below zero: 8192. Zero, binary only: no buffer; each
  /// read is one receive and each write one send, which may be partial. Text has 64 at least.
  int buffering = -1;
  /// Text only. Any of Python's names for an encoding that the C library has ("utf-8", "latin_1",
  /// "euc_jp"), with Python's characters and Python's errors; docs/encodings.md lists what is not
  /// alike. A name that Python does not know goes to iconv(3) as it is ("tcvn"). "utf-16", "utf-32"
  /// and "utf-8-sig" write a byte order mark; the first two must begin with one, or the read throws
  /// UnicodeDecodeError whatever `errors` is.
  std::string encoding = "utf-8";
  /// Text only: "strict" throws UnicodeDecodeError or UnicodeEncodeError, "replace" puts U+FFFD (or
  /// '?' when encoding), "ignore" leaves out.
  std::string errors = "strict";
  /// Text only. None: "\n", "\r" and "\r\n" all end a line and are read as "\n"; "\n" is written as
  /// it is. "": the same ends, read untranslated; "\n" is written as it is. "\n", "\r" or "\r\n":
  /// that alone ends a line, and "\n" is written as it. Where "\r" may end a line, one at the end
  /// of what has come is read together with what follows it. (<term.h> has a macro "newline".)
  std::optional<std::string> newline_ = std::nullopt;
};

namespace detail {

/// Walks over the lines that a file still has.
template <class F>
class LineIterator {
 public:
  using value_type = std::string;
  using difference_type = std::ptrdiff_t;

  explicit LineIterator(F& file) : file_(&file), line_(file.readline()) {}
  std::string& operator*() noexcept { return line_; }
  LineIterator& operator++() {
    line_ = file_->readline();
    return *this;
  }
  void operator++(int) { ++*this; }
  friend bool operator==(const LineIterator& it, std::default_sentinel_t) noexcept {
    return it.line_.empty();
  }

 private:
  F* file_;
  std::string line_;
};

}  // namespace detail

class File {
 public:
  using iterator = detail::LineIterator<File>;

  File(File&& other) noexcept;
  File& operator=(File&& other) noexcept;
  /// Closes the file, ignoring errors. A fiber that is told to end meanwhile waits no longer and is
  /// told by its next wait, and so is the main fiber what the interrupt hook says; on a plain
  /// thread what the hook says ends this wait alone.
  ~File();

  /// Up to `size` characters or bytes, waiting for all of them; fewer at the end of the stream,
  /// empty after it. Below zero: everything to the end, without a bound. Unbuffered: one receive,
  /// unless to the end.
  std::string read(std::ptrdiff_t size = -1);
  std::string read(std::ptrdiff_t size, std::error_code& error);

  /// Binary only (text: OSError EOPNOTSUPP): what is buffered, or the result of one receive; at
  /// most `size` bytes, when size >= 0.
  Bytes read1(std::ptrdiff_t size = -1);
  Bytes read1(std::ptrdiff_t size, std::error_code& error);

  /// Binary only (text: OSError EOPNOTSUPP): fills the buffer, or as much of it as the stream has
  /// left (unbuffered: with one receive). Returns the count.
  std::size_t readinto(MutableBytes buffer);
  std::size_t readinto(MutableBytes buffer, std::error_code& error);

  /// One line with its newline; without it at the end of the stream; empty after it. At most `size`
  /// characters or bytes when size >= 0; without that the peer decides how long a line gets.
  std::string readline(std::ptrdiff_t size = -1);
  std::string readline(std::ptrdiff_t size, std::error_code& error);

  /// The remaining lines, or, when hint > 0, lines until their sizes together exceed it. One
  /// deadline for all of them.
  std::vector<std::string> readlines(std::ptrdiff_t hint = -1);
  std::vector<std::string> readlines(std::ptrdiff_t hint, std::error_code& error);

  /// Iterates over lines, newlines included.
  iterator begin();
  std::default_sentinel_t end() const noexcept { return {}; }

  /// Takes all of `data` (text: UTF-8), buffered until flush(), close() or a full buffer. Returns
  /// the count in characters or bytes. Unbuffered: what one send took.
  /// When sending fails, either nothing of `data` was taken (0 is returned), or it was sent in part
  /// and the rest is buffered (the whole count is returned): the throwing form does not tell which.
  std::size_t write(BytesView data);
  std::size_t write(BytesView data, std::error_code& error);

  /// Writes each of a range of lines; adds no newlines.
  template <class Lines>
  void writelines(const Lines& range) {
    for (const auto& line : range) write(line);
  }

  /// Sends what is buffered.
  void flush();
  void flush(std::error_code& error);

  /// Flushes and closes, even when flushing fails. Idempotent.
  void close();
  void close(std::error_code& error);
  bool closed() const noexcept;

  /// The socket's descriptor; -1 when that is closed. ValueError when this file is.
  int fileno() const;

  /// ValueError when the file is closed.
  bool readable() const;
  bool writable() const;
  bool seekable() const;

  /// "rb", "wb" or "rwb" for a binary file, as made for a text file.
  const std::string& mode() const noexcept;
  /// As it was asked for; empty for a binary file.
  const std::string& encoding() const noexcept;

 private:
  friend struct detail::SocketAccess;
  class Impl;
  explicit File(std::unique_ptr<Impl> impl) noexcept;
  std::unique_ptr<Impl> impl_;
};

inline File::iterator File::begin() { return iterator(*this); }

}  // namespace plug

#pragma GCC visibility pop
