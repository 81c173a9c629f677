// Receives: how many are posted, where they lie, and that none is lost.
#include "lld_srp/receive_queue.h"

#include <algorithm>
#include <memory>
#include <set>
#include <vector>

#include "lld_srp/limits.h"
#include "tests/unit/observe.h"
#include "tests/unit/rig.h"
#include "tests/unit/tgtd_fixture.h"

using namespace srp;
using namespace srp::test;

// A queue pair that receives, or a queue that such pairs share.
TEST_GROUP_BASE(ReceiveQueue, DeviceTest) {
  ibv_cq* cq = nullptr;
  ibv_qp* qp = nullptr;
  std::unique_ptr<ReceiveQueue> queue;

  void setup() override {
    cq = ibv_create_cq(context, 64, nullptr, nullptr, 0);
    ibv_qp_init_attr init{};
    init.send_cq = init.recv_cq = cq;
    init.cap.max_recv_wr = 64;
    init.cap.max_recv_sge = 1;
    init.qp_type = IBV_QPT_RC;
    qp = ibv_create_qp(pd, &init);
    qp->state = IBV_QPS_INIT;
  }
  void teardown() override {
    queue.reset();
    if (qp != nullptr) ibv_destroy_qp(qp);
    ibv_destroy_cq(cq);
  }

  void make(const ReceiveSizes& sizes) { queue = std::make_unique<ReceiveQueue>(*pd, sizes); }
  void make_shared(const ReceiveSizes& sizes) {
    ibv_srq_init_attr init{};
    init.attr.max_wr = sizes.posted;
    init.attr.max_sge = 1;
    queue = std::make_unique<ReceiveQueue>(*pd, sizes, verbs::Srq{ibv_create_srq(pd, &init)});
  }
  std::deque<fake::ReceiveWork>& posted() {
    return queue->shared() != nullptr ? static_cast<fake::Srq*>(queue->shared())->receives
                                      : static_cast<fake::Qp*>(qp)->receives;
  }
  void post(unsigned count) {
    CHECK_TRUE(queue->post(queue->shared() != nullptr ? nullptr : qp));
    CHECK_EQUAL(count, queue->posted());
    CHECK_EQUAL(count, posted().size());
  }
  // An IU of so many bytes arrives in the oldest of them.
  Receive& arrive(std::uint32_t bytes = 48) {
    ibv_wc wc{};
    wc.wr_id = posted().front().wr_id;
    posted().pop_front();
    if (queue->shared() == nullptr) --static_cast<fake::Qp*>(qp)->receive_places;
    auto& receive = static_cast<Receive&>(verbs::Work::of(wc));
    queue->take(receive, bytes);
    return receive;
  }
  // Where the receives lie, in order.
  std::vector<std::uint64_t> addresses() {
    std::vector<std::uint64_t> all;
    for (const auto& receive : posted()) all.push_back(receive.sges.at(0).addr);
    std::sort(all.begin(), all.end());
    return all;
  }
  const fake::Mr& region() { return *world.fabric->mrs.back(); }
  // All IUs are apart, registered, and have this byte at the start of a page of theirs.
  void check_layout(std::uint32_t bytes, std::uint32_t offset) {
    make({.posted = 5, .total = 5, .bytes = bytes, .aligned_offset = offset});
    post(5);
    const auto all = addresses();
    const auto first = reinterpret_cast<std::uint64_t>(region().addr);
    const std::uint64_t end = first + region().length;
    for (std::size_t i = 0; i < all.size(); ++i) {
      const std::uint64_t page = offset != 0 ? page_bytes : 64;
      CHECK_EQUAL(0U, (all[i] + offset) % page);
      CHECK_TRUE(all[i] >= first);
      CHECK_TRUE(all[i] + bytes <= (i + 1 < all.size() ? all[i + 1] : end));
      // tgtd may touch the whole page of data that is shorter.
      if (offset != 0) CHECK_TRUE(all[i] + offset + page_bytes <= end);
    }
    teardown();
    setup();
  }
};

// ---- how many ----

