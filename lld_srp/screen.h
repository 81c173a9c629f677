// The last look at a command before tgtd gets it: what this unit must not be given, or not now.
#pragma once

#include <cstdint>
#include <span>

#include "plugin_api/tgt_abi.h"

namespace srp {

// Neither is set: the command may go to tgtd.
struct Objection {
  std::uint8_t status = 0;  // of SAM: to be tried again later
  std::uint16_t sense = 0;  // additional sense code, with ILLEGAL REQUEST

  bool operator==(const Objection&) const = default;
};

// cdb: 16 bytes or more; what tgtd would misunderstand in it is changed in place. out: the data-out
// of a command that carries parameters.
[[nodiscard]] Objection screen(tgt::scsi_lu& lu, std::span<std::uint8_t> cdb,
                               std::span<const std::uint8_t> out) noexcept;

// Why every command for this unit is refused, with the remedy; null for a unit that is served.
const char* why_not_served(const tgt::scsi_lu& lu) noexcept;

}  // namespace srp
