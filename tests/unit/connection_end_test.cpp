// How a connection is taken down: by whom, at which moment, and what is left to wait for.
#include "lld_srp/connection.h"
#include "lld_srp/limits.h"
#include "tests/unit/observe.h"
#include "tests/unit/rig.h"

using namespace srp;
using namespace srp::test;

TEST_GROUP(ConnectionEnd) {
  std::unique_ptr<Rig> rig = std::make_unique<Rig>();
  Client* client = nullptr;

  void teardown() override { rig.reset(); }
  void log_in(const LoginOptions& options = {}) { client = &rig->log_in(options); }
  std::size_t connections() { return rig->listener().connections().size(); }
  Connection& connection() { return *rig->listener().connections().front(); }
  void check_gone() {
    CHECK_EQUAL(0U, connections());
    CHECK_EQUAL(0U, rig->port().sessions().size());
    CHECK_EQUAL(0U, rig->target().nexuses.size());
    CHECK_EQUAL(0U, rig->device().channels());
    CHECK_TRUE(rig->world.fabric->qps.empty());
  }
  // Messages and events, until the driver has heard of all; nothing of the fabric.
  void run_cm_and_loop() {
    for (int i = 0; i < 3; ++i) {
      rig->run_cm();
      rig->run_loop();
    }
  }
};

// ---- by the initiator ----

TEST(ConnectionEnd, on_disconnected__ends_everything_and_confirms) {
  log_in();
  client->disconnect();
  const std::string log = log_of([&] { run_cm_and_loop(); });
  STRCMP_CONTAINS("10.0.1.1:40001: channel closed: the initiator disconnected", log.c_str());
  check_gone();
  CHECK_TRUE(client->connection->timewait);  // the confirmation was sent
}

TEST(ConnectionEnd, on_disconnected__before_the_login_is_established) {
  log_in({.confirms = false});
  client->disconnect();
  run_cm_and_loop();
  check_gone();
}

TEST(ConnectionEnd, on_disconnected__while_the_login_is_being_answered) {
  client = &rig->connect({.confirms = false});
  rig->run_cm();
  rig->run_loop();  // accepted; the initiator does not know yet
  client->connection->send(fake::CmMessage::rej);
  const std::string log = log_of([&] { run_cm_and_loop(); });
  STRCMP_CONTAINS("channel closed: the initiator gave up its login", log.c_str());
  check_gone();
}

TEST(ConnectionEnd, on_disconnected__during_a_fetch) {
  log_in();
  rig->hand_in(*client, rig->write(*client, 1));
  CHECK_EQUAL(1U, Rig::qp(*client).sends.size());
  client->disconnect();
  run_cm_and_loop();
  check_gone();
  CHECK_EQUAL(0U, rig->device().buffers().bytes_in_use());
  CHECK_EQUAL(0U, rig->commits());
}

TEST(ConnectionEnd, on_disconnected__with_commands_in_tgtd_stays_until_they_are_back) {
  log_in();
  rig->lu().stalled = true;
  for (std::uint64_t tag = 1; tag <= 3; ++tag) client->send(rig->write(*client, tag));
  rig->run();
  client->disconnect();
  rig->run();
  CHECK_EQUAL(1U, connections());
  CHECK_TRUE(rig->world.fabric->qps.empty());  // the device touches none of their memory
  CHECK_FALSE(connection().done());
  rig->seconds(60);
  CHECK_EQUAL(1U, connections());
  rig->lu().stalled = false;
  rig->complete_one();
  rig->complete_one();
  CHECK_EQUAL(1U, connections());
  rig->complete_one();
  check_gone();
  CHECK_TRUE(client->answers.empty());
  CHECK_EQUAL(3U, rig->commits());
}

TEST(ConnectionEnd, on_disconnected__twice) {
  log_in();
  rig->lu().stalled = true;
  client->send(rig->write(*client, 1));
  rig->run();
  client->disconnect();
  rig->run();
  connection().on_disconnected("again");
  rig->run();
  CHECK_EQUAL(1U, connections());
  rig->lu().stalled = false;
  rig->run();
  check_gone();
}

TEST(ConnectionEnd, on_disconnected__end_of_timewait_alone_will_do) {
  log_in();
  rig->world.cm->raise(*client->connection->id, RDMA_CM_EVENT_TIMEWAIT_EXIT);
  const std::string log = log_of([&] { rig->run_loop(); });
  STRCMP_CONTAINS("channel closed: the connection has ended", log.c_str());
  check_gone();
}

