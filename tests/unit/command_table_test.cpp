// Tables of descriptors that lie with the initiator: fetched once, checked, then followed.
#include <cstring>

#include "lld_srp/admin.h"
#include "lld_srp/command.h"
#include "lld_srp/limits.h"
#include "tests/unit/rig.h"

using namespace srp;
using namespace srp::test;

namespace {

constexpr std::uint64_t task_tag = 0x80000001;
constexpr std::size_t entry_bytes = sizeof(wire::MemoryDesc);

}  // namespace

TEST_GROUP(CommandTable) {
  std::unique_ptr<Rig> rig = std::make_unique<Rig>();
  Client* client = nullptr;
  std::vector<Buffer> hogged;

  void setup() override { client = &rig->log_in(); }
  void teardown() override {
    give_tables_back();
    rig.reset();
  }

  BufferPool& tables() { return rig->device().tables(); }
  BufferPool& buffers() { return rig->device().buffers(); }
  // Takes all memory for tables, so that commands must wait for some.
  void exhaust_tables() {
    for (std::size_t bytes = tables().extent_bytes(); bytes >= page_bytes; bytes /= 2) {
      for (Buffer buffer = tables().allocate(bytes); buffer.data != nullptr;
           buffer = tables().allocate(bytes)) {
        hogged.push_back(buffer);
      }
    }
  }
  void give_tables_back() {
    for (const Buffer& buffer : hogged) tables().release(buffer);
    hogged.clear();
  }

  // A write of these blocks from pieces of 128 bytes, whose table the initiator keeps.
  CmdSpec write(std::uint64_t tag, std::uint16_t blocks, std::size_t in_line,
                std::uint32_t lba = 0) {
    CmdSpec spec = rig->write(*client, tag, lba, blocks);
    const wire::MemoryDesc whole = spec.out.at(0);
    const std::uint64_t address = whole.address;
    spec.out.clear();
    for (std::uint32_t at = 0; at < whole.bytes; at += 128) {
      spec.out.push_back({address + at, whole.key, std::uint32_t{128}});
    }
    client->keep_table(spec, in_line);
    return spec;
  }
  // A read into `count` pieces of one range, of so many bytes each, in reverse order.
  CmdSpec read(std::uint64_t tag, std::uint16_t blocks, std::uint32_t count, std::uint32_t bytes,
               std::size_t in_line) {
    const wire::MemoryDesc whole = client->offer(std::size_t{count} * bytes);
    const std::uint64_t address = whole.address;
    CmdSpec spec{.tag = tag, .cdb = read_10(0, blocks)};
    for (std::uint32_t i = count; i-- > 0;) {
      spec.in.push_back({address + i * bytes, whole.key, bytes});
    }
    client->keep_table(spec, in_line);
    return spec;
  }
  // The data of read(), in the order of its descriptors.
  Bytes bytes_read(const CmdSpec& spec) {
    const Bytes& region = client->bytes_of(spec.in.at(0));
    Bytes got;
    for (std::size_t i = spec.in.size(); i-- > 0;) {
      const std::uint32_t bytes = spec.in[i].bytes;
      const auto piece = region.begin() + static_cast<std::ptrdiff_t>(i * bytes);
      got.insert(got.end(), piece, piece + bytes);
    }
    return got;
  }
  wire::MemoryDesc& entry(const CmdSpec& spec, std::size_t index) {
    return reinterpret_cast<wire::MemoryDesc*>(client->bytes_of(spec.table).data())[index];
  }
  void check_access(std::size_t index, std::uint64_t address, std::uint32_t key, std::size_t bytes,
                    fake::RemoteAccess kind) {
    const auto& access = client->accesses.at(index);
    CHECK_EQUAL(address, access.address);
    CHECK_EQUAL(key, access.key);
    CHECK_EQUAL(bytes, access.bytes);
    CHECK_TRUE(access.kind == kind);
  }
  void check_table_read(std::size_t index, const CmdSpec& spec, std::size_t known,
                        std::size_t count) {
    check_access(index, spec.table.address + entry_bytes * known, spec.table.key,
                 entry_bytes * (count - known), fake::RemoteAccess::read);
  }
  void check_all_back() {
    CHECK_EQUAL(0U, tables().bytes_in_use());
    CHECK_EQUAL(0U, tables().waiters());
    CHECK_EQUAL(0U, buffers().bytes_in_use());
    CHECK_EQUAL(0U, buffers().waiters());
  }
  void check_credits() {
    CHECK_EQUAL(4U, Rig::channel(*client).credits().held());
    CHECK_EQUAL(0U, Rig::channel(*client).credits().serving());
  }
  void abort(std::uint64_t tag) {
    client->send_task(task_tag, wire::TaskFunction::abort_task, tag);
    rig->deliver(*client);
    rig->run_loop();
  }
};

