// Which data, which status and which residuals an initiator gets for a command.
#include <cstring>

#include "lld_srp/command.h"
#include "lld_srp/limits.h"
#include "tests/fake/scsi.h"
#include "tests/unit/rig.h"

using namespace srp;
using namespace srp::test;

namespace {

Cdb unknown_opcode() { return {0xc5}; }

}  // namespace

TEST_GROUP(CommandData) {
  std::unique_ptr<Rig> rig = std::make_unique<Rig>();
  Client* client = nullptr;

  void setup() override { client = &rig->log_in(); }
  void teardown() override { rig.reset(); }

  // Data memory that was another command's.
  void soil_memory() {
    const Buffer buffer = rig->device().buffers().allocate(64 * 1024);
    std::memset(buffer.data, 0xdb, buffer.bytes);
    rig->device().buffers().release(buffer);
  }
  void check_content(const Bytes& bytes, std::size_t from, std::size_t to, std::uint8_t value) {
    for (std::size_t i = from; i < to; ++i) CHECK_EQUAL(unsigned{value}, unsigned{bytes.at(i)});
  }
  std::size_t bytes_written() {
    std::size_t sum = 0;
    for (const auto& access : client->accesses) {
      if (access.kind == fake::RemoteAccess::write) sum += access.bytes;
    }
    return sum;
  }
};

// ---- reads ----

TEST(CommandData, on_executed__read_delivers_the_blocks_and_nothing_more) {
  CmdSpec spec{.tag = 3, .cdb = read_10(4, 2), .in = {client->offer(4096)}};
  const Answer& answer = rig->ask(*client, spec);
  CHECK_EQUAL(0U, answer.status());
  STRCMP_EQUAL("in-3072", answer.residual_text().c_str());
  const Bytes& got = client->bytes_of(spec.in[0]);
  MEMCMP_EQUAL(rig->lu().content.data() + 4 * 512, got.data(), 1024);
  check_content(got, 1024, 4096, 0xee);
  CHECK_EQUAL(1024U, bytes_written());
}

TEST(CommandData, on_executed__read_into_less_room_is_cut_and_says_so) {
  CmdSpec spec{.tag = 3, .cdb = read_10(0, 2), .in = {client->offer(700)}};
  const Answer& answer = rig->ask(*client, spec);
  CHECK_EQUAL(0U, answer.status());
  STRCMP_EQUAL("in+324", answer.residual_text().c_str());
  MEMCMP_EQUAL(rig->lu().content.data(), client->bytes_of(spec.in[0]).data(), 700);
}

TEST(CommandData, on_executed__read_without_room_says_what_there_would_be) {
  STRCMP_EQUAL("in+512",
               rig->ask(*client, {.tag = 3, .cdb = read_10(0, 1)}).residual_text().c_str());
  STRCMP_EQUAL("out-16 in+512",
               rig->ask(*client, {.tag = 4, .cdb = read_10(0, 1), .out = {client->offer(16)}})
                   .residual_text()
                   .c_str());
  CHECK_TRUE(client->accesses.empty());
}

TEST(CommandData, on_executed__read_of_the_last_block_into_more_room_does_not_pass_the_end) {
  CHECK_EQUAL(
      0U,
      rig->ask(*client, {.tag = 3, .cdb = read_10(63, 1), .in = {client->offer(4096)}}).status());
}

TEST(CommandData, on_executed__read_of_a_store_that_moves_nothing_gives_zeroes) {
  rig->world.tgtd->create_lu(rig->target(), 3, 64, true);
  rig->clear_attentions();
  soil_memory();
  const CmdSpec spec = rig->read(*client, 3, 0, 8, 3);
  CHECK_EQUAL(0U, rig->ask(*client, spec).status());
  check_content(client->bytes_of(spec.in[0]), 0, 4096, 0);
}

// tgtd answers a task inside of target_cmd_done().
TEST(CommandData, on_executed__response_goes_ahead_of_a_task_that_waited_for_it) {
  Client& other = rig->log_in({.initiator = 2});
  rig->lu().stalled = true;
  other.send(rig->read(other, 3));
  rig->run();
  client->send_task(9, wire::TaskFunction::lun_reset, 0);  // waits for the other's command, too
  rig->run();
  CHECK_TRUE(client->answers.empty());
  rig->lu().stalled = false;
  rig->complete_one();
  CHECK_EQUAL(2U, Rig::qp(other).sends.size());
  CHECK_EQUAL(1U, Rig::qp(*client).sends.size());
  rig->run();
  CHECK_EQUAL(0, client->answer_to(9).code());
  CHECK_EQUAL(0U, other.answer_to(3).status());
}

// ---- writes ----

