// How a channel builds its queues, keeps within them, and stops.
#include "lld_srp/channel.h"

#include "lld_srp/limits.h"
#include "tests/unit/observe.h"
#include "tests/unit/rig.h"

using namespace srp;
using namespace srp::test;

constexpr unsigned keepalive_s = 30;  // the default

// ---- building ----

TEST_GROUP(Channel) {
  RigOptions options;
  std::unique_ptr<Rig> rig;

  void make() { rig = std::make_unique<Rig>(options); }
  void teardown() override { rig.reset(); }

  // A read into this many pieces of 16 bytes each.
  CmdSpec read_into_pieces(Client & client, std::uint64_t tag, std::size_t pieces) {
    CmdSpec spec{.tag = tag, .cdb = read_10(0, static_cast<std::uint16_t>((pieces + 31) / 32))};
    for (std::size_t i = 0; i < pieces; ++i) spec.in.push_back(client.offer(16));
    return spec;
  }
  // The command's data lie in tgtd and a response waits to be carried out.
  void execute(Client & client, const CmdSpec& spec) {
    rig->hand_in(client, spec);
    rig->complete_one();
  }
  void check_read(Client & client, const CmdSpec& spec) {
    Bytes got;
    for (const auto& piece : spec.in) {
      const Bytes& part = client.bytes_of(piece);
      got.insert(got.end(), part.begin(), part.end());
    }
    MEMCMP_EQUAL(rig->lu().content.data(), got.data(), got.size());
  }
};

TEST(Channel, constructor__posts_a_receive_for_each_credit_and_some_for_what_costs_none) {
  make();
  Client& client = rig->log_in();
  fake::Qp& qp = Rig::qp(client);
  CHECK_EQUAL(4U + 4U, qp.receives.size());
  CHECK_EQUAL(8U, qp.cap.max_recv_wr);
  for (const auto& receive : qp.receives) CHECK_EQUAL(1024U, receive.sges[0].length);
}

TEST(Channel, constructor__has_places_for_as_much_as_is_configured) {
  make();
  fake::Qp& qp = Rig::qp(rig->log_in());
  CHECK_EQUAL(64U, qp.cap.max_send_wr);
  CHECK_EQUAL(4 + 4 + 64, qp.send_cq->cqe);
  CHECK_TRUE(qp.send_cq == qp.recv_cq);
  CHECK_FALSE(qp.signal_all);
}

TEST(Channel, constructor__takes_what_the_device_has_of_send_queue_and_completion_queue) {
  make();
  rig->hca().limits.max_qp_wr = 20;
  CHECK_EQUAL(20U, Rig::qp(rig->log_in()).cap.max_send_wr);
  rig.reset();
  make();
  rig->hca().limits.max_cqe = 8 + 10;
  fake::Qp& qp = Rig::qp(rig->log_in());
  CHECK_EQUAL(10U, qp.cap.max_send_wr);
  CHECK_EQUAL(18, qp.send_cq->cqe);
}

TEST(Channel, constructor__goes_without_inline_data_where_the_device_refuses_it) {
  make();
  rig->hca().inline_bytes_max = 32;
  Client& client = rig->log_in();
  CHECK_EQUAL(0U, Rig::qp(client).cap.max_inline_data);
  rig->hand_in(client, {.tag = 5});
  CHECK_FALSE(Rig::qp(client).sends.back().is_inline());
  rig->run();
  CHECK_EQUAL(0U, client.answer_to(5).status());
}

TEST(Channel, constructor__leaves_nothing_behind_where_it_fails) {
  make();
  rig->log_in();
  const std::size_t mrs = rig->world.fabric->mrs.size();
  for (const auto fault :
       {fake::Fault::reg_mr, fake::Fault::create, fake::Fault::modify_qp, fake::Fault::post_recv}) {
    rig->world.faults.set(fault, 1);
    Client& client = rig->connect({.initiator = 2});
    rig->run();
    rig->world.faults.clear();
    CHECK_EQUAL(0x00010001U, std::uint32_t{client.login_rej.value().reason});
    CHECK_EQUAL(1U, rig->world.fabric->qps.size());
    CHECK_EQUAL(1U, rig->world.fabric->cqs.size());
    CHECK_EQUAL(mrs, rig->world.fabric->mrs.size());
    CHECK_EQUAL(1U, rig->device().channels());
  }
}