// ---- fetched, and followed ----

TEST(CommandTable, fetch_table__only_what_the_iu_does_not_hold_is_read) {
  const CmdSpec spec = write(3, 2, 3, 7);
  CHECK_EQUAL(0U, rig->ask(*client, spec).status());
  check_table_read(0, spec, 3, 8);
  CHECK_EQUAL(1U + 8U, client->accesses.size());
  for (std::size_t i = 0; i < 8; ++i) {
    check_access(1 + i, spec.out[i].address, spec.out[i].key, 128, fake::RemoteAccess::read);
  }
  CHECK_EQUAL(1U, rig->commits());
  check_all_back();
  check_credits();
}

// What the IU holds counts, not the initiator's copy of that.
TEST(CommandTable, fetch_table__descriptors_in_the_iu_are_the_ones_that_count) {
  const CmdSpec spec = write(3, 2, 3);
  for (std::size_t i = 0; i < 3; ++i) entry(spec, i) = {0xdead, 0xdead, 128U};
  CHECK_EQUAL(0U, rig->ask(*client, spec).status());
  CHECK_EQUAL(1U, rig->commits());
}

TEST(CommandTable, fetch_table__a_table_of_which_the_iu_holds_nothing) {
  const CmdSpec spec = write(3, 2, 0);
  CHECK_EQUAL(0U, rig->ask(*client, spec).status());
  check_table_read(0, spec, 0, 8);
  CHECK_EQUAL(1U, rig->commits());
}

TEST(CommandTable, fetch_table__a_table_that_the_iu_holds_as_a_whole_is_not_read) {
  const CmdSpec spec = write(3, 2, 8);
  CHECK_EQUAL(0U, rig->ask(*client, spec).status());
  CHECK_EQUAL(8U, client->accesses.size());
  CHECK_EQUAL(1U, rig->commits());
}

TEST(CommandTable, fetch_table__a_table_of_one_entry) {
  CmdSpec spec = write(3, 1, 0);
  entry(spec, 0) = {std::uint64_t{spec.out[0].address}, spec.out[0].key, 512U};
  spec.table.bytes = std::uint32_t{16};
  Bytes iu = build(spec);
  const wire::IndirectDesc head{spec.table, 512U};
  std::memcpy(iu.data() + sizeof(wire::Cmd), &head, sizeof head);
  client->send(iu);
  rig->run();
  CHECK_EQUAL(0U, client->answer_to(3).status());
  CHECK_EQUAL(2U, client->accesses.size());
  CHECK_EQUAL(1U, rig->commits());
}

TEST(CommandTable, respond__data_in_goes_to_all_descriptors) {
  for (const std::size_t in_line : {0U, 1U, 15U}) {
    client->accesses.clear();
    const CmdSpec spec = read(3 + in_line, 2, 16, 64, in_line);
    const Answer& answer = rig->ask(*client, spec);
    CHECK_EQUAL(0U, answer.status());
    STRCMP_EQUAL("", answer.residual_text().c_str());
    check_table_read(0, spec, in_line, 16);
    CHECK_EQUAL(1U + 16U, client->accesses.size());
    MEMCMP_EQUAL(rig->lu().content.data(), bytes_read(spec).data(), 1024);
  }
  check_all_back();
}

TEST(CommandTable, respond__a_table_of_more_than_the_data_is_followed_as_far_as_needed) {
  const CmdSpec spec = read(3, 1, 16, 64, 0);
  STRCMP_EQUAL("in-512", rig->ask(*client, spec).residual_text().c_str());
  CHECK_EQUAL(1U + 8U, client->accesses.size());
}

