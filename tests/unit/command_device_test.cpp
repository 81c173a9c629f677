// Commands for units that are no disks of tgtd's: pass-through, tapes.
#include <scsi/sg.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <utility>

#include "lld_srp/command.h"
#include "plugin_api/passthrough.h"
#include "tests/unit/rig.h"

using namespace srp;
using namespace srp::test;

namespace {

void tgtds_own(int, int, void*) { fake::fail("tgtd itself reads from the device"); }

}  // namespace

TEST_GROUP(CommandForDevice) {
  tgt::backingstore_template sg{"sg"};
  char path[8] = "/dev/sg";
  int ends[2] = {-1, -1};
  tgt::backingstore_template* store = nullptr;
  std::unique_ptr<Rig> rig = std::make_unique<Rig>();
  Client* client = nullptr;

  void setup() override {
    client = &rig->log_in();
    fake::Lu& lu = rig->lu();
    CHECK_EQUAL(0, socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends));
    store = std::exchange(lu.bst, &sg);
    lu.path = path;
    lu.fd = ends[0];
    lu.size = 0;
    CHECK_EQUAL(0, tgt::tgt_event_add(lu.fd, EPOLLIN, tgtds_own, nullptr));
  }
  void teardown() override {
    rig->lu().bst = store;
    rig->lu().path = nullptr;
    tgt::tgt_event_del(ends[0]);
    rig.reset();
    close(ends[0]);
    close(ends[1]);
  }
  tgt::scsi_cmd& in_device() {
    tgt::scsi_cmd* const cmd = rig->world.tgtd->in_device();
    CHECK_TRUE(cmd != nullptr);
    return *cmd;
  }
  void complete(tgt::scsi_cmd & cmd, int status, int left) {
    sg_io_hdr done{};
    done.usr_ptr = &cmd;
    done.status = static_cast<unsigned char>(status);
    done.resid = left;
    done.sb_len_wr = static_cast<unsigned char>(status == 2 ? 18 : 0);
    done.dxfer_direction = cmd.data_dir == tgt::DATA_WRITE ? SG_DXFER_TO_DEV : SG_DXFER_FROM_DEV;
    CHECK_EQUAL(ssize_t{sizeof done}, write(ends[1], &done, sizeof done));
    rig->world.tgtd->wake(ends[0], EPOLLIN);
    rig->run();
  }
};

TEST(CommandForDevice, passthrough__device_gets_what_is_offered_and_pins_its_unit) {
  const CmdSpec spec{.tag = 3, .cdb = inquiry(36), .in = {client->offer(96)}};
  client->send(spec);
  rig->run();
  tgt::scsi_cmd& cmd = in_device();
  CHECK_EQUAL(96U, cmd.in_sdb.length);
  CHECK_EQUAL(6, cmd.scb_len);
  CHECK_EQUAL(1, rig->lu().cmd_queue.active_cmd);
  complete(cmd, 0, 60);
  CHECK_EQUAL(0U, client->answer_to(3).status());
  STRCMP_EQUAL("in-60", client->answer_to(3).residual_text().c_str());
  CHECK_EQUAL(0, rig->lu().cmd_queue.active_cmd);
}

TEST(CommandForDevice, passthrough__data_that_comes_with_check_condition_is_passed_on) {
  const CmdSpec spec{.tag = 3, .cdb = read_10(0, 2), .in = {client->offer(1024, 0xee)}};
  client->send(spec);
  rig->run();
  tgt::scsi_cmd& cmd = in_device();
  std::memset(reinterpret_cast<void*>(cmd.in_sdb.buffer), 0x5a, 512);
  cmd.sense_buffer[0] = 0x70;
  cmd.sense_buffer[2] = 0x01;  // RECOVERED ERROR
  complete(cmd, 2, 512);
  CHECK_EQUAL(2U, client->answer_to(3).status());
  STRCMP_EQUAL("1/0000", client->answer_to(3).sense_text().c_str());
  STRCMP_EQUAL("in-512", client->answer_to(3).residual_text().c_str());
  CHECK_EQUAL(0x5a, int{client->bytes_of(spec.in[0])[511]});
  CHECK_EQUAL(0xee, int{client->bytes_of(spec.in[0])[512]});
}

