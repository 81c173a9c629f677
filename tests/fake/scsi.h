// A small SCSI device server with tgtd's habits: which lengths it believes and which it leaves
// wrong.
#pragma once

#include <cstdint>
#include <vector>

#include "tests/fake/tgtd.h"

namespace srp::fake {

inline constexpr int sam_good = 0x00;
inline constexpr int sam_check_condition = 0x02;

struct ScsiResult {
  int status;
  bool async;  // the store completes it
};

// First half: everything but the store. lun_known is false for commands to a unit that does not
// exist; tgtd runs them against LUN 0.
ScsiResult perform(const Held& held, bool lun_known);
// Second half, by the store; the status.
int carry_out(const Held& held, Ledger& ledger);

// What INQUIRY returns.
std::vector<std::uint8_t> inquiry_data(const Unit& unit, bool lun_known);
// LBA and number of blocks of a READ or WRITE.
struct Extent {
  std::uint64_t lba;
  std::uint64_t blocks;
};
Extent extent_of(const std::uint8_t* cdb);
bool is_read(std::uint8_t opcode);
bool is_write(std::uint8_t opcode);

int check_condition(tgt::scsi_cmd& cmd, std::uint8_t key, std::uint8_t asc, std::uint8_t ascq);

}  // namespace srp::fake
