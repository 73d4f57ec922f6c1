#include "wait/descriptor.hpp"

#include <thread>

namespace plug::detail::wait {

namespace {
constexpr int kShutBoth = 2;
}

void Descriptor::ListLock::spin(std::uint32_t seen, std::uint32_t mine) noexcept {
  do {
    if (seen == mine) {
      std::this_thread::yield();
      seen = 0;
    }
  } while (!descriptor_.lock_.compare_exchange_weak(seen, mine));
}

/// Forgets the parent process's wakers and Unblocked objects.
void Descriptor::ListLock::begin_afresh(std::uint32_t generation) noexcept {
  descriptor_.list_generation_ = generation;
  descriptor_.wakers_ = nullptr;
  descriptor_.unblocked_ = 0;
}

Descriptor::~Descriptor() { close(); }

/// Restarts the word after `units` were added to the counts of another process, unless another
/// thread has restarted it meanwhile.
void Descriptor::enter_after_fork(std::uint64_t units) noexcept {
  const std::uint64_t mine = generation();
  std::uint64_t seen = use_.load();
  for (;;) {
    const bool stale = (seen & kGenerationMask) != mine;
    const std::uint64_t base = stale ? mine | (seen & kClosed) : seen;
    if (use_.compare_exchange_weak(seen, base + units)) return;
  }
}

/// Closes the number when the last operation on a closed descriptor ends.
void Descriptor::leave_closed(std::uint64_t use) noexcept {
  if ((use & kCountMask) != 0) return;
  const int fd = closing_.exchange(-1);
  if (fd >= 0) sys::close(fd);
}

/// Wakes the operations in flight in two ways. An untimed one is blocked in the kernel (recv(2))
/// and wakes only from a shutdown of the connection. A timed one, and one of a fiber, has
/// registered a Waker.
long Descriptor::close() noexcept {
  const int fd = fd_.exchange(-1);
  if (fd < 0) return 0;
  closing_.store(fd);
  // Counts as an operation, so that the number stays taken while it is used here.
  enter(kOne);
  const std::uint64_t before = use_.fetch_or(kClosed);
  if ((before & kCountMask) == kOne && closing_.exchange(-1) == fd) {
    leave(kOne);
    return sys::close(fd);
  }
  if ((before & (kCountMask << 24)) != 0) sys::shutdown(fd, kShutBoth);
  {
    const ListLock lock(*this);
    for (Waker* waker = wakers_; waker != nullptr; waker = waker->next) {
      waker->woken = true;
      waker->wake(waker->argument);
    }
  }
  leave(kOne);
  return 0;
}

Descriptor::Unblocked::Unblocked(Descriptor& descriptor, int fd) noexcept
    : descriptor_(descriptor), fd_(fd) {
  const ListLock lock(descriptor_);
  if (descriptor_.unblocked_++ > 0) return;
  descriptor_.blocks_ = sys::get_nonblocking(fd_) == 0;
  if (!descriptor_.blocks_) return;
  descriptor_.was_unblocked_.store(true, std::memory_order_relaxed);
  sys::set_nonblocking(fd_, true);
}

Descriptor::Unblocked::~Unblocked() {
  const ListLock lock(descriptor_);
  if (--descriptor_.unblocked_ == 0 && descriptor_.blocks_) sys::set_nonblocking(fd_, false);
}

}  // namespace plug::detail::wait
