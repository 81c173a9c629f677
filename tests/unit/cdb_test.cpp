// What a CDB says of its data, opcode by opcode.
#include "lld_srp/cdb.h"

#include <algorithm>
#include <array>
#include <string>

#include "tests/unit/harness.h"

using srp::as_offered;
using srp::CdbData;
using srp::CdbKind;
using srp::describe_cdb;
using srp::Medium;

namespace {

using Cdb = std::array<std::uint8_t, 16>;

constexpr Medium disk{true, true, 9};
constexpr Medium disk_4k{true, true, 12};
constexpr Medium other{true, false, 9};

// Every byte is another number, so that a field is told by its value.
Cdb numbered(std::uint8_t opcode) {
  Cdb cdb;
  for (std::size_t i = 0; i < cdb.size(); ++i) cdb[i] = static_cast<std::uint8_t>(i);
  cdb[0] = opcode;
  return cdb;
}

void check(const CdbData& data, CdbKind kind, std::uint64_t out, std::uint64_t in,
           unsigned opcode) {
  const std::string text = "opcode " + std::to_string(opcode);
  CHECK_TEXT(data.kind == kind, text.c_str());
  CHECK_TEXT(data.out_bytes == out, text.c_str());
  CHECK_TEXT(data.in_bytes == in, text.c_str());
}

struct BlockRow {
  Cdb cdb;
  CdbKind kind;
  std::uint64_t blocks;
};

void check_blocks(std::span<const BlockRow> rows) {
  for (const auto& row : rows) {
    for (const Medium& medium : {disk, disk_4k}) {
      const std::uint64_t bytes = row.blocks << medium.block_shift;
      const bool reads = row.kind == CdbKind::medium_read;
      check(describe_cdb(row.cdb, medium), row.kind, reads ? 0 : bytes, reads ? bytes : 0,
            row.cdb[0]);
    }
  }
}

struct ParameterRow {
  std::uint8_t opcode;
  std::uint64_t out;
  std::uint64_t in;
};

// From SPC, SBC, MMC and SMC: where the length lies, as the numbers that lie there in numbered().
constexpr ParameterRow parameter_rows[] = {
    {0x00, 0, 0},           // TEST UNIT READY
    {0x03, 0, 0x04},        // REQUEST SENSE
    {0x12, 0, 0x0304},      // INQUIRY
    {0x15, 0x04, 0},        // MODE SELECT(6)
    {0x16, 0, 0},           // RESERVE(6)
    {0x17, 0, 0},           // RELEASE(6)
    {0x1a, 0, 0x04},        // MODE SENSE(6)
    {0x1b, 0, 0},           // START STOP UNIT
    {0x1d, 0x0304, 0},      // SEND DIAGNOSTIC
    {0x1e, 0, 0},           // PREVENT ALLOW MEDIUM REMOVAL
    {0x34, 0, 0},           // PRE-FETCH(10)
    {0x35, 0, 0},           // SYNCHRONIZE CACHE(10)
    {0x3b, 0x060708, 0},    // WRITE BUFFER
    {0x3c, 0, 0x060708},    // READ BUFFER
    {0x42, 0x0708, 0},      // UNMAP
    {0x43, 0, 0x0708},      // READ TOC/PMA/ATIP
    {0x46, 0, 0x0708},      // GET CONFIGURATION
    {0x4a, 0, 0x0708},      // GET EVENT STATUS NOTIFICATION
    {0x4d, 0, 0x0708},      // LOG SENSE
    {0x51, 0, 0x0708},      // READ DISC INFORMATION
    {0x52, 0, 0x0708},      // READ TRACK INFORMATION
    {0x55, 0x0708, 0},      // MODE SELECT(10)
    {0x5a, 0, 0x0708},      // MODE SENSE(10)
    {0x5e, 0, 0x0708},      // PERSISTENT RESERVE IN
    {0x5f, 0x05060708, 0},  // PERSISTENT RESERVE OUT
    {0x83, 0x0a0b0c0d, 0},  // EXTENDED COPY
    {0x84, 0, 0x0a0b0c0d},  // RECEIVE COPY RESULTS
    {0x8c, 0, 0x0a0b0c0d},  // READ ATTRIBUTE
    {0x8d, 0x0a0b0c0d, 0},  // WRITE ATTRIBUTE
    {0x90, 0, 0},           // PRE-FETCH(16)
    {0x91, 0, 0},           // SYNCHRONIZE CACHE(16)
    {0x9e, 0, 0x0a0b0c0d},  // SERVICE ACTION IN(16)
    {0xa0, 0, 0x06070809},  // REPORT LUNS
    {0xa3, 0, 0x06070809},  // MAINTENANCE IN
    {0xa4, 0x06070809, 0},  // MAINTENANCE OUT
    {0xad, 0, 0x0809},      // READ DISC STRUCTURE
    {0xb8, 0, 0x070809},    // READ ELEMENT STATUS
    {0xbd, 0, 0x0809},      // MECHANISM STATUS
};

bool is_block_command(unsigned opcode) {
  constexpr std::uint8_t all[] = {0x08, 0x0a, 0x28, 0x2a, 0x2e, 0x2f, 0x41, 0x88, 0x89,
                                  0x8a, 0x8b, 0x8e, 0x8f, 0x93, 0xa8, 0xaa, 0xae, 0xaf};
  return std::find(std::begin(all), std::end(all), opcode) != std::end(all);
}

bool is_known_parameter(unsigned opcode) {
  return std::any_of(std::begin(parameter_rows), std::end(parameter_rows),
                     [opcode](const ParameterRow& row) { return row.opcode == opcode; });
}

}  // namespace

