// Commands that stock tgtd must not be given as they are, because they crash it or lose data.
// Each function names the defect that it is for; tgtd 1.0.55 to 1.0.97 have them all.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "plugin_api/tgt_abi.h"

namespace srp::tgt {

inline constexpr std::uint8_t op_persistent_reserve_out = 0x5f;

// PERSISTENT RESERVE OUT, REGISTER AND MOVE without a reservation: tgtd follows a null pr_holder.
bool reservation_crashes(const scsi_lu& lu, std::span<const std::uint8_t> cdb) noexcept;

// PERSISTENT RESERVE OUT, PREEMPT of an all-registrants reservation frees the registration that
// pr_holder points to; REGISTER AND MOVE leaves the new holder without a type, and the unit without
// protection. Construct before the command is submitted (tgtd runs it synchronously), call
// mend() after: the reservation passes to another registrant, or ends with the last.
class ReservationGuard {
 public:
  explicit ReservationGuard(scsi_lu& lu) noexcept;
  void mend() noexcept;

 private:
  scsi_lu& lu_;
  std::uint8_t scope_ = 0;
  std::uint8_t type_ = 0;
};

// The aio store answers WRITE AND VERIFY and ORWRITE with GOOD and writes nothing, and VERIFY with
// data with GOOD and compares nothing. The first becomes a WRITE, in place; false: the command must
// be refused.
[[nodiscard]] bool make_aio_write(const scsi_lu& lu, std::span<std::uint8_t> cdb) noexcept;

// READ ELEMENT STATUS of all types of elements at once: tgtd writes behind its own buffer, and
// answers with nonsense where it survives that. One type at a time is sound.
bool element_status_overruns(const scsi_lu& lu, std::span<const std::uint8_t> cdb) noexcept;

// READ of a CD past its end makes tgtd take it for a longer one from then on.
bool reads_past_end(const scsi_lu& lu, std::span<const std::uint8_t> cdb) noexcept;

// MOVE MEDIUM may open another file under the commands that a drive has, and nothing tells which
// drive: so none of them may have any.
bool moves_medium_in_use(std::span<const std::uint8_t> cdb) noexcept;

}  // namespace srp::tgt