// Each time another one of the things that are made cannot be made.
TEST(Channel, constructor__leaves_nothing_behind_wherever_it_fails) {
  make();
  rig->log_in();
  unsigned refused = 0;
  rig->world.faults.set(fake::Fault::create, 0.3);
  for (int i = 0; i < 60; ++i) {
    Client& client = rig->connect({.initiator = 2});
    rig->run();
    refused += client.login_rej ? 1 : 0;
    if (client.login_rsp) client.disconnect();
    rig->run();
    CHECK_EQUAL(1U, rig->world.fabric->qps.size());
    CHECK_EQUAL(1U, rig->device().channels());
  }
  CHECK_TRUE(refused > 10 && refused < 60);
}

// ---- receiving ----

TEST(Channel, take__posts_another_receive_while_the_command_keeps_its_own) {
  make();
  rig->lu().stalled = true;
  Client& client = rig->log_in();
  for (std::uint64_t tag = 1; tag <= 4; ++tag) {
    rig->hand_in(client, rig->read(client, tag));
    CHECK_EQUAL(8U, Rig::qp(client).receives.size());
  }
}

TEST(Channel, release__lets_a_receive_be_posted_again) {
  make();
  Client& client = rig->log_in();
  for (std::uint64_t tag = 1; tag <= 50; ++tag) {
    rig->ask(client, {.tag = tag});
    client.send(build_plain(wire::Opcode::cred_rsp));
    rig->run();
    CHECK_EQUAL(8U, Rig::qp(client).receives.size());
  }
}

// Commands on whose responses nothing is known keep theirs, and those that wait for them have
// others.
TEST(Channel, release__fills_the_queue_again_after_every_spare_one_was_in_use) {
  make();
  Client& client = rig->log_in();
  for (std::uint64_t tag = 1; tag <= 8; ++tag) rig->hand_in(client, {.tag = tag});
  CHECK_EQUAL(4U, Rig::qp(client).receives.size());
  rig->run();
  CHECK_EQUAL(8U, client.answers.size());
  CHECK_EQUAL(8U, Rig::qp(client).receives.size());
}

TEST(Channel, take__fails_where_no_receive_can_be_posted) {
  make();
  Client& client = rig->log_in();
  Channel& channel = Rig::channel(client);
  rig->world.faults.set(fake::Fault::post_recv, 1);
  client.send(CmdSpec{});
  rig->deliver(client);
  const std::string log = log_of([&] { rig->run_loop(); });
  CHECK_TRUE(channel.failed());
  STRCMP_CONTAINS("channel closed: a receive could not be posted", log.c_str());
}

// ---- READs ----

TEST(Channel, fetch__has_no_more_reads_outstanding_than_the_initiator_allows) {
  make();
  Client& client = rig->log_in({.read_depth = 2});
  CHECK_EQUAL(2U, Rig::qp(client).read_depth);
  CmdSpec spec{.tag = 1, .cdb = unmap(96), .out = client.offer_list({24, 24, 24, 24})};
  rig->hand_in(client, spec);
  CHECK_EQUAL(2U, Rig::qp(client).sends.size());
  rig->run();
  CHECK_EQUAL(4U, client.accesses.size());
  CHECK_EQUAL(0U, client.answer_to(1).status());
}

TEST(Channel, fetch__posts_the_first_in_line_before_the_next) {
  make();
  rig->lu().stalled = true;
  Client& client = rig->log_in({.read_depth = 1});
  const CmdSpec first{.tag = 1, .cdb = unmap(48), .out = client.offer_list({24, 24})};
  const CmdSpec second{.tag = 2, .cdb = unmap(24), .out = {client.offer(24)}};
  rig->hand_in(client, first);
  rig->hand_in(client, second);
  rig->run();
  CHECK_EQUAL(3U, client.accesses.size());
  CHECK_EQUAL(first.out[0].key, client.accesses[0].key);
  CHECK_EQUAL(first.out[1].key, client.accesses[1].key);
  CHECK_EQUAL(second.out[0].key, client.accesses[2].key);
}

TEST(Channel, fetch__cuts_at_the_longest_message_of_the_port) {
  make();
  rig->hca().message_bytes_max = 1024;
  Client& client = rig->log_in();
  CHECK_EQUAL(0U, rig->ask(client, rig->write(client, 1, 3, 5)).status());
  CHECK_EQUAL(3U, client.accesses.size());
  CHECK_EQUAL(1024U, client.accesses[0].bytes);
  CHECK_EQUAL(512U, client.accesses[2].bytes);
  CHECK_EQUAL(1U, rig->commits());
}

