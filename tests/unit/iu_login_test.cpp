// SRP_LOGIN_REQ, its answers, and SRP_RSP: byte by byte.
#include <algorithm>

#include "lld_srp/iu.h"
#include "tests/unit/bytes.h"
#include "tests/unit/golden.h"
#include "tests/unit/harness.h"

using srp::CmdResult;
using srp::LoginForm;
using srp::LoginRequest;
using srp::parse_login;
using srp::test::Bytes;
using srp::test::bytes_of;
using srp::test::from_hex;
using srp::test::prefix;
using srp::test::to_hex;
using srp::test::value_of;
using srp::wire::LoginRejReason;
using srp::wire::LoginReqRdma;
using srp::wire::MultiChannelAction;
using srp::wire::MultiChannelResult;
using srp::wire::RspCode;
using srp::wire::Tag;

namespace {

constexpr Tag command_tag{{0x2a, 0, 1, 0, 0, 0, 0, 0}};
constexpr Tag task_tag{{1, 0, 0, 0x80}};

LoginReqRdma g1() { return value_of<LoginReqRdma>(from_hex(srp::test::g1_login_req_rdma)); }

// The reason for which it is refused; 0 if it is not.
std::uint32_t refusal(const Bytes& private_data) {
  LoginRequest request;
  const auto fault = parse_login(private_data, LoginForm::rdma_cm, request);
  if (fault) CHECK(fault->text != nullptr && *fault->text != '\0');
  return fault ? static_cast<std::uint32_t>(fault->reason) : 0;
}
std::uint32_t refusal(const LoginReqRdma& req) { return refusal(bytes_of(req)); }

CmdResult result_of(srp::Residual out, srp::Residual in) { return {0, out, in, {}}; }

// What build_rsp() writes into a block of capacity bytes full of ones.
std::string built(const CmdResult& result, std::size_t capacity, std::uint32_t delta = 1) {
  Bytes iu(capacity, 0xff);
  const std::size_t bytes = srp::build_rsp(iu, {command_tag, delta}, result);
  CHECK(bytes <= capacity);
  CHECK(std::all_of(iu.begin() + static_cast<std::ptrdiff_t>(bytes), iu.end(),
                    [](std::uint8_t byte) { return byte == 0xff; }));
  return to_hex(prefix(iu, bytes));
}

std::string golden(std::string_view text) { return to_hex(from_hex(text)); }

}  // namespace

TEST_GROUP(IuLogin){};

TEST(IuLogin, parse_login__reads_G1) {
  LoginRequest request;
  CHECK_FALSE(
      parse_login(from_hex(srp::test::g1_login_req_rdma), LoginForm::rdma_cm, request).has_value());
  CHECK(request.tag == Tag{});
  CHECK_EQUAL(6u, unsigned{request.required_formats});
  CHECK(request.action == MultiChannelAction::single);
  CHECK_EQUAL(8260u, request.max_iu_bytes);
  CHECK_EQUAL(std::string{"00000000 00000000 505400ff fe4a0b7b"}, to_hex(request.initiator_port));
  CHECK_EQUAL(std::string{"0002c903 00a34270 0002c903 00a34270"}, to_hex(request.target_port));
}

TEST(IuLogin, parse_login__reads_G2_in_its_own_form_only) {
  const Bytes g2 = from_hex(srp::test::g2_login_req_ib);
  CHECK_EQUAL(0x10000u, refusal(g2));
  LoginRequest request;
  CHECK_FALSE(parse_login(g2, LoginForm::ib_cm, request).has_value());
  LoginRequest same;
  CHECK_FALSE(parse_login(from_hex(srp::test::g1_login_req_rdma), LoginForm::rdma_cm, same));
  CHECK(request.tag == same.tag);
  CHECK_EQUAL(same.required_formats, request.required_formats);
  CHECK(request.action == same.action);
  CHECK_EQUAL(same.max_iu_bytes, request.max_iu_bytes);
  CHECK(request.initiator_port == same.initiator_port);
  CHECK(request.target_port == same.target_port);
  CHECK_EQUAL(same.immediate, request.immediate);
  CHECK_EQUAL(same.immediate_offset, request.immediate_offset);
}

