// Functions on a task set, and the responses to tasks as the initiator wants them.
#include "lld_srp/limits.h"
#include "lld_srp/task.h"
#include "tests/unit/observe.h"
#include "tests/unit/rig.h"

using namespace srp;
using namespace srp::test;

namespace {

constexpr std::uint64_t task_tag = 0x80000001;
constexpr auto multi = wire::MultiChannelAction::multi;
constexpr auto abort_task = wire::TaskFunction::abort_task;
constexpr auto abort_task_set = wire::TaskFunction::abort_task_set;
constexpr auto clear_task_set = wire::TaskFunction::clear_task_set;
constexpr auto lun_reset = wire::TaskFunction::lun_reset;
constexpr int complete = 0;
constexpr int unsupported = 4;
constexpr int failed = 5;

}  // namespace

TEST_GROUP(TaskFunctions) {
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
  // A response of tgtd's that the channel cannot send.
  void get_stuck(Client & from, std::uint64_t tag, std::uint64_t lun = 1) {
    rig->hand_in(from, rig->read(from, tag, 0, 1, lun));
    rig->complete_one();
    CHECK_FALSE(Rig::qp(from).sends.empty());
    CHECK_TRUE(from.answers.empty());
  }
  // The task arrives and is worked on; what the target posts is not carried out.
  void begin(wire::TaskFunction function, std::uint64_t managed = 0,
             const wire::Lun& lun = {0, 1}) {
    client->send_task(task_tag, function, managed, lun);
    rig->deliver(*client);
    rig->run_loop();
  }
  int code_of(wire::TaskFunction function, const wire::Lun& lun = {0, 1}) {
    client->send_task(task_tag, function, 0, lun);
    rig->run();
    return client->answer_to(task_tag).code();
  }
  void let_go(std::uint64_t lun = 1) {
    rig->lu(lun).stalled = false;
    rig->run();
  }
  std::string attention_of(Client & asking, std::uint64_t lun = 1) {
    static std::uint64_t tag = 0x5000;
    return rig->ask(asking, {.tag = ++tag, .lun = peripheral_lun(lun)}).sense_text();
  }
};

// ---- ABORT TASK SET ----

TEST(TaskFunctions, abort_task_set__without_commands_is_complete) {
  CHECK_EQUAL(complete, code_of(abort_task_set));
  STRCMP_EQUAL("", attention_of(*client).c_str());
}

TEST(TaskFunctions, abort_task_set__ends_the_nexus_commands_of_the_unit_on_all_channels) {
  Client& other = rig->log_in({.action = multi});
  start_write(*client, 3);
  start_write(other, 4, 1, 9);
  start_write(*client, 5, 2);
  client->send_task(task_tag, abort_task_set, 0);
  rig->run();
  CHECK_TRUE(client->answers.empty());
  let_go();
  CHECK_EQUAL(complete, client->answer_to(task_tag).code());
  CHECK_FALSE(client->answered(3));
  CHECK_FALSE(other.answered(4));
  let_go(2);
  CHECK_EQUAL(0U, client->answer_to(5).status());
  CHECK_EQUAL(0U, rig->ask(*client, {.tag = 9}).status());
  CHECK_EQUAL(0U, rig->ask(other, {.tag = 9}).status());
  CHECK_EQUAL(8U, Rig::channel(*client).credits().held());
  CHECK_EQUAL(8U, Rig::channel(other).credits().held());
}

TEST(TaskFunctions, abort_task_set__leaves_other_nexuses_alone) {
  Client& other = rig->log_in({.initiator = 2});
  start_write(other, 3);
  CHECK_EQUAL(complete, code_of(abort_task_set));  // waits for nobody else's
  let_go();
  CHECK_EQUAL(0U, other.answer_to(3).status());
  STRCMP_EQUAL("", attention_of(other).c_str());
  STRCMP_EQUAL("", attention_of(*client).c_str());
}

TEST(TaskFunctions, abort_task_set__ends_commands_that_tgtd_does_not_have_yet) {
  rig->exhaust_memory();
  client->send(rig->write(*client, 3));
  rig->run();
  CHECK_EQUAL(complete, code_of(abort_task_set));
  CHECK_EQUAL(0U, rig->device().buffers().waiters());
  CHECK_EQUAL(2U, client->last().delta());
  rig->give_memory_back();
  rig->run();
  CHECK_FALSE(client->answered(3));
  CHECK_EQUAL(0U, rig->commits());
}

TEST(TaskFunctions, abort_task_set__ends_commands_that_wait_for_a_context_on_another_channel) {
  Client& other = rig->log_in({.action = multi});
  for (std::uint64_t tag = 11; tag <= 18; ++tag) rig->hand_in(other, {.tag = tag});
  rig->hand_in(other, {.tag = 3});
  rig->hand_in(other, {.tag = 4, .lun = {0, 2}});
  begin(abort_task_set);
  rig->run();
  CHECK_EQUAL(complete, client->answer_to(task_tag).code());
  CHECK_FALSE(other.answered(3));
  CHECK_EQUAL(0U, other.answer_to(4).status());
}

