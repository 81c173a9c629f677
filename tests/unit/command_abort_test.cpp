// A command that is aborted, or whose channel ends, in each of its states.
#include "lld_srp/command.h"
#include "lld_srp/limits.h"
#include "tests/unit/rig.h"

using namespace srp;
using namespace srp::test;

namespace {

constexpr std::uint64_t task_tag = 0x80000001;

}  // namespace

TEST_GROUP(CommandAbort) {
  std::unique_ptr<Rig> rig = std::make_unique<Rig>(RigOptions{.credits = 8});
  Client* client = nullptr;

  void setup() override { client = &rig->log_in(); }
  void teardown() override { rig.reset(); }

  // ---- a command with tag 3 in each state ----
  void make_waiting() {
    rig->exhaust_memory();
    rig->hand_in(*client, rig->write(*client, 3));
  }
  void make_fetching() { rig->hand_in(*client, rig->write(*client, 3)); }
  // Behind another READ, which does not end.
  void make_fetching_unposted() {
    Rig::qp(*client).read_depth = 0;
    CmdSpec first{.tag = 2, .cdb = unmap(96), .out = client->offer_list({24, 24, 24, 24})};
    rig->hand_in(*client, first);
    rig->hand_in(*client, rig->write(*client, 3));
    CHECK_EQUAL(4U, Rig::qp(*client).sends.size());
  }
  // Behind an abandoned write, tag 2, that tgtd works on.
  void make_held() {
    make_executing(2);
    abort(2, 0x80000002);
    client->send(rig->write(*client, 3));
    rig->run();
    CHECK_EQUAL(1U, rig->world.tgtd->held());
  }
  void make_executing(std::uint64_t tag = 3) {
    rig->lu().stalled = true;
    client->send(rig->write(*client, tag));
    rig->run();
    CHECK_EQUAL(1U, rig->world.tgtd->held());
  }
  void make_responding() { rig->hand_in(*client, {.tag = 3}); }

  // The abort arrives and is worked on; what the target posts is not carried out.
  void abort(std::uint64_t tag = 3, std::uint64_t with_tag = task_tag) {
    client->send_task(with_tag, wire::TaskFunction::abort_task, tag);
    rig->deliver(*client);
    rig->run_loop();
  }
  CreditLedger& credits() { return Rig::channel(*client).credits(); }
  // The task is answered, the command never was, and all credits are back.
  void check_aborted() {
    rig->run();
    CHECK_EQUAL(0, client->answer_to(task_tag).code());
    CHECK_FALSE(client->answered(3));
    CHECK_EQUAL(0U, credits().serving());
    CHECK_EQUAL(credits().total(), credits().held());
  }
  void check_answered_in_order() {
    rig->run();
    CHECK_EQUAL(3U, client->answers.at(0).tag());
    CHECK_EQUAL(task_tag, client->answers.at(1).tag());
    CHECK_EQUAL(4U, client->answers.at(2).tag());
  }
  // The initiator is gone while the command is in its state.
  void lose_channel() {
    client->disconnect();
    rig->run_cm();
    rig->run_loop();
    rig->run_cm();
    rig->run_loop();
  }
  void check_gone() {
    rig->run();
    CHECK_TRUE(client->answers.empty());
    CHECK_EQUAL(0U, rig->listener().connections().size());
    CHECK_EQUAL(0U, rig->port().sessions().size());
    CHECK_EQUAL(0U, rig->device().channels());
    rig->give_memory_back();
    CHECK_EQUAL(0U, rig->device().buffers().bytes_in_use());
    CHECK_EQUAL(0U, rig->device().buffers().waiters());
  }
};

// ---- abort ----

TEST(CommandAbort, abort__while_waiting_leaves_the_line_at_once) {
  make_waiting();
  CHECK_EQUAL(1U, rig->device().buffers().waiters());
  abort();
  CHECK_EQUAL(0U, rig->device().buffers().waiters());
  CHECK_EQUAL(1U, Rig::qp(*client).sends.size());  // the task's answer
  check_aborted();
  CHECK_EQUAL(2U, client->answer_to(task_tag).delta());  // its own, and the command's
  rig->give_memory_back();
  rig->run();
  CHECK_EQUAL(0U, rig->commits());
}

TEST(CommandAbort, abort__while_waiting_serves_those_behind) {
  make_waiting();
  client->send(rig->write(*client, 4, 9));
  rig->deliver(*client);
  rig->run_loop();
  abort();
  rig->give_memory_back();
  check_aborted();
  CHECK_EQUAL(0U, client->answer_to(4).status());
  CHECK_EQUAL(1U, rig->commits());
}

TEST(CommandAbort, abort__while_fetching_waits_for_the_read) {
  make_fetching();
  abort();
  CHECK_EQUAL(1U, Rig::qp(*client).sends.size());  // the READ: no answer may come before its end
  CHECK_EQUAL(1U, Rig::session(*client).tasks().size());
  check_aborted();
  CHECK_EQUAL(0U, rig->world.tgtd->queued);
  CHECK_EQUAL(0U, rig->commits());
  CHECK_EQUAL(0U, rig->device().buffers().bytes_in_use());
}

