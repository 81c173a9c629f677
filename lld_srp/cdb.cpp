#include "lld_srp/cdb.h"

#include <iterator>

namespace srp {

namespace {

enum class Direction : std::uint8_t { in, out };

// Where a CDB carries the length of its parameter data (SPC, SBC, MMC, SMC); width 0: it has none.
struct LengthField {
  std::uint8_t opcode;
  Direction direction;
  std::uint8_t offset;
  std::uint8_t width;
};

constexpr LengthField length_fields[] = {
    {0x00, Direction::in, 0, 0},    // TEST UNIT READY
    {0x03, Direction::in, 4, 1},    // REQUEST SENSE
    {0x12, Direction::in, 3, 2},    // INQUIRY
    {0x15, Direction::out, 4, 1},   // MODE SELECT(6)
    {0x16, Direction::in, 0, 0},    // RESERVE(6)
    {0x17, Direction::in, 0, 0},    // RELEASE(6)
    {0x1a, Direction::in, 4, 1},    // MODE SENSE(6)
    {0x1b, Direction::in, 0, 0},    // START STOP UNIT
    {0x1d, Direction::out, 3, 2},   // SEND DIAGNOSTIC
    {0x1e, Direction::in, 0, 0},    // PREVENT ALLOW MEDIUM REMOVAL
    {0x34, Direction::in, 0, 0},    // PRE-FETCH(10)
    {0x35, Direction::in, 0, 0},    // SYNCHRONIZE CACHE(10)
    {0x3b, Direction::out, 6, 3},   // WRITE BUFFER
    {0x3c, Direction::in, 6, 3},    // READ BUFFER
    {0x42, Direction::out, 7, 2},   // UNMAP
    {0x43, Direction::in, 7, 2},    // READ TOC/PMA/ATIP
    {0x46, Direction::in, 7, 2},    // GET CONFIGURATION
    {0x4a, Direction::in, 7, 2},    // GET EVENT STATUS NOTIFICATION
    {0x4d, Direction::in, 7, 2},    // LOG SENSE
    {0x51, Direction::in, 7, 2},    // READ DISC INFORMATION
    {0x52, Direction::in, 7, 2},    // READ TRACK INFORMATION
    {0x55, Direction::out, 7, 2},   // MODE SELECT(10)
    {0x5a, Direction::in, 7, 2},    // MODE SENSE(10)
    {0x5e, Direction::in, 7, 2},    // PERSISTENT RESERVE IN
    {0x5f, Direction::out, 5, 4},   // PERSISTENT RESERVE OUT
    {0x83, Direction::out, 10, 4},  // EXTENDED COPY
    {0x84, Direction::in, 10, 4},   // RECEIVE COPY RESULTS
    {0x8c, Direction::in, 10, 4},   // READ ATTRIBUTE
    {0x8d, Direction::out, 10, 4},  // WRITE ATTRIBUTE
    {0x90, Direction::in, 0, 0},    // PRE-FETCH(16)
    {0x91, Direction::in, 0, 0},    // SYNCHRONIZE CACHE(16)
    {0x9e, Direction::in, 10, 4},   // SERVICE ACTION IN(16)
    {0xa0, Direction::in, 6, 4},    // REPORT LUNS
    {0xa3, Direction::in, 6, 4},    // MAINTENANCE IN
    {0xa4, Direction::out, 6, 4},   // MAINTENANCE OUT
    {0xad, Direction::in, 8, 2},    // READ DISC STRUCTURE
    {0xb8, Direction::in, 7, 3},    // READ ELEMENT STATUS
    {0xbd, Direction::in, 8, 2},    // MECHANISM STATUS
};

std::uint64_t number(std::span<const std::uint8_t> cdb, unsigned offset, unsigned width) noexcept {
  std::uint64_t value = 0;
  for (unsigned i = 0; i < width; ++i) value = value << 8 | cdb[offset + i];
  return value;
}

// Blocks of a READ, WRITE or VERIFY by its command group; READ(6) and WRITE(6) count 256 as 0.
std::uint64_t block_count(std::span<const std::uint8_t> cdb) noexcept {
  switch (cdb[0] >> 5) {
    case 0: return cdb[4] ? cdb[4] : 256;
    case 4: return number(cdb, 10, 4);
    case 5: return number(cdb, 6, 4);
    default: return number(cdb, 7, 2);
  }
}

CdbData read_of(std::uint64_t bytes) noexcept { return {CdbKind::medium_read, 0, bytes}; }
CdbData write_of(std::uint64_t bytes) noexcept { return {CdbKind::medium_write, bytes, 0}; }

// Commands whose length counts blocks; parameter for all others.
CdbData describe_block_cdb(std::span<const std::uint8_t> cdb, unsigned shift) noexcept {
  const std::uint64_t blocks = block_count(cdb) << shift;
  switch (cdb[0]) {
    case 0x08:  // READ
    case 0x28:
    case 0xa8:
    case 0x88: return read_of(blocks);
    case 0x0a:  // WRITE
    case 0x2a:
    case 0xaa:
    case 0x8a:
    case 0x2e:  // WRITE AND VERIFY
    case 0xae:
    case 0x8e:
    case 0x8b:  // ORWRITE(16)
      return write_of(blocks);
    case 0x2f:  // VERIFY: data only with BYTCHK
    case 0xaf:
    case 0x8f:
      return (cdb[1] & 0x06) != 0
                 ? write_of((cdb[1] & 0x06) == 0x02 ? blocks : std::uint64_t{1} << shift)
                 : CdbData{CdbKind::parameter, 0, 0};
    case 0x41:  // WRITE SAME: one block, none with NDOB
      return write_of(std::uint64_t{1} << shift);
    case 0x93:
      // tgtd does not know NDOB, and would write a block from a buffer that has none.
      return (cdb[1] & 0x01) != 0 ? CdbData{CdbKind::unsafe, 0, 0}
                                  : write_of(std::uint64_t{1} << shift);
    case 0x89:  // COMPARE AND WRITE: both halves
      return write_of(std::uint64_t{2} * cdb[13] << shift);
    default: return {};
  }
}

}  // namespace

void set_allocation_length(std::span<std::uint8_t> cdb, std::uint64_t bytes) noexcept {
  for (const auto& field : length_fields) {
    if (field.opcode != cdb[0] || field.direction != Direction::in) continue;
    for (unsigned i = field.width; i-- > 0; bytes >>= 8) {
      cdb[field.offset + i] = static_cast<std::uint8_t>(bytes);
    }
  }
}

CdbData describe_parameters(std::span<const std::uint8_t> cdb) noexcept {
  CdbData data;
  for (const auto& field : length_fields) {
    if (field.opcode != cdb[0]) continue;
    const std::uint64_t bytes = number(cdb, field.offset, field.width);
    (field.direction == Direction::in ? data.in_bytes : data.out_bytes) = bytes;
    (field.direction == Direction::in ? data.out_bytes : data.in_bytes) = 0;
  }
  return data;
}

CdbData describe_cdb(std::span<const std::uint8_t> cdb, const Medium& medium) noexcept {
  if (medium.block_device) {
    const CdbData data = describe_block_cdb(cdb, medium.block_shift);
    if (data.kind != CdbKind::parameter || data.out_bytes == 0) return data;
  }
  return describe_parameters(cdb);
}

}  // namespace srp
