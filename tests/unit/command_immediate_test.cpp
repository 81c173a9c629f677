// Data that travels with its command: who may send it, how it gets to the store, what is refused.
#include <cstring>

#include "lld_srp/admin.h"
#include "lld_srp/command.h"
#include "lld_srp/limits.h"
#include "lld_srp/login.h"
#include "tests/unit/rig.h"

using namespace srp;
using namespace srp::test;

namespace {

constexpr std::uint64_t task_tag = 0x80000001;
constexpr std::size_t usual_offset = usual_immediate_offset;
constexpr std::size_t descriptor_at = sizeof(wire::Cmd);
constexpr std::size_t formats_at = offsetof(wire::Cmd, buffer_formats);

}  // namespace

// ---- the grant ----

TEST_GROUP(ImmediateGrant) {
  LoginRequest request{};
  Settings settings;

  void setup() override {
    request.immediate = true;
    request.immediate_offset = 68;
    settings.srp_max_req_size = 1024;
  }
  bool granted(unsigned offset) {
    request.immediate_offset = static_cast<std::uint16_t>(offset);
    return grants_immediate(request, settings);
  }
};

TEST(ImmediateGrant, grants_immediate__behind_the_descriptor_and_within_an_iu) {
  for (const unsigned offset : {52U, 56U, 68U, 72U, 1020U}) CHECK_TRUE(granted(offset));
  for (const unsigned offset : {0U, 4U, 48U, 1024U, 1028U, 65532U}) CHECK_FALSE(granted(offset));
}

TEST(ImmediateGrant, grants_immediate__at_multiples_of_four) {
  for (const unsigned offset : {53U, 54U, 55U, 69U, 70U, 71U, 1021U}) CHECK_FALSE(granted(offset));
}

TEST(ImmediateGrant, grants_immediate__where_it_is_asked_for_and_wanted) {
  CHECK_TRUE(granted(68));
  request.immediate = false;
  CHECK_FALSE(granted(68));
  request.immediate = true;
  settings.immediate_data = false;
  CHECK_FALSE(granted(68));
}

// ---- commands ----

TEST_GROUP(CommandImmediate) {
  std::unique_ptr<Rig> rig;
  Client* client = nullptr;
  // What tgtd had of the last command.
  std::uint64_t buffer = 0;
  std::uint64_t iu = 0;  // where the command arrived
  Bytes seen;            // a page of data-out

  void teardown() override { rig.reset(); }

  // A channel that asks for immediate data at this offset; 0: that does not ask.
  Client& log_in(std::size_t offset) {
    wire::LoginReqRdma request = rig->login_request({});
    if (offset != 0) request.flags |= wire::immediate_requested;
    request.immediate_offset = static_cast<std::uint16_t>(offset);
    const auto* raw = reinterpret_cast<const std::uint8_t*>(&request);
    client = &rig->connect_with({raw, raw + sizeof request});
    rig->run();
    CHECK_TRUE_TEXT(client->login_rsp.has_value(), "the login was not accepted");
    rig->clear_attentions();
    return *client;
  }
  void make(std::size_t offset = usual_offset, const RigOptions& options = {}) {
    rig = std::make_unique<Rig>(options);
    log_in(offset);
    rig->before_end = [this](tgt::scsi_cmd& cmd, int status) {
      buffer = cmd.out_sdb.buffer;
      iu = reinterpret_cast<std::uint64_t>(cmd.scb) - offsetof(wire::Cmd, cdb);
      const auto* data = reinterpret_cast<const std::uint8_t*>(buffer);
      seen.assign(data, data + page_bytes);
      return status;
    };
  }
  bool granted() { return (client->login_rsp->flags & wire::immediate_supported) != 0; }
  // A write of a block that brings it along.
  CmdSpec write(std::uint64_t tag, std::uint32_t lba = 0, std::size_t offset = usual_offset) {
    CmdSpec spec = rig->write(*client, tag, lba);
    spec.immediate = client->bytes_of(spec.out.at(0));
    spec.immediate_offset = offset;
    spec.out.clear();
    return spec;
  }
  const Answer& ask(std::uint64_t tag, const Bytes& request) {
    client->send(request);
    rig->run();
    return client->answer_to(tag);
  }
  static void set_length(Bytes & request, std::uint32_t bytes) {
    const wire::ImmediateDesc descriptor{bytes};
    std::memcpy(request.data() + descriptor_at, &descriptor, sizeof descriptor);
  }
  void check_refused(const Answer& answer, const char* sense) {
    STRCMP_EQUAL(sense, answer.sense_text().c_str());
    CHECK_EQUAL(0U, rig->world.tgtd->queued);
    CHECK_EQUAL(0U, rig->commits());
    CHECK_TRUE(client->accesses.empty());
    CHECK_EQUAL(0U, rig->device().buffers().bytes_in_use());
    CHECK_FALSE(client->disconnected);
  }
  void check_in_place(std::size_t offset) {
    CHECK_EQUAL(iu + offset, buffer);
    CHECK_EQUAL(0U, buffer % page_bytes);
  }
  // Data memory that was another command's.
  void soil_memory() {
    const Buffer dirty = rig->device().buffers().allocate(64 * 1024);
    std::memset(dirty.data, 0xdb, dirty.bytes);
    rig->device().buffers().release(dirty);
  }
  CreditLedger& credits() { return Rig::channel(*client).credits(); }
};

