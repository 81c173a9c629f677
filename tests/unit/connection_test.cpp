// What a connection makes of the IUs that arrive, and of the first things that the CM says.
#include "lld_srp/connection.h"

#include "lld_srp/limits.h"
#include "tests/unit/observe.h"
#include "tests/unit/rig.h"

using namespace srp;
using namespace srp::test;

TEST_GROUP(Connection) {
  std::unique_ptr<Rig> rig = std::make_unique<Rig>();
  Client* client = nullptr;

  void teardown() override { rig.reset(); }
  void log_in(const LoginOptions& options = {}) { client = &rig->log_in(options); }

  // The channel is closed for this IU; the log says why.
  void check_closed(const Bytes& iu, const char* why) {
    log_in();
    const std::string log = log_of([&] {
      client->send(iu);
      rig->run();
    });
    STRCMP_CONTAINS(why, log.c_str());
    CHECK_TRUE(client->disconnected);
    CHECK_TRUE(client->answers.empty());
    CHECK_EQUAL(0U, rig->listener().connections().size());
  }
  void check_ignored(wire::Opcode opcode) {
    const std::uint32_t held = Rig::channel(*client).credits().held();
    client->send(build_plain(opcode));
    rig->run();
    CHECK_TRUE(client->answers.empty());
    CHECK_FALSE(client->disconnected);
    CHECK_EQUAL(held, Rig::channel(*client).credits().held());
    CHECK_EQUAL(8U, Rig::qp(*client).receives.size());
  }
};

// ---- on_receive ----

TEST(Connection, on_receive__nothing_at_all_ends_the_channel) {
  check_closed({}, "IU of 0 bytes, opcode 0x00: not a request");
}

TEST(Connection, on_receive__what_is_no_request_ends_the_channel) {
  for (const int opcode : {0x00, 0x04, 0x3f, 0x80, 0x81, 0xc0, 0xc1, 0xff}) {
    Bytes iu(64);
    iu[0] = static_cast<std::uint8_t>(opcode);
    check_closed(iu, "channel closed: protocol error: invalid IU");
  }
}

TEST(Connection, on_receive__iu_shorter_than_its_kind_ends_the_channel) {
  Bytes command = build({.tag = 1});
  command.resize(47);
  check_closed(command, "IU of 47 bytes, opcode 0x02: not a request");
  Bytes task = build_task(1, 1, 2);
  task.resize(47);
  check_closed(task, "IU of 47 bytes, opcode 0x01: not a request");
}

TEST(Connection, on_receive__logout_ends_the_channel) {
  check_closed(build_plain(wire::Opcode::i_logout), "channel closed: the initiator logged out");
}

TEST(Connection, on_receive__iu_longer_than_the_receives_ends_the_channel) {
  log_in();
  client->send(Bytes(1025));
  rig->run();
  CHECK_EQUAL(0U, rig->listener().connections().size());
}

TEST(Connection, on_receive__responses_of_the_initiator_are_ignored_and_cost_nothing) {
  log_in();
  for (int i = 0; i < 20; ++i) {
    check_ignored(wire::Opcode::cred_rsp);
    check_ignored(wire::Opcode::aer_rsp);
  }
}

TEST(Connection, on_receive__more_requests_than_credits_end_the_channel) {
  log_in();
  rig->lu().stalled = true;
  for (std::uint64_t tag = 1; tag <= 4; ++tag) client->send(rig->read(*client, tag));
  rig->run();
  CHECK_FALSE(client->disconnected);
  client->overdrawn = true;
  client->send(CmdSpec{.tag = 5});
  const std::string log = log_of([&] { rig->run(); });
  STRCMP_CONTAINS("protocol error: more requests than the request limit", log.c_str());
  CHECK_TRUE(client->disconnected);
}

TEST(Connection, on_receive__tasks_cost_credits_as_commands_do) {
  log_in();
  rig->lu().stalled = true;
  for (std::uint64_t tag = 1; tag <= 3; ++tag) client->send(rig->read(*client, tag));
  client->send_task(9, wire::TaskFunction::abort_task, 1);
  rig->run();
  CHECK_EQUAL(0U, Rig::channel(*client).credits().held());
  client->overdrawn = true;
  client->send_task(10, wire::TaskFunction::abort_task, 1);
  rig->run();
  CHECK_TRUE(client->disconnected);
}

TEST(Connection, on_receive__tags_may_be_any) {
  log_in();
  for (const std::uint64_t tag : {std::uint64_t{0}, ~std::uint64_t{0}, std::uint64_t{1} << 31}) {
    CHECK_EQUAL(0U, rig->ask(*client, {.tag = tag}).status());
  }
}

// ---- parked requests ----

// The initiator has its response and asks again before the target knows that it was sent.
TEST(Connection, serve_parked__requests_wait_for_a_command_that_is_still_being_sent) {
  log_in();
  for (std::uint64_t tag = 1; tag <= 4; ++tag) rig->hand_in(*client, {.tag = tag});
  CHECK_EQUAL(4U, Rig::qp(*client).sends.size());
  CHECK_EQUAL(4U, Rig::channel(*client).credits().held());
  const std::uint64_t queued = rig->world.tgtd->queued;
  for (std::uint64_t tag = 5; tag <= 7; ++tag) rig->hand_in(*client, {.tag = tag});
  CHECK_EQUAL(queued, rig->world.tgtd->queued);
  CHECK_EQUAL(1U, Rig::channel(*client).credits().held());
  rig->run();
  for (std::uint64_t tag = 1; tag <= 7; ++tag) {
    CHECK_EQUAL(tag, client->answers.at(tag - 1).tag());
  }
}

