// SRP_CMD and SRP_TSK_MGMT as an initiator may write them: what is read of them, what is refused,
// and that nothing is read beyond what arrived.
#include "lld_srp/iu.h"

#include "tests/fake/random.h"
#include "tests/unit/bytes.h"
#include "tests/unit/golden.h"
#include "tests/unit/harness.h"
#include "tests/unit/iu_commands.h"

using srp::classify;
using srp::CmdFault;
using srp::CmdRequest;
using srp::parse_cmd;
using srp::test::Bytes;
using srp::test::CmdIu;
using srp::test::from_hex;
using srp::test::prefix;
using srp::test::to_hex;
using srp::wire::Opcode;

namespace {

constexpr srp::wire::Lun lun1{0, 1};
constexpr srp::wire::Tag command_tag{{0x2a, 0, 1, 0, 0, 0, 0, 0}};

CmdFault fault_of(const Bytes& iu) {
  CHECK(classify(iu) == Opcode::cmd);
  CmdRequest request;
  return parse_cmd(iu, 0, request);
}

CmdRequest good(const Bytes& iu) {
  CHECK(classify(iu) == Opcode::cmd);
  CmdRequest request;
  CHECK(parse_cmd(iu, 0, request) == CmdFault::none);
  return request;
}

void check_piece(const srp::wire::MemoryDesc& piece, const srp::test::Piece& expected) {
  CHECK(std::uint64_t{piece.address} == expected.address);
  CHECK_EQUAL(expected.key, std::uint32_t{piece.key});
  CHECK_EQUAL(expected.bytes, std::uint32_t{piece.bytes});
}

void check_head(const CmdRequest& request, const Bytes& iu) {
  CHECK(request.tag == (srp::wire::Tag{{1, 2, 3, 4, 5, 6, 7, 8}}));
  CHECK((request.lun == srp::wire::Lun{0, 3}));
  BYTES_EQUAL(2, static_cast<int>(request.attribute));
  POINTERS_EQUAL(iu.data() + 32, request.cdb.data());
  CHECK(request.cdb.size() >= 16);
}

void check_nothing(const srp::DataBuffer& buffer) {
  CHECK(buffer.bytes == 0);
  CHECK(buffer.descriptors.empty());
}

struct Row {
  const char* what;
  CmdIu iu;
  CmdFault fault;
};

// What a fault leaves readable is checked with every row.
void check(std::span<const Row> rows) {
  for (const Row& row : rows) {
    const Bytes iu = row.iu.get();
    CHECK_TEXT(classify(iu) == Opcode::cmd, row.what);
    CmdRequest request;
    CHECK_TEXT(parse_cmd(iu, 0, request) == row.fault, row.what);
    check_head(request, iu);
  }
}

}  // namespace

TEST_GROUP(Iu){};

TEST(Iu, classify__knows_what_an_initiator_may_send) {
  const struct {
    unsigned opcode;
    std::size_t bytes_min;
  } rows[] = {{0x01, 48}, {0x02, 48}, {0x03, 16}, {0x41, 16}, {0x42, 16}};
  for (const auto& row : rows) {
    for (const std::size_t size : {1U, 2U, 8U, 15U, 16U, 17U, 33U, 47U, 48U, 49U, 64U, 8276U}) {
      Bytes iu(size);
      iu[0] = static_cast<std::uint8_t>(row.opcode);
      const auto opcode = classify(iu);
      CHECK_EQUAL(size >= row.bytes_min, opcode.has_value());
      if (opcode) CHECK_EQUAL(row.opcode, static_cast<unsigned>(*opcode));
    }
  }
}

TEST(Iu, classify__refuses_an_empty_iu) { CHECK_FALSE(classify({}).has_value()); }

TEST(Iu, classify__refuses_all_other_opcodes) {
  Bytes iu(8276);
  for (unsigned opcode = 0; opcode < 256; ++opcode) {
    const bool known = (opcode >= 1 && opcode <= 3) || opcode == 0x41 || opcode == 0x42;
    iu[0] = static_cast<std::uint8_t>(opcode);
    CHECK_EQUAL(known, classify(iu).has_value());
  }
}

TEST(Iu, parse_cmd__reads_G5) {
  const Bytes iu = from_hex(srp::test::g5_cmd_direct);
  const CmdRequest request = good(iu);
  CHECK(request.tag == command_tag);
  CHECK(request.lun == lun1);
  BYTES_EQUAL(0, static_cast<int>(request.attribute));
  CHECK_EQUAL(std::string{"28000000 10000000 08000000 00000000"}, to_hex(request.cdb));
  check_nothing(request.out);
  CHECK(request.in.bytes == 4096);
  CHECK_EQUAL(1u, request.in.descriptors.size());
  check_piece(request.in.descriptors[0], {0x7f0012345000, 0xa1b2c3, 4096});
}

