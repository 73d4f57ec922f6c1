#pragma once

#include <plug/address.hpp>
#include <plug/server/base.hpp>
#include <plug/server/request_handler.hpp>

#include <cstddef>
#include <vector>

#pragma GCC visibility push(default)

namespace plug::detail {

/// Handles a request in a child process. Returns the child's process ID.
[[nodiscard]] int fork_request(BaseServer& server, Request& request, const Address& client_address);
/// Reaps the `children` that have ended (sys::reap()) and removes them. Blocks until fewer than
/// `most` are left or, if `blocking`, none.
void collect_children(BaseServer& server, std::vector<int>& children, std::size_t most,
                      bool blocking);

}  // namespace plug::detail

#pragma GCC visibility pop