TEST(Connection, serve_parked__a_task_does_not_overtake_parked_commands) {
  log_in();
  for (std::uint64_t tag = 1; tag <= 4; ++tag) rig->hand_in(*client, {.tag = tag});
  rig->hand_in(*client, {.tag = 5});
  client->send_task(9, wire::TaskFunction::abort_task, 5);
  rig->deliver(*client);
  rig->run_loop();
  CHECK_EQUAL(0U, Rig::session(*client).stats().tasks);
  rig->run();
  CHECK_EQUAL(5U, client->answers.at(4).tag());
  CHECK_EQUAL(9U, client->answers.at(5).tag());
}

TEST(Connection, serve_parked__a_task_starts_although_all_commands_are_busy) {
  log_in();
  rig->lu().stalled = true;
  for (std::uint64_t tag = 1; tag <= 3; ++tag) client->send(rig->read(*client, tag));
  rig->run();
  client->send_task(9, wire::TaskFunction::abort_task, 77);
  rig->run();
  CHECK_EQUAL(0, client->answer_to(9).code());
}

TEST(Connection, serve_parked__tasks_wait_for_one_that_is_still_being_sent) {
  log_in();
  for (std::uint64_t tag = 1; tag <= 6; ++tag) {
    client->send_task(tag, wire::TaskFunction::abort_task, 77);
    rig->deliver(*client);
    rig->run_loop();
  }
  CHECK_EQUAL(4U, Rig::session(*client).stats().tasks);
  rig->run();
  CHECK_EQUAL(6U, client->answers.size());
}

TEST(Connection, close__parked_requests_go_with_the_channel) {
  log_in();
  for (std::uint64_t tag = 1; tag <= 6; ++tag) rig->hand_in(*client, {.tag = tag});
  const std::uint64_t commands = Rig::session(*client).stats().commands;
  CHECK_EQUAL(4U, commands);
  Rig::channel(*client).fail("test");
  rig->run();
  CHECK_EQUAL(0U, rig->listener().connections().size());
}

// ---- the login ----

TEST(Connection, constructor__knows_both_addresses) {
  log_in();
  STRCMP_EQUAL("10.0.1.1:40001", Rig::connection(*client).peer().c_str());
  STRCMP_EQUAL("10.0.0.1", srp::to_string(Rig::connection(*client).path().local).c_str());
}

TEST(Connection, on_established__makes_it_live) {
  log_in({.confirms = false});
  CHECK_FALSE(Rig::connection(*client).established());
  client->connection->send(fake::CmMessage::rtu);
  rig->run();
  CHECK_TRUE(Rig::connection(*client).established());
}

TEST(Connection, on_receive__the_first_iu_stands_for_a_confirmation_that_was_lost) {
  log_in({.confirms = false});
  CHECK_EQUAL(0U, rig->ask(*client, {.tag = 1}).status());
  CHECK_TRUE(Rig::connection(*client).established());
  CHECK_TRUE(client->connection->id->state == fake::CmId::State::established);
  rig->seconds(40);  // longer than a login may take
  CHECK_FALSE(client->disconnected);
}

TEST(Connection, on_tick__login_that_is_never_completed_ends_when_its_time_is_over) {
  log_in({.confirms = false});
  rig->tick(30 * ticks_per_second - 1);
  CHECK_FALSE(Rig::channel(*client).failed());
  const std::string log = log_of([&] { rig->tick(); });
  STRCMP_CONTAINS("channel closed: login was not completed in time", log.c_str());
  rig->run();
  CHECK_EQUAL(0U, rig->listener().connections().size());
  CHECK_EQUAL(28, client->reject_reason);  // by destroying the id
}

TEST(Connection, on_tick__a_live_connection_that_answers_has_no_time_limit) {
  log_in();
  rig->seconds(100);
  CHECK_TRUE(Rig::connection(*client).established());
  CHECK_EQUAL(0U, rig->ask(*client, {.tag = 1}).status());
}

TEST(Connection, accept__a_refused_accept_rejects_the_login_and_ends_the_session) {
  rig->world.faults.set(fake::Fault::accept, 1);
  Client& refused = rig->connect();
  rig->run();
  CHECK_EQUAL(0x00010001U, std::uint32_t{refused.login_rej.value().reason});
  CHECK_FALSE(refused.login_rsp.has_value());
  CHECK_EQUAL(0U, rig->listener().connections().size());
  CHECK_EQUAL(0U, rig->port().sessions().size());
  CHECK_EQUAL(0U, rig->target().nexuses.size());
}

TEST(Connection, accept__joins_the_session) {
  log_in();
  CHECK_TRUE(Rig::connection(*client).session() == rig->port().sessions().front().get());
  CHECK_TRUE(Rig::session(*client).channels().front() == &Rig::channel(*client));
}
