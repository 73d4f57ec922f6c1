#include <plug/selectors.hpp>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include "select/wait.hpp"

namespace plug {

using detail::SelectorImpl;

namespace detail {

namespace {

constexpr EVENT kBoth = EVENT::READ | EVENT::WRITE;

bool has(EVENT events, EVENT event) noexcept { return (events & event) != EVENT{}; }

/// Maps events as Python does for poll(2) and epoll(7): any event that is neither of the two is
/// both.
EVENT events_of(unsigned ready) noexcept {
  EVENT events{};
  if ((ready & ~unsigned{sys::kIn}) != 0) events |= EVENT::WRITE;
  if ((ready & ~unsigned{sys::kOut}) != 0) events |= EVENT::READ;
  return events;
}

}  // namespace

/// The table of keys, which all selectors share, and the operations that each implements.
class SelectorImpl {
 public:
  /// One registration. A node never moves. An unregistered node is kept until the next select() if
  /// the result of the last one refers to it.
  struct Node {
    SelectorKey key;
    std::uint32_t slot;
    std::uint64_t generation;  // the number of the registration
    std::uint64_t turn = 0;    // the last turn in which it was ready,
    std::size_t place = 0;     // and its place in that turn's result
    std::weak_ptr<SocketState> layered{};
  };

  SelectorImpl() noexcept : map_(*this) {}
  SelectorImpl(const SelectorImpl&) = delete;
  SelectorImpl& operator=(const SelectorImpl&) = delete;
  virtual ~SelectorImpl() = default;

  const SelectorKey* add(const FileObject& object, EVENT events, UserData data,
                         std::error_code& error);
  SelectorKey remove(const FileObject& object, std::error_code& error);
  /// Keeps the data if `data` is null.
  const SelectorKey* modify(const FileObject& object, EVENT events, UserData* data,
                            std::error_code& error);
  ReadyKeys select(const Seconds& timeout, std::error_code& error);
  void close();

  /// Returns null if the object is not registered; also sets an error if it cannot be.
  Node* find(const FileObject& object, std::error_code& error) const;

  bool closed() const noexcept { return closed_; }
  const SelectorMap* map() const noexcept { return closed_ ? nullptr : &map_; }
  std::size_t size() const noexcept { return slot_of_.size(); }
  const std::vector<std::unique_ptr<Node>>& slots() const noexcept { return slots_; }

 protected:
  // Results are 0 or a count if >= 0, else -errno. While one fiber waits, others may call
  // everything except select().
  virtual long watch(const Node& node) = 0;
  virtual long rewatch(const Node& node, EVENT events) = 0;
  virtual void unwatch(const Node& node) noexcept = 0;
  /// Waits and calls ready() for each ready node. Returns a negative number on error.
  virtual long wait(Deadline deadline) = 0;
  virtual void close_own() noexcept {}

  void ready(Node& node, EVENT events) {
    events = events & node.key.events;
    if (events == EVENT{}) return;
    node.turn = turn_;
    node.place = ready_.size();
    ready_.push_back({&node.key, events});
  }
  bool nothing_ready() const noexcept { return ready_.empty(); }

  Node* node_of(int fd) const {
    const auto found = slot_of_.find(fd);
    return found == slot_of_.end() ? nullptr : slots_[found->second].get();
  }

  /// Returns the number of registrations so far.
  std::uint64_t registrations() const noexcept { return generations_; }

 private:
  bool any_holds_bytes() const;
  void add_those_that_hold_bytes();
  std::unique_ptr<Node> take(Node& node) noexcept;

