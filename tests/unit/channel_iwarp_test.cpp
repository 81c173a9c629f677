// What a channel does in another way over iWARP.
#include "lld_srp/channel.h"
#include "tests/unit/observe.h"
#include "tests/unit/rig.h"

using namespace srp;
using namespace srp::test;

TEST_GROUP(ChannelOverIwarp) {
  RigOptions options;
  std::unique_ptr<Rig> rig;

  void make() {
    rig = std::make_unique<Rig>(options);
    rig->hca().device.transport_type = IBV_TRANSPORT_IWARP;
  }
  void teardown() override { rig.reset(); }

  // A read of a block into this many pieces of 16 bytes each.
  static CmdSpec read_into_pieces(Client & client, std::uint64_t tag, std::size_t pieces) {
    CmdSpec spec{.tag = tag, .cdb = read_10(0, 1)};
    for (std::size_t i = 0; i < pieces; ++i) spec.in.push_back(client.offer(16));
    return spec;
  }
};

TEST(ChannelOverIwarp, reply__each_write_of_its_chain_reports) {
  make();
  Client& client = rig->log_in();
  rig->hand_in(client, read_into_pieces(client, 1, 20));
  rig->complete_one();
  auto& sends = Rig::qp(client).sends;
  CHECK_EQUAL(21U, sends.size());
  for (std::size_t i = 0; i < 20; ++i) {
    CHECK_EQUAL(IBV_WR_RDMA_WRITE, sends[i].opcode);
    CHECK_EQUAL(unsigned{IBV_SEND_SIGNALED}, sends[i].flags);
  }
  CHECK_EQUAL(IBV_WR_SEND, sends[20].opcode);
  CHECK_EQUAL(unsigned{IBV_SEND_SIGNALED | IBV_SEND_INLINE}, sends[20].flags);
  rig->run();
  CHECK_EQUAL(0U, client.answer_to(1).status());
}

TEST(ChannelOverIwarp, reply__places_come_back_however_often_the_queue_goes_round) {
  options.send_queue = 16;
  make();
  Client& client = rig->log_in();
  for (std::uint64_t tag = 1; tag <= 60; ++tag) {
    CHECK_EQUAL(0U, rig->ask(client, read_into_pieces(client, tag, tag % 23 + 1)).status());
    CHECK_EQUAL(0U, rig->ask(client, rig->write(client, 1000 + tag)).status());
  }
}
