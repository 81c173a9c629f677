// What a channel does as settings and SOLNT want it: solicited events, goodbyes, credits that no
// response brings, RDMA in pieces.
#include <cstring>

#include "lld_srp/admin.h"
#include "lld_srp/channel.h"
#include "lld_srp/limits.h"
#include "tests/unit/observe.h"
#include "tests/unit/rig.h"

using namespace srp;
using namespace srp::test;

namespace {

constexpr std::uint64_t task_tag = 0x80000001;
constexpr auto multi = wire::MultiChannelAction::multi;

}  // namespace

TEST_GROUP(ChannelNotices) {
  std::unique_ptr<Rig> rig;
  Client* client = nullptr;

  void make(const RigOptions& options = {}) {
    rig.reset();
    rig = std::make_unique<Rig>(options);
    client = &rig->log_in();
  }
  void make_saying_goodbye(unsigned send_queue = 64) {
    make({.send_queue = send_queue, .more = "t_logout = true;"});
    rig->ask(*client, {.tag = 1});  // it is heard from
    client->answers.clear();
  }
  void teardown() override { rig.reset(); }

  void delete_session() {
    const std::uint64_t id = rig->port().sessions().front()->nexus().id();
    CHECK_EQUAL(int{tgt::TGTADM_SUCCESS}, int{admin::update(*rig->driver, tgt::MODE_CONNECTION,
                                                            tgt::OP_DELETE, 1, id, nullptr)});
    rig->run_loop();
  }
  // The only notice is an SRP_T_LOGOUT with this reason, and the channel is over.
  void check_goodbye(std::uint32_t reason, const Client& from) {
    CHECK_EQUAL(1U, from.notices.size());
    const Bytes& iu = from.notices.front();
    CHECK_EQUAL(sizeof(wire::TLogout), iu.size());
    CHECK_EQUAL(0x80U, unsigned{iu[0]});
    CHECK_EQUAL(0U, unsigned{iu[1]});
    CHECK_EQUAL(reason, std::uint32_t{iu[4]} << 24 | std::uint32_t{iu[5]} << 16 |
                            std::uint32_t{iu[6]} << 8 | iu[7]);
    CHECK_TRUE(from.disconnected);
  }
  void check_goodbye(std::uint32_t reason) { check_goodbye(reason, *client); }
  CreditLedger& credits(const Client& of) { return Rig::channel(of).credits(); }
};

// ---- solicited events ----

TEST(ChannelNotices, respond__is_solicited_as_the_command_wants_it) {
  make();
  const struct {
    std::uint8_t solnt;
    bool on_success, on_failure;
  } rows[] = {{0, false, false}, {2, true, false},  {4, false, true},
              {6, true, true},   {1, false, false}, {0xf9, false, false}};
  for (const auto& row : rows) {
    for (const bool succeeds : {true, false}) {
      const Cdb cdb = succeeds ? test_unit_ready() : write_10(0, 1);  // which offers nothing
      rig->hand_in(*client, {.tag = 3, .cdb = cdb, .solnt = row.solnt});
      const bool wanted = succeeds ? row.on_success : row.on_failure;
      const unsigned flags = Rig::qp(*client).sends.back().flags;
      CHECK_EQUAL(wanted, (flags & IBV_SEND_SOLICITED) != 0);
      rig->run();
      CHECK_EQUAL(succeeds ? 0U : 2U, client->last().status());
      CHECK_EQUAL(wanted ? 1U : 0U, unsigned{client->last().head.solnt});
    }
  }
}

TEST(ChannelNotices, respond__only_the_response_of_a_chain_is_solicited) {
  make();
  CmdSpec spec = rig->read(*client, 3);
  spec.solnt = wire::solicited_on_success;
  rig->hand_in(*client, spec);
  rig->complete_one();
  const auto& sends = Rig::qp(*client).sends;
  CHECK_EQUAL(2U, sends.size());
  CHECK_EQUAL(IBV_WR_RDMA_WRITE, sends[0].opcode);
  CHECK_EQUAL(0U, sends[0].flags);
  CHECK_EQUAL(unsigned{IBV_SEND_SIGNALED | IBV_SEND_INLINE | IBV_SEND_SOLICITED}, sends[1].flags);
}

// ---- goodbyes ----

TEST(ChannelNotices, leave__by_default_without_a_word) {
  make();
  rig->ask(*client, {.tag = 1});
  client->send(Bytes(16, 0x55));
  rig->run();
  CHECK_TRUE(client->disconnected);
  CHECK_TRUE(client->notices.empty());
}

