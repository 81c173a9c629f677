// Big-endian integers, and where every field of every IU lies.
#include "lld_srp/wire.h"

#include "tests/unit/bytes.h"
#include "tests/unit/golden.h"
#include "tests/unit/harness.h"

using namespace srp::wire;
using srp::test::bytes_of;
using srp::test::from_hex;
using srp::test::to_hex;
using srp::test::value_of;

namespace {

constexpr PortId initiator_port{0,    0,    0, 0,    0,    0,    0,    0,
                                0x50, 0x54, 0, 0xff, 0xfe, 0x4a, 0x0b, 0x7b};
constexpr PortId target_port{0, 2, 0xc9, 3, 0, 0xa3, 0x42, 0x70,
                             0, 2, 0xc9, 3, 0, 0xa3, 0x42, 0x70};
constexpr Tag command_tag{{0x2a, 0, 1, 0, 0, 0, 0, 0}};
constexpr Lun lun1{0, 1};

void check_golden(std::string_view golden, const srp::test::Bytes& built) {
  CHECK_EQUAL(to_hex(from_hex(golden)), to_hex(built));
}

Cmd command(std::uint8_t formats) {
  Cmd cmd{};
  cmd.opcode = static_cast<std::uint8_t>(Opcode::cmd);
  cmd.buffer_formats = formats;
  cmd.tag = command_tag;
  cmd.lun = lun1;
  return cmd;
}

}  // namespace

TEST_GROUP(Wire){};

TEST(Wire, be__stores_the_most_significant_byte_first) {
  CHECK_EQUAL(std::string{"0102"}, to_hex(bytes_of(Be16{0x0102})));
  CHECK_EQUAL(std::string{"01020304"}, to_hex(bytes_of(Be32{0x01020304})));
  CHECK_EQUAL(std::string{"01020304 05060708"}, to_hex(bytes_of(Be64{0x0102030405060708})));
}

TEST(Wire, be__gives_back_what_it_was_made_of) {
  for (unsigned bit = 0; bit < 64; ++bit) {
    const std::uint64_t value = std::uint64_t{1} << bit;
    CHECK(std::uint64_t{Be64{value}} == value);
    if (bit < 32) CHECK(std::uint32_t{Be32{static_cast<std::uint32_t>(value)}} == value);
    if (bit < 16) CHECK(std::uint16_t{Be16{static_cast<std::uint16_t>(value)}} == value);
  }
  CHECK(std::uint64_t{Be64{~std::uint64_t{0}}} == ~std::uint64_t{0});
  static_assert(std::uint32_t{Be32{0xdeadbeef}} == 0xdeadbeef);
}

TEST(Wire, be__reads_bytes_at_any_address) {
  for (std::size_t at = 0; at < 8; ++at) {
    srp::test::Bytes bytes(at + 4);
    bytes[at] = 0x12;
    bytes[at + 3] = 0x34;
    CHECK(std::uint32_t{*reinterpret_cast<const Be32*>(&bytes[at])} == 0x12000034);
  }
}

TEST(Wire, be__can_be_assigned_from_a_number) {
  Be32 number{1};
  number = 0x80000000;
  CHECK_EQUAL(std::string{"80000000"}, to_hex(bytes_of(number)));
}

TEST(Wire, tag__is_equal_byte_for_byte) {
  CHECK((Tag{{1, 2, 3, 4, 5, 6, 7, 8}}) == (Tag{{1, 2, 3, 4, 5, 6, 7, 8}}));
  for (std::size_t i = 0; i < 8; ++i) {
    Tag other{};
    other.bytes[i] = 1;
    CHECK_FALSE(other == Tag{});
  }
}

TEST(Wire, login_req_rdma__lays_out_G1) {
  LoginReqRdma req{};
  req.required_formats = format_direct | format_indirect;
  req.flags = 0x80;
  req.opcode = static_cast<std::uint8_t>(Opcode::login_req);
  req.max_iu_bytes = 8260;
  req.initiator_port = initiator_port;
  req.target_port = target_port;
  req.immediate_offset = 68;
  check_golden(srp::test::g1_login_req_rdma, bytes_of(req));
}

