#include "lld_srp/plan.h"

#include <algorithm>

#include "lld_srp/limits.h"
#include "lld_srp/tape.h"
#include "plugin_api/target_view.h"

namespace srp {

namespace {

constexpr unsigned cd_block_shift = 11;

constexpr std::uint32_t whole_pages(std::uint64_t bytes) noexcept {
  return static_cast<std::uint32_t>((std::max<std::uint64_t>(bytes, 1) + page_bytes - 1) /
                                    page_bytes * page_bytes);
}

constexpr std::uint32_t clamp32(std::uint64_t value) noexcept {
  return static_cast<std::uint32_t>(std::min<std::uint64_t>(value, 0xffffffff));
}

// What goes to the medium tgtd leaves as it is, but for the block of a WRITE SAME; it wants it
// aligned for stores that bypass the page cache. Parameter lists it reads without regard to their
// length: they get a zeroed page.
bool serves_in_place(const DataBuffer& out, CdbKind kind) noexcept {
  return kind == CdbKind::medium_write && !out.inside.empty() &&
         reinterpret_cast<std::uintptr_t>(out.inside.data()) % page_bytes == 0;
}

}  // namespace

Medium medium_of(const tgt::scsi_lu* lu) noexcept {
  Medium medium;
  if (lu == nullptr) return medium;
  medium.exists = true;
  const auto type = tgt::device_type(*lu);
  medium.block_device = type == tgt::DeviceType::disk || type == tgt::DeviceType::cd;
  // tgtd counts the blocks of a CD in this length, and leaves the unit's own field at 0.
  medium.block_shift = type == tgt::DeviceType::cd ? cd_block_shift : lu->blk_shift;
  medium.null_store = tgt::bs_name(*lu) == "null";
  medium.passthrough = tgt::is_passthrough(*lu);
  medium.tape = type == tgt::DeviceType::tape;
  if (medium.tape) medium.tape_block_bytes = tgt::block_descriptor_length(*lu);
  return medium;
}

CdbData describe(std::span<const std::uint8_t> cdb, const Medium& medium) noexcept {
  if (medium.passthrough) return {CdbKind::passthrough, as_offered, as_offered};
  return medium.tape ? tape::describe(cdb, medium.tape_block_bytes) : describe_cdb(cdb, medium);
}

std::uint16_t make_plan(const CmdRequest& request, const tgt::scsi_lu* lu, std::size_t bytes_max,
                        DataPlan& plan) noexcept {
  plan = {};
  plan.medium = medium_of(lu);
  const CdbData data = describe(request.cdb, plan.medium);
  const std::uint64_t out_offered = request.out.bytes;
  const std::uint64_t in_offered = request.in.bytes;

  plan.kind = data.kind;
  plan.out_wanted = data.out_bytes == as_offered ? out_offered : data.out_bytes;
  plan.in_wanted = data.in_bytes == as_offered ? in_offered : data.in_bytes;
  if (lu == nullptr) {  // tgtd answers for the missing unit: it reads no data, and says little
    plan.out_wanted = 0;
    plan.in_wanted = std::min<std::uint64_t>(plan.in_wanted, allocation_bytes_max);
  }
  const std::uint64_t fetch = std::min(out_offered, plan.out_wanted);
  std::uint64_t in = std::min(in_offered, plan.in_wanted);

  switch (data.kind) {
    case CdbKind::unsafe: return invalid_field_in_cdb;
    case CdbKind::passthrough:
      if (out_offered != 0 && in_offered != 0) return invalid_field_in_cdb;  // sg has one direction
      plan.zero_in = true;
      break;
    case CdbKind::tape_read:
      in = plan.in_wanted;
      plan.zero_in = true;
      break;
    case CdbKind::medium_write:
      if (fetch < plan.out_wanted) return static_cast<std::uint16_t>(CmdFault::invalid_field);
      break;
    case CdbKind::medium_read: {
      plan.zero_in = plan.medium.null_store;
      // Stores that bypass the page cache read whole blocks or nothing; the rest is cut off.
      const std::uint64_t block = std::uint64_t{1} << plan.medium.block_shift;
      in = std::min(plan.in_wanted, (in + block - 1) / block * block);
      break;
    }
    case CdbKind::parameter:
      // tgtd refuses a buffer shorter than the allocation length instead of cutting its answer.
      in = std::max(in, std::min<std::uint64_t>(plan.in_wanted, allocation_bytes_max));
      plan.zero_in = true;
      break;
  }
  if (fetch > bytes_max || in > bytes_max) return invalid_field_in_cdb;
  plan.fetch_bytes = static_cast<std::uint32_t>(fetch);
  plan.in_bytes = static_cast<std::uint32_t>(in);
  plan.out_in_place = serves_in_place(request.out, data.kind);
  // Also a direction that moves nothing needs a page that tgtd may touch; where the content matters
  // it is one of the command's own.
  if (data.kind != CdbKind::medium_read && !plan.out_in_place) plan.out_room = whole_pages(fetch);
  if (data.kind != CdbKind::medium_write) plan.in_room = whole_pages(in);
  return std::size_t{plan.out_room} + plan.in_room > bytes_max ? invalid_field_in_cdb : 0;
}

Moved moved_by(const DataPlan& plan, std::span<const std::uint8_t> cdb, const tgt::scsi_cmd& scsi,
               std::uint8_t status) noexcept {
  const std::uint32_t filled = std::min(scsi.in_sdb.transfer_len, plan.in_bytes);
  if (plan.kind == CdbKind::passthrough) {  // what its driver says, with any status
    return {std::min(scsi.out_sdb.transfer_len, plan.fetch_bytes), filled};
  }
  // Not tgtd's own count of data-out, which says that an UNMAP moved nothing.
  if (status == sam_good || status == sam_condition_met) return {plan.fetch_bytes, filled};
  if (!plan.medium.tape || status != sam_check_condition)
    return {};  // it leaves lengths as they are
  const auto sense_bytes = std::clamp(scsi.sense_len, 0, int{tgt::scsi_sense_buffersize});
  const auto bytes = static_cast<std::uint32_t>(
      tape::moved(cdb, plan.medium.tape_block_bytes,
                  {scsi.sense_buffer, static_cast<std::size_t>(sense_bytes)}));
  return plan.kind == CdbKind::tape_read ? Moved{0, std::min(bytes, plan.in_bytes)}
                                         : Moved{std::min(bytes, plan.fetch_bytes), 0};
}

Residual residual(std::uint64_t offered, std::uint64_t wanted, std::uint64_t moved) noexcept {
  if (moved < offered) return {clamp32(offered - moved), 0};
  return {0, clamp32(wanted > offered ? wanted - offered : 0)};
}

}  // namespace srp
