// What of an SRP_CMD is refused before any data moves, and what tgtd is given of the others.
#include "lld_srp/command.h"

#include <cstring>
#include <set>

#include "lld_srp/limits.h"
#include "tests/unit/rig.h"

using namespace srp;
using namespace srp::test;

namespace {

constexpr std::size_t mib = 1 << 20;

Cdb unknown_opcode() { return {0xc5}; }

}  // namespace

TEST_GROUP(Command) {
  std::unique_ptr<Rig> rig = std::make_unique<Rig>();
  Client* client = nullptr;

  void setup() override { client = &rig->log_in(); }
  void teardown() override { rig.reset(); }

  // Refused by the driver: tgtd and the initiator's memory have seen nothing of it.
  void check_refused(const CmdSpec& spec, const char* sense) {
    check_refused(build(spec), spec.tag, sense);
  }
  void check_refused(const Bytes& iu, std::uint64_t tag, const char* sense) {
    const std::uint64_t queued = rig->world.tgtd->queued;
    const std::uint64_t errors = Rig::session(*client).stats().errors;
    client->send(iu);
    rig->run();
    CHECK_EQUAL(sense, client->answer_to(tag).sense_text());
    CHECK_EQUAL(2U, client->answer_to(tag).status());
    CHECK_EQUAL(1U, client->answer_to(tag).delta());
    CHECK_EQUAL(queued, rig->world.tgtd->queued);
    CHECK_EQUAL(errors + 1, Rig::session(*client).stats().errors);
    CHECK_TRUE(client->accesses.empty());
    check_at_rest();
  }
  void check_at_rest() {
    CHECK_EQUAL(0U, rig->device().buffers().bytes_in_use());
    CHECK_EQUAL(0U, Rig::session(*client).tasks().size());
    CHECK_EQUAL(0U, Rig::channel(*client).credits().serving());
  }
  // Handed in, and held by the unit's store.
  tgt::scsi_cmd& in_tgtd(const CmdSpec& spec) {
    rig->lu().stalled = true;
    client->send(spec);
    rig->run();
    return rig->held();
  }
  static std::uint8_t* memory(const tgt::scsi_data_buffer& sdb) {
    return reinterpret_cast<std::uint8_t*>(sdb.buffer);
  }
};

// ---- refused ----

TEST(Command, start__iu_shorter_than_its_descriptor_is_refused) {
  Bytes iu = build({.tag = 3, .cdb = read_10(0, 1), .in = {client->offer(512)}});
  iu.resize(63);
  check_refused(iu, 3, "5/0e01");
}

TEST(Command, start__reserved_buffer_format_is_refused) {
  Bytes iu = build({.tag = 3, .cdb = test_unit_ready()});
  iu[5] = 0x40;
  check_refused(iu, 3, "5/0e03");
}

TEST(Command, start__write_shorter_than_cdb_is_refused_unwritten) {
  CmdSpec spec = rig->write(*client, 3, 0, 2);
  spec.out[0].bytes = std::uint32_t{1023};
  check_refused(spec, "5/0e03");
  STRCMP_EQUAL("out-1023", client->answer_to(3).residual_text().c_str());
  CHECK_EQUAL(0U, rig->commits());
}

TEST(Command, start__write_without_data_is_refused) {
  check_refused({.tag = 3, .cdb = write_10(0, 1)}, "5/0e03");
  STRCMP_EQUAL("", client->answer_to(3).residual_text().c_str());
}

TEST(Command, start__write_with_data_in_only_is_refused) {
  check_refused({.tag = 3, .cdb = write_10(0, 1), .in = {client->offer(512)}}, "5/0e03");
  STRCMP_EQUAL("in-512", client->answer_to(3).residual_text().c_str());
}

TEST(Command, start__write_same_without_a_block_is_refused) {
  check_refused({.tag = 3, .cdb = {0x93, 0x01}}, "5/2400");
}

TEST(Command, screen__tape_is_not_supported) {
  rig->lu().attrs.device_type = 0x01;
  check_refused({.tag = 3}, "5/2500");
}

TEST(Command, start__more_data_than_the_largest_command_is_refused) {
  const auto room = std::uint32_t{mib} + 512;
  CmdSpec spec{.tag = 3, .cdb = read_10(0, 2049), .in = {{1, 2, room}}};
  check_refused(spec, "5/2400");
  CHECK_EQUAL("in-" + std::to_string(room), client->answer_to(3).residual_text());
  check_refused({.tag = 4, .cdb = write_10(0, 2049), .out = {{1, 2, room}}}, "5/2400");
}

