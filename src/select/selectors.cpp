#include <plug/selectors.hpp>

#include <string>

#include "base/throwing.hpp"
#include "select/selector_impl.hpp"

namespace plug {

using detail::base::throwing;
using detail::select::SelectorImpl;

namespace {

/// Returns the function that makes the text of an error about an object and its events
/// (throwing()). Uses the object itself.
auto about(const FileObject& object, EVENT events) noexcept {
  return [&object, events](const std::error_code& error) {
    return error == Errc::bad_events ? std::to_string(static_cast<int>(events)) : to_string(object);
  };
}

}  // namespace

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
  return *throwing(
      [&](std::error_code& error) { return register_(object, events, std::move(data), error); },
      about(object, events));
}

const SelectorKey* BaseSelector::register_(const FileObject& object, EVENT events, UserData data,
                                           std::error_code& error) {
  if (is_moved_from(error)) return nullptr;
  return impl_->add(object, events, std::move(data), error);
}

SelectorKey BaseSelector::unregister(const FileObject& object) {
  return throwing([&](std::error_code& error) { return unregister(object, error); },
                  about(object, EVENT{}));
}

SelectorKey BaseSelector::unregister(const FileObject& object, std::error_code& error) {
  if (is_moved_from(error)) return {FileObject(-1), -1, EVENT{}, {}};
  return impl_->remove(object, error);
}

const SelectorKey& BaseSelector::modify(const FileObject& object, EVENT events, UserData data) {
  return *throwing(
      [&](std::error_code& error) { return modify(object, events, std::move(data), error); },
      about(object, events));
}

const SelectorKey* BaseSelector::modify(const FileObject& object, EVENT events, UserData data,
                                        std::error_code& error) {
  if (is_moved_from(error)) return nullptr;
  return impl_->modify(object, events, &data, error);
}

const SelectorKey& BaseSelector::modify(const FileObject& object, EVENT events, KeepData keep) {
  return *throwing([&](std::error_code& error) { return modify(object, events, keep, error); },
                   about(object, events));
}

const SelectorKey* BaseSelector::modify(const FileObject& object, EVENT events, KeepData,
                                        std::error_code& error) {
  if (is_moved_from(error)) return nullptr;
  return impl_->modify(object, events, nullptr, error);
}

ReadyKeys BaseSelector::select(Seconds timeout) {
  return throwing([&](std::error_code& error) { return select(timeout, error); }, "select");
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

void BaseSelector::own(const SelectorKey& key, const FileObject& object) noexcept {
  // Users see the keys of the table as constants.
  const_cast<SelectorKey&>(key).fileobj = KeyObject(object, key.fd);
}

}  // namespace plug
