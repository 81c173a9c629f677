// Pass-through units: a socket pair stands for a device of sg's, with the test at the other end.
#include "plugin_api/passthrough.h"

#include <fcntl.h>
#include <scsi/sg.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <utility>
#include <vector>

#include "plugin_api/target_view.h"
#include "tests/unit/observe.h"
#include "tests/unit/tgtd_fixture.h"

using namespace srp;

namespace {

alignas(4096) std::array<std::uint8_t, 4096> page;

void tgtds_own(int, int, void*) { fake::fail("tgtd itself reads from the device"); }

}  // namespace

TEST_GROUP_BASE(Passthrough, srp::test::TgtdTest) {
  fake::Target& target = tgtd.create_target(1, "iqn.one");
  fake::Lu& lu = tgtd.create_lu(target, 1, 0, false);
  tgt::backingstore_template sg{"sg"};
  char path[8] = "/dev/sg";
  char info[32] = " Connection: 0\n";
  int ends[2] = {-1, -1};
  tgt::scsi_cmd cmd{};
  std::vector<int> results;

  void setup() override {
    lu.bst = &sg;
    lu.path = path;
    open_device();
    CHECK_EQUAL(0, tgt::it_nexus_create(1, 7, 0, info));
  }
  void teardown() override {
    if (tgtd.watches(lu.fd)) tgt::tgt_event_del(lu.fd);
    close_device();
    lu.path = nullptr;
  }
  // As tgtd opens it, also anew.
  void open_device() {
    close_device();
    CHECK_EQUAL(0, socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends));
    lu.fd = ends[0];
    lu.size = 0;
    CHECK_EQUAL(0, tgt::tgt_event_add(lu.fd, EPOLLIN, tgtds_own, nullptr));
  }
  void close_device() {
    for (int& end : ends) {
      if (end >= 0) close(std::exchange(end, -1));
    }
  }
  int command_ended(std::uint64_t, int result, tgt::scsi_cmd* ended) override {
    POINTERS_EQUAL(&cmd, ended);
    results.push_back(result);
    return 0;
  }
  // A READ, or WRITE, of 512 bytes is with the device.
  void submit(bool write = false) {
    static std::array<std::uint8_t, 16> cdb;
    cmd = {};
    cmd.scb = cdb.data();
    cmd.scb_len = 10;
    cmd.cmd_itn_id = 7;
    cmd.lun[1] = 1;
    cmd.attribute = tgt::MSG_SIMPLE_TAG;
    cmd.in_sdb.buffer = cmd.out_sdb.buffer = reinterpret_cast<std::uint64_t>(page.data());
    (write ? cmd.out_sdb : cmd.in_sdb).length = 512;
    CHECK_TRUE(tgt::prepare_passthrough(lu));
    CHECK_EQUAL(0, tgt::target_cmd_queue(1, &cmd));
  }
  // It ends; the result that tgtd's driver is told.
  int complete(sg_io_hdr done) {
    done.usr_ptr = &cmd;
    if (done.dxfer_direction == 0) done.dxfer_direction = SG_DXFER_FROM_DEV;
    CHECK_EQUAL(ssize_t{sizeof done}, write(ends[1], &done, sizeof done));
    tgtd.wake(lu.fd, EPOLLIN);
    const int result = results.empty() ? -1 : results.back();
    results.clear();
    tgt::target_cmd_done(&cmd);
    return result;
  }
};

TEST(Passthrough, prepare__takes_the_device_over_once) {
  CHECK_TRUE(tgt::prepare_passthrough(lu));
  CHECK_TRUE((fcntl(lu.fd, F_GETFL) & O_NONBLOCK) != 0);
  tgtd.wake(lu.fd, EPOLLIN);
  CHECK_TRUE(tgt::prepare_passthrough(lu));
}

TEST(Passthrough, prepare__takes_over_a_device_that_tgtd_has_opened_anew) {
  CHECK_TRUE(tgt::prepare_passthrough(lu));
  tgt::tgt_event_del(lu.fd);
  open_device();
  CHECK_TRUE(tgt::prepare_passthrough(lu));
  tgtd.wake(lu.fd, EPOLLIN);
}

TEST(Passthrough, prepare__refuses_bsg_and_a_unit_without_a_device) {
  sg.bs_name = "bsg";
  CHECK_FALSE(tgt::prepare_passthrough(lu));
  sg.bs_name = "sg";
  lu.path = nullptr;
  CHECK_FALSE(tgt::prepare_passthrough(lu));
}

TEST(Passthrough, completion__says_what_was_moved) {
  submit();
  CHECK_EQUAL(0, complete({}));
  CHECK_EQUAL(512U, cmd.in_sdb.transfer_len);
  submit();
  sg_io_hdr shorter{};
  shorter.resid = 100;
  CHECK_EQUAL(0, complete(shorter));
  CHECK_EQUAL(412U, cmd.in_sdb.transfer_len);
  CHECK_EQUAL(100, cmd.in_sdb.resid);
  submit(true);
  shorter.dxfer_direction = SG_DXFER_TO_DEV;
  CHECK_EQUAL(0, complete(shorter));
  CHECK_EQUAL(412U, cmd.out_sdb.transfer_len);
}

