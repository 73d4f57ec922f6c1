#pragma once

#include "support/parity.hpp"

namespace plug::parity {

/// Returns the operations of tests/integration/parity_resolver.py on plug.
const Operations& name_operations();

}  // namespace plug::parity