TEST(CommandForDevice, passthrough__too_many_commands_are_to_come_again) {
  rig->lu().cmd_queue.active_cmd = tgt::passthrough_commands_max;
  client->send(CmdSpec{.tag = 3});
  rig->run();
  CHECK_EQUAL(0x28U, client->answer_to(3).status());
  rig->lu().cmd_queue.active_cmd = 0;
}

TEST(CommandForDevice, passthrough__a_command_that_tgtd_does_not_take_pins_nothing) {
  rig->world.tgtd->set_target_state(rig->target(), tgt::SCSI_TARGET_OFFLINE);
  client->send(CmdSpec{.tag = 3});
  rig->run();
  CHECK_EQUAL(8U, client->answer_to(3).status());
  CHECK_EQUAL(0, rig->lu().cmd_queue.active_cmd);
}

TEST(CommandForDevice, passthrough__an_aborted_command_pins_its_unit_until_it_is_over) {
  client->send(CmdSpec{.tag = 3});
  rig->run();
  tgt::scsi_cmd& cmd = in_device();
  client->send_task(4, wire::TaskFunction::lun_reset, 0);
  rig->run();
  CHECK_FALSE(client->answered(4));
  CHECK_EQUAL(1, rig->lu().cmd_queue.active_cmd);
  complete(cmd, 0, 0);
  CHECK_FALSE(client->answered(3));
  CHECK_EQUAL(0, client->answer_to(4).code());
  CHECK_EQUAL(0, rig->lu().cmd_queue.active_cmd);
}

TEST(CommandForDevice, passthrough__both_directions_at_once_are_refused) {
  client->send(
      CmdSpec{.tag = 3, .cdb = {0xc5}, .out = {client->offer(8)}, .in = {client->offer(8)}});
  rig->run();
  STRCMP_EQUAL("5/2400", client->answer_to(3).sense_text().c_str());
}

TEST_GROUP(CommandForTape) {
  tgt::backingstore_template ssc{"ssc"};
  tgt::backingstore_template* store = nullptr;
  std::unique_ptr<Rig> rig = std::make_unique<Rig>();
  Client* client = nullptr;

  void setup() override {
    client = &rig->log_in();
    store = std::exchange(rig->lu().bst, &ssc);
    rig->lu().attrs.device_type = 0x01;
    rig->lu().mode_block_descriptor[6] = 0x02;  // 512 bytes
  }
  void teardown() override {
    rig->lu().bst = store;
    rig->lu().attrs.device_type = 0;
    rig.reset();
  }
};

TEST(CommandForTape, read__gets_room_for_all_that_tgtd_fills) {
  DataPlan plan;
  Cdb cdb{};
  CmdRequest request{};
  request.cdb = cdb;
  cdb = {0x08, 0x01, 0, 0, 20};
  request.in.bytes = 512;
  CHECK_EQUAL(0, int{make_plan(request, &rig->lu(), 1 << 20, plan)});
  CHECK_EQUAL(20U * 512, plan.in_bytes);
  CHECK_EQUAL(3U * 4096, plan.in_room);
  CHECK_TRUE(plan.zero_in);
  cdb = {0x08, 0x01, 0xff, 0xff, 0xff};
  CHECK_EQUAL(0x2400, int{make_plan(request, &rig->lu(), 1 << 20, plan)});
}

TEST(CommandForTape, write__needs_all_of_its_blocks) {
  client->send(CmdSpec{.tag = 3, .cdb = {0x0a, 0x01, 0, 0, 2}, .out = {client->offer(1023)}});
  rig->run();
  STRCMP_EQUAL("5/0e03", client->answer_to(3).sense_text().c_str());
}

TEST(CommandForTape, moved_by__what_comes_with_the_sense_data_of_a_short_record) {
  DataPlan plan;
  Cdb cdb{};
  CmdRequest request{};
  request.cdb = cdb;
  cdb = {0x08, 0x00, 0, 0x04, 0x00};
  request.in.bytes = 1024;
  CHECK_EQUAL(0, int{make_plan(request, &rig->lu(), 1 << 20, plan)});
  tgt::scsi_cmd cmd{};
  cmd.in_sdb.transfer_len = 700;  // tgtd's count is what is missing
  const std::uint8_t sense[] = {0xf0, 0, 0x20, 0, 0, 0x02, 0xbc};  // 700 are missing
  std::copy(std::begin(sense), std::end(sense), cmd.sense_buffer);
  cmd.sense_len = 18;
  CHECK_EQUAL(324U, moved_by(plan, request.cdb, cmd, sam_check_condition).in);
}
