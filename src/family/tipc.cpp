#include <plug/error.hpp>
#include <plug/family/tipc.hpp>

#include <algorithm>

#include "address/access.hpp"
#include "layout/structs.hpp"

namespace plug {

namespace sys = detail::sys;

namespace {

sys::TipcSubscriptionForm form_of(const TipcSubscription& subscription) {
  sys::TipcSubscriptionForm form{subscription.type,
                                 subscription.lower,
                                 subscription.upper,
                                 subscription.timeout,
                                 static_cast<std::uint32_t>(subscription.filter),
                                 {}};
  std::copy(subscription.handle.begin(), subscription.handle.end(), form.handle);
  return form;
}

TipcSubscription subscription_of(const sys::TipcSubscriptionForm& form) {
  TipcSubscription subscription{.type = form.type,
                                .lower = form.lower,
                                .upper = form.upper,
                                .timeout = form.timeout,
                                .filter = TIPC{static_cast<int>(form.filter)}};
  std::copy(std::begin(form.handle), std::end(form.handle), subscription.handle.begin());
  return subscription;
}

}  // namespace

static_assert(sizeof(sys::TipcEventForm) == kTipcEventSize);

Bytes TipcSubscription::to_bytes() const { return sys::bytes_of(form_of(*this)); }

TipcEvent TipcEvent::from_bytes(BytesView raw) {
  if (raw.size() != sizeof(sys::TipcEventForm))
    throw ValueError("no event of TIPC: " + detail::bytes_repr(raw));
  const auto form = sys::form_in<sys::TipcEventForm>(raw);
  return {TIPC{static_cast<int>(form.event)},
          form.found_lower,
          form.found_upper,
          form.reference,
          form.node,
          subscription_of(form.subscription)};
}

Bytes TipcGroup::to_bytes() const {
  return sys::bytes_of(
      sys::TipcGroupForm{type, instance, static_cast<std::uint32_t>(scope), flags});
}

}  // namespace plug
