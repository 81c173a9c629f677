// Who waits for whom, by task attribute, and what becomes of those who wait.
#include "lld_srp/command.h"
#include "tests/unit/rig.h"

using namespace srp;
using namespace srp::test;

namespace {

constexpr std::uint64_t task_tag = 0x80000001;
constexpr auto multi = wire::MultiChannelAction::multi;
constexpr std::uint8_t simple = 0;
constexpr std::uint8_t head_of_queue = 1;
constexpr std::uint8_t ordered = 2;
constexpr std::uint8_t aca = 4;

}  // namespace

TEST_GROUP(CommandOrder) {
  std::unique_ptr<Rig> rig = std::make_unique<Rig>(RigOptions{.credits = 8});
  Client* client = nullptr;

  void setup() override { client = &rig->log_in(); }
  void teardown() override { rig.reset(); }

  // A read that comes now, and all that can happen happens.
  void come(Client & from, std::uint64_t tag, std::uint8_t attribute, std::uint64_t lun = 1) {
    CmdSpec spec = rig->read(from, tag, 0, 1, lun);
    spec.attribute = attribute;
    from.send(spec);
    rig->run();
    CHECK_FALSE(from.disconnected);
  }
  void come(std::uint64_t tag, std::uint8_t attribute, std::uint64_t lun = 1) {
    come(*client, tag, attribute, lun);
  }
  void stall(bool stalled = true, std::uint64_t lun = 1) { rig->lu(lun).stalled = stalled; }
  void let_go(std::uint64_t lun = 1) {
    stall(false, lun);
    rig->run();
  }
  // The store of the unit completes one command, and what may follow it comes to the store.
  void complete_one() {
    stall(false);
    rig->world.tgtd->complete_one();
    stall();
    rig->run();
  }
  // So many commands are tgtd's.
  void check_held(std::size_t count) { CHECK_EQUAL(count, rig->world.tgtd->held()); }
  void abort(std::uint64_t tag) {
    client->send_task(task_tag + tag, wire::TaskFunction::abort_task, tag);
    rig->run();
  }
  void check_aborted(std::uint64_t tag) {
    CHECK_EQUAL(0, client->answer_to(task_tag + tag).code());
    CHECK_FALSE(client->answered(tag));
  }
  void check_order(std::initializer_list<std::uint64_t> tags) {
    CHECK_EQUAL(tags.size(), client->answers.size());
    std::size_t i = 0;
    for (const std::uint64_t tag : tags) {
      CHECK_EQUAL(tag, client->answers[i].tag());
      CHECK_EQUAL(0U, client->answers[i].status());
      ++i;
    }
  }
  void check_all_back() {
    CHECK_EQUAL(8U, Rig::channel(*client).credits().held());
    CHECK_EQUAL(0U, Rig::session(*client).tasks().size());
    CHECK_FALSE(Rig::session(*client).tasks().watched());
    CHECK_EQUAL(0U, rig->device().buffers().bytes_in_use());
  }
};

// ---- who waits ----

TEST(CommandOrder, begin__simple_commands_do_not_wait_for_each_other) {
  stall();
  for (std::uint64_t tag = 1; tag <= 4; ++tag) come(tag, simple);
  check_held(4);
}

TEST(CommandOrder, begin__an_ordered_one_with_nobody_ahead_starts_at_once) {
  stall();
  come(1, ordered);
  check_held(1);
  let_go();
  check_order({1});
  check_all_back();
}

TEST(CommandOrder, begin__an_ordered_one_waits_for_all_older_ones) {
  stall();
  come(1, simple);
  come(2, simple);
  come(3, ordered);
  check_held(2);
  complete_one();
  check_held(1);
  complete_one();
  check_held(1);
  CHECK_EQUAL(2U, client->answers.size());
  let_go();
  CHECK_EQUAL(3U, client->answers.at(2).tag());
  CHECK_EQUAL(3U, client->answers.size());
  check_all_back();
}

TEST(CommandOrder, begin__simple_ones_wait_behind_an_ordered_one) {
  stall();
  come(1, ordered);
  come(2, simple);
  come(3, simple);
  check_held(1);
  complete_one();
  CHECK_EQUAL(1U, client->last().tag());
  check_held(2);  // both at once
  let_go();
  CHECK_EQUAL(3U, client->answers.size());
  check_all_back();
}