TEST(CommandAbort, abort__while_fetching_waits_for_every_read_that_is_posted) {
  CmdSpec spec{.tag = 3, .cdb = unmap(144), .out = client->offer_list({24, 24, 24, 24, 24, 24})};
  rig->hand_in(*client, spec);
  CHECK_EQUAL(4U, Rig::qp(*client).sends.size());
  abort();
  check_aborted();
  CHECK_EQUAL(4U, client->accesses.size());  // the others are not posted any more
  CHECK_EQUAL(0U, rig->world.tgtd->queued);
}

TEST(CommandAbort, abort__while_fetching_ends_at_once_where_no_read_is_posted) {
  make_fetching_unposted();
  abort();
  CHECK_EQUAL(1U, Rig::session(*client).tasks().size());  // the one in front
  CHECK_EQUAL(IBV_WR_SEND, Rig::qp(*client).sends.back().opcode);
  Rig::qp(*client).read_depth = 4;
  check_aborted();
  CHECK_EQUAL(0U, client->answer_to(2).status());
}

TEST(CommandAbort, abort__while_held_ends_at_once) {
  make_held();
  abort();
  rig->run();
  CHECK_EQUAL(0, client->answer_to(task_tag).code());
  rig->lu().stalled = false;
  rig->run();
  CHECK_FALSE(client->answered(3));
  CHECK_EQUAL(1U, rig->commits());  // the abandoned one's
  CHECK_EQUAL(1U, rig->world.tgtd->queued);
}

TEST(CommandAbort, abort__while_executing_is_answered_when_tgtd_gives_it_back) {
  make_executing();
  abort();
  rig->run();
  CHECK_TRUE(client->answers.empty());
  rig->lu().stalled = false;
  check_aborted();
  CHECK_EQUAL(2U, client->answer_to(task_tag).delta());
  CHECK_EQUAL(1U, rig->commits());
  CHECK_EQUAL(0U, Rig::session(*client).nexus().in_flight());
}

TEST(CommandAbort, abort__while_responding_comes_after_the_response) {
  make_responding();
  abort();
  auto& sends = Rig::qp(*client).sends;
  CHECK_EQUAL(1U, sends.size());
  rig->run();
  CHECK_EQUAL(3U, client->answers.at(0).tag());
  CHECK_EQUAL(task_tag, client->answers.at(1).tag());
  CHECK_EQUAL(0, client->answers.at(1).code());
  CHECK_EQUAL(1U, client->answers.at(1).delta());
}

// tgtd has ended it: nothing has to wait for it.
TEST(CommandAbort, abort__while_responding_holds_nobody) {
  rig->hand_in(*client, rig->read(*client, 3));
  rig->complete_one();
  CHECK_EQUAL(2U, Rig::qp(*client).sends.size());  // its data, and its response
  abort();
  rig->hand_in(*client, rig->read(*client, 4));
  CHECK_EQUAL(2U, rig->world.tgtd->queued);
  check_answered_in_order();
}

TEST(CommandAbort, abort__after_the_end_finds_nothing_and_is_complete) {
  rig->ask(*client, {.tag = 3});
  abort();
  rig->run();
  CHECK_EQUAL(0, client->answer_to(task_tag).code());
}

TEST(CommandAbort, abort__of_a_held_write_does_not_let_the_next_one_through) {
  make_held();
  client->send(rig->write(*client, 4));
  rig->run();
  abort();
  rig->run();
  CHECK_EQUAL(1U, rig->world.tgtd->held());
  rig->lu().stalled = false;
  rig->run();
  CHECK_EQUAL(0U, client->answer_to(4).status());
  CHECK_EQUAL(2U, rig->commits());
}

// ---- what comes behind an abandoned command ----

TEST(CommandAbort, admit__later_commands_of_the_unit_are_held_and_then_proceed) {
  make_held();
  CHECK_EQUAL(1U, rig->world.tgtd->queued);
  client->send(rig->write(*client, 4, 20, 1, 2));  // another unit's
  rig->run();
  CHECK_EQUAL(0U, client->answer_to(4).status());
  CHECK_FALSE(client->answered(3));
  rig->lu().stalled = false;
  rig->run();
  CHECK_EQUAL(0U, client->answer_to(3).status());
  CHECK_FALSE(client->answered(2));
  CHECK_EQUAL(3U, rig->commits());
}

TEST(CommandAbort, execute__held_command_of_a_dead_channel_does_not_reach_the_medium) {
  make_held();
  Rig::channel(*client).fail("test");
  rig->lu().stalled = false;
  rig->world.tgtd->complete_one();
  rig->run();
  CHECK_EQUAL(1U, rig->commits());
  CHECK_EQUAL(1U, rig->world.tgtd->queued);
}

// The abandoned one ends first, so that the held one is looked at before the channel is taken down.
TEST(CommandAbort, execute__command_held_when_its_channel_fails_is_not_let_through) {
  make_held();
  rig->lu().stalled = false;
  rig->world.tgtd->complete_one();
  Rig::channel(*client).fail("test");
  rig->run();
  CHECK_EQUAL(1U, rig->commits());
  CHECK_EQUAL(1U, rig->world.tgtd->queued);
}