TEST(Wire, login_rsp__reads_G3) {
  const auto rsp = value_of<LoginRsp>(from_hex(srp::test::g3_login_rsp));
  BYTES_EQUAL(static_cast<std::uint8_t>(Opcode::login_rsp), rsp.opcode);
  CHECK_EQUAL(128u, std::uint32_t{rsp.request_limit_delta});
  CHECK(rsp.tag == Tag{});
  CHECK_EQUAL(8276u, std::uint32_t{rsp.max_iu_bytes});
  CHECK_EQUAL(320u, std::uint32_t{rsp.max_target_iu_bytes});
  CHECK_EQUAL(6u, unsigned{rsp.supported_formats});
  BYTES_EQUAL(0, rsp.flags);
}

TEST(Wire, login_rej__reads_G4) {
  const auto rej = value_of<LoginRej>(from_hex(srp::test::g4_login_rej));
  BYTES_EQUAL(static_cast<std::uint8_t>(Opcode::login_rej), rej.opcode);
  CHECK_EQUAL(static_cast<std::uint32_t>(LoginRejReason::unable_to_associate),
              std::uint32_t{rej.reason});
  CHECK_EQUAL(6u, unsigned{rej.supported_formats});
}

TEST(Wire, cmd__lays_out_G5) {
  Cmd cmd = command(static_cast<std::uint8_t>(BufferFormat::direct));
  cmd.cdb[0] = 0x28;
  cmd.cdb[4] = 0x10;
  cmd.cdb[8] = 0x08;
  auto built = bytes_of(cmd);
  const auto descriptor = bytes_of(MemoryDesc{0x7f0012345000, 0xa1b2c3, 4096});
  built.insert(built.end(), descriptor.begin(), descriptor.end());
  check_golden(srp::test::g5_cmd_direct, built);
}

TEST(Wire, cmd__lays_out_G6) {
  Cmd cmd = command(static_cast<std::uint8_t>(BufferFormat::indirect) << 4);
  cmd.out_count = 2;
  cmd.cdb[0] = 0x2a;
  cmd.cdb[4] = 0x10;
  cmd.cdb[8] = 0x10;
  auto built = bytes_of(cmd);
  const auto head = bytes_of(IndirectDesc{{0x7f0055550000, 0xa1b2c4, 32}, 8192});
  built.insert(built.end(), head.begin(), head.end());
  for (const std::uint64_t address : {0x7f0012345000U, 0x7f0012347000U}) {
    const auto descriptor = bytes_of(MemoryDesc{address, 0xa1b2c3, 4096});
    built.insert(built.end(), descriptor.begin(), descriptor.end());
  }
  check_golden(srp::test::g6_cmd_indirect, built);
}

TEST(Wire, cmd__lays_out_the_head_of_G7) {
  Cmd cmd = command(static_cast<std::uint8_t>(BufferFormat::immediate) << 4);
  cmd.cdb[0] = 0x2a;
  cmd.cdb[4] = 0x10;
  cmd.cdb[8] = 0x01;
  const auto golden = from_hex(srp::test::g7_cmd_immediate);
  CHECK_EQUAL(to_hex(std::span{golden}.first(48)), to_hex(bytes_of(cmd)));
}

TEST(Wire, tsk_mgmt__lays_out_G11) {
  TskMgmt task{};
  task.opcode = static_cast<std::uint8_t>(Opcode::tsk_mgmt);
  task.tag = {{1, 0, 0, 0x80}};
  task.lun = lun1;
  task.function = static_cast<std::uint8_t>(TaskFunction::abort_task);
  task.task_tag = command_tag;
  check_golden(srp::test::g11_tsk_mgmt, bytes_of(task));
}