TEST(CommandOrder, begin__ordered_ones_come_one_after_the_other) {
  stall();
  for (std::uint64_t tag = 1; tag <= 4; ++tag) come(tag, ordered);
  for (int i = 0; i < 4; ++i) {
    check_held(1);
    complete_one();
  }
  check_order({1, 2, 3, 4});
  check_all_back();
}

TEST(CommandOrder, begin__the_head_of_the_queue_waits_for_nobody) {
  stall();
  come(1, simple);
  come(2, ordered);
  come(3, head_of_queue);
  check_held(2);
  come(4, head_of_queue);
  check_held(3);
  let_go();
  CHECK_EQUAL(4U, client->answers.size());
  check_all_back();
}

TEST(CommandOrder, begin__others_wait_behind_the_head_of_the_queue) {
  stall();
  come(1, head_of_queue);
  come(2, simple);
  come(3, ordered);
  check_held(1);
  complete_one();
  check_held(1);
  complete_one();
  check_held(1);
  complete_one();
  check_order({1, 2, 3});
}

TEST(CommandOrder, begin__other_units_are_not_affected) {
  stall();
  come(1, ordered);
  come(2, simple, 2);
  CHECK_EQUAL(0U, client->answer_to(2).status());
  come(3, ordered, 2);
  CHECK_EQUAL(0U, client->answer_to(3).status());
  check_held(1);
  come(4, ordered);
  stall(true, 2);
  come(5, simple, 2);
  check_held(2);
  let_go();
  let_go(2);
  check_order({2, 3, 1, 4, 5});
}

TEST(CommandOrder, begin__other_initiators_are_not_affected) {
  Client& other = rig->log_in({.initiator = 2});
  stall();
  come(1, ordered);
  come(other, 1, simple);
  come(other, 2, simple);
  check_held(3);
  come(other, 3, ordered);
  check_held(3);
}

TEST(CommandOrder, begin__other_channels_of_the_session_count) {
  Client& other = rig->log_in({.action = multi});
  stall();
  come(1, simple);
  come(other, 2, ordered);
  come(3, simple);
  check_held(1);
  complete_one();
  CHECK_EQUAL(1U, client->last().tag());
  check_held(1);
  complete_one();
  CHECK_EQUAL(2U, other.last().tag());
  check_held(1);
  let_go();
  CHECK_EQUAL(3U, client->last().tag());
}

// One that is over holds nobody, though the initiator has not got its response yet.
TEST(CommandOrder, finish__a_response_on_its_way_holds_nobody) {
  CmdSpec first = rig->read(*client, 1);
  first.attribute = ordered;
  CmdSpec second = rig->read(*client, 2);
  second.attribute = ordered;
  rig->hand_in(*client, first);
  rig->hand_in(*client, second);
  check_held(1);
  rig->complete_one();
  CHECK_TRUE(client->answers.empty());
  check_held(1);  // the second one
  CHECK_EQUAL(2U, rig->world.tgtd->queued);
  rig->run();
  check_order({1, 2});
}

// The data of an older command is still on its way.
TEST(CommandOrder, begin__a_short_command_does_not_overtake_an_ordered_one_that_fetches) {
  CmdSpec first = rig->write(*client, 1);
  first.attribute = ordered;
  rig->hand_in(*client, first);
  rig->hand_in(*client, {.tag = 2});
  CHECK_EQUAL(1U, Rig::qp(*client).sends.size());
  CHECK_EQUAL(0U, rig->world.tgtd->queued);
  rig->run();
  check_order({1, 2});
  check_all_back();
}

TEST(CommandOrder, refuse__an_ordered_one_that_cannot_be_served_holds_nobody) {
  stall();
  come(1, simple);
  client->send(CmdSpec{.tag = 2, .cdb = write_10(0, 1), .attribute = ordered});
  come(3, simple);
  check_held(1);
  complete_one();
  check_held(1);
  STRCMP_EQUAL("5/0e03", client->answer_to(2).sense_text().c_str());
  let_go();
  CHECK_EQUAL(0U, client->answer_to(3).status());
  check_all_back();
}

