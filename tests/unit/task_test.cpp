// Which task management functions there are, what they end, and when they are answered.
#include "lld_srp/task.h"

#include "lld_srp/limits.h"
#include "tests/unit/observe.h"
#include "tests/unit/rig.h"

using namespace srp;
using namespace srp::test;

namespace {

constexpr std::uint64_t task_tag = 0x80000001;
constexpr auto multi = wire::MultiChannelAction::multi;
constexpr auto abort_task = wire::TaskFunction::abort_task;
constexpr auto lun_reset = wire::TaskFunction::lun_reset;
constexpr int complete = 0;
constexpr int unsupported = 4;
constexpr int failed = 5;

}  // namespace

TEST_GROUP(Task) {
  std::unique_ptr<Rig> rig = std::make_unique<Rig>(RigOptions{.credits = 8});
  Client* client = nullptr;

  void setup() override { client = &rig->log_in(); }
  void teardown() override { rig.reset(); }

  // A command that tgtd does not end before its store is let go.
  void start_write(Client & from, std::uint64_t tag, std::uint64_t lun = 1, std::uint32_t lba = 0) {
    rig->lu(lun).stalled = true;
    from.send(rig->write(from, tag, lba, 1, lun));
    rig->run();
    CHECK_FALSE(from.disconnected);
  }
  int code_of(wire::TaskFunction function, std::uint64_t managed = 0,
              const wire::Lun& lun = {0, 1}) {
    client->send_task(task_tag, function, managed, lun);
    rig->run();
    return client->answer_to(task_tag).code();
  }
  void let_go(std::uint64_t lun = 1) {
    rig->lu(lun).stalled = false;
    rig->run();
  }
  SessionStats& stats() { return Rig::session(*client).stats(); }
};

// ---- functions ----

TEST(Task, start__functions_that_there_are_not_are_unsupported) {
  for (const int function : {0x00, 0x03, 0x10, 0x20, 0x40, 0x80, 0xff}) {
    CHECK_EQUAL(unsupported, code_of(static_cast<wire::TaskFunction>(function)));
    CHECK_EQUAL(1U, client->answer_to(task_tag).delta());
    client->answers.clear();
  }
  CHECK_EQUAL(7U, stats().tasks);
}

TEST(Task, start__log_names_the_function_and_the_unit) {
  const struct {
    int function;
    const char* name;
  } rows[] = {{0x01, "ABORT TASK, unit 1"},     {0x02, "ABORT TASK SET, unit 1"},
              {0x04, "CLEAR TASK SET, unit 1"}, {0x08, "LUN RESET, unit 1"},
              {0x40, "CLEAR ACA, unit 1"},      {0x20, "reserved function, unit 1"}};
  trace_flags = static_cast<std::uint32_t>(Trace::task);
  for (const auto& row : rows) {
    const std::string log = log_of([&] { code_of(static_cast<wire::TaskFunction>(row.function)); });
    STRCMP_CONTAINS(row.name, log.c_str());
    client->answers.clear();
  }
  trace_flags = 0;
}

TEST(Task, answer__has_the_code_as_its_response_data) {
  CHECK_EQUAL(complete, code_of(abort_task, 77));
  const Answer& answer = client->answer_to(task_tag);
  CHECK_EQUAL(unsigned{wire::rsp_valid}, unsigned{answer.head.flags});
  CHECK_EQUAL(0U, answer.status());
  CHECK_EQUAL(0U, answer.sense.size());
  CHECK_EQUAL(4U, answer.data.size());
  CHECK_EQUAL(8U, Rig::channel(*client).credits().held());
}

// ---- abort ----

TEST(Task, abort_task__of_an_unknown_tag_is_complete) {
  start_write(*client, 3);
  CHECK_EQUAL(complete, code_of(abort_task, 4));
  let_go();
  CHECK_EQUAL(0U, client->answer_to(3).status());
}

TEST(Task, abort_task__waits_until_its_command_has_ended) {
  start_write(*client, 3);
  start_write(*client, 4, 1, 9);
  client->send_task(task_tag, abort_task, 3);
  rig->run();
  CHECK_TRUE(client->answers.empty());
  let_go();
  CHECK_EQUAL(complete, client->answer_to(task_tag).code());
  CHECK_FALSE(client->answered(3));
  CHECK_EQUAL(0U, client->answer_to(4).status());
}

TEST(Task, abort_task__takes_its_own_channels_command_where_tags_are_equal) {
  Client& other = rig->log_in({.action = multi});
  start_write(*client, 3);
  start_write(other, 3, 1, 9);
  client->send_task(task_tag, abort_task, 3);
  rig->run();
  let_go();
  CHECK_EQUAL(complete, client->answer_to(task_tag).code());
  CHECK_FALSE(client->answered(3));
  CHECK_EQUAL(0U, other.answer_to(3).status());
}

