#include "server/children.hpp"

#include <plug/constants.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

#include "server/requests.hpp"
#include "sys/polling.hpp"
#include "sys/process.hpp"
#include "sys/signals.hpp"

namespace plug::detail::server {

namespace {

constexpr std::int64_t kLookAgain = 5'000'000;  // nanoseconds
constexpr std::uint64_t kHandled = 0;           // no child has this number

}  // namespace

void ServerChildren::prepare() {
  children_.reserve(children_.size() + 1);
  if (set_.get() >= 0) return;
  sys::OwnFd set(static_cast<int>(sys::epoll_create()));
  if (set.get() < 0) return;
  int ends[2] = {-1, -1};
  // Not a pipe, which would raise a signal when it is broken.
  if (sys::socketpair(static_cast<int>(AF::UNIX), static_cast<int>(SOCK::STREAM), 0, ends) < 0)
    return;
  handled_ = sys::OwnFd(ends[0]);
  tell_handled_ = sys::OwnFd(ends[1]);
  if (sys::epoll_add(set.get(), handled_.get(), sys::kIn, kHandled) >= 0) set_ = std::move(set);
}

void ServerChildren::add(int child, std::shared_ptr<const void> entry) noexcept {
  sys::OwnFd process(set_.get() < 0 ? -1 : static_cast<int>(sys::pidfd(child)));
  const auto data = static_cast<std::uint64_t>(child);
  if (process.get() >= 0 && sys::epoll_add(set_.get(), process.get(), sys::kIn, data) < 0)
    process = sys::OwnFd();
  if (process.get() < 0) ++unwatched_;
  children_.push_back({child, std::move(entry), std::move(process)});
}

void ServerChildren::drop(std::vector<Child>::iterator child) noexcept {
  // Later children have inherited the descriptor, so that closing it does not remove it from the
  // set. In a forked process the set is the parent's.
  if (child->process.get() < 0)
    --unwatched_;
  else if (!fork_guard_.is_of_parent())
    sys::epoll_remove(set_.get(), child->process.get());
  children_.erase(child);
}

void ServerChildren::remove(int child) noexcept {
  const auto found = std::find_if(children_.begin(), children_.end(),
                                  [child](const Child& it) { return it.number == child; });
  if (found != children_.end()) drop(found);
}

void ServerChildren::tell_handled() noexcept {
  const int number = sys::process_number();
  // If this fails, the end of the process tells the parent.
  if (tell_handled_.get() >= 0) sys::send_now(tell_handled_.get(), &number, sizeof number);
}

void ServerChildren::read_handled() noexcept {
  std::array<int, 64> numbers{};
  for (;;) {
    const long got = sys::recv_now(handled_.get(), numbers.data(), sizeof numbers);
    if (got <= 0) return;
    const std::span handled(numbers.data(), static_cast<std::size_t>(got) / sizeof(int));
    for (const Child& child : children_)
      if (std::find(handled.begin(), handled.end(), child.number) != handled.end())
        RequestRegistry::stop_counting(child.entry);
  }
}

Deadline ServerChildren::next_look() const noexcept {
  return unwatched_ > 0 ? base::deadline_after(kLookAgain) : Deadline::none();
}

void ServerChildren::look() noexcept {
  // Reads the numbers of children that are gone, too, so that the event does not stay readable.
  if (handled_.get() >= 0) read_handled();
  std::array<sys::RawEpollEvent, 64> events{};
  const long count = set_.get() < 0 ? 0
                                    : sys::epoll_wait(set_.get(), events.data(),
                                                      static_cast<int>(events.size()), 0);
  for (long i = 0; i < count; ++i)
    if (const std::uint64_t data = events[static_cast<std::size_t>(i)].data; data != kHandled)
      remove(static_cast<int>(data));
  if (unwatched_ == 0) return;
  for (std::size_t i = children_.size(); i-- > 0;) {
    const auto child = children_.begin() + static_cast<std::ptrdiff_t>(i);
    if (child->process.get() < 0 && sys::child_has_ended(child->number)) drop(child);
  }
}

void ServerChildren::terminate() noexcept {
  for (const Child& child : children_) sys::terminate_child(child.number);
}

}  // namespace plug::detail::server