// ---- while it waits ----

TEST(CommandOrder, begin__who_waits_owns_no_memory) {
  stall();
  come(1, simple);
  const std::size_t before = rig->device().buffers().bytes_in_use();
  CHECK_TRUE(before != 0);
  CmdSpec table{.tag = 2, .cdb = read_10(0, 1), .in = client->offer_list({256, 256})};
  client->keep_table(table, 0);
  table.attribute = ordered;
  client->send(table);
  rig->run();
  come(3, ordered);
  CHECK_EQUAL(before, rig->device().buffers().bytes_in_use());
  CHECK_EQUAL(0U, rig->device().tables().bytes_in_use());
  CHECK_TRUE(client->accesses.empty());
  let_go();
  check_order({1, 2, 3});
}

// Those that an ordered command waits for can always get their memory.
TEST(CommandOrder, begin__who_waits_does_not_stand_in_the_line_for_memory) {
  rig->exhaust_memory();
  come(1, simple);
  come(2, ordered);
  come(3, simple);
  CHECK_EQUAL(1U, rig->device().buffers().waiters());
  rig->give_memory_back();
  rig->run();
  check_order({1, 2, 3});
  check_all_back();
}

// The unit is looked at when it is the command's turn.
TEST(CommandOrder, begin__a_unit_that_went_meanwhile_is_missed) {
  stall();
  come(1, simple);
  come(2, ordered);
  stall(false);
  rig->world.tgtd->complete_one();
  CHECK_TRUE(rig->world.tgtd->delete_lu(rig->target(), 1));
  rig->run();
  CHECK_EQUAL(0U, client->answer_to(1).status());
  STRCMP_EQUAL("5/2500", client->answer_to(2).sense_text().c_str());
}

// ---- abort ----

TEST(CommandOrder, abort__of_one_that_waits_ends_it_at_once) {
  stall();
  come(1, simple);
  come(2, ordered);
  abort(2);
  check_aborted(2);
  CHECK_EQUAL(2U, client->last().delta());
  check_held(1);
  let_go();
  CHECK_EQUAL(0U, client->answer_to(1).status());
  check_all_back();
}

TEST(CommandOrder, abort__of_an_ordered_one_that_waits_lets_others_through) {
  stall();
  come(1, simple);
  come(2, ordered);
  come(3, simple);
  check_held(1);
  abort(2);
  check_aborted(2);
  check_held(2);
  let_go();
  CHECK_EQUAL(0U, client->answer_to(3).status());
  check_all_back();
}

TEST(CommandOrder, abort__of_a_simple_one_that_waits_leaves_the_others_waiting) {
  stall();
  come(1, ordered);
  come(2, simple);
  come(3, simple);
  abort(2);
  check_aborted(2);
  check_held(1);
  let_go();
  CHECK_EQUAL(0U, client->answer_to(1).status());
  CHECK_EQUAL(0U, client->answer_to(3).status());
  check_all_back();
}

// tgtd has it still: what came later must not be undone by it.
TEST(CommandOrder, abort__of_the_one_that_is_waited_for_holds_the_others_until_tgtd_is_done) {
  stall();
  come(1, ordered);
  come(2, simple);
  abort(1);
  check_held(1);
  CHECK_TRUE(client->answers.empty());
  let_go();
  check_aborted(1);
  CHECK_EQUAL(0U, client->answer_to(2).status());
  check_all_back();
}

// They wait for tgtd alone, and may get memory and data meanwhile.
TEST(CommandOrder, abort__of_the_one_that_is_waited_for_lets_later_ones_fetch) {
  stall();
  come(1, ordered);
  abort(1);
  client->send(rig->write(*client, 2));
  rig->run();
  CHECK_EQUAL(1U, client->accesses.size());
  check_held(1);
  let_go();
  check_aborted(1);
  CHECK_EQUAL(0U, client->answer_to(2).status());
  CHECK_EQUAL(1U, rig->commits());
  check_all_back();
}

