// The device server; see scsi.h.
#include "tests/fake/scsi.h"

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "tests/fake/world.h"

namespace srp::fake {

namespace {

std::uint64_t number(const std::uint8_t* at, unsigned width) {
  std::uint64_t value = 0;
  for (unsigned i = 0; i < width; ++i) value = value << 8 | at[i];
  return value;
}

std::uint8_t* in_buffer(const tgt::scsi_cmd& cmd) {
  return reinterpret_cast<std::uint8_t*>(cmd.in_sdb.buffer);
}
std::uint8_t* out_buffer(const tgt::scsi_cmd& cmd) {
  return reinterpret_cast<std::uint8_t*>(cmd.out_sdb.buffer);
}

// tgtd's scsi_set_*_resid_by_actual().
void moved(tgt::scsi_data_buffer& sdb, std::uint32_t actual) {
  sdb.resid = static_cast<std::int32_t>(sdb.length - actual);
  sdb.transfer_len = std::min(sdb.length, actual);
}

// Parameter data: tgtd refuses a buffer that is shorter than the allocation length.
int reply_with(tgt::scsi_cmd& cmd, std::uint64_t allocation,
               const std::vector<std::uint8_t>& data) {
  if (cmd.in_sdb.length < allocation) return check_condition(cmd, 5, 0x24, 0);
  const auto bytes = static_cast<std::uint32_t>(std::min<std::uint64_t>(allocation, data.size()));
  if (bytes != 0) std::memcpy(in_buffer(cmd), data.data(), bytes);
  moved(cmd.in_sdb, bytes);
  return sam_good;
}

int report_luns(tgt::scsi_cmd& cmd, const Target& target) {
  std::vector<std::uint8_t> data(8 + 8 * target.lus.size());
  data[3] = static_cast<std::uint8_t>(8 * target.lus.size());
  for (std::size_t i = 0; i < target.lus.size(); ++i) {
    data[9 + 8 * i] = static_cast<std::uint8_t>(target.lus[i]->lun);
  }
  return reply_with(cmd, number(cmd.scb + 6, 4), data);
}

int read_capacity_16(tgt::scsi_cmd& cmd, const Lu& lu) {
  std::vector<std::uint8_t> data(32);
  const std::uint64_t last = lu.size / block_bytes - 1;
  for (unsigned i = 0; i < 8; ++i) data[i] = static_cast<std::uint8_t>(last >> (56 - 8 * i));
  data[10] = block_bytes >> 8;
  return reply_with(cmd, number(cmd.scb + 10, 4), data);
}

// Writes two bytes behind the header whatever the length is.
int mode_sense(tgt::scsi_cmd& cmd) {
  std::uint8_t* data = in_buffer(cmd);
  data[2] = 0;
  data[3] = 0;
  return reply_with(cmd, cmd.scb[4], {3, 0, 0, 0});
}

// REQUEST SENSE to a unit that does not exist: the sense is not where the data should be.
int request_sense(tgt::scsi_cmd& cmd, bool lun_known) {
  if (!lun_known) {
    check_condition(cmd, 5, 0x25, 0);
    return sam_good;
  }
  std::vector<std::uint8_t> data(18);
  data[0] = 0x70;
  data[7] = 10;
  return reply_with(cmd, cmd.scb[4], data);
}

ScsiResult read_or_write(const Held& held) {
  tgt::scsi_cmd& cmd = *held.cmd;
  const Extent extent = extent_of(cmd.scb);
  const std::uint64_t bytes = extent.blocks * block_bytes;
  const std::uint64_t capacity = held.lu->size / block_bytes;
  if (extent.blocks > capacity || extent.lba > capacity - extent.blocks) {
    return {check_condition(cmd, 5, 0x21, 0), false};
  }
  cmd.offset = extent.lba * block_bytes;
  cmd.tl = static_cast<std::uint32_t>(bytes);
  if (is_write(cmd.scb[0]) && cmd.out_sdb.length > bytes) {
    cmd.out_sdb.length = cmd.tl;  // the only length that tgtd corrects
  }
  return {sam_good, !held.lu->null_store};
}

int medium_error(tgt::scsi_cmd& cmd, std::uint8_t asc) {
  // What the failed transfer left behind; the lengths still say that all is well.
  if (is_read(cmd.scb[0])) std::memset(in_buffer(cmd), 0xdb, cmd.in_sdb.length);
  return check_condition(cmd, 3, asc, 0);
}

int store_read(const Held& held) {
  tgt::scsi_cmd& cmd = *held.cmd;
  const std::size_t bytes = cmd.in_sdb.length;  // not the CDB's
  if (cmd.offset + bytes > held.lu->content.size()) return medium_error(cmd, 0x11);
  std::memcpy(in_buffer(cmd), held.lu->content.data() + cmd.offset, bytes);
  moved(cmd.in_sdb, cmd.tl);
  return sam_good;
}

int store_write(const Held& held, Ledger& ledger) {
  tgt::scsi_cmd& cmd = *held.cmd;
  const std::size_t bytes = cmd.out_sdb.length;
  const std::uint8_t* from = out_buffer(cmd);
  if (!held.lu->wild) ledger.commit(held.lu->unit, cmd.offset / block_bytes, {from, bytes});
  std::memcpy(held.lu->content.data() + cmd.offset, from, bytes);
  moved(cmd.out_sdb, static_cast<std::uint32_t>(bytes));
  return sam_good;
}

}  // namespace

int check_condition(tgt::scsi_cmd& cmd, std::uint8_t key, std::uint8_t asc, std::uint8_t ascq) {
  std::memset(cmd.sense_buffer, 0, sizeof cmd.sense_buffer);
  cmd.sense_buffer[0] = 0x70;
  cmd.sense_buffer[2] = key;
  cmd.sense_buffer[7] = 10;
  cmd.sense_buffer[12] = asc;
  cmd.sense_buffer[13] = ascq;
  cmd.sense_len = 18;
  return sam_check_condition;
}

bool is_read(std::uint8_t opcode) { return opcode == 0x28 || opcode == 0x88; }
bool is_write(std::uint8_t opcode) { return opcode == 0x2a || opcode == 0x8a; }

Extent extent_of(const std::uint8_t* cdb) {
  if (cdb[0] == 0x88 || cdb[0] == 0x8a) return {number(cdb + 2, 8), number(cdb + 10, 4)};
  return {number(cdb + 2, 4), number(cdb + 7, 2)};
}

std::vector<std::uint8_t> inquiry_data(const Unit& unit, bool lun_known) {
  std::vector<std::uint8_t> data(66);
  data[0] = static_cast<std::uint8_t>(!lun_known ? 0x7f : unit.lun == 0 ? 0x0c : 0x00);
  data[2] = 5;
  data[4] = 61;
  std::snprintf(reinterpret_cast<char*>(data.data() + 8), 40, "IET     fake %3d %3d", unit.tid,
                static_cast<int>(unit.lun));
  return data;
}

ScsiResult perform(const Held& held, bool lun_known) {
  tgt::scsi_cmd& cmd = *held.cmd;
  const std::uint8_t opcode = cmd.scb[0];
  if (opcode == 0x12) {
    const auto data = inquiry_data(lun_known ? held.lu->unit : Unit{}, lun_known);
    return {reply_with(cmd, number(cmd.scb + 3, 2), data), false};
  }
  if (opcode == 0x03) return {request_sense(cmd, lun_known), false};
  if (!lun_known) return {check_condition(cmd, 5, 0x25, 0), false};
  if (opcode == 0xa0) return {report_luns(cmd, *held.target), false};
  for (auto it = held.nexus->attentions.begin(); it != held.nexus->attentions.end(); ++it) {
    if (it->lun != held.lu->lun) continue;
    const UnitAttention attention = *it;
    held.nexus->attentions.erase(it);
    return {check_condition(cmd, 6, attention.asc, attention.ascq), false};
  }
  if (opcode == 0x00) return {sam_good, false};
  if (opcode == 0x1a) return {mode_sense(cmd), false};
  if (held.lu->lun == 0) return {check_condition(cmd, 5, 0x20, 0), false};
  switch (opcode) {
    case 0x28:
    case 0x88:
    case 0x2a:
    case 0x8a: return read_or_write(held);
    case 0x9e: return {read_capacity_16(cmd, *held.lu), false};
    case 0x35:  // SYNCHRONIZE CACHE
    case 0x42:  // UNMAP
      return {sam_good, true};
    default: return {check_condition(cmd, 5, 0x20, 0), false};
  }
}

int carry_out(const Held& held, Ledger& ledger) {
  tgt::scsi_cmd& cmd = *held.cmd;
  const std::uint8_t opcode = cmd.scb[0];
  if (the_world().happens(Fault::store_error)) {
    return medium_error(cmd, is_write(opcode) ? 0x0c : 0x11);
  }
  if (is_read(opcode)) return store_read(held);
  if (is_write(opcode)) return store_write(held, ledger);
  if (opcode == 0x42) {  // GOOD, with the sense and the residual of a failure
    check_condition(cmd, 5, 0x25, 0);
    cmd.out_sdb.resid = static_cast<std::int32_t>(cmd.out_sdb.length);
    cmd.out_sdb.transfer_len = 0;
  }
  return sam_good;
}

}  // namespace srp::fake