TEST(Iu, parse_cmd__reads_G6) {
  const Bytes iu = from_hex(srp::test::g6_cmd_indirect);
  const CmdRequest request = good(iu);
  CHECK(request.tag == command_tag);
  BYTES_EQUAL(0x2a, request.cdb[0]);
  check_nothing(request.in);
  CHECK(request.out.bytes == 8192);
  CHECK_EQUAL(2u, request.out.descriptors.size());
  check_piece(request.out.descriptors[0], {0x7f0012345000, 0xa1b2c3, 4096});
  check_piece(request.out.descriptors[1], {0x7f0012347000, 0xa1b2c3, 4096});
}

TEST(Iu, parse_cmd__refuses_the_immediate_data_of_G7) {
  Bytes iu = from_hex(srp::test::g7_cmd_immediate);
  iu.resize(580, 0xaa);
  CmdRequest request;
  CHECK(parse_cmd(iu, 0, request) == CmdFault::invalid_field);
  CHECK(request.tag == command_tag);
  CHECK(request.lun == lun1);
  BYTES_EQUAL(0x2a, request.cdb[0]);
}

TEST(Iu, parse_cmd__reads_an_iu_at_any_address) {
  const Bytes iu = from_hex(srp::test::g6_cmd_indirect);
  for (std::size_t at = 0; at < 16; ++at) {
    Bytes memory(at + iu.size());
    std::memcpy(memory.data() + at, iu.data(), iu.size());
    CmdRequest request;
    CHECK(parse_cmd(std::span{memory}.subspan(at), 0, request) == CmdFault::none);
    check_piece(request.out.descriptors[1], {0x7f0012347000, 0xa1b2c3, 4096});
  }
}

TEST(Iu, parse_cmd__refuses_every_prefix_of_an_iu_as_too_short) {
  const Bytes ius[] = {
      from_hex(srp::test::g5_cmd_direct),
      from_hex(srp::test::g6_cmd_indirect),
      CmdIu(0x22, 2, 3).table(32, 100).pieces(2, 50).table(48, 90).pieces(3, 30).get(),
      CmdIu(0x11).piece({1, 2, 3}).piece({4, 5, 6}).get(),
      CmdIu(0x12, 0, 1).additional_cdb(8, 8).piece({1, 2, 3}).table(16, 5).pieces(1, 5).get(),
      CmdIu(0x10).additional_cdb(252, 252).piece({1, 2, 3}).get(),
      CmdIu(0x02, 0, 255).table(255 * 16, 255).pieces(255, 1).get(),
      CmdIu().additional_cdb(4, 4).get(),
  };
  for (const Bytes& iu : ius) {
    (void)good(iu);
    for (std::size_t size = 0; size < iu.size(); ++size) {
      const Bytes cut = prefix(iu, size);
      if (size < 48) {
        CHECK_FALSE(classify(cut).has_value());
      } else {
        CHECK(fault_of(cut) == CmdFault::too_short);
      }
    }
  }
}

TEST(Iu, parse_cmd__ignores_what_follows_the_last_descriptor) {
  Bytes iu = from_hex(srp::test::g5_cmd_direct);
  iu.resize(8276, 0xff);
  const CmdRequest request = good(iu);
  CHECK(request.in.bytes == 4096);
  CHECK_EQUAL(1u, request.in.descriptors.size());
}

TEST(Iu, parse_cmd__ignores_reserved_fields) {
  Bytes iu = from_hex(srp::test::g5_cmd_direct);
  for (const std::size_t at : {1U, 2U, 3U, 4U, 16U, 17U, 18U, 19U, 28U, 30U}) iu[at] = 0xff;
  iu[29] = 0xf8;  // above the attribute
  iu[31] = 0x03;  // below the additional CDB length
  const CmdRequest request = good(iu);
  CHECK(request.tag == command_tag);
  CHECK(request.lun == lun1);
  BYTES_EQUAL(0, static_cast<int>(request.attribute));
  CHECK_EQUAL(16u, request.cdb.size());
  check_piece(request.in.descriptors[0], {0x7f0012345000, 0xa1b2c3, 4096});
}

TEST(Iu, parse_cmd__knows_nothing_of_the_last_request) {
  CmdRequest request;
  const Bytes bidi = CmdIu(0x11).piece({1, 2, 3}).piece({4, 5, 6}).get();
  CHECK(parse_cmd(bidi, 0, request) == CmdFault::none);
  const Bytes none = CmdIu().get();
  CHECK(parse_cmd(none, 0, request) == CmdFault::none);
  check_nothing(request.out);
  check_nothing(request.in);
}

TEST(Iu, parse_cmd__takes_three_bits_as_task_attribute) {
  for (unsigned value = 0; value < 256; ++value) {
    CmdIu iu;
    iu.bytes[29] = static_cast<std::uint8_t>(value);
    BYTES_EQUAL(value & 7, static_cast<int>(good(iu.get()).attribute));
  }
}