TEST(CommandOrder, abort__of_the_one_that_is_waited_for_while_it_fetches) {
  CmdSpec first = rig->write(*client, 1);
  first.attribute = ordered;
  rig->hand_in(*client, first);
  rig->hand_in(*client, {.tag = 2});
  client->send_task(task_tag + 1, wire::TaskFunction::abort_task, 1);
  rig->deliver(*client);
  rig->run_loop();
  rig->run();
  check_aborted(1);
  CHECK_EQUAL(0U, client->answer_to(2).status());
  CHECK_EQUAL(0U, rig->commits());
  check_all_back();
}

TEST(CommandOrder, abort__of_a_whole_unit_ends_those_that_wait) {
  stall();
  come(1, simple);
  come(2, ordered);
  come(3, simple);
  come(4, ordered, 2);
  client->answers.clear();
  client->send_task(task_tag, wire::TaskFunction::abort_task_set, 0);
  rig->run();
  CHECK_TRUE(client->answers.empty());  // tgtd has the first
  let_go();
  CHECK_EQUAL(1U, client->answers.size());
  CHECK_EQUAL(0, client->answer_to(task_tag).code());
  CHECK_EQUAL(0U, rig->ask(*client, {.tag = 9, .attribute = ordered}).status());
  check_all_back();
}

// ---- the channel ends ----

TEST(CommandOrder, drop__ends_those_that_wait) {
  stall();
  come(1, ordered);
  come(2, simple);
  come(3, ordered);
  client->disconnect();
  rig->run();
  CHECK_EQUAL(1U, rig->port().sessions().front()->tasks().size());
  let_go();
  CHECK_TRUE(client->answers.empty());
  CHECK_EQUAL(1U, rig->world.tgtd->queued);
  CHECK_EQUAL(0U, rig->port().sessions().size());
  CHECK_EQUAL(0U, rig->device().buffers().bytes_in_use());
}

TEST(CommandOrder, drop__of_a_channel_lets_others_that_wait_behind_it_through) {
  Client& other = rig->log_in({.action = multi});
  stall();
  come(other, 1, simple);
  come(other, 2, ordered);
  come(3, simple);
  check_held(1);
  other.disconnect();
  rig->run();
  CHECK_FALSE(client->answered(3));  // what tgtd has of the lost channel comes first
  let_go();
  CHECK_EQUAL(0U, client->answer_to(3).status());
  CHECK_EQUAL(2U, rig->world.tgtd->queued);
  check_all_back();
}

TEST(CommandOrder, drop__of_a_channel_that_tgtd_has_nothing_of_lets_others_through_at_once) {
  Client& other = rig->log_in({.action = multi});
  CmdSpec first = rig->write(other, 1);
  first.attribute = ordered;
  rig->hand_in(other, first);  // its data does not come any more
  rig->hand_in(*client, {.tag = 2});
  CHECK_EQUAL(0U, rig->world.tgtd->queued);
  Connection& connection = Rig::connection(other);
  other.vanish();
  connection.on_disconnected("test");
  rig->run();
  CHECK_EQUAL(0U, client->answer_to(2).status());
  check_all_back();
}

// ---- attributes ----

TEST(CommandOrder, examine__attributes_that_there_are_not_are_refused) {
  for (const std::uint8_t attribute : Bytes{3, 5, 6, 7}) {
    const Answer& answer = rig->ask(*client, {.tag = attribute, .attribute = attribute});
    STRCMP_EQUAL("5/0e03", answer.sense_text().c_str());
  }
  STRCMP_EQUAL("5/2400", rig->ask(*client, {.tag = 9, .attribute = aca}).sense_text().c_str());
  CHECK_EQUAL(0U, rig->world.tgtd->queued);
  check_all_back();
}

TEST(CommandOrder, examine__bits_beyond_the_attribute_mean_nothing) {
  stall();
  come(1, 0xf8 | ordered);
  come(2, 0xf8 | simple);
  check_held(1);
  let_go();
  check_order({1, 2});
}

TEST(CommandOrder, start__one_that_is_refused_neither_waits_nor_holds_others) {
  stall();
  come(1, ordered);
  CHECK_EQUAL(2U, rig->ask(*client, {.tag = 2, .attribute = aca}).status());
  client->answers.clear();
  let_go();
  come(3, simple);
  check_order({1, 3});
  check_all_back();
}