TEST(Command, start__lengths_that_only_fit_64_bits_are_refused) {
  const wire::MemoryDesc whole{1, 2, 0xffffffff};
  check_refused({.tag = 3, .cdb = unknown_opcode(), .out = {whole}}, "5/2400");
  CHECK_EQUAL(0xffffffffU, std::uint32_t{client->answer_to(3).head.out_residual});
  check_refused({.tag = 4, .cdb = unknown_opcode(), .in = {whole}}, "5/2400");
  check_refused({.tag = 5, .cdb = unknown_opcode(), .out = {whole}, .in = {whole}}, "5/2400");
}

TEST(Command, start__more_room_than_there_is_memory_costs_only_what_the_cdb_asks_for) {
  wire::MemoryDesc room = client->offer(36);
  room.bytes = 0xffffffff;
  const Answer& answer = rig->ask(*client, {.tag = 3, .cdb = inquiry(36), .in = {room}});
  CHECK_EQUAL(0U, answer.status());
  STRCMP_EQUAL("in-4294967259", answer.residual_text().c_str());
}

TEST(Command, start__data_out_that_leaves_no_page_for_data_in_is_refused) {
  check_refused({.tag = 3, .cdb = unknown_opcode(), .out = {{1, 2, std::uint32_t{mib}}}}, "5/2400");
}

TEST(Command, start__data_of_exactly_the_largest_command_is_served) {
  rig->world.tgtd->create_lu(rig->target(), 3, 4096, false);
  rig->clear_attentions();
  const CmdSpec read = rig->read(*client, 3, 0, 2048, 3);
  CHECK_EQUAL(0U, rig->ask(*client, read).status());
  MEMCMP_EQUAL(rig->lu(3).content.data(), client->bytes_of(read.in[0]).data(), mib);
  CHECK_EQUAL(0U, rig->ask(*client, rig->write(*client, 4, 8, 2048, 3)).status());
  CHECK_EQUAL(1U, rig->commits());
}

TEST(Command, screen__pass_through_unit_is_not_supported) {
  tgt::backingstore_template sg{"sg"};
  rig->lu().bst = &sg;
  check_refused({.tag = 3}, "5/2500");
  sg.bs_name = "bsg";
  check_refused({.tag = 4}, "5/2500");
}

TEST(Command, screen__register_and_move_without_reservation_is_refused) {
  check_refused({.tag = 3, .cdb = {0x5f, 0x07}}, "5/2400");
}

TEST(Command, screen__orwrite_on_an_aio_store_is_refused) {
  tgt::backingstore_template aio{"aio"};
  rig->lu().bst = &aio;
  CmdSpec spec{.tag = 3, .cdb = {0x8b}, .out = {client->offer(512)}};
  spec.cdb[13] = 1;
  client->send(spec);
  rig->run();
  STRCMP_EQUAL("5/2000", client->answer_to(3).sense_text().c_str());
  CHECK_EQUAL(0U, rig->world.tgtd->queued);
  check_at_rest();
}

TEST(Command, screen__write_and_verify_on_an_aio_store_becomes_a_write) {
  tgt::backingstore_template aio{"aio"};
  rig->lu().bst = &aio;
  CmdSpec spec = rig->write(*client, 3);
  spec.cdb[0] = 0x2e;
  spec.cdb[1] = 0x12;
  const tgt::scsi_cmd& scsi = in_tgtd(spec);
  CHECK_EQUAL(0x2a, int{scsi.scb[0]});
  CHECK_EQUAL(0x10, int{scsi.scb[1]});
}

// ---- refused by tgtd ----

TEST(Command, submit__offline_target_is_answered_busy) {
  rig->world.tgtd->set_target_state(rig->target(), tgt::SCSI_TARGET_OFFLINE);
  const Answer& answer = rig->ask(*client, rig->write(*client, 3));
  CHECK_EQUAL(8U, answer.status());
  STRCMP_EQUAL("out-512", answer.residual_text().c_str());
  CHECK_EQUAL(0U, answer.sense.size());
  CHECK_EQUAL(1U, answer.delta());
  STRCMP_EQUAL("in-512", rig->ask(*client, rig->read(*client, 4)).residual_text().c_str());
  check_at_rest();
  CHECK_EQUAL(0U, Rig::session(*client).nexus().in_flight());
}

