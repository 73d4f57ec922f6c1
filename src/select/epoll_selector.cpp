// EpollSelector.

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <memory>
#include <optional>

#include "base/throwing.hpp"
#include "select/selector_impl.hpp"

namespace plug {

namespace detail::select {

namespace {

class EpollImpl final : public SelectorImpl {
 public:
  explicit EpollImpl(std::error_code& error) {
    const long made = sys::epoll_create();
    error = base::error_from(made);
    if (made >= 0) epoll_.emplace(static_cast<int>(made));
  }

  int fileno() const noexcept { return epoll_ ? epoll_->fd() : -1; }

 private:
  // The data of an event: the slot and the generation of the registration.
  static std::uint64_t tag_of(const Node& node) noexcept {
    return node.generation << 32 | node.slot;
  }

  long watch(const Node& node) override {
    const long added =
        sys::epoll_add(fileno(), node.key.fd, poll_bits(node.key.events), tag_of(node));
    // No key has this number. So it was left behind by a key whose descriptor was closed before it
    // was unregistered, and a duplicate has come back under the same number.
    if (added == -EEXIST) return rewatch(node, node.key.events);
    return added;
  }
  long rewatch(const Node& node, EVENT events) override {
    return sys::epoll_modify(fileno(), node.key.fd, poll_bits(events), tag_of(node));
  }
  void unwatch(const Node& node) noexcept override { sys::epoll_remove(fileno(), node.key.fd); }

  long wait(Deadline deadline) override {
    grow();
    for (;;) {
      const long count = wait_epoll(*epoll_, events_.get(), static_cast<int>(room_), deadline);
      if (count <= 0) return count;
      bool left_behind = false;
      for (long i = 0; i < count; ++i) {
        const std::uint64_t tag = events_[static_cast<std::size_t>(i)].data;
        const std::uint32_t slot = static_cast<std::uint32_t>(tag);
        Node* const node = slot < slots().size() ? slots()[slot].get() : nullptr;
        if (node != nullptr && tag_of(*node) == tag)
          ready(*node, events_of_poll(events_[static_cast<std::size_t>(i)].events));
        else
          left_behind = true;
      }
      if (left_behind) [[unlikely]] {
        if (const long renewed = renew(); renewed < 0 && nothing_ready()) return renewed;
      }
      if (!nothing_ready()) return count;
    }
  }

  /// Replaces the epoll. A file that was closed and unregistered while a duplicate is open cannot
  /// be removed in any other way, because it has no number any more.
  long renew() noexcept {
    const long made = sys::epoll_create();
    if (made < 0) return made;
    const sys::OwnFd fresh(static_cast<int>(made));
    for (const auto& node : slots()) {
      if (!node) continue;
      // The number may now stand for a file other than the registered one.
      if (rewatch(*node, node->key.events) < 0) continue;
      sys::epoll_add(fresh.get(), node->key.fd, poll_bits(node->key.events), tag_of(*node));
    }
    return sys::duplicate_over(fresh.get(), fileno());
  }

  void close_own() noexcept override {
    if (epoll_) epoll_->close();
  }

  /// Makes room for the events of all keys. The kernel writes there during a wait.
  void grow() {
    if (room_ > 0 && room_ >= size()) return;
    const std::size_t room = std::max({std::size_t{64}, room_ * 2, size()});
    events_ = std::make_unique<sys::RawEpollEvent[]>(room);
    room_ = room;
  }

  std::optional<wait::Descriptor> epoll_;
  std::unique_ptr<sys::RawEpollEvent[]> events_;
  std::size_t room_ = 0;
};

}  // namespace

}  // namespace detail::select

EpollSelector::EpollSelector(std::error_code& error)
    : BaseSelector(std::make_shared<detail::select::EpollImpl>(error)) {
  if (error) close();
}

EpollSelector::EpollSelector() : BaseSelector(nullptr) {
  detail::base::throwing([&](std::error_code& error) { *this = EpollSelector(error); },
                         "EpollSelector");
}

int EpollSelector::fileno() const {
  const auto* const epoll = static_cast<const detail::select::EpollImpl*>(impl());
  const int fd = epoll == nullptr ? -1 : epoll->fileno();
  if (fd < 0) throw_if(Errc::closed_poller);
  return fd;
}

}  // namespace plug
