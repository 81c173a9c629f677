// The parts of a driver together: what it begins with, and the end of a target.
#include "lld_srp/driver.h"

#include "tests/unit/observe.h"
#include "tests/unit/rig.h"

using namespace srp;
using namespace srp::test;

TEST_GROUP(Driver) {
  std::unique_ptr<Rig> rig;

  void teardown() override { rig.reset(); }
};

TEST(Driver, constructor__reads_the_configuration_it_is_pointed_to) {
  rig = std::make_unique<Rig>(RigOptions{.credits = 7});
  CHECK_EQUAL(rig->config.path(), rig->driver->config_file());
  CHECK_TRUE(rig->driver->config().file_found);
  CHECK_EQUAL(7U, rig->driver->config().settings.credits);
  CHECK_TRUE(rig->driver->listener() != nullptr);
}

TEST(Driver, constructor__a_broken_configuration_leaves_the_listener_out_and_says_why) {
  const std::string log =
      log_of([&] { rig = std::make_unique<Rig>(RigOptions{.more = "credits_max = 4;"}); });
  CHECK_EQUAL(1U, rig->driver->config().mistakes.size());
  CHECK_TRUE(rig->driver->listener() == nullptr);
  STRCMP_CONTAINS("credits_max", log.c_str());
  STRCMP_CONTAINS("not listening until the configuration is mended and tgtd is restarted",
                  log.c_str());
  CHECK_TRUE(rig->driver->ports().find(1) != nullptr);  // targets are there all the same
  rig->seconds(2);
  rig->driver->remove_target(1);
  CHECK_TRUE(rig->driver->ports().find(1) == nullptr);
}

TEST(Driver, constructor__a_named_file_that_is_missing_is_a_mistake) {
  rig = std::make_unique<Rig>();
  rig->driver.reset();
  setenv("TGT_SRP_CONF", "/nonexistent/srp.conf", 1);
  rig->driver.emplace();
  CHECK_EQUAL(1U, rig->driver->config().mistakes.size());
  CHECK_TRUE(rig->driver->listener() == nullptr);
}

TEST(Driver, constructor__without_a_device_it_waits_for_one) {
  rig = std::make_unique<Rig>(RigOptions{.device = false});
  CHECK_FALSE(rig->listener().problem().empty());
  rig->world.fabric->add_hca();
  rig->seconds(1);
  CHECK_TRUE(rig->listener().problem().empty());
  rig->log_in();
}

TEST(Driver, remove_target__ends_its_sessions_before_it_returns) {
  rig = std::make_unique<Rig>();
  Client& one = rig->log_in();
  Client& two = rig->log_in({.action = wire::MultiChannelAction::multi});
  rig->driver->remove_target(1);
  CHECK_EQUAL(0U, rig->target().nexuses.size());
  CHECK_TRUE(rig->driver->ports().all().empty());
  CHECK_TRUE(rig->world.fabric->qps.empty());
  rig->run();
  CHECK_TRUE(one.disconnected);
  CHECK_TRUE(two.disconnected);
}

TEST(Driver, remove_target__leaves_other_targets_alone) {
  rig = std::make_unique<Rig>();
  rig->make_target(2, "iqn.2024-01.org.example:other");
  rig->log_in();
  Client& other = rig->log_in({.tid = 2});
  rig->driver->remove_target(1);
  rig->run();
  CHECK_EQUAL(0U, rig->ask(other, {.tag = 1}).status());
  CHECK_EQUAL(1U, rig->driver->ports().all().size());
}

TEST(Driver, remove_target__that_it_does_not_have_is_nothing) {
  rig = std::make_unique<Rig>();
  Client& client = rig->log_in();
  rig->driver->remove_target(77);
  CHECK_EQUAL(0U, rig->ask(client, {.tag = 1}).status());
}

TEST(Driver, remove_target__through_tgtd_leaves_no_nexus) {
  rig = std::make_unique<Rig>();
  Client& client = rig->log_in();
  rig->hand_in(client, rig->write(client, 1));  // its data are on the way
  CHECK_TRUE(rig->world.tgtd->delete_target(rig->target(), true, true));
  rig->run();
  CHECK_TRUE(client.disconnected);
  CHECK_EQUAL(0U, rig->commits());
}

TEST(Driver, on_tick__a_target_deleted_behind_its_back_is_missed) {
  rig = std::make_unique<Rig>();
  Client& client = rig->log_in();
  CHECK_TRUE(rig->world.tgtd->delete_target(rig->target(), true, false));
  rig->tick();
  rig->run();
  CHECK_TRUE(client.disconnected);
  CHECK_TRUE(rig->driver->ports().all().empty());
}

TEST(Driver, on_tick__a_new_target_of_the_same_number_knows_nothing_of_the_old_one) {
  rig = std::make_unique<Rig>();
  Client& old = rig->log_in();
  CHECK_TRUE(rig->world.tgtd->delete_target(rig->target(), true, false));
  rig->make_target(1, "iqn.2024-01.org.example:next");
  rig->run();
  CHECK_TRUE(old.disconnected);
  Client& client = rig->log_in();
  CHECK_EQUAL(0U, rig->ask(client, {.tag = 1}).status());
  CHECK_EQUAL(1U, rig->target().nexuses.size());
  CHECK_TRUE(rig->target().nexuses.front()->itn_id != 1);
}

TEST(Driver, on_tick__service_that_stops_closes_the_sessions_of_offline_targets) {
  rig = std::make_unique<Rig>();
  Client& client = rig->log_in();
  rig->world.tgtd->set_system_available(false);
  rig->tick();
  CHECK_FALSE(client.disconnected);
  rig->world.tgtd->set_target_state(rig->target(), tgt::SCSI_TARGET_OFFLINE);
  rig->tick();
  rig->run();
  CHECK_TRUE(client.disconnected);
  CHECK_EQUAL(0U, rig->target().nexuses.size());
}

TEST(Driver, destructor__with_everything_alive_gives_everything_back) {
  rig = std::make_unique<Rig>();
  Client& one = rig->log_in();
  rig->log_in({.initiator = 2, .confirms = false});
  rig->hand_in(one, rig->write(one, 1));
  rig->hand_in(one, {.tag = 2});
  rig->connect();
}
