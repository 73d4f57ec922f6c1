// SelectSelector and PollSelector.

#include <cstdint>
#include <memory>

#include "select/selector_impl.hpp"

namespace plug {

namespace detail::select {

namespace {

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
    return static_cast<short>((events & EVENT::READ ? kSelectRead : 0) |
                              (events & EVENT::WRITE ? kSelectWrite : 0));
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

class PollImpl final : public PollingImpl {
 private:
  short bits_of(EVENT events) const noexcept override {
    return static_cast<short>(poll_bits(events));
  }
  long wait_for(PollSet& set, Deadline deadline) override { return set.wait(wait_poll, deadline); }
  EVENT events_of(const sys::PollEntry& entry) const noexcept override {
    return events_of_poll(static_cast<unsigned short>(entry.revents));
  }
};

}  // namespace

}  // namespace detail::select

SelectSelector::SelectSelector() : BaseSelector(std::make_shared<detail::select::SelectImpl>()) {}

PollSelector::PollSelector() : BaseSelector(std::make_shared<detail::select::PollImpl>()) {}

}  // namespace plug