TEST(ChannelNotices, leave__an_iu_of_unknown_type_has_reason_2) {
  make_saying_goodbye();
  client->send(Bytes(64, 0x55));
  const std::string log = log_of([&] { rig->run(); });
  check_goodbye(2);
  STRCMP_CONTAINS("channel closed: protocol error: invalid IU", log.c_str());
  CHECK_EQUAL(0U, rig->port().sessions().size());
}

TEST(ChannelNotices, leave__an_iu_that_is_too_short_has_reason_8) {
  for (const std::size_t bytes : {0U, 1U, 47U}) {
    make_saying_goodbye();
    Bytes iu = build({.tag = 3});
    iu.resize(bytes);
    client->send(iu);
    rig->run();
    check_goodbye(8);
    CHECK_TRUE(client->answers.empty());
  }
}

TEST(ChannelNotices, leave__more_requests_than_credits_has_no_reason) {
  make_saying_goodbye();
  rig->lu().stalled = true;
  client->overdrawn = true;
  for (std::uint64_t tag = 1; tag <= 5; ++tag) client->send(rig->read(*client, tag));
  rig->run();
  check_goodbye(0);
  CHECK_TRUE(client->answers.empty());
}

TEST(ChannelNotices, leave__a_login_that_replaces_it_has_reason_4) {
  make_saying_goodbye();
  Client& next = rig->log_in();
  rig->run();
  check_goodbye(4);
  CHECK_TRUE(next.notices.empty());
  CHECK_FALSE(next.disconnected);
  CHECK_EQUAL(1U, rig->port().sessions().size());
  CHECK_EQUAL(0U, rig->ask(next, {.tag = 9}).status());
}

TEST(ChannelNotices, dismiss__all_channels_of_a_session_that_an_administrator_deletes) {
  make_saying_goodbye();
  Client& other = rig->log_in({.action = multi});
  rig->ask(other, {.tag = 1});
  delete_session();
  rig->run();
  check_goodbye(0);
  check_goodbye(0, other);
  CHECK_EQUAL(0U, rig->port().sessions().size());
}

TEST(ChannelNotices, leave__nothing_comes_after_it) {
  make_saying_goodbye();
  rig->lu().stalled = true;
  rig->hand_in(*client, rig->read(*client, 3));
  rig->hand_in(*client, rig->read(*client, 4));
  client->send_task(task_tag, wire::TaskFunction::abort_task, 4);
  rig->deliver(*client);
  rig->run_loop();
  delete_session();
  client->send(CmdSpec{.tag = 5});
  rig->deliver(*client);
  rig->lu().stalled = false;
  rig->complete_one();
  rig->complete_one();
  rig->silent_tick();
  const auto& sends = Rig::qp(*client).sends;
  CHECK_EQUAL(1U, sends.size());
  CHECK_EQUAL(IBV_WR_SEND, sends[0].opcode);
  rig->run();
  check_goodbye(0);
  CHECK_TRUE(client->answers.empty());
  CHECK_EQUAL(3U, rig->world.tgtd->queued);  // the reads, and the one that was heard first
  CHECK_EQUAL(0U, rig->device().buffers().bytes_in_use());
}

TEST(ChannelNotices, leave__no_data_is_fetched_after_it) {
  make_saying_goodbye();
  rig->exhaust_memory();
  rig->hand_in(*client, rig->write(*client, 3));
  delete_session();
  rig->give_memory_back();
  rig->run_loop();
  CHECK_EQUAL(1U, Rig::qp(*client).sends.size());
  rig->run();
  check_goodbye(0);
  CHECK_TRUE(client->accesses.empty());
  CHECK_EQUAL(0U, rig->commits());
}

// Its data is on the way when the channel is left.
TEST(ChannelNotices, leave__nothing_is_executed_after_it) {
  make_saying_goodbye();
  rig->hand_in(*client, rig->write(*client, 3));
  delete_session();
  rig->run();
  check_goodbye(0);
  CHECK_TRUE(client->answers.empty());
  CHECK_EQUAL(0U, rig->commits());
  CHECK_EQUAL(0U, rig->device().buffers().bytes_in_use());
}

