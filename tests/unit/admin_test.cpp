// What tgtadm is shown, what it may change, and what it is told when it may not.
#include "lld_srp/admin.h"

#include "lld_srp/report.h"
#include "tests/unit/observe.h"
#include "tests/unit/rig.h"

using namespace srp;
using namespace srp::test;

namespace {

constexpr int every_mode[] = {tgt::MODE_SYSTEM,     tgt::MODE_TARGET, tgt::MODE_DEVICE,
                              tgt::MODE_PORTAL,     tgt::MODE_LLD,    tgt::MODE_SESSION,
                              tgt::MODE_CONNECTION, tgt::MODE_ACCOUNT};

}  // namespace

TEST_GROUP(Admin) {
  std::unique_ptr<Rig> rig;
  int result = -1;  // of the last request

  void make(const RigOptions& options = {}) { rig = std::make_unique<Rig>(options); }
  void teardown() override {
    rig.reset();
    trace_flags = 0;
  }

  std::string show(int mode, int tid = 1, std::uint64_t sid = 0) {
    tgt::concat_buf out;
    result = admin::show(*rig->driver, mode, tid, sid, &out);
    return out.text;
  }
  std::string stat(int mode, int tid = 1, std::uint64_t sid = 0) {
    tgt::concat_buf out;
    result = admin::stat(*rig->driver, mode, tid, sid, &out);
    return out.text;
  }
  std::string log;
};

// ---- show ----

TEST(Admin, show__system_says_what_there_is) {
  make();
  Client& client = rig->log_in();
  rig->lu().stalled = true;
  client.send(rig->write(client, 1));
  rig->run();
  const std::string text = show(tgt::MODE_SYSTEM, -1);
  CHECK_EQUAL(int{tgt::TGTADM_SUCCESS}, result);
  STRCMP_EQUAL(("SRP: version " TGT_SRP_VERSION "\n    Configuration: " + rig->config.path() +
                "\n    Setting: srp_max_req_size = 1024, default 8276\n"
                "    Setting: srpt_sq_size = 64, default 1024\n"
                "    Setting: credits = 4, default 128\n"
                "    Setting: command_mib_max = 1, default 16\n"
                "    Setting: buffer_mib = 16, default 256\n"
                "    Trace: none (0)\n    State: listening\n    Sessions: 1\n    Connections: 1\n"
                "    Device: fake0, channels 1, data memory 1 MiB registered, 4 KiB in use, "
                "0 commands waiting\n")
                   .c_str(),
               text.c_str());
}

TEST(Admin, show__system_names_what_is_traced) {
  make({.more = "trace_flag = 17;"});
  STRCMP_CONTAINS("    Trace: login,task (17)\n", show(tgt::MODE_SYSTEM).c_str());
}

TEST(Admin, show__system_without_a_device_says_why) {
  make({.device = false});
  STRCMP_CONTAINS("    State: there is no RDMA device (yet)\n", show(tgt::MODE_SYSTEM).c_str());
}

TEST(Admin, show__system_with_a_broken_configuration_names_the_mistakes) {
  make({.more = "credits_max = 4;"});
  const std::string text = show(tgt::MODE_SYSTEM);
  CHECK_EQUAL(int{tgt::TGTADM_SUCCESS}, result);
  STRCMP_CONTAINS("    Mistake: ", text.c_str());
  STRCMP_CONTAINS("credits_max", text.c_str());
  STRCMP_CONTAINS("State: not listening: mend the configuration", text.c_str());
}

TEST(Admin, show__system_with_the_defaults_says_that_there_is_no_file) {
  make();
  rig->driver.reset();
  unsetenv("TGT_SRP_CONF");
  rig->driver.emplace();
  if (rig->driver->config().file_found) return;  // this host has one
  STRCMP_CONTAINS("srp.conf (not there: defaults)\n", show(tgt::MODE_SYSTEM).c_str());
}

TEST(Admin, show__system_knows_a_removed_device) {
  make();
  rig->log_in();
  rig->device().mark_removed();
  STRCMP_CONTAINS("Device: fake0 (removed), channels 1", show(tgt::MODE_SYSTEM).c_str());
}

