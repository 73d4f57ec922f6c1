#pragma once

#include "support/parity.hpp"

namespace plug::parity {

/// What plug does for the operations of tests/integration/parity_resolver.py.
const Operations& name_operations();

}  // namespace plug::parity