TEST(Iu, parse_cmd__needs_no_counts_for_direct_descriptors) {
  for (const unsigned count : {0U, 1U, 255U}) {
    const Bytes iu = CmdIu(0x11, count, count).piece({1, 2, 3}).piece({4, 5, 6}).get();
    const CmdRequest request = good(iu);
    check_piece(request.out.descriptors[0], {1, 2, 3});
    check_piece(request.in.descriptors[0], {4, 5, 6});
    CHECK(request.out.bytes == 3);
    CHECK(request.in.bytes == 6);
  }
}

TEST(Iu, parse_cmd__refuses_unknown_and_immediate_formats) {
  for (unsigned formats = 0; formats < 256; ++formats) {
    const unsigned out = formats >> 4;
    const unsigned in = formats & 0x0f;
    CmdIu iu(formats, out == 2 ? 1 : 0, in == 2 ? 1 : 0);
    for (const unsigned format : {out, in}) {
      if (format == 2) iu.table(16, 8);
      if (format == 1 || format == 2) iu.piece({1, 2, 8});
    }
    iu.pieces(8, 8);
    const bool known = out <= 2 && in <= 2;
    CHECK_EQUAL_TEXT(known, fault_of(iu.get()) == CmdFault::none, std::to_string(formats).c_str());
    CHECK_EQUAL(!known, fault_of(iu.get()) == CmdFault::invalid_field);
  }
}

TEST(Iu, parse_cmd__takes_additional_cdb_bytes_in_units_of_four) {
  for (unsigned field = 0; field < 256; ++field) {
    const std::size_t count = field & 0xfc;
    const Bytes iu = CmdIu(0x01).additional_cdb(field, count).piece({1, 2, 3}).get();
    const CmdRequest request = good(iu);
    CHECK_EQUAL(16 + count, request.cdb.size());
    POINTERS_EQUAL(iu.data() + 32, request.cdb.data());
    check_piece(request.in.descriptors[0], {1, 2, 3});
  }
}

TEST(Iu, parse_cmd__refuses_an_iu_that_ends_within_the_additional_cdb) {
  const Row rows[] = {
      {"252, none of them", CmdIu().additional_cdb(252, 0), CmdFault::too_short},
      {"252, all but one", CmdIu().additional_cdb(252, 251), CmdFault::too_short},
      {"252, all", CmdIu().additional_cdb(252, 252), CmdFault::none},
      {"255, all", CmdIu().additional_cdb(255, 252), CmdFault::none},
      {"3 are none", CmdIu().additional_cdb(3, 0), CmdFault::none},
      {"no room for the descriptor", CmdIu(0x01).additional_cdb(4, 16), CmdFault::too_short},
  };
  check(rows);
}

TEST(Iu, parse_cmd__checks_indirect_tables) {
  using enum CmdFault;
  for (const unsigned formats : {0x02U, 0x20U}) {
    const auto iu = [formats](unsigned count) {
      return formats == 0x02 ? CmdIu(formats, 0, count) : CmdIu(formats, count, 0);
    };
    const Row rows[] = {
        {"no table", iu(0).table(0, 4096), invalid_field},
        {"no table, no data", iu(0).table(0, 0), invalid_field},
        {"no table, descriptors", iu(2).table(0, 4096).pieces(2, 4096), invalid_field},
        {"table of 15 bytes", iu(2).table(15, 1).pieces(2, 1), invalid_field},
        {"table of 17 bytes", iu(2).table(17, 1).pieces(2, 1), invalid_field},
        {"table of 40 bytes", iu(3).table(40, 1).pieces(3, 1), invalid_field},
        {"4 counted, 2 there", iu(4).table(64, 2).pieces(2, 1), too_short},
        {"rest of the table elsewhere", iu(2).table(64, 4).pieces(2, 1), none},
        {"the whole table elsewhere", iu(0).table(16, 1), none},
        {"table of 2048", iu(2).table(2048 * 16, 2).pieces(2, 1), none},
        {"table of 2049", iu(2).table(2049 * 16, 2).pieces(2, 1), invalid_field},
        {"table of 4 GiB", iu(2).table(0xfffffff0, 2).pieces(2, 1), invalid_field},
        {"table of 4 GiB and no multiple", iu(2).table(0xffffffff, 2).pieces(2, 1), invalid_field},
        {"more data than the table has", iu(2).table(32, 3).pieces(2, 1), invalid_field},
        {"as much data as the table has", iu(2).table(32, 2).pieces(2, 1), none},
        {"less data than the table has", iu(2).table(32, 1).pieces(2, 1), none},
        {"no data", iu(2).table(32, 0).pieces(2, 1), none},
        {"descriptors of nothing", iu(2).table(32, 0).pieces(2, 0), none},
        {"data but descriptors of nothing", iu(2).table(32, 1).pieces(2, 0), invalid_field},
        {"the same piece twice", iu(2).table(32, 8).piece({9, 9, 4}).piece({9, 9, 4}), none},
    };
    check(rows);
  }
}