TEST(Admin, show__portals_and_why_they_do_not_listen) {
  make({.portals = R"([ "10.0.0.1", "[::1]:77" ])"});
  STRCMP_EQUAL("Portal: 10.0.0.1:5000\nPortal: [::1]:77\n", show(tgt::MODE_PORTAL, -1).c_str());
  CHECK_EQUAL(int{tgt::TGTADM_SUCCESS}, result);
  rig->world.faults.set(fake::Fault::listen, 1);
  CHECK_TRUE(admin::create_portals(*rig->driver, "portal=10.0.0.2"));
  STRCMP_CONTAINS("Portal: 10.0.0.2:5000 not listening: rdma_", show(tgt::MODE_PORTAL).c_str());
}

TEST(Admin, show__portals_without_a_device_share_the_reason) {
  make({.device = false});
  STRCMP_EQUAL("Portal: 10.0.0.1:5000 not listening: there is no RDMA device (yet)\n",
               show(tgt::MODE_PORTAL).c_str());
}

TEST(Admin, show__no_portals_with_a_broken_configuration) {
  make({.more = "credits_max = 4;"});
  STRCMP_EQUAL("", show(tgt::MODE_PORTAL).c_str());
  CHECK_EQUAL(int{tgt::TGTADM_SUCCESS}, result);
}

TEST(Admin, show__target_says_its_identifier_as_add_target_wants_it) {
  make({.more = R"(targets = (
      { name = "iqn.2024-01.org.example:disk"; id_ext = "00000000000000ab"; } );)"});
  STRCMP_EQUAL(
      "Target port: 0x00000000000000ab0002c90300a1b2c3\n"
      "id_ext=00000000000000ab\nioc_guid=0002c90300a1b2c3\n",
      show(tgt::MODE_TARGET).c_str());
  CHECK_EQUAL(int{tgt::TGTADM_SUCCESS}, result);
}

TEST(Admin, show__target_works_with_a_broken_configuration) {
  make({.more = "credits_max = 4;"});
  STRCMP_CONTAINS("id_ext=", show(tgt::MODE_TARGET).c_str());
  CHECK_EQUAL(int{tgt::TGTADM_SUCCESS}, result);
}

TEST(Admin, show__connections_of_each_session) {
  make();
  Client& one = rig->log_in();
  rig->log_in({.action = wire::MultiChannelAction::multi, .confirms = false});
  rig->log_in({.initiator = 2});
  rig->lu().stalled = true;
  one.send(rig->write(one, 1));
  one.send({.tag = 2, .cdb = write_10(0, 1)});
  one.send_task(3, wire::TaskFunction::clear_aca, 0);
  rig->run();
  const std::string text = show(tgt::MODE_CONNECTION);
  STRCMP_CONTAINS(
      "Session: 1\n    Initiator: 0x00000000000000000000000000000001\n    State: live since ",
      text.c_str());
  STRCMP_CONTAINS(
      "    Commands: 2, 1 outstanding, 1 with tgtd, 1 failed; tasks: 1; bytes in: 0, "
      "out: 0\n",
      text.c_str());
  STRCMP_CONTAINS("    Connection: 1\n        10.0.1.1:40001 at 10.0.0.1, device fake0 port ",
                  text.c_str());
  STRCMP_CONTAINS("        request limit 4: 3 with the initiator, 1 served, 0 wait for memory\n",
                  text.c_str());
  CHECK_EQUAL(1U, occurrences(text, ", not established\n"));
  STRCMP_CONTAINS("    Connection: 2\n", text.c_str());
  STRCMP_CONTAINS("Session: 2\n", text.c_str());
}

TEST(Admin, show__connections_of_one_session_only) {
  make();
  rig->log_in();
  rig->log_in({.initiator = 2});
  const std::string text = show(tgt::MODE_CONNECTION, 1, 2);
  CHECK_EQUAL(1U, occurrences(text, "Session: "));
  STRCMP_CONTAINS("Session: 2\n", text.c_str());
}

TEST(Admin, show__a_session_that_drains_says_so) {
  make();
  Client& client = rig->log_in();
  rig->lu().stalled = true;
  client.send(rig->write(client, 1));
  rig->run();
  rig->log_in();  // a single login: the old session makes way
  rig->run();
  const std::string text = show(tgt::MODE_CONNECTION);
  STRCMP_CONTAINS("State: draining since ", text.c_str());
  STRCMP_CONTAINS("State: live since ", text.c_str());
}