TEST(CommandTable, respond__the_longest_table) {
  constexpr auto count = static_cast<std::uint32_t>(table_descriptors_max);
  const CmdSpec spec = read(3, 4, count, 1, 0);
  const Answer& answer = rig->ask(*client, spec);
  CHECK_EQUAL(0U, answer.status());
  STRCMP_EQUAL("", answer.residual_text().c_str());
  check_table_read(0, spec, 0, table_descriptors_max);
  MEMCMP_EQUAL(rig->lu().content.data(), bytes_read(spec).data(), 2048);
}

TEST(CommandTable, fetch_table__a_long_one_is_cut_as_data_is) {
  rig.reset();
  rig = std::make_unique<Rig>(RigOptions{.more = "srp_max_rdma_size = 4096;"});
  client = &rig->log_in();
  const CmdSpec spec = read(3, 1, 512, 1, 0);
  CHECK_EQUAL(0U, rig->ask(*client, spec).status());
  check_access(0, spec.table.address, spec.table.key, 4096, fake::RemoteAccess::read);
  check_access(1, spec.table.address + 4096, spec.table.key, 4096, fake::RemoteAccess::read);
  MEMCMP_EQUAL(rig->lu().content.data(), bytes_read(spec).data(), 512);
}

// ---- both directions ----

// Data-out and data-in with a table each, an entry of each in the IU.
TEST(CommandTable, on_table__both_directions_have_theirs) {
  rig->before_end = [](tgt::scsi_cmd& cmd, int) {  // the unit answers with what it got, inverted
    const auto* out = reinterpret_cast<const std::uint8_t*>(cmd.out_sdb.buffer);
    auto* in = reinterpret_cast<std::uint8_t*>(cmd.in_sdb.buffer);
    for (std::uint32_t i = 0; i < cmd.out_sdb.length; ++i)
      in[i] = static_cast<std::uint8_t>(~out[i]);
    cmd.in_sdb.transfer_len = cmd.in_sdb.length;
    return 0;
  };
  CmdSpec spec{.tag = 3, .cdb = {0xc5}, .out = client->offer_list({40, 24, 36})};
  for (std::size_t i = 0; i < 3; ++i) {
    for (auto& byte : client->bytes_of(spec.out[i])) byte = static_cast<std::uint8_t>(0x10 + i);
  }
  spec.in = client->offer_list({50, 20, 20, 10});
  client->keep_table(spec, 1);
  const wire::MemoryDesc in_table = client->offer(4 * entry_bytes);
  std::memcpy(client->bytes_of(in_table).data(), spec.in.data(), 4 * entry_bytes);
  Bytes iu = build(spec);
  const std::size_t second = sizeof(wire::Cmd) + sizeof(wire::IndirectDesc) + entry_bytes;
  std::memcpy(iu.data() + second, &in_table, sizeof in_table);
  client->send(iu);
  rig->run();

  const Answer& answer = client->answer_to(3);
  CHECK_EQUAL(0U, answer.status());
  STRCMP_EQUAL("", answer.residual_text().c_str());
  CHECK_EQUAL(2U + 3U + 4U, client->accesses.size());
  check_table_read(0, spec, 1, 3);
  check_access(1, in_table.address + entry_bytes, in_table.key, 3 * entry_bytes,
               fake::RemoteAccess::read);
  Bytes got;
  for (const auto& piece : spec.in) {
    const Bytes& part = client->bytes_of(piece);
    got.insert(got.end(), part.begin(), part.end());
  }
  for (std::size_t i = 0; i < 100; ++i) {
    CHECK_EQUAL(i < 40 ? 0xefU : i < 64 ? 0xeeU : 0xedU, unsigned{got[i]});
  }
  check_all_back();
}

// ---- refused ----

TEST(CommandTable, on_table__descriptors_that_stand_for_less_than_they_say_are_refused) {
  const CmdSpec spec = write(3, 2, 3);
  entry(spec, 7).bytes = std::uint32_t{127};
  const Answer& answer = rig->ask(*client, spec);
  STRCMP_EQUAL("5/0e03", answer.sense_text().c_str());
  STRCMP_EQUAL("out-1024", answer.residual_text().c_str());
  CHECK_EQUAL(1U, client->accesses.size());
  CHECK_EQUAL(0U, rig->world.tgtd->queued);
  CHECK_EQUAL(0U, rig->commits());
  check_all_back();
  check_credits();
}