TEST_GROUP(Cdb){};

TEST(Cdb, describe_cdb__reads_count_blocks) {
  const BlockRow rows[] = {
      {{0x08, 0, 0, 0, 1}, CdbKind::medium_read, 1},
      {{0x08, 0xff, 0xff, 0xff, 255, 0xff}, CdbKind::medium_read, 255},
      {{0x08, 0, 0, 0, 0}, CdbKind::medium_read, 256},
      {{0x28, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 0x02, 0xff}, CdbKind::medium_read, 0x0102},
      {{0x28}, CdbKind::medium_read, 0},
      {{0xa8, 0, 0, 0, 0, 0, 0x01, 0x02, 0x03, 0x04, 0xff}, CdbKind::medium_read, 0x01020304},
      {{0x88, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0x81, 0x02, 0x03, 0x04, 0xff},
       CdbKind::medium_read,
       0x81020304},
  };
  check_blocks(rows);
}

TEST(Cdb, describe_cdb__writes_count_blocks) {
  const BlockRow rows[] = {
      {{0x0a, 0, 0, 0, 1}, CdbKind::medium_write, 1},
      {{0x0a, 0, 0, 0, 0}, CdbKind::medium_write, 256},
      {{0x2a, 0, 0, 0, 0, 0, 0, 0x01, 0x02}, CdbKind::medium_write, 0x0102},
      {{0x2e, 0, 0, 0, 0, 0, 0, 0x01, 0x02}, CdbKind::medium_write, 0x0102},
      {{0xaa, 0, 0, 0, 0, 0, 1, 2, 3, 4}, CdbKind::medium_write, 0x01020304},
      {{0xae, 0, 0, 0, 0, 0, 1, 2, 3, 4}, CdbKind::medium_write, 0x01020304},
      {{0x8a, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4}, CdbKind::medium_write, 0x01020304},
      {{0x8e, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4}, CdbKind::medium_write, 0x01020304},
      {{0x8b, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4}, CdbKind::medium_write, 0x01020304},
      {{0x2a}, CdbKind::medium_write, 0},
  };
  check_blocks(rows);
}

TEST(Cdb, describe_cdb__verify_has_data_only_with_bytchk) {
  for (const std::uint8_t opcode : std::initializer_list<std::uint8_t>{0x2f, 0xaf, 0x8f}) {
    Cdb cdb{opcode, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 3};
    if (opcode == 0xaf) cdb = {opcode, 0, 0, 0, 0, 0, 0, 0, 0, 3};
    for (unsigned byte1 = 0; byte1 < 256; ++byte1) {
      cdb[1] = static_cast<std::uint8_t>(byte1);
      const unsigned bytchk = byte1 >> 1 & 3;
      const CdbKind kind = bytchk == 0 ? CdbKind::parameter : CdbKind::medium_write;
      const std::uint64_t bytes = bytchk == 0 ? 0 : bytchk == 1 ? 3 * 512 : 512;
      check(describe_cdb(cdb, disk), kind, bytes, 0, opcode);
    }
  }
}

