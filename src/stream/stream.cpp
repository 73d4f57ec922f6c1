#include <plug/error.hpp>
#include <plug/stream.hpp>

#include <algorithm>
#include <cerrno>
#include <exception>
#include <utility>

#include "socket/peer.hpp"
#include "socket/state.hpp"
#include "stream/access.hpp"
#include "stream/reader.hpp"
#include "stream/text.hpp"

namespace plug {

namespace {

using detail::stream::CallDeadline;

constexpr std::size_t kDefaultCapacity = 8192;

/// Room for every character that a receive may split.
constexpr std::size_t kSmallestTextCapacity = 64;

/// The writing side of a File. Exceptions of the interrupt hook leave it as consistent as errors
/// do.
class ByteWriter {
 public:
  /// With a capacity of 0 there is no buffer: each call makes one send, or, if `whole`, as many as
  /// the data needs.
  ByteWriter(detail::socket::SocketState& state, std::size_t capacity, bool whole = false)
      : state_(state), capacity_(capacity), whole_(whole) {
    buffer_.reserve(capacity);
  }

  /// Returns the size of `data`, also with an error if a part was sent and the rest is buffered; or
  /// 0 if nothing was taken. Without a buffer, returns the number of bytes sent.
  std::size_t write(BytesView data, std::error_code& error);
  void flush(CallDeadline& deadline, std::error_code& error);

 private:
  void keep(BytesView data) { buffer_.append(data.data(), data.size()); }

  detail::socket::SocketState& state_;
  const std::size_t capacity_;
  const bool whole_;
  std::string buffer_;
  std::size_t sent_ = 0;  // bytes of the buffer, by a flush that an exception has ended
};

std::size_t ByteWriter::write(BytesView data, std::error_code& error) {
  CallDeadline deadline(state_);
  if (whole_) return send_all(state_, data, 0, deadline.get(), error);
  if (capacity_ == 0) return send_some(state_, data, 0, deadline.get(), error);
  if (buffer_.size() + data.size() > capacity_) flush(deadline, error);
  if (error) return 0;
  if (buffer_.size() + data.size() <= capacity_) {
    keep(data);
    return data.size();
  }
  std::size_t sent = 0;
  try {
    do {
      sent += send_some(state_, data.subspan(sent), 0, deadline.get(), error);
    } while (!error && sent < data.size() && detail::socket::may_send_on(error));
  } catch (...) {
    if (sent > 0) keep(data.subspan(sent));
    throw;
  }
  if (sent == 0) return 0;
  keep(data.subspan(sent));
  return data.size();
}

void ByteWriter::flush(CallDeadline& deadline, std::error_code& error) {
  while (!error && sent_ < buffer_.size()) {
    sent_ += send_some(state_, BytesView(buffer_).subspan(sent_), 0, deadline.get(), error);
    if (!error && sent_ < buffer_.size()) detail::socket::may_send_on(error);
  }
  buffer_.erase(0, std::exchange(sent_, 0));
  // The rest of a large write has enlarged it.
  if (buffer_.empty() && buffer_.capacity() > 2 * capacity_) {
    buffer_ = {};
    buffer_.reserve(capacity_);
  }
}

/// The meaning of a mode's letters.
struct Mode {
  explicit Mode(std::string_view letters)
      : writing(letters.find('w') != std::string_view::npos),
        reading(!writing || letters.find('r') != std::string_view::npos),
        binary(letters.find('b') != std::string_view::npos) {
    if (letters.find_first_not_of("rwb") != std::string_view::npos)
      throw ValueError("invalid mode '" + std::string(letters) + "' (only r, w, b allowed)");
  }

  bool writing;
  bool reading;
  bool binary;
};

std::size_t capacity_of(int buffering, const Mode& mode) {
  if (buffering == 0 && !mode.binary) throw ValueError("unbuffered streams must be binary");
  if (buffering < 0) return kDefaultCapacity;
  return static_cast<std::size_t>(buffering);
}

void check_newline(const std::optional<std::string>& newline) {
  if (newline && !newline->empty() && newline != "\n" && newline != "\r" && newline != "\r\n")
    throw ValueError("illegal newline value: " + *newline);
}

}  // namespace

class File::Impl {
 public:
  Impl(std::shared_ptr<detail::socket::SocketState> state, std::string_view mode,
       const FileOptions& options);