TEST(CommandData, on_executed__write_puts_the_blocks_there_once) {
  const CmdSpec spec = rig->write(*client, 3, 7, 3);
  const Answer& answer = rig->ask(*client, spec);
  CHECK_EQUAL(0U, answer.status());
  STRCMP_EQUAL("", answer.residual_text().c_str());
  MEMCMP_EQUAL(client->bytes_of(spec.out[0]).data(), rig->lu().content.data() + 7 * 512, 3 * 512);
  CHECK_EQUAL(1U, rig->commits());
}

TEST(CommandData, on_executed__write_from_more_takes_only_the_cdbs_bytes) {
  CmdSpec spec = rig->write(*client, 3, 7, 1);
  Bytes& data = client->bytes_of(spec.out[0]);
  data.resize(600);
  spec.out[0].bytes = std::uint32_t{600};
  const Answer& answer = rig->ask(*client, spec);
  CHECK_EQUAL(0U, answer.status());
  STRCMP_EQUAL("out-88", answer.residual_text().c_str());
  CHECK_EQUAL(512U, Rig::session(*client).stats().bytes_out);
  CHECK_EQUAL(512U, client->accesses.at(0).bytes);
}

TEST(CommandData, start__write_from_many_pieces_arrives_as_one) {
  CmdSpec spec = rig->write(*client, 3, 7, 1);
  const wire::MemoryDesc whole = spec.out[0];
  const std::uint64_t address = whole.address;
  spec.out = {{address, whole.key, std::uint32_t{100}},
              {address + 100, whole.key, std::uint32_t{0}},
              {address + 100, whole.key, std::uint32_t{1}},
              {address + 101, whole.key, std::uint32_t{411}}};
  CHECK_EQUAL(0U, rig->ask(*client, spec).status());
  CHECK_EQUAL(3U, client->accesses.size());
  CHECK_EQUAL(1U, rig->commits());
}

TEST(CommandData, on_read__a_refused_read_ends_the_channel_and_writes_nothing) {
  CmdSpec spec = rig->write(*client, 3);
  spec.out[0].key = std::uint32_t{0x999};
  client->send(spec);
  rig->run();
  CHECK_TRUE(client->disconnected);
  CHECK_TRUE(client->answers.empty());
  CHECK_EQUAL(0U, rig->commits());
  CHECK_EQUAL(0U, rig->world.tgtd->queued);
}

// ---- parameter data ----

TEST(CommandData, on_executed__inquiry_into_less_room_than_its_allocation_is_cut) {
  CmdSpec spec{.tag = 3, .cdb = inquiry(96), .in = {client->offer(36)}};
  const Answer& answer = rig->ask(*client, spec);
  CHECK_EQUAL(0U, answer.status());
  STRCMP_EQUAL("in+30", answer.residual_text().c_str());  // 66 there are
  const Bytes expected = fake::inquiry_data(rig->lu().unit, true);
  MEMCMP_EQUAL(expected.data(), client->bytes_of(spec.in[0]).data(), 36);
}

TEST(CommandData, on_executed__inquiry_moves_no_more_than_its_allocation) {
  CmdSpec spec{.tag = 3, .cdb = inquiry(5), .in = {client->offer(96)}};
  const Answer& answer = rig->ask(*client, spec);
  STRCMP_EQUAL("in-91", answer.residual_text().c_str());
  check_content(client->bytes_of(spec.in[0]), 5, 96, 0xee);
}

TEST(CommandData, on_executed__allocation_length_0_moves_nothing) {
  CmdSpec spec{.tag = 3, .cdb = inquiry(0), .in = {client->offer(96)}};
  const Answer& answer = rig->ask(*client, spec);
  CHECK_EQUAL(0U, answer.status());
  STRCMP_EQUAL("in-96", answer.residual_text().c_str());
  CHECK_TRUE(client->accesses.empty());
}

TEST(CommandData, on_executed__room_that_tgtd_did_not_fill_holds_zeroes) {
  soil_memory();
  rig->before_end = [](tgt::scsi_cmd& cmd, int) {
    cmd.in_sdb.transfer_len = cmd.in_sdb.length;  // as tgtd says of commands that have no data
    return 0;
  };
  CmdSpec spec{.tag = 3, .cdb = unknown_opcode(), .in = {client->offer(200)}};
  CHECK_EQUAL(0U, rig->ask(*client, spec).status());
  check_content(client->bytes_of(spec.in[0]), 0, 200, 0);
}

TEST(CommandData, on_executed__more_than_the_driver_allowed_is_not_believed) {
  rig->before_end = [](tgt::scsi_cmd& cmd, int) {
    cmd.in_sdb.transfer_len = 100000;
    return 0;
  };
  CmdSpec spec{.tag = 3, .cdb = unknown_opcode(), .in = {client->offer(200)}};
  STRCMP_EQUAL("", rig->ask(*client, spec).residual_text().c_str());
  CHECK_EQUAL(200U, bytes_written());
}