TEST(Passthrough, completion__passes_status_and_sense_on) {
  submit();
  sg_io_hdr done{};
  done.status = 2;
  done.sb_len_wr = 18;
  done.driver_status = 8;  // there is sense data
  cmd.sense_buffer[2] = 3;
  CHECK_EQUAL(2, complete(done));
  CHECK_EQUAL(18, cmd.sense_len);
  CHECK_EQUAL(3, int{cmd.sense_buffer[2]});
  submit();
  CHECK_EQUAL(8, complete([] {
                sg_io_hdr busy{};
                busy.status = 8;
                busy.host_status = 1;
                return busy;
              }()));
}

TEST(Passthrough, completion__a_lost_command_is_no_success) {
  const struct {
    unsigned short host;
    unsigned short driver;
    std::uint8_t qualifier;
  } rows[] = {{7, 0, 0}, {1, 0, 0}, {3, 0, 1}, {0, 6, 0}};
  for (const auto& row : rows) {
    submit();
    sg_io_hdr lost{};
    lost.host_status = row.host;
    lost.driver_status = row.driver;
    CHECK_EQUAL(2, complete(lost));
    CHECK_EQUAL(0U, cmd.in_sdb.transfer_len);
    CHECK_EQUAL(0x0b, int{cmd.sense_buffer[2]});
    CHECK_EQUAL(0x08, int{cmd.sense_buffer[12]});
    CHECK_EQUAL(int{row.qualifier}, int{cmd.sense_buffer[13]});
    CHECK_EQUAL(18, cmd.sense_len);
  }
}

TEST(Passthrough, hang_up__ends_the_watch_when_nothing_is_left_to_come) {
  submit();
  tgt::pin(lu);
  tgtd.wake(lu.fd, EPOLLHUP);
  CHECK_TRUE(tgtd.watches(lu.fd));
  tgt::unpin(lu);
  const std::string log = srp::test::log_of([this] { tgtd.wake(lu.fd, EPOLLHUP); });
  STRCMP_CONTAINS("srp: unit 1 of target 1: its device is gone", log.c_str());
  CHECK_FALSE(tgtd.watches(lu.fd));
  tgt::target_cmd_io_done(&cmd, 0);
  tgt::target_cmd_done(&cmd);
}

TEST(Passthrough, hang_up__of_a_unit_that_is_deleted_is_nothing_to_tell) {
  CHECK_TRUE(tgt::prepare_passthrough(lu));
  const int fd = lu.fd;
  lu.fd = 0;
  const std::string log = srp::test::log_of([this, fd] { tgtd.wake(fd, EPOLLHUP); });
  CHECK_EQUAL(std::string::npos, log.find("gone"));
  CHECK_FALSE(tgtd.watches(fd));
}

TEST(Passthrough, pin__keeps_the_unit_and_counts_to_sgs_limit) {
  for (int i = 0; i < tgt::passthrough_commands_max; ++i) {
    CHECK_FALSE(tgt::is_full(lu));
    tgt::pin(lu);
  }
  CHECK_TRUE(tgt::is_full(lu));
  CHECK_FALSE(tgtd.delete_lu(target, 1));
  for (int i = 0; i < tgt::passthrough_commands_max; ++i) tgt::unpin(lu);
  CHECK_FALSE(tgt::is_full(lu));
}

TEST(Passthrough, concerns_more_than_the_unit__reservations_copies_and_other_units) {
  unsigned found = 0;
  for (unsigned opcode = 0; opcode < 256; ++opcode) {
    const std::array<std::uint8_t, 16> cdb{static_cast<std::uint8_t>(opcode)};
    if (tgt::concerns_more_than_the_unit(cdb)) ++found;
  }
  CHECK_EQUAL(9U, found);
  for (const std::uint8_t opcode :
       std::initializer_list<std::uint8_t>{0x16, 0x17, 0x56, 0x57, 0x5e, 0x5f, 0x83, 0x84, 0xa0}) {
    const std::array<std::uint8_t, 16> cdb{opcode};
    CHECK_TRUE(tgt::concerns_more_than_the_unit(cdb));
  }
}

TEST(Passthrough, cdb_bytes__by_command_group) {
  CHECK_EQUAL(6, tgt::cdb_bytes(0x1f));
  CHECK_EQUAL(10, tgt::cdb_bytes(0x28));
  CHECK_EQUAL(10, tgt::cdb_bytes(0x5a));
  CHECK_EQUAL(16, tgt::cdb_bytes(0x7f));
  CHECK_EQUAL(16, tgt::cdb_bytes(0x9e));
  CHECK_EQUAL(12, tgt::cdb_bytes(0xa8));
  CHECK_EQUAL(16, tgt::cdb_bytes(0xc1));
}