TEST(Channel, fetch__waits_for_a_place_in_the_send_queue) {
  options.send_queue = 16;
  make();
  rig->hca().limits.max_qp_wr = 8;  // as many receives, and no more sends
  rig->hca().limits.max_cqe = 8 + 2;
  Client& client = rig->log_in({.read_depth = 16});
  CHECK_EQUAL(2U, Rig::qp(client).cap.max_send_wr);
  CmdSpec spec{.tag = 1, .cdb = unmap(120), .out = client.offer_list({24, 24, 24, 24, 24})};
  rig->hand_in(client, spec);
  CHECK_EQUAL(2U, Rig::qp(client).sends.size());
  rig->run();
  CHECK_EQUAL(0U, client.answer_to(1).status());
  CHECK_EQUAL(5U, client.accesses.size());
}

// ---- replies ----

TEST(Channel, reply__overtakes_reads_that_wait) {
  make();
  Client& client = rig->log_in({.read_depth = 1});
  rig->hand_in(client, {.tag = 1, .cdb = unmap(48), .out = client.offer_list({24, 24})});
  rig->hand_in(client, {.tag = 2});
  auto& sends = Rig::qp(client).sends;
  CHECK_EQUAL(2U, sends.size());
  CHECK_EQUAL(IBV_WR_RDMA_READ, sends[0].opcode);
  CHECK_EQUAL(IBV_WR_SEND, sends[1].opcode);
}

TEST(Channel, reply__is_one_chain_of_which_the_response_alone_reports) {
  make();
  Client& client = rig->log_in();
  const CmdSpec spec = read_into_pieces(client, 1, 15);
  execute(client, spec);
  auto& sends = Rig::qp(client).sends;
  CHECK_EQUAL(16U, sends.size());
  for (std::size_t i = 0; i < 15; ++i) {
    CHECK_EQUAL(IBV_WR_RDMA_WRITE, sends[i].opcode);
    CHECK_EQUAL(0U, sends[i].flags);
  }
  CHECK_EQUAL(IBV_WR_SEND, sends[15].opcode);
  CHECK_EQUAL(unsigned{IBV_SEND_SIGNALED | IBV_SEND_INLINE}, sends[15].flags);
  rig->run();
  check_read(client, spec);
}

TEST(Channel, reply__longer_than_a_chain_reports_progress_at_the_end_of_each) {
  make();
  Client& client = rig->log_in();
  const CmdSpec spec = read_into_pieces(client, 1, 33);
  execute(client, spec);
  auto& sends = Rig::qp(client).sends;
  CHECK_EQUAL(34U, sends.size());
  for (std::size_t i = 0; i < sends.size(); ++i) {
    const bool last = i == 15 || i == 31 || i == 33;
    CHECK_EQUAL(last, (sends[i].flags & IBV_SEND_SIGNALED) != 0);
  }
  rig->run();
  STRCMP_EQUAL("in+496", client.answer_to(1).residual_text().c_str());
  check_read(client, spec);
}

TEST(Channel, reply__whose_writes_fill_a_chain_sends_the_response_in_the_next) {
  make();
  Client& client = rig->log_in();
  execute(client, read_into_pieces(client, 1, 16));
  auto& sends = Rig::qp(client).sends;
  CHECK_EQUAL(17U, sends.size());
  CHECK_EQUAL(unsigned{IBV_SEND_SIGNALED}, sends[15].flags);
  CHECK_EQUAL(IBV_WR_RDMA_WRITE, sends[15].opcode);
  CHECK_EQUAL(IBV_WR_SEND, sends[16].opcode);
}

TEST(Channel, reply__that_the_send_queue_cannot_hold_goes_on_as_it_empties) {
  options.send_queue = 16;
  make();
  Client& client = rig->log_in();
  const CmdSpec spec = read_into_pieces(client, 1, 40);
  execute(client, spec);
  CHECK_EQUAL(16U, Rig::qp(client).sends.size());
  rig->run();
  CHECK_EQUAL(0U, client.answer_to(1).status());
  CHECK_EQUAL(40U, client.accesses.size());
  check_read(client, spec);
}