  std::vector<std::unique_ptr<Node>> slots_;
  std::vector<std::uint32_t> free_slots_;
  std::unordered_map<int, std::uint32_t> slot_of_;  // by descriptor
  std::vector<Node*> layered_;                      // those whose socket has a layer
  std::vector<ReadyKeys::Entry> ready_;
  std::vector<std::unique_ptr<Node>> unregistered_;
  std::uint64_t turn_ = 1;
  std::uint64_t generations_ = 0;
  bool closed_ = false;
  std::atomic<bool> waiting_{false};
  const SelectorMap map_;
};

SelectorImpl::Node* SelectorImpl::find(const FileObject& object, std::error_code& error) const {
  const int fd = descriptor_of(object, error);
  if (!error) return node_of(fd);
  for (const auto& node : slots_) {
    if (!node || node->key.fileobj != object) continue;
    error.clear();
    return node.get();
  }
  return nullptr;
}

const SelectorKey* SelectorImpl::add(const FileObject& object, EVENT events, UserData data,
                                     std::error_code& error) {
  if (events == EVENT{} || (events & ~kBoth) != EVENT{}) {
    error = Errc::bad_events;
    return nullptr;
  }
  if (closed_) {
    error = Errc::closed_poller;
    return nullptr;
  }
  if (find(object, error) != nullptr) error = Errc::already_registered;
  if (error) return nullptr;

  // All steps that may throw come before the system call.
  const int fd = object.fileno();
  if (free_slots_.empty()) {
    slots_.emplace_back();
    if (free_slots_.capacity() < slots_.size()) free_slots_.reserve(2 * slots_.size());
    free_slots_.push_back(static_cast<std::uint32_t>(slots_.size() - 1));
  }
  const std::uint32_t slot = free_slots_.back();
  auto node =
      std::make_unique<Node>(Node{{object, fd, events, std::move(data)}, slot, ++generations_});
  if (auto state = FileAccess::socket_state(object); state && state->layer()) {
    node->layered = state;
    layered_.push_back(node.get());
  }
  try {
    slot_of_.emplace(fd, slot);
    error = error_from(watch(*node));
  } catch (...) {
    slot_of_.erase(fd);
    std::erase(layered_, node.get());
    throw;
  }
  if (error) {
    slot_of_.erase(fd);
    std::erase(layered_, node.get());
    return nullptr;
  }
  free_slots_.pop_back();
  slots_[slot] = std::move(node);
  return &slots_[slot]->key;
}

/// Removes a node from the table and from the nodes with a layer.
std::unique_ptr<SelectorImpl::Node> SelectorImpl::take(Node& node) noexcept {
  slot_of_.erase(node.key.fd);
  if (!layered_.empty()) std::erase(layered_, &node);
  free_slots_.push_back(node.slot);
  return std::move(slots_[node.slot]);
}

SelectorKey SelectorImpl::remove(const FileObject& object, std::error_code& error) {
  Node* const node = find(object, error);
  if (node == nullptr) {
    if (!error) error = Errc::not_registered;
    return {-1, -1, EVENT{}, {}};
  }
  const bool listed = node->turn == turn_;
  if (listed) unregistered_.emplace_back();
  unwatch(*node);
  std::unique_ptr<Node> taken = take(*node);
  SelectorKey key{taken->key.fileobj, taken->key.fd, taken->key.events, std::move(taken->key.data)};
  if (listed) {
    ready_[taken->place].events = EVENT{};
    unregistered_.back() = std::move(taken);
  }
  return key;
}

const SelectorKey* SelectorImpl::modify(const FileObject& object, EVENT events, UserData* data,
                                        std::error_code& error) {
  Node* const node = find(object, error);
  if (node == nullptr) {
    if (!error) error = Errc::not_registered;
    return nullptr;
  }
  if (events == EVENT{} || (events & ~kBoth) != EVENT{}) {
    error = Errc::bad_events;
    return nullptr;
  }
  if (events != node->key.events) {
    error = error_from(rewatch(*node, events));
    if (error) {
      std::error_code ignored;
      remove(object, ignored);
      return nullptr;
    }
    node->key.events = events;
  }
  // The replaced data is destroyed after everything is consistent.
  if (data != nullptr) std::swap(node->key.data, *data);
  return &node->key;
}

bool SelectorImpl::any_holds_bytes() const {
  for (const Node* node : layered_) {
    if (has(node->key.events, EVENT::READ) && holds_bytes(node->layered.lock().get())) return true;
  }
  return false;
}

void SelectorImpl::add_those_that_hold_bytes() {
  for (Node* node : layered_) {
    if (!has(node->key.events, EVENT::READ) || !holds_bytes(node->layered.lock().get())) continue;
    if (node->turn == turn_)
      ready_[node->place].events |= EVENT::READ;
    else
      ready(*node, EVENT::READ);
  }
}

ReadyKeys SelectorImpl::select(const Seconds& timeout, std::error_code& error) {
  error.clear();
  const OneWait once(waiting_);
  if (!once.first()) {
    error = Errc::concurrent_poll;
    return {};
  }
  ready_.clear();
  unregistered_.clear();
  ++turn_;
  if (closed_) {
    error = Errc::closed_poller;
    return {};
  }
  const bool held = !layered_.empty() && any_holds_bytes();
  const long waited = wait(held ? Deadline::immediate() : deadline_after(timeout.limit()));
  if (closed_ || waited < 0) {
    ready_.clear();
    error = closed_ ? make_error_code(Errc::closed_poller) : error_from(waited);
    return {};
  }
  if (held) add_those_that_hold_bytes();
  return {ready_.data(), ready_.size()};
}

void SelectorImpl::close() {
  if (closed_) return;
  closed_ = true;
  close_own();
  // The destructors of the users' data see a closed selector.
  slot_of_.clear();
  layered_.clear();
  free_slots_.clear();
  ready_.clear();
  unregistered_.clear();
  const auto nodes = std::move(slots_);
  slots_.clear();
}

void throw_other_type(std::string_view is, std::string_view wanted) {
  std::string text = "the data are ";
  throw TypeError((is.empty() ? text + "not there" : (text += "a ") += is) + ", not a " +
                  std::string(wanted));
}

namespace {

// --- select() and poll() ---

/// The selectors that poll a set.
class PollingImpl : public SelectorImpl {
 private:
  virtual short bits_of(EVENT events) const noexcept = 0;
  virtual long wait_for(PollSet& set, Deadline deadline) = 0;
  virtual EVENT events_of(const sys::PollEntry& entry) const noexcept = 0;