TEST(IuLogin, parse_login__needs_64_bytes_of_the_ib_form_and_finds_the_tag_in_16) {
  Bytes whole = from_hex(srp::test::g2_login_req_ib);
  std::copy(std::begin(command_tag.bytes), std::end(command_tag.bytes), whole.begin() + 8);
  for (std::size_t size = 0; size < 64; ++size) {
    LoginRequest request;
    const auto fault = parse_login(prefix(whole, size), LoginForm::ib_cm, request);
    CHECK(fault.has_value());
    STRCMP_EQUAL("login request shorter than 64 bytes", fault->text);
    CHECK(request.tag == (size < 16 ? Tag{} : command_tag));
  }
  whole.resize(92, 0xff);  // as InfiniBand pads it
  LoginRequest request;
  CHECK_FALSE(parse_login(whole, LoginForm::ib_cm, request).has_value());
  CHECK(request.tag == command_tag);
}

TEST(IuLogin, parse_login__needs_56_bytes_and_finds_the_tag_in_8) {
  LoginReqRdma req = g1();
  req.tag = command_tag;
  for (std::size_t size = 0; size < 56; ++size) {
    const Bytes cut = prefix(bytes_of(req), size);
    LoginRequest request;
    const auto fault = parse_login(cut, LoginForm::rdma_cm, request);
    CHECK(fault.has_value());
    CHECK(fault->reason == LoginRejReason::unspecified);
    CHECK(request.tag == (size < 8 ? Tag{} : command_tag));
  }
}

TEST(IuLogin, parse_login__ignores_what_follows) {
  Bytes padded = from_hex(srp::test::g1_login_req_rdma);
  padded.resize(92, 0xff);
  CHECK_EQUAL(0u, refusal(padded));
}

TEST(IuLogin, parse_login__keeps_the_tag_of_what_it_refuses) {
  LoginReqRdma req = g1();
  req.tag = command_tag;
  req.opcode = 2;
  LoginRequest request;
  CHECK(parse_login(bytes_of(req), LoginForm::rdma_cm, request).has_value());
  CHECK(request.tag == command_tag);
}

TEST(IuLogin, parse_login__refuses_other_opcodes) {
  for (unsigned opcode = 0; opcode < 256; ++opcode) {
    LoginReqRdma req = g1();
    req.opcode = static_cast<std::uint8_t>(opcode);
    CHECK_EQUAL(opcode == 0 ? 0u : 0x10000u, refusal(req));
  }
}

TEST(IuLogin, parse_login__refuses_reserved_actions_and_ignores_other_flags) {
  for (unsigned flags = 0; flags < 256; ++flags) {
    LoginReqRdma req = g1();
    req.flags = static_cast<std::uint8_t>(flags);
    CHECK_EQUAL((flags & 3) < 2 ? 0u : 0x10000u, refusal(req));
    LoginRequest request;
    (void)parse_login(bytes_of(req), LoginForm::rdma_cm, request);
    CHECK_EQUAL(flags & 3, static_cast<unsigned>(request.action));
  }
}

TEST(IuLogin, parse_login__refuses_iu_lengths_that_hold_no_direct_descriptor) {
  for (const std::uint32_t bytes : {0U, 1U, 47U, 48U, 63U}) {
    LoginReqRdma req = g1();
    req.max_iu_bytes = bytes;
    CHECK_EQUAL(0x10000u, refusal(req));
  }
  for (const std::uint32_t bytes : {64U, 80U, 260U, 276U, 580U, 4164U, 8260U, 8276U, ~0U}) {
    LoginReqRdma req = g1();
    req.max_iu_bytes = bytes;
    LoginRequest request;
    CHECK_FALSE(parse_login(bytes_of(req), LoginForm::rdma_cm, request).has_value());
    CHECK_EQUAL(bytes, request.max_iu_bytes);
  }
}

