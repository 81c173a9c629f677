#include "lld_srp/screen.h"

#include "lld_srp/plan.h"
#include "lld_srp/tape.h"
#include "plugin_api/passthrough.h"
#include "plugin_api/shield.h"
#include "plugin_api/target_view.h"

namespace srp {

namespace {

Objection screen_passthrough(tgt::scsi_lu& lu, std::span<const std::uint8_t> cdb) noexcept {
  if (tgt::concerns_more_than_the_unit(cdb)) return {.sense = invalid_opcode};
  if (!tgt::prepare_passthrough(lu)) return {.sense = unit_not_supported};
  if (tgt::is_full(lu)) return {.status = sam_task_set_full};
  return {};
}

// A worker thread of tgtd's asks for the block length when it moves the data, which may be long
// after it was given the command: nothing may be under way that counts on another one.
Objection screen_tape(const tgt::scsi_lu& lu, std::span<std::uint8_t> cdb,
                      std::span<const std::uint8_t> out) noexcept {
  tape::mend_empty_transfer(cdb);
  if (!tape::is_mode_select(cdb)) return {};
  if (const auto sense = tape::check_mode_select(cdb, out)) return {.sense = sense};
  if (lu.cmd_queue.active_cmd != 0) return {.status = sam_busy};
  return {};
}

}  // namespace

const char* why_not_served(const tgt::scsi_lu& lu) noexcept {
  const auto store = tgt::bs_name(lu);
  if (store == "bsg") return "not served, Linux has no bsg that tgtd can use: take --bstype sg";
  if (tgt::device_type(lu) == tgt::DeviceType::tape && store != "ssc") {
    return "not served, this store knows no tapes: take --bstype ssc and an image by tgtimg";
  }
  return nullptr;
}

Objection screen(tgt::scsi_lu& lu, std::span<std::uint8_t> cdb,
                 std::span<const std::uint8_t> out) noexcept {
  if (why_not_served(lu) != nullptr) return {.sense = unit_not_supported};
  if (tgt::is_passthrough(lu)) return screen_passthrough(lu, cdb);
  if (tgt::reservation_crashes(lu, cdb) || tgt::element_status_overruns(lu, cdb)) {
    return {.sense = invalid_field_in_cdb};
  }
  switch (tgt::device_type(lu)) {
    case tgt::DeviceType::tape: return screen_tape(lu, cdb, out);
    case tgt::DeviceType::changer:
      if (tgt::moves_medium_in_use(cdb)) return {.status = sam_busy};
      break;
    case tgt::DeviceType::cd:
      if (tgt::reads_past_end(lu, cdb)) return {.sense = block_address_out_of_range};
      break;
    default: break;
  }
  return {.sense = tgt::make_aio_write(lu, cdb) ? std::uint16_t{0} : invalid_opcode};
}

}  // namespace srp
