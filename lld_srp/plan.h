// What the driver makes of a command before any data moves: how many bytes go which way, and where
// they lie meanwhile. Pure functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "lld_srp/cdb.h"
#include "lld_srp/iu.h"
#include "plugin_api/tgt_abi.h"

namespace srp {

// SAM status codes.
inline constexpr std::uint8_t sam_good = 0x00;
inline constexpr std::uint8_t sam_check_condition = 0x02;
inline constexpr std::uint8_t sam_condition_met = 0x04;
inline constexpr std::uint8_t sam_busy = 0x08;
inline constexpr std::uint8_t sam_task_set_full = 0x28;

// Additional sense codes, with sense key ILLEGAL REQUEST (SPC).
inline constexpr std::uint16_t invalid_opcode = 0x2000;
inline constexpr std::uint16_t block_address_out_of_range = 0x2100;
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

// What a command has really moved.
struct Moved {
  std::uint32_t out = 0;
  std::uint32_t in = 0;  // bytes in the buffer, whether or not the initiator has room for them
};

// The properties of a unit that the plan depends on; null: no such unit.
Medium medium_of(const tgt::scsi_lu* lu) noexcept;

// What a CDB says of its data on this unit. cdb: 16 bytes or more.
CdbData describe(std::span<const std::uint8_t> cdb, const Medium& medium) noexcept;

// Sense of ILLEGAL REQUEST for a command that cannot be served, 0 where plan is to be followed.
// bytes_max: the largest piece of data memory.
[[nodiscard]] std::uint16_t make_plan(const CmdRequest& request, const tgt::scsi_lu* lu,
                                      std::size_t bytes_max, DataPlan& plan) noexcept;

// By a command that tgtd has ended with this status, for all but REQUEST SENSE.
Moved moved_by(const DataPlan& plan, std::span<const std::uint8_t> cdb, const tgt::scsi_cmd& scsi,
               std::uint8_t status) noexcept;

// What one direction moved against what was offered.
Residual residual(std::uint64_t offered, std::uint64_t wanted, std::uint64_t moved) noexcept;

}  // namespace srp
