#include "server/event.hpp"

#include <plug/error.hpp>

#include "base/result.hpp"

namespace plug::detail::server {

sys::OwnFd make_event() {
  const long made = sys::eventfd();
  if (made < 0) throw_if(base::error_from(made), "the events of a server");
  return sys::OwnFd(static_cast<int>(made));
}

}  // namespace plug::detail::server