TEST(Task, abort_task__looks_on_other_channels_where_its_own_has_no_such_command) {
  Client& other = rig->log_in({.action = multi});
  start_write(other, 3);
  client->send_task(task_tag, abort_task, 3);
  rig->run();
  CHECK_TRUE(client->answers.empty());
  let_go();
  CHECK_EQUAL(complete, client->answer_to(task_tag).code());
  CHECK_FALSE(other.answered(3));
}

TEST(Task, abort_task__of_a_tag_that_was_used_twice_ends_both) {
  start_write(*client, 3);
  start_write(*client, 3, 1, 9);
  client->send_task(task_tag, abort_task, 3);
  rig->run();
  rig->lu().stalled = false;
  rig->complete_one();
  rig->run_fabric();
  CHECK_TRUE(client->answers.empty());
  rig->run();
  CHECK_EQUAL(1U, client->answers.size());
  CHECK_EQUAL(complete, client->answer_to(task_tag).code());
}

TEST(Task, abort_task__goes_by_the_tag_alone) {
  start_write(*client, 3);
  client->send_task(task_tag, abort_task, 3, {0, 2});
  rig->run();
  CHECK_TRUE(client->answers.empty());
  let_go();
  CHECK_EQUAL(complete, client->answer_to(task_tag).code());
  CHECK_FALSE(client->answered(3));
}

TEST(Task, abort_task__leaves_another_session_alone) {
  Client& other = rig->log_in({.initiator = 2});
  start_write(other, 3);
  CHECK_EQUAL(complete, code_of(abort_task, 3));
  let_go();
  CHECK_EQUAL(0U, other.answer_to(3).status());
}

TEST(Task, abort_task__a_second_one_for_the_same_command_is_answered_as_well) {
  start_write(*client, 3);
  client->send_task(task_tag, abort_task, 3);
  client->send_task(task_tag + 1, abort_task, 3);
  rig->run();
  CHECK_TRUE(client->answers.empty());
  let_go();
  CHECK_EQUAL(complete, client->answer_to(task_tag).code());
  CHECK_EQUAL(complete, client->answer_to(task_tag + 1).code());
  CHECK_EQUAL(8U, Rig::channel(*client).credits().held());
}

// ---- reset ----

TEST(Task, reset_unit__without_commands_is_complete_and_tgtd_knows) {
  rig->clear_attentions();
  CHECK_EQUAL(complete, code_of(lun_reset));
  STRCMP_EQUAL("6/2900", rig->ask(*client, {.tag = 3}).sense_text().c_str());
}

TEST(Task, reset_unit__of_a_missing_unit_fails) {
  CHECK_EQUAL(failed, code_of(lun_reset, 0, {0, 77}));
  client->answers.clear();
  CHECK_EQUAL(failed, code_of(lun_reset, 0, {0x80, 1}));
  client->answers.clear();
  CHECK_TRUE(rig->target().nexuses.front()->attentions.empty());
}

TEST(Task, reset_unit__of_a_target_that_tgtd_dropped_fails) {
  client->send_task(task_tag, lun_reset, 0);
  rig->deliver(*client);
  CHECK_TRUE(rig->world.tgtd->delete_target(rig->target(), true, false));
  rig->run_loop();
  rig->run_fabric();
  CHECK_EQUAL(failed, client->answer_to(task_tag).code());
}

TEST(Task, reset_unit__ends_the_units_commands_on_all_channels_and_no_others) {
  Client& other = rig->log_in({.action = multi});
  start_write(*client, 3);
  start_write(other, 4, 1, 9);
  start_write(*client, 5, 2);
  client->send_task(task_tag, lun_reset, 0);
  rig->run();
  CHECK_TRUE(client->answers.empty());
  let_go();
  CHECK_EQUAL(complete, client->answer_to(task_tag).code());
  CHECK_FALSE(client->answered(3));
  CHECK_FALSE(other.answered(4));
  let_go(2);
  CHECK_EQUAL(0U, client->answer_to(5).status());
}

TEST(Task, reset_unit__ends_commands_that_tgtd_does_not_have_yet) {
  rig->exhaust_memory();
  client->send(rig->write(*client, 3));
  rig->run();
  CHECK_EQUAL(complete, code_of(lun_reset));
  rig->give_memory_back();
  rig->run();
  CHECK_FALSE(client->answered(3));
  CHECK_EQUAL(0U, rig->commits());
}

