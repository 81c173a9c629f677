// What a logical unit says of itself: tgtd's defaults are the same on every host and for every
// driver.
#pragma once

#include <cstdint>
#include <string>

#include "lld_srp/acl.h"
#include "plugin_api/tgt_abi.h"

namespace srp {

// The unit's SCSI identifier, serial number and NAA designators are made of the host, the target's
// name and the LUN: the same after a restart, and no other unit's. host: what tells hosts apart.
// tgtadm's scsi_id and scsi_sn replace them as usual.
void make_unique(tgt::scsi_lu& lu, std::uint64_t host, const std::string& target_name);

// The unit's device identification page (VPD 83h) also names the SRP target port, with its relative
// identifier and its group, as SPC-4 7.8.6 demands of every target port. A unit without the page is
// left as it is, and so is every unit where there is no memory.
void name_target_port(tgt::scsi_lu& lu, const PortId& port) noexcept;

}  // namespace srp
