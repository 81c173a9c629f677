// An I_T nexus of tgtd, and the life of the commands in it.
#include "plugin_api/nexus.h"

#include <optional>
#include <system_error>
#include <vector>

#include "tests/fake/scsi.h"
#include "tests/unit/harness.h"
#include "tests/unit/observe.h"
#include "tests/unit/tgtd_fixture.h"

using srp::fake::Fault;
using srp::test::last_words;
using srp::test::log_of;
using srp::tgt::Managed;
using srp::tgt::mgmt_req;
using srp::tgt::Nexus;
using srp::tgt::scsi_cmd;
using srp::tgt::Submitted;

namespace {

constexpr std::uint8_t lun1[8] = {0, 1};
constexpr std::uint8_t lun2[8] = {0, 2};

// A command with the buffers that tgtd wants.
struct Command {
  explicit Command(std::uint8_t opcode, const std::uint8_t (&lun)[8] = lun1) {
    cdb[0] = opcode;
    cdb[8] = 1;
    cmd.scb = cdb;
    cmd.scb_len = sizeof cdb;
    cmd.in_sdb.buffer = reinterpret_cast<std::uintptr_t>(pages);
    cmd.in_sdb.length = opcode == 0 ? 0 : 512;
    cmd.out_sdb.buffer = reinterpret_cast<std::uintptr_t>(pages + 4096);
    cmd.data_dir = opcode == 0 ? srp::tgt::DATA_NONE : srp::tgt::DATA_READ;
    std::copy(std::begin(lun), std::end(lun), cmd.lun);
  }
  alignas(4096) std::uint8_t pages[8192] = {};
  std::uint8_t cdb[16] = {};
  scsi_cmd cmd{};
};

constexpr std::uint8_t test_unit_ready = 0x00;
constexpr std::uint8_t read10 = 0x28;

}  // namespace

TEST_GROUP_BASE(Nexus, srp::test::TgtdTest) {
  static constexpr std::uint64_t id = 77;
  char info[32] = "            Connection: 1\n";
  srp::fake::Target& target = tgtd.create_target(1, "iqn.test");
  std::optional<Nexus> nexus;
  std::vector<scsi_cmd*> ended;
  unsigned in_flight_at_end = 0;
  std::vector<mgmt_req> managed;
  unsigned in_flight_when_managed = 0;

  void setup() override {
    tgtd.create_lu(target, 1, 8, false);
    tgtd.create_lu(target, 2, 8, false);
    nexus.emplace(1, id, info);
    target.find_nexus(id)->attentions.clear();
  }

  void teardown() override { nexus.reset(); }

  int command_ended(std::uint64_t nexus_id, int, scsi_cmd* cmd) override {
    CHECK(nexus_id == id);
    ended.push_back(cmd);
    in_flight_at_end = nexus->in_flight();
    return 0;
  }

  int management_ended(const mgmt_req& request) override {
    managed.push_back(request);
    in_flight_when_managed = nexus->in_flight();
    return 0;
  }

  int error_of(int tid, std::uint64_t nexus_id) {
    try {
      const Nexus other{tid, nexus_id, info};
    } catch (const std::system_error& error) {
      STRCMP_CONTAINS("it_nexus_create", error.what());
      return error.code().value();
    }
    return 0;
  }

  // command reaches the store.
  void start(Command & command) {
    CHECK(nexus->submit(command.cmd) == Submitted::accepted);
    CHECK(ended.empty());
  }

  void finish(Command & command) {
    tgtd.complete_one();
    CHECK(ended.back() == &command.cmd);
    nexus->retire(command.cmd);
  }
};

TEST(Nexus, is_known_to_tgtd_as_long_as_it_lives) {
  CHECK_EQUAL(1, nexus->tid());
  CHECK(nexus->id() == id);
  CHECK_EQUAL(0u, nexus->in_flight());
  CHECK(nexus->alive());
  const auto* known = target.find_nexus(id);
  CHECK(known != nullptr);
  POINTERS_EQUAL(info, known->info);
  nexus.reset();
  POINTERS_EQUAL(nullptr, target.find_nexus(id));
}

TEST(Nexus, throws_what_tgtd_says) {
  CHECK_EQUAL(ENOENT, error_of(2, 1));  // tgtd would follow a null pointer
  CHECK_EQUAL(EEXIST, error_of(1, id));
  CHECK_EQUAL(EINVAL, error_of(1, 0));
  world.faults.set(Fault::create, 1);
  CHECK_EQUAL(ENOMEM, error_of(1, 78));
  world.faults.clear();
  CHECK_EQUAL(0, error_of(1, 78));
}

TEST(Nexus, does_not_need_a_target_that_is_online) {
  tgtd.set_target_state(target, srp::tgt::SCSI_TARGET_OFFLINE);
  CHECK_EQUAL(0, error_of(1, 78));
}

TEST(Nexus, alive__ends_with_the_target) {
  CHECK(tgtd.delete_target(target, true, false));
  CHECK_FALSE(nexus->alive());
  CHECK_EQUAL(std::string{}, log_of([&] { nexus.reset(); }));
}