// The queue pair still works: what was on its way before is no secret.
TEST(ChannelNotices, leave__responses_that_wait_for_the_send_queue_go_first) {
  make_saying_goodbye(16);
  CmdSpec spec{.tag = 3, .cdb = read_10(0, 1)};
  for (int i = 0; i < 20; ++i) spec.in.push_back(client->offer(16));
  rig->hand_in(*client, spec);
  rig->complete_one();
  CHECK_EQUAL(16U, Rig::qp(*client).sends.size());
  delete_session();
  CHECK_EQUAL(16U, Rig::qp(*client).sends.size());
  rig->run();
  CHECK_EQUAL(0U, client->answer_to(3).status());
  check_goodbye(0);
}

TEST(ChannelNotices, leave__not_before_the_initiator_has_sent_something) {
  make({.more = "t_logout = true;"});
  delete_session();
  rig->run();
  CHECK_TRUE(client->notices.empty());
  CHECK_TRUE(client->disconnected);
}

TEST(ChannelNotices, watch_peer__a_goodbye_that_cannot_leave_is_given_up) {
  make_saying_goodbye();
  delete_session();
  Channel& channel = Rig::channel(*client);
  CHECK_TRUE(channel.closing());
  rig->silent_tick(goodbye_s_max * ticks_per_second - 1);
  CHECK_FALSE(channel.failed());
  const std::string log = log_of([&] { rig->silent_tick(); });
  STRCMP_CONTAINS("channel closed: deleted by tgtadm", log.c_str());
  rig->run();
  CHECK_TRUE(client->notices.empty());
  CHECK_EQUAL(0U, rig->port().sessions().size());
}

TEST(ChannelNotices, leave__another_failure_does_not_wait_for_the_goodbye) {
  make_saying_goodbye();
  delete_session();
  const std::string log = log_of([&] {
    client->disconnect();
    rig->run_cm();
    rig->run_loop();
  });
  STRCMP_CONTAINS("channel closed: the initiator disconnected", log.c_str());
}

// ---- credits without a response ----

// Two commands of `other` are ended by the client: its credits come back, and no response does.
TEST(ChannelNotices, offer_credits__where_no_response_can_bring_them) {
  make({.credits = 2});
  Client& other = rig->log_in({.action = multi});
  rig->exhaust_memory();
  rig->hand_in(other, rig->read(other, 3));
  rig->hand_in(other, rig->read(other, 4));
  CHECK_EQUAL(0U, credits(other).held());
  client->send_task(task_tag, wire::TaskFunction::abort_task_set, 0);
  rig->run();
  CHECK_EQUAL(0, client->answer_to(task_tag).code());
  CHECK_TRUE(other.answers.empty());
  CHECK_TRUE(credits(other).stuck(0));
  CHECK_TRUE(other.notices.empty());

  rig->tick();
  CHECK_EQUAL(1U, other.notices.size());
  const Bytes iu = other.notices.front();
  CHECK_EQUAL(sizeof(wire::CredReq), iu.size());
  const Bytes expected{0x81, 0, 0, 0, 0, 0, 0, 2};
  MEMCMP_EQUAL(expected.data(), iu.data(), expected.size());
  CHECK_EQUAL(2U, credits(other).held());
  other.send(build_plain(wire::Opcode::cred_rsp));
  rig->tick(10);
  CHECK_EQUAL(1U, other.notices.size());  // once
  CHECK_TRUE(client->notices.empty());
  rig->give_memory_back();
  CHECK_EQUAL(0U, rig->ask(other, {.tag = 5}).status());
  CHECK_EQUAL(1U, other.last().delta());
}

TEST(ChannelNotices, offer_credits__of_commands_that_tgtd_gives_back_later) {
  make({.credits = 2});
  Client& other = rig->log_in({.action = multi});
  rig->lu().stalled = true;
  rig->hand_in(other, rig->read(other, 3));
  rig->hand_in(other, rig->read(other, 4));
  client->send_task(task_tag, wire::TaskFunction::abort_task_set, 0);
  rig->run();
  rig->tick(4);
  CHECK_TRUE(other.notices.empty());  // they are not over
  rig->lu().stalled = false;
  rig->run();
  rig->tick();
  CHECK_EQUAL(1U, other.notices.size());
  CHECK_EQUAL(2U, credits(other).held());
}

