#include "select/wait.hpp"

#include <cerrno>
#include <span>

namespace plug::detail::select {

namespace {

/// Takes entries out of a poll and puts them back.
class Muted {
 public:
  explicit Muted(std::vector<sys::PollEntry>& entries) noexcept : entries_(entries) {}
  Muted(const Muted&) = delete;
  Muted& operator=(const Muted&) = delete;
  ~Muted() {
    if (!any_) return;
    for (sys::PollEntry& entry : entries_)
      if (entry.fd < 0) entry.fd = ~entry.fd;
  }

  void add(sys::PollEntry& entry) noexcept {
    entry.fd = ~entry.fd;  // poll(2) ignores negative numbers
    entry.revents = 0;
    any_ = true;
  }

 private:
  std::vector<sys::PollEntry>& entries_;
  bool any_ = false;
};

}  // namespace

int descriptor_of(const FileObject& object, std::error_code& error) {
  int fd = -1;
  try {
    fd = object.fileno();
  } catch (const ValueError&) {
    // A closed File or Epoll.
  }
  if (fd < 0)
    error = Errc::not_a_fileno;
  else
    error.clear();
  return fd;
}

long wait_selected(std::vector<sys::PollEntry>& entries, Deadline deadline) {
  Muted muted(entries);
  for (;;) {
    const long fired = wait::wait_any(entries, deadline);
    if (fired <= 0) return fired;
    long ready = 0;
    for (sys::PollEntry& entry : entries) {
      if (entry.revents == 0) continue;
      if ((entry.revents & sys::kNotOpen) != 0) return -EBADF;
      if (selected(entry) != 0)
        ++ready;
      else
        // poll(2) always reports errors and hang-ups, even where select(2) would continue to wait.
        muted.add(entry);
    }
    if (ready > 0) return ready;
  }
}

long wait_epoll(wait::Descriptor& epoll, sys::RawEpollEvent* events, int most, Deadline deadline) {
  const wait::Descriptor::InFlight in_flight(epoll, false);
  for (;;) {
    if (in_flight.fd() < 0 || epoll.closed()) return -EBADF;
    const bool alone = wait::may_block_thread();
    const std::int64_t left = base::remaining(deadline);
    const long ready = sys::epoll_wait(in_flight.fd(), events, most, alone ? left : 0);
    if (ready > 0) return ready;
    if (ready == -EINTR) {
      if (const long stop = wait::interrupted(); stop != 0) return stop;
    } else if (ready < 0 || left == 0) {
      return ready;
    } else if (!alone) {
      // As `file`, which the epoll does not own: another epoll may get its number.
      wait::Op op{.kind = wait::Op::Kind::ready, .flags = sys::kIn, .file = in_flight.fd()};
      const long woken = wait::perform(epoll, op, deadline);
      if (woken < 0) return woken == base::kTimedOut ? 0 : woken;
    }
  }
}

long PollSet::wait(Wait wait_for, Deadline deadline) {
  waited_ = entries_;
  const bool alone = wait::may_block_thread();
  if (!alone) {
    if (closing_.get() < 0) {
      // Report closed descriptors before the eventfd can get one of their numbers.
      const long ready = wait_for(waited_, Deadline::immediate());
      if (ready != 0 || closed_ || deadline.is_immediate()) return closed_ ? -EBADF : ready;
      // Without an eventfd, close() takes effect when the wait ends.
      const long made = sys::eventfd();
      closing_ = sys::OwnFd(made < 0 ? -1 : static_cast<int>(made));
    }
    waited_.push_back({closing_.get(), sys::kIn, 0});
  }
  const long ready = wait_for(waited_, deadline);
  if (!alone) waited_.pop_back();
  return closed_ ? -EBADF : ready;
}

void PollSet::close() noexcept {
  closed_ = true;
  if (closing_.get() >= 0) sys::eventfd_add(closing_);
}

}  // namespace plug::detail::select
