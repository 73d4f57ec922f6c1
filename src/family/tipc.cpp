#include <plug/error.hpp>
#include <plug/family/tipc.hpp>

#include <algorithm>

#include "address/access.hpp"
#include "layout/structs.hpp"

namespace plug {

namespace layout = detail::layout;

namespace {

layout::TipcSubscriptionLayout form_of(const TipcSubscription& subscription) {
  layout::TipcSubscriptionLayout layout{subscription.type,
                                        subscription.lower,
                                        subscription.upper,
                                        subscription.timeout,
                                        static_cast<std::uint32_t>(subscription.filter),
                                        {}};
  std::copy(subscription.handle.begin(), subscription.handle.end(), layout.handle);
  return layout;
}

TipcSubscription subscription_of(const layout::TipcSubscriptionLayout& layout) {
  TipcSubscription subscription{.type = layout.type,
                                .lower = layout.lower,
                                .upper = layout.upper,
                                .timeout = layout.timeout,
                                .filter = TIPC{static_cast<int>(layout.filter)}};
  std::copy(std::begin(layout.handle), std::end(layout.handle), subscription.handle.begin());
  return subscription;
}

}  // namespace

static_assert(sizeof(layout::TipcEventLayout) == kTipcEventSize);

Bytes TipcSubscription::to_bytes() const { return layout::bytes_of(form_of(*this)); }

TipcEvent TipcEvent::from_bytes(BytesView raw) {
  if (raw.size() != sizeof(layout::TipcEventLayout))
    throw ValueError("no event of TIPC: " + detail::address::bytes_repr(raw));
  const auto layout = layout::layout_in<layout::TipcEventLayout>(raw);
  return {TIPC{static_cast<int>(layout.event)},
          layout.found_lower,
          layout.found_upper,
          layout.reference,
          layout.node,
          subscription_of(layout.subscription)};
}

Bytes TipcGroup::to_bytes() const {
  return layout::bytes_of(
      layout::TipcGroupLayout{type, instance, static_cast<std::uint32_t>(scope), flags});
}

}  // namespace plug