TEST(ChannelNotices, offer_credits__not_while_an_answer_is_due) {
  make({.credits = 2});
  Client& other = rig->log_in({.action = multi});
  rig->lu(2).stalled = true;
  rig->hand_in(other, rig->read(other, 3, 0, 1, 2));
  rig->exhaust_memory();
  rig->hand_in(other, rig->read(other, 4));
  client->send_task(task_tag, wire::TaskFunction::abort_task_set, 0);
  rig->run();
  rig->tick(8);
  CHECK_TRUE(other.notices.empty());
  rig->lu(2).stalled = false;
  rig->run();
  CHECK_EQUAL(2U, other.answer_to(3).delta());
  rig->tick(8);
  CHECK_TRUE(other.notices.empty());
}

TEST(ChannelNotices, offer_credits__not_while_the_initiator_can_send_a_command) {
  make({.credits = 4});
  Client& other = rig->log_in({.action = multi});
  rig->exhaust_memory();
  rig->hand_in(other, rig->read(other, 3));
  rig->hand_in(other, rig->read(other, 4));
  client->send_task(task_tag, wire::TaskFunction::abort_task_set, 0);
  rig->run();
  rig->tick(8);
  CHECK_EQUAL(2U, credits(other).held());
  CHECK_TRUE(other.notices.empty());
  rig->give_memory_back();
  CHECK_EQUAL(3U, rig->ask(other, {.tag = 5}).delta());
}

// A goodbye has the same place as this IU: it cannot be said while that is on its way.
TEST(ChannelNotices, leave__without_a_word_while_credits_are_offered) {
  make({.credits = 2, .more = "t_logout = true;"});
  Client& other = rig->log_in({.action = multi});
  rig->ask(*client, {.tag = 1});
  rig->exhaust_memory();
  rig->hand_in(other, rig->read(other, 3));
  rig->hand_in(other, rig->read(other, 4));
  client->send_task(task_tag, wire::TaskFunction::abort_task_set, 0);
  rig->run();
  rig->silent_tick();
  CHECK_EQUAL(1U, Rig::qp(other).sends.size());  // SRP_CRED_REQ, not completed
  delete_session();
  rig->run();
  check_goodbye(0);
  CHECK_TRUE(other.notices.empty());
  CHECK_TRUE(other.disconnected);
  CHECK_EQUAL(0U, rig->port().sessions().size());
}

// ---- settings ----

TEST(ChannelNotices, fetch__is_cut_at_the_longest_rdma) {
  make({.more = "srp_max_rdma_size = 4096;"});
  CHECK_EQUAL(0U, rig->ask(*client, rig->write(*client, 3, 0, 20)).status());
  CHECK_EQUAL(0U, rig->ask(*client, rig->read(*client, 4, 0, 20)).status());
  CHECK_EQUAL(6U, client->accesses.size());
  const std::size_t lengths[] = {4096, 4096, 2048};
  for (std::size_t i = 0; i < 6; ++i) {
    CHECK_EQUAL(lengths[i % 3], client->accesses[i].bytes);
    CHECK_TRUE((client->accesses[i].kind == fake::RemoteAccess::read) == (i < 3));
  }
  CHECK_EQUAL(1U, rig->commits());
}

TEST(ChannelNotices, fetch__of_two_commands_take_turns) {
  rig = std::make_unique<Rig>(RigOptions{.more = "srp_max_rdma_size = 4096;"});
  client = &rig->log_in({.read_depth = 1});
  const CmdSpec first = rig->write(*client, 3, 0, 32);
  const CmdSpec second = rig->write(*client, 4, 32, 32);
  rig->hand_in(*client, first);
  rig->hand_in(*client, second);
  rig->run();
  std::string turns;
  for (const auto& access : client->accesses) turns += access.key == first.out[0].key ? 'a' : 'b';
  STRCMP_EQUAL("aabababb", turns.c_str());
  CHECK_EQUAL(2U, rig->commits());
}

TEST(ChannelNotices, watch_peer__asks_as_often_as_the_setting_says) {
  make({.more = "keepalive_s = 2;"});
  const auto& sends = Rig::qp(*client).sends;
  rig->silent_tick(2 * ticks_per_second - 1);
  CHECK_TRUE(sends.empty());
  rig->silent_tick();
  CHECK_EQUAL(1U, sends.size());
  CHECK_EQUAL(IBV_WR_RDMA_WRITE, sends[0].opcode);
  rig->silent_tick(4 * ticks_per_second - 1);
  CHECK_FALSE(Rig::channel(*client).failed());
  const std::string log = log_of([&] { rig->silent_tick(); });
  STRCMP_CONTAINS("channel closed: the initiator is silent", log.c_str());
}