TEST(Wire, rsp__reads_G8_G9_G10_and_G12) {
  const struct {
    std::string_view golden;
    std::uint32_t delta;
    std::uint8_t flags;
    std::uint8_t status;
    std::uint32_t out_residual;
    std::uint32_t in_residual;
    std::uint32_t sense;
    std::uint32_t response;
  } rows[] = {
      {srp::test::g8_rsp_good, 1, 0, 0, 0, 0, 0, 0},
      {srp::test::g9_rsp_underflow, 1, in_under, 0, 0, 3584, 0, 0},
      {srp::test::g10_rsp_sense, 1, sense_valid | out_under, 2, 4096, 0, 18, 0},
      {srp::test::g12_rsp_task, 2, rsp_valid, 0, 0, 0, 0, 4},
  };
  for (const auto& row : rows) {
    const auto rsp = value_of<Rsp>(from_hex(row.golden));
    BYTES_EQUAL(static_cast<std::uint8_t>(Opcode::rsp), rsp.opcode);
    CHECK_EQUAL(row.delta, std::uint32_t{rsp.request_limit_delta});
    BYTES_EQUAL(row.flags, rsp.flags);
    BYTES_EQUAL(row.status, rsp.status);
    CHECK_EQUAL(row.out_residual, std::uint32_t{rsp.out_residual});
    CHECK_EQUAL(row.in_residual, std::uint32_t{rsp.in_residual});
    CHECK_EQUAL(row.sense, std::uint32_t{rsp.sense_bytes});
    CHECK_EQUAL(row.response, std::uint32_t{rsp.response_data_bytes});
  }
}

TEST(Wire, codes__are_the_standards) {
  const std::pair<unsigned, unsigned> rows[] = {
      {0x00, static_cast<unsigned>(Opcode::login_req)},
      {0x01, static_cast<unsigned>(Opcode::tsk_mgmt)},
      {0x02, static_cast<unsigned>(Opcode::cmd)},
      {0x03, static_cast<unsigned>(Opcode::i_logout)},
      {0x41, static_cast<unsigned>(Opcode::cred_rsp)},
      {0x42, static_cast<unsigned>(Opcode::aer_rsp)},
      {0x80, static_cast<unsigned>(Opcode::t_logout)},
      {0xc0, static_cast<unsigned>(Opcode::login_rsp)},
      {0xc1, static_cast<unsigned>(Opcode::rsp)},
      {0xc2, static_cast<unsigned>(Opcode::login_rej)},
      {0x01, static_cast<unsigned>(TaskFunction::abort_task)},
      {0x02, static_cast<unsigned>(TaskFunction::abort_task_set)},
      {0x04, static_cast<unsigned>(TaskFunction::clear_task_set)},
      {0x08, static_cast<unsigned>(TaskFunction::lun_reset)},
      {0x40, static_cast<unsigned>(TaskFunction::clear_aca)},
      {0x00, static_cast<unsigned>(RspCode::complete)},
      {0x02, static_cast<unsigned>(RspCode::fields_invalid)},
      {0x04, static_cast<unsigned>(RspCode::unsupported)},
      {0x05, static_cast<unsigned>(RspCode::failed)},
      {0x10000, static_cast<unsigned>(LoginRejReason::unspecified)},
      {0x10001, static_cast<unsigned>(LoginRejReason::insufficient_resources)},
      {0x10002, static_cast<unsigned>(LoginRejReason::iu_too_large)},
      {0x10003, static_cast<unsigned>(LoginRejReason::unable_to_associate)},
      {0x10004, static_cast<unsigned>(LoginRejReason::unsupported_format)},
      {0x10005, static_cast<unsigned>(LoginRejReason::multi_channel_unsupported)},
      {0x10006, static_cast<unsigned>(LoginRejReason::channel_limit_reached)},
  };
  for (const auto& [expected, code] : rows) CHECK_EQUAL(expected, code);
  const std::uint8_t flags[] = {rsp_valid, sense_valid, out_over, out_under, in_over, in_under};
  for (unsigned bit = 0; bit < 6; ++bit) BYTES_EQUAL(1 << bit, flags[bit]);
}
