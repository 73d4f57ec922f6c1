#include <plug/error.hpp>
#include <plug/socket.hpp>

#include <algorithm>
#include <cerrno>
#include <limits>
#include <memory>

#include "base/scratch.hpp"
#include "socket/calls.hpp"
#include "socket/state.hpp"
#include "wait/offload.hpp"

namespace plug {

namespace {
using detail::base::error_from;
using detail::socket::SocketState;
using detail::wait::Op;
namespace sys = detail::sys;

/// Returns true if the kernel's error says that it cannot move this file's bytes by itself.
bool is_refusal(long result) noexcept {
  switch (-result) {
    case EINVAL:
    case ENOSYS:
    case EOPNOTSUPP:
    case EOVERFLOW:
    case EPERM:
    case ESPIPE:
      return true;
    default:
      return false;
  }
}

/// One call of sendfile(): its file, and how much of it has been sent.
class Transfer {
 public:
  Transfer(SocketState& state, int file, std::int64_t offset, std::optional<std::int64_t> count)
      : state_(state), file_(file), begin_(offset), count_(count) {}
  Transfer(const Transfer&) = delete;
  Transfer& operator=(const Transfer&) = delete;
  /// Positions the file after the data that was sent, also if an exception passes.
  ~Transfer() {
    if (positioned_ && sent_ > 0) sys::seek(file_, begin_ + sent_);
  }

  std::int64_t sent() const noexcept { return sent_; }

  /// Sends until the end of the file or the count. Returns 0, or the error.
  long run() {
    const long position = sys::tell(file_);
    if (position < 0 && position != -ESPIPE) return position;
    positioned_ = position >= 0;
    if (begin_ < 0) return -EINVAL;
    if (begin_ > 0 && !positioned_) return -ESPIPE;
    // The kernel cannot move data through a layer.
    long result = state_.layer() ? -EINVAL : positioned_ ? run_file() : run_pipe();
    if (sent_ == 0 && is_refusal(result)) result = run_copy();
    return result;
  }

 private:
  static constexpr std::int64_t kBlock = std::int64_t{1} << 30;
  static constexpr std::size_t kCopied = std::size_t{1} << 16;
  static constexpr std::size_t kLoaded = std::size_t{1} << 18;

  /// Returns the size to ask for next; 0 once the count has been sent.
  std::size_t next() const noexcept {
    return static_cast<std::size_t>(count_ ? std::min(*count_ - sent_, kBlock) : kBlock);
  }

  /// Performs with the full timeout for each wait. Without a timeout it waits even if a duplicate
  /// has made the descriptor non-blocking.
  long perform_waiting(Op& op) {
    const Deadline deadline = state_.deadline();
    return detail::wait::perform(state_.descriptor, op,
                                 deadline.is_none() ? detail::base::kNever : deadline);
  }
  long perform(Op& op) {
    const long result = detail::wait::perform(state_.descriptor, op, state_.deadline());
    const bool timed = state_.descriptor.heeds(detail::wait::Descriptor::kTimed);
    return result == -EAGAIN && !timed ? perform_waiting(op) : result;
  }
  long wait_readable() {
    Op op{.kind = Op::Kind::ready, .flags = sys::kIn, .file = file_};
    return detail::wait::perform(state_.descriptor, op, state_.deadline());
  }

  /// In a fiber, keeps the thread from waiting for a disk: a helper reads up to `size` bytes into
  /// memory, unless they are there. May reduce `size`.
  long load(std::int64_t offset, std::size_t& size) {
    if (detail::wait::may_block_thread()) return 0;
    // Beyond the largest offset of a file the system reports the error.
    const std::int64_t most = std::numeric_limits<std::int64_t>::max() - offset;
    if (most == 0) return 0;
    size = std::min({size, kLoaded, static_cast<std::size_t>(most)});
    const auto there = [&](std::size_t at) {
      return sys::in_memory(file_, offset + static_cast<std::int64_t>(at)) >= 0;
    };
    // The system reads a file in pieces of at least this size, so the two ends are enough.
    if (there(0) && there(size - 1)) return 0;
    // The helper gets a duplicate, because this call may end before the helper has read.
    const long own = sys::dup(file_);
    if (own < 0) return 0;
    const auto file = std::make_shared<sys::OwnFd>(static_cast<int>(own));
    long ended = 0;
    detail::wait::call_offloaded(
        [file, offset, size] {
          detail::base::Scratch scratch(size);
          return sys::pread(file->get(), scratch.data(), size, offset);
        },
        Deadline::none(), ended);
    // Without a helper this thread reads.
    const bool exhausted =
        ended == -EMFILE || ended == -ENFILE || ended == -EAGAIN || ended == -ENOMEM;
    return exhausted ? 0 : ended;
  }

