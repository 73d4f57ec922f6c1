#pragma once

#include <string_view>

#include "sys/for_fiber.hpp"

namespace plug::detail::base {

/// Prints the exception that is being handled, after `what`, to standard error in one write.
PLUG_FOR_FIBER void report_exception(std::string_view what) noexcept;

}  // namespace plug::detail::base
