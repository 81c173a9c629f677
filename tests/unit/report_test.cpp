// The report for programs: what stands in it, for which targets and sessions.
#include "lld_srp/report.h"

#include "tests/unit/observe.h"
#include "tests/unit/rig.h"

using namespace srp;
using namespace srp::test;

TEST_GROUP(Report) {
  std::unique_ptr<Rig> rig;
  void make(const RigOptions& options = {}) { rig = std::make_unique<Rig>(options); }
  void teardown() override { rig.reset(); }
  std::string all() { return report(*rig->driver, -1, 0); }
};

TEST(Report, tells_settings_as_they_are) {
  make({.more = "keepalive_s = 7; t_logout = true;"});
  const std::string text = all();
  STRCMP_CONTAINS("\"keepalive_s\": 7", text.c_str());
  STRCMP_CONTAINS("\"t_logout\": true", text.c_str());
  STRCMP_CONTAINS("\"version\": \"" TGT_SRP_VERSION "\"", text.c_str());
  STRCMP_CONTAINS("\"listening\": true", text.c_str());
  CHECK_EQUAL('\n', text.back());
}

TEST(Report, tells_targets_units_acls_and_sessions) {
  make();
  rig->log_in();
  rig->log_in({.initiator = 2});
  const std::string text = all();
  STRCMP_CONTAINS("\"tid\": 1", text.c_str());
  STRCMP_CONTAINS("\"backing_store\": \"rdwr\"", text.c_str());
  STRCMP_CONTAINS("\"initiator_addresses\": [\n        \"ALL\"", text.c_str());
  STRCMP_CONTAINS("\"initiator_port_id\": \"0x00000000000000000000000000000001\"", text.c_str());
  CHECK_EQUAL(2U, occurrences(text, "\"sid\": "));
  CHECK_EQUAL(2U, occurrences(text, "\"request_limit\": 4"));
}

TEST(Report, tells_one_target_or_session_only) {
  make();
  rig->log_in();
  rig->log_in({.initiator = 2});
  rig->world.tgtd->create_target(2, "iqn.two");
  CHECK_EQUAL(2U, occurrences(all(), "\"tid\": "));
  CHECK_EQUAL(1U, occurrences(report(*rig->driver, 2, 0), "\"tid\": "));
  CHECK_EQUAL(1U, occurrences(report(*rig->driver, 1, 2), "\"sid\": "));
}

TEST(Report, tells_the_command_that_failed_last) {
  make();
  Client& client = rig->log_in();
  CHECK_EQUAL(1U, occurrences(all(), "\"last_failed_command\": {}"));
  client.send(CmdSpec{.tag = 2, .cdb = Cdb{0xff}});
  rig->run();
  STRCMP_CONTAINS("\"opcode\": 255", all().c_str());
}

TEST(Report, tells_mistakes_where_nothing_listens) {
  make({.more = "credits_max = 4;"});
  const std::string text = all();
  STRCMP_CONTAINS("\"listening\": false", text.c_str());
  STRCMP_CONTAINS("credits_max", text.c_str());
  CHECK_EQUAL(0U, occurrences(text, "\"portals\""));
}