  /// Returns true if a call may begin; otherwise sets the error.
  static bool is_open(const Impl* impl, std::error_code& error) {
    if (error) error.clear();
    if (impl == nullptr || impl->closed) [[unlikely]]
      error = Errc::closed_file;
    return !error;
  }
  static bool may_read(const Impl* impl, std::error_code& error) {
    if (!is_open(impl, error)) return false;
    if (!impl->bytes) [[unlikely]]
      error = Errc::not_readable;
    else if (impl->bytes->poisoned()) [[unlikely]]
      error = Errc::poisoned;
    return !error;
  }
  static bool may_read_bytes(const Impl* impl, std::error_code& error) {
    if (may_read(impl, error) && impl->text) error = {EOPNOTSUPP, std::system_category()};
    return !error;
  }
  static bool may_write(const Impl* impl, std::error_code& error) {
    if (is_open(impl, error) && !impl->writer) error = Errc::not_writable;
    return !error;
  }

  /// Throws the exception for the failure of a call: `name` is the call's, `preposition` stands
  /// between that and the peer's address.
  static void raise(const Impl* impl, const std::error_code& error, std::string_view name,
                    std::string_view preposition);

  /// The throwing forms of the reading calls: run a call with an error code and throw its error.
  template <class Call>
  static auto reading(const Impl* impl, std::string_view name, Call call) {
    std::error_code error;
    auto result = call(error);
    if (error) [[unlikely]]
      raise(impl, error, name, "from");
    return result;
  }

  /// File::readline(). Inline in each of its forms: a call takes 25 instructions more
  /// (bench/count_calls).
  [[gnu::always_inline]] static std::string line(Impl* impl, std::ptrdiff_t size,
                                                 std::error_code& error) {
    if (!may_read(impl, error)) return {};
    CallDeadline deadline(*impl->state);
    return impl->readline(size, deadline, error);
  }
  std::string readline(std::ptrdiff_t size, CallDeadline& deadline, std::error_code& error) {
    return text ? text->readline(size, deadline, error) : bytes->readline(size, deadline, error);
  }
  void put_back(const std::vector<std::string>& lines);
  std::size_t write(BytesView data, std::error_code& error);
  void close(std::error_code& error);