TEST(CommandImmediate, login__the_response_says_whether_it_is_granted) {
  make();
  CHECK_TRUE(granted());
  CHECK_EQUAL(usual_offset, std::size_t{Rig::channel(*client).sizes().immediate_offset});
  log_in(0);
  CHECK_FALSE(granted());
  CHECK_EQUAL(0U, Rig::channel(*client).sizes().immediate_offset);
  log_in(70);
  CHECK_FALSE(granted());
  log_in(1024);
  CHECK_FALSE(granted());
}

TEST(CommandImmediate, login__the_setting_forbids_it) {
  make(usual_offset, {.more = "immediate_data = false;"});
  CHECK_FALSE(granted());
  STRCMP_EQUAL("5/0e03", ask(3, build(write(3))).sense_text().c_str());
}

// ---- it goes to the store ----

TEST(CommandImmediate, execute__the_store_gets_it_where_it_has_arrived) {
  make();
  const CmdSpec spec = write(3, 7);
  const Answer& answer = ask(3, build(spec));
  CHECK_EQUAL(0U, answer.status());
  STRCMP_EQUAL("", answer.residual_text().c_str());
  CHECK_TRUE(client->accesses.empty());
  check_in_place(usual_offset);
  MEMCMP_EQUAL(spec.immediate.data(), rig->lu().content.data() + 7 * 512, 512);
  CHECK_EQUAL(1U, rig->commits());
}

TEST(CommandImmediate, execute__every_receive_of_the_channel_is_laid_out_for_it) {
  make();
  for (std::uint64_t tag = 1; tag <= 40; ++tag) {
    CHECK_EQUAL(0U, ask(tag, build(write(tag, static_cast<std::uint32_t>(tag)))).status());
    check_in_place(usual_offset);
  }
  CHECK_EQUAL(40U, rig->commits());
}

TEST(CommandImmediate, execute__another_offset_that_was_granted_is_laid_out_for_as_well) {
  make(72);
  CHECK_TRUE(granted());
  CHECK_EQUAL(0U, ask(3, build(write(3, 0, 72))).status());
  check_in_place(72);
  CHECK_EQUAL(1U, rig->commits());
}

// Receives that are shared are laid out for the offset that Linux wants.
TEST(CommandImmediate, get_memory__at_an_offset_that_is_no_page_it_is_copied) {
  make(72, {.more = "use_srq = true; srpt_srq_size = 16;"});
  const CmdSpec spec = write(3, 7, 72);
  CHECK_EQUAL(0U, ask(3, build(spec)).status());
  CHECK_TRUE(buffer < iu || buffer >= iu + 1024);
  CHECK_EQUAL(0U, buffer % page_bytes);
  MEMCMP_EQUAL(spec.immediate.data(), rig->lu().content.data() + 7 * 512, 512);
  CHECK_TRUE(client->accesses.empty());
  CHECK_EQUAL(0U, rig->device().buffers().bytes_in_use());
}

TEST(CommandImmediate, execute__in_a_shared_receive_it_stays_in_place) {
  make(usual_offset, {.more = "use_srq = true; srpt_srq_size = 16;"});
  for (std::uint64_t tag = 1; tag <= 40; ++tag) {
    CHECK_EQUAL(0U, ask(tag, build(write(tag))).status());
    check_in_place(usual_offset);
  }
}

TEST(CommandImmediate, execute__data_in_place_needs_no_data_memory) {
  make();
  rig->exhaust_memory();
  CHECK_EQUAL(0U, ask(3, build(write(3))).status());
  CHECK_EQUAL(1U, rig->commits());
  CHECK_EQUAL(0U, rig->device().buffers().waiters());
}

