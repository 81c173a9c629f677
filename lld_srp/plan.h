// What the driver makes of a command before any data moves: how many bytes go which way, and where
// they lie meanwhile. Pure functions.
#pragma once

#include <cstddef>
#include <cstdint>

#include "lld_srp/cdb.h"
#include "lld_srp/iu.h"
#include "plugin_api/tgt_abi.h"

namespace srp {

// Additional sense codes, with sense key ILLEGAL REQUEST (SPC).
inline constexpr std::uint16_t invalid_opcode = 0x2000;
inline constexpr std::uint16_t invalid_field_in_cdb = 0x2400;
inline constexpr std::uint16_t unit_not_supported = 0x2500;

struct DataPlan {
  CdbKind kind = CdbKind::parameter;
  Medium medium;
  std::uint32_t fetch_bytes = 0;  // data-out that tgtd gets
  std::uint32_t in_bytes = 0;     // data-in that tgtd may fill
  std::uint64_t out_wanted = 0;   // by the CDB, for residuals
  std::uint64_t in_wanted = 0;
  std::uint32_t out_room = 0;  // memory, whole pages; 0: none is needed
  std::uint32_t in_room = 0;
  bool zero_in = false;       // tgtd may leave the buffer as it is
  bool out_in_place = false;  // tgtd gets immediate data where it has arrived
};

// The properties of a unit that the plan depends on; null: no such unit.
Medium medium_of(const tgt::scsi_lu* lu) noexcept;

// Sense of ILLEGAL REQUEST for a command that cannot be served, 0 where plan is to be followed.
// bytes_max: the largest piece of data memory.
[[nodiscard]] std::uint16_t make_plan(const CmdRequest& request, const tgt::scsi_lu* lu,
                                      std::size_t bytes_max, DataPlan& plan) noexcept;

// What one direction moved against what was offered.
Residual residual(std::uint64_t offered, std::uint64_t wanted, std::uint64_t moved) noexcept;

}  // namespace srp