TEST(Command, submit__target_that_tgtd_has_dropped_ends_the_channel) {
  CHECK_TRUE(rig->world.tgtd->delete_target(rig->target(), true, false));
  client->send(CmdSpec{.tag = 3});
  rig->deliver(*client);
  rig->run();
  CHECK_TRUE(client->answers.empty());
  CHECK_TRUE(client->disconnected);
  CHECK_EQUAL(0U, rig->device().buffers().bytes_in_use());
}

// ---- what tgtd gets ----

TEST(Command, fill_scsi__read_gets_exactly_the_cdbs_bytes_and_the_scratch_page) {
  CmdSpec spec = rig->read(*client, 3, 5, 2);
  spec.in[0] = client->offer(4000);
  const tgt::scsi_cmd& scsi = in_tgtd(spec);
  CHECK_EQUAL(1024U, scsi.in_sdb.length);
  CHECK_EQUAL(0U, scsi.out_sdb.length);
  POINTERS_EQUAL(rig->device().scratch(), memory(scsi.out_sdb));
  CHECK_TRUE(memory(scsi.in_sdb) != rig->device().scratch());
  CHECK_EQUAL(unsigned{tgt::DATA_READ}, unsigned{scsi.data_dir});
  CHECK_EQUAL(page_bytes, rig->device().buffers().bytes_in_use());
  CHECK_EQUAL(tgt::MSG_SIMPLE_TAG, scsi.attribute);
  CHECK_EQUAL(16, scsi.scb_len);
  MEMCMP_EQUAL(spec.cdb.data(), scsi.scb, 16);
}

TEST(Command, fill_scsi__write_gets_the_data_and_the_scratch_page) {
  const CmdSpec spec = rig->write(*client, 3, 5, 9);
  const tgt::scsi_cmd& scsi = in_tgtd(spec);
  CHECK_EQUAL(9U * 512U, scsi.out_sdb.length);
  MEMCMP_EQUAL(client->bytes_of(spec.out[0]).data(), memory(scsi.out_sdb), 9 * 512);
  CHECK_EQUAL(0U, scsi.in_sdb.length);
  POINTERS_EQUAL(rig->device().scratch(), memory(scsi.in_sdb));
  CHECK_EQUAL(unsigned{tgt::DATA_WRITE}, unsigned{scsi.data_dir});
  CHECK_EQUAL(2 * page_bytes, rig->device().buffers().bytes_in_use());
}

TEST(Command, fill_scsi__parameter_list_gets_zeroed_pages_of_its_own_both_ways) {
  std::uint8_t* const stale = rig->device().buffers().allocate(2 * page_bytes).data;
  std::memset(stale, 0xdb, 2 * page_bytes);
  rig->device().buffers().release({stale, 2 * page_bytes, 0});
  const CmdSpec spec{.tag = 3, .cdb = unmap(24), .out = {client->offer(24, 0x11)}};
  const tgt::scsi_cmd& scsi = in_tgtd(spec);
  POINTERS_EQUAL(stale, memory(scsi.out_sdb));
  POINTERS_EQUAL(stale + page_bytes, memory(scsi.in_sdb));
  Bytes expected(2 * page_bytes);
  std::fill_n(expected.begin(), 24, std::uint8_t{0x11});
  MEMCMP_EQUAL(expected.data(), stale, expected.size());
  CHECK_EQUAL(24U, scsi.out_sdb.length);
  CHECK_EQUAL(0U, scsi.in_sdb.length);
}

TEST(Command, fill_scsi__direction_is_what_the_initiator_offers) {
  unsigned direction = 99;
  rig->before_end = [&](tgt::scsi_cmd& cmd, int status) {
    direction = cmd.data_dir;
    return status;
  };
  const std::vector<wire::MemoryDesc> none;
  const std::vector<wire::MemoryDesc> some = {client->offer(32)};
  rig->ask(*client, {.tag = 3});
  CHECK_EQUAL(unsigned{tgt::DATA_NONE}, direction);
  rig->ask(*client, {.tag = 4, .cdb = unknown_opcode(), .out = some});
  CHECK_EQUAL(unsigned{tgt::DATA_WRITE}, direction);
  rig->ask(*client, {.tag = 5, .cdb = unknown_opcode(), .in = some});
  CHECK_EQUAL(unsigned{tgt::DATA_READ}, direction);
  rig->ask(*client, {.tag = 6, .cdb = unknown_opcode(), .out = some, .in = some});
  CHECK_EQUAL(unsigned{tgt::DATA_BIDIRECTIONAL}, direction);
}

