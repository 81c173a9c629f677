// Pass-through units (device type pt): tgtd hands their commands to a SCSI device of this host,
// through Linux's sg driver (bstype sg).
//
// What tgtd (1.0.55 to 1.0.97) does with them would lose data or stop the daemon, so it is met
// here:
// - It reports a command whose transport failed or timed out as GOOD, because it looks at the
//   SCSI status only. Completions are therefore read by us.
// - It neither counts the commands nor refuses to delete their unit. Each is counted where tgtd
//   looks before it deletes one: between pin() and unpin() the unit stays.
// - When the device goes, it reads, fails and logs without an end. The descriptor is let go.
// - Its calls block while the host adapter recovers. The descriptor becomes non-blocking.
// - The 17th command of a unit ends with HARDWARE ERROR, since sg takes 16: see is_full().
// Main thread only.
#pragma once

#include <cstdint>
#include <span>

#include "plugin_api/tgt_abi.h"

namespace srp::tgt {

// Makes the unit safe to submit to; cheap when it is already. False: it cannot be served. That is
// so for bsg: Linux 4.20 has taken away what tgtd needs of it.
[[nodiscard]] bool prepare_passthrough(scsi_lu& lu) noexcept;

// Commands that tgtd may have of one unit, over all nexuses: sg's limit for one open file.
inline constexpr int passthrough_commands_max = 16;
inline bool is_full(const scsi_lu& lu) noexcept {
  return lu.cmd_queue.active_cmd >= passthrough_commands_max;
}

// Around each command, from before it is submitted until it is retired.
inline void pin(scsi_lu& lu) noexcept { ++lu.cmd_queue.active_cmd; }
inline void unpin(scsi_lu& lu) noexcept { --lu.cmd_queue.active_cmd; }

// Commands that mean something else to the device than to whoever sends them, because to the device
// all initiators are one, and because it has other units than we export: reservations (nobody would
// be kept out), third-party copies (from and to anywhere), REPORT LUNS.
bool concerns_more_than_the_unit(std::span<const std::uint8_t> cdb) noexcept;

// The length of a CDB: sg passes on what it is told, and not every host adapter takes 16 bytes for
// an opcode of 6.
int cdb_bytes(std::uint8_t opcode) noexcept;

}  // namespace srp::tgt
