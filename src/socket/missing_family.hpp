#pragma once

#include <string>
#include <system_error>

namespace plug::detail::socket {

/// Returns text to append to the error of a socket() that failed because this kernel lacks the
/// family or protocol: its name, and the Linux module that provides it. Empty for other failures
/// and unknown families.
std::string missing_family(int family, int protocol, const std::error_code& error);

}  // namespace plug::detail::socket