TEST(ReceiveQueue, constructor__registers_and_posts_nothing) {
  make({.posted = 3, .total = 5, .bytes = 100, .aligned_offset = 0});
  CHECK_EQUAL(0U, queue->posted());
  CHECK_EQUAL(0U, posted().size());
  CHECK_EQUAL(1U, world.fabric->mrs.size());
  CHECK_EQUAL(region().length, queue->bytes_registered());
  CHECK_EQUAL(int{IBV_ACCESS_LOCAL_WRITE}, region().access);
  POINTERS_EQUAL(nullptr, queue->shared());
}

TEST(ReceiveQueue, constructor__leaves_nothing_behind_where_it_fails) {
  world.faults.set(fake::Fault::reg_mr, 1);
  CHECK_THROWS(std::system_error, make({.posted = 3, .total = 5, .bytes = 100}));
  CHECK_THROWS(std::system_error, make_shared({.posted = 3, .total = 5, .bytes = 100}));
  world.faults.clear();
  CHECK_TRUE(world.fabric->mrs.empty());
  CHECK_TRUE(world.fabric->srqs.empty());
}

TEST(ReceiveQueue, post__as_many_as_there_may_be) {
  make({.posted = 3, .total = 5, .bytes = 100, .aligned_offset = 0});
  post(3);
  post(3);  // there is room for no more
  for (const auto& receive : posted()) {
    CHECK_EQUAL(100U, receive.sges.at(0).length);
    CHECK_EQUAL(region().lkey, receive.sges.at(0).lkey);
  }
}

TEST(ReceiveQueue, post__takes_spare_ones_while_others_are_in_use) {
  make({.posted = 3, .total = 5, .bytes = 100, .aligned_offset = 0});
  post(3);
  arrive();
  CHECK_EQUAL(2U, queue->posted());
  post(3);
  arrive();
  post(3);
  arrive();
  post(2);  // all others are in use
}

TEST(ReceiveQueue, take__tells_how_long_the_iu_is) {
  make({.posted = 3, .total = 5, .bytes = 100, .aligned_offset = 0});
  post(3);
  const std::uint64_t first = posted().front().sges.at(0).addr;
  const Receive& receive = arrive(77);
  CHECK_EQUAL(77U, receive.bytes);
  CHECK_EQUAL(first, reinterpret_cast<std::uint64_t>(receive.iu));
}

TEST(ReceiveQueue, take__of_more_than_are_posted_is_a_bug) {
  make({.posted = 1, .total = 1, .bytes = 100, .aligned_offset = 0});
  post(1);
  Receive& receive = arrive();
  STRCMP_CONTAINS("posted_ > 0", last_words([&] { queue->take(receive, 0); }).c_str());
}

TEST(ReceiveQueue, release__makes_room_for_another) {
  make({.posted = 2, .total = 2, .bytes = 100, .aligned_offset = 0});
  post(2);
  Receive& first = arrive();
  Receive& second = arrive();
  post(0);
  queue->release(second);
  post(1);
  CHECK_EQUAL(second.id(), posted().front().wr_id);
  queue->release(first);
  post(2);
}

TEST(ReceiveQueue, release__none_is_lost_however_often_they_go_round) {
  make({.posted = 4, .total = 7, .bytes = 100, .aligned_offset = 0});
  std::vector<Receive*> in_use;
  std::set<std::uint64_t> seen;
  for (int i = 0; i < 500; ++i) {
    const auto expected = static_cast<unsigned>(std::min<std::size_t>(4, 7 - in_use.size()));
    post(expected);
    if (in_use.size() < 7 && (in_use.empty() || world.random.chance(0.5))) {
      in_use.push_back(&arrive());
      seen.insert(in_use.back()->id());
    } else {
      queue->release(*in_use.back());
      in_use.pop_back();
    }
  }
  CHECK_EQUAL(7U, seen.size());
}

TEST(ReceiveQueue, post__a_refused_one_stays_spare) {
  make({.posted = 3, .total = 3, .bytes = 100, .aligned_offset = 0});
  world.faults.set(fake::Fault::post_recv, 1);
  CHECK_FALSE(queue->post(qp));
  CHECK_EQUAL(0U, queue->posted());
  world.faults.clear();
  post(3);
}

TEST(ReceiveQueue, post__counts_those_that_were_taken_before_one_is_refused) {
  make({.posted = 70, .total = 70, .bytes = 100, .aligned_offset = 0});
  CHECK_FALSE(queue->post(qp));  // which has 64 places
  CHECK_EQUAL(64U, queue->posted());
  CHECK_EQUAL(64U, posted().size());
}