TEST(TaskFunctions, abort_task_set__is_answered_while_tgtd_works_on_another_nexus_reset) {
  Client& other = rig->log_in({.initiator = 2});
  start_write(other, 3);
  other.send_task(task_tag, lun_reset, 0);
  rig->run();
  CHECK_EQUAL(complete, code_of(abort_task_set));
  CHECK_TRUE(other.answers.empty());
  let_go();
  CHECK_EQUAL(complete, other.answer_to(task_tag).code());
}

// ---- CLEAR TASK SET ----

TEST(TaskFunctions, clear_task_set__tells_the_other_nexuses_of_the_unit) {
  Client& other = rig->log_in({.initiator = 2});
  CHECK_EQUAL(complete, code_of(clear_task_set));
  STRCMP_EQUAL("6/2f00", attention_of(other).c_str());
  STRCMP_EQUAL("", attention_of(other).c_str());
  STRCMP_EQUAL("", attention_of(other, 2).c_str());
  STRCMP_EQUAL("6/2900", attention_of(*client).c_str());  // tgtd's own way
}

TEST(TaskFunctions, clear_task_set__ends_the_nexus_commands_and_waits_for_those_of_others) {
  Client& other = rig->log_in({.initiator = 2});
  start_write(*client, 3);
  start_write(other, 4, 1, 9);
  start_write(*client, 5, 2);
  client->send_task(task_tag, clear_task_set, 0);
  rig->run();
  CHECK_TRUE(client->answers.empty());
  let_go();
  CHECK_EQUAL(complete, client->answer_to(task_tag).code());
  CHECK_FALSE(client->answered(3));
  CHECK_EQUAL(0U, other.answer_to(4).status());
  CHECK_FALSE(client->answered(5));
  let_go(2);
  CHECK_EQUAL(0U, client->answer_to(5).status());
}

// tgtd would forget the first of two functions that wait for the same command.
TEST(TaskFunctions, clear_task_set__of_two_nexuses_at_once_are_both_answered) {
  Client& other = rig->log_in({.initiator = 2});
  start_write(*client, 3);
  client->send_task(task_tag, clear_task_set, 0);
  other.send_task(task_tag, clear_task_set, 0);
  rig->run();
  CHECK_TRUE(client->answers.empty());
  CHECK_TRUE(other.answers.empty());
  let_go();
  CHECK_EQUAL(complete, client->answer_to(task_tag).code());
  CHECK_EQUAL(complete, other.answer_to(task_tag).code());
}

TEST(TaskFunctions, clear_task_set__of_two_units_go_to_tgtd_side_by_side) {
  start_write(*client, 3);
  client->send_task(task_tag, clear_task_set, 0);
  client->send_task(task_tag + 1, clear_task_set, 0, {0, 2});
  rig->run();
  CHECK_FALSE(client->answered(task_tag));
  CHECK_EQUAL(complete, client->answer_to(task_tag + 1).code());
}

// ---- units and functions that there are not ----

TEST(TaskFunctions, abort_on_unit__a_missing_unit_fails) {
  for (const auto function : {abort_task_set, clear_task_set, lun_reset}) {
    for (const wire::Lun& lun : {wire::Lun{0, 77}, wire::Lun{0x80, 1}, wire::Lun{0, 1, 0, 1}}) {
      CHECK_EQUAL(failed, code_of(function, lun));
      client->answers.clear();
    }
  }
  CHECK_TRUE(rig->target().nexuses.front()->attentions.empty());
}

TEST(TaskFunctions, start__clear_aca_and_reserved_functions_are_unsupported) {
  start_write(*client, 3);
  for (const int function : {0x40, 0x00, 0x03, 0x06, 0x0c, 0x80, 0xff}) {
    CHECK_EQUAL(unsupported, code_of(static_cast<wire::TaskFunction>(function)));
    client->answers.clear();
  }
  let_go();
  CHECK_EQUAL(0U, client->answer_to(3).status());
}

// ---- solicited responses ----