  const std::shared_ptr<detail::socket::SocketState> state;
  const std::string mode;
  std::string encoding;  // as requested
  std::optional<detail::stream::ByteReader> bytes;
  std::optional<detail::stream::TextReader> text;
  std::optional<ByteWriter> writer;
  std::optional<detail::stream::Encoder> encoder;
  std::string encode_problem;
  bool closed = false;
};

File::Impl::Impl(std::shared_ptr<detail::socket::SocketState> socket_state,
                 std::string_view letters, const FileOptions& options)
    : state(std::move(socket_state)), mode([letters] {
        const Mode asked(letters);
        if (!asked.binary) return std::string(letters);
        return std::string(asked.reading ? "r" : "") + (asked.writing ? "w" : "") + "b";
      }()) {
  const Mode asked(letters);
  std::size_t capacity = capacity_of(options.buffering, asked);
  if (!asked.binary) capacity = std::max(capacity, kSmallestTextCapacity);
  if (asked.reading) bytes.emplace(*state, capacity);
  if (asked.writing) writer.emplace(*state, capacity);
  if (asked.binary) return;

  check_newline(options.newline_);
  const detail::stream::Encoding spoken(options.encoding);
  const detail::stream::OnError on_error = detail::stream::error_handler(options.errors);
  encoding = options.encoding;
  if (asked.reading) text.emplace(*bytes, spoken, on_error, options.newline_);
  if (asked.writing) {
    const std::string newline = options.newline_.value_or("");
    encoder.emplace(spoken, on_error, newline.empty() ? "\n" : newline);
  }
}

void File::Impl::raise(const Impl* impl, const std::error_code& error, std::string_view name,
                       std::string_view preposition) {
  if (error == Errc::bad_encoding) {
    const detail::stream::DecodeProblem& problem = impl->text->problem();
    throw UnicodeDecodeError(problem.encoding, problem.start, problem.reason, problem.bytes);
  }
  const bool misused =
      error == Errc::closed_file || error == Errc::not_readable || error == Errc::not_writable;
  throw_if(error,
           misused ? std::string() : detail::socket::call_text(*impl->state, name, preposition));
}

void File::Impl::put_back(const std::vector<std::string>& lines) {
  std::string all;
  for (const std::string& line : lines) all += line;
  if (text)
    text->put_back(all);
  else
    bytes->put_back(all);
}

std::size_t File::Impl::write(BytesView data, std::error_code& error) {
  if (!encoder) return writer->write(data, error);
  const detail::stream::Encoder::Encoded encoded = encoder->encode(data, encode_problem);
  if (!encode_problem.empty()) {
    error = Errc::bad_encoding;
    return 0;
  }
  const std::size_t taken = writer->write(encoded.bytes, error);
  if (taken != encoded.bytes.size()) return 0;
  if (taken > 0) encoder->taken();
  return encoded.characters;
}

void File::Impl::close(std::error_code& error) {
  closed = true;
  std::exception_ptr thrown;
  if (writer) {
    try {
      CallDeadline deadline(*state);
      writer->flush(deadline, error);
    } catch (...) {
      thrown = std::current_exception();
    }
  }
  const long released = state->release_holder();
  if (thrown) std::rethrow_exception(thrown);
  // As in Socket::close(): the connection is gone in any case.
  if (!error && released != -ECONNRESET) error = detail::base::error_from(released);
}

File detail::stream::StreamAccess::make_file(std::shared_ptr<detail::socket::SocketState> state,
                                             std::string_view mode, const FileOptions& options) {
  auto impl = std::make_unique<File::Impl>(std::move(state), mode, options);
  impl->state->add_holder();
  return File(std::move(impl));
}

namespace {

/// Returns the state of a closed socket for a moved-from Socket, which has none.
std::shared_ptr<detail::socket::SocketState> state_for_file(
    const std::shared_ptr<detail::socket::SocketState>& state) {
  return state ? state : std::make_shared<detail::socket::SocketState>(-1, 0, 0, 0, std::nullopt);
}

}  // namespace

File detail::stream::StreamAccess::make_whole_writer(Socket& sock) {
  File file =
      make_file(state_for_file(detail::socket::SocketAccess::state(sock)), "wb", {.buffering = 0});
  file.impl_->writer.emplace(*file.impl_->state, 0, true);
  return file;
}

File detail::stream::StreamAccess::closed_file() noexcept { return File(nullptr); }

void detail::stream::StreamAccess::drop(File& file) noexcept {
  if (file.closed()) return;
  file.impl_->closed = true;
  file.impl_->state->release_holder();
}

File Socket::makefile(std::string_view mode, const FileOptions& options) {
  auto state = state_for_file(state_);
  return detail::stream::StreamAccess::make_file(std::move(state), mode, options);
}

File::File(std::unique_ptr<Impl> impl) noexcept : impl_(std::move(impl)) {}
File::File(File&& other) noexcept = default;

File& File::operator=(File&& other) noexcept {
  const File old(std::exchange(impl_, std::move(other.impl_)));
  return *this;
}

File::~File() {
  if (closed()) return;
  const detail::wait::Shield shield(detail::wait::OnCancel::keep);
  try {
    std::error_code error;
    impl_->close(error);
  } catch (...) {
    // From the interrupt hook: the shield keeps it.
  }
}

std::string File::read(std::ptrdiff_t size) {
  return Impl::reading(impl_.get(), "read",
                       [&](std::error_code& error) { return read(size, error); });
}

std::string File::read(std::ptrdiff_t size, std::error_code& error) {
  if (!Impl::may_read(impl_.get(), error)) return {};
  CallDeadline deadline(*impl_->state);
  if (impl_->text) return impl_->text->read(size, deadline, error);
  return impl_->bytes->read(size, deadline, error);
}

std::string File::read(std::error_code& error) { return read(-1, error); }

Bytes File::read1(std::ptrdiff_t size) {
  return Impl::reading(impl_.get(), "read1",
                       [&](std::error_code& error) { return read1(size, error); });
}

Bytes File::read1(std::ptrdiff_t size, std::error_code& error) {
  if (!Impl::may_read_bytes(impl_.get(), error)) return {};
  CallDeadline deadline(*impl_->state);
  return impl_->bytes->read1(size, deadline, error);
}

Bytes File::read1(std::error_code& error) { return read1(-1, error); }

std::size_t File::readinto(MutableBytes buffer) {
  return Impl::reading(impl_.get(), "readinto",
                       [&](std::error_code& error) { return readinto(buffer, error); });
}

std::size_t File::readinto(MutableBytes buffer, std::error_code& error) {
  if (!Impl::may_read_bytes(impl_.get(), error)) return 0;
  CallDeadline deadline(*impl_->state);
  return impl_->bytes->readinto(buffer, deadline, error);
}

std::string File::readline(std::ptrdiff_t size) {
  return Impl::reading(impl_.get(), "readline", [&](std::error_code& error) {
    return Impl::line(impl_.get(), size, error);
  });
}

std::string File::readline(std::ptrdiff_t size, std::error_code& error) {
  return Impl::line(impl_.get(), size, error);
}

std::string File::readline(std::error_code& error) { return readline(-1, error); }

std::vector<std::string> File::readlines(std::ptrdiff_t hint) {
  return Impl::reading(impl_.get(), "readlines",
                       [&](std::error_code& error) { return readlines(hint, error); });
}

std::vector<std::string> File::readlines(std::ptrdiff_t hint, std::error_code& error) {
  if (!Impl::may_read(impl_.get(), error)) return {};
  CallDeadline deadline(*impl_->state);
  std::vector<std::string> lines;
  std::ptrdiff_t total = 0;
  try {
    while (hint <= 0 || total <= hint) {
      std::string line = impl_->readline(-1, deadline, error);
      if (line.empty()) break;
      total += static_cast<std::ptrdiff_t>(impl_->text ? detail::stream::count_characters(line)
                                                       : line.size());
      lines.push_back(std::move(line));
    }
  } catch (...) {
    impl_->put_back(lines);
    throw;
  }
  if (!error) return lines;
  impl_->put_back(lines);
  return {};
}

std::vector<std::string> File::readlines(std::error_code& error) { return readlines(-1, error); }

std::size_t File::write(BytesView data) {
  std::error_code error;
  const std::size_t count = write(data, error);
  if (error) [[unlikely]] {
    if (error == Errc::bad_encoding) throw UnicodeEncodeError(impl_->encode_problem);
    Impl::raise(impl_.get(), error, "write", "to");
  }
  return count;
}

std::size_t File::write(BytesView data, std::error_code& error) {
  return Impl::may_write(impl_.get(), error) ? impl_->write(data, error) : 0;
}

void File::flush() {
  std::error_code error;
  flush(error);
  if (error) [[unlikely]]
    Impl::raise(impl_.get(), error, "flush", "to");
}

void File::flush(std::error_code& error) {
  if (!Impl::is_open(impl_.get(), error) || !impl_->writer) return;
  CallDeadline deadline(*impl_->state);
  impl_->writer->flush(deadline, error);
}

void File::close() {
  std::error_code error;
  close(error);
  if (error) [[unlikely]]
    Impl::raise(impl_.get(), error, "close", "of the file to");
}

void File::close(std::error_code& error) {
  error.clear();
  if (!closed()) impl_->close(error);
}

bool File::closed() const noexcept { return impl_ == nullptr || impl_->closed; }

int File::fileno() const {
  std::error_code error;
  Impl::is_open(impl_.get(), error);
  throw_if(error);
  return impl_->state->descriptor.fd();
}

bool File::readable() const {
  fileno();
  return impl_->bytes.has_value();
}

bool File::writable() const {
  fileno();
  return impl_->writer.has_value();
}

bool File::seekable() const {
  fileno();
  return false;
}

const std::string& File::mode() const noexcept {
  static const std::string none;
  return impl_ == nullptr ? none : impl_->mode;
}

const std::string& File::encoding() const noexcept {
  static const std::string none;
  return impl_ == nullptr ? none : impl_->encoding;
}

}  // namespace plug