TEST(IuLogin, parse_login__requires_no_format_but_direct_and_indirect) {
  const struct {
    std::uint16_t formats;
    std::uint32_t refusal;
    std::uint16_t read_as;
  } rows[] = {
      {0x0000, 0, 0x0000},       {0x0002, 0, 0x0002},       {0x0004, 0, 0x0004},
      {0x0006, 0, 0x0006},       {0x0200, 0, 0x0002},  // iPXE's byte order
      {0x0001, 0x10004, 0x0001}, {0x0008, 0x10004, 0x0008}, {0x000e, 0x10004, 0x000e},
      {0x0400, 0x10004, 0x0400}, {0x0600, 0x10004, 0x0600}, {0x0202, 0x10004, 0x0202},
      {0x8000, 0x10004, 0x8000}, {0xffff, 0x10004, 0xffff},
  };
  for (const auto& row : rows) {
    LoginReqRdma req = g1();
    req.required_formats = row.formats;
    CHECK_EQUAL(row.refusal, refusal(req));
    LoginRequest request;
    (void)parse_login(bytes_of(req), LoginForm::rdma_cm, request);
    CHECK_EQUAL(unsigned{row.read_as}, unsigned{request.required_formats});
  }
}

TEST(IuLogin, build_login_rsp__writes_G3) {
  const auto rsp =
      srp::build_login_rsp({}, {128, 8276, 320, MultiChannelResult::no_channel, false, false});
  CHECK_EQUAL(golden(srp::test::g3_login_rsp), to_hex(bytes_of(rsp)));
}

TEST(IuLogin, build_login_rsp__echoes_the_tag_and_tells_of_older_channels) {
  for (const unsigned result : {0U, 1U, 2U}) {
    const auto rsp = srp::build_login_rsp(
        command_tag, {1, 64, 40, static_cast<MultiChannelResult>(result), false, false});
    CHECK(rsp.tag == command_tag);
    BYTES_EQUAL(result, rsp.flags);
  }
}

TEST(IuLogin, build_login_rej__writes_G4) {
  const auto rej = srp::build_login_rej({}, LoginRejReason::unable_to_associate);
  CHECK_EQUAL(golden(srp::test::g4_login_rej), to_hex(bytes_of(rej)));
}

TEST(IuLogin, build_login_rej__echoes_the_tag) {
  for (std::uint32_t reason = 0x10000; reason <= 0x10006; ++reason) {
    const auto rej = srp::build_login_rej(task_tag, static_cast<LoginRejReason>(reason));
    CHECK(rej.tag == task_tag);
    CHECK_EQUAL(reason, std::uint32_t{rej.reason});
  }
}

TEST_GROUP(IuReply){};

TEST(IuReply, build_rsp__writes_G8_into_36_bytes) {
  CHECK_EQUAL(golden(srp::test::g8_rsp_good), built({}, 36));
}

TEST(IuReply, build_rsp__writes_G9) {
  CHECK_EQUAL(golden(srp::test::g9_rsp_underflow), built(result_of({}, {3584, 0}), 40));
}

TEST(IuReply, build_rsp__writes_G10) {
  const Bytes sense = from_hex("70000500 0000000a 00000000 0e030000 0000");
  const CmdResult result{2, {4096, 0}, {}, sense};
  CHECK_EQUAL(golden(srp::test::g10_rsp_sense), built(result, 54));
  CHECK_EQUAL(golden(srp::test::g10_rsp_sense), built(result, 320));
}