// ---- where ----

TEST(ReceiveQueue, constructor__lays_ius_out_so_that_immediate_data_starts_a_page) {
  for (const std::uint32_t offset : {52U, 56U, 68U, 72U, 1020U}) check_layout(1024, offset);
}

TEST(ReceiveQueue, constructor__lays_longer_ius_out_as_well) {
  for (const std::uint32_t offset : {52U, 68U, 4092U, 4096U, 4100U, 8192U, 8272U}) {
    check_layout(8276, offset);
  }
  check_layout(65536, 65532);
  check_layout(4096, 68);
  check_layout(4097, 68);
}

TEST(ReceiveQueue, constructor__lays_ius_out_closely_where_no_byte_needs_a_page) {
  for (const std::uint32_t bytes : {64U, 65U, 1024U, 8276U}) check_layout(bytes, 0);
  make({.posted = 64, .total = 64, .bytes = 64, .aligned_offset = 0});
  CHECK_EQUAL(page_bytes, queue->bytes_registered());
}

// ---- shared by queue pairs ----

TEST(ReceiveQueue, shared__receives_are_posted_there) {
  make_shared({.posted = 6, .total = 6, .bytes = 100, .aligned_offset = 68});
  CHECK_TRUE(queue->shared() != nullptr);
  post(6);
  CHECK_EQUAL(0U, static_cast<fake::Qp*>(qp)->receives.size());
  for (const std::uint64_t address : addresses()) CHECK_EQUAL(0U, (address + 68) % page_bytes);
}

TEST(ReceiveQueue, shared__receives_go_round) {
  make_shared({.posted = 2, .total = 3, .bytes = 100, .aligned_offset = 0});
  post(2);
  Receive& first = arrive();
  post(2);
  arrive();
  post(1);
  queue->release(first);
  post(2);
  CHECK_EQUAL(first.id(), posted().back().wr_id);
}

TEST(ReceiveQueue, shared__a_refused_receive_stays_spare) {
  make_shared({.posted = 2, .total = 2, .bytes = 100, .aligned_offset = 0});
  world.faults.set(fake::Fault::post_recv, 1);
  CHECK_FALSE(queue->post(nullptr));
  CHECK_EQUAL(0U, queue->posted());
  world.faults.clear();
  post(2);
}

TEST(ReceiveQueue, destructor__ends_the_shared_queue) {
  make_shared({.posted = 2, .total = 2, .bytes = 100, .aligned_offset = 0});
  post(2);
  queue.reset();
  CHECK_TRUE(world.fabric->srqs.empty());
  CHECK_TRUE(world.fabric->mrs.empty());
}

// ---- receives that channels share ----

TEST_GROUP(ChannelSharedReceives) {
  std::unique_ptr<Rig> rig;

  void make(unsigned size = 16) {
    rig = std::make_unique<Rig>(
        RigOptions{.more = "use_srq = true; srpt_srq_size = " + std::to_string(size) + ";"});
  }
  void teardown() override { rig.reset(); }
  fake::Srq& queue() { return *rig->world.fabric->srqs.at(0); }
};

TEST(ChannelSharedReceives, constructor__channels_have_none_of_their_own) {
  make();
  Client& one = rig->log_in();
  Client& two = rig->log_in({.initiator = 2});
  CHECK_EQUAL(1U, rig->world.fabric->srqs.size());
  for (const Client* client : {&one, &two}) {
    POINTERS_EQUAL(&queue(), Rig::qp(*client).shared);
    CHECK_EQUAL(0U, Rig::qp(*client).cap.max_recv_wr);
    CHECK_TRUE(Rig::qp(*client).receives.empty());
  }
  CHECK_EQUAL(16U, queue().receives.size());
  for (std::uint64_t tag = 1; tag <= 50; ++tag) {
    CHECK_EQUAL(0U, rig->ask(one, rig->write(one, tag)).status());
    CHECK_EQUAL(0U, rig->ask(two, rig->read(two, tag)).status());
    CHECK_EQUAL(16U, queue().receives.size());
  }
}