TEST(Cdb, describe_cdb__write_same_has_one_block_and_is_unsafe_with_ndob) {
  const BlockRow rows[] = {
      {{0x41, 0xff, 0, 0, 0, 0, 0, 0, 9}, CdbKind::medium_write, 1},
      {{0x93, 0xfe, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9}, CdbKind::medium_write, 1},
      {{0x93, 0x01, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9}, CdbKind::unsafe, 0},
  };
  check_blocks(rows);
}

TEST(Cdb, describe_cdb__compare_and_write_has_both_halves) {
  const BlockRow rows[] = {
      {{0x89, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 3, 0xff}, CdbKind::medium_write, 6},
      {{0x89, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255}, CdbKind::medium_write, 510},
      {{0x89}, CdbKind::medium_write, 0},
  };
  check_blocks(rows);
}

TEST(Cdb, describe_cdb__parameter_lists_have_the_length_of_their_field) {
  for (const Medium& medium : {disk, Medium{}, other}) {
    for (const auto& row : parameter_rows) {
      check(describe_cdb(numbered(row.opcode), medium), CdbKind::parameter, row.out, row.in,
            row.opcode);
    }
  }
}

TEST(Cdb, describe_cdb__all_else_has_what_is_offered) {
  for (unsigned opcode = 0; opcode < 256; ++opcode) {
    if (is_known_parameter(opcode)) continue;
    const Cdb cdb = numbered(static_cast<std::uint8_t>(opcode));
    if (!is_block_command(opcode)) {
      check(describe_cdb(cdb, disk), CdbKind::parameter, as_offered, as_offered, opcode);
    }
    check(describe_cdb(cdb, other), CdbKind::parameter, as_offered, as_offered, opcode);
  }
}

TEST(Cdb, set_allocation_length__writes_the_field_that_describe_cdb_reads) {
  for (const auto& row : parameter_rows) {
    for (const std::uint64_t bytes : {0U, 1U, 4U}) {
      const Cdb before = numbered(row.opcode);
      Cdb cdb = before;
      srp::set_allocation_length(cdb, bytes);
      check(describe_cdb(cdb, disk), CdbKind::parameter, row.out, row.in == 0 ? 0 : bytes,
            row.opcode);
      if (row.in == 0) CHECK(cdb == before);
    }
  }
}

TEST(Cdb, set_allocation_length__writes_every_byte_of_the_field_and_no_other) {
  const struct {
    std::uint8_t opcode;
    std::uint64_t bytes;
    std::size_t first;
    std::size_t count;
  } rows[] = {
      {0x03, 0xf1, 4, 1},     {0x12, 0xf1f2, 3, 2},      {0x3c, 0xf1f2f3, 6, 3},
      {0x5e, 0xf1f2, 7, 2},   {0x9e, 0xf1f2f3f4, 10, 4}, {0xa0, 0xf1f2f3f4, 6, 4},
      {0xb8, 0xf1f2f3, 7, 3}, {0xbd, 0xf1f2, 8, 2},
  };
  for (const auto& row : rows) {
    Cdb expected = numbered(row.opcode);
    Cdb cdb = expected;
    for (std::size_t i = 0; i < row.count; ++i) {
      expected[row.first + i] = static_cast<std::uint8_t>(0xf1 + i);
    }
    srp::set_allocation_length(cdb, row.bytes);
    CHECK(cdb == expected);
  }
}

TEST(Cdb, set_allocation_length__leaves_commands_without_such_a_field) {
  for (unsigned opcode = 0; opcode < 256; ++opcode) {
    if (is_known_parameter(opcode)) continue;
    const Cdb before = numbered(static_cast<std::uint8_t>(opcode));
    Cdb cdb = before;
    srp::set_allocation_length(cdb, 1);
    CHECK(cdb == before);
  }
}

TEST(Cdb, medium__is_equal_in_all_its_parts) {
  CHECK((disk == Medium{true, true, 9}));
  CHECK_FALSE((disk == Medium{false, true, 9}));
  CHECK_FALSE(disk == other);
  CHECK_FALSE(disk == disk_4k);
}

TEST(Cdb, describe_cdb__additional_bytes_change_nothing) {
  std::array<std::uint8_t, 268> cdb{0x28};
  cdb.fill(0xff);
  cdb[0] = 0x28;
  cdb[7] = 0;
  cdb[8] = 2;
  check(describe_cdb(cdb, disk), CdbKind::medium_read, 0, 1024, 0x28);
}
