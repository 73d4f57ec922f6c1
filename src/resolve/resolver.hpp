#pragma once

// Lookups with a deadline. Without a deadline, on a plain thread, libc is called directly;
// otherwise a helper thread calls it (wait/offload.hpp). The definitions are in resolve.cpp.

#include <plug/address.hpp>
#include <plug/resolve.hpp>
#include <plug/timeout.hpp>

#include <optional>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/result.hpp"
#include "sys/netdb.hpp"
#include "wait/io_driver.hpp"
#include "wait/offload.hpp"

namespace plug::detail::resolve {

/// Returns the result of `call`, or nothing if the deadline passes first or the wait fails. `call`
/// must own copies of everything that it uses.
template <class Call>
std::optional<std::invoke_result_t<Call&>> off_thread(Call call, Deadline deadline,
                                                      std::error_code& error) {
  error.clear();
  if (deadline.is_none() && wait::may_block_thread()) return call();
  long ended = 0;
  auto result = wait::call_offloaded(std::move(call), deadline, ended);
  error = base::error_from(ended);
  return result;
}

/// Calls getaddrinfo(3). Numbers never wait. Names wait until the deadline, and time out at once if
/// it is immediate.
std::vector<AddrInfo> look_up(const sys::AddressQuery& query, Deadline deadline,
                              std::error_code& error);

/// Returns the first address of a host in a family (AF::INET or AF::INET6), with port 0. Reads
/// numbers without the resolver and looks up names until the deadline; "" means every interface.
Address resolve_host(std::string_view host, AF family, Deadline deadline, std::error_code& error);

/// Returns the address that `like` means for a socket of `family`: looks up a host name in that
/// family, until the deadline. The result may point into `like` or to `found`.
const Address* resolve(const AddressLike& like, AF family, Deadline deadline, Address& found,
                       std::error_code& error);

}  // namespace plug::detail::resolve
