// The budget of a poll, and where each kind of completion goes.
#include "lld_srp/completion.h"

#include "lld_srp/limits.h"
#include "tests/unit/observe.h"
#include "tests/unit/rig.h"

using namespace srp;
using namespace srp::test;

namespace {

fake::Cq& cq_of(const Client& client) { return *static_cast<fake::Cq*>(Rig::qp(client).send_cq); }

fake::Completion completion(const Client& client, const verbs::Work& work, ibv_wc_status status) {
  fake::Completion made{};
  made.wc.wr_id = work.id();
  made.wc.status = status;
  made.wc.opcode = IBV_WC_RECV;  // not defined where a request failed
  made.qp = &Rig::qp(client);
  return made;
}

}  // namespace

TEST_GROUP(Completion) {
  std::unique_ptr<Rig> rig;
  Client* client = nullptr;

  void make(unsigned credits = 4, unsigned send_queue = 64) {
    rig = std::make_unique<Rig>(RigOptions{.credits = credits, .send_queue = send_queue});
    client = &rig->log_in();
  }
  void teardown() override { rig.reset(); }

  // The log of a poll that finds this.
  std::string log_of_failure(const verbs::Work& work, ibv_wc_status status) {
    cq_of(*client).push(completion(*client, work, status));
    return log_of([&] {
      poll(Rig::channel(*client));
      rig->run_loop();
    });
  }
  verbs::Work& first_send() {
    return *reinterpret_cast<verbs::Work*>(Rig::qp(*client).sends.front().wr_id);
  }
  // IUs that cost no credit and want no answer.
  void send_plain(int count) {
    for (int i = 0; i < count; ++i) client->send(build_plain(wire::Opcode::cred_rsp));
    rig->deliver(*client);
  }
};

// ---- what failed ----

TEST(Completion, dispatch__failed_receive_ends_the_channel) {
  make();
  const auto& work = *reinterpret_cast<verbs::Work*>(Rig::qp(*client).receives.front().wr_id);
  const std::string log = log_of_failure(work, IBV_WC_LOC_LEN_ERR);
  STRCMP_CONTAINS(": receive failed: completion status (vendor error", log.c_str());
  STRCMP_CONTAINS("channel closed: a work request failed", log.c_str());
}

TEST(Completion, dispatch__failed_read_ends_the_channel) {
  make();
  rig->hand_in(*client, rig->write(*client, 1));
  STRCMP_CONTAINS(": RDMA READ failed",
                  log_of_failure(first_send(), IBV_WC_REM_ACCESS_ERR).c_str());
}

TEST(Completion, dispatch__failed_response_of_a_command_ends_the_channel) {
  make();
  rig->hand_in(*client, {.tag = 1});
  STRCMP_CONTAINS(": response failed", log_of_failure(first_send(), IBV_WC_RETRY_EXC_ERR).c_str());
}

TEST(Completion, dispatch__failed_response_of_a_task_ends_the_channel) {
  make();
  client->send_task(9, wire::TaskFunction::abort_task, 1);
  rig->deliver(*client);
  rig->run_loop();
  STRCMP_CONTAINS(": response failed", log_of_failure(first_send(), IBV_WC_RETRY_EXC_ERR).c_str());
}

TEST(Completion, dispatch__failed_write_ends_the_channel) {
  make();
  rig->hand_in(*client, rig->read(*client, 1));
  rig->complete_one();
  CHECK_EQUAL(int{static_cast<int>(verbs::WorkKind::unsignaled)},
              static_cast<int>(first_send().kind));
  STRCMP_CONTAINS(": RDMA WRITE failed",
                  log_of_failure(first_send(), IBV_WC_REM_ACCESS_ERR).c_str());
}

TEST(Completion, dispatch__failed_progress_ends_the_channel) {
  make(4, 16);
  CmdSpec spec{.tag = 1, .cdb = read_10(0, 1)};
  for (int i = 0; i < 20; ++i) spec.in.push_back(client->offer(16));
  rig->hand_in(*client, spec);
  rig->complete_one();
  auto& work = *reinterpret_cast<verbs::Work*>(Rig::qp(*client).sends.back().wr_id);
  CHECK_TRUE(work.kind == verbs::WorkKind::progress);
  STRCMP_CONTAINS(": RDMA WRITE failed", log_of_failure(work, IBV_WC_REM_ACCESS_ERR).c_str());
}

TEST(Completion, dispatch__a_flushed_request_ends_the_channel_without_an_error) {
  make();
  const auto& work = *reinterpret_cast<verbs::Work*>(Rig::qp(*client).receives.front().wr_id);
  const std::string log = log_of_failure(work, IBV_WC_WR_FLUSH_ERR);
  CHECK_EQUAL(0U, occurrences(log, "error:"));
  STRCMP_CONTAINS("channel closed: work requests were flushed: the connection is lost",
                  log.c_str());
}

TEST(Completion, dispatch__a_flush_in_front_of_what_has_worked_ends_the_channel) {
  make();
  const auto& work = *reinterpret_cast<verbs::Work*>(Rig::qp(*client).receives.back().wr_id);
  cq_of(*client).push(completion(*client, work, IBV_WC_WR_FLUSH_ERR));
  send_plain(1);
  poll(Rig::channel(*client));
  CHECK_TRUE(Rig::channel(*client).failed());
}