TEST(CommandAbort, execute__memory_that_comes_when_the_channel_has_failed_is_given_back) {
  rig->exhaust_memory();
  rig->hand_in(*client, rig->read(*client, 3));
  rig->give_memory_back();  // what waits is served soon
  Rig::channel(*client).fail("test");
  rig->run();
  CHECK_EQUAL(0U, rig->world.tgtd->queued);
  CHECK_EQUAL(0U, rig->device().buffers().bytes_in_use());
}

TEST(CommandAbort, execute__held_command_of_a_missing_unit_is_answered) {
  make_held();
  rig->lu().stalled = false;
  rig->complete_one();
  CHECK_TRUE(client->answers.empty());
  rig->run();
  CHECK_EQUAL(0U, client->answer_to(3).status());
}

// ---- the channel ends ----

TEST(CommandAbort, drop__while_waiting) {
  make_waiting();
  lose_channel();
  CHECK_EQUAL(0U, rig->device().buffers().waiters());
  check_gone();
}

TEST(CommandAbort, drop__while_fetching) {
  make_fetching();
  lose_channel();
  check_gone();
  CHECK_EQUAL(0U, rig->commits());
}

TEST(CommandAbort, drop__while_fetching_behind_others) {
  make_fetching_unposted();
  lose_channel();
  check_gone();
}

TEST(CommandAbort, drop__while_held) {
  make_held();
  lose_channel();
  CHECK_EQUAL(1U, rig->device().channels());
  rig->lu().stalled = false;
  check_gone();
  CHECK_EQUAL(1U, rig->commits());
}

TEST(CommandAbort, drop__while_executing_waits_for_tgtd) {
  make_executing();
  lose_channel();
  rig->seconds(20);
  CHECK_EQUAL(1U, rig->listener().connections().size());
  CHECK_EQUAL(1U, rig->port().sessions().size());
  CHECK_EQUAL(1U, rig->port().sessions().front()->tasks().size());
  CHECK_TRUE(rig->device().buffers().bytes_in_use() != 0);
  rig->lu().stalled = false;
  check_gone();
  CHECK_EQUAL(1U, rig->commits());
}

TEST(CommandAbort, drop__while_responding) {
  make_responding();
  lose_channel();
  check_gone();
}

TEST(CommandAbort, drop__while_aborted_and_fetching) {
  make_fetching();
  abort();
  lose_channel();
  check_gone();
}

TEST(CommandAbort, drop__while_aborted_and_executing) {
  make_executing();
  abort();
  lose_channel();
  rig->lu().stalled = false;
  check_gone();
}

TEST(CommandAbort, drop__of_one_channel_holds_the_others_behind_what_tgtd_still_has) {
  make_executing();
  Client& other = rig->log_in({.action = wire::MultiChannelAction::multi});
  other.send(rig->write(other, 5));
  rig->run();
  CHECK_EQUAL(2U, rig->world.tgtd->held());  // nothing is abandoned yet
  lose_channel();
  other.send(rig->write(other, 6));
  other.send(rig->write(other, 7, 0, 1, 2));  // another unit
  rig->run();
  CHECK_EQUAL(2U, rig->world.tgtd->held());
  CHECK_EQUAL(0U, other.answer_to(7).status());
  rig->lu().stalled = false;
  rig->run();
  CHECK_EQUAL(0U, other.answer_to(5).status());
  CHECK_EQUAL(0U, other.answer_to(6).status());
  CHECK_EQUAL(4U, rig->commits());
}

TEST(CommandAbort, on_executed__after_the_channel_failed_is_not_answered) {
  make_executing();
  Rig::channel(*client).fail("test");
  rig->lu().stalled = false;
  rig->world.tgtd->complete_one();  // before anything is taken down
  CHECK_TRUE(Rig::qp(*client).sends.empty());
  check_gone();
}

// ---- a store that hangs ----

TEST(CommandAbort, get_memory__a_unit_that_hangs_leaves_some_to_others) {
  BufferPool& pool = rig->device().buffers();
  const Buffer room = pool.allocate(8 * page_bytes);
  rig->exhaust_memory();
  pool.release(room);
  rig->lu().stalled = true;
  for (unsigned tag = 3; tag < 11; ++tag) client->send(rig->write(*client, tag, tag));
  rig->run();
  CHECK_EQUAL(6U, rig->world.tgtd->held());
  CHECK_EQUAL(2U, pool.waiters());
  Client& other = rig->log_in({.initiator = 2});
  for (unsigned tag = 3; tag < 30; ++tag) {
    other.send(rig->write(other, tag, tag, 1, 2));
    rig->run();
    CHECK_EQUAL(0U, other.answer_to(tag).status());
  }
  CHECK_EQUAL(6U, rig->world.tgtd->held());
  rig->lu().stalled = false;
  rig->run();
  for (unsigned tag = 3; tag < 11; ++tag) CHECK_EQUAL(0U, client->answer_to(tag).status());
}