TEST(Task, reset_unit__waits_for_what_tgtd_has_of_other_initiators) {
  Client& other = rig->log_in({.initiator = 2});
  start_write(other, 3);
  client->send_task(task_tag, lun_reset, 0);
  rig->run();
  CHECK_TRUE(client->answers.empty());
  let_go();
  CHECK_EQUAL(complete, client->answer_to(task_tag).code());
  CHECK_EQUAL(0U, other.answer_to(3).status());  // theirs is answered all the same
}

TEST(Task, reset_unit__knows_the_unit_in_each_spelling) {
  start_write(*client, 3);
  client->send_task(task_tag, lun_reset, 0, {0x40, 1});
  rig->run();
  CHECK_TRUE(client->answers.empty());
  let_go();
  CHECK_EQUAL(complete, client->answer_to(task_tag).code());
  CHECK_FALSE(client->answered(3));
}

// tgtd would forget the first of two functions that wait for the same command.
TEST(Task, ask_tgtd__has_one_task_of_a_unit_there_at_a_time) {
  start_write(*client, 3);
  client->send_task(task_tag, lun_reset, 0);
  client->send_task(task_tag + 1, lun_reset, 0);
  rig->run();
  let_go();
  CHECK_EQUAL(complete, client->answer_to(task_tag).code());
  CHECK_EQUAL(complete, client->answer_to(task_tag + 1).code());
}

TEST(Task, ask_tgtd__the_unit_is_free_when_tgtd_answers_a_task_that_is_over) {
  start_write(*client, 3);
  client->send_task(task_tag, lun_reset, 0);
  rig->run();
  rig->seconds(task_answer_s_max);
  client->send_task(task_tag + 1, lun_reset, 0);
  rig->run();
  CHECK_EQUAL(failed, client->answer_to(task_tag).code());
  CHECK_FALSE(client->answered(task_tag + 1));
  let_go();
  CHECK_EQUAL(complete, client->answer_to(task_tag + 1).code());
}

// ---- time ----

TEST(Task, expired__is_answered_as_failed_before_the_initiator_gives_up) {
  start_write(*client, 3);
  client->send_task(task_tag, abort_task, 3);
  rig->run();
  rig->tick(task_answer_s_max * ticks_per_second - 1);
  rig->run();
  CHECK_TRUE(client->answers.empty());
  rig->tick();
  rig->run();
  CHECK_EQUAL(failed, client->answer_to(task_tag).code());
  CHECK_EQUAL(1U, client->answer_to(task_tag).delta());
}

TEST(Task, expired__its_command_stays_without_a_response_and_returns_its_credit) {
  start_write(*client, 3);
  client->send_task(task_tag, abort_task, 3);
  rig->run();
  rig->seconds(task_answer_s_max);
  let_go();
  CHECK_FALSE(client->answered(3));
  CHECK_EQUAL(1U, client->answers.size());
  CHECK_EQUAL(2U, rig->ask(*client, {.tag = 9}).delta());
}

TEST(Task, on_managed__a_late_answer_of_tgtd_finds_nobody) {
  start_write(*client, 3);
  client->send_task(task_tag, lun_reset, 0);
  rig->run();
  rig->seconds(task_answer_s_max);
  rig->run();
  CHECK_EQUAL(failed, client->answer_to(task_tag).code());
  let_go();
  CHECK_EQUAL(1U, client->answers.size());
}

TEST(Task, on_managed__numbers_are_not_used_again) {
  CHECK_EQUAL(complete, code_of(lun_reset));
  client->answers.clear();
  rig->clear_attentions();
  start_write(*client, 3);
  client->send_task(task_tag, lun_reset, 0);
  rig->run();
  CHECK_FALSE(rig->driver->ports().on_managed(0, 0));
  CHECK_TRUE(client->answers.empty());
  let_go();
}

// ---- commands that wait for one that is still being sent ----

TEST(Task, drop_parked__a_reset_ends_the_units_commands_that_wait_on_another_channel) {
  Client& other = rig->log_in({.action = multi});
  for (std::uint64_t tag = 11; tag <= 18; ++tag) rig->hand_in(other, {.tag = tag});
  rig->hand_in(other, {.tag = 3});
  rig->hand_in(other, {.tag = 4, .lun = {0, 2}});
  client->send_task(task_tag, lun_reset, 0);
  rig->deliver(*client);
  rig->run_loop();
  rig->clear_attentions();
  rig->run();
  CHECK_EQUAL(complete, client->answer_to(task_tag).code());
  CHECK_FALSE(other.answered(3));
  CHECK_EQUAL(0U, other.answer_to(4).status());
  CHECK_EQUAL(0U, rig->ask(other, {.tag = 5}).status());
  CHECK_EQUAL(8U, Rig::channel(other).credits().held());
}

