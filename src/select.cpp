#include <plug/select.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <ostream>

#include "select_wait.hpp"

namespace plug {

namespace {

using detail::Deadline;
using detail::deadline_of;
using detail::descriptor_of;
using detail::error_from;
using detail::FileAccess;
using detail::selected;
namespace sys = detail::sys;

void throw_about(const std::error_code& error, const FileObject& object) {
  if (error) [[unlikely]]
    throw_if(error, to_string(object));
}

// --- select ---

struct Want {
  const FileObjects& list;
  std::vector<FileObject> Selected::*ready;
  short events;
  const char* name;
};

using Wants = std::array<Want, 3>;

Wants wants_of(const FileObjects& rlist, const FileObjects& wlist, const FileObjects& xlist) {
  return {{{rlist, &Selected::readable, detail::kSelectRead, "rlist"},
           {wlist, &Selected::writable, detail::kSelectWrite, "wlist"},
           {xlist, &Selected::exceptional, sys::kPriority, "xlist"}}};
}

/// Which of the objects has no descriptor, or one that is not open.
std::string bad_one(const Wants& wants) {
  for (const Want& want : wants) {
    std::size_t item = 0;
    for (const FileObject& object : want.list) {
      std::error_code error;
      const int fd = descriptor_of(object, error);
      if (error || sys::get_inheritable(fd) == -EBADF)
        return to_string(object) + ", item " + std::to_string(item) + " of " + want.name;
      ++item;
    }
  }
  return {};
}

/// poll(2) takes no more entries than the process may have descriptors; this makes one of all that
/// have the same descriptor.
long wait_merged(std::vector<sys::PollEntry>& entries, Deadline deadline) {
  std::vector<sys::PollEntry> merged(entries);
  std::ranges::sort(merged, {}, &sys::PollEntry::fd);
  std::size_t count = 0;
  for (const sys::PollEntry& entry : merged) {
    if (count == 0 || merged[count - 1].fd != entry.fd)
      merged[count++] = entry;
    else
      merged[count - 1].events = static_cast<short>(merged[count - 1].events | entry.events);
  }
  merged.resize(count);
  const long ready = wait_selected(merged, deadline);
  for (sys::PollEntry& entry : entries)
    entry.revents = std::ranges::lower_bound(merged, entry.fd, {}, &sys::PollEntry::fd)->revents;
  return ready;
}

bool holds_bytes(const Want& want, const FileObject& object) {
  return want.events == detail::kSelectRead &&
         detail::holds_bytes(FileAccess::socket_state(object).get());
}

Selected select_from(const Wants& wants, const Timeout& timeout, std::error_code& error) {
  Selected result;
  std::vector<sys::PollEntry> entries;
  std::size_t total = 0;
  for (const Want& want : wants) total += want.list.size();
  entries.reserve(total);
  bool held = false;
  for (const Want& want : wants) {
    for (const FileObject& object : want.list) {
      const int fd = descriptor_of(object, error);
      if (error) return result;
      entries.push_back({fd, want.events, 0});
      held = held || holds_bytes(want, object);
    }
  }

  const Deadline deadline = held ? Deadline::immediate() : deadline_of(timeout);
  long ready = wait_selected(entries, deadline);
  if (ready == -EINVAL) ready = wait_merged(entries, deadline);
  error = error_from(ready);
  if (ready < 0 || (ready == 0 && !held)) return result;

  auto entry = entries.begin();
  for (const Want& want : wants) {
    for (const FileObject& object : want.list) {
      if (selected(*entry++) != 0 || (held && holds_bytes(want, object)))
        (result.*want.ready).push_back(object);
    }
  }
  return result;
}

}  // namespace

std::string to_string(const FileObject& object) {
  std::error_code error;
  std::string text = std::to_string(descriptor_of(object, error));
  if (const std::string_view type = FileAccess::type(object); !type.empty())
    ((text += " (") += type) += ")";
  return text;
}

std::ostream& operator<<(std::ostream& out, const FileObject& object) {
  return out << to_string(object);
}

Selected select(const FileObjects& rlist, const FileObjects& wlist, const FileObjects& xlist,
                Timeout timeout) {
  std::error_code error;
  const Wants wants = wants_of(rlist, wlist, xlist);
  Selected result = select_from(wants, timeout, error);
  if (error) throw_if(error, bad_one(wants));
  return result;
}

Selected select(const FileObjects& rlist, const FileObjects& wlist, const FileObjects& xlist,
                Timeout timeout, std::error_code& error) {
  return select_from(wants_of(rlist, wlist, xlist), timeout, error);
}

// --- poll ---

struct Poll::Impl {
  detail::PollSet set;
  std::atomic<bool> polling{false};
};

Poll::Poll() : impl_(std::make_unique<Impl>()) {}
Poll::Poll(Poll&& other) noexcept = default;
Poll& Poll::operator=(Poll&& other) noexcept = default;
Poll::~Poll() = default;

void Poll::register_(const FileObject& object, POLL events) {
  std::error_code error;
  register_(object, events, error);
  throw_about(error, object);
}

void Poll::register_(const FileObject& object, POLL events, std::error_code& error) {
  const int fd = descriptor_of(object, error);
  if (!error) impl_->set.set(fd, static_cast<short>(events));
}

void Poll::modify(const FileObject& object, POLL events) {
  std::error_code error;
  modify(object, events, error);
  throw_about(error, object);
}

void Poll::modify(const FileObject& object, POLL events, std::error_code& error) {
  const int fd = descriptor_of(object, error);
  if (error) return;
  if (impl_->set.contains(fd))
    impl_->set.set(fd, static_cast<short>(events));
  else
    error = error_from(-ENOENT);
}

void Poll::unregister(const FileObject& object) {
  std::error_code error;
  unregister(object, error);
  throw_about(error, object);
}

void Poll::unregister(const FileObject& object, std::error_code& error) {
  const int fd = descriptor_of(object, error);
  if (!error && !impl_->set.remove(fd)) error = Errc::not_registered;
}

std::vector<PollEvent> Poll::poll(Milliseconds timeout) {
  std::error_code error;
  std::vector<PollEvent> events = poll(timeout, error);
  if (error) throw_if(error, "poll");
  return events;
}

std::vector<PollEvent> Poll::poll(Milliseconds timeout, std::error_code& error) {
  class Once {
   public:
    explicit Once(std::atomic<bool>& flag) noexcept : flag_(flag), first_(!flag.exchange(true)) {}
    Once(const Once&) = delete;
    Once& operator=(const Once&) = delete;
    ~Once() {
      if (first_) flag_ = false;
    }
    bool first() const noexcept { return first_; }

   private:
    std::atomic<bool>& flag_;
    bool first_;
  };

  std::vector<PollEvent> result;
  const Once once(impl_->polling);
  if (!once.first()) {
    error = Errc::concurrent_poll;
    return result;
  }
  const std::vector<sys::PollEntry>& entries = impl_->set.entries();
  const long ready = detail::wait_any(impl_->set.entries(), deadline_of(timeout));
  error = error_from(ready);
  if (ready <= 0) return result;
  result.reserve(static_cast<std::size_t>(ready));
  for (const sys::PollEntry& entry : entries)
    if (entry.revents != 0) result.push_back({entry.fd, static_cast<POLL>(entry.revents)});
  return result;
}

// --- epoll ---

namespace {

/// Runs a call on both descriptors.
template <class Call>
void control(int epoll, const FileObject& object, std::error_code& error, Call call) {
  if (epoll < 0) {
    error = Errc::closed_poller;
    return;
  }
  const int fd = descriptor_of(object, error);
  if (!error) error = error_from(call(fd));
}

}  // namespace

Epoll::Epoll(int sizehint, EPOLL flags) {
  std::error_code error;
  *this = Epoll(sizehint, flags, error);
  if (error)
    throw_if(error, "Epoll(sizehint=" + std::to_string(sizehint) +
                        ", flags=" + std::to_string(static_cast<std::uint32_t>(flags)) + ")");
}

Epoll::Epoll(int sizehint, EPOLL flags, std::error_code& error) {
  if (sizehint != -1 && sizehint <= 0) {
    error = Errc::bad_sizehint;
    return;
  }
  if (flags != EPOLL{} && flags != EPOLL::CLOEXEC) {
    error = Errc::bad_flags;
    return;
  }
  const long made = sys::epoll_create();
  error = error_from(made);
  if (made >= 0) fd_ = static_cast<int>(made);
}

Epoll Epoll::fromfd(int fileno) {
  if (fileno < 0) throw_if(Errc::negative_fileno, std::to_string(fileno));
  return Epoll(std::nullopt, fileno);
}

Epoll& Epoll::operator=(Epoll&& other) noexcept {
  const Epoll old(std::nullopt, std::exchange(fd_, std::exchange(other.fd_, -1)));
  return *this;
}

Epoll::~Epoll() {
  std::error_code ignored;
  close(ignored);
}

void Epoll::close() {
  std::error_code error;
  close(error);
  if (error) throw_if(error, "close");
}

void Epoll::close(std::error_code& error) {
  const int fd = std::exchange(fd_, -1);
  error = error_from(fd < 0 ? 0 : sys::close(fd));
}

int Epoll::fileno() const {
  if (fd_ < 0) throw_if(Errc::closed_poller);
  return fd_;
}

void Epoll::register_(const FileObject& object, EPOLL events) {
  std::error_code error;
  register_(object, events, error);
  throw_about(error, object);
}

void Epoll::register_(const FileObject& object, EPOLL events, std::error_code& error) {
  control(fd_, object, error, [&](int fd) {
    return sys::epoll_add(fd_, fd, static_cast<std::uint32_t>(events),
                          static_cast<std::uint64_t>(fd));
  });
}

void Epoll::modify(const FileObject& object, EPOLL events) {
  std::error_code error;
  modify(object, events, error);
  throw_about(error, object);
}

void Epoll::modify(const FileObject& object, EPOLL events, std::error_code& error) {
  control(fd_, object, error, [&](int fd) {
    return sys::epoll_modify(fd_, fd, static_cast<std::uint32_t>(events),
                             static_cast<std::uint64_t>(fd));
  });
}

void Epoll::unregister(const FileObject& object) {
  std::error_code error;
  unregister(object, error);
  throw_about(error, object);
}

void Epoll::unregister(const FileObject& object, std::error_code& error) {
  control(fd_, object, error, [&](int fd) { return sys::epoll_remove(fd_, fd); });
}

std::vector<EpollEvent> Epoll::poll(Seconds timeout, int maxevents) {
  std::error_code error;
  std::vector<EpollEvent> events = poll(timeout, maxevents, error);
  if (error)
    throw_if(error, error == Errc::bad_maxevents ? "got " + std::to_string(maxevents) : "poll");
  return events;
}

std::vector<EpollEvent> Epoll::poll(Seconds timeout, int maxevents, std::error_code& error) {
  constexpr int kMostByDefault = 1023;
  std::vector<EpollEvent> result;
  if (fd_ < 0) {
    error = Errc::closed_poller;
    return result;
  }
  if (maxevents == -1) maxevents = kMostByDefault;
  if (maxevents <= 0) {
    error = Errc::bad_maxevents;
    return result;
  }
  const auto room = static_cast<std::size_t>(maxevents);
  sys::EpollEvent few[kMostByDefault];
  const std::unique_ptr<sys::EpollEvent[]> many(room > kMostByDefault ? new sys::EpollEvent[room]
                                                                      : nullptr);
  sys::EpollEvent* const events = many ? many.get() : few;
  const long ready = detail::wait_epoll(fd_, events, maxevents, deadline_of(timeout));
  error = error_from(ready);
  if (ready <= 0) return result;
  result.reserve(static_cast<std::size_t>(ready));
  for (long i = 0; i < ready; ++i)
    result.push_back({static_cast<int>(events[i].data), static_cast<EPOLL>(events[i].events)});
  return result;
}

}  // namespace plug