// There are fewer than all may use: a sender waits until one is free.
TEST(ChannelSharedReceives, take__a_queue_that_runs_dry_makes_senders_wait) {
  make(12);
  rig->lu().stalled = true;
  for (std::uint8_t initiator = 1; initiator <= 3; ++initiator) {
    Client& client = rig->log_in({.initiator = initiator});
    for (std::uint64_t tag = 1; tag <= 4; ++tag) client.send(rig->read(client, tag));
  }
  Client& last = rig->log_in({.initiator = 4});
  rig->run();
  CHECK_EQUAL(0U, queue().receives.size());
  last.send(CmdSpec{.tag = 5});
  rig->run();
  CHECK_TRUE(last.answers.empty());
  rig->lu().stalled = false;
  rig->run();
  for (const auto& client : rig->clients) {
    CHECK_EQUAL(client.get() == &last ? 1U : 4U, client->answers.size());
  }
  CHECK_EQUAL(12U, queue().receives.size());
}

// The channel is lost with IUs that nobody has looked at, that wait for a context, that wait for
// their data, that tgtd has, and with none.
TEST(ChannelSharedReceives, destroy_queue_pair__none_is_lost_with_a_channel) {
  make();
  Client& other = rig->log_in({.initiator = 2});
  for (unsigned i = 0; i < 100; ++i) {
    Client& client = rig->log_in();
    rig->lu().stalled = i % 5 == 3;
    for (std::uint64_t tag = 1; tag <= 4; ++tag) {
      client.send(i % 5 == 3   ? rig->read(client, tag)
                  : i % 5 == 2 ? rig->write(client, tag)
                               : CmdSpec{.tag = tag});
      if (i % 5 != 0) {
        rig->deliver(client);
        rig->run_loop();
      }
    }
    if (i % 5 == 1) {  // those behind four whose responses do not go out
      for (std::uint64_t tag = 5; tag <= 8; ++tag) rig->hand_in(client, {.tag = tag});
    }
    if (i % 5 == 4) rig->run();
    if (i % 5 == 0) rig->deliver(client);
    client.disconnect();
    rig->run_cm();
    rig->run_loop();
    rig->lu().stalled = false;
    rig->run();
    rig->seconds(disconnect_s_max);  // however long it takes to be gone
    CHECK_EQUAL(16U, queue().receives.size());
    CHECK_EQUAL(0U, rig->ask(other, {.tag = i}).status());
    other.answers.clear();
    CHECK_EQUAL(1U, rig->device().channels());
  }
}

TEST(ChannelSharedReceives, constructor__a_device_without_such_queues_goes_without) {
  make();
  rig->hca().limits.max_srq = 0;
  Client* client = nullptr;
  const std::string log = log_of([&] { client = &rig->log_in(); });
  STRCMP_CONTAINS("device fake0: no shared receive queues: each channel has its own", log.c_str());
  CHECK_TRUE(rig->world.fabric->srqs.empty());
  CHECK_EQUAL(8U, Rig::qp(*client).receives.size());
  CHECK_EQUAL(0U, rig->ask(*client, rig->write(*client, 3)).status());
}

TEST(ChannelSharedReceives, constructor__no_more_than_the_device_has) {
  make(4000);
  rig->hca().limits.max_srq_wr = 20;
  rig->log_in();
  CHECK_EQUAL(20U, queue().size);
  CHECK_EQUAL(20U, queue().receives.size());
}

// Over iWARP nobody waits for a receive: the connection would end.
TEST(ChannelSharedReceives, constructor__over_iwarp_they_must_not_run_dry) {
  make(24);
  rig->hca().device.transport_type = IBV_TRANSPORT_IWARP;
  rig->log_in();
  rig->log_in({.initiator = 2});
  Client& third = rig->connect({.initiator = 3});
  const std::string log = log_of([&] { rig->run(); });
  CHECK_EQUAL(0x00010001U, std::uint32_t{third.login_rej.value().reason});
  STRCMP_CONTAINS("srpt_srq_size", log.c_str());
  CHECK_EQUAL(24U, queue().receives.size());
  CHECK_EQUAL(2U, rig->device().channels());
}

TEST(ChannelSharedReceives, destructor__the_device_takes_its_queue_along) {
  make();
  rig->log_in();
  rig->device().mark_removed();
  rig->tick(2);
  CHECK_TRUE(rig->listener().devices().empty());
  CHECK_TRUE(rig->world.fabric->srqs.empty());
}
