#include "select/selector_impl.hpp"

#include <utility>

namespace plug::detail::select {

namespace {

bool is_valid(EVENT events) noexcept {
  return events != EVENT{} && !(events & ~(EVENT::READ | EVENT::WRITE));
}

}  // namespace

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
  if (!is_valid(events)) {
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
  std::unique_ptr<Node> node(new Node{{object, fd, events, std::move(data)}, slot, ++generations_});
  if (auto state = FileAccess::socket_state(object); state && state->layer()) {
    node->layered = state;
    layered_.push_back(node.get());
  }
  try {
    slot_of_.emplace(fd, slot);
    error = base::error_from(watch(*node));
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

SelectorKey SelectorImpl::remove(const FileObject& object, std::error_code& error) {
  Node* const node = find(object, error);
  if (node == nullptr) {
    if (!error) error = Errc::not_registered;
    return {FileObject(-1), -1, EVENT{}, {}};
  }
  return take(*node, false);
}

SelectorKey SelectorImpl::take(Node& node, bool keep_object) {
  const bool listed = node.turn == turn_;
  const bool kept = listed || keep_object;
  if (kept) unregistered_.emplace_back();
  unwatch(node);
  slot_of_.erase(node.key.fd);
  if (!layered_.empty()) std::erase(layered_, &node);
  free_slots_.push_back(node.slot);
  std::unique_ptr<Node> taken = std::move(slots_[node.slot]);
  if (listed) ready_[node.place].events = EVENT{};
  SelectorKey key{keep_object ? KeyObject(static_cast<const FileObject&>(node.key.fileobj))
                              : std::move(node.key.fileobj),
                  node.key.fd, node.key.events, std::move(node.key.data)};
  if (kept) unregistered_.back() = std::move(taken);
  return key;
}

const SelectorKey* SelectorImpl::modify(const FileObject& object, EVENT events, UserData* data,
                                        std::error_code& error) {
  Node* const node = find(object, error);
  if (node == nullptr) {
    if (!error) error = Errc::not_registered;
    return nullptr;
  }
  if (!is_valid(events)) {
    error = Errc::bad_events;
    return nullptr;
  }
  if (events != node->key.events) {
    error = base::error_from(rewatch(*node, events));
    if (error) {
      // The caller may name `object`, which the key may own, in a message.
      take(*node, true);
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
  ++turn_;
  unregistered_.clear();
  if (closed_) {
    error = Errc::closed_poller;
    return {};
  }
  const bool held = !layered_.empty() && any_holds_bytes();
  const long waited = wait(held ? Deadline::immediate() : base::deadline_after(timeout.limit()));
  if (closed_ || waited < 0) {
    ready_.clear();
    error = closed_ ? make_error_code(Errc::closed_poller) : base::error_from(waited);
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

}  // namespace plug::detail::select
