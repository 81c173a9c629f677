// IUs known byte by byte. Those that an initiator sends are compared with what this program makes,
// so that its own mistakes are found, then sent with only the addresses replaced; answers are
// compared as a whole.
#include <algorithm>
#include <cstring>

#include "cases.h"
#include "check.h"
#include "tasks.h"

namespace conformance {

namespace {

const char* const login_req =
    "00000000 00000000 00068000 00002044 00000000 00000000 505400ff fe4a0b7b"
    "0002c903 00a34270 0002c903 00a34270 00440000 00000000";
const char* const login_req_full =
    "00000000 00000000 00000000 00000000 00002044 00000000 00068000 00440000"
    "00000000 00000000 505400ff fe4a0b7b 0002c903 00a34270 0002c903 00a34270";
const char* const login_rej =
    "c2000000 00010003 00000000 00000000 00000000 00000000 00060000 00000000";
const char* const read_direct =
    "02000000 00010000 2a000100 00000000 00000000 00010000 00000000 00000000"
    "28000000 10000000 08000000 00000000 00007f00 12345000 00a1b2c3 00001000";
const char* const write_indirect =
    "02000000 00200200 2a000100 00000000 00000000 00010000 00000000 00000000"
    "2a000000 10000000 10000000 00000000 00007f00 55550000 00a1b2c4 00000020"
    "00002000 00007f00 12345000 00a1b2c3 00001000 00007f00 12347000 00a1b2c3"
    "00001000";
const char* const write_immediate =
    "02000000 00300000 2a000100 00000000 00000000 00010000 00000000 00000000"
    "2a000000 10000000 01000000 00000000 00000200";
const char* const rsp_good =
    "c1000000 00000001 2a000100 00000000 00000000 00000000 00000000 00000000 00000000";
const char* const rsp_under =
    "c1000000 00000001 2a000100 00000000 00002000 00000000 00000e00 00000000 00000000";
const char* const rsp_refused =
    "c1000000 00000001 2a000100 00000000 00000a02 00001000 00000000 00000012 00000000"
    "70000500 0000000a 00000000 0e030000 0000";
const char* const abort_task =
    "01000000 00000000 01000080 00000000 00000000 00010000 00000000 00000100"
    "2a000100 00000000 00000000 00000000";
const char* const rsp_task =
    "c1000000 00000001 01000080 00000000 00000100 00000000 00000000 00000000 00000004 00000000";

constexpr Tag command_tag = 0x0001002a, task_tag = 0x80000001;
constexpr std::array<std::uint8_t, 8> unit_1 = {0, 1};

void must_equal(const char* what, View made, const char* golden) {
  const Bytes known = from_hex(golden);
  const std::ptrdiff_t at = difference(known, made);
  check(at < 0, what, " differs at byte ", at, ": ", to_hex(made), ", should be ", to_hex(known));
}

Command golden_command(Bytes cdb) {
  Command command;
  command.tag = command_tag;
  command.lun = unit_1;
  command.cdb = std::move(cdb);
  return command;
}

void encodes_login(Lab&) {
  LoginRequest request;
  request.iu_bytes = 8260;
  request.flags = login::immediate_requested;
  request.immediate_offset = 68;
  request.initiator = {0, 0x505400fffe4a0b7b};
  request.target = {0x0002c90300a34270, 0x0002c90300a34270};
  must_equal("LOGIN_REQ", request.encode(), login_req);
  must_equal("LOGIN_REQ of 64 bytes", request.encode_full(), login_req_full);
}

void encodes_requests(Lab&) {
  Command read = golden_command(cdb::read_10(0x1000, 8));
  read.in = direct({0x7f0012345000, 0xa1b2c3, 0x1000});
  must_equal("READ(10)", read.encode(), read_direct);

  Command write = golden_command(cdb::write_10(0x1000, 16));
  write.out = indirect({{0x7f0012345000, 0xa1b2c3, 0x1000}, {0x7f0012347000, 0xa1b2c3, 0x1000}});
  write.out.table = {0x7f0055550000, 0xa1b2c4, 0x20};
  must_equal("WRITE(10)", write.encode(), write_indirect);

  Command immediate = golden_command(cdb::write_10(0x1000, 1));
  immediate.out = {Format::immediate, {}, {}, 512};
  const Bytes iu = immediate.encode_immediate(Bytes(512, 0xaa), 68);
  check(iu.size() == 580, "WRITE(10) with immediate data has ", iu.size(), " bytes");
  must_equal("WRITE(10) with immediate data", View(iu).first(52), write_immediate);

  TaskManagement task;
  task.tag = task_tag;
  task.lun = unit_1;
  task.function = task::abort_task;
  task.managed = command_tag;
  must_equal("ABORT TASK", task.encode(), abort_task);
}

// Memory, and the unit if it is not 1, are put in the places of the golden ones.
Bytes placed(Lab& lab, const char* golden,
             std::initializer_list<std::pair<std::size_t, Descriptor>> places) {
  Bytes iu = from_hex(golden);
  iu[offset::lun + 1] = lab.options().lun;
  for (const auto& [at, memory] : places) {
    put(iu, at, memory.address, 8);
    put(iu, at + 8, memory.key, 4);
  }
  return iu;
}

void read_is_answered(Lab& lab) {
  Workbench bench(lab);
  const Response good = bench.run(placed(lab, read_direct, {{48, bench.in.at(0, 4096)}}));
  must_equal("the response", good.raw, rsp_good);
  Bytes one_block = placed(lab, read_direct, {{48, bench.in.at(0, 4096)}});
  one_block[40] = 1;
  must_equal("the response with DIUNDER", bench.run(one_block).raw, rsp_under);
}

void write_is_answered(Lab& lab) {
  Workbench bench(lab);
  const Bytes iu =
      placed(lab, write_indirect, {{68, bench.out.at(0, 4096)}, {84, bench.out.at(4096, 4096)}});
  must_equal("the response", bench.run(iu).raw, rsp_good);
  const Bytes now = lab.read(bench.channel, 0x1000, 8192);
  check(difference(now, bench.out.view(0, 8192)) < 0, "the disk has something else");
}

void refusal_is_answered(Lab& lab) {
  Workbench bench(lab);
  Command write = golden_command(cdb::write_10(0, 8));
  write.lun = lab.lun();
  write.out = direct(bench.out.at(0, 4096));
  Bytes iu = write.encode();
  iu[offset::attribute] = 7;
  const Response response = bench.run(iu);
  if (!lab.options().strict && response.status == status::good)
    skip("the attribute is taken as another");
  must_equal("the response", response.raw, rsp_refused);
}

void login_is_refused(Lab& lab) {
  LoginRequest request = lab.request();
  request.tag = 0;
  request.target.guid ^= 1;
  const Attempt attempt = lab.attempt(request);
  check(attempt.answer.rejected, "accepted");
  if (attempt.answer.private_data.empty()) skip("no private data of a refusal is delivered");
  must_equal("LOGIN_REJ", View(attempt.answer.private_data).first(32), login_rej);
}

void task_is_answered(Lab& lab) {
  Channel& channel = lab.login();
  const Response response = channel.run(placed(lab, abort_task, {}));
  if (!lab.options().strict && response.response.size() == 4 &&
      response.response[3] == task::failed) {
    return lab.remark("the task is not there: code 5");
  }
  must_equal("the response", response.raw, rsp_task);
}

const Case cases[] = {
    {"golden/encodes_login", "13 G1, G2", "this program's own encoder is right", encodes_login},
    {"golden/encodes_requests", "13 G5, G6, G7, G11", "this program's own encoder is right",
     encodes_requests},
    {"golden/login_is_refused", "13 G4", "LOGIN_REJ byte by byte", login_is_refused},
    {"golden/read_is_answered", "13 G5, G8, G9", "SRP_RSP byte by byte", read_is_answered},
    {"golden/write_is_answered", "13 G6, G8", "SRP_RSP byte by byte", write_is_answered},
    {"golden/refusal_is_answered", "13 G10", "SRP_RSP byte by byte, sense of fixed format",
     refusal_is_answered},
    {"golden/task_is_answered", "13 G11, G12", "SRP_RSP byte by byte", task_is_answered},
};

}  // namespace

std::span<const Case> golden_cases() { return cases; }

}  // namespace conformance