TEST(ConnectionEnd, on_disconnected__crosses_our_own_request) {
  log_in();
  Rig::channel(*client).fail("test");
  rig->run_loop();  // the request is sent
  client->connection->send(fake::CmMessage::dreq);
  run_cm_and_loop();
  check_gone();
}

// ---- by the target ----

TEST(ConnectionEnd, close__asks_the_initiator_to_disconnect_and_waits_for_it) {
  log_in();
  Rig::channel(*client).fail("test");
  rig->run_loop();
  CHECK_TRUE(rig->world.fabric->qps.empty());
  CHECK_EQUAL(1U, connections());
  CHECK_TRUE(connection().session() == nullptr);
  CHECK_EQUAL(0U, rig->port().sessions().size());
  run_cm_and_loop();
  CHECK_TRUE(client->disconnected);
  check_gone();
}

TEST(ConnectionEnd, close__forgets_an_initiator_that_does_not_confirm) {
  log_in();
  Rig::channel(*client).fail("test");
  rig->run_loop();
  client->vanish();
  rig->run();
  rig->tick(disconnect_s_max * ticks_per_second - 1);
  CHECK_EQUAL(1U, connections());
  rig->tick();
  check_gone();
}

TEST(ConnectionEnd, close__the_wait_begins_when_the_commands_are_home) {
  log_in();
  rig->lu().stalled = true;
  client->send(rig->write(*client, 1));
  rig->run();
  Rig::channel(*client).fail("test");
  rig->run_loop();
  client->vanish();
  rig->seconds(2 * disconnect_s_max);
  rig->lu().stalled = false;
  rig->run();
  rig->tick(disconnect_s_max * ticks_per_second - 1);
  CHECK_EQUAL(1U, connections());
  rig->tick();
  check_gone();
}

TEST(ConnectionEnd, close__while_connecting_rejects_without_waiting) {
  log_in({.confirms = false});
  Rig::channel(*client).fail("test");
  rig->run_loop();
  CHECK_EQUAL(0U, connections());
  rig->run();
  CHECK_EQUAL(28, client->reject_reason);
  check_gone();
}

TEST(ConnectionEnd, close__on_a_device_that_is_gone_waits_for_nobody) {
  log_in();
  rig->device().mark_removed();
  Rig::channel(*client).fail("test");
  rig->run_loop();
  CHECK_EQUAL(0U, connections());
}

TEST(ConnectionEnd, close__answers_on_their_way_are_given_up) {
  log_in();
  rig->hand_in(*client, {.tag = 1});
  CHECK_EQUAL(1U, Rig::qp(*client).sends.size());
  Rig::channel(*client).fail("test");
  rig->run();
  CHECK_TRUE(client->answers.empty());
  check_gone();
}

TEST(ConnectionEnd, finish_closing__takes_a_failed_channel_down_at_once) {
  log_in();
  connection().finish_closing();
  CHECK_FALSE(rig->world.fabric->qps.empty());  // it has not failed
  Rig::channel(*client).fail("test");
  connection().finish_closing();
  CHECK_TRUE(rig->world.fabric->qps.empty());
  CHECK_TRUE(connection().session() == nullptr);
  CHECK_FALSE(connection().done());
  connection().finish_closing();
  CHECK_FALSE(connection().done());
}

TEST(ConnectionEnd, shut_down__disconnects_without_waiting) {
  log_in();
  connection().shut_down();
  CHECK_TRUE(rig->world.fabric->qps.empty());
  rig->run_cm();
  CHECK_TRUE(client->disconnected);
}

TEST(ConnectionEnd, leave_session__the_other_channels_of_the_session_go_on) {
  log_in();
  Client& other = rig->log_in({.action = wire::MultiChannelAction::multi});
  client->disconnect();
  rig->run();
  CHECK_EQUAL(1U, connections());
  CHECK_EQUAL(1U, Rig::session(other).channels().size());
  CHECK_FALSE(Rig::session(other).draining());
  CHECK_EQUAL(0U, rig->ask(other, {.tag = 1}).status());
}

TEST(ConnectionEnd, on_tick__of_a_closing_connection_changes_nothing) {
  log_in();
  rig->lu().stalled = true;
  client->send(rig->write(*client, 1));
  rig->run();
  client->disconnect();
  rig->run();
  for (int i = 0; i < 1000; ++i) connection().on_tick();
  rig->run();
  CHECK_EQUAL(1U, connections());
}