TEST(CommandTable, on_table__descriptors_for_data_in_that_stand_for_less_are_refused) {
  const CmdSpec spec = read(3, 1, 8, 64, 3);
  entry(spec, 5).bytes = std::uint32_t{0};
  STRCMP_EQUAL("5/0e03", rig->ask(*client, spec).sense_text().c_str());
  CHECK_EQUAL(1U, client->accesses.size());
  CHECK_EQUAL(0U, rig->world.tgtd->queued);
  check_all_back();
}

// A sum beyond 32 bits does not come round to a little.
TEST(CommandTable, on_table__descriptors_that_stand_for_more_are_as_good) {
  const CmdSpec spec = read(3, 1, 8, 64, 0);
  for (std::size_t i = 1; i < 8; ++i) entry(spec, i).bytes = 0xffffffffU;
  entry(spec, 0).bytes = std::uint32_t{512};
  entry(spec, 0).address = spec.in[7].address;
  CHECK_EQUAL(0U, rig->ask(*client, spec).status());
  CHECK_EQUAL(2U, client->accesses.size());
}

TEST(CommandTable, parse_indirect__a_table_that_is_too_long_is_refused_unread) {
  constexpr auto count = static_cast<std::uint32_t>(table_descriptors_max) + 1;
  const CmdSpec spec = read(3, 4, count, 1, 3);
  STRCMP_EQUAL("5/0e03", rig->ask(*client, spec).sense_text().c_str());
  CHECK_TRUE(client->accesses.empty());
  CHECK_EQUAL(0U, rig->world.tgtd->queued);
  check_all_back();
}

TEST(CommandTable, begin__a_command_that_is_refused_anyway_reads_no_table) {
  CmdSpec spec = write(3, 2, 3);
  spec.cdb = write_10(0, 3);
  STRCMP_EQUAL("5/0e03", rig->ask(*client, spec).sense_text().c_str());
  CHECK_TRUE(client->accesses.empty());
}

TEST(CommandTable, on_read__a_table_that_may_not_be_read_ends_the_channel) {
  CmdSpec spec = write(3, 2, 3);
  spec.table.key = std::uint32_t{0x999};
  client->send(spec);
  rig->run();
  CHECK_TRUE(client->disconnected);
  CHECK_TRUE(client->answers.empty());
  CHECK_EQUAL(0U, rig->world.tgtd->queued);
  check_all_back();
}

// ---- the initiator changes it ----

TEST(CommandTable, on_table__what_the_initiator_writes_there_later_has_no_effect) {
  const CmdSpec out = write(3, 2, 2);
  rig->hand_in(*client, out);
  rig->run_fabric();  // the table is here
  for (std::size_t i = 0; i < 8; ++i) entry(out, i) = {0xdead, 0xdead, 0xffffffff};
  rig->run();
  CHECK_EQUAL(0U, client->answer_to(3).status());
  CHECK_EQUAL(1U, rig->commits());

  rig->lu().stalled = true;
  const CmdSpec in = read(4, 1, 8, 64, 2);
  client->send(in);
  rig->run();
  for (std::size_t i = 0; i < 8; ++i) entry(in, i) = {0xdead, 0xdead, 0xffffffff};
  rig->lu().stalled = false;
  rig->run();
  CHECK_EQUAL(0U, client->answer_to(4).status());
  MEMCMP_EQUAL(rig->lu().content.data(), bytes_read(in).data(), 512);
}

// ---- its end while the table is on its way ----

TEST(CommandTable, abort__while_the_table_is_on_its_way_waits_for_that_alone) {
  rig->hand_in(*client, write(3, 2, 3));
  CHECK_EQUAL(1U, Rig::qp(*client).sends.size());
  abort(3);
  CHECK_EQUAL(1U, Rig::qp(*client).sends.size());  // no answer may come before the READ's end
  rig->run();
  CHECK_EQUAL(0, client->answer_to(task_tag).code());
  CHECK_EQUAL(2U, client->answer_to(task_tag).delta());
  CHECK_FALSE(client->answered(3));
  CHECK_EQUAL(1U, client->accesses.size());
  CHECK_EQUAL(0U, rig->world.tgtd->queued);
  check_all_back();
  check_credits();
}

