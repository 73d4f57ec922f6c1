#include <plug/select.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <ostream>

#include "base/throwing.hpp"
#include "select/wait.hpp"

namespace plug {

namespace {
using detail::base::error_from;
using detail::base::throwing;
using detail::select::descriptor_of;
using detail::select::FileAccess;
using detail::select::selected;
namespace sys = detail::sys;

/// Returns the function that makes the text of an error about an object (throwing()). Uses the
/// object itself.
auto about(const FileObject& object) noexcept {
  return [&object] { return to_string(object); };
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
  return {{{rlist, &Selected::readable, detail::select::kSelectRead, "rlist"},
           {wlist, &Selected::writable, detail::select::kSelectWrite, "wlist"},
           {xlist, &Selected::exceptional, sys::kPriority, "xlist"}}};
}

/// An object and the list that contains it. select() does not read the lists after it begins to
/// wait.
struct Wanted {
  FileObject object;
  const Want* want;
  std::size_t item;
};

/// Returns the text of the object that has no descriptor, or one that is not open.
std::string bad_one(const std::vector<Wanted>& all) {
  for (const auto& [object, want, item] : all) {
    std::error_code error;
    const int fd = descriptor_of(object, error);
    if (error || sys::get_inheritable(fd) == -EBADF)
      return to_string(object) + ", item " + std::to_string(item) + " of " + want->name;
  }
  return {};
}

/// Merges the entries with the same descriptor, because poll(2) takes no more entries than the
/// process may have descriptors.
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
  const long ready = detail::select::wait_selected(merged, deadline);
  for (sys::PollEntry& entry : entries)
    entry.revents = std::ranges::lower_bound(merged, entry.fd, {}, &sys::PollEntry::fd)->revents;
  return ready;
}

bool holds_bytes(const Wanted& wanted) {
  return wanted.want->events == detail::select::kSelectRead &&
         detail::select::holds_bytes(FileAccess::socket_state(wanted.object).get());
}

std::vector<Wanted> all_of(const Wants& wants) {
  std::vector<Wanted> all;
  std::size_t total = 0;
  for (const Want& want : wants) total += want.list.size();
  all.reserve(total);
  for (const Want& want : wants) {
    std::size_t item = 0;
    for (const FileObject& object : want.list) all.push_back({object, &want, item++});
  }
  return all;
}

Selected select_from(const std::vector<Wanted>& all, const Timeout& timeout,
                     std::error_code& error) {
  Selected result;
  std::vector<sys::PollEntry> entries;
  entries.reserve(all.size());
  bool held = false;
  for (const Wanted& wanted : all) {
    const int fd = descriptor_of(wanted.object, error);
    if (error) return result;
    entries.push_back({fd, wanted.want->events, 0});
    held = held || holds_bytes(wanted);
  }

  const Deadline deadline = held ? Deadline::immediate() : detail::base::deadline_after(timeout);
  long ready = detail::select::wait_selected(entries, deadline);
  if (ready == -EINVAL) ready = wait_merged(entries, deadline);
  error = error_from(ready);
  if (ready < 0 || (ready == 0 && !held)) return result;

  auto entry = entries.begin();
  for (const Wanted& wanted : all)
    if (selected(*entry++) != 0 || (held && holds_bytes(wanted)))
      (result.*wanted.want->ready).push_back(wanted.object);
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

void FileObject::throw_other_type(std::string_view wanted) const {
  std::string text = "the object is a ";
  if (kind_ == nullptr) text += "number";
  if (kind_ != nullptr) (text += kind_->constant ? "const " : "") += kind_->name;
  throw TypeError((text += ", not a ") += wanted);
}

std::ostream& operator<<(std::ostream& out, const FileObject& object) {
  return out << to_string(object);
}

Selected select(const FileObjects& rlist, const FileObjects& wlist, const FileObjects& xlist,
                Timeout timeout) {
  const Wants wants = wants_of(rlist, wlist, xlist);
  const std::vector<Wanted> all = all_of(wants);
  return throwing([&](std::error_code& error) { return select_from(all, timeout, error); },
                  [&] { return bad_one(all); });
}

Selected select(const FileObjects& rlist, const FileObjects& wlist, const FileObjects& xlist,
                Timeout timeout, std::error_code& error) {
  const Wants wants = wants_of(rlist, wlist, xlist);
  return select_from(all_of(wants), timeout, error);
}

// --- poll ---

struct Poll::Impl {
  detail::select::PollSet set;
  std::atomic<bool> polling{false};
};

namespace {

/// Returns the descriptor of an object. `poller` is null if it has been moved from.
int descriptor_in(const void* poller, const FileObject& object, std::error_code& error) {
  if (poller != nullptr) return descriptor_of(object, error);
  error = Errc::closed_poller;
  return -1;
}

}  // namespace

Poll::Poll() : impl_(std::make_shared<Impl>()) {}
Poll::Poll(Poll&& other) noexcept = default;
Poll& Poll::operator=(Poll&& other) noexcept = default;
Poll::~Poll() = default;

void Poll::register_(const FileObject& object, POLL events) {
  throwing([&](std::error_code& error) { register_(object, events, error); }, about(object));
}

void Poll::register_(const FileObject& object, POLL events, std::error_code& error) {
  const int fd = descriptor_in(impl_.get(), object, error);
  if (!error) impl_->set.set(fd, static_cast<short>(events));
}

void Poll::modify(const FileObject& object, POLL events) {
  throwing([&](std::error_code& error) { modify(object, events, error); }, about(object));
}

void Poll::modify(const FileObject& object, POLL events, std::error_code& error) {
  const int fd = descriptor_in(impl_.get(), object, error);
  if (error) return;
  if (impl_->set.contains(fd))
    impl_->set.set(fd, static_cast<short>(events));
  else
    error = error_from(-ENOENT);
}

void Poll::unregister(const FileObject& object) {
  throwing([&](std::error_code& error) { unregister(object, error); }, about(object));
}

void Poll::unregister(const FileObject& object, std::error_code& error) {
  const int fd = descriptor_in(impl_.get(), object, error);
  if (!error && !impl_->set.remove(fd)) error = Errc::not_registered;
}

std::vector<PollEvent> Poll::poll(Milliseconds timeout) {
  return throwing([&](std::error_code& error) { return poll(timeout, error); }, "poll");
}

std::vector<PollEvent> Poll::poll(Milliseconds timeout, std::error_code& error) {
  std::vector<PollEvent> result;
  const std::shared_ptr<Impl> impl = impl_;
  if (!impl) {
    error = Errc::closed_poller;
    return result;
  }
  const detail::select::OneWait once(impl->polling);
  if (!once.first()) {
    error = Errc::concurrent_poll;
    return result;
  }
  const long ready =
      impl->set.wait(detail::select::wait_poll, detail::select::deadline_of(timeout));
  error = error_from(ready);
  if (ready <= 0) return result;
  result.reserve(static_cast<std::size_t>(ready));
  for (const sys::PollEntry& entry : impl->set.waited())
    if (entry.revents != 0) result.push_back({entry.fd, static_cast<POLL>(entry.revents)});
  return result;
}

// --- epoll ---

namespace {

/// Makes a call with both descriptors.
template <class Call>
void control(detail::wait::Descriptor* epoll, const FileObject& object, std::error_code& error,
             Call call) {
  const int fd = descriptor_in(epoll, object, error);
  if (error) return;
  const detail::wait::Descriptor::InFlight in_flight(*epoll, false);
  if (in_flight.fd() < 0)
    error = Errc::closed_poller;
  else
    error = error_from(call(in_flight.fd(), fd));
}

}  // namespace

Epoll::Epoll(int sizehint, EPOLL flags) {
  throwing([&](std::error_code& error) { *this = Epoll(sizehint, flags, error); },
           [&] {
             return "Epoll(sizehint=" + std::to_string(sizehint) +
                    ", flags=" + std::to_string(static_cast<std::uint32_t>(flags)) + ")";
           });
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
  if (made >= 0) *this = Epoll(std::nullopt, static_cast<int>(made));
}

Epoll::Epoll(std::nullopt_t, int fd) {
  sys::OwnFd own(fd);
  descriptor_ = std::make_shared<detail::wait::Descriptor>(fd);
  own.release();
}

Epoll Epoll::fromfd(int fileno) {
  if (fileno < 0) throw_if(Errc::negative_fileno, std::to_string(fileno));
  return Epoll(std::nullopt, fileno);
}

Epoll::Epoll(Epoll&& other) noexcept = default;

Epoll& Epoll::operator=(Epoll&& other) noexcept {
  std::shared_ptr<detail::wait::Descriptor> taken = std::move(other.descriptor_);
  if (descriptor_) descriptor_->close();
  descriptor_ = std::move(taken);
  return *this;
}

Epoll::~Epoll() {
  std::error_code ignored;
  close(ignored);
}

void Epoll::close() {
  throwing([&](std::error_code& error) { close(error); }, "close");
}

void Epoll::close(std::error_code& error) {
  const std::shared_ptr<detail::wait::Descriptor> closing = std::move(descriptor_);
  error = error_from(closing ? closing->close() : 0);
}

bool Epoll::closed() const noexcept { return descriptor_ == nullptr; }

int Epoll::fileno() const {
  if (closed()) throw_if(Errc::closed_poller);
  return descriptor_->fd();
}

void Epoll::register_(const FileObject& object, EPOLL events) {
  throwing([&](std::error_code& error) { register_(object, events, error); }, about(object));
}

void Epoll::register_(const FileObject& object, EPOLL events, std::error_code& error) {
  control(descriptor_.get(), object, error, [&](int epoll, int fd) {
    return sys::epoll_add(epoll, fd, static_cast<std::uint32_t>(events),
                          static_cast<std::uint64_t>(fd));
  });
}

void Epoll::modify(const FileObject& object, EPOLL events) {
  throwing([&](std::error_code& error) { modify(object, events, error); }, about(object));
}

void Epoll::modify(const FileObject& object, EPOLL events, std::error_code& error) {
  control(descriptor_.get(), object, error, [&](int epoll, int fd) {
    return sys::epoll_modify(epoll, fd, static_cast<std::uint32_t>(events),
                             static_cast<std::uint64_t>(fd));
  });
}

void Epoll::unregister(const FileObject& object) {
  throwing([&](std::error_code& error) { unregister(object, error); }, about(object));
}

void Epoll::unregister(const FileObject& object, std::error_code& error) {
  control(descriptor_.get(), object, error,
          [&](int epoll, int fd) { return sys::epoll_remove(epoll, fd); });
}

std::vector<EpollEvent> Epoll::poll(Seconds timeout, int maxevents) {
  return throwing([&](std::error_code& error) { return poll(timeout, maxevents, error); },
                  [&](const std::error_code& error) {
                    return error == Errc::bad_maxevents ? "got " + std::to_string(maxevents)
                                                        : "poll";
                  });
}

std::vector<EpollEvent> Epoll::poll(Seconds timeout, int maxevents, std::error_code& error) {
  constexpr int kMostByDefault = 1023;
  std::vector<EpollEvent> result;
  const std::shared_ptr<detail::wait::Descriptor> epoll = descriptor_;
  if (!epoll) {
    error = Errc::closed_poller;
    return result;
  }
  if (maxevents == -1) maxevents = kMostByDefault;
  if (maxevents <= 0) {
    error = Errc::bad_maxevents;
    return result;
  }
  const auto room = static_cast<std::size_t>(maxevents);
  sys::RawEpollEvent few[kMostByDefault];
  const std::unique_ptr<sys::RawEpollEvent[]> many(
      room > kMostByDefault ? new sys::RawEpollEvent[room] : nullptr);
  sys::RawEpollEvent* const events = many ? many.get() : few;
  const long ready =
      detail::select::wait_epoll(*epoll, events, maxevents, detail::select::deadline_of(timeout));
  error = epoll->closed() ? make_error_code(Errc::closed_poller) : error_from(ready);
  if (error || ready == 0) return result;
  result.reserve(static_cast<std::size_t>(ready));
  for (long i = 0; i < ready; ++i)
    result.push_back({static_cast<int>(events[i].data), static_cast<EPOLL>(events[i].events)});
  return result;
}

}  // namespace plug