TEST(IuReply, build_rsp__sets_the_flag_and_the_field_of_each_residual) {
  const struct {
    CmdResult result;
    std::uint8_t flags;
    std::uint32_t out;
    std::uint32_t in;
  } rows[] = {
      {result_of({}, {}), 0x00, 0, 0},
      {result_of({0, 7}, {}), 0x04, 7, 0},
      {result_of({7, 0}, {}), 0x08, 7, 0},
      {result_of({}, {0, 9}), 0x10, 0, 9},
      {result_of({}, {9, 0}), 0x20, 0, 9},
      {result_of({7, 0}, {0, 9}), 0x18, 7, 9},
      {result_of({0, ~0U}, {~0U, 0}), 0x24, ~0U, ~0U},
  };
  for (const auto& row : rows) {
    Bytes iu(40);
    CHECK_EQUAL(36u, srp::build_rsp(iu, {{}, 1}, row.result));
    const auto rsp = value_of<srp::wire::Rsp>(iu);
    BYTES_EQUAL(row.flags, rsp.flags);
    CHECK_EQUAL(row.out, std::uint32_t{rsp.out_residual});
    CHECK_EQUAL(row.in, std::uint32_t{rsp.in_residual});
  }
}

TEST(IuReply, build_rsp__cuts_sense_to_the_room_there_is) {
  Bytes sense(252);
  for (std::size_t i = 0; i < sense.size(); ++i) sense[i] = static_cast<std::uint8_t>(i + 1);
  for (std::size_t capacity = 40; capacity < 320; ++capacity) {
    Bytes iu(capacity);
    const std::size_t bytes = srp::build_rsp(iu, {{}, 1}, {2, {}, {}, sense});
    const std::size_t expected = std::min<std::size_t>(252, capacity - 36);
    CHECK_EQUAL(36 + expected, bytes);
    const auto rsp = value_of<srp::wire::Rsp>(iu);
    CHECK_EQUAL(expected, std::size_t{rsp.sense_bytes});
    BYTES_EQUAL(0x02, rsp.flags);
    MEMCMP_EQUAL(sense.data(), iu.data() + 36, expected);
  }
}

TEST(IuReply, build_rsp__has_no_sense_where_there_is_none_or_no_room) {
  const Bytes sense(18, 0x70);
  Bytes iu(36);
  CHECK_EQUAL(36u, srp::build_rsp(iu, {{}, 1}, {2, {}, {}, sense}));
  BYTES_EQUAL(0, value_of<srp::wire::Rsp>(iu).flags);
  CHECK_EQUAL(0u, std::uint32_t{value_of<srp::wire::Rsp>(iu).sense_bytes});
}

TEST(IuReply, build_rsp__echoes_tag_status_and_delta) {
  const Tag tags[] = {
      {}, {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}}, task_tag, command_tag};
  for (const Tag& tag : tags) {
    for (const std::uint32_t delta : {0U, 1U, 2U, 4096U}) {
      Bytes iu(40);
      (void)srp::build_rsp(iu, {tag, delta}, {0x28, {}, {}, {}});
      const auto rsp = value_of<srp::wire::Rsp>(iu);
      CHECK(rsp.tag == tag);
      CHECK_EQUAL(delta, std::uint32_t{rsp.request_limit_delta});
      BYTES_EQUAL(0x28, rsp.status);
    }
  }
}

TEST(IuReply, build_task_rsp__writes_G12_into_40_bytes) {
  Bytes iu(40, 0xff);
  CHECK_EQUAL(40u, srp::build_task_rsp(iu, {task_tag, 2}, RspCode::complete));
  CHECK_EQUAL(golden(srp::test::g12_rsp_task), to_hex(iu));
}

TEST(IuReply, build_task_rsp__has_its_code_in_the_last_byte) {
  for (const unsigned code : {0U, 2U, 4U, 5U}) {
    Bytes iu(40, 0xff);
    CHECK_EQUAL(40u, srp::build_task_rsp(iu, {task_tag, 0}, static_cast<RspCode>(code)));
    CHECK_EQUAL(std::string{"000000"}, to_hex(std::span{iu}.subspan(36, 3)));
    BYTES_EQUAL(code, iu[39]);
  }
}