TEST(Command, fill_scsi__every_spelling_of_a_unit_reaches_tgtd_in_one) {
  const wire::Lun peripheral{0, 1};
  const wire::Lun spellings[] = {{0, 1}, {0x40, 1}};
  for (const auto& lun : spellings) {
    CmdSpec spec = rig->read(*client, 3);
    spec.lun = lun;
    MEMCMP_EQUAL(peripheral.data(), in_tgtd(spec).lun, 8);
    rig->lu().stalled = false;
    rig->run();
    client->answers.clear();
  }
}

TEST(Command, fill_scsi__well_known_unit_of_report_luns_is_unit_0) {
  CmdSpec spec{.tag = 3, .lun = {0xc1, 0x01}, .cdb = {0xa0}, .in = {client->offer(32)}};
  spec.cdb[9] = 32;
  CHECK_EQUAL(0U, rig->ask(*client, spec).status());
  CHECK_EQUAL(24, int{client->bytes_of(spec.in[0])[3]});  // three units
}

TEST(Command, fill_scsi__tags_are_the_drivers_own) {
  rig->lu().stalled = true;
  std::set<std::uint64_t> tags;
  for (int i = 0; i < 3; ++i) {  // the initiator's are all alike
    client->send(rig->read(*client, 7));
    rig->run();
  }
  for (auto* link = rig->target().nexuses.front()->cmd_list.next;
       link != &rig->target().nexuses.front()->cmd_list; link = link->next) {
    tags.insert(reinterpret_cast<tgt::scsi_cmd*>(reinterpret_cast<char*>(link) -
                                                 offsetof(tgt::scsi_cmd, c_hlist))
                    ->tag);
  }
  CHECK_EQUAL(3U, tags.size());
}

TEST(Command, execute__a_reservation_whose_holder_tgtd_freed_is_mended) {
  tgt::registration old{};
  tgt::registration other{};
  old.pr_scope = 1;
  old.pr_type = 7;
  fake::Lu& lu = rig->lu();
  lu.pr_holder = &old;
  rig->before_end = [&](tgt::scsi_cmd&, int) {  // tgtd's PREEMPT frees the old one
    fake::list_add_tail(other.registration_siblings, lu.registration_list);
    return 0;
  };
  rig->ask(*client, {.tag = 3, .cdb = {0x5f, 0x04}, .out = {client->offer(24)}});
  rig->before_end = nullptr;
  POINTERS_EQUAL(&other, lu.pr_holder);
  CHECK_EQUAL(7, int{other.pr_type});
}

TEST(Command, execute__other_commands_leave_the_reservation_alone) {
  tgt::registration old{};
  rig->lu().pr_holder = &old;
  rig->ask(*client, {.tag = 3});
  POINTERS_EQUAL(&old, rig->lu().pr_holder);
}

// ---- a unit that changes while its command waits ----

TEST(Command, execute__unit_that_was_deleted_meanwhile_is_refused) {
  rig->exhaust_memory();
  rig->hand_in(*client, rig->write(*client, 3));
  CHECK_TRUE(rig->world.tgtd->delete_lu(rig->target(), 1));
  rig->give_memory_back();
  rig->run();
  STRCMP_EQUAL("5/2500", client->answer_to(3).sense_text().c_str());
  STRCMP_EQUAL("out-512", client->answer_to(3).residual_text().c_str());
  CHECK_EQUAL(0U, rig->world.tgtd->queued);
  check_at_rest();
}

TEST(Command, execute__unit_that_was_made_anew_with_other_blocks_is_refused) {
  rig->exhaust_memory();
  rig->hand_in(*client, rig->write(*client, 3));
  rig->lu().blk_shift = 12;
  rig->give_memory_back();
  rig->run();
  STRCMP_EQUAL("5/2500", client->answer_to(3).sense_text().c_str());
  CHECK_EQUAL(0U, rig->commits());
}

TEST(Command, execute__unit_that_appeared_meanwhile_is_refused) {
  rig->exhaust_memory();
  CmdSpec spec{.tag = 3, .lun = {0, 5}, .cdb = inquiry(36), .in = {client->offer(36)}};
  rig->hand_in(*client, spec);
  rig->world.tgtd->create_lu(rig->target(), 5, 64, false);
  rig->give_memory_back();
  rig->run();
  STRCMP_EQUAL("5/2500", client->answer_to(3).sense_text().c_str());
}

TEST(Command, name_of__every_state) {
  const char* const names[] = {
      "idle",     "queued", "waiting for a table", "fetching a table", "waiting",
      "fetching", "held",   "executing",           "responding"};
  for (unsigned i = 0; i < command_states; ++i) {
    STRCMP_EQUAL(names[i], name_of(static_cast<CommandState>(i)));
  }
}