  /// Reads and sends a small file that is in memory, which takes fewer calls than the kernel's way
  /// without SIGPIPE and without waiting. Returns false if the file must be sent in another way.
  /// `result` is the number of bytes sent, 0 at the end of the file, or -errno.
  bool send_little(std::int64_t offset, std::size_t size, long& result) {
    if (!is_little_ || (count_ && size > kCopied)) return is_little_ = false;
    detail::base::Scratch scratch(std::min(size, kCopied));
    const long got = sys::pread_now(file_, scratch.data(), std::min(size, kCopied), offset);
    is_little_ = got >= 0 && (count_ || static_cast<std::size_t>(got) < kCopied);
    if (!is_little_) return false;
    const std::int64_t before = sent_;
    const long failed = send_whole({scratch.data(), static_cast<std::size_t>(got)});
    result = failed < 0 ? failed : static_cast<long>(sent_ - before);
    return true;
  }

  long run_file() {
    std::int64_t offset = begin_;
    while (std::size_t size = next()) {
      if (long little = 0; send_little(offset, size, little)) {
        if (little <= 0) return little;
        offset += little;
        continue;
      }
      if (const long failed = load(offset, size); failed < 0) return failed;
      Op op{.kind = Op::Kind::send_file, .data = &offset, .size = size, .file = file_};
      const long result = perform(op);
      if (result <= 0) return result;
      sent_ += result;
      if (const long stop = detail::wait::interrupted(); stop != 0) return stop;
    }
    return 0;
  }

  long run_pipe() {
    while (const std::size_t size = next()) {
      // EAGAIN may come from either side, so the wait is made here.
      const bool blocking = state_.deadline().is_none();
      Op op{.kind = Op::Kind::send_pipe, .size = size, .file = file_};
      long result = detail::wait::perform(state_.descriptor, op,
                                          blocking ? Deadline::none() : Deadline::immediate());
      if (result == -EAGAIN) {
        result = wait_readable();
        // The pipe has data now, so the socket is the side that may have no room.
        if (result >= 0) result = perform_waiting(op);
      }
      if (result <= 0) return result;
      sent_ += result;
      if (const long stop = detail::wait::interrupted(); stop != 0) return stop;
    }
    return 0;
  }

  long run_copy() {
    detail::base::Scratch scratch(kCopied);
    while (const std::size_t size = next()) {
      const long got = read_some(scratch.data(), std::min(size, kCopied));
      if (got <= 0) return got;
      if (const long failed = send_whole({scratch.data(), static_cast<std::size_t>(got)});
          failed < 0)
        return failed;
    }
    return 0;
  }

  long read_some(char* data, std::size_t size) {
    for (;;) {
      long result = 0;
      if (positioned_) {
        result = load(begin_ + sent_, size);
        if (result >= 0) result = sys::pread(file_, data, size, begin_ + sent_);
      } else if (result = wait_readable(); result >= 0) {
        result = sys::read(file_, data, size);
      }
      if (result == -EINTR) {
        if (const long stop = detail::wait::interrupted(); stop != 0) return stop;
      } else if (result != -EAGAIN || positioned_) {
        return result;
      }
    }
  }

  long send_whole(BytesView data) {
    while (!data.empty()) {
      const long result = send_some(data);
      if (result < 0) return result;
      data = data.subspan(static_cast<std::size_t>(result));
      sent_ += result;
      if (const long stop = detail::wait::interrupted(); stop != 0) return stop;
    }
    return 0;
  }

  long send_some(BytesView data) {
    if (state_.layer()) return state_.layer()->send(state_.descriptor, data, 0, state_.deadline());
    Op op{.kind = Op::Kind::send, .data = const_cast<char*>(data.data()), .size = data.size()};
    return perform(op);
  }

  SocketState& state_;
  int file_;
  std::int64_t begin_;
  std::optional<std::int64_t> count_;
  std::int64_t sent_ = 0;
  bool is_little_ = true;    // as far as is known
  bool positioned_ = false;  // the file has a position, which pread() does not change
};

}  // namespace

std::int64_t Socket::sendfile(int fileno, std::int64_t offset, std::optional<std::int64_t> count) {
  std::int64_t sent = 0;
  detail::base::throwing(
      [&](std::error_code& error) { sent = sendfile(fileno, offset, count, error); },
      [&] {
        return "sendfile of fileno " + std::to_string(fileno) + ", offset " +
               std::to_string(offset) +
               (count ? ", count " + std::to_string(*count) : std::string()) + ", sent " +
               std::to_string(sent);
      });
  return sent;
}

std::int64_t Socket::sendfile(int fileno, std::int64_t offset, std::optional<std::int64_t> count,
                              std::error_code& error) {
  SocketState& state = detail::socket::state_or_closed(state_);
  error.clear();
  if (state.descriptor.fd() < 0)
    error = error_from(-EBADF);
  else if (state.type != static_cast<int>(SOCK::STREAM))
    error = Errc::not_a_stream;
  else if (count && *count <= 0)
    error = Errc::count_not_positive;
  else if (state.timeout().is_zero())
    error = Errc::not_blocking;
  else if (fileno < 0)
    error = Errc::negative_fileno;
  if (error) return 0;
  Transfer transfer(state, fileno, offset, count);
  error = error_from(transfer.run());
  return transfer.sent();
}

}  // namespace plug