TEST(CommandImmediate, on_memory__a_parameter_list_is_copied_into_a_zeroed_page) {
  make();
  soil_memory();
  const CmdSpec spec{.tag = 3, .cdb = unmap(24), .immediate = Bytes(24, 0x5a)};
  const Answer& answer = ask(3, build(spec));
  CHECK_EQUAL(0U, answer.status());
  STRCMP_EQUAL("", answer.residual_text().c_str());
  CHECK_TRUE(buffer < iu || buffer >= iu + 1024);
  for (std::size_t i = 0; i < page_bytes; ++i) {
    CHECK_EQUAL(i < 24 ? 0x5aU : 0U, unsigned{seen[i]});
  }
}

TEST(CommandImmediate, on_memory__a_parameter_list_waits_for_memory) {
  make();
  rig->exhaust_memory();
  client->send(CmdSpec{.tag = 3, .cdb = unmap(24), .immediate = Bytes(24, 0x5a)});
  rig->run();
  CHECK_EQUAL(1U, rig->device().buffers().waiters());
  for (std::uint64_t tag = 4; tag <= 20; ++tag) {  // other IUs do not get into its receive
    CHECK_EQUAL(0U, ask(tag, build(write(tag))).status());
  }
  rig->give_memory_back();
  rig->run();
  CHECK_EQUAL(0U, client->answer_to(3).status());
  for (std::size_t i = 0; i < 24; ++i) CHECK_EQUAL(0x5aU, unsigned{seen[i]});
}

TEST(CommandImmediate, execute__with_room_for_data_in) {
  make();
  CmdSpec spec = write(3);
  spec.in = {client->offer(512)};
  STRCMP_EQUAL("in-512", ask(3, build(spec)).residual_text().c_str());
  CHECK_EQUAL(1U, rig->commits());
}

// ---- lengths ----

TEST(CommandImmediate, parse_immediate__length_0_is_no_data) {
  make();
  Bytes request = build({.tag = 3, .immediate = Bytes(4)});
  set_length(request, 0);
  const Answer& answer = ask(3, request);
  CHECK_EQUAL(0U, answer.status());
  STRCMP_EQUAL("", answer.residual_text().c_str());
  request.resize(usual_offset);  // nothing has to be there
  CHECK_EQUAL(0U, ask(3, request).status());
}

TEST(CommandImmediate, parse_immediate__more_in_the_iu_than_the_length_is_nobodys) {
  make();
  CmdSpec spec = write(3);
  spec.immediate.resize(900, 0xee);
  Bytes request = build(spec);
  set_length(request, 512);
  const Answer& answer = ask(3, request);
  CHECK_EQUAL(0U, answer.status());
  STRCMP_EQUAL("", answer.residual_text().c_str());
  CHECK_EQUAL(1U, rig->commits());
}

TEST(CommandImmediate, result_of__longer_than_the_cdb_wants_is_a_residual) {
  make();
  CmdSpec spec = write(3);
  spec.immediate.resize(600, 0xee);
  const Answer& answer = ask(3, build(spec));
  CHECK_EQUAL(0U, answer.status());
  STRCMP_EQUAL("out-88", answer.residual_text().c_str());
  CHECK_EQUAL(1U, rig->commits());
}

TEST(CommandImmediate, start__shorter_than_the_cdb_wants_is_refused) {
  make();
  CmdSpec spec = write(3);
  spec.immediate.resize(256);
  const Answer& answer = ask(3, build(spec));
  check_refused(answer, "5/0e03");
  STRCMP_EQUAL("out-256", answer.residual_text().c_str());
}

TEST(CommandImmediate, parse_immediate__beyond_the_iu_is_refused) {
  make();
  Bytes request = build(write(3));
  set_length(request, 513);
  check_refused(ask(3, request), "5/0e01");
  client->answers.clear();
  set_length(request, 0xffffffff);
  check_refused(ask(3, request), "5/0e01");
  client->answers.clear();
  set_length(request, 0);
  request.resize(usual_offset - 1);
  check_refused(ask(3, request), "5/0e01");
  client->answers.clear();
  request.resize(descriptor_at + 3);
  check_refused(ask(3, request), "5/0e01");
  CHECK_EQUAL(4U, credits().held());
}

TEST(CommandImmediate, parse_cmd__descriptors_that_reach_into_the_data_are_refused) {
  make();
  CmdSpec spec = write(3);
  spec.in = client->offer_list({256, 256});
  spec.immediate_offset = 48 + 4 + 20 + 2 * 16;  // beyond the one that was granted
  Bytes request = build(spec);
  set_length(request, 128);
  check_refused(ask(3, request), "5/0e03");
}