TEST(Admin, show__of_a_target_that_there_is_not) {
  make();
  for (const int tid : {0, 77}) {
    log = log_of([&] { show(tgt::MODE_TARGET, tid); });
    CHECK_EQUAL(int{tgt::TGTADM_NO_TARGET}, result);
    STRCMP_CONTAINS(("show: there is no SRP target " + std::to_string(tid)).c_str(), log.c_str());
    show(tgt::MODE_CONNECTION, tid);
    CHECK_EQUAL(int{tgt::TGTADM_NO_TARGET}, result);
  }
  show(tgt::MODE_TARGET, -1);
  CHECK_EQUAL(int{tgt::TGTADM_NO_TARGET}, result);
  CHECK_TRUE(rig->world.tgtd->delete_target(rig->target(), true, false));
  show(tgt::MODE_TARGET);
  CHECK_EQUAL(int{tgt::TGTADM_NO_TARGET}, result);
}

TEST(Admin, show__connections_of_all_targets_where_none_is_named) {
  make();
  rig->log_in();
  const std::string text = show(tgt::MODE_CONNECTION, -1);
  CHECK_EQUAL(int{tgt::TGTADM_SUCCESS}, result);
  STRCMP_CONTAINS(("Target 1: " + rig->target().name_text + "\nSession: 1\n").c_str(),
                  text.c_str());
}

TEST(Admin, show__of_a_session_that_there_is_not) {
  make();
  rig->log_in();
  log = log_of([&] { STRCMP_EQUAL("", show(tgt::MODE_CONNECTION, 1, 77).c_str()); });
  CHECK_EQUAL(int{tgt::TGTADM_NO_CONNECTION}, result);
  STRCMP_CONTAINS("there is no session 77", log.c_str());
}

TEST(Admin, show__other_modes_have_nothing) {
  make();
  for (const int mode : every_mode) {
    if (mode == tgt::MODE_SYSTEM || mode == tgt::MODE_PORTAL || mode == tgt::MODE_TARGET ||
        mode == tgt::MODE_CONNECTION) {
      continue;
    }
    STRCMP_EQUAL("", show(mode).c_str());
    CHECK_EQUAL(int{tgt::TGTADM_INVALID_REQUEST}, result);
  }
}

// ---- stat ----

TEST(Admin, stat__a_line_for_each_unit_that_a_session_has_used) {
  make();
  rig->log_in();
  rig->log_in({.initiator = 2});
  tgt::it_nexus_lu_info used[2]{};
  for (std::size_t i = 0; i < 2; ++i) {
    used[i].lu = &rig->lu(i + 1);
    fake::list_add_tail(used[i].itn_itl_info_siblings, rig->target().nexuses[i]->itn_itl_info_list);
  }
  for (const int tid : {1, -1}) {
    STRCMP_EQUAL("tgt lun sid\n1 1 1\n1 2 2\n", stat(tgt::MODE_SESSION, tid).c_str());
    STRCMP_EQUAL("tgt lun sid\n1 2 2\n", stat(tgt::MODE_SESSION, tid, 2).c_str());
    CHECK_EQUAL(int{tgt::TGTADM_SUCCESS}, result);
  }
}

TEST(Admin, stat__of_connections_is_the_report) {
  make();
  rig->log_in();
  STRCMP_EQUAL(report(*rig->driver, 1, 0).c_str(), stat(tgt::MODE_CONNECTION).c_str());
  CHECK_EQUAL(int{tgt::TGTADM_SUCCESS}, result);
  STRCMP_EQUAL(report(*rig->driver, -1, 0).c_str(), stat(tgt::MODE_CONNECTION, -1).c_str());
}

TEST(Admin, stat__of_a_session_or_target_that_there_is_not) {
  make();
  rig->log_in();
  stat(tgt::MODE_SESSION, 1, 77);
  CHECK_EQUAL(int{tgt::TGTADM_NO_SESSION}, result);
  stat(tgt::MODE_CONNECTION, 1, 77);
  CHECK_EQUAL(int{tgt::TGTADM_NO_CONNECTION}, result);
  stat(tgt::MODE_CONNECTION, 2);
  CHECK_EQUAL(int{tgt::TGTADM_NO_TARGET}, result);
}

TEST(Admin, stat__other_modes_have_none) {
  make();
  for (const int mode : every_mode) {
    if (mode == tgt::MODE_SESSION || mode == tgt::MODE_CONNECTION) continue;
    STRCMP_EQUAL("", stat(mode).c_str());
    CHECK_EQUAL(int{tgt::TGTADM_INVALID_REQUEST}, result);
  }
}