TEST(CommandData, on_executed__missing_unit_answers_inquiry) {
  CmdSpec spec{.tag = 3, .lun = {0, 77}, .cdb = inquiry(66), .in = {client->offer(66)}};
  CHECK_EQUAL(0U, rig->ask(*client, spec).status());
  CHECK_EQUAL(0x7f, int{client->bytes_of(spec.in[0])[0]});
}

TEST(CommandData, start__missing_unit_is_sent_no_data) {
  CmdSpec spec{.tag = 3, .lun = {0, 77}, .cdb = write_10(0, 1), .out = {client->offer(512)}};
  const Answer& answer = rig->ask(*client, spec);
  STRCMP_EQUAL("5/2500", answer.sense_text().c_str());
  STRCMP_EQUAL("out-512", answer.residual_text().c_str());
  CHECK_TRUE(client->accesses.empty());
}

TEST(CommandData, start__missing_unit_takes_no_more_memory_than_parameters_need) {
  std::uint32_t length = 0;
  rig->before_end = [&](tgt::scsi_cmd& cmd, int status) {
    length = cmd.in_sdb.length;
    return status;
  };
  CmdSpec spec{.tag = 3, .lun = {0, 77}, .cdb = read_10(0, 4096), .in = {{1, 2, 4096U * 512U}}};
  STRCMP_EQUAL("5/2500", rig->ask(*client, spec).sense_text().c_str());
  CHECK_EQUAL(allocation_bytes_max, length);
}

TEST(CommandData, shorten_allocation__longest_one_is_bounded_and_the_cdb_says_so) {
  std::uint32_t length = 0;
  Cdb cdb{};
  rig->before_end = [&](tgt::scsi_cmd& cmd, int status) {
    length = cmd.in_sdb.length;
    std::memcpy(cdb.data(), cmd.scb, cdb.size());
    return status;
  };
  CmdSpec spec{
      .tag = 3, .cdb = {0xa0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff}, .in = {client->offer(16)}};
  const Answer& answer = rig->ask(*client, spec);
  CHECK_EQUAL(0U, answer.status());
  STRCMP_EQUAL("in+16", answer.residual_text().c_str());  // 8 bytes, and 8 for each of three units
  CHECK_EQUAL(allocation_bytes_max, length);
  const Cdb shortened{0xa0, 0, 0, 0, 0, 0, 0x00, 0x01, 0x00, 0x00};
  MEMCMP_EQUAL(shortened.data(), cdb.data(), cdb.size());
}

TEST(CommandData, shorten_allocation__one_that_fits_stays_as_it_is) {
  Cdb cdb{};
  rig->before_end = [&](tgt::scsi_cmd& cmd, int status) {
    std::memcpy(cdb.data(), cmd.scb, cdb.size());
    return status;
  };
  rig->ask(*client, {.tag = 3, .cdb = inquiry(255), .in = {client->offer(4)}});
  MEMCMP_EQUAL(inquiry(255).data(), cdb.data(), cdb.size());
}

TEST(CommandData, make_plan__read_asks_for_whole_blocks_and_cuts_afterwards) {
  std::uint32_t length = 0;
  rig->before_end = [&](tgt::scsi_cmd& cmd, int status) {
    length = cmd.in_sdb.length;
    return status;
  };
  const CmdSpec spec{.tag = 3, .cdb = read_10(0, 4), .in = {client->offer(513)}};
  STRCMP_EQUAL("in+1535", rig->ask(*client, spec).residual_text().c_str());
  CHECK_EQUAL(1024U, length);
  CHECK_EQUAL(513U, bytes_written());
}

// tgtd leaves the data alone and puts the answer where sense belongs.
TEST(CommandData, filled_in__request_sense_of_a_missing_unit_is_data) {
  CmdSpec spec{.tag = 3, .lun = {0, 77}, .cdb = request_sense(252), .in = {client->offer(252)}};
  const Answer& answer = rig->ask(*client, spec);
  CHECK_EQUAL(0U, answer.status());
  CHECK_EQUAL(0U, answer.sense.size());
  const Bytes& got = client->bytes_of(spec.in[0]);
  CHECK_EQUAL(0x70, int{got[0]});
  CHECK_EQUAL(0x25, int{got[12]});
  CHECK_EQUAL(18U, bytes_written());
  check_content(got, 18, 252, 0xee);
}

TEST(CommandData, filled_in__request_sense_of_a_missing_unit_is_cut_to_its_allocation) {
  CmdSpec spec{.tag = 3, .lun = {0, 77}, .cdb = request_sense(4), .in = {client->offer(252)}};
  rig->ask(*client, spec);
  CHECK_EQUAL(4U, bytes_written());
}