  long watch(const Node& node) override {
    set_.set(node.key.fd, bits_of(node.key.events));
    return 0;
  }
  long rewatch(const Node& node, EVENT events) override {
    set_.set(node.key.fd, bits_of(events));
    return 0;
  }
  void unwatch(const Node& node) noexcept override { set_.remove(node.key.fd); }
  void close_own() noexcept override { set_.close(); }

  long wait(Deadline deadline) override {
    const std::uint64_t begin = registrations();
    const long count = wait_for(set_, deadline);
    if (count <= 0) return count;
    for (const sys::PollEntry& entry : set_.waited()) {
      if (entry.revents == 0) continue;
      // By now the number may belong to no key, or to another one.
      Node* const node = node_of(entry.fd);
      if (node != nullptr && node->generation <= begin) ready(*node, events_of(entry));
    }
    return count;
  }

  PollSet set_;
};

class SelectImpl final : public PollingImpl {
 private:
  short bits_of(EVENT events) const noexcept override {
    return static_cast<short>((has(events, EVENT::READ) ? kSelectRead : 0) |
                              (has(events, EVENT::WRITE) ? kSelectWrite : 0));
  }
  long wait_for(PollSet& set, Deadline deadline) override {
    return set.wait(wait_selected, deadline);
  }
  EVENT events_of(const sys::PollEntry& entry) const noexcept override {
    const int bits = selected(entry);
    EVENT events{};
    if ((bits & kSelectRead) != 0) events |= EVENT::READ;
    if ((bits & kSelectWrite) != 0) events |= EVENT::WRITE;
    return events;
  }
};

unsigned poll_bits(EVENT events) noexcept {
  return (has(events, EVENT::READ) ? unsigned{sys::kIn} : 0U) |
         (has(events, EVENT::WRITE) ? unsigned{sys::kOut} : 0U);
}

class PollImpl final : public PollingImpl {
 private:
  short bits_of(EVENT events) const noexcept override {
    return static_cast<short>(poll_bits(events));
  }
  long wait_for(PollSet& set, Deadline deadline) override { return set.wait(wait_poll, deadline); }
  EVENT events_of(const sys::PollEntry& entry) const noexcept override {
    return detail::events_of(static_cast<unsigned short>(entry.revents));
  }
};

// --- epoll ---

class EpollImpl final : public SelectorImpl {
 public:
  explicit EpollImpl(std::error_code& error) {
    const long made = sys::epoll_create();
    error = error_from(made);
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
          ready(*node, events_of(events_[static_cast<std::size_t>(i)].events));
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
    events_ = std::make_unique<sys::EpollEvent[]>(room);
    room_ = room;
  }