TEST(Channel, reply__waits_its_turn_behind_another_that_is_not_whole) {
  options.send_queue = 16;
  make();
  Client& client = rig->log_in();
  rig->hand_in(client, read_into_pieces(client, 1, 20));
  rig->complete_one();
  rig->hand_in(client, {.tag = 2});
  CHECK_EQUAL(16U, Rig::qp(client).sends.size());
  rig->run();
  CHECK_EQUAL(2U, client.answers.size());
  CHECK_EQUAL(1U, client.answers[0].tag());
  CHECK_EQUAL(2U, client.answers[1].tag());
}

TEST(Channel, reply__places_come_back_however_often_the_queue_goes_round) {
  options.send_queue = 16;
  make();
  Client& client = rig->log_in();
  for (std::uint64_t tag = 1; tag <= 60; ++tag) {
    const CmdSpec spec = read_into_pieces(client, tag, tag % 23 + 1);
    CHECK_EQUAL(0U, rig->ask(client, spec).status());
    check_read(client, spec);
    CHECK_EQUAL(0U, rig->ask(client, rig->write(client, 1000 + tag)).status());
  }
}

TEST(Channel, reply__cuts_data_in_at_the_longest_message_of_the_port) {
  make();
  rig->hca().message_bytes_max = 1000;
  Client& client = rig->log_in();
  const CmdSpec spec = rig->read(client, 1, 0, 4);
  rig->ask(client, spec);
  CHECK_EQUAL(3U, client.accesses.size());
  CHECK_EQUAL(1000U, client.accesses[1].bytes);
  CHECK_EQUAL(48U, client.accesses[2].bytes);
  check_read(client, spec);
}

TEST(Channel, reply__is_inline_up_to_the_length_that_the_queue_pair_takes) {
  make();
  Client& client = rig->log_in();
  for (const int sense_bytes : {28, 29}) {
    rig->end_with(0x02, sense_bytes);
    rig->hand_in(client, {.tag = 1});
    CHECK_EQUAL(sense_bytes == 28, Rig::qp(client).sends.back().is_inline());
    rig->run_fabric();
    rig->run_loop();
    CHECK_EQUAL(static_cast<std::size_t>(sense_bytes), client.last().sense.size());
  }
}

// ---- is the initiator there? ----

TEST(Channel, watch_peer__an_idle_channel_asks_with_a_write_of_no_bytes) {
  make();
  Client& client = rig->log_in();
  auto& sends = Rig::qp(client).sends;
  rig->silent_tick(keepalive_s * ticks_per_second - 1);
  CHECK_EQUAL(0U, sends.size());
  rig->silent_tick();
  CHECK_EQUAL(1U, sends.size());
  CHECK_EQUAL(IBV_WR_RDMA_WRITE, sends[0].opcode);
  CHECK_EQUAL(0U, sends[0].length());
  rig->silent_tick(10);
  CHECK_EQUAL(1U, sends.size());
  rig->run();
  CHECK_EQUAL(0U, sends.size());
  CHECK_TRUE(client.accesses.empty());
  rig->silent_tick(keepalive_s * ticks_per_second - 1);
  CHECK_EQUAL(0U, sends.size());
  rig->silent_tick();
  CHECK_EQUAL(1U, sends.size());
}

TEST(Channel, watch_peer__traffic_is_answer_enough) {
  make();
  Client& client = rig->log_in();
  rig->silent_tick(keepalive_s * ticks_per_second - 1);
  client.send(build_plain(wire::Opcode::cred_rsp));
  rig->run();
  rig->silent_tick(keepalive_s * ticks_per_second - 1);
  CHECK_EQUAL(0U, Rig::qp(client).sends.size());
  rig->ask(client, {.tag = 1});
  rig->silent_tick(keepalive_s * ticks_per_second - 1);
  CHECK_EQUAL(0U, Rig::qp(client).sends.size());
}

TEST(Channel, watch_peer__a_channel_on_which_nothing_is_acknowledged_ends) {
  make();
  Client& client = rig->log_in();
  rig->hand_in(client, {.tag = 1});
  rig->silent_tick(2 * keepalive_s * ticks_per_second - 1);
  CHECK_FALSE(Rig::channel(client).failed());
  const std::string log = log_of([&] { rig->silent_tick(); });
  STRCMP_CONTAINS("channel closed: the initiator is silent", log.c_str());
}