TEST(Nexus, submit__makes_every_command_simple_and_its_own) {
  Command command{read10};
  command.cmd.attribute = 0x22;
  start(command);
  CHECK_EQUAL(0x20, command.cmd.attribute);
  CHECK(command.cmd.cmd_itn_id == id);
  CHECK_EQUAL(1u, nexus->in_flight());
  CHECK_EQUAL(1u, tgtd.held());
  finish(command);
}

TEST(Nexus, submit__is_told_of_the_end_within_itself) {
  Command command{test_unit_ready};
  CHECK(nexus->submit(command.cmd) == Submitted::accepted);
  CHECK((ended == std::vector{&command.cmd}));
  CHECK_EQUAL(1u, in_flight_at_end);
  CHECK_EQUAL(1u, nexus->in_flight());
  nexus->retire(command.cmd);
  CHECK_EQUAL(0u, nexus->in_flight());
  CHECK_EQUAL(0u, tgtd.held());
}

TEST(Nexus, submit__to_an_offline_target_is_busy) {
  tgtd.set_target_state(target, srp::tgt::SCSI_TARGET_OFFLINE);
  Command command{test_unit_ready};
  CHECK(nexus->submit(command.cmd) == Submitted::target_busy);
  CHECK_EQUAL(0u, nexus->in_flight());
  CHECK(ended.empty());
}

TEST(Nexus, submit__without_a_target_finds_no_nexus) {
  CHECK(tgtd.delete_target(target, true, false));
  Command command{test_unit_ready};
  CHECK(nexus->submit(command.cmd) == Submitted::nexus_gone);
  CHECK_EQUAL(0u, nexus->in_flight());
}

TEST(Nexus, retire__gives_commands_back_one_by_one) {
  Command one{read10}, two{read10, lun2};
  start(one);
  start(two);
  CHECK_EQUAL(2u, nexus->in_flight());
  tgtd.complete_one();
  tgtd.complete_one();
  CHECK_EQUAL(2u, nexus->in_flight());
  nexus->retire(one.cmd);
  CHECK_EQUAL(1u, nexus->in_flight());
  CHECK_EQUAL(1u, tgtd.held());
  nexus->retire(two.cmd);
  CHECK_EQUAL(0u, nexus->in_flight());
}

TEST(Nexus, retire__of_what_is_not_in_flight_is_an_error_of_ours) {
  Command command{test_unit_ready};
  STRCMP_CONTAINS("in_flight_ > 0", last_words([&] { nexus->retire(command.cmd); }).c_str());
}

TEST(Nexus, must_not_end_before_its_commands) {
  Command command{read10};
  start(command);
  STRCMP_CONTAINS("in_flight_ == 0", last_words([&] { nexus.reset(); }).c_str());
  finish(command);
}

TEST(Nexus, manage__of_a_set_without_commands_is_answered_at_once) {
  CHECK(nexus->manage(5, srp::tgt::ABORT_TASK_SET, lun1) == Managed::pending_or_done);
  CHECK_EQUAL(1u, managed.size());
  CHECK(managed[0].mid == 5);
  CHECK_EQUAL(0, managed[0].result);
}

TEST(Nexus, manage__of_a_task_that_is_not_there_fails) {
  CHECK(nexus->manage(6, srp::tgt::ABORT_TASK, lun1) == Managed::failed);
  CHECK_EQUAL(1u, managed.size());
  CHECK(managed[0].mid == 6);
  CHECK(managed[0].result != 0);
}

TEST(Nexus, manage__of_what_tgtd_does_not_know_fails) {
  CHECK(nexus->manage(7, srp::tgt::CLEAR_ACA, lun1) == Managed::failed);
}

TEST(Nexus, manage__without_a_target_fails_in_silence) {
  CHECK(tgtd.delete_target(target, true, false));
  CHECK(nexus->manage(8, srp::tgt::LOGICAL_UNIT_RESET, lun1) == Managed::failed);
  CHECK(managed.empty());
}

TEST(Nexus, manage__waits_for_commands_and_is_answered_when_the_last_is_retired) {
  Command one{read10};
  start(one);
  CHECK(nexus->manage(9, srp::tgt::ABORT_TASK_SET, lun1) == Managed::pending_or_done);
  CHECK(managed.empty());
  tgtd.complete_one();
  CHECK(managed.empty());
  nexus->retire(one.cmd);
  CHECK_EQUAL(1u, managed.size());
  CHECK(managed[0].mid == 9);
  CHECK_EQUAL(0u, in_flight_when_managed);  // within retire(): the books are true already
}

TEST(Nexus, manage__names_its_unit) {
  Command one{read10}, two{read10, lun2};
  start(one);
  start(two);
  CHECK(nexus->manage(10, srp::tgt::LOGICAL_UNIT_RESET, lun2) == Managed::pending_or_done);
  tgtd.complete_one();
  tgtd.complete_one();
  nexus->retire(one.cmd);
  CHECK(managed.empty());
  nexus->retire(two.cmd);
  CHECK_EQUAL(1u, managed.size());
}
