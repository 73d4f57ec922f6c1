#include <plug/select/keys.hpp>

#include <string>

#include "base/throwing.hpp"
#include "select/selector_impl.hpp"

namespace plug {

using detail::select::SelectorImpl;

void detail::throw_other_type(std::string_view is, std::string_view wanted) {
  std::string text = "the data are ";
  throw TypeError((is.empty() ? text + "not there" : (text += "a ") += is) + ", not a " +
                  std::string(wanted));
}

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
  const SelectorImpl::Node* const node =
      detail::base::throwing([&](std::error_code& error) { return impl_.find(object, error); },
                             [&] { return to_string(object); });
  return node == nullptr ? nullptr : &node->key;
}

const SelectorKey& SelectorMap::at(const FileObject& object) const {
  if (const SelectorKey* const key = find(object)) return *key;
  throw KeyError(make_error_code(Errc::not_registered).message() + ": " + to_string(object));
}

}  // namespace plug