TEST(Channel, watch_peer__each_acknowledgement_counts) {
  make();
  Client& client = rig->log_in();
  for (std::uint64_t tag = 1; tag <= 3; ++tag) {
    rig->hand_in(client, {.tag = tag});
    rig->silent_tick(2 * keepalive_s * ticks_per_second - 1);
    rig->run();
  }
  CHECK_EQUAL(3U, client.answers.size());
  CHECK_FALSE(client.disconnected);
}

TEST(Channel, watch_peer__an_initiator_without_power_is_noticed) {
  make();
  Client& client = rig->log_in();
  client.vanish();
  rig->seconds(keepalive_s + 1 + disconnect_s_max);
  CHECK_EQUAL(0U, rig->listener().connections().size());
}

// ---- the end ----

TEST(Channel, fail__the_first_reason_stays_and_the_queue_pair_stops) {
  make();
  Client& client = rig->log_in();
  Channel& channel = Rig::channel(client);
  CHECK_FALSE(channel.failed());
  channel.fail("one");
  channel.fail("two");
  STRCMP_EQUAL("one", channel.failure());
  CHECK_EQUAL(IBV_QPS_ERR, Rig::qp(client).state);
  CHECK_FALSE(channel.queue_pair_destroyed());
}

TEST(Channel, fail__nothing_is_posted_from_then_on) {
  make();
  rig->lu().stalled = true;
  Client& client = rig->log_in();
  rig->hand_in(client, rig->read(client, 1));
  Rig::channel(client).fail("test");
  rig->lu().stalled = false;
  rig->world.tgtd->complete_one();
  CHECK_TRUE(Rig::qp(client).sends.empty());
  CHECK_EQUAL(8U, Rig::qp(client).receives.size());
  rig->run();
  CHECK_TRUE(client.answers.empty());
}

TEST(Channel, post__a_refused_request_ends_the_channel) {
  make();
  Client& client = rig->log_in();
  rig->world.faults.set(fake::Fault::post_send, 1);
  client.send(CmdSpec{});
  rig->deliver(client);
  const std::string log = log_of([&] { rig->run_loop(); });
  STRCMP_CONTAINS("channel closed: ibv_post_send failed", log.c_str());
  rig->run();
  CHECK_TRUE(client.disconnected);
}

TEST(Channel, post__a_refused_read_ends_the_channel) {
  make();
  Client& client = rig->log_in();
  rig->world.faults.set(fake::Fault::post_send, 1);
  rig->hand_in(client, rig->write(client, 1));
  rig->run();
  CHECK_TRUE(client.disconnected);
  CHECK_EQUAL(0U, rig->device().buffers().bytes_in_use());
  CHECK_EQUAL(0U, rig->commits());
}

TEST(Channel, poll__a_failing_completion_queue_ends_the_channel) {
  make();
  Client& client = rig->log_in();
  Channel& channel = Rig::channel(client);
  rig->device().context().ops.poll_cq = [](ibv_cq*, int, ibv_wc*) { return -1; };
  CHECK_EQUAL(0, channel.poll({}));
  STRCMP_EQUAL("ibv_poll_cq failed", channel.failure());
}

TEST(Channel, rearm__a_refusal_ends_the_channel) {
  make();
  Client& client = rig->log_in();
  Channel& channel = Rig::channel(client);
  rig->device().context().ops.req_notify_cq = [](ibv_cq*, int) { return EIO; };
  channel.rearm();
  STRCMP_EQUAL("ibv_req_notify_cq failed", channel.failure());
}

TEST(Channel, destroy_queue_pair__may_be_called_twice_and_ends_polls) {
  make();
  Client& client = rig->log_in();
  Channel& channel = Rig::channel(client);
  channel.fail("test");
  channel.destroy_queue_pair();
  channel.destroy_queue_pair();
  CHECK_TRUE(channel.queue_pair_destroyed());
  CHECK_TRUE(rig->world.fabric->qps.empty());
  CHECK_TRUE(rig->world.fabric->cqs.empty());
  ibv_wc wcs[1];
  CHECK_EQUAL(0, channel.poll(wcs));
  channel.rearm();
}

TEST(Channel, response_iu__each_index_has_a_place_of_its_own) {
  make();
  Channel& channel = Rig::channel(rig->log_in());
  for (std::uint32_t i = 1; i < 8; ++i) {
    CHECK_EQUAL(320, channel.response_iu(i) - channel.response_iu(i - 1));
  }
}
