#include "stream/reader.hpp"

#include <plug/error.hpp>

#include <algorithm>
#include <cstring>
#include <limits>
#include <utility>

#include "base/scratch.hpp"

namespace plug::detail::stream {

namespace {

constexpr std::size_t kUnlimited = std::numeric_limits<std::size_t>::max();

/// The most that one receive of a long read asks for.
constexpr std::size_t kPiece = std::size_t{1} << 16;

/// The memory reserved at first for the result of a long read, whose size the peer may never send.
constexpr std::size_t kReserved = std::size_t{1} << 20;

/// Texts above this size are moved out instead of copied.
constexpr std::size_t kMoved = std::size_t{1} << 16;

std::size_t at_most(std::ptrdiff_t size) noexcept {
  return size < 0 ? kUnlimited : static_cast<std::size_t>(size);
}

}  // namespace

ByteReader::ByteReader(socket::SocketState& state, std::size_t capacity)
    : state_(state),
      capacity_(capacity),
      size_(std::max<std::size_t>(capacity, 1)),
      room_(new char[size_]) {}

std::string ByteReader::read(std::ptrdiff_t size, CallDeadline& deadline, std::error_code& error) {
  restore();
  const std::size_t wanted = at_most(size);
  if (wanted <= buffered().size()) return take(wanted);
  if (capacity_ == 0 && size >= 0) return read1(size, deadline, error);
  if (size > 0) gathered_.reserve(std::min(wanted, kReserved));
  gather(buffered().size());
  while (gathered_.size() < wanted) {
    const std::size_t missing = wanted - gathered_.size();
    if (missing < capacity_) {
      if (!receive(deadline, error)) break;
      gather(std::min(missing, buffered().size()));
    } else {
      base::Scratch scratch(kPiece);
      const std::size_t received =
          receive_into({scratch.data(), std::min(missing, kPiece)}, deadline, error);
      if (received == 0) break;
      gathered_.append(scratch.data(), received);
    }
  }
  return error ? std::string() : std::exchange(gathered_, {});
}

std::string ByteReader::read1(std::ptrdiff_t size, CallDeadline& deadline, std::error_code& error) {
  restore();
  if (size == 0) return {};
  if (buffered().empty() && capacity_ == 0) {
    const std::size_t most = size < 0 ? kPiece : static_cast<std::size_t>(size);
    base::Scratch scratch(most);
    return {scratch.data(), receive_into({scratch.data(), most}, deadline, error)};
  }
  if (buffered().empty() && !receive(deadline, error)) return {};
  return take(std::min(at_most(size), buffered().size()));
}

std::size_t ByteReader::readinto(MutableBytes buffer, CallDeadline& deadline,
                                 std::error_code& error) {
  restore();
  std::size_t filled = take_into(buffer);
  if (capacity_ == 0 && filled == 0 && !buffer.empty())
    return receive_into(buffer, deadline, error);
  if (capacity_ == 0 || filled == buffer.size()) return filled;
  try {
    while (filled < buffer.size()) {
      const MutableBytes rest = buffer.subspan(filled);
      std::size_t got = 0;
      if (rest.size() >= capacity_)
        got = receive_into(rest, deadline, error);
      else if (receive(deadline, error))
        got = take_into(rest);
      if (got == 0) break;
      filled += got;
    }
  } catch (...) {
    prepend({buffer.data(), filled});
    throw;
  }
  if (!error) return filled;
  prepend({buffer.data(), filled});
  return 0;
}

std::string ByteReader::gather_line(std::ptrdiff_t limit, CallDeadline& deadline,
                                    std::error_code& error) {
  restore();
  const std::size_t most = at_most(limit);
  for (;;) {
    const std::string_view bytes = buffered().substr(0, most - gathered_.size());
    const std::size_t newline = bytes.find('\n');
    const std::size_t size = newline == std::string_view::npos ? bytes.size() : newline + 1;
    if (newline != std::string_view::npos || gathered_.size() + size == most) {
      if (gathered_.empty()) return take(size);
      gather(size);
      break;
    }
    gather(size);
    if (!receive(deadline, error)) break;
  }
  return error ? std::string() : std::exchange(gathered_, {});
}

void ByteReader::prepend(std::string_view data) {
  if (data.empty()) return;
  if (data.size() > begin_) {
    const std::size_t size = std::max(capacity_, data.size() + buffered().size());
    std::unique_ptr<char[]> room(new char[size]);
    std::copy_n(buffered().data(), buffered().size(), room.get() + data.size());
    end_ = data.size() + buffered().size();
    begin_ = data.size();
    room_ = std::move(room);
    size_ = size;
  }
  begin_ -= data.size();
  std::copy_n(data.data(), data.size(), room_.get() + begin_);
}

bool ByteReader::receive(CallDeadline& deadline, std::error_code& error) {
  if (begin_ > 0) {
    std::memmove(room_.get(), room_.get() + begin_, end_ - begin_);
    end_ -= std::exchange(begin_, 0);
  }
  if (end_ == 0 && size_ > std::max<std::size_t>(capacity_, 1)) {
    size_ = std::max<std::size_t>(capacity_, 1);
    room_.reset(new char[size_]);
  }
  const std::size_t received = receive_into({room_.get() + end_, size_ - end_}, deadline, error);
  end_ += received;
  return received > 0;
}

std::size_t ByteReader::receive_into(MutableBytes buffer, CallDeadline& deadline,
                                     std::error_code& error) {
  const std::size_t received = socket::receive_some(state_, buffer, 0, deadline.get(), error);
  // Includes the system's own ETIMEDOUT: after it the socket reads as if the stream had ended.
  if (error == std::errc::timed_out) poisoned_ = true;
  return received;
}

std::size_t ByteReader::take_into(MutableBytes buffer) noexcept {
  const std::size_t size = std::min(buffer.size(), buffered().size());
  std::copy_n(buffered().data(), size, buffer.data());
  consume(size);
  return size;
}

std::string ByteReader::take(std::size_t size) {
  std::string data(buffered().substr(0, size));
  consume(size);
  return data;
}

void ByteReader::gather(std::size_t size) {
  gathered_.append(buffered().substr(0, size));
  consume(size);
}

/// Takes over the data that a failed call has left.
void ByteReader::restore() {
  if (gathered_.empty()) return;
  prepend(gathered_);
  gathered_ = {};
}

TextReader::TextReader(ByteReader& bytes, const Encoding& encoding, OnError on_error,
                       const std::optional<std::string>& newline)
    : bytes_(bytes),
      decoder_(encoding, on_error),
      translating_(!newline.has_value()),
      universal_(translating_ || newline->empty()),
      newline_(translating_ ? "\n" : *newline) {}

std::string TextReader::read(std::ptrdiff_t size, CallDeadline& deadline, std::error_code& error) {
  const std::size_t wanted = at_most(size);
  Extent extent;
  for (;;) {
    if (size < 0)
      extent.bytes = ready().size();
    else
      extend(extent, ready(), wanted);
    if (extent.characters == wanted) break;
    if (!more(deadline, error)) break;
  }
  return error ? std::string() : take(extent.bytes);
}

std::string TextReader::decode_line(std::ptrdiff_t limit, CallDeadline& deadline,
                                    std::error_code& error) {
  const std::size_t most = at_most(limit);
  Extent extent;             // of the line so far; counted only if the limit may be near
  std::size_t searched = 0;  // no line ends before this
  for (;;) {
    const std::string_view text = ready();
    const std::size_t end = line_end(text, searched);
    const std::size_t size = std::min(end, text.size());
    if (size >= most) {
      extend(extent, text.substr(0, size), most);
      if (extent.characters == most) return take(extent.bytes);
    }
    if (end != std::string_view::npos) return take(end);
    // A "\r\n" may have begun.
    searched = size - (newline_.size() == 2 && size > 0 ? 1 : 0);
    if (!more(deadline, error)) return error ? std::string() : take(ready().size());
  }
}

void TextReader::put_back(std::string_view text) {
  text_.replace(0, begin_, text);
  ready_ = ready_ - begin_ + text.size();
  begin_ = 0;
}

/// Decodes more text: the rest of the last receive, or one more receive. Returns false at the end
/// of the stream, or with an error.
bool TextReader::more(CallDeadline& deadline, std::error_code& error) {
  error.clear();
  text_.erase(0, begin_);
  ready_ -= std::exchange(begin_, 0);
  const std::size_t before = ready_;
  for (bool final = false;;) {
    Malformed malformed;
    text_.reserve(text_.size() + decoder_.most(bytes_.buffered().size()));
    const std::size_t used = decoder_.decode(bytes_.buffered(), final, text_, malformed);
    bytes_.consume(used);
    position_ += used;
    translate(final && malformed.reason == nullptr);
    if (ready_ > before) return true;
    if (malformed.reason != nullptr) {
      problem_ = {decoder_.name(), position_,
                  std::string(bytes_.buffered().substr(0, malformed.size)), malformed.reason};
      bytes_.consume(malformed.size);
      position_ += malformed.size;
      error = Errc::bad_encoding;
      return false;
    }
    if (final) return false;
    if (!bytes_.receive(deadline, error)) {
      if (error) return false;
      final = true;
    }
  }
}

/// Makes decoded text ready to be read. With universal newlines a "\r" at the very end waits for
/// the next character.
void TextReader::translate(bool final) {
  std::size_t end = text_.size();
  if (universal_ && !final && end > ready_ && text_.back() == '\r') --end;
  std::size_t to = translating_ ? text_.find('\r', ready_) : std::string::npos;
  if (to < end) {
    for (std::size_t from = to; from < end; ++from) {
      char c = text_[from];
      if (c == '\r') {
        c = '\n';
        if (from + 1 < end && text_[from + 1] == '\n') ++from;
      }
      text_[to++] = c;
    }
    text_.erase(to, end - to);
    end = to;
  }
  ready_ = end;
}

/// Returns the end of the first line that ends at or after `from` in `text`; npos if there is none.
std::size_t TextReader::line_end(std::string_view text, std::size_t from) const noexcept {
  constexpr std::size_t kNone = std::string_view::npos;
  if (!universal_ || translating_) {
    const std::size_t at =
        newline_.size() == 1 ? text.find(newline_[0], from) : text.find(newline_, from);
    return at == kNone ? kNone : at + newline_.size();
  }
  const auto found = std::find_if(text.begin() + static_cast<std::ptrdiff_t>(from), text.end(),
                                  [](char c) { return c == '\n' || c == '\r'; });
  if (found == text.end()) return kNone;
  const auto at = static_cast<std::size_t>(found - text.begin());
  return text.substr(at, 2) == "\r\n" ? at + 2 : at + 1;
}

std::string TextReader::take(std::size_t size) {
  std::string text;
  if (begin_ == 0 && size >= kMoved) {
    std::string rest = text_.substr(size);
    text_.resize(size);
    text = std::exchange(text_, std::move(rest));
    ready_ -= size;
  } else {
    text.assign(text_, begin_, size);
    begin_ += size;
  }
  return text;
}

}  // namespace plug::detail::stream