TEST(CommandTable, drop__while_the_table_is_on_its_way) {
  rig->hand_in(*client, write(3, 2, 3));
  client->disconnect();
  rig->run();
  CHECK_EQUAL(0U, rig->port().sessions().size());
  CHECK_EQUAL(0U, rig->world.tgtd->queued);
  check_all_back();
}

// ---- no memory ----

TEST(CommandTable, get_table_memory__waits_in_line_and_owns_nothing_meanwhile) {
  exhaust_tables();
  client->send(write(3, 2, 3));
  client->send(read(4, 1, 8, 64, 0));
  rig->run();
  CHECK_EQUAL(2U, tables().waiters());
  CHECK_EQUAL(0U, buffers().bytes_in_use());
  CHECK_TRUE(client->accesses.empty());
  give_tables_back();
  rig->run();
  CHECK_EQUAL(0U, client->answer_to(3).status());
  CHECK_EQUAL(0U, client->answer_to(4).status());
  CHECK_EQUAL(1U, rig->commits());
  check_all_back();
  check_credits();
}

TEST(CommandTable, get_table_memory__commands_without_a_table_do_not_wait_there) {
  exhaust_tables();
  client->send(write(3, 2, 3));
  rig->run();
  CHECK_EQUAL(0U, rig->ask(*client, rig->write(*client, 4)).status());
  CHECK_FALSE(client->answered(3));
  abort(3);
  rig->run();
}

TEST(CommandTable, abort__while_waiting_for_table_memory_leaves_the_line) {
  exhaust_tables();
  rig->hand_in(*client, write(3, 2, 3));
  rig->hand_in(*client, write(4, 2, 3, 9));
  abort(3);
  CHECK_EQUAL(1U, tables().waiters());
  rig->run();
  CHECK_EQUAL(0, client->answer_to(task_tag).code());
  give_tables_back();
  rig->run();
  CHECK_FALSE(client->answered(3));
  CHECK_EQUAL(0U, client->answer_to(4).status());
  CHECK_EQUAL(1U, rig->commits());
  check_all_back();
  check_credits();
}

TEST(CommandTable, drop__while_waiting_for_table_memory) {
  exhaust_tables();
  rig->hand_in(*client, write(3, 2, 3));
  client->disconnect();
  rig->run();
  CHECK_EQUAL(0U, tables().waiters());
  CHECK_EQUAL(0U, rig->port().sessions().size());
  give_tables_back();
  rig->run();
  CHECK_TRUE(client->accesses.empty());
  check_all_back();
}

// The table is here, and the data has to wait.
TEST(CommandTable, get_memory__keeps_the_table_while_it_waits_for_data_memory) {
  rig->exhaust_memory();
  const CmdSpec spec = write(3, 2, 3);
  client->send(spec);
  rig->run();
  CHECK_EQUAL(1U, client->accesses.size());
  CHECK_EQUAL(1U, buffers().waiters());
  CHECK_TRUE(tables().bytes_in_use() != 0);
  for (std::size_t i = 0; i < 8; ++i) entry(spec, i) = {0xdead, 0xdead, 128U};
  rig->give_memory_back();
  rig->run();
  CHECK_EQUAL(0U, client->answer_to(3).status());
  CHECK_EQUAL(1U, rig->commits());
  check_all_back();
}

TEST(CommandTable, abort__while_waiting_for_data_memory_gives_the_table_back) {
  rig->exhaust_memory();
  client->send(write(3, 2, 3));
  rig->run();
  abort(3);
  CHECK_EQUAL(0U, tables().bytes_in_use());
  CHECK_EQUAL(0U, buffers().waiters());
  rig->run();
  CHECK_EQUAL(0, client->answer_to(task_tag).code());
  check_credits();
}

TEST(CommandTable, get_table_memory__tables_that_were_fetched_are_counted) {
  rig->ask(*client, write(3, 2, 3));
  rig->ask(*client, read(4, 1, 8, 64, 0));
  rig->ask(*client, write(5, 2, 8));
  tgt::concat_buf out;
  (void)admin::show(*rig->driver, tgt::MODE_CONNECTION, 1, 0, &out);
  STRCMP_CONTAINS("    Indirect: 3 commands\n    External tables: 2 commands\n", out.text.c_str());
}
