// Everything that show and stat tell, for programs.
#pragma once

#include <cstdint>
#include <string>

#include "lld_srp/driver.h"

namespace srp {

// One JSON object and a newline: driver, settings, portals, devices, targets with their units, ACLs
// and sessions. tid: one target only, sid: one session only; negative and 0: all.
std::string report(Driver& driver, int tid, std::uint64_t sid);

}  // namespace srp
