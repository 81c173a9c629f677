// Is the running tgtd laid out as tgt_abi.h says? There is no version to ask for, so its own
// structures are looked at. Each function returns what is wrong, or null.
#pragma once

#include "plugin_api/tgt_abi.h"

namespace srp::tgt {

// At load, before anything is registered: the first driver's entry, and tgtd's reading of our
// structs.
const char* check_host() noexcept;

// A new target of the driver with this index, as handed to target_create.
const char* check_target(const target& t, int driver_index) noexcept;

}  // namespace srp::tgt
