// What tgtadm asks of the driver, in tgtd's own terms: show, stat, update, portals.
#pragma once

#include <cstdint>

#include "lld_srp/driver.h"
#include "plugin_api/tgt_abi.h"

namespace srp::admin {

// Output goes to tgtadm only with TGTADM_SUCCESS. A result that is none has been logged with its
// reason.
// tid negative and sid 0: tgtadm was given none, and sessions of all targets are meant. stat in
// mode session is tgt's table, in mode connection it is report.h's JSON.
tgt::tgtadm_err show(Driver& driver, int mode, int tid, std::uint64_t sid, tgt::concat_buf* out);
tgt::tgtadm_err stat(Driver& driver, int mode, int tid, std::uint64_t sid, tgt::concat_buf* out);

// name: null, "name\0value", or "name=value", by mode.
tgt::tgtadm_err update(Driver& driver, int mode, int op, int tid, std::uint64_t sid,
                       const char* name);

// params: "portal=address:port,portal=address,", as tgtadm --param hands it in. False: logged.
bool create_portals(Driver& driver, const char* params);
bool destroy_portals(Driver& driver, const char* params);

}  // namespace srp::admin
