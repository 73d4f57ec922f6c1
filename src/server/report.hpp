#pragma once

#include <plug/address.hpp>

#include <string_view>

#include "base/report.hpp"
#include "sys/for_fiber.hpp"

namespace plug::detail::server {

/// Does the same as report_exception(what), and prints the client after `what`.
PLUG_FOR_FIBER void report_request_exception(std::string_view what,
                                             const Address& client_address) noexcept;

}  // namespace plug::detail::server