TEST(Completion, dispatch__the_failure_behind_flushed_requests_is_the_one_that_is_named) {
  make();
  const auto& work = *reinterpret_cast<verbs::Work*>(Rig::qp(*client).receives.front().wr_id);
  for (int i = 0; i < 20; ++i) {  // more than a batch
    cq_of(*client).push(completion(*client, work, IBV_WC_WR_FLUSH_ERR));
  }
  const std::string log = log_of_failure(work, IBV_WC_GENERAL_ERR);
  CHECK_EQUAL(1U, occurrences(log, "receive failed: completion status"));
  STRCMP_CONTAINS("channel closed: a work request failed", log.c_str());
}

TEST(Completion, dispatch__only_the_first_failure_is_reported) {
  make();
  const auto work_of = [&](std::size_t i) -> const verbs::Work& {
    return *reinterpret_cast<verbs::Work*>(Rig::qp(*client).receives[i].wr_id);
  };
  for (const std::size_t i : {0U, 1U}) {
    cq_of(*client).push(completion(*client, work_of(i), IBV_WC_GENERAL_ERR));
  }
  const verbs::Work& work = work_of(2);
  CHECK_EQUAL(1U, occurrences(log_of_failure(work, IBV_WC_GENERAL_ERR), "failed: completion"));
}

TEST(Completion, take__nothing_behind_a_failure_is_looked_at) {
  make();
  const auto& work = *reinterpret_cast<verbs::Work*>(Rig::qp(*client).receives.back().wr_id);
  cq_of(*client).push(completion(*client, work, IBV_WC_GENERAL_ERR));
  client->send(CmdSpec{.tag = 1});
  rig->deliver(*client);
  poll(Rig::channel(*client));
  CHECK_EQUAL(0U, Rig::session(*client).stats().commands);
  CHECK_EQUAL(0U, Rig::channel(*client).credits().serving());
}

TEST(Completion, poll__does_nothing_on_a_channel_that_failed) {
  make();
  client->send(CmdSpec{.tag = 1});
  rig->deliver(*client);
  const std::size_t entries = cq_of(*client).entries.size();
  Rig::channel(*client).fail("test");
  poll(Rig::channel(*client));
  CHECK_EQUAL(entries, cq_of(*client).entries.size());
}

// ---- the budget ----

TEST(Completion, poll__takes_several_batches) {
  make(200);
  send_plain(3 * poll_batch + 1);
  poll(Rig::channel(*client));
  CHECK_TRUE(cq_of(*client).entries.empty());
}

TEST(Completion, poll__budget_used_up_goes_on_later) {
  make(200);
  send_plain(poll_budget + 20);
  poll(Rig::channel(*client));
  CHECK_EQUAL(20U, cq_of(*client).entries.size());
  rig->run_loop();
  CHECK_TRUE(cq_of(*client).entries.empty());
  CHECK_TRUE(cq_of(*client).armed);
}

// Counts the looks at completion queues.
TEST(Completion, poll__looks_a_while_for_more_before_it_asks_for_an_event) {
  make();
  static unsigned looks;
  static int (*poll_cq)(ibv_cq*, int, ibv_wc*);
  looks = 0;
  auto& ops = rig->device().context().ops;
  poll_cq = ops.poll_cq;
  ops.poll_cq = [](ibv_cq* cq, int count, ibv_wc* wcs) {
    ++looks;
    return poll_cq(cq, count, wcs);
  };
  send_plain(1);
  CHECK_FALSE(cq_of(*client).armed);  // it has raised its event
  poll(Rig::channel(*client));
  CHECK_FALSE(cq_of(*client).armed);
  rig->run_loop();
  CHECK_TRUE(cq_of(*client).armed);
  // The first found something; the last two are those around the request for an event, and one is
  // for the event that was raised.
  CHECK_EQUAL(1 + empty_looks_max + 2, looks);
}

TEST(Completion, poll__an_event_without_completions_asks_for_the_next_one) {
  make();
  send_plain(1);
  rig->run_loop();
  cq_of(*client).armed = false;
  poll(Rig::channel(*client));
  CHECK_TRUE(cq_of(*client).armed);
}

namespace {

Rig* latecomers_rig;
Client* latecomer;

}  // namespace

// An IU arrives after the last look and before the event is asked for: no event comes for it.
TEST(Completion, poll__finds_what_came_before_the_event_was_asked_for) {
  make();
  latecomers_rig = rig.get();
  latecomer = client;
  static int (*notify)(ibv_cq*, int);
  auto& ops = rig->device().context().ops;
  notify = ops.req_notify_cq;
  ops.req_notify_cq = [](ibv_cq* cq, int solicited) {
    if (Client* late = std::exchange(latecomer, nullptr)) {
      late->send(CmdSpec{.tag = 5});
      latecomers_rig->deliver(*late);
    }
    return notify(cq, solicited);
  };
  send_plain(1);
  poll(Rig::channel(*client));
  rig->run_loop();
  POINTERS_EQUAL(nullptr, latecomer);
  CHECK_TRUE(cq_of(*client).entries.empty());
  CHECK_EQUAL(1U, Rig::session(*client).stats().commands);
  rig->run();
  CHECK_EQUAL(0U, client->answer_to(5).status());
}

TEST(Completion, poll__several_channels_on_a_device_are_each_served) {
  make();
  Client& other = rig->log_in({.initiator = 2});
  client->send(CmdSpec{.tag = 1});
  other.send(CmdSpec{.tag = 2});
  rig->run();
  CHECK_EQUAL(0U, client->answer_to(1).status());
  CHECK_EQUAL(0U, other.answer_to(2).status());
}
