#pragma once

// Lookups with a deadline. Without a deadline, on a plain thread, libc is called directly;
// otherwise a helper thread calls it (wait/offload.hpp). The definitions are in resolve.cpp.

#include <plug/resolve.hpp>
#include <plug/timeout.hpp>

#include <optional>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

#include "socket/state.hpp"
#include "sys/netdb.hpp"
#include "wait/offload.hpp"
#include "wait/waiter.hpp"

namespace plug::detail {

/// Returns the result of `call`, or nothing if the deadline passes first or the wait fails. `call`
/// must own copies of everything that it uses.
template <class Call>
std::optional<std::invoke_result_t<Call&>> off_thread(Call call, Deadline deadline,
                                                      std::error_code& error) {
  error.clear();
  if (deadline.is_none() && current_waiter() == nullptr) return call();
  long ended = 0;
  auto result = call_offloaded(std::move(call), deadline, ended);
  error = error_from(ended);
  return result;
}

/// Calls getaddrinfo(3). Numbers never wait. Names wait until the deadline, and time out at once if
/// it is immediate.
std::vector<AddrInfo> look_up(const sys::AddressQuery& query, Deadline deadline,
                              std::error_code& error);

}  // namespace plug::detail