  std::optional<Descriptor> epoll_;
  std::unique_ptr<sys::EpollEvent[]> events_;
  std::size_t room_ = 0;
};

}  // namespace

}  // namespace detail

namespace {

void throw_about(const std::error_code& error, const FileObject& object, EVENT events) {
  if (!error) [[likely]]
    return;
  if (error == Errc::bad_events) throw_if(error, std::to_string(static_cast<int>(events)));
  throw_if(error, to_string(object));
}

}  // namespace

// --- the map ---

SelectorMap::iterator::iterator(const SelectorImpl* impl, std::size_t slot) noexcept
    : impl_(impl), slot_(slot) {
  while (slot_ < impl_->slots().size() && !impl_->slots()[slot_]) ++slot_;
}

const SelectorKey& SelectorMap::iterator::operator*() const noexcept {
  return impl_->slots()[slot_]->key;
}

SelectorMap::iterator& SelectorMap::iterator::operator++() noexcept {
  return *this = iterator(impl_, slot_ + 1);
}

std::size_t SelectorMap::size() const noexcept { return impl_.size(); }
SelectorMap::iterator SelectorMap::begin() const noexcept { return {&impl_, 0}; }
SelectorMap::iterator SelectorMap::end() const noexcept { return {&impl_, impl_.slots().size()}; }

const SelectorKey* SelectorMap::find(const FileObject& object) const {
  std::error_code error;
  const SelectorImpl::Node* const node = impl_.find(object, error);
  if (error) throw_if(error, to_string(object));
  return node == nullptr ? nullptr : &node->key;
}

const SelectorKey& SelectorMap::at(const FileObject& object) const {
  if (const SelectorKey* const key = find(object)) return *key;
  throw KeyError(make_error_code(Errc::not_registered).message() + ": " + to_string(object));
}

// --- the selectors ---

BaseSelector::BaseSelector(std::shared_ptr<SelectorImpl> impl) noexcept : impl_(std::move(impl)) {}
BaseSelector::BaseSelector(BaseSelector&& other) noexcept = default;
BaseSelector& BaseSelector::operator=(BaseSelector&& other) noexcept {
  std::shared_ptr<SelectorImpl> taken = std::move(other.impl_);
  close();
  impl_ = std::move(taken);
  return *this;
}
BaseSelector::~BaseSelector() { close(); }

const SelectorKey& BaseSelector::register_(const FileObject& object, EVENT events, UserData data) {
  std::error_code error;
  const SelectorKey* const key = register_(object, events, std::move(data), error);
  throw_about(error, object, events);
  return *key;
}

const SelectorKey* BaseSelector::register_(const FileObject& object, EVENT events, UserData data,
                                           std::error_code& error) {
  if (is_moved_from(error)) return nullptr;
  return impl_->add(object, events, std::move(data), error);
}

SelectorKey BaseSelector::unregister(const FileObject& object) {
  std::error_code error;
  SelectorKey key = unregister(object, error);
  throw_about(error, object, EVENT{});
  return key;
}

SelectorKey BaseSelector::unregister(const FileObject& object, std::error_code& error) {
  if (is_moved_from(error)) return {-1, -1, EVENT{}, {}};
  return impl_->remove(object, error);
}

const SelectorKey& BaseSelector::modify(const FileObject& object, EVENT events, UserData data) {
  std::error_code error;
  const SelectorKey* const key = modify(object, events, std::move(data), error);
  throw_about(error, object, events);
  return *key;
}

const SelectorKey* BaseSelector::modify(const FileObject& object, EVENT events, UserData data,
                                        std::error_code& error) {
  if (is_moved_from(error)) return nullptr;
  return impl_->modify(object, events, &data, error);
}

const SelectorKey& BaseSelector::modify(const FileObject& object, EVENT events, KeepData keep) {
  std::error_code error;
  const SelectorKey* const key = modify(object, events, keep, error);
  throw_about(error, object, events);
  return *key;
}

const SelectorKey* BaseSelector::modify(const FileObject& object, EVENT events, KeepData,
                                        std::error_code& error) {
  if (is_moved_from(error)) return nullptr;
  return impl_->modify(object, events, nullptr, error);
}

ReadyKeys BaseSelector::select(Seconds timeout) {
  std::error_code error;
  const ReadyKeys keys = select(timeout, error);
  if (error) [[unlikely]]
    throw_if(error, "select");
  return keys;
}

ReadyKeys BaseSelector::select(Seconds timeout, std::error_code& error) {
  if (is_moved_from(error)) return {};
  // Another fiber may destroy or replace the selector meanwhile.
  const std::shared_ptr<SelectorImpl> impl = impl_;
  return impl->select(timeout, error);
}

void BaseSelector::close() {
  if (impl_) impl_->close();
}

const SelectorKey& BaseSelector::get_key(const FileObject& object) const {
  const SelectorMap* const map = get_map();
  if (map == nullptr) throw RuntimeError("Selector is closed");
  return map->at(object);
}

const SelectorMap* BaseSelector::get_map() const noexcept { return impl_ ? impl_->map() : nullptr; }

bool BaseSelector::is_moved_from(std::error_code& error) const noexcept {
  if (!impl_) error = Errc::closed_poller;
  return !impl_;
}

SelectSelector::SelectSelector() : BaseSelector(std::make_shared<detail::SelectImpl>()) {}

PollSelector::PollSelector() : BaseSelector(std::make_shared<detail::PollImpl>()) {}

EpollSelector::EpollSelector(std::error_code& error)
    : BaseSelector(std::make_shared<detail::EpollImpl>(error)) {
  if (error) close();
}

EpollSelector::EpollSelector() : BaseSelector(nullptr) {
  std::error_code error;
  *this = EpollSelector(error);
  if (error) throw_if(error, "EpollSelector");
}

int EpollSelector::fileno() const {
  const auto* const epoll = static_cast<const detail::EpollImpl*>(impl());
  const int fd = epoll == nullptr ? -1 : epoll->fileno();
  if (fd < 0) throw_if(Errc::closed_poller);
  return fd;
}

}  // namespace plug
