#pragma once

#include <string>
#include <system_error>

namespace plug::detail {

/// Where socket() failed since this kernel has no such family or protocol: what that is called and
/// which module of Linux has it, to append to the error's text. Empty for other failures, and for
/// what is not known here.
std::string missing_family(int family, int protocol, const std::error_code& error);

}  // namespace plug::detail