TEST(CommandData, result_of__request_sense_of_a_missing_unit_counts_the_sense) {
  CmdSpec all{.tag = 3, .lun = {0, 77}, .cdb = request_sense(252), .in = {client->offer(18)}};
  STRCMP_EQUAL("", rig->ask(*client, all).residual_text().c_str());
  CmdSpec some{.tag = 4, .lun = {0, 77}, .cdb = request_sense(252), .in = {client->offer(10)}};
  STRCMP_EQUAL("in+8", rig->ask(*client, some).residual_text().c_str());
}

TEST(CommandData, filled_in__request_sense_of_a_unit_is_what_tgtd_wrote) {
  CmdSpec spec{.tag = 3, .cdb = request_sense(18), .in = {client->offer(18)}};
  rig->ask(*client, spec);
  CHECK_EQUAL(0x70, int{client->bytes_of(spec.in[0])[0]});
  CHECK_EQUAL(0, int{client->bytes_of(spec.in[0])[12]});
}

// tgtd says GOOD, with the sense and the residual of a failure.
TEST(CommandData, result_of__unmap_is_good_and_moved_all) {
  const Answer& answer =
      rig->ask(*client, {.tag = 3, .cdb = unmap(24), .out = {client->offer(24)}});
  CHECK_EQUAL(0U, answer.status());
  STRCMP_EQUAL("", answer.residual_text().c_str());
  CHECK_EQUAL(0U, answer.sense.size());
}

// ---- status ----

TEST(CommandData, on_executed__check_condition_sends_no_data) {
  rig->end_with(0x02, 18, 3);
  const CmdSpec spec = rig->read(*client, 3);
  const Answer& answer = rig->ask(*client, spec);
  CHECK_EQUAL(2U, answer.status());
  STRCMP_EQUAL("3/0000", answer.sense_text().c_str());
  STRCMP_EQUAL("in-512", answer.residual_text().c_str());
  CHECK_TRUE(client->accesses.empty());
  CHECK_EQUAL(1U, Rig::session(*client).stats().errors);
}

TEST(CommandData, on_executed__check_condition_of_a_write_moved_nothing) {
  rig->end_with(0x02, 18, 3);
  STRCMP_EQUAL("out-512", rig->ask(*client, rig->write(*client, 3)).residual_text().c_str());
}

TEST(CommandData, on_executed__sense_goes_only_with_check_condition) {
  for (const int status : {0x08, 0x18, 0x20, 0x28}) {
    rig->end_with(status, 18);
    const Answer& answer = rig->ask(*client, rig->read(*client, 3));
    CHECK_EQUAL(static_cast<unsigned>(status), answer.status());
    CHECK_EQUAL(0U, answer.sense.size());
    STRCMP_EQUAL("in-512", answer.residual_text().c_str());
    CHECK_TRUE(client->accesses.empty());
    client->answers.clear();
  }
}

TEST(CommandData, on_executed__condition_met_is_as_good_as_good) {
  rig->end_with(0x04);
  const CmdSpec spec = rig->read(*client, 3);
  const Answer& answer = rig->ask(*client, spec);
  CHECK_EQUAL(4U, answer.status());
  STRCMP_EQUAL("", answer.residual_text().c_str());
  MEMCMP_EQUAL(rig->lu().content.data(), client->bytes_of(spec.in[0]).data(), 512);
  CHECK_EQUAL(0U, Rig::session(*client).stats().errors);
}

TEST(CommandData, on_executed__sense_of_impossible_length_is_bounded) {
  rig->end_with(0x02, 100000);
  CHECK_EQUAL(252U, rig->ask(*client, {.tag = 3}).sense.size());
  rig->end_with(0x02, -1);
  CHECK_EQUAL(0U, rig->ask(*client, {.tag = 4}).sense.size());
}

TEST(CommandData, on_executed__everything_is_counted) {
  const SessionStats before = Rig::session(*client).stats();
  rig->ask(*client, rig->read(*client, 1, 0, 2));
  rig->ask(*client, rig->write(*client, 2, 0, 3));
  rig->ask(*client, {.tag = 3, .cdb = write_10(0, 1)});
  const SessionStats& stats = Rig::session(*client).stats();
  CHECK_EQUAL(before.commands + 3, stats.commands);
  CHECK_EQUAL(before.bytes_in + 1024, stats.bytes_in);
  CHECK_EQUAL(before.bytes_out + 1536, stats.bytes_out);
  CHECK_EQUAL(before.errors + 1, stats.errors);
}

TEST(CommandData, respond__the_tag_is_the_initiators_and_the_credit_comes_back) {
  const Answer& answer = rig->ask(*client, {.tag = 0xffeeddccbbaa9988});
  CHECK_EQUAL(0xffeeddccbbaa9988U, answer.tag());
  CHECK_EQUAL(1U, answer.delta());
  CHECK_EQUAL(4U, Rig::channel(*client).credits().held());
  CHECK_EQUAL(0U, answer.data.size());
}