TEST(TaskFunctions, answer__is_solicited_as_the_request_wants_it) {
  const struct {
    std::uint8_t solnt;
    wire::TaskFunction function;
    wire::Lun lun;
    int code;
    bool solicited;
  } rows[] = {
      {0, abort_task, {0, 1}, complete, false},
      {2, abort_task, {0, 1}, complete, true},
      {4, abort_task, {0, 1}, complete, false},
      {6, abort_task, {0, 1}, complete, true},
      {0, lun_reset, {0, 77}, failed, false},
      {2, lun_reset, {0, 77}, failed, false},
      {4, lun_reset, {0, 77}, failed, true},
      {6, lun_reset, {0, 77}, failed, true},
      {2, wire::TaskFunction::clear_aca, {0, 1}, unsupported, false},
      {4, wire::TaskFunction::clear_aca, {0, 1}, unsupported, true},
      {0xf9, abort_task, {0, 1}, complete, false},  // all other bits
  };
  for (const auto& row : rows) {
    client->send(
        build_task(task_tag, static_cast<std::uint8_t>(row.function), 77, row.lun, row.solnt));
    rig->deliver(*client);
    rig->run_loop();
    const unsigned flags = Rig::qp(*client).sends.back().flags;
    CHECK_EQUAL(row.solicited, (flags & IBV_SEND_SOLICITED) != 0);
    rig->run();
    CHECK_EQUAL(row.code, client->last().code());
    CHECK_EQUAL(row.solicited ? 1U : 0U, unsigned{client->last().head.solnt});
  }
}

TEST(TaskFunctions, answer__is_solicited_as_a_failure_where_time_runs_out) {
  start_write(*client, 3);
  client->send(build_task(task_tag, static_cast<std::uint8_t>(abort_task), 3, {0, 1},
                          wire::solicited_on_failure));
  rig->run();
  rig->seconds(task_answer_s_max);
  CHECK_EQUAL(failed, client->answer_to(task_tag).code());
  CHECK_EQUAL(1U, unsigned{client->last().head.solnt});
}

// ---- time ----

TEST(TaskFunctions, expire__closes_a_channel_that_cannot_send_what_was_aborted) {
  Client& other = rig->log_in({.action = multi});
  get_stuck(other, 3);
  begin(abort_task_set);
  CHECK_TRUE(Rig::qp(*client).sends.empty());
  rig->silent_tick(task_answer_s_max * ticks_per_second - 1);
  CHECK_FALSE(Rig::channel(other).failed());
  CHECK_TRUE(Rig::qp(*client).sends.empty());
  const std::string log = log_of([&] { rig->silent_tick(); });
  STRCMP_CONTAINS("it cannot send the responses of aborted commands", log.c_str());
  rig->run();
  CHECK_EQUAL(failed, client->answer_to(task_tag).code());
  CHECK_TRUE(other.answers.empty());
  CHECK_TRUE(other.disconnected);
  CHECK_FALSE(client->disconnected);
  CHECK_EQUAL(0U, rig->ask(*client, {.tag = 9}).status());
}

TEST(TaskFunctions, expire__a_response_that_leaves_in_time_completes_the_task) {
  Client& other = rig->log_in({.action = multi});
  get_stuck(other, 3);
  begin(abort_task, 3);
  rig->silent_tick(task_answer_s_max * ticks_per_second - 1);
  rig->run();
  CHECK_EQUAL(0U, other.answer_to(3).status());
  CHECK_EQUAL(complete, client->answer_to(task_tag).code());
  rig->silent_tick(4);
  CHECK_FALSE(other.disconnected);
}

TEST(TaskFunctions, expire__a_channel_that_has_nothing_of_it_stays) {
  Client& other = rig->log_in({.action = multi});
  start_write(*client, 4);
  get_stuck(other, 5, 2);  // another unit's
  begin(abort_task_set);
  rig->silent_tick(task_answer_s_max * ticks_per_second);
  CHECK_FALSE(Rig::channel(other).failed());
  rig->run();
  CHECK_EQUAL(failed, client->answer_to(task_tag).code());
  CHECK_EQUAL(0U, other.answer_to(5).status());
  let_go();
  CHECK_FALSE(client->answered(4));
}

TEST(TaskFunctions, expire__a_channel_whose_aborted_command_is_tgtds_stays) {
  Client& other = rig->log_in({.action = multi});
  start_write(other, 3);
  begin(abort_task_set);
  rig->silent_tick(task_answer_s_max * ticks_per_second);
  CHECK_FALSE(Rig::channel(other).failed());
  rig->run();
  CHECK_EQUAL(failed, client->answer_to(task_tag).code());
  let_go();
  CHECK_FALSE(other.answered(3));
  CHECK_EQUAL(0U, rig->ask(other, {.tag = 9}).status());
}

// Its own channel sends in order: nothing can come after the answer.
TEST(TaskFunctions, expire__the_tasks_own_channel_stays) {
  rig->hand_in(*client, rig->read(*client, 3));
  rig->complete_one();
  begin(abort_task_set);
  rig->silent_tick(task_answer_s_max * ticks_per_second);
  CHECK_FALSE(Rig::channel(*client).failed());
  rig->run();
  CHECK_EQUAL(3U, client->answers.at(0).tag());
  CHECK_EQUAL(task_tag, client->answers.at(1).tag());
  CHECK_EQUAL(failed, client->answers.at(1).code());
}