TEST(Task, drop_parked__an_abort_ends_its_command_that_waits_on_another_channel) {
  Client& other = rig->log_in({.action = multi});
  for (std::uint64_t tag = 11; tag <= 18; ++tag) rig->hand_in(other, {.tag = tag});
  rig->hand_in(other, {.tag = 3});
  other.send_task(3, abort_task, 77);  // no command, though its tag is equal
  rig->deliver(other);
  rig->run_loop();
  client->send_task(task_tag, abort_task, 3);
  rig->run();
  CHECK_EQUAL(complete, client->answer_to(task_tag).code());
  CHECK_EQUAL(8U + 1U, other.answers.size());
  CHECK_EQUAL(complete, other.answer_to(3).code());
}

TEST(Task, drop_parked__a_reset_leaves_commands_that_came_after_it) {
  for (std::uint64_t tag = 11; tag <= 18; ++tag) rig->hand_in(*client, {.tag = tag});
  rig->hand_in(*client, {.tag = 3, .lun = {0, 2}});
  client->send_task(task_tag, lun_reset, 0);
  client->send(CmdSpec{.tag = 4});
  rig->deliver(*client);
  rig->run_loop();
  rig->run();
  CHECK_EQUAL(complete, client->answer_to(task_tag).code());
  CHECK_TRUE(client->answered(4));
}

// ---- the end of the channel ----

TEST(Task, drop__while_it_waits) {
  start_write(*client, 3);
  client->send_task(task_tag, abort_task, 3);
  rig->run();
  client->disconnect();
  rig->run();
  let_go();
  CHECK_TRUE(client->answers.empty());
  CHECK_EQUAL(0U, rig->port().sessions().size());
}

TEST(Task, drop__while_its_answer_is_on_the_way) {
  client->send_task(task_tag, abort_task, 3);
  rig->deliver(*client);
  rig->run_loop();
  CHECK_EQUAL(1U, Rig::qp(*client).sends.size());
  Rig::connection(*client).on_disconnected("test");
  rig->run_loop();
  CHECK_EQUAL(0U, rig->port().sessions().size());
}

TEST(Task, answer__of_a_channel_that_failed_is_not_posted) {
  start_write(*client, 3);
  client->send_task(task_tag, abort_task, 3);
  rig->run();
  Rig::channel(*client).fail("test");
  rig->lu().stalled = false;
  rig->world.tgtd->complete_one();
  Rig::session(*client).on_tick();
  CHECK_TRUE(Rig::qp(*client).sends.empty());
  rig->run();
  CHECK_EQUAL(0U, rig->port().sessions().size());
}

TEST(Task, expired__after_the_channel_failed_is_not_answered) {
  start_write(*client, 3);
  client->send_task(task_tag, abort_task, 3);
  rig->run();
  Rig::channel(*client).fail("test");
  for (unsigned i = 0; i < task_answer_s_max * ticks_per_second; ++i) {
    Rig::session(*client).on_tick();
  }
  CHECK_TRUE(Rig::qp(*client).sends.empty());
  let_go();
  CHECK_EQUAL(0U, rig->port().sessions().size());
}

TEST(Task, reconsider__commands_that_came_later_do_not_delay_the_answer) {
  start_write(*client, 3);
  client->send_task(task_tag, lun_reset, 0);
  rig->run();
  rig->clear_attentions();
  client->send(rig->write(*client, 4));
  rig->run();
  CHECK_EQUAL(1U, rig->world.tgtd->held());
  rig->lu().stalled = false;
  rig->world.tgtd->complete_one();
  rig->lu().stalled = true;
  rig->run();
  CHECK_EQUAL(1U, rig->world.tgtd->held());
  CHECK_EQUAL(complete, client->answer_to(task_tag).code());
  let_go();
  CHECK_EQUAL(0U, client->answer_to(4).status());
}

TEST(Task, reconsider__a_command_lost_with_its_channel_frees_the_task_of_another) {
  Client& other = rig->log_in({.action = multi});
  start_write(other, 3);
  client->send_task(task_tag, abort_task, 3);
  rig->run();
  other.disconnect();
  rig->run();
  CHECK_TRUE(client->answers.empty());  // tgtd still has it
  let_go();
  CHECK_EQUAL(complete, client->answer_to(task_tag).code());
}

TEST(Task, start__there_are_as_many_as_credits) {
  for (std::uint64_t i = 0; i < 8; ++i) client->send_task(task_tag + i, abort_task, 77);
  rig->run();
  CHECK_EQUAL(8U, client->answers.size());
  for (std::uint64_t i = 0; i < 8; ++i)
    CHECK_EQUAL(complete, client->answer_to(task_tag + i).code());
}