TEST(CommandImmediate, parse_cmd__an_additional_cdb_that_reaches_into_the_data_is_refused) {
  make();
  CmdSpec spec = write(3, 0, usual_offset + 4);
  spec.additional_cdb = Bytes(20);
  check_refused(ask(3, build(spec)), "5/0e03");
}

// The 16 bytes between descriptor and data are the longer CDB's.
TEST(CommandImmediate, parse_cmd__an_additional_cdb_that_fits_moves_the_descriptor_not_the_data) {
  make();
  CmdSpec spec = write(3);
  spec.additional_cdb = Bytes(16);
  const Answer& answer = ask(3, build(spec));
  CHECK_EQUAL(0U, answer.status());
  STRCMP_EQUAL("", answer.residual_text().c_str());
  check_in_place(usual_offset);
}

// ---- where it may not be ----

TEST(CommandImmediate, parse_buffer__without_a_grant_it_is_refused) {
  make(0);
  check_refused(ask(3, build(write(3))), "5/0e03");
}

TEST(CommandImmediate, parse_buffer__as_data_in_it_is_refused) {
  make();
  Bytes request = build({.tag = 3, .cdb = read_10(0, 1), .immediate = Bytes(512)});
  request[formats_at] = 0x03;
  check_refused(ask(3, request), "5/0e03");
  client->answers.clear();
  request[formats_at] = 0x33;
  check_refused(ask(3, request), "5/0e03");
}

// ---- while the store has it ----

TEST(CommandImmediate, take__receives_are_posted_while_others_are_the_stores) {
  make();
  const SessionStats before = Rig::session(*client).stats();
  rig->lu().stalled = true;
  for (std::uint64_t tag = 1; tag <= 4; ++tag) {
    rig->hand_in(*client, write(tag, static_cast<std::uint32_t>(tag)));
    CHECK_EQUAL(8U, Rig::qp(*client).receives.size());
  }
  CHECK_EQUAL(4U, rig->world.tgtd->held());
  CHECK_EQUAL(0U, rig->device().buffers().bytes_in_use());
  CHECK_EQUAL(0U, credits().held());
  rig->lu().stalled = false;
  rig->run();
  for (std::uint64_t tag = 1; tag <= 4; ++tag) CHECK_EQUAL(0U, client->answer_to(tag).status());
  CHECK_EQUAL(4U, rig->commits());
  CHECK_EQUAL(4U, credits().held());
  CHECK_EQUAL(0U, credits().serving());
  CHECK_EQUAL(before.bytes_out + 4 * 512, Rig::session(*client).stats().bytes_out);
}

TEST(CommandImmediate, abort__data_stays_the_stores_until_it_gives_the_command_back) {
  make();
  rig->lu().stalled = true;
  rig->hand_in(*client, write(3, 9));
  client->send_task(task_tag, wire::TaskFunction::abort_task, 3);
  rig->run();
  CHECK_TRUE(client->answers.empty());
  for (std::uint64_t tag = 100; tag < 140; ++tag) {  // each receive is used again
    rig->ask(*client, rig->read(*client, tag, 0, 1, 2));
  }
  rig->lu().stalled = false;
  rig->run();
  CHECK_EQUAL(0, client->answer_to(task_tag).code());
  CHECK_FALSE(client->answered(3));
  CHECK_EQUAL(1U, rig->commits());  // which would not know bytes of another IU
  CHECK_EQUAL(4U, credits().held());
}

TEST(CommandImmediate, drop__data_stays_the_stores_after_the_channel_is_lost) {
  make();
  rig->lu().stalled = true;
  rig->hand_in(*client, write(3, 9));
  client->disconnect();
  rig->run();
  CHECK_EQUAL(1U, rig->world.tgtd->held());
  rig->lu().stalled = false;
  rig->run();
  CHECK_EQUAL(1U, rig->commits());
  CHECK_EQUAL(0U, rig->port().sessions().size());
}

TEST(CommandImmediate, begin__commands_that_brought_their_data_are_counted) {
  make();
  ask(3, build(write(3)));
  ask(4, build({.tag = 4, .cdb = unmap(24), .immediate = Bytes(24)}));
  rig->ask(*client, rig->write(*client, 5));
  CmdSpec refused = write(6);
  refused.immediate.resize(8);
  ask(6, build(refused));
  tgt::concat_buf out;
  (void)admin::show(*rig->driver, tgt::MODE_CONNECTION, 1, 0, &out);
  STRCMP_CONTAINS("    Immediate data: 2 commands\n", out.text.c_str());
}
