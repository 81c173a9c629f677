// What show prints beyond admin_test.cpp: one session and its channels in full, times, logins.
#include "lld_srp/show.h"

#include "tests/unit/observe.h"
#include "tests/unit/rig.h"

using namespace srp;
using namespace srp::test;

TEST_GROUP(Show) {
  std::unique_ptr<Rig> rig;
  void make(const RigOptions& options = {}) { rig = std::make_unique<Rig>(options); }
  void teardown() override { rig.reset(); }

  Session& session(std::size_t index = 0) {
    return *rig->driver->ports().find(1)->sessions()[index];
  }
  std::string shown() {
    tgt::concat_buf out;
    show_session(*rig->driver, session(), &out);
    return out.text;
  }
};

TEST(Show, time_text__is_that_of_utc) {
  STRCMP_EQUAL("1970-01-01T00:00:00Z", time_text(0).c_str());
  STRCMP_EQUAL("2026-11-23T01:02:03Z", time_text(1795395723).c_str());
}

TEST(Show, failure_text__names_command_unit_status_and_sense) {
  STRCMP_EQUAL("opcode 0x28 of unit 7: status 0x02, sense 5/24/00",
               failure_text({1, 7, 0x28, 2, 5, 0x24, 0}).c_str());
}

TEST(Show, show_session__says_when_it_began_and_what_was_agreed) {
  make();
  rig->log_in();
  const std::string text = shown();
  STRCMP_CONTAINS(("State: live since " + time_text(session().since()) + "\n").c_str(),
                  text.c_str());
  STRCMP_CONTAINS("P_Key 0x", text.c_str());
  STRCMP_CONTAINS(" bytes to the target, ", text.c_str());
  CHECK_EQUAL(0U, occurrences(text, "Last failed command"));
  CHECK_EQUAL(0U, occurrences(text, "Last closed channel"));
}

TEST(Show, show_session__names_the_command_that_failed_last) {
  make();
  Client& client = rig->log_in();
  client.send(CmdSpec{.tag = 2, .cdb = Cdb{0xff}});
  rig->run();
  STRCMP_CONTAINS("Last failed command: ", shown().c_str());
  STRCMP_CONTAINS("opcode 0xff of unit 1: status 0x02, sense 5/", shown().c_str());
}

TEST(Show, show_session__names_why_a_channel_was_closed) {
  make();
  rig->log_in();
  Client& second = rig->log_in({.action = wire::MultiChannelAction::multi});
  second.disconnect();
  rig->run();
  STRCMP_CONTAINS("Last closed channel: ", shown().c_str());
  STRCMP_CONTAINS("the initiator disconnected", shown().c_str());
}

TEST(Show, show_system__names_settings_that_are_no_defaults) {
  make({.more = "keepalive_s = 7; t_logout = true;"});
  tgt::concat_buf out;
  show_system(*rig->driver, &out);
  STRCMP_CONTAINS("    Setting: keepalive_s = 7, default 30\n", out.text.c_str());
  STRCMP_CONTAINS("    Setting: t_logout = true, default false\n", out.text.c_str());
  CHECK_EQUAL(0U, occurrences(out.text, "Setting: rnr_timer"));
}

TEST(Show, login_text__is_what_add_target_wants) {
  make();
  const TargetPort& port = *rig->driver->ports().find(1);
  const Listener::Access access{{"fe80::1%eth0", 5001}, {}};
  STRCMP_EQUAL(("id_ext=" + hex64(id_ext(port.id())) + ",ioc_guid=" + hex64(ioc_guid(port.id())) +
                ",dest=[fe80::1%eth0]:5001")
                   .c_str(),
               login_text(port, access).c_str());
}

TEST(Show, login_text__over_infiniband_has_no_address) {
  make({.more =
            "targets = ( { name = \"iqn.2024-01.org.example:disk\"; pkeys = [ \"8001\" ]; } );"});
  const TargetPort& port = *rig->driver->ports().find(1);
  Listener::Access access{{"ib", 5000}, {}};
  access.path.local.ss_family = AF_IB;
  access.path.local_gid = {0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
  access.path.pkey = 0xffff;  // not this target's
  STRCMP_EQUAL("", login_text(port, access).c_str());
  access.path.pkey = 0x0001;  // a limited member
  STRCMP_EQUAL(("id_ext=" + hex64(id_ext(port.id())) + ",ioc_guid=" + hex64(ioc_guid(port.id())) +
                ",dgid=fe800000000000000000000000000001,pkey=0001,service_id=00000000013f1388")
                   .c_str(),
               login_text(port, access).c_str());
}

TEST(Show, show_portals__says_that_nobody_can_come_by_gid) {
  make({.portals = R"([ "ib" ])"});
  tgt::concat_buf out;
  show_portals(*rig->driver, &out);
  STRCMP_EQUAL("Portal: ib:5000 (no InfiniBand port here)\n", out.text.c_str());
  rig->hca().infiniband = true;
  tgt::concat_buf again;
  show_portals(*rig->driver, &again);
  STRCMP_CONTAINS("Portal: ib:5000\nid_ext", std::string{again.text}.replace(16, 7, "").c_str());
}

TEST(Show, show_target__names_those_that_share_its_port) {
  make({.more = "targets = ( { name = \"iqn.two\"; id_ext = \"0000000000000001\"; },"
                " { name = \"iqn.three\"; id_ext = \"0000000000000001\"; } );"});
  rig->world.tgtd->create_target(2, "iqn.two");
  rig->world.tgtd->create_target(3, "iqn.three");
  tgt::concat_buf out;
  show_target(*rig->driver, *rig->driver->ports().find(2), &out);
  STRCMP_CONTAINS("Shared with: target 3 iqn.three\n", out.text.c_str());
  CHECK_EQUAL(1U, occurrences(out.text, "Shared with"));
}
